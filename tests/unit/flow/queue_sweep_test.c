/* The sweep: next hops without mail go, what is too old expires, what is late is told. */
#include "flow_kit.h"

/* --- Idle next hops ---------------------------------------------------------------------- */

static bool has_no_hop(void *me)
{
    const struct world *world = me;
    return world->queue.hops.count == 0;
}

static bool has_one_hop(void *me)
{
    const struct world *world = me;
    return world->queue.hops.count == 1;
}

/* Mail to ever new domains: the hops it made do not stay. */
static void test_idle_hops_go(void **state)
{
    struct world world;

    (void)state;
    world_open(&world, true);
    queue_set_expiry(&world.queue, 400, 0); /* a sweep every 50 ms */
    world_send(&world, &(struct world_mail){ "", { "b@one.example" } });
    world_send(&world, &(struct world_mail){ "", { "b@two.example" } });
    assert_int_equal(world.queue.hops.count, 2);
    world_deliver(&world, world_hop(&world, "out/one.example"), "d");
    world_deliver(&world, world_hop(&world, "out/two.example"), "d");
    world_until(&world, has_no_hop, &world);
    world_done(&world);
}

/* --- Expiry ------------------------------------------------------------------------------ */

static bool is_forgotten(void *me)
{
    const struct world *world = me;
    return world->forgotten_count > 0;
}

static void test_expiry(void **state)
{
    struct world world;
    struct item *busy;
    struct hop *hop;

    (void)state;
    world_open(&world, false);
    world_send(&world, &(struct world_mail){ "", { "b@example.net" }, .age_ms = 5000 });
    world_send(&world, &(struct world_mail){ "", { "c@example.net" }, .age_ms = 5000 });
    hop = world_hop(&world, "out");
    busy = queue_take(&world.queue, hop, 0);
    queue_set_expiry(&world.queue, 1000, 0);
    world_until(&world, is_forgotten, &world);
    assert_int_equal(world.expire_count, 1); /* not the one that is being delivered */
    assert_int_equal(world.queue.messages.count, 1);
    queue_put_back(&world.queue, busy);
    world.forgotten_count = 0;
    world_until(&world, is_forgotten, &world);
    assert_int_equal(world.expire_count, 2);
    assert_int_equal(world.queue.messages.count, 0);
    world_done(&world);
}

struct turns {
    struct loop *loop;
    uint64_t until;
};

static bool are_over(void *me)
{
    const struct turns *turns = me;
    return loop_turns(turns->loop) >= turns->until;
}

/* While as many notifications as may be are being made, the sweep waits where it is. */
static void test_expiry_is_held(void **state)
{
    struct world world;
    struct turns turns;

    (void)state;
    world_open(&world, false);
    world_send(&world, &(struct world_mail){ "", { "b@example.net" }, .age_ms = 5000 });
    world.holds_expiry = true;
    queue_set_expiry(&world.queue, 400, 0);
    turns = (struct turns){ world.loop, loop_turns(world.loop) + 200 };
    world_until(&world, are_over, &turns);
    assert_int_equal(world.expire_count, 0);
    world.holds_expiry = false;
    world_until(&world, is_forgotten, &world);
    assert_int_equal(world.expire_count, 1);
    world_done(&world);
}

/* An old message that may be another node's, for as long as that is away: those behind it
 * expire, and next hops without mail go. */
static void test_expiry_passes_a_fenced_one(void **state)
{
    struct world world;
    struct message *fenced;

    (void)state;
    world_open(&world, true);
    fenced =
        world_send(&world, &(struct world_mail){ "", { "b@one.example" }, .age_ms = 5000 });
    world.fenced = fenced;
    world_send(&world, &(struct world_mail){ "", { "b@two.example" }, .age_ms = 5000 });
    queue_set_expiry(&world.queue, 400, 0);
    world_until(&world, is_forgotten, &world);
    assert_int_equal(world.expire_count, 1);
    assert_int_equal(world.queue.messages.count, 1);
    world_until(&world, has_one_hop, &world);
    world.fenced = NULL;
    world_until(&world, has_no_hop, &world);
    assert_int_equal(world.expire_count, 2);
    world_done(&world);
}

static bool is_told(void *me)
{
    const struct world *world = me;
    return world->message_count >= 2;
}

/* The sender is told of a delay once; the message stays. */
static void test_delay(void **state)
{
    struct world world;
    struct turns turns;
    struct mid mid;

    (void)state;
    world_open(&world, false);
    mid = world_send(
        &world, &(struct world_mail){ "a@example.com", { "b@example.net" }, .age_ms = 5000 })
              ->entry.by_mid.mid;
    queue_set_expiry(&world.queue, 60000, 1000);
    world_until(&world, is_told, &world);
    turns = (struct turns){ world.loop, loop_turns(world.loop) + 200 };
    queue_set_expiry(&world.queue, 60000, 1000); /* sweeps again at once */
    world_until(&world, are_over, &turns);
    assert_int_equal(world.delay_count, 1);
    assert_int_equal(world.message_count, 2);
    assert_non_null(queue_find(&world.queue, mid));
    assert_int_equal(queue_find(&world.queue, mid)->pending_count, 1);
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idle_hops_go),
        cmocka_unit_test(test_expiry),
        cmocka_unit_test(test_expiry_is_held),
        cmocka_unit_test(test_expiry_passes_a_fenced_one),
        cmocka_unit_test(test_delay),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
