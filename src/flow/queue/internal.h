/* Inside flow/queue: items in the lists of their hops. */
#ifndef FLOW_QUEUE_INTERNAL_H
#define FLOW_QUEUE_INTERNAL_H

#include "flow/queue/queue.h"

/* --- items.c ----------------------------------------------------------------------------- */

/* An item in no list gets ready, in front of all of its priority or behind them; or it is
 * suspended. */
void queue_put_ready(struct item *item, bool first);
/* Out of the list it stands in. */
void queue_unlink_item(struct item *item);
void queue_init_ask(struct queue *queue);

/* --- behind.c ---------------------------------------------------------------------------- */

/* ITEM, if it is ready and stands first of its priority, goes behind some others. */
void queue_let_others_pass(struct item *item);

/* --- hops.c ------------------------------------------------------------------------------ */

/* Has it served, if something is ready and it may go. */
void queue_want(struct queue *queue, struct hop *hop);
/* The timer for the first item that waits. */
void queue_start_wake(struct hop *hop);
void queue_drop_idle_hops(struct queue *queue);
void queue_free_hops(struct queue *queue); /* at the end: suspended ones too */

/* --- sweep.c ----------------------------------------------------------------------------- */

void queue_init_sweep(struct queue *queue);
/* What is ready at HOP, which went down, rests: at once, or soon when it is much. */
void queue_rest_hop(struct queue *queue, struct hop *hop);
void queue_stop_sweep(struct queue *queue);
/* MESSAGE goes: who was there last goes on behind it. */
void queue_walks_pass(struct queue *queue, const struct message *message);

#endif
