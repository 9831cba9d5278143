#include "daemon/path.h"

#include "base/mem.h"
#include "os/clock.h"
#include "report/report.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { STOP_STEP_MS = 20, STOP_MS_MAX = 10000, PROGRESS_STEP_PERCENT = 10, NOTICES_MAX = 200 };

/* --- Houses: the sessions of a network loop
 * --------------------------------------------------- */

struct path_house {
    struct session_house house;
    struct path *path;
    struct loop *loop;
    pthread_t thread;
    bool has_thread; /* false: it is the home loop */
    struct loop_post stop;
};

static bool is_home(const struct path_house *house)
{
    return !house->has_thread;
}

/* Something a house tells the home loop. */
struct from_house {
    struct loop_post post;
    struct path *path;
    char connector[SESSION_CONNECTOR_BYTES];
    struct ip peer;
};

static void on_gone_at_home(struct loop_post *post)
{
    struct from_house *gone = container_of(post, struct from_house, post);

    accept_gone(&gone->path->accept, gone->connector, gone->peer);
    free(gone);
}

static void on_gone(struct session_house *session_house, const char *connector, struct ip peer)
{
    struct path_house *house = session_house->me;
    struct from_house *gone;

    if (is_home(house)) {
        accept_gone(&house->path->accept, connector, peer);
        return;
    }
    gone = mem_new(sizeof *gone);
    gone->post.run = on_gone_at_home;
    gone->path = house->path;
    gone->peer = peer;
    snprintf(gone->connector, sizeof gone->connector, "%s", connector);
    loop_post(house->path->home, &gone->post);
}

static void on_empty_at_home(struct loop_post *post)
{
    struct from_house *empty = container_of(post, struct from_house, post);

    empty->path->houses_left--;
    free(empty);
}

static void on_empty(struct session_house *session_house)
{
    struct path_house *house = session_house->me;
    struct from_house *empty;

    if (is_home(house)) {
        house->path->houses_left--;
        return;
    }
    empty = mem_new(sizeof *empty);
    empty->post.run = on_empty_at_home;
    empty->path = house->path;
    loop_post(house->path->home, &empty->post);
}

static void *run_house(void *me)
{
    struct path_house *house = me;

    report_thread_init(house->loop);
    loop_run(house->loop);
    report_thread_done();
    return NULL;
}

/* A socket on its way to the loop that will serve it. */
struct handoff {
    struct loop_post post;
    struct path_house *house;
    struct session_start start;
};

static void on_handoff(struct loop_post *post)
{
    struct handoff *handoff = container_of(post, struct handoff, post);

    session_open(&handoff->house->house, &handoff->start);
    free(handoff);
}

static void open_session(struct accept *accept, int fd, const struct arrival *arrival,
    struct setup *setup, const struct receive_connector *connector)
{
    struct path *path = accept->me;
    struct path_house *house = &path->houses[path->next_house++ % path->house_count];
    struct session_start start = {
        .fd = fd,
        .id = random_session_id(),
        .arrival = *arrival,
        .setup = setup,
        .connector = connector,
    };
    struct handoff *handoff;

    if (is_home(house)) {
        session_open(&house->house, &start);
        return;
    }
    handoff = mem_new(sizeof *handoff);
    *handoff = (struct handoff){ .post.run = on_handoff, .house = house, .start = start };
    loop_post(house->loop, &handoff->post);
}

static uint32_t house_count(const struct settings *settings)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    if (settings->loop_count)
        return settings->loop_count;
    return cores > 2 ? (uint32_t)cores - 1 : 1;
}

static enum err open_houses(struct path *path, const struct settings *settings)
{
    uint32_t count = house_count(settings);

    path->houses = mem_new(count * sizeof *path->houses);
    for (uint32_t i = 0; i < count; i++) {
        struct path_house *house = &path->houses[i];
        house->path = path;
        house->loop = path->home;
        if (count > 1) { /* one loop only: it is the home loop */
            enum err err = loop_new(&house->loop);
            if (err != OK)
                return err;
            house->has_thread = true;
        }
        house->house = (struct session_house){
            .loop = house->loop,
            .secure = &path->secure,
            .setup = &path->setup,
            .on_gone = on_gone,
            .on_empty = on_empty,
            .me = house,
        };
        list_init(&house->house.sessions);
        path->house_count = i + 1;
        if (house->has_thread && pthread_create(&house->thread, NULL, run_house, house) != 0)
            return ERR_SYSTEM;
    }
    return OK;
}

static void end_houses(struct path *path)
{
    for (uint32_t i = 0; i < path->house_count; i++) {
        struct path_house *house = &path->houses[i];
        if (!house->has_thread)
            continue;
        loop_stop(house->loop);
        pthread_join(house->thread, NULL);
    }
}

static void free_houses(struct path *path)
{
    for (uint32_t i = 0; i < path->house_count; i++) {
        struct path_house *house = &path->houses[i];
        if (house->house.count)
            return; /* over the deadline: the end of the process closes what is open */
        if (house->has_thread)
            loop_free(house->loop);
    }
    free(path->houses);
}

uint32_t path_session_count(const struct path *path)
{
    return path->accept.connection_count;
}

/* --- secure -> route -> queue
 * ----------------------------------------------------------------- */

static void route(struct path *path, struct message *message)
{
    message->revision = (uint32_t)path->routed_by->settings->revision;
    route_message(&path->router, message);
}

static void route_and_queue(struct path *path, struct message *message)
{
    route(path, message);
    queue_add(&path->queue, message);
}

static void on_message(void *me, struct message *message)
{
    struct path *path = me;

    spool_adopt(path->spool, &message->entry);
    route_and_queue(path, message);
}

static struct hop *find_hop(struct router *router, const char *name, const char *domain,
    const struct send_connector *connector)
{
    struct path *path = router->me;

    return queue_hop(&path->queue, name, domain, path->routed_by, connector);
}

bool path_reroute(struct path *path, struct message *message)
{
    if (!queue_unlink_items(&path->queue, message))
        return false;
    route(path, message);
    queue_items(&path->queue, message);
    return true;
}

/* It was being delivered while the settings changed: what is left goes by the new ones (SC-6).
 */
static void reroute_if_stale(struct path *path, struct message *message)
{
    if (message->revision != (uint32_t)path->routed_by->settings->revision)
        path_reroute(path, message);
}

/* --- queue -> deliver -> discard --------------------------------------------------------- */

static void on_want(struct queue *queue, struct hop *hop)
{
    struct path *path = queue->me;
    deliver_want(&path->deliver, hop);
}

static void on_probe(struct queue *queue, struct hop *hop)
{
    struct path *path = queue->me;
    deliver_probe(&path->deliver, hop);
}

static void on_forget_hop(struct queue *queue, struct hop *hop)
{
    (void)queue;
    deliver_forget(hop);
}

static void on_expire(struct queue *queue, struct item *item)
{
    struct path *path = queue->me;
    discard_expired(&path->discard, item);
}

static bool may_expire(struct queue *queue)
{
    struct path *path = queue->me;
    return path->discard.notice_count < NOTICES_MAX;
}

/* Those by MX are as many as there are domains; of the others what is known of their hosts is
 * worth keeping. */
static bool may_drop(struct queue *queue, const struct hop *hop)
{
    struct path *path = queue->me;
    return hop->domain[0] || hop->setup != path->routed_by;
}

static struct item *on_take(struct deliver *deliver, struct hop *hop, uint32_t recipients_max)
{
    struct path *path = deliver->me;
    return path->deliver.is_stopping ? NULL : queue_take(&path->queue, hop, recipients_max);
}

static void on_put_back(struct deliver *deliver, struct item *item)
{
    struct path *path = deliver->me;
    struct message *message = item->message;

    queue_put_back(&path->queue, item);
    if (message->delivering_count == 0)
        reroute_if_stale(path, message);
}

static void on_finished(
    struct deliver *deliver, struct item *item, const struct result *results, const char *host)
{
    struct path *path = deliver->me;
    discard_item(&path->discard, item, results, host);
}

/* Whether it may be routed anew without touching a recipient's turn elsewhere. */
static bool is_movable(const struct message *message)
{
    for (const struct item *item = &message->first; item; item = item->next) {
        if (item->state == ITEM_WAITING)
            return false;
    }
    return message->delivering_count == 0;
}

/* The alternative connector takes over what is ready (SC-4).  What finds no better hop, or
 * cannot be moved, comes to the end of the list, in the old order. */
static void move_to_alternative(struct path *path, struct hop *hop)
{
    for (size_t count = hop->ready_count; count && hop->ready_count; count--) {
        struct list *node = list_first(&hop->ready);
        struct message *message = container_of(node, struct item, in_hop)->message;
        if (is_movable(message)) {
            path_reroute(path, message);
        } else {
            list_remove(node);
            list_add_last(&hop->ready, node);
        }
    }
}

static void on_hop_down(struct deliver *deliver, struct hop *hop, const char *error)
{
    struct path *path = deliver->me;
    bool was_down = hop->is_down;

    queue_hop_down(&path->queue, hop, error);
    if (!was_down)
        report(REPORT_HOP_DOWN, R_CHARS("queue", hop->name), R_CHARS("error", error),
            R_NUMBER("messages", (int64_t)hop_item_count(hop)));
    if (hop->connector && hop->connector->failover && hop->setup == path->routed_by)
        move_to_alternative(path, hop);
}

/* What waits at hops that are still down, because this one was, need not wait any more. */
static void move_back(struct path *path, const struct hop *up)
{
    if (!up->connector || up->setup != path->routed_by)
        return;
    list_each (node, &path->queue.all_hops) {
        struct hop *hop = container_of(node, struct hop, in_hops);
        if (hop == up || !hop->is_down || !hop->connector || hop->setup != path->routed_by)
            continue;
        if (up->connector->failover || hop->connector->failover)
            move_to_alternative(path, hop);
    }
}

static void on_hop_up(struct deliver *deliver, struct hop *hop)
{
    struct path *path = deliver->me;
    bool was_down = hop->is_down;

    if (was_down)
        report(REPORT_HOP_UP, R_CHARS("queue", hop->name));
    queue_hop_up(&path->queue, hop);
    if (was_down)
        move_back(path, hop);
}

static void on_defer(struct discard *discard, struct item *item, const char *error)
{
    struct path *path = discard->me;
    queue_defer(&path->queue, item, error);
}

static void on_again(struct discard *discard, struct item *item)
{
    struct path *path = discard->me;
    on_put_back(&path->deliver, item);
}

static void on_item_done(struct discard *discard, struct item *item)
{
    struct path *path = discard->me;
    queue_item_done(&path->queue, item);
}

static void on_forget_message(struct discard *discard, struct message *message)
{
    struct path *path = discard->me;
    queue_forget(&path->queue, message);
}

static void on_idle_message(struct discard *discard, struct message *message)
{
    reroute_if_stale(discard->me, message);
}

static bool is_known(struct discard *discard, struct mid mid)
{
    struct path *path = discard->me;
    return queue_find(&path->queue, mid) != NULL;
}

static bool is_wanted(const struct item *item, const struct hop *hop)
{
    return item_is_queued(item) && (!hop || item->hop == hop);
}

bool path_remove(
    struct path *path, struct message *message, const struct hop *hop, bool with_notice)
{
    bool any = false;
    struct item *next;
    size_t left = 0;

    for (struct item *item = &message->first; item; item = item->next)
        left += is_wanted(item, hop);
    for (struct item *item = &message->first; left; item = next) {
        next = item->next;
        if (!is_wanted(item, hop))
            continue;
        left--; /* after the last one the message may be gone */
        any = true;
        queue_take_item(&path->queue, item);
        discard_removed(&path->discard, item, with_notice);
    }
    return any;
}

/* --- Recovery ---------------------------------------------------------------------------- */

struct recovery {
    struct path *path;
    struct list messages;
    uint64_t count;
    unsigned percent;
};

static void on_found(void *me, const struct spool_found *found)
{
    struct recovery *recovery = me;
    struct envelope envelope;
    struct message *message;

    if (envelope_decode(found->envelope, &envelope) != OK) {
        /* Its checksum holds, so a newer version wrote it: it stays in the spool, untouched. */
        report_notice(REPORT_ERROR, "spool: a message's envelope cannot be read: left alone");
        recovery->path->damage_count++;
        return;
    }
    message = message_new(
        found->mid, found->envelope, found->entry.recipient_count, envelope.arrived);
    message_rest(message); /* the log has the rest */
    message->entry = found->entry;
    list_init(&message->entry.in_segment);
    for (uint32_t i = 0; i < found->entry.recipient_count; i++) {
        if (spool_entry_outcome(&found->entry, i) != SPOOL_PENDING)
            message->pending_count--;
    }
    list_add_last(&recovery->messages, &message->in_queue);
    recovery->count++;
}

static void on_damage(void *me, uint64_t at, const char *why)
{
    struct recovery *recovery = me;

    recovery->path->damage_count++;
    report(REPORT_SPOOL_DAMAGE, R_NUMBER("at", (int64_t)at), R_CHARS("reason", why));
}

static void on_progress(void *me, uint64_t done, uint64_t all)
{
    struct recovery *recovery = me;
    unsigned percent = all ? (unsigned)(done * 100 / all) : 100;

    if (percent < recovery->percent + PROGRESS_STEP_PERCENT)
        return;
    recovery->percent = percent;
    report(REPORT_SPOOL_RECOVERY, R_NUMBER("percent", percent),
        R_NUMBER("bytes", (int64_t)done), R_NUMBER("of", (int64_t)all));
}

static enum err open_spool(struct path *path, const struct settings *settings,
    struct recovery *recovery, char why[512])
{
    struct spool_settings spool = {
        .folder = settings->spool_folder,
        .segment_bytes = settings->spool_segment_bytes,
        .bytes_max = settings->spool_bytes_max,
        .free_bytes_min = settings->spool_free_bytes_min,
        .memory_bytes_max = settings->spool_memory_bytes_max,
        .chunk_bytes = 256 << 10,
    };
    struct spool_visitor visitor = { recovery, on_found, on_damage, on_progress };

    return spool_open(&path->spool, path->home, &spool, &visitor, why);
}

static void queue_recovered(struct path *path, struct recovery *recovery)
{
    struct moment before = clock_moment();

    list_each (node, &recovery->messages) {
        struct message *message = container_of(node, struct message, in_queue);
        list_remove(node);
        spool_adopt(path->spool, &message->entry);
        if (message->pending_count) {
            route_and_queue(path, message);
        } else { /* all outcomes were written, the end of the message was not */
            spool_settle(path->spool, &message->entry);
            message_free(message);
        }
    }
    report(REPORT_SPOOL_RECOVERED, R_NUMBER("messages", (int64_t)recovery->count),
        R_NUMBER("set-aside", (int64_t)path->damage_count),
        R_MS("routed-in", clock_moment().ms - before.ms));
}

/* --- Opening ----------------------------------------------------------------------------- */

static void join_stages(struct path *path, const struct settings *settings)
{
    path->secure = (struct secure){
        .spool = path->spool, .home = path->home, .on_message = on_message, .me = path
    };
    path->router =
        (struct router){ .find_hop = find_hop, .me = path, .setup = path->routed_by };
    queue_init(&path->queue, path->home, settings->expiry_ms);
    path->queue.want = on_want;
    path->queue.probe = on_probe;
    path->queue.expire = on_expire;
    path->queue.forget = on_forget_hop;
    path->queue.may_expire = may_expire;
    path->queue.may_drop = may_drop;
    path->queue.me = path;
    deliver_init(&path->deliver, path->home, path->spool, path->dns);
    path->deliver.connections_max = settings->deliveries_max;
    path->deliver.take = on_take;
    path->deliver.put_back = on_put_back;
    path->deliver.finished = on_finished;
    path->deliver.hop_down = on_hop_down;
    path->deliver.hop_up = on_hop_up;
    path->deliver.me = path;
    path->discard = (struct discard){
        .secure = &path->secure,
        .setup = &path->setup,
        .defer = on_defer,
        .put_back = on_again,
        .item_done = on_item_done,
        .forget = on_forget_message,
        .idle = on_idle_message,
        .is_known = is_known,
        .me = path,
    };
    accept_init(&path->accept, path->home, &path->setup);
    path->accept.open_session = open_session;
    path->accept.me = path;
}

static enum err open_dns(struct path *path, const struct settings *settings)
{
    struct dns_settings dns = {
        .servers = (const char *const *)settings->dns_servers,
        .server_count = settings->dns_server_count,
        .timeout_ms = settings->dns_timeout_ms,
        .hosts_file = "/etc/hosts",
    };

    return dns_new(path->home, &dns, &path->dns);
}

enum err path_open(
    struct path *path, struct loop *home, struct settings **settings, char why[512])
{
    struct recovery recovery = { .path = path };
    const struct settings *now;
    struct setup *setup;
    enum err err;

    *path = (struct path){ .home = home };
    list_init(&recovery.messages);
    err = setup_new(settings, &setup, why);
    if (err != OK)
        return err;
    now = setup->settings;
    err = open_dns(path, now);
    if (err != OK) {
        snprintf(why, 512, "cannot start the resolver: %s", err_text(err));
        goto fail_setup;
    }
    err = open_spool(path, now, &recovery, why);
    if (err != OK)
        goto fail_dns;
    path->routed_by = setup_hold(setup);
    setup_slot_init(&path->setup, &setup);
    join_stages(path, now);
    err = open_houses(path, now);
    if (err != OK) {
        snprintf(why, 512, "cannot start a network loop: %s", err_text(err));
        return err; /* the process ends: nothing was accepted */
    }
    queue_recovered(path, &recovery);
    accept_apply(&path->accept);
    return OK;

fail_dns:
    dns_free(path->dns);
fail_setup:
    setup_free(setup);
    return err;
}

/* --- Change ------------------------------------------------------------------------------ */

static const struct send_connector *find_connector(
    const struct settings *settings, const char *name)
{
    for (size_t i = 0; i < settings->send_count; i++) {
        if (strcmp(settings->send[i].name, name) == 0)
            return &settings->send[i];
    }
    return NULL;
}

/* Hops whose connector is still there go on with it; those whose is not keep the old one until
 * what is under way has ended. */
static void change_hops(struct path *path)
{
    list_each (node, &path->queue.all_hops) {
        struct hop *hop = container_of(node, struct hop, in_hops);
        const struct send_connector *connector = NULL;
        if (hop->connector) {
            connector = find_connector(path->routed_by->settings, hop->connector->name);
            if (!connector || !connector->enabled)
                continue;
        }
        deliver_forget(hop);
        queue_change_hop(hop, path->routed_by, connector);
    }
}

static void reroute_all(struct path *path)
{
    list_each (node, &path->queue.in_order) {
        if (node != &path->queue.sweep_mark)
            path_reroute(path, container_of(node, struct message, in_queue));
    }
    queue_drop_empty_hops(&path->queue);
}

enum err path_change(struct path *path, struct settings **settings, char why[512])
{
    struct setup *setup;
    enum err err = setup_new(settings, &setup, why);

    if (err != OK)
        return err;
    if (path->is_stopping) {
        snprintf(why, 512, "the daemon is stopping");
        setup_free(setup);
        return ERR_CLOSED;
    }
    setup_free(path->routed_by);
    path->routed_by = setup_hold(setup);
    path->router.setup = path->routed_by;
    setup_slot_change(&path->setup, &setup);
    path->deliver.connections_max = path->routed_by->settings->deliveries_max;
    queue_set_expiry(&path->queue, path->routed_by->settings->expiry_ms);
    accept_apply(&path->accept);
    change_hops(path);
    reroute_all(path);
    return OK;
}

/* --- Stopping ---------------------------------------------------------------------------- */

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

/* Sessions end first, then deliveries, then what is still to be said of them. */
static bool is_all_ended(const struct path *path)
{
    return path->houses_left == 0 && path->deliver.connection_count == 0 &&
           path->discard.notice_count == 0;
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
        path->last_flush.done = on_last_flush;
        spool_flush(path->spool, &path->last_flush);
        return;
    }
    timer_start(timer, STOP_STEP_MS);
}

void path_stop(struct path *path)
{
    if (path->is_stopping)
        return;
    path->is_stopping = true;
    accept_done(&path->accept);
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
        if (node == &path->queue.sweep_mark || message->delivering_count)
            continue;
        spool_leave(path->spool, &message->entry);
        queue_forget(&path->queue, message);
    }
    queue_done(&path->queue);
}

void path_close(struct path *path)
{
    end_houses(path);
    deliver_done(&path->deliver);
    leave_queue(path);
    spool_close(path->spool); /* its threads may still post to the houses' loops */
    free_houses(path);
    dns_free(path->dns);
    setup_free(path->routed_by);
    setup_slot_done(&path->setup);
}
