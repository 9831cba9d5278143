#include "policy/self.h"

static bool is_same(const char *a, const char *b)
{
    return a && bytes_equal_nocase(bytes_text(a), bytes_text(b));
}

/* The internal connector is for the other nodes: no mail is looked for there. */
bool self_is_name(const struct settings *settings, const char *name)
{
    if (is_same(settings->fqdn, name) || is_same(settings->node, name))
        return true;
    for (size_t i = 0; i < settings->receive_count; i++) {
        const struct receive_connector *connector = &settings->receive[i];
        if (connector->enabled && !connector->is_internal && is_same(connector->fqdn, name))
            return true;
    }
    return false;
}

/* IP NULL: whatever its address. */
static enum self binding_at(const struct binding *binding, const struct ip *ip, uint16_t port)
{
    if (binding->is_unix || binding->port != port)
        return SELF_NOT;
    if (!ip)
        return SELF_SURELY;
    if (!binding->is_any && ip_compare(binding->ip, *ip) == 0)
        return SELF_SURELY;
    if (binding->is_any ||
        (ip_is_unspecified(binding->ip) && ip_is_v4(binding->ip) == ip_is_v4(*ip)))
        return ip_is_loopback(*ip) ? SELF_SURELY : SELF_IF_LOCAL;
    return SELF_NOT;
}

static enum self self_among_bindings(
    const struct settings *settings, const struct ip *ip, uint16_t port)
{
    enum self best = SELF_NOT;

    for (size_t i = 0; i < settings->receive_count; i++) {
        const struct receive_connector *connector = &settings->receive[i];
        for (size_t k = 0; connector->enabled && k < connector->binding_count; k++) {
            enum self is = binding_at(&connector->bindings[k], ip, port);
            best = is > best ? is : best;
        }
    }
    return best;
}

bool self_has_port(const struct settings *settings, uint16_t port)
{
    return self_among_bindings(settings, NULL, port) != SELF_NOT;
}

enum self self_at(const struct settings *settings, struct ip ip, uint16_t port)
{
    static const struct ip loopback = { { [15] = 1 } };
    static const struct ip loopback_v4 = { { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 } };

    if (ip_is_unspecified(ip)) /* who connects there comes to this machine */
        ip = ip_is_v4(ip) ? loopback_v4 : loopback;
    return self_among_bindings(settings, &ip, port);
}
