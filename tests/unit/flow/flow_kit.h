/* The stages from secure to discard over a real spool and a real loop.  What deliver would do is
 * the test's: it takes an item and says what became of its recipients. */
#ifndef TESTS_FLOW_KIT_H
#define TESTS_FLOW_KIT_H

#include "kit.h"

#include "flow/discard/discard.h"
#include "flow/queue/queue.h"
#include "flow/route/route.h"
#include "flow/secure.h"

struct world {
    struct loop *loop;
    char folder[64];
    struct spool *spool;
    struct setup *setup;
    struct setup_slot slot;
    struct secure secure;
    struct router router;
    struct queue queue;
    struct discard discard;
    struct message *latest; /* the last that came to the queue */
    unsigned message_count, want_count, probe_count, expire_count, delay_count, idle_count,
        forgotten_count;
    struct mid awaited; /* the latest that was sent */
    unsigned awaited_count;
    const struct message *fenced; /* may not be started */
    unsigned ask_count;
    bool holds_expiry;
    const char *slowed_by; /* what a host that asks for less said; NULL: there is none */
    unsigned pending_when_idle;
};

/* Default settings without connectors. */
struct settings *world_settings(void);
/* One more send connector to a smart host, with short waits; of SETTINGS until the next one. */
struct send_connector *world_connector(
    struct settings *settings, const char *name, const char *space, uint32_t cost);

void world_init(struct world *world, struct settings *settings);
/* With one connector, "out", for all; IS_MX: a next hop for each domain. */
void world_open(struct world *world, bool is_mx);
void world_done(struct world *world); /* all that is queued is left in the spool */

/* Runs the loop until HAS_COME says so; fails after a minute. */
void world_until(struct world *world, bool (*has_come)(void *me), void *me);

struct world_mail {
    const char *sender;
    const char *recipients[4]; /* up to the first NULL */
    uint8_t notify;            /* of all */
    const char *message_id;    /* NULL: none */
    int64_t age_ms;
};
/* It as a message that is not stored yet. */
struct message *world_message(
    struct world *world, const struct world_mail *mail, struct mid mid);
/* Secures it, routes it and waits until it was queued.  NULL: it has gone already. */
struct message *world_send(struct world *world, const struct world_mail *mail);

struct hop *world_hop(struct world *world, const char *name);

/* Takes the first item ready at HOP and gives one fate for each of its recipients, by a letter:
 * d(elivered), f(ailed 550 5.1.1), l(ater 451 4.7.1), s(low down 432 4.3.2). */
void world_deliver(struct world *world, struct hop *hop, const char *fates);

#endif
