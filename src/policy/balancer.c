#include "policy/balancer.h"

/* How near a binding is to an address of ours: itself, all of its kind, all. */
static unsigned nearness(const struct binding *binding, struct ip local)
{
    return binding->is_any ? 1 : ip_compare(binding->ip, local) == 0 ? 3 : 2;
}

const struct listener_options *balancer_listener(
    const struct settings *settings, const struct arrival *arrival)
{
    const struct listener_options *best = NULL;

    for (size_t i = 0; i < settings->listener_count; i++) {
        const struct listener_options *listener = &settings->listeners[i];

        if (!binding_covers(&listener->binding, arrival))
            continue;
        if (!best || nearness(&listener->binding, arrival->local) >
                         nearness(&best->binding, arrival->local))
            best = listener;
    }
    return best;
}

bool balancer_concerns(
    const struct listener_options *listener, const struct receive_connector *connector)
{
    for (size_t i = 0; connector->enabled && i < connector->binding_count; i++) {
        if (binding_overlaps(&connector->bindings[i], &listener->binding))
            return true;
    }
    return false;
}

const char *proxy_mode_name(enum proxy_mode mode)
{
    static const char *const names[] = { [PROXY_MODE_LISTED] = "listed",
        [PROXY_MODE_OPTIONAL] = "optional",
        [PROXY_MODE_REQUIRED] = "required" };

    return names[mode];
}

static bool is_balancer(const struct listener_options *listener, struct ip ip)
{
    for (size_t i = 0; i < listener->balancer_count; i++) {
        if (ip_range_has(listener->balancers[i], ip))
            return true;
    }
    return false;
}

static void describe(const struct settings *settings, const struct arrival *arrival,
    char peer[IP_TEXT_BYTES], char listener[BINDING_TEXT_BYTES])
{
    const struct listener_options *options = balancer_listener(settings, arrival);

    ip_format(arrival->peer, peer);
    listener[0] = 0;
    if (options)
        binding_format(&options->binding, listener);
}

enum balancer_header balancer_decide(
    const struct settings *settings, const struct arrival *arrival, struct decision *out)
{
    const struct listener_options *listener = balancer_listener(settings, arrival);
    const struct verdict yes = verdict_of(250, STATUS(2, 0, 0), "OK");
    char peer[IP_TEXT_BYTES], name[BINDING_TEXT_BYTES];

    if (!listener) {
        decide(out, NULL, yes, "no listener block covers it");
        return BALANCER_HEADER_NONE;
    }
    describe(settings, arrival, peer, name);
    if (is_balancer(listener, arrival->peer)) {
        decide(out, NULL, yes, "%s is in proxy_from of listener \"%s\", proxy = %s", peer, name,
            proxy_mode_name(listener->proxy));
        return listener->proxy == PROXY_MODE_OPTIONAL ? BALANCER_HEADER_MAY
                                                      : BALANCER_HEADER_MUST;
    }
    if (listener->proxy != PROXY_MODE_REQUIRED) {
        decide(out, NULL, yes, "%s is not in proxy_from of listener \"%s\"", peer, name);
        return BALANCER_HEADER_NONE;
    }
    decide_refusal(out, "proxy-required", name,
        verdict_of(554, STATUS(5, 7, 1), "Connections come through a balancer here"),
        "%s is not in proxy_from of listener \"%s\", proxy = required", peer, name);
    return BALANCER_HEADER_NOBODY;
}

void balancer_refuse_bad(const struct settings *settings, const struct arrival *arrival,
    const char *what, struct decision *out)
{
    char peer[IP_TEXT_BYTES], name[BINDING_TEXT_BYTES];

    describe(settings, arrival, peer, name);
    decide_refusal(out, "proxy-header", name,
        verdict_of(421, STATUS(4, 7, 0), "No PROXY header that can be understood"),
        "%s from the balancer %s", what, peer);
}

void balancer_refuse_full(
    const struct settings *settings, const struct arrival *arrival, struct decision *out)
{
    char peer[IP_TEXT_BYTES], name[BINDING_TEXT_BYTES];

    describe(settings, arrival, peer, name);
    decide_refusal(out, "connections", name,
        verdict_of(421, STATUS(4, 3, 2), "Too many connections, try again later"),
        "limits { connections = %u }", settings->connections_max);
}

/* A balancer that works sends the header at once: one that has a quarter of all waiting does not,
 * and leaves room for others. */
uint32_t balancer_waiting_max(const struct settings *settings)
{
    uint32_t quarter = settings->connections_max / 4;

    return quarter ? quarter : 1;
}

void balancer_refuse_waiting(
    const struct settings *settings, const struct arrival *arrival, struct decision *out)
{
    char peer[IP_TEXT_BYTES], name[BINDING_TEXT_BYTES];

    describe(settings, arrival, peer, name);
    decide_refusal(out, "proxy-waiting", name,
        verdict_of(421, STATUS(4, 7, 0), "Too many connections without a PROXY header"),
        "the balancer %s has %u connections whose PROXY header is not there yet", peer,
        balancer_waiting_max(settings));
}

void balancer_refuse_header(const char *where, struct decision *out)
{
    decide_refusal(out, "proxy-unlisted", where,
        verdict_of(554, STATUS(5, 7, 1), "No PROXY header is taken from your address"),
        "a PROXY header from an address that is not in proxy_from");
}

bool balancer_takes(const struct settings *settings, const struct arrival *arrival,
    bool has_header, const char *where, struct decision *out)
{
    switch (balancer_decide(settings, arrival, out)) {
    case BALANCER_HEADER_NONE:
        if (has_header)
            balancer_refuse_header(where, out);
        break;
    case BALANCER_HEADER_MUST:
        if (!has_header)
            balancer_refuse_bad(settings, arrival, "no PROXY header", out);
        break;
    case BALANCER_HEADER_MAY:
    case BALANCER_HEADER_NOBODY:
        break;
    }
    return decision_is_yes(out);
}
