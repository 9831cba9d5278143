/* The items of a queue: what is ready, waits, stands aside, is suspended or taken. */
#include "flow/queue/internal.h"

#include "base/mem.h"
#include "os/clock.h"
#include "policy/retry.h"

#include <assert.h>
#include <stdlib.h>

void queue_unlink_item(struct item *item)
{
    list_remove(&item->in_hop);
    if (item->state == ITEM_READY) {
        item->hop->ready_count--;
    } else if (item->state == ITEM_WAITING) {
        item->hop->waiting_count--;
    } else if (item->state == ITEM_ASIDE) {
        item->hop->aside_count--;
        ((struct queue *)item->hop->queue)->aside_count--;
    } else if (item->state == ITEM_SUSPENDED) {
        item->hop->item_suspended_count--;
    }
    item->state = ITEM_NEW;
}

/* By command: until queue_resume(). */
static void put_by(struct item *item)
{
    item->state = ITEM_SUSPENDED;
    item->hop->item_suspended_count++;
    message_rest(item_message(item));
}

void queue_put_ready(struct item *item, bool first)
{
    struct hop *hop = item->hop;
    struct list *ready = &hop->ready[item_message(item)->priority];

    hop->idle_sweeps = 0;
    if (item_message(item)->is_suspended) {
        put_by(item);
        return;
    }
    item->state = ITEM_READY;
    if (first)
        list_add_first(ready, &item->in_hop);
    else
        list_add_last(ready, &item->in_hop);
    hop->ready_count++;
    if (!hop_may_go(hop))
        message_rest(item_message(item));
}

static void push_ready(struct queue *queue, struct item *item, bool first)
{
    queue_put_ready(item, first);
    queue_want(queue, item->hop);
}

void queue_items(struct queue *queue, struct message *message)
{
    struct item *next;

    for (struct item *item = &message->first; item; item = next) {
        next = item->next;
        if (item->recipient_count && item->state == ITEM_NEW)
            push_ready(queue, item, false);
    }
}

/* --- Aside ------------------------------------------------------------------------------- */

enum { ASK_AGAIN_MS = 200 };

static void put_aside(struct queue *queue, struct item *item)
{
    queue_unlink_item(item);
    item->state = ITEM_ASIDE;
    list_add_last(&item->hop->aside, &item->in_hop);
    item->hop->aside_count++;
    queue->aside_count++;
    message_rest(item_message(item));
    if (!timer_is_running(&queue->ask))
        timer_start(&queue->ask, ASK_AGAIN_MS);
}

/* What follows its route again waits here for that, until nothing of its message is under way. */
static bool may_start(struct queue *queue, const struct item *item)
{
    return !item->is_unpinned &&
           (!queue->may_start || queue->may_start(queue, item_message(item)));
}

/* Those that may go stand in front of what came later, in their old order. */
static void ask_hop(struct queue *queue, struct hop *hop)
{
    for (struct list *node = hop->aside.prev, *before; node != &hop->aside; node = before) {
        struct item *item = container_of(node, struct item, in_hop);
        before = node->prev;
        if (!may_start(queue, item))
            continue;
        queue_unlink_item(item);
        push_ready(queue, item, true);
    }
}

static void on_ask(struct timer *timer)
{
    struct queue *queue = container_of(timer, struct queue, ask);

    list_each (node, &queue->all_hops)
        ask_hop(queue, container_of(node, struct hop, in_hops));
    if (queue->aside_count)
        timer_start(timer, ASK_AGAIN_MS);
}

void queue_init_ask(struct queue *queue)
{
    timer_init(&queue->ask, queue->loop, on_ask);
}

void queue_release(struct queue *queue, struct message *message)
{
    for (struct item *item = &message->first; item; item = item->next) {
        if (item->state != ITEM_ASIDE)
            continue;
        queue_unlink_item(item);
        push_ready(queue, item, false);
    }
}

/* --- Suspended messages ------------------------------------------------------------------ */

void queue_suspend(struct queue *queue, struct message *message)
{
    (void)queue;
    message->is_suspended = true;
    for (struct item *item = &message->first; item; item = item->next) {
        if (!item_is_queued(item) || item->state == ITEM_SUSPENDED)
            continue;
        queue_unlink_item(item);
        put_by(item);
    }
}

void queue_resume(struct queue *queue, struct message *message)
{
    message->is_suspended = false;
    for (struct item *item = &message->first; item; item = item->next) {
        if (item->state != ITEM_SUSPENDED)
            continue;
        queue_unlink_item(item);
        push_ready(queue, item, false);
    }
}

/* --- Taking ------------------------------------------------------------------------------ */

static struct list *first_of(struct hop *hop)
{
    enum priority turn = priority_turn(hop->turn);
    struct list *first = list_first(&hop->ready[turn]);

    for (unsigned i = 0; !first && i < PRIORITY_COUNT; i++)
        first = list_first(&hop->ready[i]);
    return first;
}

/* The first that may be started; the others go aside. */
static struct item *first_ready(struct queue *queue, struct hop *hop)
{
    struct list *node;

    while ((node = first_of(hop))) {
        struct item *item = container_of(node, struct item, in_hop);
        if (queue->is_stale && queue->is_stale(queue, item_message(item)))
            return NULL;
        if (may_start(queue, item))
            return item;
        put_aside(queue, item);
    }
    return NULL;
}

void queue_withdraw(struct queue *queue, struct message *message)
{
    (void)queue;
    message->is_withdrawn = true;
    for (struct item *item = &message->first; item; item = item->next) {
        if (item_is_queued(item))
            queue_unlink_item(item);
    }
}

bool queue_unlink_items(struct queue *queue, struct message *message)
{
    (void)queue;
    if (message->delivering_count)
        return false;
    for (struct item *item = &message->first; item; item = item->next) {
        if (item_is_queued(item))
            queue_unlink_item(item);
    }
    message_clear_items(message);
    return true;
}

void queue_move_item(struct queue *queue, struct item *item, struct hop *hop)
{
    queue_unlink_item(item);
    item_set_error(item, NULL);
    item->hop = hop;
    push_ready(queue, item, false);
}

void queue_take_item(struct queue *queue, struct item *item)
{
    (void)queue;
    queue_unlink_item(item);
    item->state = ITEM_DELIVERING;
    item->hop->delivering_count++;
    item_message(item)->delivering_count++;
}

struct item *queue_take(struct queue *queue, struct hop *hop, uint32_t recipients_max)
{
    struct item *item;

    if (hop->is_suspended || !hop->connector)
        return NULL;
    item = first_ready(queue, hop);
    if (!item)
        return NULL;
    hop->turn++;
    if (recipients_max && item->recipient_count > recipients_max) {
        struct item *rest = item_split(item, recipients_max);
        rest->state = ITEM_READY;
        list_insert_before(item->in_hop.next, &rest->in_hop);
        hop->ready_count++;
    }
    queue_take_item(queue, item);
    return item;
}

static void end_delivering(struct item *item)
{
    assert(item->state == ITEM_DELIVERING);
    item->hop->delivering_count--;
    item_message(item)->delivering_count--;
}

void queue_take_out(struct queue *queue, struct item *item)
{
    (void)queue;
    end_delivering(item);
    item->state = ITEM_NEW;
}

void queue_put_back(struct queue *queue, struct item *item)
{
    end_delivering(item);
    push_ready(queue, item, true);
}

/* What a host says it mostly says of all: kept once. */
static struct shared_text *share_error(struct hop *hop, const char *error)
{
    if (!error)
        return NULL;
    if (!hop->item_error || strcmp(hop->item_error->text, error) != 0) {
        shared_text_free(hop->item_error);
        hop->item_error = shared_text_new(error);
    }
    return hop->item_error;
}

static void note_attempt(struct item *item, const char *error)
{
    item_set_error(item, share_error(item->hop, error));
    if (item->attempt_count < UINT16_MAX)
        item->attempt_count++;
}

void queue_put_behind(struct queue *queue, struct item *item, const char *error)
{
    end_delivering(item);
    note_attempt(item, error);
    push_ready(queue, item, true);
    queue_let_others_pass(item);
}

void queue_defer(struct queue *queue, struct item *item, const char *error)
{
    struct hop *hop = item->hop;
    struct list *last;
    uint32_t random;

    end_delivering(item);
    random_fill(&random, sizeof random);
    note_attempt(item, error);
    item->next_attempt.ms = loop_now(queue->loop).ms + retry_message_ms(hop->connector, random);
    /* The wait is the same for all but for its jitter: going on from the end keeps the list in
     * the order of time at no cost. */
    last = hop->waiting.prev;
    if (item->next_attempt.ms <= hop->due_ms)
        item->next_attempt.ms = hop->due_ms + 1; /* that command was not about this attempt */
    if (last != &hop->waiting) {
        struct moment after = container_of(last, struct item, in_hop)->next_attempt;
        if (item->next_attempt.ms < after.ms)
            item->next_attempt = after;
    }
    message_rest(item_message(item));
    if (item_message(item)->is_suspended) {
        put_by(item);
        return;
    }
    item->state = ITEM_WAITING;
    list_add_last(&hop->waiting, &item->in_hop);
    hop->waiting_count++;
    queue_start_wake(hop);
}

void queue_item_done(struct queue *queue, struct item *item)
{
    (void)queue;
    end_delivering(item);
    item->state = ITEM_DONE;
}
