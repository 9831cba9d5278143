/* What waits in each queue, counted a stretch at a time. */
#include "flow/flow_kit.h"

#include "daemon/control_tally.h"

enum { COUNT = 600, HOUR_MS = 3600000 };

static const struct world_mail to_one = { "a@example.com", { "b@one.test" } },
                               to_both = { "a@example.com", { "b@one.test", "b@two.test" } };

static void open_world(struct world *world)
{
    struct settings *settings = world_settings();

    world_connector(settings, "one", "one.test", 1);
    world_connector(settings, "two", "two.test", 1);
    world_init(world, settings);
}

static const struct hop_tally *tally_of(
    struct world *world, const struct hop_tallies *tallies, const char *name)
{
    return hop_tallies_find(tallies, world_hop(world, name)->number);
}

/* However many there are, a call takes no more than a stretch of them once its time is over. */
static void test_many(void **state)
{
    struct world_mail old = { "a@example.com", { "b@two.test" }, .age_ms = HOUR_MS };
    struct hop_tallies tallies;
    const struct hop_tally *one, *two;
    struct message *last;
    struct world world;
    unsigned calls = 1;

    (void)state;
    open_world(&world);
    for (unsigned i = 0; i < COUNT; i++)
        world_send(&world, i % 10 ? &to_one : &to_both);
    last = world_send(
        &world, &old); /* as one that was another node's is: come last, and the oldest */
    hop_tallies_begin(&tallies, &world.queue);
    while (hop_tallies_count(&tallies, 0))
        calls++;
    assert_int_equal(calls, 3);
    one = tally_of(&world, &tallies, "one");
    two = tally_of(&world, &tallies, "two");
    assert_int_equal(one->messages, COUNT);
    assert_int_equal(one->ages[0], COUNT);
    assert_int_equal(two->messages, COUNT / 10 + 1);
    assert_true(two->oldest_ms == last->arrived.ms && one->oldest_ms > two->oldest_ms);
    assert_int_equal(two->ages[0], COUNT / 10);
    assert_int_equal(two->ages[4], 1); /* 40 to 80 minutes */
    assert_int_equal(one->bytes, COUNT * last->entry.content_bytes);
    hop_tallies_end(&tallies);
    world_done(&world);
}

/* Its first and its last item stand in one queue, by command, and that between them in another. */
static void test_once_in_a_queue(void **state)
{
    static const struct world_mail three = { "a@example.com",
        { "b@one.test", "b@two.test", "b@three.test" } };
    struct settings *settings = world_settings();
    struct hop_tallies tallies;
    struct message *message;
    struct item *between;
    struct world world;

    (void)state;
    world_connector(settings, "one", "one.test", 1);
    world_connector(settings, "two", "two.test", 1);
    world_connector(settings, "three", "three.test", 1);
    world_init(&world, settings);
    message = world_send(&world, &three);
    world_send(&world, &to_one);
    between = message->first.next;
    assert_non_null(between->next);
    queue_move_item(&world.queue, between->next, message->first.hop);
    hop_tallies_begin(&tallies, &world.queue);
    assert_false(hop_tallies_count(&tallies, INT64_MAX));
    assert_int_equal(tally_of(&world, &tallies, "one")->messages, 2);
    assert_int_equal(tally_of(&world, &tallies, "one")->ages[0], 2);
    assert_int_equal(
        tally_of(&world, &tallies, "one")->bytes, 2 * message->entry.content_bytes);
    assert_int_equal(hop_tallies_find(&tallies, between->hop->number)->messages, 1);
    hop_tallies_end(&tallies);
    world_done(&world);
}

/* Messages come and go between the calls. */
static void test_meanwhile(void **state)
{
    struct hop_tallies tallies;
    struct world world;

    (void)state;
    open_world(&world);
    for (unsigned i = 0; i < COUNT; i++)
        world_send(&world, &to_one);
    hop_tallies_begin(&tallies, &world.queue);
    assert_true(hop_tallies_count(&tallies, 0));
    for (unsigned i = 0; i < COUNT / 2; i++)
        world_deliver(&world, world_hop(&world, "one"), "d");
    world_send(&world, &to_both);
    while (hop_tallies_count(&tallies, 0))
        ;
    assert_in_range(tally_of(&world, &tallies, "one")->messages, COUNT / 2 + 1, COUNT + 1);
    assert_int_equal(tally_of(&world, &tallies, "two")->messages, 1);
    assert_null(hop_tallies_find(&tallies, 0));
    hop_tallies_end(&tallies);
    world_done(&world);
}

static void test_nothing(void **state)
{
    struct hop_tallies tallies;
    struct world world;

    (void)state;
    open_world(&world);
    hop_tallies_begin(&tallies, &world.queue);
    assert_false(hop_tallies_count(&tallies, 0));
    hop_tallies_end(&tallies);
    hop_tallies_begin(&tallies, &world.queue);
    hop_tallies_end(&tallies);
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_once_in_a_queue),
        cmocka_unit_test(test_meanwhile),
        cmocka_unit_test(test_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
