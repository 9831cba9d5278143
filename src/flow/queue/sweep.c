/* Walks over all messages, and the sweep: what is too old expires, what is late is told. */
#include "flow/queue/internal.h"

/* --- Walks ------------------------------------------------------------------------------- */

void queue_walk_begin(struct queue *queue, struct queue_walk *walk)
{
    walk->at = &queue->in_order;
    list_init(&walk->in_walks);
    list_add_last(&queue->walks, &walk->in_walks);
}

static void prefetch_two(struct list *next)
{
    struct list *second = next->next;
    const struct message *message = container_of(next, struct message, in_queue);

    __builtin_prefetch(message->envelope);
    message = container_of(second, struct message, in_queue); /* or no message: harmless */
    __builtin_prefetch(second);
    __builtin_prefetch(&message->first.hop);
    __builtin_prefetch(&message->envelope);
}

struct message *queue_walk_next(struct queue *queue, struct queue_walk *walk)
{
    struct list *node = walk->at->next, *next = node->next;

    if (node == &queue->in_order)
        return NULL;
    walk->at = node;
    /* A walk is one cache miss after another: a message's first item and its envelope are looked
     * at, too.  The next one was sent for when this one's turn came nearer. */
    if (next != &queue->in_order)
        prefetch_two(next);
    return container_of(node, struct message, in_queue);
}

void queue_walk_end(struct queue_walk *walk)
{
    list_remove(&walk->in_walks);
}

void queue_walks_pass(struct queue *queue, const struct message *message)
{
    list_each (node, &queue->walks) {
        struct queue_walk *walk = container_of(node, struct queue_walk, in_walks);
        if (walk->at == &message->in_queue)
            walk->at = message->in_queue.prev;
    }
}

/* --- Rest -------------------------------------------------------------------------------- */

enum { REST_STEP = 1000, REST_PAUSE_MS = 1 };

static bool is_to_rest(const struct message *message)
{
    for (const struct item *item = &message->first; item; item = item->next)
        if (item->state == ITEM_READY && item->hop->is_down)
            return true;
    return false;
}

static void on_rest(struct timer *timer)
{
    struct queue *queue = container_of(timer, struct queue, rest);

    for (int i = 0; i < REST_STEP; i++) {
        struct message *message = queue_walk_next(queue, &queue->rester);
        if (message && is_to_rest(message)) {
            message_rest(message);
        } else if (!message) {
            queue->rester.at = &queue->in_order;
            if (queue->rests_again)
                timer_start(timer, REST_PAUSE_MS);
            queue->rests_again = false;
            return;
        }
    }
    timer_start(timer, REST_PAUSE_MS);
}

void queue_rest_hop(struct queue *queue, struct hop *hop)
{
    if (hop->ready_count > REST_STEP && timer_is_running(&queue->rest)) {
        queue->rests_again = true;
    } else if (hop->ready_count > REST_STEP) {
        timer_start(&queue->rest, REST_PAUSE_MS);
    } else {
        for (unsigned i = 0; i < PRIORITY_COUNT; i++)
            list_each (node, &hop->ready[i])
                message_rest(item_message(container_of(node, struct item, in_hop)));
    }
}

/* --- Expiry ------------------------------------------------------------------------------ */

enum { SWEEP_STEP = 2000, SWEEP_MS_MAX = 60000, SWEEP_MS_MIN = 50 };

static int64_t sweep_wait_ms(const struct queue *queue)
{
    int64_t delay = queue->delay_notice_ms, wait;

    wait = (delay && delay < queue->expiry_ms ? delay : queue->expiry_ms) / 8;

    if (wait > SWEEP_MS_MAX)
        return SWEEP_MS_MAX;
    return wait < SWEEP_MS_MIN ? SWEEP_MS_MIN : wait;
}

static void expire_items(struct queue *queue, struct message *message)
{
    struct item *next;
    size_t left = 0;

    for (struct item *item = &message->first; item; item = item->next)
        left += item_is_queued(item);
    /* As long as one is left the message is there; after the last it may be gone. */
    for (struct item *item = &message->first; left; item = next) {
        next = item->next;
        if (!item_is_queued(item))
            continue;
        left--;
        queue_take_item(queue, item);
        queue->expire(queue, item);
    }
}

static bool is_delayed(const struct queue *queue, const struct message *message, int64_t now)
{
    return queue->delay_notice_ms && !message->is_delay_told && !message->delivering_count &&
           now - message->arrived.ms >= queue->delay_notice_ms;
}

static void tell_delay(struct queue *queue, struct message *message)
{
    if (queue->may_expire(queue, message) != QUEUE_MAY_EXPIRE)
        return; /* at the next sweep */
    message->is_delay_told = true;
    queue->delay(queue, message);
}

/* True: MESSAGE was looked at, and may be gone.  False: nothing can expire just now, this is
 * the place to go on from.  One that may not be given up holds nobody behind it: a fenced one
 * may be so for as long as another node is away. */
static bool sweep_one(struct queue *queue, struct message *message, int64_t now)
{
    enum queue_expiry may;

    if (message->is_suspended)
        return true; /* neither grows old nor is late until it is resumed */
    if (message->arrived.ms > now - queue->expiry_ms) {
        if (is_delayed(queue, message, now))
            tell_delay(queue, message);
        return true;
    }
    may = queue->may_expire(queue, message);
    if (may == QUEUE_MAY_EXPIRE)
        expire_items(queue, message);
    return may != QUEUE_EXPIRES_LATER;
}

/* A stretch of the queue at a time, so that a million messages hold nothing up. */
static void on_sweep(struct timer *timer)
{
    struct queue *queue = container_of(timer, struct queue, sweep);
    int64_t now = loop_wall(queue->loop).ms;

    for (int i = 0; i < SWEEP_STEP; i++) {
        struct list *here = queue->sweeper.at;
        struct message *message = queue_walk_next(queue, &queue->sweeper);
        if (!message) {
            queue->sweeper.at = &queue->in_order;
            queue_drop_idle_hops(queue);
            timer_start(timer, sweep_wait_ms(queue));
            return;
        }
        if (!sweep_one(queue, message, now)) {
            queue->sweeper.at = here;
            timer_start(timer, SWEEP_MS_MIN);
            return;
        }
    }
    timer_start(timer, 1);
}

void queue_set_expiry(struct queue *queue, int64_t expiry_ms, int64_t delay_notice_ms)
{
    queue->expiry_ms = expiry_ms;
    queue->delay_notice_ms = delay_notice_ms;
    timer_start(&queue->sweep, sweep_wait_ms(queue));
}

void queue_init_sweep(struct queue *queue)
{
    timer_init(&queue->sweep, queue->loop, on_sweep);
    queue_walk_begin(queue, &queue->sweeper);
    timer_init(&queue->rest, queue->loop, on_rest);
    queue_walk_begin(queue, &queue->rester);
}

void queue_stop_sweep(struct queue *queue)
{
    timer_stop(&queue->sweep);
    queue_walk_end(&queue->sweeper);
    timer_stop(&queue->rest);
    queue_walk_end(&queue->rester);
}
