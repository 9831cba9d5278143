/* Queued mail follows its route (SC-6): when the settings change, and when a next hop goes down or
 * comes up that others stand in for (SC-4).
 *
 * All messages are gone through, the longest here first, a few milliseconds at a time, so that a
 * queue of a million holds nothing up.  Until a message has had its turn nothing of it is
 * started by the old settings. */
#include "daemon/path_inside.h"

#include "os/clock.h"

/* A turn's share; the clock is looked at now and then. */
enum { STRETCH = 64, STEP_MS = 3 };

bool path_is_stale(struct queue *queue, const struct message *message)
{
    const struct path *path = queue->me;

    return path->rerouting.is_all &&
           message->revision != (uint32_t)path->routed_by->settings->revision;
}

/* Whether it may be routed anew without touching a recipient's turn elsewhere. */
static bool wants_move(const struct message *message)
{
    bool wants = false;

    for (const struct item *item = &message->first; item; item = item->next) {
        if (item->state == ITEM_WAITING)
            return false;
        wants |= item->state == ITEM_READY && item->hop->wants_move;
    }
    return wants && message->delivering_count == 0;
}

/* What is being delivered follows when that has ended. */
static void meet(struct path *path, struct message *message)
{
    if (path->rerouting.is_adopting && node_is_on(path->node))
        node_adopt(path->node, message->entry.by_mid.mid); /* nothing, when it did so before */
    if (path_is_stale(&path->queue, message) || wants_move(message))
        path_reroute(path, message);
}

static void begin_again(struct path *path)
{
    path->rerouting.is_again = false;
    path->rerouting.walk.at = &path->queue.in_order;
}

/* What stood behind a message that was not to be started can be started now. */
static void end(struct path *path)
{
    bool was_all = path->rerouting.is_all;

    path->rerouting.is_running = path->rerouting.is_all = false;
    path->rerouting.is_adopting = false;
    loop_step_cancel(&path->rerouting.step);
    if (was_all)
        queue_drop_empty_hops(&path->queue);
    list_each (node, &path->queue.all_hops) {
        struct hop *hop = container_of(node, struct hop, in_hops);
        hop->wants_move = false;
        if (was_all && hop->ready_count && hop_may_go(hop))
            deliver_want(&path->deliver, hop);
    }
}

/* False: that was the last. */
static bool meet_next(struct path *path)
{
    struct message *message = queue_walk_next(&path->queue, &path->rerouting.walk);

    if (message)
        meet(path, message);
    else if (path->rerouting.is_again)
        begin_again(path);
    else
        return false;
    return true;
}

static void go_on(struct path *path)
{
    int64_t until = clock_moment().ms + STEP_MS;

    do {
        for (int i = 0; i < STRETCH; i++) {
            if (!meet_next(path)) {
                end(path);
                return;
            }
        }
    } while (clock_moment().ms < until);
    loop_step_ask(path->home, &path->rerouting.step);
}

static void on_step(struct loop_step *step)
{
    go_on(container_of(step, struct path, rerouting.step));
}

static void begin(struct path *path)
{
    if (path->rerouting.is_running) {
        path->rerouting.is_again = true;
        return;
    }
    path->rerouting.is_running = true;
    begin_again(path);
    loop_step_ask(path->home, &path->rerouting.step);
}

void path_reroute_all(struct path *path)
{
    path->rerouting.is_all = true;
    begin(path);
    begin_again(path); /* what was met before is to be met again */
    go_on(path);
}

void path_move_hop(struct path *path, struct hop *hop)
{
    hop->wants_move = true;
    begin(path);
}

void path_init_rerouting(struct path *path)
{
    loop_step_init(&path->rerouting.step, on_step);
    queue_walk_begin(&path->queue, &path->rerouting.walk);
}

void path_end_rerouting(struct path *path)
{
    loop_step_cancel(&path->rerouting.step);
    queue_walk_end(&path->rerouting.walk);
}
