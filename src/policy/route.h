/* Which send connector takes a recipient (SC-2).  Pure; any thread. */
#ifndef POLICY_ROUTE_H
#define POLICY_ROUTE_H

#include "policy/settings.h"

/* How well a pattern fits a domain: 0 not at all; exact > "*.long.example" > "*.example" > "--"
 * > "*".
 * "--" stands for all accepted domains. */
uint32_t address_space_fit(
    const struct settings *settings, const char *pattern, struct bytes domain);

/* The best connector: enabled, size fits; most specific space, then lowest cost, then name.
 * AFTER: the one found before, to get the next best (an alternative route); NULL at first.
 * NULL: none (left): the Unreachable queue. */
const struct send_connector *route_choose(const struct settings *settings, struct bytes domain,
    uint64_t size_bytes, const struct send_connector *after);

/* The name of a next hop: what may share a queue and connections.  "CONNECTOR" for smart hosts,
 * LMTP and Maildir; "CONNECTOR/DOMAIN" for MX.  OUT has room for 400 bytes. */
void route_hop_name(const struct send_connector *connector, struct bytes domain, char out[400]);

#endif
