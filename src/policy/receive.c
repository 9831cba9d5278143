#include "policy/receive.h"

#include "base/mem.h"
#include "policy/radix.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* Whether A stands for B's address: the same one, or all of B's kind. */
static bool address_covers(const struct binding *a, struct ip b)
{
    if (a->is_any || ip_compare(a->ip, b) == 0)
        return true;
    return ip_is_unspecified(a->ip) && ip_is_v4(a->ip) == ip_is_v4(b);
}

bool binding_covers(const struct binding *binding, const struct arrival *arrival)
{
    if (binding->is_unix || arrival->is_unix)
        return binding->is_unix && arrival->is_unix &&
               strcmp(binding->path, arrival->path) == 0;
    return binding->port == arrival->port && address_covers(binding, arrival->local);
}

bool binding_overlaps(const struct binding *a, const struct binding *b)
{
    if (a->is_unix || b->is_unix)
        return a->is_unix && b->is_unix && strcmp(a->path, b->path) == 0;
    if (a->port != b->port)
        return false;
    return a->is_any || b->is_any || address_covers(a, b->ip) || address_covers(b, a->ip);
}

void binding_format(const struct binding *binding, char out[BINDING_TEXT_BYTES])
{
    char ip[IP_TEXT_BYTES];

    if (binding->is_unix) {
        snprintf(out, BINDING_TEXT_BYTES, "unix:%.108s", binding->path);
        return;
    }
    ip_format(binding->ip, ip);
    snprintf(out, BINDING_TEXT_BYTES,
        binding->is_any         ? "*%.0s:%u"
        : ip_is_v4(binding->ip) ? "%s:%u"
                                : "[%s]:%u",
        ip, binding->port);
}

/* By the first address; of two that begin together the larger comes first, so that what is
 * around a range always stands before it. */
static int compare_ranges(const void *a, const void *b)
{
    const struct ip_range *one = a, *other = b;
    int order = ip_compare(one->first, other->first);

    return order ? order : ip_compare(other->last, one->last);
}

/* The innermost of the ranges that are still open where RANGE begins. */
static uint32_t still_open(const struct range_node *nodes, uint32_t at, struct ip first)
{
    while (at != RANGE_NODE_NONE && ip_compare(nodes[at].range.last, first) < 0)
        at = nodes[at].outer;
    return at;
}

/* Two ranges of one connector that overlap without nesting are joined, with all that is around
 * them.  That changes no choice: what nests with both of them or stands apart from both (and
 * receive_disputes() sees to it for every other connector) does so with the two joined. */
static void join(struct range_node *nodes, uint32_t at, struct ip last)
{
    for (; at != RANGE_NODE_NONE && ip_compare(nodes[at].range.last, last) < 0;
         at = nodes[at].outer)
        nodes[at].range.last = last;
}

void receive_index(struct receive_connector *connector)
{
    size_t count = connector->range_count;
    struct ip_range *sorted = mem_new((count + 1) * sizeof *sorted);
    struct range_node *nodes = mem_new((count + 1) * sizeof *nodes);
    uint32_t made = 0, open = RANGE_NODE_NONE;

    if (count)
        memcpy(sorted, connector->ranges, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare_ranges);
    for (size_t i = 0; i < count; i++) {
        open = still_open(nodes, open, sorted[i].first);
        if (open != RANGE_NODE_NONE && ip_range_equal(nodes[open].range, sorted[i]))
            continue;
        if (open != RANGE_NODE_NONE && ip_compare(nodes[open].range.last, sorted[i].last) < 0) {
            join(nodes, open, sorted[i].last);
            continue;
        }
        nodes[made] = (struct range_node){ sorted[i], open };
        open = made++;
    }
    free(sorted);
    free(connector->nodes);
    connector->nodes = nodes;
    connector->node_count = made;
    radix_free(connector->radix);
    connector->radix = radix_new(nodes, made);
}

/* The innermost node around IP, as numbers go. */
static uint32_t node_find(const struct receive_connector *connector, struct ip ip)
{
    size_t last;

    if (connector->node_count == 0)
        return RANGE_NODE_NONE;
    last = radix_find(connector->radix, ip);
    return last == RADIX_NONE ? RANGE_NODE_NONE
                              : still_open(connector->nodes, (uint32_t)last, ip);
}

const struct ip_range *receive_range_find(
    const struct receive_connector *connector, struct ip ip)
{
    uint32_t at = node_find(connector, ip);

    assert(connector->node_count || !connector->range_count); /* it was indexed */
    while (at != RANGE_NODE_NONE && !ip_range_has(connector->nodes[at].range, ip))
        at = connector->nodes[at].outer; /* one of IPv6 is around all of IPv4: base/ip.c, 1 */
    return at == RANGE_NODE_NONE ? NULL : &connector->nodes[at].range;
}

static bool covers(const struct receive_connector *connector, const struct arrival *arrival)
{
    for (size_t i = 0; i < connector->binding_count; i++) {
        if (binding_covers(&connector->bindings[i], arrival))
            return true;
    }
    return false;
}

const struct receive_connector *receive_choose(
    const struct settings *settings, const struct arrival *arrival)
{
    const struct receive_connector *best = NULL;
    const struct ip_range *best_range = NULL;

    for (size_t i = 0; i < settings->receive_count; i++) {
        const struct receive_connector *connector = &settings->receive[i];
        const struct ip_range *range;

        if (!connector->enabled || !covers(connector, arrival))
            continue;
        if (arrival->is_unix)
            return connector; /* no other has this path */
        range = receive_range_find(connector, arrival->peer);
        if (range && (!best || ip_range_contains(*best_range, *range))) {
            best = connector;
            best_range = range;
        }
    }
    return best;
}

static bool has_port(const struct receive_connector *connector, uint16_t port)
{
    for (size_t i = 0; i < connector->binding_count; i++) {
        if (!connector->bindings[i].is_unix && connector->bindings[i].port == port)
            return true;
    }
    return false;
}

bool receive_listens(
    const struct settings *settings, const struct arrival *arrival, bool *has_port_out)
{
    bool listens = false;

    *has_port_out = false;
    for (size_t i = 0; i < settings->receive_count; i++) {
        const struct receive_connector *connector = &settings->receive[i];
        if (!connector->enabled)
            continue;
        listens |= covers(connector, arrival);
        *has_port_out |= !arrival->is_unix && has_port(connector, arrival->port);
    }
    return listens;
}

void arrival_format(const struct arrival *arrival, char out[ARRIVAL_TEXT_BYTES])
{
    char local[IP_TEXT_BYTES];

    if (arrival->is_unix) {
        snprintf(out, ARRIVAL_TEXT_BYTES, "unix:%.120s", arrival->path);
        return;
    }
    ip_format(arrival->local, local);
    snprintf(out, ARRIVAL_TEXT_BYTES, ip_is_v4(arrival->local) ? "%s:%u" : "[%s]:%u", local,
        arrival->port);
}

void receive_why(const struct receive_connector *connector,
    const struct receive_connector *chosen, const struct arrival *arrival,
    char out[RECEIVE_WHY_BYTES])
{
    char peer[IP_TEXT_BYTES], local[ARRIVAL_TEXT_BYTES], range[IP_RANGE_TEXT_BYTES] = "",
                                                         nearer[IP_RANGE_TEXT_BYTES] = "";
    const struct ip_range *own = NULL, *other = NULL;

    arrival_format(arrival, local);
    ip_format(arrival->peer, peer);
    if (!arrival->is_unix) {
        own = receive_range_find(connector, arrival->peer);
        other = chosen ? receive_range_find(chosen, arrival->peer) : NULL;
    }
    if (own)
        ip_range_format(*own, range);
    if (other)
        ip_range_format(*other, nearer);
    if (!connector->enabled)
        snprintf(out, RECEIVE_WHY_BYTES, "it is not enabled");
    else if (!arrival->is_unix && !has_port(connector, arrival->port))
        snprintf(out, RECEIVE_WHY_BYTES, "none of its bindings covers port %u", arrival->port);
    else if (!covers(connector, arrival))
        snprintf(out, RECEIVE_WHY_BYTES, "none of its bindings covers %s", local);
    else if (arrival->is_unix)
        snprintf(out, RECEIVE_WHY_BYTES, "its binding is %s", local);
    else if (!own)
        snprintf(out, RECEIVE_WHY_BYTES, "none of its ranges has %s", peer);
    else if (connector == chosen)
        snprintf(out, RECEIVE_WHY_BYTES, "its range %s is the smallest with %s", range, peer);
    else
        snprintf(out, RECEIVE_WHY_BYTES, "its range %s is wider than %s", range, nearer);
}

/* Whether a range of INNER begins inside one of OUTER and ends behind it, or is the same. (What
 * begins together, or lies inside, nests.) */
static bool ranges_dispute(const struct receive_connector *outer,
    const struct receive_connector *inner, struct ip_range *a, struct ip_range *b)
{
    for (size_t i = 0; i < inner->node_count; i++) {
        struct ip_range range = inner->nodes[i].range;
        uint32_t at = node_find(outer, range.first);

        for (; at != RANGE_NODE_NONE; at = outer->nodes[at].outer) {
            struct ip_range around = outer->nodes[at].range;
            bool crosses = ip_compare(around.first, range.first) < 0 &&
                           ip_compare(around.last, range.last) < 0;

            if (!crosses && !ip_range_equal(around, range))
                continue;
            *a = around;
            *b = range;
            return true;
        }
    }
    return false;
}

static const struct binding *shared_binding(
    const struct receive_connector *a, const struct receive_connector *b, bool is_unix)
{
    for (size_t i = 0; i < a->binding_count; i++) {
        for (size_t k = 0; k < b->binding_count; k++) {
            if (a->bindings[i].is_unix == is_unix &&
                binding_overlaps(&a->bindings[i], &b->bindings[k]))
                return &a->bindings[i];
        }
    }
    return NULL;
}

bool receive_disputes(const struct receive_connector *a, const struct receive_connector *b,
    struct receive_dispute *out)
{
    struct receive_dispute found = { .is_unix = true };

    if (!a->enabled || !b->enabled)
        return false;
    found.binding = shared_binding(a, b, true);
    if (!found.binding) {
        found.is_unix = false;
        found.binding = shared_binding(a, b, false);
        if (!found.binding)
            return false;
        if (!ranges_dispute(a, b, &found.a, &found.b) &&
            !ranges_dispute(b, a, &found.b, &found.a))
            return false;
    }
    *out = found;
    return true;
}

void receive_dispute_format(const struct receive_connector *a,
    const struct receive_connector *b, const struct receive_dispute *dispute, char out[512])
{
    char range_a[IP_RANGE_TEXT_BYTES], range_b[IP_RANGE_TEXT_BYTES];

    if (dispute->is_unix) {
        snprintf(out, 512,
            "receive connectors \"%.64s\" and \"%.64s\" both have \"unix:%.108s\"", a->name,
            b->name, dispute->binding->path);
        return;
    }
    ip_range_format(dispute->a, range_a);
    ip_range_format(dispute->b, range_b);
    if (ip_range_equal(dispute->a, dispute->b))
        snprintf(out, 512,
            "receive connectors \"%.64s\" and \"%.64s\" both have the range %s on port %u",
            a->name, b->name, range_a, dispute->binding->port);
    else
        snprintf(out, 512,
            "receive connectors \"%.64s\" and \"%.64s\" have ranges on port %u that overlap "
            "without one containing the other: %s and %s",
            a->name, b->name, dispute->binding->port, range_a, range_b);
}

bool receive_conflict(const struct settings *settings, const struct receive_connector **a,
    const struct receive_connector **b, char why[512])
{
    struct receive_dispute dispute;

    for (size_t i = 0; i < settings->receive_count; i++) {
        for (size_t k = i + 1; k < settings->receive_count; k++) {
            if (!receive_disputes(&settings->receive[i], &settings->receive[k], &dispute))
                continue;
            *a = &settings->receive[i];
            *b = &settings->receive[k];
            receive_dispute_format(*a, *b, &dispute, why);
            return true;
        }
    }
    return false;
}
