/* The promise: waits until a message is safe, then says so.  Nobody else does.
 *
 * Safe means durable in the spool of this machine.  (The copy on another node joins here: both
 * run in parallel, and STORED waits for the later one.)
 *
 * secure_store() is called on the loop that received the message and answers there; the message
 * itself goes on to route on the home loop. */
#ifndef FLOW_SECURE_H
#define FLOW_SECURE_H

#include "flow/message.h"

struct secure {
    struct spool *spool;
    struct loop *home;
    /* Home loop.  Takes the message: committed, its entry not yet adopted. */
    void (*on_message)(void *me, struct message *message);
    void *me;
};

/* Embedded by who waits; its memory must stay until ON_DONE. */
struct securing {
    struct secure *secure;
    struct spool_ticket ticket;
    struct message *message;
    /* On the loop secure_store() was called on.  VERDICT: 250 (safe: say so); 452, 451 or 552
     * (it does not exist). */
    void (*on_done)(struct securing *securing, const struct verdict *verdict);
};

/* Takes the writer and the message (whose envelope is complete).  CAUSE: see spool_commit(). */
void secure_store(struct secure *secure, struct loop *loop, struct spool_writer **writer,
    struct message **message, const struct spool_cause *cause, struct securing *securing);

#endif
