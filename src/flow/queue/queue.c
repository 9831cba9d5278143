#include "flow/queue/internal.h"

#include <assert.h>

/* --- Messages ---------------------------------------------------------------------------- */

struct message *queue_find(struct queue *queue, struct mid mid)
{
    struct mid_node *node = mid_table_find(&queue->messages, mid);

    return node ? container_of(node, struct message, entry.by_mid) : NULL;
}

void queue_add(struct queue *queue, struct message *message)
{
    mid_table_add(&queue->messages, &message->entry.by_mid);
    list_add_last(&queue->in_order, &message->in_queue);
    queue_items(queue, message);
}

void queue_forget(struct queue *queue, struct message *message)
{
    assert(message->delivering_count == 0);
    queue_walks_pass(queue, message);
    queue_withdraw(queue, message);
    mid_table_remove(&queue->messages, &message->entry.by_mid);
    list_remove(&message->in_queue);
    message_free(message);
}

/* --- Beginning and end ------------------------------------------------------------------- */

void queue_init(struct queue *queue, struct loop *loop, int64_t expiry_ms)
{
    *queue = (struct queue){ .loop = loop };
    mid_table_init(&queue->messages);
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
    mid_table_done(&queue->messages);
    table_done(&queue->hops);
}
