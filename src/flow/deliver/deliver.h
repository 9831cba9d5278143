/* Hands messages to next hops: SMTP, LMTP, a local Maildir.  Home loop.
 *
 * Per next hop a destination: the hosts behind it, which of them answer, and a few connections.
 * A message is taken from the queue only when a session is up, so none ever waits for a dead
 * host (SC-4). */
#ifndef FLOW_DELIVER_DELIVER_H
#define FLOW_DELIVER_DELIVER_H

#include "flow/hop.h"
#include "flow/result.h"
#include "mail/cause.h"
#include "os/dns.h"
#include "os/own_addresses.h"

/* What is known of the host that a connection is for. */
enum prospect {
    PROSPECT_ANSWERS, /* a session came up, and nothing has failed since */
    PROSPECT_UNKNOWN,
    PROSPECT_FAILS, /* the last attempt did */
    PROSPECT_COUNT
};

struct deliver {
    struct loop *loop;
    struct spool *spool;
    struct dns *dns;
    uint32_t connections_max; /* of all hops together */
    uint32_t connection_count;
    uint32_t opening[PROSPECT_COUNT];    /* of those, not up yet */
    uint32_t leaving_count;              /* and ending, because other hops wait for one */
    uint32_t served_count;               /* hops that have some */
    struct list in_turn[PROSPECT_COUNT]; /* hops that have none, and wait for one */
    struct list in_turn_again;           /* hops that have some, and would have one more */
    struct list idle;                    /* deliveries that would take a message */
    struct list wanted;                  /* hops with something ready, until the next step */
    struct list serving;                 /* those of this step */
    struct loop_step step;
    struct list destinations;
    struct table paces; /* of hosts, by name and port */
    struct own_addresses own_addresses;
    bool is_stopping;

    /* At most RECIPIENTS_MAX recipients of a message (0: all of them). */
    struct item *(*take)(struct deliver *deliver, struct hop *hop, uint32_t recipients_max);
    void (*put_back)(struct deliver *deliver, struct item *item);
    /* RESULTS: one for each recipient of the item. */
    void (*finished)(struct deliver *deliver, struct item *item, const struct result *results,
        const struct attempt *attempt);
    void (*hop_down)(struct deliver *deliver, struct hop *hop, const char *error);
    void (*hop_up)(struct deliver *deliver, struct hop *hop);
    void *me;
};

void deliver_init(
    struct deliver *deliver, struct loop *loop, struct spool *spool, struct dns *dns);

/* No new deliveries; connections end after what they have under way.  connection_count says
 * when all are gone; deliver_break() ends the rest: items come back, or are in doubt as after
 * any lost connection. */
void deliver_stop(struct deliver *deliver);
void deliver_break(struct deliver *deliver);

void deliver_done(struct deliver *deliver); /* after the loop ended */

/* There is something ready at HOP: it is served soon, never inside this call. */
void deliver_want(struct deliver *deliver, struct hop *hop);

/* Connects to HOP, which is down, though nothing may go there: hop_up or hop_down tells,
 * never inside this call. */
void deliver_probe(struct deliver *deliver, struct hop *hop);

/* The hop's connector has changed, or the hop, which has no items, is going away: connections
 * end once they are idle, hosts are looked up anew. */
void deliver_forget(struct hop *hop);

/* For `relais queues`: a host and how fast it gets its mail. */
struct host_view {
    const char *name, *error;
    char address[IP_TEXT_BYTES]; /* empty: none is known */
    uint16_t port;
    const char *state; /* "up", "down", "slow", "unknown" */
    unsigned connections;
    uint32_t per_minute;                      /* what it takes now, by what it took lately */
    uint32_t connections_max, per_minute_max; /* while it is slow; 0: no limit */
    int64_t hold_ms;                          /* it is left alone; 0: it is not */
};
void deliver_each_host(
    const struct hop *hop, void (*visit)(void *me, const struct host_view *view), void *me);
/* A host of HOP has asked for fewer messages, and gets them: what it said, as mail/cause.h has it. */
bool deliver_is_slowed(const struct hop *hop, char line[CAUSE_BYTES]);
uint32_t deliver_connection_count(const struct hop *hop);
/* Whether one of them is past its greeting, TLS and login. */
bool deliver_has_session(const struct hop *hop);

#endif
