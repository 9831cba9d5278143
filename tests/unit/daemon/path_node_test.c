/* What the node tells the path: messages held back, released, taken over and withdrawn.  The
 * whole path, over a real spool and loop; the node is the test's. */
#include "scratch.h"

#include "base/mem.h"
#include "daemon/path.h"
#include "os/clock.h"
#include "os/file.h"
#include "proto/shadow/shadow.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { KEPT_MAX = 8 };

/* --- The node: stands in for node/node.c --------------------------------------------------- */

static struct fake {
    struct node_path path;
    struct spool *spool;
    struct ledger *ledger;
    bool is_on, holds_back, takes, may_deliver;
    struct standing standing; /* that acceptances get */
    struct node_acceptance *acceptance;
    struct spool_entry kept[KEPT_MAX];
    unsigned kept_count, back_count, settled_count, recovered_count, started_count,
        adopted_count;
} fake;

static const struct store_id lost = { { 7, 7, 7 } }, own = { { 1 } };

static struct node *const fake_node = (struct node *)&fake;

enum err node_new(const struct node_config *config, struct node **out, char why[512])
{
    struct ledger_settings settings = { .is_enabled = true };
    struct ledger_store store = { .id = lost, .node = "ex01.test", .is_current = true };

    (void)why;
    fake.path = config->path;
    fake.spool = config->spool;
    fake.ledger = ledger_new(BYTES("ex02.test"), own, 0, false, &store, 1, &settings);
    *out = fake_node;
    return OK;
}

void node_free(struct node *node)
{
    if (!node)
        return;
    for (unsigned i = 0; i < fake.kept_count; i++)
        spool_leave(fake.spool, &fake.kept[i]);
    fake.kept_count = 0;
    ledger_free(fake.ledger);
}

static enum err change_node;
static bool turns_on;

enum err node_change(struct node *node, const struct settings *settings, char why[512])
{
    (void)node;
    (void)settings;
    (void)why;
    fake.is_on = fake.is_on || turns_on;
    return change_node;
}

bool node_is_on(const struct node *node)
{
    (void)node;
    return fake.is_on;
}

static void keep(struct spool_entry *entry)
{
    assert_true(fake.kept_count < KEPT_MAX);
    spool_move_entry(fake.spool, entry, &fake.kept[fake.kept_count++]);
}

enum node_found node_recover(struct node *node, const struct spool_found *found)
{
    (void)node;
    fake.recovered_count++;
    assert_true(found->envelope.n > 0);
    if (fake.takes) {
        fake.kept[fake.kept_count] = found->entry;
        spool_adopt(fake.spool, &fake.kept[fake.kept_count++]);
        return NODE_TAKEN;
    }
    return fake.holds_back ? NODE_HELD_BACK : NODE_FREE;
}

void node_start(struct node *node)
{
    (void)node;
    fake.started_count++;
}

bool node_accept(
    struct node *node, struct node_acceptance *acceptance, struct standing *standing)
{
    (void)node;
    fake.acceptance = acceptance;
    *standing = fake.standing;
    return true;
}

void node_committed(
    struct node *node, struct node_acceptance *acceptance, struct spool_entry *entry)
{
    (void)node;
    assert_non_null(entry);
    acceptance->on_done(acceptance, LEDGER_REDUNDANT, SINGLE_NOT);
}

void node_settled(struct node *node, struct spool_entry *entry)
{
    (void)node;
    fake.settled_count++;
    spool_settle(fake.spool, entry);
}

void node_partly(struct node *node, struct mid mid)
{
    (void)node;
    (void)mid;
}

void node_adopt(struct node *node, struct mid mid)
{
    (void)node;
    assert_non_null(fake.path.entry_of(fake.path.me, mid));
    fake.adopted_count++;
}

bool node_may_deliver(const struct node *node, struct mid mid)
{
    (void)node;
    (void)mid;
    return fake.may_deliver;
}

void node_give_back(struct node *node, struct spool_entry *entry)
{
    (void)node;
    fake.back_count++;
    keep(entry);
}

void node_open_link(struct node *node, int fd)
{
    (void)node;
    (void)fd;
}

void node_stop(struct node *node, void (*on_stopped)(void *me), void *me)
{
    (void)node;
    on_stopped(me);
}

const struct ledger *node_ledger(const struct node *node)
{
    (void)node;
    return fake.ledger;
}

/* --- The daemon ---------------------------------------------------------------------------- */

struct world {
    char folder[64];
    struct loop *loop;
    struct path path;
};

static struct settings *settings_of(const struct world *world)
{
    struct settings *settings = settings_new("ex02.test");
    struct send_connector *connector = mem_new(sizeof *connector);

    for (size_t i = 0; i < settings->receive_count; i++)
        settings->receive[i].enabled = false;
    free(settings->spool_folder);
    free(settings->state_folder);
    settings->spool_folder = mem_text(world->folder);
    settings->state_folder = mem_text(world->folder);
    settings->spool_segment_bytes = 1 << 20;
    settings->spool_free_bytes_min = 0;
    settings->loop_count = 1;
    for (size_t i = 0; i < settings->send_count; i++)
        send_connector_done(&settings->send[i]);
    free(settings->send);
    settings->send = connector;
    settings->send_count = 1;
    send_connector_init(connector, "out");
    connector->spaces = mem_new(sizeof *connector->spaces);
    connector->spaces[0] = (struct address_space){ mem_text("*"), 1 };
    connector->space_count = 1;
    connector->hosts = mem_new(sizeof *connector->hosts);
    connector->hosts[0] = (struct smart_host){ .host = mem_text("127.0.0.1"), .port = 1 };
    connector->host_count = 1;
    return settings;
}

static void open_path(struct world *world)
{
    struct settings *settings = settings_of(world);
    char why[512];

    assert_int_equal(loop_new(&world->loop), OK);
    assert_int_equal(path_open(&world->path, world->loop, &settings, why), OK);
}

static void close_path(struct world *world)
{
    path_stop(&world->path);
    loop_run(world->loop);
    path_close(&world->path);
    loop_free(world->loop);
}

static void world_init(struct world *world)
{
    *world = (struct world){ .folder = "/tmp/relais-path-XXXXXX" };
    assert_non_null(mkdtemp(world->folder));
    fake = (struct fake){ .may_deliver = true };
    fake.standing = (struct standing){ .owner = own };
    open_path(world);
}

static void world_done(struct world *world)
{
    close_path(world);
    scratch_remove(world->folder);
}

struct wait {
    struct world *world;
    bool (*has_come)(struct world *world, struct mid mid);
    struct mid mid;
};

static bool has_it_come(void *me)
{
    const struct wait *wait = me;

    return wait->has_come(wait->world, wait->mid);
}

static void until(
    struct world *world, bool (*has_come)(struct world *world, struct mid mid), struct mid mid)
{
    struct wait wait = { world, has_come, mid };

    scratch_until(world->loop, has_it_come, &wait);
}

/* --- A message ----------------------------------------------------------------------------- */

static void on_secured(struct securing *securing, const struct verdict *verdict)
{
    (void)securing;
    assert_int_equal(verdict->code, 250);
}

static bool is_queued(struct world *world, struct mid mid)
{
    return queue_find(&world->path.queue, mid) != NULL;
}

static bool is_down(struct world *world, struct mid mid)
{
    const struct message *message = queue_find(&world->path.queue, mid);
    return message && message->first.hop && message->first.hop->is_down;
}

static bool is_ready(struct world *world, struct mid mid)
{
    const struct message *message = queue_find(&world->path.queue, mid);
    return message && message->first.state == ITEM_READY;
}

static bool is_aside(struct world *world, struct mid mid)
{
    const struct message *message = queue_find(&world->path.queue, mid);
    return message && message->first.state == ITEM_ASIDE;
}

static struct message *make_message(struct world *world, struct mid mid)
{
    struct recipient recipients[] = { { .address = BYTES("b@example.net") },
        { .address = BYTES("c@example.net") } };
    struct envelope envelope = { .sender = BYTES("a@example.com"),
        .connector = BYTES("in"),
        .content_bytes = 3,
        .recipients = recipients,
        .recipient_count = 2,
        .arrived = loop_wall(world->loop),
        .prepend = BYTES("Received: from a by b\r\n") };
    struct message *message;
    struct buf encoded;

    buf_init(&encoded, ENVELOPE_BYTES_MAX);
    assert_int_equal(envelope_encode(&envelope, &encoded), OK);
    message = message_new(mid, buf_bytes(&encoded), 2, envelope.arrived);
    buf_done(&encoded);
    return message;
}

static struct message *send_one(struct world *world)
{
    struct securing securing = { .on_done = on_secured };
    struct mid mid = random_mid();
    struct message *message = make_message(world, mid);
    struct spool_writer *writer =
        spool_writer_new(world->path.spool, world->loop, 1 << 20, NULL, NULL);

    assert_int_equal(spool_append(writer, BYTES("x\r\n")), OK);
    secure_store(&world->path.secure, world->loop, &writer, &message, NULL, &securing);
    until(world, is_queued, mid);
    return queue_find(&world->path.queue, mid);
}

static struct spool_entry *entry_of(struct mid mid)
{
    return fake.path.entry_of(fake.path.me, mid);
}

/* --- Recovery ------------------------------------------------------------------------------ */

static bool is_any(void *me, const struct item *item)
{
    (void)me;
    (void)item;
    return true;
}

static void test_held_back(void **state)
{
    (void)state;
    for (int with_standing = 0; with_standing <= 1; with_standing++) {
        struct world world;
        struct message *message;
        struct mid mid;

        world_init(&world);
        fake.is_on = with_standing;
        mid = send_one(&world)->entry.by_mid.mid;
        close_path(&world);
        fake.holds_back = true;
        open_path(&world);
        assert_int_equal(fake.recovered_count, 1);
        assert_int_equal(fake.started_count, 2);
        message = queue_find(&world.path.queue, mid);
        assert_non_null(message);
        assert_null(message_takeover(message));
        assert_ptr_equal(entry_of(mid), &message->entry);
        assert_null(queue_take(&world.path.queue, message->first.hop, 0));
        assert_true(is_aside(&world, mid));
        assert_false(
            path_remove(&world.path, message, is_any, NULL, false)); /* it may not be ours */
        fake.path.release(fake.path.me, mid);
        assert_int_equal(message->first.state, ITEM_READY);
        until(&world, is_down, mid);
        assert_true(path_remove(&world.path, message, is_any, NULL, false));
        assert_int_equal(fake.settled_count, 1);
        world_done(&world);
    }
}

/* So many notifications are being made that no more may be begun. */
enum { MANY_NOTICES = 1000 };

static enum queue_expiry expiry_of(
    struct world *world, const struct message *message, uint32_t notices)
{
    enum queue_expiry expiry;

    world->path.discard.notice_count = notices;
    expiry = world->path.queue.may_expire(&world->path.queue, message);
    world->path.discard.notice_count = 0;
    return expiry;
}

static void test_fenced_at_run_time(void **state)
{
    struct world world;
    struct message *message;

    (void)state;
    world_init(&world);
    fake.may_deliver = false;
    message = send_one(&world);
    assert_null(queue_take(&world.path.queue, message->first.hop, 0));
    assert_true(is_aside(&world, message->entry.by_mid.mid));
    assert_int_equal(expiry_of(&world, message, 0), QUEUE_KEEPS_THIS);
    assert_int_equal(expiry_of(&world, message, MANY_NOTICES), QUEUE_KEEPS_THIS);
    fake.may_deliver = true;
    assert_int_equal(expiry_of(&world, message, MANY_NOTICES), QUEUE_EXPIRES_LATER);
    assert_int_equal(expiry_of(&world, message, 0), QUEUE_MAY_EXPIRE);
    until(&world, is_ready, message->entry.by_mid.mid); /* nobody says so: it is asked for */
    assert_int_equal(message->first.attempt_count, 0);
    world_done(&world);
}

static void test_copies_are_the_nodes(void **state)
{
    struct world world;
    struct mid mid;

    (void)state;
    world_init(&world);
    fake.is_on = true;
    fake.standing.role = STANDING_HELD;
    mid = send_one(&world)->entry.by_mid.mid;
    close_path(&world);
    fake.takes = true;
    open_path(&world);
    assert_int_equal(fake.kept_count, 1);
    assert_null(queue_find(&world.path.queue, mid));
    assert_null(entry_of(mid));
    world_done(&world);
}

static void test_others_are_configured(void **state)
{
    struct world world;
    struct settings *settings;
    char why[512] = "";

    (void)state;
    world_init(&world);
    send_one(&world);
    settings = settings_of(&world);
    change_node = ERR_TLS;
    assert_int_equal(path_change(&world.path, &settings, why), ERR_TLS);
    assert_int_equal(fake.adopted_count, 0);
    change_node = OK;
    turns_on = true;
    settings = settings_of(&world);
    assert_int_equal(path_change(&world.path, &settings, why), OK);
    assert_int_equal(fake.adopted_count, 1);
    turns_on = false;
    world_done(&world);
}

/* --- Taken over ---------------------------------------------------------------------------- */

static const char taken_over[] =
    "X-Relais-Taken-Over: from ex01.test by ex02.test; generation 3;";

static void check_takeover(const struct message *message)
{
    struct bytes header = message_takeover_header(message);

    assert_non_null(message_takeover(message));
    assert_int_equal(message_takeover(message)->generation, 3);
    assert_string_equal(message_takeover(message)->from, "ex01.test");
    check_bytes("header", bytes_first(header, sizeof taken_over - 1), BYTES(taken_over));
    check_bytes("its end", bytes_skip(header, header.n - 2), BYTES("\r\n"));
}

/* A message of another node's, as the node has it. */
static struct spool_entry *foreign(struct world *world, uint32_t done)
{
    struct message *message;
    struct spool_entry *entry;

    fake.is_on = true;
    message = send_one(world);
    if (done)
        spool_note(fake.spool, &message->entry, &(uint32_t){ 0 }, 1, SPOOL_DELIVERED);
    if (done == 2)
        spool_note(fake.spool, &message->entry, &(uint32_t){ 1 }, 1, SPOOL_DELIVERED);
    fake.path.withdraw(fake.path.me, message->entry.by_mid.mid);
    entry = &fake.kept[--fake.kept_count];
    return entry;
}

static bool is_over(struct world *world, struct mid mid)
{
    (void)world;
    (void)mid;
    return fake.settled_count > 0;
}

static void test_take(void **state)
{
    (void)state;
    for (uint32_t done = 0; done <= 2; done++) {
        struct world world;
        struct spool_entry *entry;
        struct message *message;
        struct mid mid;

        world_init(&world);
        entry = foreign(&world, done);
        mid = entry->by_mid.mid;
        fake.path.take(fake.path.me, entry, 3, "ex01.test");
        assert_non_null(entry_of(mid)); /* while its envelope is being read, too */
        assert_ptr_not_equal(entry_of(mid), entry);
        if (done == 2) { /* it says so at once */
            until(&world, is_over, mid);
            world_done(&world);
            continue;
        }
        until(&world, is_queued, mid);
        message = queue_find(&world.path.queue, mid);
        check_takeover(message);
        assert_int_equal(message->pending_count, 2 - done);
        assert_int_equal(message->first.recipient_count, 2 - done);
        assert_ptr_equal(entry_of(mid), &message->entry);
        world_done(&world);
    }
}

static void test_taken_back_at_once(void **state)
{
    struct world world;
    struct spool_entry *entry;
    struct mid mid;

    (void)state;
    world_init(&world);
    entry = foreign(&world, 0);
    mid = entry->by_mid.mid;
    fake.path.take(fake.path.me, entry, 3, "ex01.test");
    fake.path.withdraw(fake.path.me, mid);
    assert_int_equal(fake.back_count, 2);
    assert_null(entry_of(mid));
    world_done(&world);
    assert_null(queue_find(&world.path.queue, mid));
}

static void test_taken_over_before_a_restart(void **state)
{
    struct world world;
    struct mid mid;

    (void)state;
    world_init(&world);
    fake.is_on = true;
    fake.standing.generation = 3;
    fake.standing.from = lost;
    mid = send_one(&world)->entry.by_mid.mid;
    close_path(&world);
    open_path(&world);
    check_takeover(queue_find(&world.path.queue, mid));
    world_done(&world);
}

/* --- Withdrawn ----------------------------------------------------------------------------- */

static void test_withdrawn_in_the_queue(void **state)
{
    struct world world;
    struct mid mid;

    (void)state;
    world_init(&world);
    mid = send_one(&world)->entry.by_mid.mid;
    fake.path.withdraw(fake.path.me, mid);
    assert_int_equal(fake.back_count, 1);
    assert_null(queue_find(&world.path.queue, mid));
    assert_null(entry_of(mid));
    fake.path.withdraw(fake.path.me, mid); /* it is not there: nothing */
    assert_int_equal(fake.back_count, 1);
    assert_int_equal(fake.settled_count, 0);
    world_done(&world);
}

static const struct delivery_case {
    const char *name;
    const char *fates; /* d(elivered), f(ailed), l(ater); "": it comes back untried */
    unsigned back, settled;
} delivery_cases[] = {
    { "untried", "", 1, 0 },
    { "deferred", "ll", 1, 0 },
    { "delivered to one", "dl", 1, 0 },
    { "delivered", "dd", 0, 1 },
};

static void end_delivery(struct world *world, struct item *item, const char *fates)
{
    struct result results[2];

    if (!*fates) {
        world->path.deliver.put_back(&world->path.deliver, item);
        return;
    }
    for (uint32_t i = 0; i < 2; i++)
        results[i] = (struct result){ .recipient = i,
            .fate = fates[i] == 'd' ? FATE_DELIVERED : FATE_DEFERRED,
            .verdict = verdict_of(fates[i] == 'd' ? 250 : 451, STATUS(4, 0, 0), "x") };
    world->path.deliver.finished(
        &world->path.deliver, item, results, &(struct attempt){ .host = "host" });
}

static void test_withdrawn_while_delivered(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(delivery_cases); i++) {
        const struct delivery_case *c = &delivery_cases[i];
        struct world world;
        struct message *message;
        struct mid mid;

        world_init(&world);
        message = send_one(&world);
        mid = message->entry.by_mid.mid;
        queue_take_item(&world.path.queue, &message->first);
        fake.path.withdraw(fake.path.me, mid);
        check(c->name, fake.back_count == 0 && entry_of(mid)); /* not before it has ended */
        end_delivery(&world, &message->first, c->fates);
        check(c->name, fake.back_count == c->back);
        check(c->name, fake.settled_count == c->settled);
        check(c->name, !queue_find(&world.path.queue, mid));
        if (c->back)
            check(c->name, spool_is_pending(spool_entry_outcome(&fake.kept[0], 0)) ==
                               (c->fates[0] != 'd'));
        world_done(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_held_back),
        cmocka_unit_test(test_fenced_at_run_time),
        cmocka_unit_test(test_copies_are_the_nodes),
        cmocka_unit_test(test_others_are_configured),
        cmocka_unit_test(test_take),
        cmocka_unit_test(test_taken_back_at_once),
        cmocka_unit_test(test_taken_over_before_a_restart),
        cmocka_unit_test(test_withdrawn_in_the_queue),
        cmocka_unit_test(test_withdrawn_while_delivered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
