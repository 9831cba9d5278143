/* Which receive connector a connection belongs to (RC-3), and whether the connectors make sense
 * together.  Pure; any thread. */
#ifndef POLICY_RECEIVE_H
#define POLICY_RECEIVE_H

#include "policy/settings.h"

/* What a balancer's PROXY header said (FE-5). */
struct balanced {
    bool has_client; /* the peer is whom it named; else the rest means nothing */
    bool is_probe;   /* the balancer is the client itself: a health check, most likely */
    struct ip balancer, destination;
    uint16_t balancer_port, destination_port;
};

/* Where a connection came in and from. */
struct arrival {
    bool is_unix;
    const char *path; /* UNIX socket it came in by */
    struct ip local;
    struct ip peer;           /* the client, whoever handed the connection over (PE-9) */
    uint16_t port, peer_port; /* local; the client's, for the log */
    struct ip source;         /* what it was counted as when it was admitted: limits_source() */
    struct balanced balanced;
};

/* The connector whose binding covers the local side and whose most specific range has the peer.
 * All connectors must have been indexed.  A UNIX socket has one connector and no ranges.
 * NULL: none: 554 5.7.1 at the banner. */
const struct receive_connector *receive_choose(
    const struct settings *settings, const struct arrival *arrival);

/* Whether some enabled connector's binding covers the local side: else a client's connection is
 * refused.  HAS_PORT: one at least has its port. */
bool receive_listens(
    const struct settings *settings, const struct arrival *arrival, bool *has_port);

/* What a client reads whom none takes. */
#define RECEIVE_NOBODY_REPLY "554 5.7.1 No service for your address here"

/* The local side: "192.0.2.1:25", "[2001:db8::1]:25", "unix:/run/x". */
enum { ARRIVAL_TEXT_BYTES = 200 };
void arrival_format(const struct arrival *arrival, char out[ARRIVAL_TEXT_BYTES]);

/* Why CONNECTOR is the one that was CHOSEN (NULL: none was), or is not. */
enum { RECEIVE_WHY_BYTES = 320 };
void receive_why(const struct receive_connector *connector,
    const struct receive_connector *chosen, const struct arrival *arrival,
    char out[RECEIVE_WHY_BYTES]);

bool binding_covers(const struct binding *binding, const struct arrival *arrival);
/* "*:25", "192.0.2.1:25", "[::1]:25", "unix:/run/x". */
enum { BINDING_TEXT_BYTES = 120 };
void binding_format(const struct binding *binding, char out[BINDING_TEXT_BYTES]);
bool binding_overlaps(const struct binding *a, const struct binding *b);

/* Sorts the connector's ranges into its nodes, with a radix tree over them, after which choosing
 * among 100,000 of them costs a few steps.  Call again after a change of ranges. */
void receive_index(struct receive_connector *connector);

/* The smallest of the connector's ranges that has IP; NULL: none. */
const struct ip_range *receive_range_find(
    const struct receive_connector *connector, struct ip ip);

/* What two connectors dispute. */
struct receive_dispute {
    bool is_unix; /* the same UNIX socket: nothing tells their clients apart */
    const struct binding *binding;
    struct ip_range a, b; /* the same, or overlapping */
};

/* Whether enabled A and B dispute clients; both must have been indexed. */
bool receive_disputes(const struct receive_connector *a, const struct receive_connector *b,
    struct receive_dispute *out);
void receive_dispute_format(const struct receive_connector *a,
    const struct receive_connector *b, const struct receive_dispute *dispute, char out[512]);

/* Two connectors on one binding with the same range, or with ranges that overlap without one
 * containing the other.  Gives the first pair found; WHY names both connectors and the ranges.
 */
bool receive_conflict(const struct settings *settings, const struct receive_connector **a,
    const struct receive_connector **b, char why[512]);

#endif
