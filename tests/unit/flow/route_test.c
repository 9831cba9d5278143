/* Route: which hop each recipient goes to. */
#include "flow_kit.h"

/* "out" for all, "inside" for a domain, "spare" beside "out" at a higher cost. */
static void open_world(struct world *world, bool failover)
{
    struct settings *settings = world_settings();

    world_connector(settings, "out", "*", 1)->failover = failover;
    world_connector(settings, "inside", "inside.example", 1);
    world_connector(settings, "spare", "*", 5);
    world_init(world, settings);
}

static unsigned item_count(const struct message *message)
{
    unsigned count = 0;

    for (const struct item *item = &message->first; item; item = item->next)
        count += item->recipient_count > 0;
    return count;
}

static const struct item *item_at(const struct message *message, const struct hop *hop)
{
    for (const struct item *item = &message->first; item; item = item->next) {
        if (item->hop == hop)
            return item;
    }
    fail_msg("no item at %s", hop->name);
    return NULL;
}

static void test_split_by_hops(void **state)
{
    static const struct world_mail mail = { "a@example.com",
        { "b@example.net", "c@inside.example", "d@other.example", "e@INSIDE.example" } };
    const struct item *item;
    struct message *message;
    struct world world;

    (void)state;
    open_world(&world, false);
    message = world_send(&world, &mail);
    assert_int_equal(item_count(message), 2);
    item = item_at(message, world_hop(&world, "out"));
    assert_int_equal(item->recipient_count, 2);
    assert_int_equal(item_recipient(item, 0), 0);
    assert_int_equal(item_recipient(item, 1), 2);
    item = item_at(message, world_hop(&world, "inside"));
    assert_int_equal(item->recipient_count, 2);
    assert_int_equal(item_recipient(item, 0), 1);
    assert_int_equal(item_recipient(item, 1), 3);
    world_done(&world);
}

static void test_those_with_an_outcome_stay_out(void **state)
{
    static const struct world_mail mail = { "a@example.com",
        { "b@example.net", "c@example.net", "d@example.net" } };
    struct message *message;
    struct world world;

    (void)state;
    open_world(&world, false);
    message = world_send(&world, &mail);
    world_deliver(&world, world_hop(&world, "out"), "dld");
    /* Their outcomes stand before anybody could route the message anew. */
    assert_int_equal(world.idle_count, 1);
    assert_int_equal(world.pending_when_idle, 1);
    assert_true(queue_unlink_items(&world.queue, message));
    route_message(&world.router, message, NULL);
    assert_int_equal(item_count(message), 1);
    assert_int_equal(message->first.recipient_count, 1);
    assert_int_equal(item_recipient(&message->first, 0), 1);
    queue_items(&world.queue, message);
    world_done(&world);
}

/* Those that were redirected stay where they are, the others follow their route. */
static void test_pins_hold(void **state)
{
    static const struct world_mail mail = { "a@example.com",
        { "b@example.net", "c@inside.example", "d@other.example", "e@INSIDE.example" } };
    struct message *message;
    struct route_pins pins;
    struct route_pin list[2];
    struct world world;

    (void)state;
    open_world(&world, false);
    message = world_send(&world, &mail);
    assert_true(queue_unlink_items(&world.queue, message));
    list[0] = (struct route_pin){ 0, world_hop(&world, "inside") };
    list[1] = (struct route_pin){ 3, world_hop(&world, "out") };
    pins = (struct route_pins){ list, 2 };
    route_message(&world.router, message, &pins);
    queue_items(&world.queue, message);
    assert_int_equal(item_count(message), 2);
    assert_int_equal(item_at(message, list[0].hop)->recipient_count, 2);
    assert_int_equal(item_recipient(item_at(message, list[0].hop), 0), 0);
    assert_int_equal(item_recipient(item_at(message, list[0].hop), 1), 1);
    assert_int_equal(item_recipient(item_at(message, list[1].hop), 0), 2);
    assert_int_equal(item_recipient(item_at(message, list[1].hop), 1), 3);
    world_done(&world);
}

static void test_poison_goes_nowhere(void **state)
{
    static const struct world_mail mail = { "a@example.com",
        { "b@example.net", "c@inside.example", "d@other.example", "e@INSIDE.example" } };
    struct message *message;
    struct world world;
    struct hop *hop;

    (void)state;
    open_world(&world, false);
    message = world_send(&world, &mail);
    assert_true(queue_unlink_items(&world.queue, message));
    message->is_poison = message->is_suspended = true;
    route_message(&world.router, message, NULL);
    queue_items(&world.queue, message);
    hop = world_hop(&world, HOP_POISON);
    assert_true(hop_is_poison(hop));
    assert_int_equal(item_count(message), 1);
    assert_int_equal(item_at(message, hop)->recipient_count, 4);
    assert_int_equal(item_at(message, hop)->state, ITEM_SUSPENDED);
    assert_int_equal(hop_item_count(hop), 1);
    assert_null(queue_take(&world.queue, hop, 0));
    queue_retry_message(&world.queue, message);
    assert_int_equal(item_at(message, hop)->state, ITEM_SUSPENDED);
    /* Resumed. */
    message->is_poison = message->is_suspended = false;
    assert_true(queue_unlink_items(&world.queue, message));
    route_message(&world.router, message, NULL);
    queue_items(&world.queue, message);
    assert_int_equal(hop_item_count(hop), 0);
    assert_int_equal(item_at(message, world_hop(&world, "out"))->recipient_count, 2);
    assert_int_equal(item_at(message, world_hop(&world, "inside"))->state, ITEM_READY);
    world_done(&world);
}

static bool is_over(void *me)
{
    const struct hop *hop = me;
    return !hop_is_resting(hop);
}

static void test_failover(void **state)
{
    static const struct world_mail mail = { "a@example.com", { "b@example.net" } };
    struct hop *out;
    struct world world;

    (void)state;
    open_world(&world, true);
    assert_string_equal(world_send(&world, &mail)->first.hop->name, "out");
    out = world_hop(&world, "out");
    out->connector->retry_ms[0] = 2000;
    queue_hop_down(&world.queue, out, "down");
    assert_string_equal(world_send(&world, &mail)->first.hop->name, "spare");
    queue_hop_down(&world.queue, world_hop(&world, "spare"), "down");
    assert_string_equal(world_send(&world, &mail)->first.hop->name, "out"); /* all are down */
    world_until(&world, is_over, world_hop(&world, "spare"));
    assert_true(world_hop(&world, "spare")->is_down);
    /* It is time to try that one again, though nothing of its own waited for it. */
    assert_string_equal(world_send(&world, &mail)->first.hop->name, "spare");
    queue_hop_up(&world.queue, out);
    assert_string_equal(world_send(&world, &mail)->first.hop->name, "out");
    world_done(&world);
}

static void test_no_failover(void **state)
{
    static const struct world_mail mail = { "a@example.com", { "b@example.net" } };
    struct world world;

    (void)state;
    open_world(&world, false);
    world_send(&world, &mail);
    queue_hop_down(&world.queue, world_hop(&world, "out"), "down");
    assert_string_equal(world_send(&world, &mail)->first.hop->name, "out");
    world_done(&world);
}

static void test_unreachable(void **state)
{
    static const struct world_mail mail = { "a@example.com", { "b@example.net" } };
    struct settings *settings = world_settings();
    struct world world;
    struct hop *hop;

    (void)state;
    world_connector(settings, "inside", "inside.example", 1);
    world_init(&world, settings);
    world_send(&world, &mail);
    hop = world_hop(&world, "unreachable");
    assert_null(hop->connector);
    assert_int_equal(hop->ready_count, 1);
    assert_int_equal(world.want_count, 0);
    assert_null(queue_take(&world.queue, hop, 0));
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split_by_hops),
        cmocka_unit_test(test_pins_hold),
        cmocka_unit_test(test_poison_goes_nowhere),
        cmocka_unit_test(test_those_with_an_outcome_stay_out),
        cmocka_unit_test(test_failover),
        cmocka_unit_test(test_no_failover),
        cmocka_unit_test(test_unreachable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
