#include "flow/queue/internal.h"

#include <assert.h>

/* --- Messages ---------------------------------------------------------------------------- */

struct message *queue_find(struct queue *queue, struct mid mid)
{
    struct table_node *n = table_first(&queue->messages, mid_hash(mid));

    for (; n; n = table_next(n)) {
        struct message *message = container_of(n, struct message, by_mid);
        if (mid_equal(message->entry.mid, mid))
            return message;
    }
    return NULL;
}

void queue_add(struct queue *queue, struct message *message)
{
    table_add(&queue->messages, &message->by_mid, mid_hash(message->entry.mid));
    list_add_last(&queue->in_order, &message->in_queue);
    queue_items(queue, message);
}

void queue_forget(struct queue *queue, struct message *message)
{
    assert(message->delivering_count == 0);
    queue_walks_pass(queue, message);
    queue_withdraw(queue, message);
    table_remove(&queue->messages, &message->by_mid);
    list_remove(&message->in_queue);
    message_free(message);
}

/* --- Beginning and end ------------------------------------------------------------------- */

void queue_init(struct queue *queue, struct loop *loop, int64_t expiry_ms)
{
    *queue = (struct queue){ .loop = loop };
    table_init(&queue->messages);
    table_init(&queue->hops);
    list_init(&queue->in_order);
    list_init(&queue->all_hops);
    list_init(&queue->walks);
    queue_init_ask(queue);
    queue_init_sweep(queue);
    queue_set_expiry(queue, expiry_ms, 0);
}

void queue_done(struct queue *queue)
{
    queue_stop_sweep(queue);
    timer_stop(&queue->ask);
    if (queue->messages.count)
        return; /* they are in work */
    queue_free_hops(queue);
    table_done(&queue->messages);
    table_done(&queue->hops);
}
