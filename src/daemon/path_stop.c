/* The end: sessions, then deliveries, then the links to other nodes, then a last flush. */
#include "daemon/path_inside.h"

#include <stdlib.h>

enum { STOP_STEP_MS = 20, STOP_MS_MAX = 10000 };

static void on_stop_house(struct loop_post *post)
{
    struct path_house *house = container_of(post, struct path_house, stop);
    session_house_stop(&house->house);
}

static void on_last_flush(struct spool_barrier *barrier)
{
    struct path *path = container_of(barrier, struct path, last_flush);

    path->is_over = true;
    loop_stop(path->home);
}

/* What the node still had to say of these is said, or stays written. */
static void on_node_stopped(void *me)
{
    struct path *path = me;

    path->last_flush.done = on_last_flush;
    spool_flush(path->spool, &path->last_flush);
}

/* Sessions end first, then deliveries, then what is still to be said of them. */
static bool is_all_ended(const struct path *path)
{
    return path->houses_left == 0 && path->deliver.connection_count == 0 &&
           path->discard.notice_count == 0 && spool_open_reads(path->spool) == 0 &&
           !path->is_writing_devices && !path->is_writing_logins;
}

static void on_stop_step(struct timer *timer)
{
    struct path *path = container_of(timer, struct path, stop_step);
    bool is_late = loop_now(path->home).ms >= path->stop_deadline.ms;

    if (path->houses_left == 0 && !path->deliver.is_stopping)
        deliver_stop(&path->deliver);
    if (is_late && path->deliver.connection_count)
        deliver_break(&path->deliver);
    if (is_all_ended(path) || is_late) {
        node_stop(path->node, on_node_stopped, path);
        return;
    }
    timer_start(timer, STOP_STEP_MS);
}

void path_stop(struct path *path)
{
    if (path->is_stopping)
        return;
    path->is_stopping = true;
    accept_stop(&path->accept);
    secure_stop(&path->secure);
    path->houses_left = path->house_count;
    for (uint32_t i = 0; i < path->house_count; i++) {
        path->houses[i].stop.run = on_stop_house;
        loop_post(path->houses[i].loop, &path->houses[i].stop);
    }
    path->stop_deadline.ms = loop_now(path->home).ms + STOP_MS_MAX;
    timer_init(&path->stop_step, path->home, on_stop_step);
    timer_start(&path->stop_step, 1);
}

/* What is still queued stays in the spool.  (What is in work after the deadline is left to the
 * end of the process.) */
static void leave_queue(struct path *path)
{
    list_each (node, &path->queue.in_order) {
        struct message *message = container_of(node, struct message, in_queue);
        if (message->delivering_count)
            continue;
        spool_leave(path->spool, &message->entry);
        queue_forget(&path->queue, message);
    }
    queue_done(&path->queue);
}

void path_close(struct path *path)
{
    path_end_houses(path);
    path_end_workers(path);
    accept_done(&path->accept);
    certificates_done(&path->certificates);
    path_end_rerouting(path);
    leave_queue(path);
    deliver_done(&path->deliver);
    path_leave_node(path);
    path_close_suspended(path);
    path_close_poison(path);
    node_free(path->node);
    secure_done(&path->secure);
    spool_close(path->spool); /* its threads may still post to the houses' loops */
    path_free_houses(path);
    path_close_devices(path);
    path_close_logins(path);
    dns_free(path->dns);
    setup_free(path->routed_by);
    setup_slot_done(&path->setup);
}
