/* Which receive connector a connection belongs to (RC-3), and whether the connectors make sense
 * together.  Pure; any thread. */
#ifndef POLICY_RECEIVE_H
#define POLICY_RECEIVE_H

#include "policy/settings.h"

/* Where a connection came in and from. */
struct arrival {
    bool is_unix;
    const char *path; /* UNIX socket it came in by */
    struct ip local, peer;
    uint16_t port; /* local */
};

/* The connector whose binding covers the local side and whose most specific range has the peer.
 * NULL: none: 554 5.7.1 at the banner. */
const struct receive_connector *receive_choose(
    const struct settings *settings, const struct arrival *arrival);

bool binding_covers(const struct binding *binding, const struct arrival *arrival);
bool binding_overlaps(const struct binding *a, const struct binding *b);

/* Two connectors on one binding with the same range, or with ranges that overlap without one
 * containing the other.  Gives the first pair found; WHY names both connectors and the ranges.
 */
bool receive_conflict(const struct settings *settings, const struct receive_connector **a,
    const struct receive_connector **b, char why[512]);

#endif
