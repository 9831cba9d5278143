/* Inside flow/accept: a connection on its way to a connector. */
#ifndef FLOW_ACCEPT_INSIDE_H
#define FLOW_ACCEPT_INSIDE_H

#include "flow/accept/accept.h"
#include "policy/balancer.h"

/* --- accept.c ---------------------------------------------------------------------------- */

/* A connection is there; behind a balancer it is not known yet whose.  Takes FD. */
void accept_begin(struct accept *accept, int fd, const struct arrival *arrival);
/* It is known who the client is: a connector is chosen.  Takes FD and SETUP, the present one. */
void accept_admit(
    struct accept *accept, int fd, const struct arrival *arrival, struct setup *setup);
/* Logged, told, and closed.  CONNECTOR may be NULL.  Takes FD. */
void accept_refuse(struct accept *accept, int fd, const struct arrival *arrival,
    const struct receive_connector *connector, const struct decision *decision);

/* --- bindings.c -------------------------------------------------------------------------- */

void bindings_init(struct accept *accept);
void bindings_stop(struct accept *accept); /* closes them */

/* --- counts.c ---------------------------------------------------------------------------- */

/* How many connections TABLE has of NAME and IP together. */
uint32_t count_get(const struct table *table, const char *name, struct ip ip);
void count_add(struct table *table, const char *name, struct ip ip);
void count_remove(struct table *table, const char *name, struct ip ip); /* there is one */

/* --- header.c ---------------------------------------------------------------------------- */

/* Reads the PROXY header that FD begins with, or may begin with, then admits it.  Takes FD. */
void header_expect(struct accept *accept, int fd, const struct arrival *arrival,
    const struct settings *settings, bool may_lack_it);
/* Closes those that are waited for. */
void header_stop(struct accept *accept);

#endif
