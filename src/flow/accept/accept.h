/* Takes a connection, or turns it away: listeners, choice of the connector, counts.  Home loop.
 *
 * The counts of connections live here, whatever loop the sessions run on. */
#ifndef FLOW_ACCEPT_ACCEPT_H
#define FLOW_ACCEPT_ACCEPT_H

#include "base/ip.h"
#include "base/list.h"
#include "base/table.h"
#include "flow/setup.h"
#include "os/listener.h"
#include "policy/receive.h"

struct accept {
    struct loop *loop;
    struct setup_slot *setup;
    struct list bindings;    /* struct accept_binding */
    struct table sources;    /* connections of each source at each connector */
    struct table connectors; /* ... of each connector, by name */
    uint32_t connection_count;
    struct list waiting; /* struct header_wait: balancers whose PROXY header is not there yet */
    uint32_t waiting_count;
    struct table balancers; /* how many wait of each, by address */
    size_t
        lingering_max; /* that many on the loop, and those turned away get a reply and no more */
    bool has_told_probe; /* that no connector takes a balancer's own connections */
    struct timer again;  /* for bindings that could not be opened */

    /* A connection that may stay.  Takes FD and SETUP (held); CONNECTOR lies in it. */
    void (*open_session)(struct accept *accept, int fd, const struct arrival *arrival,
        struct setup *setup, const struct receive_connector *connector);
    /* One of an internal connector, for the other nodes alone.  Takes FD. */
    void (*open_link)(struct accept *accept, int fd);
    void *me;
};

/* Where we listen. */
struct accept_binding {
    struct list in_accept;
    struct accept *accept;
    struct endpoint endpoint;
    struct listener *listener; /* its own socket; NULL: it has none */
    char **connectors;         /* those that ask for it */
    size_t connector_count;
    char error[64]; /* why it could not be opened; tried again */
    bool is_wanted;
};

/* Clients can connect there: to a socket of its own, or to one on all addresses. */
bool accept_binding_is_open(const struct accept_binding *binding);
/* Its connectors: "Scanners, Printers".  Of very many the first ones. */
enum { ACCEPT_NAMES_BYTES = 512 };
void accept_binding_names(const struct accept_binding *binding, char out[ACCEPT_NAMES_BYTES]);

void accept_init(struct accept *accept, struct loop *loop, struct setup_slot *setup);
/* Opens what the present settings ask for and is not open, closes what nobody asks for (RC-2,
 * RC-10, RC-11).  Sessions go on. */
void accept_apply(struct accept *accept);
void accept_stop(struct accept *accept); /* closes the listeners; sessions go on */
void accept_done(struct accept *accept); /* after the last session */

/* The connections that are there now: all, and those that would count for one more of ARRIVAL (with
 * its source) at CONNECTOR. */
struct accept_counts {
    uint32_t of_node, of_connector, of_source;
};
void accept_count(const struct accept *accept, const struct receive_connector *connector,
    const struct arrival *arrival, struct accept_counts *out);

/* A session that open_session() began is over; SOURCE is its arrival's. */
void accept_gone(struct accept *accept, const char *connector, struct ip source);

#endif
