/* Which send connector takes a recipient (SC-2).  Pure; any thread. */
#ifndef POLICY_ROUTE_H
#define POLICY_ROUTE_H

#include "mail/idna.h"
#include "policy/settings.h"

/* How well a pattern fits a domain: 0 not at all; exact > "*.long.example" > "*.example" > "--"
 * > "*".
 * "--" stands for all accepted domains. */
uint32_t address_space_fit(
    const struct settings *settings, const char *pattern, struct bytes domain);

/* What the choice looks at. */
struct route_facts {
    struct bytes domain; /* of the recipient: route_domain() */
    uint64_t size_bytes;
    struct bytes sender;       /* of the envelope; empty: the null sender */
    struct bytes receive_name; /* the receive connector it came by; empty: made here */
};

/* The domain that decides for RECIPIENT, in A-labels and lower case; the default domain for a name
 * without one. */
void route_domain(
    const struct settings *settings, struct bytes recipient, char out[IDNA_BYTES_MAX]);

/* The best connector: enabled, size fits, in scope (SC-3: its senders, its receive connectors);
 * most specific space, then one that asks for sender or receive connector before one that takes
 * all, then lowest cost, then one that names this node in source_nodes, then name.
 * AFTER: the one found before, to get the next best (an alternative route); NULL at first.
 * NULL: none (left): the Unreachable queue. */
const struct send_connector *route_choose(const struct settings *settings,
    const struct route_facts *facts, const struct send_connector *after);

/* The way mail takes just now (SC-4): the first choice, unless it rests (no host of it answers) and
 * says by `failover` that others may stand in: then the best of them that does not rest.  All do:
 * the first choice.  IS_RESTING is asked of each in turn until one does not. */
const struct send_connector *route_choose_up(const struct settings *settings,
    const struct route_facts *facts,
    bool (*is_resting)(void *me, const struct send_connector *connector), void *me);

/* Why CONNECTOR is the one that was CHOSEN first (NULL: none was), or is not. */
enum { ROUTE_WHY_BYTES = 320 };
void route_why(const struct settings *settings, const struct send_connector *connector,
    const struct send_connector *chosen, const struct route_facts *facts,
    char out[ROUTE_WHY_BYTES]);

/* The name of a next hop: what may share a queue and connections.  "CONNECTOR" for smart hosts,
 * LMTP and Maildir; "CONNECTOR/DOMAIN" for MX.  OUT has room for 400 bytes. */
void route_hop_name(const struct send_connector *connector, struct bytes domain, char out[400]);

#endif
