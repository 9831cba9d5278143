#include "policy/route.h"

#include "policy/addresses.h"
#include "policy/domain.h"
#include "policy/domain_index.h"
#include "policy/pattern.h"
#include "policy/rights.h"
#include "policy/route_index.h"

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

/* Where a connector stands among those that take a message: SC-2 as a value. */
struct rank {
    uint32_t fit; /* 0: it takes it not at all */
    uint32_t cost;
    bool is_scoped; /* it is for some senders or some receive connectors alone */
    bool is_local;  /* it is for this node, by name */
    const char *pattern, *name;
};

static struct rank rank_of(const struct settings *settings,
    const struct send_connector *connector, struct bytes domain)
{
    struct rank best = { .name = connector->name,
        .is_scoped = route_is_scoped(connector),
        .is_local = route_is_local(settings, connector) };

    for (size_t i = 0; i < connector->space_count; i++) {
        const struct address_space *space = &connector->spaces[i];
        uint32_t fit = fit_normal(settings, space->pattern, domain);

        if (fit > best.fit || (fit && fit == best.fit && space->cost < best.cost)) {
            best.fit = fit;
            best.cost = space->cost;
            best.pattern = space->pattern;
        }
    }
    return best;
}

/* Specificity beats scope, scope beats cost, cost beats the node.  Names are unique, so no two
 * connectors rank the same. */
static bool is_before(const struct rank *a, const struct rank *b)
{
    if (a->fit != b->fit)
        return a->fit > b->fit;
    if (a->is_scoped != b->is_scoped)
        return a->is_scoped;
    if (a->cost != b->cost)
        return a->cost < b->cost;
    if (a->is_local != b->is_local)
        return a->is_local;
    return strcmp(a->name, b->name) < 0;
}

static bool size_fits(const struct send_connector *connector, uint64_t size_bytes)
{
    return connector->size_bytes_max == 0 || size_bytes <= connector->size_bytes_max;
}

static bool is_from_its_connectors(
    const struct send_connector *connector, const struct route_facts *facts)
{
    for (size_t i = 0; i < connector->came_by.count; i++) {
        if (bytes_equal_nocase(bytes_text(connector->came_by.list[i]), facts->receive_name))
            return true;
    }
    return connector->came_by.count == 0;
}

static bool is_from_its_senders(
    const struct send_connector *connector, const struct route_facts *facts)
{
    struct pattern_subject subject;
    struct address sender = { .text = BYTES_NONE };

    if (connector->senders.count == 0)
        return true;
    if (facts->sender.n && address_parse(facts->sender, ADDRESS_UTF8, &sender) != ADDRESS_OK)
        return false;
    pattern_subject_init(&subject, &sender);
    return patterns_find(&connector->senders, &subject) != NULL;
}

static bool is_of_this_node(
    const struct settings *settings, const struct send_connector *connector)
{
    return connector->source_nodes.count == 0 || route_is_local(settings, connector);
}

static bool takes(const struct settings *settings, const struct send_connector *connector,
    const struct route_facts *facts)
{
    return connector->enabled && size_fits(connector, facts->size_bytes) &&
           is_of_this_node(settings, connector) && is_from_its_connectors(connector, facts) &&
           is_from_its_senders(connector, facts);
}

/* What is chosen for a recipient. */
struct choice {
    const struct settings *settings;
    const struct route_facts *facts;
    struct bytes domain; /* in normal form */
    struct rank after;   /* only what comes behind it */
    bool has_after;
};

/* The first in the order of the index that takes it.  One that has a nearer address space too was
 * asked there already: unless it came before AFTER, it does not take this message. */
static const struct send_connector *choose_in(const struct choice *choice, struct bytes pattern)
{
    struct route_entries entries = route_index_find(choice->settings->route_index, pattern);
    uint32_t fit;

    if (entries.count == 0)
        return NULL;
    fit = fit_normal(choice->settings, entries.list[0].pattern, choice->domain);
    for (size_t i = 0; fit && i < entries.count; i++) {
        const struct route_entry *entry = &entries.list[i];
        struct rank rank = { .fit = fit,
            .cost = entry->cost,
            .is_scoped = route_is_scoped(entry->connector),
            .is_local = entry->is_local,
            .name = entry->connector->name };

        if (choice->has_after && !is_before(&choice->after, &rank))
            continue;
        if (!takes(choice->settings, entry->connector, choice->facts))
            continue;
        if (!choice->has_after ||
            rank_of(choice->settings, entry->connector, choice->domain).fit == fit)
            return entry->connector;
    }
    return NULL;
}

/* From the nearest pattern on; "--" stands before "*". */
static const struct send_connector *choose_by_index(const struct choice *choice)
{
    const struct send_connector *found = NULL;
    struct domain_forms forms;
    struct bytes pattern;

    domain_forms_init(&forms, choice->domain);
    while (!found && domain_forms_next(&forms, &pattern)) {
        if (bytes_equal(pattern, BYTES("*")))
            found = choose_in(choice, BYTES("--"));
        if (!found)
            found = choose_in(choice, pattern);
    }
    return found;
}

static const struct send_connector *choose_among_all(const struct choice *choice)
{
    const struct settings *settings = choice->settings;
    const struct send_connector *best = NULL;
    struct rank best_rank = { 0 };

    for (size_t i = 0; i < settings->send_count; i++) {
        const struct send_connector *connector = &settings->send[i];
        struct rank rank = rank_of(settings, connector, choice->domain);

        if (rank.fit == 0 || (best && !is_before(&rank, &best_rank)))
            continue;
        if ((choice->has_after && !is_before(&choice->after, &rank)) ||
            !takes(settings, connector, choice->facts))
            continue;
        best = connector;
        best_rank = rank;
    }
    return best;
}

const struct send_connector *route_choose(const struct settings *settings,
    const struct route_facts *facts, const struct send_connector *after)
{
    char room[IDNA_BYTES_MAX];
    struct choice choice = { .settings = settings,
        .facts = facts,
        .domain = domain_normal(facts->domain, room),
        .has_after = after != NULL };

    if (after)
        choice.after = rank_of(settings, after, choice.domain);
    return settings->route_index ? choose_by_index(&choice) : choose_among_all(&choice);
}

const struct send_connector *route_choose_up(const struct settings *settings,
    const struct route_facts *facts,
    bool (*is_resting)(void *me, const struct send_connector *connector), void *me)
{
    const struct send_connector *first = route_choose(settings, facts, NULL), *next = first;

    while (next && is_resting(me, next)) {
        if (!next->failover)
            return first;
        next = route_choose(settings, facts, next);
    }
    return next ? next : first;
}

static void say_lost(const struct settings *settings, const struct rank *rank,
    const struct send_connector *chosen, struct bytes domain, char out[ROUTE_WHY_BYTES])
{
    struct rank best = rank_of(settings, chosen, domain);

    if (rank->fit != best.fit)
        snprintf(out, ROUTE_WHY_BYTES, "its address space %.100s is less specific than %.100s",
            rank->pattern, best.pattern);
    else if (rank->is_scoped != best.is_scoped)
        snprintf(out, ROUTE_WHY_BYTES, "%.64s is for this sender or receive connector",
            chosen->name);
    else if (rank->cost != best.cost)
        snprintf(out, ROUTE_WHY_BYTES, "its cost %u is more than %u", rank->cost, best.cost);
    else if (rank->is_local != best.is_local)
        snprintf(out, ROUTE_WHY_BYTES, "%.64s is for this node by name", chosen->name);
    else
        snprintf(out, ROUTE_WHY_BYTES, "by name it comes behind %.64s", chosen->name);
}

void route_why(const struct settings *settings, const struct send_connector *connector,
    const struct send_connector *chosen, const struct route_facts *facts,
    char out[ROUTE_WHY_BYTES])
{
    char room[IDNA_BYTES_MAX];
    struct bytes domain = domain_normal(facts->domain, room);
    struct rank rank = rank_of(settings, connector, domain);

    if (!connector->enabled)
        snprintf(out, ROUTE_WHY_BYTES, "it is not enabled");
    else if (rank.fit == 0)
        snprintf(out, ROUTE_WHY_BYTES, "none of its address spaces has %.150s", room);
    else if (!size_fits(connector, facts->size_bytes))
        snprintf(out, ROUTE_WHY_BYTES, "the message is larger than its size_max of %llu bytes",
            (unsigned long long)connector->size_bytes_max);
    else if (!is_of_this_node(settings, connector))
        snprintf(out, ROUTE_WHY_BYTES, "it is for other nodes than %.64s", settings->node);
    else if (!is_from_its_connectors(connector, facts))
        snprintf(out, ROUTE_WHY_BYTES, "it is for other receive connectors");
    else if (!is_from_its_senders(connector, facts))
        snprintf(out, ROUTE_WHY_BYTES, "it is for other senders");
    else if (connector == chosen || !chosen)
        snprintf(
            out, ROUTE_WHY_BYTES, "address space %.150s, cost %u", rank.pattern, rank.cost);
    else
        say_lost(settings, &rank, chosen, domain, out);
}

void route_domain(
    const struct settings *settings, struct bytes recipient, char out[IDNA_BYTES_MAX])
{
    unsigned flags = ADDRESS_UTF8 | ADDRESS_LOCAL_ONLY | ADDRESS_POSTMASTER;
    struct address parsed;

    if (address_parse(recipient, flags, &parsed) != ADDRESS_OK || parsed.domain.n == 0)
        parsed.domain = bytes_text(default_domain(settings));
    if (idna_to_ascii(parsed.domain, out) != OK) /* a literal, or a name only we understand */
        snprintf(out, IDNA_BYTES_MAX, "%.*s", BYTES_ARGS(parsed.domain));
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
