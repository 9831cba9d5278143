/* Gives each pending recipient of a message its next hop.  Home loop.
 *
 * The choice itself is policy/route.h; here it becomes items in queues. */
#ifndef FLOW_ROUTE_ROUTE_H
#define FLOW_ROUTE_ROUTE_H

#include "flow/hop.h"
#include "flow/message.h"
#include "flow/setup.h"

struct router {
    /* The hop of that name, made when there is none.  CONNECTOR NULL: the Unreachable queue. */
    struct hop *(*find_hop)(struct router *router, const char *name, const char *domain,
        const struct send_connector *connector);
    void *me;
    const struct setup *setup; /* the present one; borrowed, changed by the owner */
};

/* Recipients that have their next hop already, ascending. */
struct route_pin {
    uint32_t recipient;
    struct hop *hop;
};
struct route_pins {
    struct route_pin *list;
    uint32_t count;
};

/* PINS: NULL: none.  Makes the message's items: one for each next hop, none of them queued yet.  The message has
 * no items before.  Recipients with an outcome are left out.  Of poison nothing is looked at: it
 * goes to the queue of that name, whole. */
void route_message(
    struct router *router, struct message *message, const struct route_pins *pins);

#endif
