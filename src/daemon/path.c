#include "daemon/path_inside.h"

#include "report/report.h"

#include <stdio.h>
#include <stdlib.h>

enum { NOTICES_MAX = 200 };

/* --- secure -> route -> queue ------------------------------------------------------------ */

static void route_pinned(
    struct path *path, struct message *message, const struct route_pins *pins)
{
    struct crash_work before = crash_begin(message->entry.by_mid.mid, "route");

    message->revision = (uint32_t)path->routed_by->settings->revision;
    route_message(&path->router, message, pins);
    if (message->is_poison)
        path_label_poison(path, message);
    crash_end(before);
}

static void route(struct path *path, struct message *message)
{
    route_pinned(path, message, NULL);
}

/* Whether it is ours to deliver, or to give up: nodes that are back may have taken it (R6). */
static bool may_start(struct queue *queue, const struct message *message)
{
    struct path *path = queue->me;
    return !message->is_held_back && node_may_deliver(path->node, message->entry.by_mid.mid);
}

void path_start(struct path *path, struct message *message)
{
    if (may_start(&path->queue, message))
        discard_expanded(&path->discard, message);
}

void path_begin(struct path *path, struct message *message)
{
    if (message->pending_count) {
        route(path, message);
        queue_add(&path->queue, message);
        if (!message->is_poison)
            path_start(path, message); /* else once it is asked for again, in on_idle() */
        return;
    }
    /* All outcomes were written, the end of the message was not. */
    discard_settle(&path->secure, message);
    message_free(message);
}

static void on_message(void *me, struct message *message)
{
    struct path *path = me;

    path_begin(path, message);
    /* It was accepted alone, and now there are others. */
    if (!message->entry.has_standing && node_is_on(path->node))
        node_adopt(path->node, message->entry.by_mid.mid);
}

static struct hop *find_hop(struct router *router, const char *name, const char *domain,
    const struct send_connector *connector)
{
    struct path *path = router->me;

    return queue_hop(&path->queue, name, domain, path->routed_by, connector);
}

bool path_has_right(struct path *path, const struct message *message)
{
    return may_start(&path->queue, message);
}

bool path_reroute(struct path *path, struct message *message)
{
    struct route_pins pins = { .count = 0 };

    if (message->delivering_count)
        return false;
    path_pins(message, &pins);
    if (!queue_unlink_items(&path->queue, message))
        abort(); /* nothing of it is being delivered */
    route_pinned(path, message, &pins);
    queue_items(&path->queue, message);
    free(pins.list);
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

static void on_delay(struct queue *queue, struct message *message)
{
    struct path *path = queue->me;
    discard_delayed(&path->discard, message);
}

static void on_expire(struct queue *queue, struct item *item)
{
    struct path *path = queue->me;
    discard_expired(&path->discard, item);
}

static enum queue_expiry may_expire(struct queue *queue, const struct message *message)
{
    struct path *path = queue->me;

    if (!may_start(queue, message))
        return QUEUE_KEEPS_THIS;
    return path->discard.notice_count < NOTICES_MAX ? QUEUE_MAY_EXPIRE : QUEUE_EXPIRES_LATER;
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

/* Nothing of it is under way, recipients are pending.  It may be gone then. */
static void on_idle(struct path *path, struct message *message)
{
    if (message->is_withdrawn) {
        path_give_back(path, message);
        return;
    }
    reroute_if_stale(path, message);
    path_start(path, message);
}

static void put_back(struct path *path, struct item *item)
{
    if (item_message(item)->is_withdrawn)
        queue_take_out(&path->queue, item);
    else
        queue_put_back(&path->queue, item);
}

static void on_put_back(struct deliver *deliver, struct item *item)
{
    struct path *path = deliver->me;
    struct message *message = item_message(item);

    put_back(path, item);
    if (message->delivering_count == 0)
        on_idle(path, message);
}

static void on_finished(struct deliver *deliver, struct item *item,
    const struct result *results, const struct attempt *attempt)
{
    struct path *path = deliver->me;

    if (hop_is_redirection(item->hop))
        path_finish_redirected(path, item, results, attempt);
    else
        discard_item(&path->discard, item, results, attempt);
}

static void on_hop_down(struct deliver *deliver, struct hop *hop, const char *error)
{
    struct path *path = deliver->me;
    bool was_down = hop->is_down;

    queue_hop_down(&path->queue, hop, error);
    if (!was_down)
        report(REPORT_HOP_DOWN, R_CHARS("queue", hop->name), R_CHARS("error", error),
            R_NUMBER("messages", (int64_t)hop_item_count(hop)));
    /* Once: what comes later is routed past it, and move_back() sees to what becomes better. */
    if (!was_down && hop->connector && hop->connector->failover &&
        hop->setup == path->routed_by)
        path_move_hop(path, hop);
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
            path_move_hop(path, hop);
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

    if (item_message(item)->is_withdrawn)
        queue_take_out(&path->queue, item);
    else
        queue_defer(&path->queue, item, error);
}

static void on_slowed(struct discard *discard, struct item *item, const char *error)
{
    struct path *path = discard->me;

    if (item_message(item)->is_withdrawn)
        queue_take_out(&path->queue, item);
    else
        queue_put_behind(&path->queue, item, error);
}

static void on_again(struct discard *discard, struct item *item)
{
    put_back(discard->me, item);
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
    on_idle(discard->me, message);
}

static bool is_known(struct discard *discard, struct mid mid)
{
    return path_is_known(discard->me, mid);
}

static bool is_slowed(
    const struct discard *discard, const struct hop *hop, char line[CAUSE_BYTES])
{
    (void)discard;
    return deliver_is_slowed(hop, line);
}

static void open_link(struct accept *accept, int fd)
{
    struct path *path = accept->me;
    node_open_link(path->node, fd);
}

bool path_remove(struct path *path, struct message *message,
    bool (*wants)(void *me, const struct item *item), void *me, bool with_notice)
{
    bool any = false;
    struct item *next;
    size_t left = 0;

    if (!may_start(&path->queue, message))
        return false; /* it may be another node's */
    if (message->is_unread && with_notice)
        return false; /* nobody knows to whom */
    for (struct item *item = &message->first; item; item = item->next)
        left += item_is_queued(item) && wants(me, item);
    for (struct item *item = &message->first; left; item = next) {
        next = item->next;
        if (!item_is_queued(item) || !wants(me, item))
            continue;
        left--; /* after the last one the message may be gone */
        any = true;
        queue_take_item(&path->queue, item);
        discard_removed(&path->discard, item, with_notice);
    }
    return any;
}

/* --- Opening ----------------------------------------------------------------------------- */

static void join_stages(struct path *path, const struct settings *settings)
{
    secure_init(&path->secure, path->spool, path->home);
    path->secure.node = path->node;
    path->secure.on_message = on_message;
    path->secure.me = path;
    path->router =
        (struct router){ .find_hop = find_hop, .me = path, .setup = path->routed_by };
    queue_init(&path->queue, path->home, settings->expiry_ms);
    queue_set_expiry(&path->queue, settings->expiry_ms, settings->delay_notice_ms);
    path->queue.want = on_want;
    path->queue.probe = on_probe;
    path->queue.delay = on_delay;
    path->queue.expire = on_expire;
    path->queue.forget = on_forget_hop;
    path->queue.may_expire = may_expire;
    path->queue.may_start = may_start;
    path->queue.may_drop = may_drop;
    path->queue.is_stale = path_is_stale;
    path->queue.me = path;
    path_init_rerouting(path);
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
        .put_behind = on_slowed,
        .item_done = on_item_done,
        .forget = on_forget_message,
        .idle = on_idle_message,
        .is_known = is_known,
        .is_slowed = is_slowed,
        .me = path,
    };
    accept_init(&path->accept, path->home, &path->setup);
    path->accept.open_session = path_open_session;
    path->accept.open_link = open_link;
    path->accept.me = path;
}

struct dns_settings path_dns_settings(const struct settings *settings)
{
    return (struct dns_settings){
        .servers = (const char *const *)settings->dns_servers,
        .server_count = settings->dns_server_count,
        .timeout_ms = settings->dns_timeout_ms,
        .hosts_file = "/etc/hosts",
        .trust_anchor_file = settings->dns_trust_anchor,
    };
}

static enum err open_dns(struct path *path, const struct settings *settings)
{
    struct dns_settings dns = path_dns_settings(settings);

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
    list_init(&recovery.found);
    mid_table_init(&path->taking);
    err = setup_new(settings, (*settings)->state_folder, &setup, why);
    if (err != OK)
        return err;
    now = setup->settings;
    err = open_dns(path, now);
    if (err != OK) {
        snprintf(why, 512, "cannot start the resolver: %s", err_text(err));
        goto fail_setup;
    }
    path_open_poison(path, now);
    err = path_open_spool(path, now, &recovery, why);
    if (err != OK)
        goto fail_dns;
    err = path_open_node(path, now, why);
    if (err != OK)
        return err; /* the process ends: nothing was accepted */
    path->routed_by = setup_hold(setup);
    setup_slot_init(&path->setup, &setup);
    join_stages(path, now);
    path_open_suspended(path, now);
    path_open_devices(path);
    err = path_open_logins(path, now);
    if (err != OK) {
        snprintf(why, 512, "cannot start a thread: %s", err_text(err));
        return err; /* the process ends: nothing was accepted */
    }
    err = path_open_houses(path, now);
    if (err != OK) {
        snprintf(why, 512, "cannot start a network loop: %s", err_text(err));
        return err; /* the process ends: nothing was accepted */
    }
    certificates_init(&path->certificates, home);
    certificates_watch(&path->certificates, path->routed_by);
    path_queue_recovered(path, &recovery);
    path_prune_poison(path);
    node_start(path->node);
    accept_apply(&path->accept);
    return OK;

fail_dns:
    path_close_poison(path);
    dns_free(path->dns);
fail_setup:
    setup_free(setup);
    return err;
}
