/* A client's session: drives the SMTP server engine over a connection.  Belongs to one network
 * loop.
 *
 * What the engine asks is answered from the settings snapshot (policy/), content streams into a
 * spool writer, and the end of data goes to flow/secure, which alone says STORED. */
#ifndef FLOW_SESSION_SESSION_H
#define FLOW_SESSION_SESSION_H

#include "flow/devices.h"
#include "flow/rates.h"
#include "flow/secure.h"
#include "flow/setup.h"
#include "policy/receive.h"

/* One a network loop. */
struct logins;
struct workers;

struct session_house {
    struct loop *loop;
    struct secure *secure;
    struct setup_slot *setup;
    struct workers *workers; /* for passwords */
    struct logins *logins;   /* who logged in; NULL: it is not noted */
    struct rates *rates;
    struct devices *devices;
    struct list sessions;
    size_t count;
    bool is_stopping;
    /* This loop.  A session is over; CONNECTOR and PEER are what it was counted under. */
    void (*on_gone)(struct session_house *house, const char *connector, struct ip peer);
    /* This loop, once: the last session of a stopping house is gone. */
    void (*on_empty)(struct session_house *house);
    void *me;
};

enum { SESSION_CONNECTOR_BYTES = 72 }; /* a name has 64 at most */

/* What accept found out. */
struct session_start {
    int fd;
    struct session_id id;
    struct arrival arrival;
    struct setup *setup;                       /* held; taken */
    const struct receive_connector *connector; /* in that setup */
};

/* Takes the socket and the setup. */
void session_open(struct session_house *house, const struct session_start *start);

/* Tells every session 421; those that commit end first.  Then on_empty. */
void session_house_stop(struct session_house *house);

#endif
