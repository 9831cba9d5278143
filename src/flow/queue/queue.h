/* What goes when: a queue for each next hop, retry, expiry.  Home loop. */
#ifndef FLOW_QUEUE_QUEUE_H
#define FLOW_QUEUE_QUEUE_H

#include "flow/hop.h"
#include "flow/message.h"
#include "flow/setup.h"

/* Whether a message may be given up now. */
enum queue_expiry {
    QUEUE_MAY_EXPIRE,
    QUEUE_EXPIRES_LATER, /* none may: as many notifications are being made as may be */
    QUEUE_KEEPS_THIS,    /* this one may not: it may be another node's */
};

/* Somebody on the way through all messages, over many turns of the loop. */
struct queue_walk {
    struct list in_walks;
    struct list *at; /* the last one met, or queue->in_order */
};

struct queue {
    struct loop *loop;
    struct mid_table messages;
    struct list in_order; /* the same */
    struct table hops;    /* by name */
    struct list all_hops;
    uint32_t hop_count_ever;
    int64_t expiry_ms;
    int64_t delay_notice_ms; /* 0: none */
    struct timer sweep;
    struct queue_walk sweeper;
    struct timer rest; /* the next stretch of those that are to rest: their hop went down */
    struct queue_walk rester;
    bool rests_again; /* another hop did, since */
    struct list walks;
    size_t aside_count; /* items, of all hops */
    struct timer ask;   /* while there are some: may they start now? */

    /* Something is ready at HOP, which is not down and not suspended.  Nothing may be delivered
     * inside this call. */
    void (*want)(struct queue *queue, struct hop *hop);
    /* HOP is down and its retry plan says to ask again: a connection, and no message. */
    void (*probe)(struct queue *queue, struct hop *hop);
    /* The message waits for so long that its sender is to be told; asked once a message. */
    void (*delay)(struct queue *queue, struct message *message);
    /* Takes the item out of its queue: its message is too old. */
    void (*expire)(struct queue *queue, struct item *item);
    /* Whether it may expire now, or its sender be told that it is late: each makes a
     * notification. */
    enum queue_expiry (*may_expire)(struct queue *queue, const struct message *message);
    /* Whether a delivery of it may be started; if not it is put aside, and asked for again after
     * a while.  NULL: always. */
    bool (*may_start)(struct queue *queue, const struct message *message);
    /* Whether the message is still to be routed by new settings: it and those behind it are not
     * started, and the hop is wanted again after it.  NULL: none is. */
    bool (*is_stale)(struct queue *queue, const struct message *message);
    /* Whether HOP, which has nothing to do, may go. */
    bool (*may_drop)(struct queue *queue, const struct hop *hop);
    /* Whether the hop of that name, which is made just now, is suspended.  NULL: none is. */
    bool (*is_suspended)(struct queue *queue, const char *name);
    /* The hop will be gone: deliver forgets what it knows of it. */
    void (*forget)(struct queue *queue, struct hop *hop);
    void *me;
};

void queue_init(struct queue *queue, struct loop *loop, int64_t expiry_ms);
/* Frees the hops, once all messages were forgotten. */
void queue_done(struct queue *queue);
void queue_set_expiry(struct queue *queue, int64_t expiry_ms, int64_t delay_notice_ms);

/* Finds or makes.  SETUP is held by the hop; CONNECTOR lies in it, or is NULL: unreachable. */
struct hop *queue_hop(struct queue *queue, const char *name, const char *domain,
    struct setup *setup, const struct send_connector *connector);
struct hop *queue_find_hop(struct queue *queue, struct bytes name_or_number);

/* A hop goes on under new settings: CONNECTOR lies in SETUP. */
void queue_change_hop(
    struct hop *hop, struct setup *setup, const struct send_connector *connector);
/* Frees hops without items and without connector. */
void queue_drop_empty_hops(struct queue *queue);

/* Takes the message; its items were made by route and get ready at their hops. */
void queue_add(struct queue *queue, struct message *message);
struct message *queue_find(struct queue *queue, struct mid mid); /* NULL: none */

/* The message is known, its items were made anew by route. */
void queue_items(struct queue *queue, struct message *message);
/* Takes all items that are not being delivered out of their hops, to be made anew; false when
 * one is being delivered: nothing was done. */
bool queue_unlink_items(struct queue *queue, struct message *message);

/* An item, queued, goes to another hop. */
void queue_move_item(struct queue *queue, struct item *item, struct hop *hop);

/* What is queued of it leaves its hops, for good: nothing of it is started any more.  What is
 * being delivered goes on, and ends by queue_take_out() or queue_item_done(). */
void queue_withdraw(struct queue *queue, struct message *message);

/* What was put aside of it may be started. */
void queue_release(struct queue *queue, struct message *message);

/* By command: nothing more of it is started, and it does not expire; or it goes on.  (What is
 * being delivered ends as it ends.)  To make it last is the caller's: spool_suspend(). */
void queue_suspend(struct queue *queue, struct message *message);
void queue_resume(struct queue *queue, struct message *message);
/* The same of all that goes to HOP, now and later; these do expire. */
void queue_suspend_hop(struct queue *queue, struct hop *hop, bool suspended);

/* Goes through all messages, the longest here first.  Between the calls messages come and go;
 * those that come are met. */
void queue_walk_begin(struct queue *queue, struct queue_walk *walk);
struct message *queue_walk_next(
    struct queue *queue, struct queue_walk *walk); /* NULL: the end */
void queue_walk_end(struct queue_walk *walk);

/* The message is over: takes it out and frees it. */
void queue_forget(struct queue *queue, struct message *message);

/* The next item to be delivered, of the highest priority mostly (policy/priority.h), the longest
 * ready first; state DELIVERING; NULL: none now.  Of one with more recipients
 * than RECIPIENTS_MAX (0: any number) the rest becomes an item of its own, next in turn. */
struct item *queue_take(struct queue *queue, struct hop *hop, uint32_t recipients_max);
/* This very one, which is queued (expired, or removed by command): it ends like a delivery. */
void queue_take_item(struct queue *queue, struct item *item);

/* Ends of a delivery: the item belongs to its hop again ... */
void queue_put_back(struct queue *queue, struct item *item); /* not tried at all */
/* Its host says "slow down": again as soon as that takes more, but some others go first, of
 * other senders and recipients where such stand near.  It is an attempt; ERROR is copied. */
void queue_put_behind(struct queue *queue, struct item *item, const char *error);
void queue_defer(struct queue *queue, struct item *item, const char *error); /* 4xx: later */
void queue_take_out(struct queue *queue, struct item *item); /* ... or to no hop: withdrawn */
/* ... or nothing of it is pending. */
void queue_item_done(struct queue *queue, struct item *item);

/* No host of the hop answers; the retry plan counts.  ERROR is copied. */
void queue_hop_down(struct queue *queue, struct hop *hop, const char *error);
void queue_hop_up(struct queue *queue, struct hop *hop);

/* By command: what waits is tried now. */
void queue_retry_hop(struct queue *queue, struct hop *hop);
void queue_retry_message(struct queue *queue, struct message *message);

#endif
