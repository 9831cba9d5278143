/* Limits of a receive connector (PE-8): which are passed, and what is said then.  Pure; any
 * thread.
 *
 * Each limits_of_...() gives those that the facts pass, as a set of enum limit;
 * limits_decide() gives the answer: the first of them that is not in report mode. */
#ifndef POLICY_LIMITS_H
#define POLICY_LIMITS_H

#include "policy/client.h"
#include "policy/decision.h"

/* Whom the limits of one source count PEER as: an IPv4 address, or the network that an IPv6 one is
 * in, all of which is one client's. */
struct ip limits_source(const struct settings *settings, struct ip peer);

/* Whether the node has no place for one more than CONNECTIONS, whoever it is. */
bool limits_is_full(const struct settings *settings, uint32_t connections);

/* Connections that are there already, without the new one. */
struct limits_connections {
    uint32_t of_connector;
    uint32_t of_source; /* of limits_source(), at this connector */
    bool is_unix;       /* it has no address */
};
unsigned limits_of_connection(
    const struct receive_connector *connector, const struct limits_connections *facts);

/* How many of the connector's connections one source may have by its share; 0: there is no share. */
uint32_t limits_share_max(const struct receive_connector *connector);

/* A header as far as it was read. */
struct limits_header {
    uint32_t received, received_own; /* Received fields; those of this node */
    uint64_t bytes;
};
unsigned limits_of_header(
    const struct receive_connector *connector, const struct limits_header *facts);

/* 250, or the refusal by the first of PASSED that is not in report mode. */
void limits_decide(
    const struct receive_connector *connector, unsigned passed, struct decision *out);

/* What LIMIT says when it refuses. */
void limit_refuse(
    const struct receive_connector *connector, enum limit limit, struct decision *out);

/* The next of SET from *AT on (from 1), taken out of it; false: none is left. */
bool limit_next(unsigned *set, enum limit *out);

/* The largest message of this client in bytes; 0: there is no limit that refuses. */
uint64_t limits_size_max(const struct settings *settings,
    const struct receive_connector *connector, const struct client *client);

/* 0: no limit that refuses (there still is what an envelope can hold). */
uint32_t limits_recipients_max(const struct receive_connector *connector);

/* Of one session; 0: no limit that refuses. */
uint32_t limits_messages_max(const struct receive_connector *connector);

/* How many messages a minute the client may send; 0: there is no limit. */
uint32_t limits_rate_max(const struct settings *settings,
    const struct receive_connector *connector, const struct client *client);

/* What was accepted in this minute and the one before.  Zeroed before the first use. */
struct rate_window {
    int64_t minute; /* number of the minute, of any clock */
    uint32_t now, before;
};

/* Takes one more at NOW_MS, or does not: then it would be over PER_MINUTE within the last 60 s,
 * where what came in the minute before counts as if it had come evenly. */
bool rate_take(struct rate_window *window, uint32_t per_minute, int64_t now_ms);
/* How many count at NOW_MS. */
uint32_t rate_count(const struct rate_window *window, int64_t now_ms);

#endif
