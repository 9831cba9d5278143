#include "flow/queue/queue.h"

#include "base/mem.h"
#include "os/clock.h"
#include "policy/retry.h"

#include <assert.h>
#include <stdlib.h>

/* --- Hops -------------------------------------------------------------------------------- */

static void want(struct queue *queue, struct hop *hop)
{
    if (hop->ready_count && hop_may_go(hop))
        queue->want(queue, hop);
}

static void start_retry(struct hop *hop)
{
    uint32_t random;

    random_fill(&random, sizeof random);
    timer_start(&hop->retry, retry_hop_ms(hop->connector, hop->failure_count, random));
}

/* While others stand in for it a hop that is down is asked without a message, and goes on
 * resting: no mail waits for the answer (SC-4).  A recipient's domain is asked when there is
 * mail for it; it may be gone for good. */
static bool is_probed(const struct hop *hop)
{
    return hop->is_down && hop->connector && hop->connector->failover &&
           hop->connector->delivery != DELIVERY_MX;
}

static void try_again(struct queue *queue, struct hop *hop)
{
    timer_stop(&hop->retry);
    if (is_probed(hop)) {
        start_retry(hop); /* until the answer is here, and if there cannot be one now */
        queue->probe(queue, hop);
    } else {
        want(queue, hop);
    }
}

static void on_retry(struct timer *timer)
{
    struct hop *hop = container_of(timer, struct hop, retry);
    try_again(hop->queue, hop);
}

static void start_wake(struct hop *hop)
{
    struct list *first = list_first(&hop->waiting);
    int64_t wait;

    if (!first) {
        timer_stop(&hop->wake);
        return;
    }
    wait = container_of(first, struct item, in_hop)->next_attempt.ms -
           loop_now(((struct queue *)hop->queue)->loop).ms;
    timer_start(&hop->wake, wait > 0 ? wait : 0);
}

static void make_ready(struct hop *hop, struct item *item)
{
    list_remove(&item->in_hop);
    hop->waiting_count--;
    item->state = ITEM_READY;
    list_add_last(&hop->ready, &item->in_hop);
    hop->ready_count++;
}

static void on_wake(struct timer *timer)
{
    struct hop *hop = container_of(timer, struct hop, wake);
    struct queue *queue = hop->queue;
    int64_t now = loop_now(queue->loop).ms;

    list_each (node, &hop->waiting) {
        struct item *item = container_of(node, struct item, in_hop);
        if (item->next_attempt.ms > now)
            break;
        make_ready(hop, item);
    }
    start_wake(hop);
    want(queue, hop);
}

struct hop *queue_hop(struct queue *queue, const char *name, const char *domain,
    struct setup *setup, const struct send_connector *connector)
{
    uint64_t hash = bytes_hash_nocase(bytes_text(name));
    struct hop *hop;

    for (struct table_node *n = table_first(&queue->hops, hash); n; n = table_next(n)) {
        hop = container_of(n, struct hop, by_name);
        if (strcmp(hop->name, name) == 0)
            return hop;
    }
    hop = mem_new(sizeof *hop);
    hop->name = mem_text(name);
    hop->domain = mem_text(domain);
    hop->number = ++queue->hop_count_ever;
    hop->setup = setup_hold(setup);
    hop->connector = connector;
    hop->queue = queue;
    list_init(&hop->ready);
    list_init(&hop->waiting);
    list_init(&hop->aside);
    list_init(&hop->in_turn);
    list_init(&hop->in_wanted);
    list_init(&hop->in_hops);
    timer_init(&hop->retry, queue->loop, on_retry);
    timer_init(&hop->wake, queue->loop, on_wake);
    table_add(&queue->hops, &hop->by_name, hash);
    list_add_last(&queue->all_hops, &hop->in_hops);
    return hop;
}

struct hop *queue_find_hop(struct queue *queue, struct bytes name_or_number)
{
    uint64_t number;
    size_t slash = bytes_find(name_or_number, '\\');

    if (slash != BYTES_NOT_FOUND) /* node\number or node\name: the node is this one */
        name_or_number = bytes_skip(name_or_number, slash + 1);
    if (!bytes_to_number(name_or_number, UINT32_MAX, &number))
        number = 0;
    list_each (node, &queue->all_hops) {
        struct hop *hop = container_of(node, struct hop, in_hops);
        if (bytes_equal_nocase(bytes_text(hop->name), name_or_number) || hop->number == number)
            return hop;
    }
    return NULL;
}

void queue_change_hop(
    struct hop *hop, struct setup *setup, const struct send_connector *connector)
{
    setup_free(hop->setup);
    hop->setup = setup_hold(setup);
    hop->connector = connector;
    hop->is_down = false;
    hop->failure_count = 0;
    timer_stop(&hop->retry);
}

static void hop_free(struct queue *queue, struct hop *hop)
{
    assert(hop_item_count(hop) == 0);
    queue->forget(queue, hop);
    timer_stop(&hop->retry);
    timer_stop(&hop->wake);
    table_remove(&queue->hops, &hop->by_name);
    list_remove(&hop->in_hops);
    list_remove(&hop->in_turn);
    list_remove(&hop->in_wanted);
    setup_free(hop->setup);
    free(hop->name);
    free(hop->domain);
    free(hop->last_error);
    free(hop);
}

void queue_drop_empty_hops(struct queue *queue)
{
    list_each (node, &queue->all_hops) {
        struct hop *hop = container_of(node, struct hop, in_hops);
        if (hop_item_count(hop) == 0)
            hop_free(queue, hop);
    }
}

static void set_error(struct hop *hop, const char *error)
{
    free(hop->last_error);
    hop->last_error = error ? mem_text(error) : NULL;
}

void queue_hop_down(struct queue *queue, struct hop *hop, const char *error)
{
    (void)queue;
    if (!hop->connector)
        return;
    if (!hop->is_down) {
        list_each (node, &hop->ready)
            message_rest(container_of(node, struct item, in_hop)->message);
    }
    hop->is_down = true;
    hop->failure_count++;
    set_error(hop, error);
    start_retry(hop);
}

void queue_hop_up(struct queue *queue, struct hop *hop)
{
    (void)queue;
    hop->is_down = false;
    hop->failure_count = 0;
    timer_stop(&hop->retry);
    set_error(hop, NULL);
}

void queue_retry_hop(struct queue *queue, struct hop *hop)
{
    list_each (node, &hop->waiting)
        make_ready(hop, container_of(node, struct item, in_hop));
    start_wake(hop);
    try_again(queue, hop);
}

void queue_retry_message(struct queue *queue, struct message *message)
{
    for (struct item *item = &message->first; item; item = item->next) {
        struct hop *hop = item->hop;
        if (item->state == ITEM_WAITING)
            make_ready(hop, item);
        if (item->state == ITEM_READY)
            try_again(queue, hop);
    }
}

/* --- Items ------------------------------------------------------------------------------- */

static void unlink_item(struct item *item)
{
    list_remove(&item->in_hop);
    if (item->state == ITEM_READY) {
        item->hop->ready_count--;
    } else if (item->state == ITEM_WAITING) {
        item->hop->waiting_count--;
    } else if (item->state == ITEM_ASIDE) {
        item->hop->aside_count--;
        ((struct queue *)item->hop->queue)->aside_count--;
    }
    item->state = ITEM_NEW;
}

static void push_ready(struct queue *queue, struct item *item, bool first)
{
    struct hop *hop = item->hop;

    item->state = ITEM_READY;
    if (first)
        list_add_first(&hop->ready, &item->in_hop);
    else
        list_add_last(&hop->ready, &item->in_hop);
    hop->ready_count++;
    hop->is_idle = false;
    if (!hop_may_go(hop))
        message_rest(item->message);
    want(queue, hop);
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
    unlink_item(item);
    item->state = ITEM_ASIDE;
    list_add_last(&item->hop->aside, &item->in_hop);
    item->hop->aside_count++;
    queue->aside_count++;
    message_rest(item->message);
    if (!timer_is_running(&queue->ask))
        timer_start(&queue->ask, ASK_AGAIN_MS);
}

/* Those that may go stand in front of what came later, in their old order. */
static void ask_hop(struct queue *queue, struct hop *hop)
{
    for (struct list *node = hop->aside.prev, *before; node != &hop->aside; node = before) {
        struct item *item = container_of(node, struct item, in_hop);
        before = node->prev;
        if (!queue->may_start(queue, item->message))
            continue;
        unlink_item(item);
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

void queue_resume(struct queue *queue, struct message *message)
{
    for (struct item *item = &message->first; item; item = item->next) {
        if (item->state != ITEM_ASIDE)
            continue;
        unlink_item(item);
        push_ready(queue, item, false);
    }
}

/* The first that may be started; the others go aside. */
static struct item *first_ready(struct queue *queue, struct hop *hop)
{
    struct list *node;

    while ((node = list_first(&hop->ready))) {
        struct item *item = container_of(node, struct item, in_hop);
        if (!queue->may_start || queue->may_start(queue, item->message))
            return item;
        put_aside(queue, item);
    }
    return NULL;
}

/* --- Taking ------------------------------------------------------------------------------ */

void queue_withdraw(struct queue *queue, struct message *message)
{
    (void)queue;
    message->is_withdrawn = true;
    for (struct item *item = &message->first; item; item = item->next) {
        if (item_is_queued(item))
            unlink_item(item);
    }
}

bool queue_unlink_items(struct queue *queue, struct message *message)
{
    (void)queue;
    if (message->delivering_count)
        return false;
    for (struct item *item = &message->first; item; item = item->next) {
        if (item_is_queued(item))
            unlink_item(item);
    }
    message_clear_items(message);
    return true;
}

void queue_take_item(struct queue *queue, struct item *item)
{
    (void)queue;
    unlink_item(item);
    item->state = ITEM_DELIVERING;
    item->hop->delivering_count++;
    item->message->delivering_count++;
}

struct item *queue_take(struct queue *queue, struct hop *hop, uint32_t recipients_max)
{
    struct item *item;

    if (hop->is_suspended || !hop->connector)
        return NULL;
    item = first_ready(queue, hop);
    if (!item)
        return NULL;
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
    item->message->delivering_count--;
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

void queue_defer(struct queue *queue, struct item *item, const char *error)
{
    struct hop *hop = item->hop;
    struct list *last;
    uint32_t random;

    end_delivering(item);
    random_fill(&random, sizeof random);
    free(item->last_error);
    item->last_error = error ? mem_text(error) : NULL;
    if (item->attempt_count < UINT16_MAX)
        item->attempt_count++;
    item->next_attempt.ms = loop_now(queue->loop).ms + retry_message_ms(hop->connector, random);
    /* The wait is the same for all but for its jitter: going on from the end keeps the list in
     * the order of time at no cost. */
    last = hop->waiting.prev;
    if (last != &hop->waiting) {
        struct moment after = container_of(last, struct item, in_hop)->next_attempt;
        if (item->next_attempt.ms < after.ms)
            item->next_attempt = after;
    }
    item->state = ITEM_WAITING;
    list_add_last(&hop->waiting, &item->in_hop);
    hop->waiting_count++;
    message_rest(item->message);
    start_wake(hop);
}

void queue_item_done(struct queue *queue, struct item *item)
{
    (void)queue;
    end_delivering(item);
    item->state = ITEM_DONE;
}

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
    queue_withdraw(queue, message);
    table_remove(&queue->messages, &message->by_mid);
    list_remove(&message->in_queue);
    message_free(message);
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

/* Next hops that had nothing to do for a whole sweep: mail to ever new domains must not make
 * them ever more. */
static void drop_idle_hops(struct queue *queue)
{
    list_each (node, &queue->all_hops) {
        struct hop *hop = container_of(node, struct hop, in_hops);
        if (hop_item_count(hop) || hop_is_resting(hop) || !queue->may_drop(queue, hop))
            hop->is_idle = false;
        else if (hop->is_idle)
            hop_free(queue, hop);
        else
            hop->is_idle = true;
    }
}

static bool is_delayed(const struct queue *queue, const struct message *message, int64_t now)
{
    return queue->delay_notice_ms && !message->is_delay_told && !message->delivering_count &&
           now - message->arrived.ms >= queue->delay_notice_ms;
}

static void tell_delay(struct queue *queue, struct message *message)
{
    if (!queue->may_expire(queue, message))
        return; /* too many notices are in work: at the next sweep */
    message->is_delay_told = true;
    queue->delay(queue, message);
}

/* A stretch of the queue at a time, so that a million messages hold nothing up. */
static void on_sweep(struct timer *timer)
{
    struct queue *queue = container_of(timer, struct queue, sweep);
    int64_t oldest = loop_wall(queue->loop).ms - queue->expiry_ms;

    for (int i = 0; i < SWEEP_STEP; i++) {
        struct list *node = queue->sweep_mark.next;
        if (node == &queue->in_order) {
            list_remove(&queue->sweep_mark);
            list_add_first(&queue->in_order, &queue->sweep_mark);
            drop_idle_hops(queue);
            timer_start(timer, sweep_wait_ms(queue));
            return;
        }
        struct message *message = container_of(node, struct message, in_queue);
        if (message->arrived.ms <= oldest && !queue->may_expire(queue, message)) {
            timer_start(timer, SWEEP_MS_MIN);
            return;
        }
        list_remove(&queue->sweep_mark);
        list_insert_before(node->next, &queue->sweep_mark);
        if (message->arrived.ms <= oldest)
            expire_items(queue, message);
        else if (is_delayed(queue, message, oldest + queue->expiry_ms))
            tell_delay(queue, message);
    }
    timer_start(timer, 1);
}

void queue_set_expiry(struct queue *queue, int64_t expiry_ms, int64_t delay_notice_ms)
{
    queue->expiry_ms = expiry_ms;
    queue->delay_notice_ms = delay_notice_ms;
    timer_start(&queue->sweep, sweep_wait_ms(queue));
}

/* --- Beginning and end ------------------------------------------------------------------- */

void queue_init(struct queue *queue, struct loop *loop, int64_t expiry_ms)
{
    *queue = (struct queue){ .loop = loop };
    table_init(&queue->messages);
    table_init(&queue->hops);
    list_init(&queue->in_order);
    list_init(&queue->all_hops);
    list_init(&queue->sweep_mark);
    list_add_first(&queue->in_order, &queue->sweep_mark);
    timer_init(&queue->sweep, loop, on_sweep);
    timer_init(&queue->ask, loop, on_ask);
    queue_set_expiry(queue, expiry_ms, 0);
}

void queue_done(struct queue *queue)
{
    timer_stop(&queue->sweep);
    timer_stop(&queue->ask);
    list_remove(&queue->sweep_mark);
    if (queue->messages.count)
        return; /* they are in work */
    queue_drop_empty_hops(queue);
    table_done(&queue->messages);
    table_done(&queue->hops);
}
