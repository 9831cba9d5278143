/* The hops of a queue: making, retry, suspension, end. */
#include "flow/queue/internal.h"

#include "base/mem.h"
#include "os/clock.h"
#include "policy/retry.h"

#include <assert.h>
#include <stdlib.h>

void queue_want(struct queue *queue, struct hop *hop)
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
 * resting: no mail waits for the answer (SC-4). */
static bool is_probed(const struct hop *hop)
{
    return hop->is_down && hop->connector && hop->connector->failover;
}

static void try_again(struct queue *queue, struct hop *hop)
{
    timer_stop(&hop->retry);
    if (is_probed(hop)) {
        start_retry(hop); /* until the answer is here, and if there cannot be one now */
        queue->probe(queue, hop);
    } else {
        queue_want(queue, hop);
    }
}

static void on_retry(struct timer *timer)
{
    struct hop *hop = container_of(timer, struct hop, retry);
    try_again(hop->queue, hop);
}

/* So many items get ready at a time. */
enum { WAKE_STEP = 1000, WAKE_PAUSE_MS = 1 };

void queue_start_wake(struct hop *hop)
{
    struct list *first = list_first(&hop->waiting);
    int64_t wait;

    if (!first) {
        timer_stop(&hop->wake);
        return;
    }
    wait = container_of(first, struct item, in_hop)->next_attempt.ms -
           loop_now(((struct queue *)hop->queue)->loop).ms;
    timer_start(&hop->wake, wait > 0 && !hop->due_ms ? wait : WAKE_PAUSE_MS);
}

static void make_ready(struct item *item)
{
    queue_unlink_item(item);
    queue_put_ready(item, false);
}

/* Those that are due get ready: a stretch at a time, so that a million of them hold nothing up. */
static void wake_some(struct queue *queue, struct hop *hop)
{
    int64_t now = loop_now(queue->loop).ms, until = hop->due_ms > now ? hop->due_ms : now;
    struct list *first;
    bool is_last = false;

    for (int i = 0; i < WAKE_STEP && !is_last; i++) {
        first = list_first(&hop->waiting);
        is_last = !first || container_of(first, struct item, in_hop)->next_attempt.ms > until;
        if (!is_last)
            make_ready(container_of(first, struct item, in_hop));
    }
    if (is_last)
        hop->due_ms = 0;
    queue_start_wake(hop);
}

static void on_wake(struct timer *timer)
{
    struct hop *hop = container_of(timer, struct hop, wake);

    wake_some(hop->queue, hop);
    queue_want(hop->queue, hop);
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
    for (unsigned i = 0; i < PRIORITY_COUNT; i++)
        list_init(&hop->ready[i]);
    list_init(&hop->waiting);
    list_init(&hop->aside);
    list_init(&hop->in_turn);
    list_init(&hop->in_wanted);
    list_init(&hop->in_hops);
    timer_init(&hop->retry, queue->loop, on_retry);
    timer_init(&hop->wake, queue->loop, on_wake);
    hop->is_suspended = queue->is_suspended && queue->is_suspended(queue, name);
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
    shared_text_free(hop->item_error);
    free(hop);
}

void queue_drop_empty_hops(struct queue *queue)
{
    list_each (node, &queue->all_hops) {
        struct hop *hop = container_of(node, struct hop, in_hops);
        if (hop_item_count(hop) == 0 && !(hop->is_suspended && hop->connector))
            hop_free(queue, hop);
    }
}

void queue_free_hops(struct queue *queue)
{
    list_each (node, &queue->all_hops)
        hop_free(queue, container_of(node, struct hop, in_hops));
}

static void set_error(struct hop *hop, const char *error)
{
    free(hop->last_error);
    hop->last_error = error ? mem_text(error) : NULL;
}

void queue_hop_down(struct queue *queue, struct hop *hop, const char *error)
{
    bool was_down = hop->is_down;

    if (!hop->connector)
        return;
    hop->is_down = true;
    if (!was_down)
        queue_rest_hop(queue, hop);
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
    if (!list_is_empty(&hop->waiting)) {
        hop->due_ms = container_of(hop->waiting.prev, struct item, in_hop)->next_attempt.ms;
        wake_some(queue, hop);
    }
    try_again(queue, hop);
}

void queue_retry_message(struct queue *queue, struct message *message)
{
    for (struct item *item = &message->first; item; item = item->next) {
        struct hop *hop = item->hop;
        if (item->state == ITEM_WAITING)
            make_ready(item);
        if (item->state == ITEM_READY)
            try_again(queue, hop);
    }
}

void queue_suspend_hop(struct queue *queue, struct hop *hop, bool suspended)
{
    hop->is_suspended = suspended;
    if (!suspended)
        queue_want(queue, hop);
}

/* --- Ends -------------------------------------------------------------------------------- */

/* A domain that is down is remembered, and asked in the background, for as long as mail goes
 * past it; some sweeps longer, which are a quarter of an hour.  It may be gone for good. */
enum { REMEMBERED_SWEEPS = 15 };

static bool is_remembered(const struct hop *hop)
{
    if (!hop_is_resting(hop))
        return false;
    return !is_probed(hop) || hop->idle_sweeps < REMEMBERED_SWEEPS;
}

/* Next hops that had nothing to do for a whole sweep: mail to ever new domains must not make
 * them ever more. */
void queue_drop_idle_hops(struct queue *queue)
{
    list_each (node, &queue->all_hops) {
        struct hop *hop = container_of(node, struct hop, in_hops);
        if (hop_item_count(hop) || hop->is_suspended || !queue->may_drop(queue, hop))
            hop->idle_sweeps = 0;
        else if (hop->idle_sweeps && !is_remembered(hop))
            hop_free(queue, hop);
        else if (hop->idle_sweeps < UINT8_MAX)
            hop->idle_sweeps++;
    }
}
