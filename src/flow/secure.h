/* The promise: waits until a message is safe, then says so.  Nobody else does.
 *
 * Safe means durable in the spool of this machine and, where other nodes are configured, in that
 * of one of them: both run in parallel, and 250 waits for the later one.  Where no other node
 * takes it, the connector's shadow_failure says what becomes of it: it is accepted (recorded,
 * counted), refused, or acknowledged only when it is delivered (SH-3, SH-4).
 *
 *     alone            commit on the loop that received it                 -> 250, to the path
 *     alone, delay     commit there, to the path      -> delivered, or time is up -> 250
 *     other nodes      home loop: commit and copy -> verdict                -> 250, to the path
 *
 * secure_store() is called on the loop that received the message and answers there; the message
 * itself goes on to route on the home loop. */
#ifndef FLOW_SECURE_H
#define FLOW_SECURE_H

#include "flow/message.h"
#include "node/node.h"

struct secure {
    struct spool *spool;
    struct loop *home;
    struct node *node; /* NULL: this node is alone for ever (tests) */
    /* Home loop.  Takes the message: committed, its entry adopted. */
    void (*on_message)(void *me, struct message *message);
    void *me;
    /* Home loop: those whose 250 waits for the delivery, by mid. */
    struct table delayed;
    /* Home loop: those whose copy goes out in this turn, and who are committed then. */
    struct list to_commit;
    struct loop_step copies_ordered;
    struct loop_flush copies_out;
    bool is_stopping; /* nobody is kept waiting for a delivery any more */
};

/* What it became of: the verdict is made of it on the loop of who waits. */
enum securing_end {
    SECURING_SAFE,
    SECURING_NOT_STORED,    /* .ticket.err says why */
    SECURING_NOT_REDUNDANT, /* no other node has it, and that is not enough: it does not exist */
};

/* Embedded by who waits; its memory must stay until ON_DONE. */
struct securing {
    /* Set by the caller: */
    enum shadow_failure failure;
    int64_t delay_ms; /* the longest delayed acknowledgement */
    /* On the loop secure_store() was called on.  VERDICT: 250 (safe: say so); 452, 451 or 552
     * (it does not exist). */
    void (*on_done)(struct securing *securing, const struct verdict *verdict);
    /* secure's own: */
    struct secure *secure;
    struct loop *loop; /* who waits, waits there */
    struct loop_post post;
    struct spool_ticket ticket;
    struct spool_writer *writer; /* not committed yet */
    struct message *message;
    struct mid mid;
    enum securing_end end;
    struct standing standing;
    struct node_acceptance acceptance;
    struct list in_secure;
    struct table_node by_mid;
    struct timer delay;
};

void secure_init(struct secure *secure, struct spool *spool, struct loop *home);
void secure_done(struct secure *secure);

/* Takes the writer and the message (whose envelope is complete).  CAUSE: see spool_commit(); on
 * the home loop alone.  FAILURE, DELAY_MS and ON_DONE of SECURING are set, nothing else. */
void secure_store(struct secure *secure, struct loop *loop, struct spool_writer **writer,
    struct message **message, const struct spool_cause *cause, struct securing *securing);

/* Home loop: no recipient of it is pending any more, or another node is to deliver it; whoever
 * waits for that hears it. */
void secure_delivered(struct secure *secure, struct mid mid);

/* The daemon stops: whoever waits for a delivery hears 250 now, for the message is stored. */
void secure_stop(struct secure *secure);

#endif
