#include "flow_kit.h"
#include "scratch.h"

#include "base/mem.h"
#include "os/clock.h"
#include "os/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* --- Settings ---------------------------------------------------------------------------- */

struct settings *world_settings(void)
{
    struct settings *settings = settings_new("relay.example.com");

    settings->revision = 1;
    for (size_t i = 0; i < settings->receive_count; i++)
        settings->receive[i].tls = TLS_MODE_OFF;
    return settings;
}

struct send_connector *world_connector(
    struct settings *settings, const char *name, const char *space, uint32_t cost)
{
    struct send_connector *connector;

    settings->send =
        mem_grow(settings->send, (settings->send_count + 1) * sizeof *settings->send);
    connector = &settings->send[settings->send_count++];
    send_connector_init(connector, name);
    connector->tls = SEND_TLS_NONE;
    connector->spaces = mem_new(sizeof *connector->spaces);
    connector->spaces[0] = (struct address_space){ mem_text(space), cost };
    connector->space_count = 1;
    connector->hosts = mem_new(sizeof *connector->hosts);
    connector->hosts[0] = (struct smart_host){ .host = mem_text("127.0.0.1"), .port = 1 };
    connector->host_count = 1;
    connector->retry_ms[0] = 40;
    connector->retry_ms[1] = 80;
    connector->retry_count = 2;
    connector->message_retry_ms = 60;
    return connector;
}

/* --- The stages, joined ------------------------------------------------------------------ */

static void on_message(void *me, struct message *message)
{
    struct world *world = me;

    assert_true(list_is_linked(&message->entry.in_segment)); /* adopted */
    route_message(&world->router, message, NULL);
    world->latest = message;
    world->message_count++;
    world->awaited_count += mid_equal(message->entry.by_mid.mid, world->awaited);
    queue_add(&world->queue, message);
}

static struct hop *find_hop(struct router *router, const char *name, const char *domain,
    const struct send_connector *connector)
{
    struct world *world = router->me;
    return queue_hop(&world->queue, name, domain, world->setup, connector);
}

static void on_want(struct queue *queue, struct hop *hop)
{
    struct world *world = queue->me;

    assert_true(hop_may_go(hop));
    assert_true(hop->ready_count > 0);
    world->want_count++;
}

static void on_probe(struct queue *queue, struct hop *hop)
{
    struct world *world = queue->me;

    assert_true(hop->is_down);
    world->probe_count++;
}

static void on_delay(struct queue *queue, struct message *message)
{
    struct world *world = queue->me;

    world->delay_count++;
    discard_delayed(&world->discard, message);
}

static void on_expire(struct queue *queue, struct item *item)
{
    struct world *world = queue->me;

    world->expire_count++;
    discard_expired(&world->discard, item);
}

static enum queue_expiry may_expire(struct queue *queue, const struct message *message)
{
    const struct world *world = queue->me;

    if (message == world->fenced)
        return QUEUE_KEEPS_THIS;
    return world->holds_expiry ? QUEUE_EXPIRES_LATER : QUEUE_MAY_EXPIRE;
}

static bool may_start(struct queue *queue, const struct message *message)
{
    struct world *world = queue->me;

    world->ask_count++;
    return message != world->fenced;
}

static bool may_drop(struct queue *queue, const struct hop *hop)
{
    (void)queue;
    return hop->domain[0];
}

static void on_forget_hop(struct queue *queue, struct hop *hop)
{
    (void)queue;
    assert_int_equal(hop_item_count(hop), 0);
}

static void on_defer(struct discard *discard, struct item *item, const char *error)
{
    struct world *world = discard->me;
    queue_defer(&world->queue, item, error);
}

static void on_put_back(struct discard *discard, struct item *item)
{
    struct world *world = discard->me;
    queue_put_back(&world->queue, item);
}

static void on_slowed(struct discard *discard, struct item *item, const char *error)
{
    struct world *world = discard->me;
    queue_put_behind(&world->queue, item, error);
}

static void on_item_done(struct discard *discard, struct item *item)
{
    struct world *world = discard->me;
    queue_item_done(&world->queue, item);
}

static void on_idle(struct discard *discard, struct message *message)
{
    struct world *world = discard->me;
    uint32_t pending = 0;

    for (uint32_t i = 0; i < message->entry.recipient_count; i++)
        pending += spool_is_pending(spool_entry_outcome(&message->entry, i));
    assert_int_equal(pending, message->pending_count);
    world->pending_when_idle = pending;
    world->idle_count++;
}

static void on_forget(struct discard *discard, struct message *message)
{
    struct world *world = discard->me;

    world->forgotten_count++;
    queue_forget(&world->queue, message);
}

static bool is_known(struct discard *discard, struct mid mid)
{
    struct world *world = discard->me;
    return queue_find(&world->queue, mid) != NULL;
}

static bool is_slowed(
    const struct discard *discard, const struct hop *hop, char line[CAUSE_BYTES])
{
    const struct world *world = discard->me;

    (void)hop;
    if (world->slowed_by)
        snprintf(line, CAUSE_BYTES, "%s", world->slowed_by);
    return world->slowed_by;
}

static void join_stages(struct world *world)
{
    secure_init(&world->secure, world->spool, world->loop);
    world->secure.on_message = on_message;
    world->secure.me = world;
    world->router = (struct router){ .find_hop = find_hop, .me = world, .setup = world->setup };
    queue_init(&world->queue, world->loop, world->setup->settings->expiry_ms);
    world->queue.want = on_want;
    world->queue.probe = on_probe;
    world->queue.delay = on_delay;
    world->queue.expire = on_expire;
    world->queue.may_expire = may_expire;
    world->queue.may_start = may_start;
    world->queue.may_drop = may_drop;
    world->queue.forget = on_forget_hop;
    world->queue.me = world;
    world->discard = (struct discard){
        .secure = &world->secure,
        .setup = &world->slot,
        .defer = on_defer,
        .put_back = on_put_back,
        .put_behind = on_slowed,
        .item_done = on_item_done,
        .idle = on_idle,
        .forget = on_forget,
        .is_known = is_known,
        .is_slowed = is_slowed,
        .me = world,
    };
}

/* --- Beginning and end ------------------------------------------------------------------- */

static void never_found(void *me, const struct spool_found *found)
{
    (void)me;
    (void)found;
    fail_msg("a new spool has messages");
}

static void never_damaged(void *me, uint64_t at, const char *why)
{
    (void)me;
    (void)at;
    fail_msg("a new spool is damaged: %s", why);
}

static void on_progress(void *me, uint64_t done, uint64_t all)
{
    (void)me;
    (void)done;
    (void)all;
}

void world_init(struct world *world, struct settings *settings)
{
    struct spool_settings spool = { .segment_bytes = 1 << 20, .chunk_bytes = 64 << 10 };
    struct spool_visitor visitor = { world, never_found, never_damaged, on_progress, NULL };
    struct setup *setup;
    char why[512];

    memset(world, 0, sizeof *world);
    snprintf(world->folder, sizeof world->folder, "/tmp/relais-flow-XXXXXX");
    assert_non_null(mkdtemp(world->folder));
    spool.folder = world->folder;
    assert_int_equal(loop_new(&world->loop), OK);
    assert_int_equal(setup_new(&settings, NULL, &setup, why), OK);
    assert_int_equal(spool_open(&world->spool, world->loop, &spool, &visitor, why), OK);
    world->setup = setup_hold(setup);
    setup_slot_init(&world->slot, &setup);
    join_stages(world);
}

void world_open(struct world *world, bool is_mx)
{
    struct settings *settings = world_settings();
    struct send_connector *connector = world_connector(settings, "out", "*", 1);

    if (is_mx)
        connector->delivery = DELIVERY_MX;
    world_init(world, settings);
}

void world_done(struct world *world)
{
    list_each (node, &world->queue.in_order) {
        struct message *message = container_of(node, struct message, in_queue);
        spool_leave(world->spool, &message->entry);
        queue_forget(&world->queue, message);
    }
    queue_done(&world->queue);
    secure_done(&world->secure);
    spool_close(world->spool);
    setup_free(world->setup);
    setup_slot_done(&world->slot);
    loop_free(world->loop);
    scratch_remove(world->folder);
}

/* --- Time -------------------------------------------------------------------------------- */

void world_until(struct world *world, bool (*has_come)(void *me), void *me)
{
    scratch_until(world->loop, has_come, me);
}

/* --- Mail -------------------------------------------------------------------------------- */

struct one {
    struct securing securing;
    const struct world *world;
    bool is_done;
};

static void on_secured(struct securing *securing, const struct verdict *verdict)
{
    struct one *one = container_of(securing, struct one, securing);

    assert_int_equal(verdict->code, 250);
    one->is_done = true;
}

static bool is_queued(void *me)
{
    const struct one *one = me;
    return one->is_done && one->world->awaited_count;
}

static const char content[] = "Subject: test\r\n\r\nSome text.\r\n";

struct message *world_message(
    struct world *world, const struct world_mail *mail, struct mid mid)
{
    struct recipient recipients[4];
    struct envelope envelope = {
        .sender = bytes_text(mail->sender),
        .connector = BYTES("in"),
        .message_id = bytes_text(mail->message_id),
        .content_bytes = sizeof content - 1,
        .recipients = recipients,
        .prepend = BYTES("Received: from a by b\r\n"),
    };
    struct message *message;
    struct buf encoded;

    envelope.arrived.ms = loop_wall(world->loop).ms - mail->age_ms;
    for (size_t i = 0; i < 4 && mail->recipients[i]; i++)
        recipients[envelope.recipient_count++] =
            (struct recipient){ .address = bytes_text(mail->recipients[i]),
                .notify = mail->notify };
    buf_init(&encoded, ENVELOPE_BYTES_MAX);
    assert_int_equal(envelope_encode(&envelope, &encoded), OK);
    message = message_new(
        mid, buf_bytes(&encoded), (uint32_t)envelope.recipient_count, envelope.arrived);
    buf_done(&encoded);
    return message;
}

struct message *world_send(struct world *world, const struct world_mail *mail)
{
    struct one one = { .world = world };
    struct mid mid = random_mid();
    struct message *message = world_message(world, mail, mid);
    struct spool_writer *writer =
        spool_writer_new(world->spool, world->loop, 1 << 20, NULL, NULL);

    world->awaited = mid;
    world->awaited_count = 0;
    one.securing.on_done = on_secured;
    assert_int_equal(spool_append(writer, BYTES(content)), OK);
    secure_store(&world->secure, world->loop, &writer, &message, NULL, &one.securing);
    world_until(world, is_queued, &one);
    return queue_find(&world->queue, mid);
}

struct hop *world_hop(struct world *world, const char *name)
{
    struct hop *hop = queue_find_hop(&world->queue, bytes_text(name));

    if (!hop)
        fail_msg("no hop %s", name);
    return hop;
}

void world_deliver(struct world *world, struct hop *hop, const char *fates)
{
    struct item *item = queue_take(&world->queue, hop, 0);
    struct result results[4];

    assert_non_null(item);
    assert_int_equal(item->recipient_count, strlen(fates));
    for (uint32_t i = 0; i < item->recipient_count; i++) {
        results[i] = (struct result){ .recipient = item_recipient(item, i),
            .fate = FATE_DELIVERED,
            .is_relayed_blind = true,
            .verdict = verdict_of(250, STATUS(2, 0, 0), "ok") };
        if (fates[i] == 'f') {
            results[i].fate = FATE_FAILED;
            results[i].verdict = verdict_of(550, STATUS(5, 1, 1), "no such user");
        } else if (fates[i] == 'l') {
            results[i].fate = FATE_DEFERRED;
            results[i].verdict = verdict_of(451, STATUS(4, 7, 1), "greylisted");
        } else if (fates[i] == 's') {
            results[i].fate = FATE_DEFERRED;
            results[i].is_slowed = true;
            results[i].verdict = verdict_of(432, STATUS(4, 3, 2), "slow down");
        }
    }
    discard_item(&world->discard, item, results,
        &(struct attempt){ .host = "mx.example.net[192.0.2.1]:25" });
}
