/* Secure: who hears what, and when, of a message that is stored here, and by another node. */
#include "flow_kit.h"

#include "os/clock.h"

#include <pthread.h>
#include <stdlib.h>

/* --- A node that says what the test wants ------------------------------------------------- */

/* These stand in for node/node.c. */
static struct fake {
    bool is_on, accepts;
    enum ledger_verdict verdict;
    struct node_acceptance *acceptance;
    struct spool_entry taken; /* the node's, after REJECT, OTHER and the end */
    struct spool *spool;
    unsigned accept_count, committed_count, failed_count, settled_count, partly_count;
    bool had_content;
} fake;

static struct node *const fake_node = (struct node *)&fake;

bool node_is_on(const struct node *node)
{
    (void)node;
    return fake.is_on;
}

bool node_accept(
    struct node *node, struct node_acceptance *acceptance, struct standing *standing)
{
    (void)node;
    fake.accept_count++;
    fake.acceptance = acceptance;
    fake.had_content = acceptance->content != NULL;
    *standing = (struct standing){ .single = SINGLE_NO_NODE };
    return fake.accepts;
}

static void take_entry(struct spool_entry *entry)
{
    spool_move_entry(fake.spool, entry, &fake.taken);
    spool_settle(fake.spool, &fake.taken);
}

void node_committed(
    struct node *node, struct node_acceptance *acceptance, struct spool_entry *entry)
{
    (void)node;
    assert_ptr_equal(acceptance, fake.acceptance);
    if (!entry) {
        fake.failed_count++;
        return;
    }
    fake.committed_count++;
    assert_true(mid_equal(entry->by_mid.mid, acceptance->by_mid.mid));
    assert_int_equal(entry->recipient_count, acceptance->recipient_count);
    assert_true(acceptance->envelope.n > 0);
    if (fake.verdict == LEDGER_REJECT || fake.verdict == LEDGER_OTHER)
        take_entry(entry);
    acceptance->on_done(acceptance, fake.verdict, SINGLE_NO_NODE);
}

void node_settled(struct node *node, struct spool_entry *entry)
{
    (void)node;
    fake.settled_count++;
    take_entry(entry);
}

void node_partly(struct node *node, struct mid mid)
{
    (void)node;
    (void)mid;
    fake.partly_count++;
}

/* --- Who waits --------------------------------------------------------------------------- */

struct waiting {
    struct securing securing;
    struct world *world;
    struct loop *loop;
    struct mid mid;
    struct message *message;
    struct loop_post start;
    _Atomic unsigned answers;
    struct verdict verdict;
    pthread_t thread; /* the one that was answered */
};

static void on_done(struct securing *securing, const struct verdict *verdict)
{
    struct waiting *waiting = container_of(securing, struct waiting, securing);

    waiting->verdict = *verdict;
    waiting->thread = pthread_self();
    waiting->answers++;
}

/* On the loop that waits; the message was made on the test's. */
static void store(struct waiting *waiting)
{
    struct world *world = waiting->world;
    struct spool_writer *writer =
        spool_writer_new(world->spool, waiting->loop, 1 << 20, NULL, NULL);

    assert_int_equal(spool_append(writer, BYTES("Subject: x\r\n\r\nx\r\n")), OK);
    waiting->securing.on_done = on_done;
    secure_store(
        &world->secure, waiting->loop, &writer, &waiting->message, NULL, &waiting->securing);
}

static void on_start(struct loop_post *post)
{
    store(container_of(post, struct waiting, start));
}

static bool is_answered(void *me)
{
    const struct waiting *waiting = me;
    return waiting->answers > 0;
}

static bool has_message(void *me)
{
    const struct waiting *waiting = me;
    return queue_find(&waiting->world->queue, waiting->mid) != NULL;
}

static void open_world(struct world *world, bool has_node)
{
    struct settings *settings = world_settings();

    world_connector(settings, "out", "*", 1);
    world_init(world, settings);
    fake = (struct fake){ .accepts = true, .spool = world->spool };
    if (has_node)
        world->secure.node = fake_node;
}

static struct waiting waiting_of(struct world *world)
{
    struct waiting waiting = {
        .world = world, .loop = world->loop, .mid = random_mid(), .securing.delay_ms = 60000
    };

    waiting.message = world_message(
        world, &(struct world_mail){ "a@example.com", { "b@example.net" } }, waiting.mid);
    return waiting;
}

/* --- Verdicts ---------------------------------------------------------------------------- */

static const struct verdict_case {
    const char *name;
    bool is_on, accepts;
    enum ledger_verdict verdict;
    uint16_t code;
    const char *text;
    bool is_queued;
} verdict_cases[] = {
    { "alone", false, true, LEDGER_REJECT, 250, "queued as ", true },
    { "redundant", true, true, LEDGER_REDUNDANT, 250, "queued as ", true },
    { "one copy is enough", true, true, LEDGER_SINGLE, 250, "queued as ", true },
    { "refused after the commit", true, true, LEDGER_REJECT, 451,
        "Message failed to be made redundant", false },
    { "refused at once", true, false, LEDGER_SINGLE, 451, "Message failed to be made redundant",
        false },
    { "another owns it", true, true, LEDGER_OTHER, 250, "queued as ", false },
};

static void check_case(const struct verdict_case *c, struct waiting *waiting)
{
    check(c->name, waiting->answers == 1);
    check(c->name, waiting->verdict.code == c->code);
    check(c->name, strncmp(waiting->verdict.text, c->text, strlen(c->text)) == 0);
    check(c->name, fake.accept_count == c->is_on);
    check(c->name, fake.committed_count == (c->is_on && c->accepts));
    check(c->name, fake.had_content == c->is_on);
    if (c->code == 451)
        check(c->name,
            waiting->verdict.status.subject == 4 && waiting->verdict.status.class == 4);
}

static void test_verdicts(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(verdict_cases); i++) {
        const struct verdict_case *c = &verdict_cases[i];
        struct world world;
        struct waiting waiting;

        open_world(&world, true);
        fake.is_on = c->is_on;
        fake.accepts = c->accepts;
        fake.verdict = c->verdict;
        waiting = waiting_of(&world);
        store(&waiting);
        world_until(&world, is_answered, &waiting);
        if (c->is_queued)
            world_until(&world, has_message, &waiting);
        check_case(c, &waiting);
        check(c->name, has_message(&waiting) == c->is_queued);
        world_done(&world);
    }
}

/* --- From a loop of its own --------------------------------------------------------------- */

static void *run_loop(void *loop)
{
    loop_run(loop);
    return NULL;
}

static void test_from_another_loop(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(verdict_cases); i++) {
        const struct verdict_case *c = &verdict_cases[i];
        struct world world;
        struct waiting waiting;
        struct loop *loop;
        pthread_t thread;

        open_world(&world, true);
        fake.is_on = c->is_on;
        fake.accepts = c->accepts;
        fake.verdict = c->verdict;
        assert_int_equal(loop_new(&loop), OK);
        waiting = waiting_of(&world);
        waiting.loop = loop;
        waiting.start.run = on_start;
        loop_post(loop, &waiting.start);
        assert_int_equal(pthread_create(&thread, NULL, run_loop, loop), 0);
        world_until(&world, is_answered, &waiting);
        if (c->is_queued)
            world_until(&world, has_message, &waiting);
        loop_stop(loop);
        pthread_join(thread, NULL);
        check_case(c, &waiting);
        check(c->name, pthread_equal(waiting.thread, thread));
        check(c->name, has_message(&waiting) == c->is_queued);
        world_done(&world);
        loop_free(loop);
    }
}

/* --- 250 when it is delivered ------------------------------------------------------------- */

static const struct delay_case {
    const char *name;
    bool has_node; /* which says DELAY */
    int64_t delay_ms;
    enum { BY_DELIVERY, BY_TIME, BY_STOP, BY_FAILURE } end;
} delay_cases[] = {
    { "alone, delivered", false, 60000, BY_DELIVERY },
    { "alone, refused by the next hop", false, 60000, BY_FAILURE },
    { "alone, time is up", false, 300, BY_TIME },
    { "alone, the daemon stops", false, 60000, BY_STOP },
    { "no holder, delivered", true, 60000, BY_DELIVERY },
    { "no holder, refused by the next hop", true, 60000, BY_FAILURE },
    { "no holder, time is up", true, 300, BY_TIME },
    { "no holder, the daemon stops", true, 60000, BY_STOP },
};

static bool is_over(void *me)
{
    const struct waiting *waiting = me;
    return waiting->answers && waiting->world->forgotten_count;
}

static void test_delay(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(delay_cases); i++) {
        const struct delay_case *c = &delay_cases[i];
        struct world world;
        struct waiting waiting;

        open_world(&world, true);
        fake.is_on = c->has_node;
        fake.verdict = LEDGER_DELAY;
        waiting = waiting_of(&world);
        waiting.securing.failure = SHADOW_FAILURE_DELAY;
        waiting.securing.delay_ms = c->delay_ms;
        store(&waiting);
        world_until(&world, has_message, &waiting);
        check(c->name, waiting.answers == 0);
        if (c->end == BY_STOP)
            secure_stop(&world.secure);
        if (c->end == BY_STOP || c->end == BY_TIME)
            world_until(&world, is_answered, &waiting);
        fake.verdict = LEDGER_SINGLE; /* of the notification */
        world_deliver(&world, world_hop(&world, "out"), c->end == BY_FAILURE ? "f" : "d");
        world_until(&world, is_over, &waiting);
        check(c->name, waiting.answers == 1 && waiting.verdict.code == 250);
        check(c->name, world.secure.delayed.count == 0);
        check(c->name, fake.settled_count == 1);
        world_done(&world);
    }
}

static void test_nobody_waits_for_a_stopping_daemon(void **state)
{
    struct world world;
    struct waiting waiting;

    (void)state;
    open_world(&world, false);
    secure_stop(&world.secure);
    waiting = waiting_of(&world);
    waiting.securing.failure = SHADOW_FAILURE_DELAY;
    store(&waiting);
    world_until(&world, is_answered, &waiting);
    assert_int_equal(waiting.verdict.code, 250);
    world_done(&world);
}

/* --- What the holder hears ---------------------------------------------------------------- */

static void test_partly(void **state)
{
    static const struct world_mail three = { "a@example.com",
        { "b@example.net", "c@example.net", "d@example.net" } };
    struct world world;
    struct hop *hop;

    (void)state;
    open_world(&world, true);
    world_send(&world, &three);
    hop = world_hop(&world, "out");
    world_deliver(&world, hop, "lll");
    assert_int_equal(fake.partly_count, 0); /* nothing is new */
    queue_retry_hop(&world.queue, hop);
    world_deliver(&world, hop, "dld");
    assert_int_equal(fake.partly_count, 1);
    queue_retry_hop(&world.queue, hop);
    world_deliver(&world, hop, "d");
    assert_int_equal(fake.partly_count, 1);
    assert_int_equal(fake.settled_count, 1);
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_from_another_loop),
        cmocka_unit_test(test_delay),
        cmocka_unit_test(test_nobody_waits_for_a_stopping_daemon),
        cmocka_unit_test(test_partly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
