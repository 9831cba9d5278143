#include "policy/route.h"

#include "policy/domain.h"
#include "policy/rights.h"

#include <stdio.h>

/* "--" stands between "*" and any pattern that names a domain: fits of the others are moved up
 * by one to make room for it. */
enum { FIT_ALL = DOMAIN_FIT_ALL, FIT_ACCEPTED };

static uint32_t fit_normal(
    const struct settings *settings, const char *pattern, struct bytes domain)
{
    uint32_t fit;

    if (strcmp(pattern, "--") == 0)
        return accepted_domain_find(settings, domain) ? FIT_ACCEPTED : 0;
    fit = domain_fit(pattern, domain);
    return fit > FIT_ALL ? fit + 1 : fit;
}

uint32_t address_space_fit(
    const struct settings *settings, const char *pattern, struct bytes domain)
{
    char room[IDNA_BYTES_MAX];

    return fit_normal(settings, pattern, domain_normal(domain, room));
}

/* Where a connector stands among those that take a domain: SC-2 as a value. */
struct rank {
    uint32_t fit; /* 0: it takes it not at all */
    uint32_t cost;
    const char *name;
};

static struct rank rank_of(const struct settings *settings,
    const struct send_connector *connector, struct bytes domain)
{
    struct rank best = { .name = connector->name };

    for (size_t i = 0; i < connector->space_count; i++) {
        const struct address_space *space = &connector->spaces[i];
        uint32_t fit = fit_normal(settings, space->pattern, domain);

        if (fit > best.fit || (fit && fit == best.fit && space->cost < best.cost)) {
            best.fit = fit;
            best.cost = space->cost;
        }
    }
    return best;
}

/* Specificity beats cost.  Names are unique, so no two connectors rank the same. */
static bool is_before(const struct rank *a, const struct rank *b)
{
    if (a->fit != b->fit)
        return a->fit > b->fit;
    if (a->cost != b->cost)
        return a->cost < b->cost;
    return strcmp(a->name, b->name) < 0;
}

static bool size_fits(const struct send_connector *connector, uint64_t size_bytes)
{
    return connector->size_bytes_max == 0 || size_bytes <= connector->size_bytes_max;
}

const struct send_connector *route_choose(const struct settings *settings, struct bytes domain,
    uint64_t size_bytes, const struct send_connector *after)
{
    char room[IDNA_BYTES_MAX];
    const struct send_connector *best = NULL;
    struct rank best_rank = { 0 }, after_rank = { 0 };

    domain = domain_normal(domain, room);
    if (after)
        after_rank = rank_of(settings, after, domain);
    for (size_t i = 0; i < settings->send_count; i++) {
        const struct send_connector *connector = &settings->send[i];
        struct rank rank = rank_of(settings, connector, domain);

        if (!connector->enabled || rank.fit == 0 || !size_fits(connector, size_bytes))
            continue;
        if (after && !is_before(&after_rank, &rank))
            continue;
        if (!best || is_before(&rank, &best_rank)) {
            best = connector;
            best_rank = rank;
        }
    }
    return best;
}

void route_hop_name(const struct send_connector *connector, struct bytes domain, char out[400])
{
    char room[IDNA_BYTES_MAX];

    if (connector->delivery == DELIVERY_MX) {
        domain = domain_normal(domain, room);
        snprintf(out, 400, "%.140s/%.*s", connector->name, BYTES_ARGS(domain));
    } else {
        snprintf(out, 400, "%.140s", connector->name);
    }
}
