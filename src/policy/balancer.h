/* From which connections a PROXY header is taken, and from which it must come (FE-5).  Pure; any
 * thread.
 *
 * An arrival here is as the socket has it: its peer is the balancer, if it is one. */
#ifndef POLICY_BALANCER_H
#define POLICY_BALANCER_H

#include "policy/decision.h"
#include "policy/receive.h"

/* What a connection begins with. */
enum balancer_header {
    BALANCER_HEADER_NONE, /* none is taken: the peer is the client */
    BALANCER_HEADER_MAY,
    BALANCER_HEADER_MUST,
    BALANCER_HEADER_NOBODY, /* it must, and none is taken from this peer: refused */
};

/* OUT says why, and with NOBODY what is replied. */
enum balancer_header balancer_decide(
    const struct settings *settings, const struct arrival *arrival, struct decision *out);

/* Whether a connection may begin with a header, or without one.  WHERE: as balancer_refuse_header()
 * has it.  OUT says why, or what is replied. */
bool balancer_takes(const struct settings *settings, const struct arrival *arrival,
    bool has_header, const char *where, struct decision *out);

/* The block that counts for ARRIVAL, of those that cover it the most specific; NULL: none. */
const struct listener_options *balancer_listener(
    const struct settings *settings, const struct arrival *arrival);

/* Whether CONNECTOR is enabled and listens where LISTENER counts. */
bool balancer_concerns(
    const struct listener_options *listener, const struct receive_connector *connector);

/* A header was due, and what came is none that we know, or nothing in time: WHAT. */
void balancer_refuse_bad(const struct settings *settings, const struct arrival *arrival,
    const char *what, struct decision *out);
/* As many connections as there may be, before it is known whose this one is. */
void balancer_refuse_full(
    const struct settings *settings, const struct arrival *arrival, struct decision *out);
/* How many connections of one balancer may wait for their header at a time. */
uint32_t balancer_waiting_max(const struct settings *settings);
/* It has so many. */
void balancer_refuse_waiting(
    const struct settings *settings, const struct arrival *arrival, struct decision *out);
/* A header came where none is taken.  WHERE: the connector's name, or the listener's. */
void balancer_refuse_header(const char *where, struct decision *out);

/* The name of a mode in the configuration: "listed". */
const char *proxy_mode_name(enum proxy_mode mode);

#endif
