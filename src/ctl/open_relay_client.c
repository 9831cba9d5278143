/* Whose mail is tried: an address that belongs to the range, and to no narrower one of another
 * connector, which would answer in its place. */
#include "ctl/open_relay.h"

#include "policy/receive.h"
#include "policy/wide.h"

struct search {
    const struct settings *settings;
    const struct receive_connector *connector;
    const struct binding *binding;
    struct ip_range range; /* of one kind of addresses */
    bool is_public;        /* no other one will do */
};

/* At a binding for all addresses the client comes to one that no other binding names. */
static struct ip local_of(const struct search *search, struct ip client)
{
    struct ip any = { { 0 } };

    if (!search->binding->is_any)
        return search->binding->ip;
    if (ip_is_v4(client)) {
        any.byte[10] = 0xff;
        any.byte[11] = 0xff;
    }
    return any;
}

/* Whether CLIENT will do.  Else *last is the last of the addresses that will not either. */
static bool will_do(const struct search *search, struct ip client, struct ip *last)
{
    struct arrival arrival = {
        .local = local_of(search, client), .peer = client, .port = search->binding->port
    };
    const struct receive_connector *chosen;
    struct ip_range range;

    *last = search->range.last;
    if (ip_is_v4(client) != ip_is_v4(search->range.first)) { /* amidst IPv6, by number */
        if (!ip_range_parse(BYTES("0.0.0.0/0"), &range))
            return false;
        *last = range.last;
        return false;
    }
    if (search->is_public && ip_find_special(client, &range)) {
        *last = range.last;
        return false;
    }
    chosen = receive_choose(search->settings, &arrival);
    if (chosen && chosen != search->connector)
        *last = receive_range_find(chosen, client)->last;
    return chosen == search->connector;
}

/* From the first address on, behind what will not do. */
static bool search_range(const struct search *search, struct ip *out)
{
    struct ip last, ip = search->range.first;

    while (!will_do(search, ip, &last)) {
        if (!ip_next(last, &ip) || ip_compare(ip, search->range.last) > 0)
            return false;
    }
    *out = ip;
    return true;
}

/* One that everybody knows, where it will do. */
static bool search_known(const struct search *search, struct ip *out)
{
    static const char *const known[] = { "1.1.1.1", "2606:4700:4700::1111" };
    struct ip last;

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (ip_parse(bytes_text(known[i]), out) && ip_range_has(search->range, *out) &&
            will_do(search, *out, &last))
            return true;
    }
    return false;
}

/* What RANGE has of one kind of addresses, if clients of that kind come by BINDING at all. */
static bool narrow(struct ip_range range, const struct binding *binding, const char *kind,
    struct ip_range *out)
{
    if (!ip_range_parse(bytes_text(kind), out) || !ip_range_overlaps(range, *out))
        return false;
    if (!binding->is_any && ip_is_v4(binding->ip) != ip_is_v4(out->first))
        return false;
    if (!ip_range_contains(range, *out))
        *out = range; /* which is of that kind itself then */
    return true;
}

bool open_relay_find_client(const struct settings *settings,
    const struct receive_connector *connector, const struct binding *binding,
    struct ip_range range, struct open_relay_client *out)
{
    static const char *const kinds[] = { "0.0.0.0/0", "::/0" };
    struct search search = { .settings = settings, .connector = connector, .binding = binding };

    for (unsigned round = 0; round < 4; round++) { /* public ones first */
        search.is_public = round < 2;
        if (narrow(range, binding, kinds[round % 2], &search.range) &&
            (search_known(&search, &out->ip) || search_range(&search, &out->ip))) {
            out->is_public = ip_is_public(out->ip);
            out->local = local_of(&search, out->ip);
            return true;
        }
    }
    return false;
}
