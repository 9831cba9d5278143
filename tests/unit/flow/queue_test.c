/* Queue: ready and waiting items, the retry plan of a next hop, commands. */
#include "flow_kit.h"

#include <stdlib.h>

static const struct world_mail one = { "a@example.com", { "b@example.net" } };

/* --- Items ------------------------------------------------------------------------------- */

static void test_oldest_first(void **state)
{
    struct world world;
    struct message *first, *second;
    struct item *item;
    struct hop *hop;

    (void)state;
    world_open(&world, false);
    first = world_send(&world, &one);
    second = world_send(&world, &one);
    hop = world_hop(&world, "out");
    assert_int_equal(world.want_count, 2);
    assert_int_equal(hop->ready_count, 2);
    item = queue_take(&world.queue, hop, 0);
    assert_ptr_equal(item_message(item), first);
    assert_int_equal(item->state, ITEM_DELIVERING);
    queue_put_back(&world.queue, item); /* not tried: its turn stays the first */
    item = queue_take(&world.queue, hop, 0);
    assert_ptr_equal(item_message(item), first);
    queue_put_back(&world.queue, item);
    assert_int_equal(item->attempt_count, 0);
    assert_int_equal(hop->ready_count, 2);
    assert_int_equal(second->delivering_count, 0);
    world_done(&world);
}

static void test_suspended(void **state)
{
    struct world world;
    struct hop *hop;

    (void)state;
    world_open(&world, false);
    world_send(&world, &one);
    hop = world_hop(&world, "out");
    hop->is_suspended = true;
    world.want_count = 0;
    world_send(&world, &one);
    queue_retry_hop(&world.queue, hop);
    assert_int_equal(world.want_count, 0);
    assert_null(queue_take(&world.queue, hop, 0));
    assert_int_equal(hop->ready_count, 2);
    world_done(&world);
}

/* A message that is suspended is not started, does not expire, and comes back as it was. */
static void test_suspended_message(void **state)
{
    struct world world;
    struct message *first, *second;
    struct item *item;
    struct hop *hop;

    (void)state;
    world_open(&world, false);
    first = world_send(&world, &one);
    second = world_send(&world, &one);
    hop = world_hop(&world, "out");
    queue_suspend(&world.queue, first);
    assert_int_equal(first->first.state, ITEM_SUSPENDED);
    assert_int_equal(hop->ready_count, 1);
    assert_int_equal(hop_item_count(hop), 2);
    queue_retry_hop(&world.queue, hop);
    queue_retry_message(&world.queue, first);
    item = queue_take(&world.queue, hop, 0);
    assert_ptr_equal(item_message(item), second);
    assert_null(queue_take(&world.queue, hop, 0));
    queue_suspend(&world.queue, second); /* under way: when it comes back it is */
    queue_put_back(&world.queue, item);
    assert_int_equal(second->first.state, ITEM_SUSPENDED);
    assert_int_equal(hop->ready_count, 0);
    world.want_count = 0;
    queue_resume(&world.queue, first);
    assert_int_equal(world.want_count, 1);
    assert_int_equal(hop->ready_count, 1);
    queue_resume(&world.queue, second);
    assert_int_equal(hop->ready_count, 2);
    assert_int_equal(hop->item_suspended_count, 0);
    world_done(&world);
}

static void test_suspended_message_is_refused(void **state)
{
    struct world world;
    struct message *message;
    struct item *item;
    struct hop *hop;

    (void)state;
    world_open(&world, false);
    message = world_send(&world, &one);
    hop = world_hop(&world, "out");
    item = queue_take(&world.queue, hop, 0);
    queue_suspend(&world.queue, message);
    queue_defer(&world.queue, item, "451 later");
    assert_int_equal(item->state, ITEM_SUSPENDED);
    assert_int_equal(hop->waiting_count, 0);
    assert_string_equal(item->last_error->text, "451 later");
    queue_suspend(&world.queue, message); /* again is harmless */
    assert_int_equal(hop->item_suspended_count, 1);
    world_done(&world);
}

/* A name that is suspended before there is a hop of it: after a restart. */
static bool all_names(struct queue *queue, const char *name)
{
    (void)queue;
    return strcmp(name, "out") == 0;
}

static void test_suspended_name(void **state)
{
    struct world world;
    struct hop *hop;

    (void)state;
    world_open(&world, false);
    world.queue.is_suspended = all_names;
    world_send(&world, &one);
    hop = world_hop(&world, "out");
    assert_true(hop->is_suspended);
    assert_int_equal(world.want_count, 0);
    queue_suspend_hop(&world.queue, hop, false);
    assert_int_equal(world.want_count, 1);
    world_done(&world);
}

/* --- Priority ---------------------------------------------------------------------------- */

/* The order in which messages leave, by a letter each: h(igh), n(ormal), l(ow). */
static void test_priority(void **state)
{
    static const struct {
        const char *name, *come, *leave;
    } cases[] = {
        { "an alert overtakes", "nnnh", "hnnn" },
        { "by priority, then by age", "lnhlnh", "hhnnll" },
        { "nothing starves", "hhhhhhhhhhhhhhhhhhnnll", "hhhhhhhnhhhhhhhlhhhhnl" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char left[40] = "";
        struct world world;
        struct item *item;
        struct hop *hop;
        world_open(&world, false);
        for (const char *c = cases[i].come; *c; c++) {
            struct message *message = world_send(&world, &one);
            queue_unlink_items(&world.queue, message);
            message->priority = *c == 'h'   ? PRIORITY_HIGH
                                : *c == 'l' ? PRIORITY_LOW
                                            : PRIORITY_NORMAL;
            route_message(&world.router, message, NULL);
            queue_items(&world.queue, message);
        }
        hop = world_hop(&world, "out");
        while ((item = queue_take(&world.queue, hop, 0))) {
            strcat(left, (const char *[]){ "h", "n", "l" }[item_message(item)->priority]);
            queue_item_done(&world.queue, item);
            item_message(item)->pending_count = 0;
        }
        if (strcmp(left, cases[i].leave) != 0)
            fail_msg("%s: %s", cases[i].name, left);
        world_done(&world);
    }
}

/* --- Walks ------------------------------------------------------------------------------- */

static void test_walk(void **state)
{
    struct world world;
    struct message *messages[4];
    struct queue_walk walk, other;

    (void)state;
    world_open(&world, false);
    for (size_t i = 0; i < 3; i++)
        messages[i] = world_send(&world, &one);
    queue_walk_begin(&world.queue, &walk);
    queue_walk_begin(&world.queue, &other);
    assert_ptr_equal(queue_walk_next(&world.queue, &walk), messages[0]);
    spool_leave(world.spool, &messages[1]->entry);
    queue_forget(&world.queue, messages[1]); /* what was to come next goes */
    assert_ptr_equal(queue_walk_next(&world.queue, &walk), messages[2]);
    messages[3] = world_send(&world, &one);
    assert_ptr_equal(queue_walk_next(&world.queue, &walk), messages[3]);
    assert_null(queue_walk_next(&world.queue, &walk));
    assert_ptr_equal(queue_walk_next(&world.queue, &other), messages[0]);
    queue_walk_end(&walk);
    queue_walk_end(&other);
    world_done(&world);
}

/* --- Parts ------------------------------------------------------------------------------- */

static void test_some_recipients_at_a_time(void **state)
{
    static const struct world_mail three = { "a@example.com",
        { "b@example.net", "c@example.net", "d@example.net" } };
    struct world world;
    struct item *first, *rest;
    struct hop *hop;

    (void)state;
    world_open(&world, false);
    world_send(&world, &three);
    hop = world_hop(&world, "out");
    first = queue_take(&world.queue, hop, 2);
    assert_int_equal(first->recipient_count, 2);
    rest = queue_take(&world.queue, hop, 2);
    assert_int_equal(rest->recipient_count, 1);
    assert_int_equal(item_recipient(rest, 0), 2);
    assert_null(queue_take(&world.queue, hop, 2));
    queue_put_back(&world.queue, first);
    queue_put_back(&world.queue, rest);
    world_done(&world);
}

static bool all_ready(void *me)
{
    const struct hop *hop = me;
    return hop->waiting_count == 0;
}

static bool one_waits(void *me)
{
    const struct hop *hop = me;
    return hop->waiting_count == 1;
}

static void test_deferred(void **state)
{
    struct world world;
    struct message *first, *second;
    struct hop *hop;

    (void)state;
    world_open(&world, false);
    first = world_send(&world, &one);
    second = world_send(&world, &one);
    hop = world_hop(&world, "out");
    world_deliver(&world, hop, "l");
    world_deliver(&world, hop, "l");
    assert_int_equal(hop->waiting_count, 2);
    assert_int_equal(hop->ready_count, 0);
    assert_true(first->is_resting);
    assert_null(message_content(first));
    assert_true(first->first.next_attempt.ms <= second->first.next_attempt.ms);
    assert_non_null(strstr(first->first.last_error->text, "451 4.7.1 greylisted"));
    assert_non_null(strstr(first->first.last_error->text, "mx.example.net"));
    assert_int_equal(world.idle_count, 2);
    world.want_count = 0;
    world_until(&world, all_ready, hop);
    assert_true(world.want_count > 0);
    assert_int_equal(first->first.attempt_count, 1);
    assert_ptr_equal(queue_take(&world.queue, hop, 0), &first->first);
    queue_put_back(&world.queue, &first->first);
    world_done(&world);
}

/* --- Aside, and withdrawn ---------------------------------------------------------------- */

static bool is_none_aside(void *me)
{
    const struct hop *hop = me;
    return hop->aside_count == 0;
}

static bool is_one_aside(void *me)
{
    const struct hop *hop = me;
    return hop->aside_count == 1;
}

static void test_aside(void **state)
{
    struct world world;
    struct message *first, *second;
    struct item *item;
    struct hop *hop;

    (void)state;
    world_open(&world, false);
    first = world_send(&world, &one);
    second = world_send(&world, &one);
    hop = world_hop(&world, "out");
    world.fenced = first;
    item = queue_take(&world.queue, hop, 0);
    assert_ptr_equal(item_message(item), second);
    assert_int_equal(first->first.state, ITEM_ASIDE);
    assert_null(queue_take(&world.queue, hop, 0));
    assert_int_equal(hop->aside_count, 1);
    assert_int_equal(hop_item_count(hop), 2);
    assert_true(first->is_resting);
    queue_put_back(&world.queue, item);
    world.fenced = NULL;
    world_until(&world, is_none_aside, hop);
    item = queue_take(&world.queue, hop, 0);
    assert_ptr_equal(item_message(item), first); /* its turn is the first again */
    assert_int_equal(item->attempt_count, 0);
    queue_put_back(&world.queue, item);
    world_done(&world);
}

static void test_aside_ends(void **state)
{
    (void)state;
    for (int end = 0; end < 4; end++) {
        struct world world;
        struct message *message;
        struct hop *hop;

        world_open(&world, false);
        message = world_send(&world, &one);
        hop = world_hop(&world, "out");
        world.fenced = message;
        assert_null(queue_take(&world.queue, hop, 0));
        if (end == 0) {
            queue_release(&world.queue, message);
            assert_int_equal(hop->ready_count, 1);
        } else if (end == 1) {
            assert_true(queue_unlink_items(&world.queue, message)); /* it is routed anew */
            route_message(&world.router, message, NULL);
            queue_items(&world.queue, message);
            assert_int_equal(hop->ready_count, 1);
        } else if (end == 2) {
            queue_take_item(&world.queue, &message->first); /* by command */
            discard_removed(&world.discard, &message->first, false);
            assert_int_equal(world.forgotten_count, 1);
        } else {
            queue_withdraw(&world.queue, message);
            assert_int_equal(hop_item_count(hop), 0);
        }
        assert_int_equal(hop->aside_count, 0);
        assert_int_equal(world.queue.aside_count, 0);
        world_done(&world);
    }
}

/* What was redirected and is to follow its route again is not started where it stands, whoever
 * asks, until it is routed anew. */
static void test_unpinned(void **state)
{
    static const struct world_mail two = { "a@example.com",
        { "b@example.net", "c@example.net" } };
    struct world world;
    struct message *first, *second;
    struct item *item;
    struct hop *hop;

    (void)state;
    world_open(&world, false);
    first = world_send(&world, &two);
    second = world_send(&world, &one);
    hop = world_hop(&world, "out");
    first->first.is_unpinned = true;
    item = queue_take(&world.queue, hop, 1);
    assert_ptr_equal(item_message(item), second);
    assert_null(first->first.next); /* it was not split either */
    queue_put_back(&world.queue, item);
    queue_release(&world.queue, first);
    queue_retry_message(&world.queue, first);
    queue_retry_hop(&world.queue, hop);
    item = queue_take(&world.queue, hop, 0);
    assert_ptr_equal(item_message(item), second);
    assert_null(queue_take(&world.queue, hop, 0));
    world.fenced = second;
    queue_put_back(&world.queue, item);
    assert_null(queue_take(&world.queue, hop, 0));
    world.fenced = NULL;
    world_until(&world, is_one_aside, hop); /* the other was asked about, and goes */
    assert_int_equal(first->first.state, ITEM_ASIDE);
    assert_true(queue_unlink_items(&world.queue, first));
    route_message(&world.router, first, NULL);
    queue_items(&world.queue, first);
    assert_int_equal(hop->aside_count, 0);
    assert_int_equal(hop->ready_count, 2);
    world_done(&world);
}

static void test_split(void **state)
{
    static const struct world_mail two = { "a@example.com",
        { "b@example.net", "c@example.net" } };
    struct world world;
    struct item *item, *rest;

    (void)state;
    world_open(&world, false);
    world_send(&world, &two);
    item = queue_take(&world.queue, world_hop(&world, "out"), 0);
    item->is_unpinned = true;
    item->attempt_count = 3;
    rest = item_split(item, 1);
    assert_int_equal(rest->attempt_count, 3);
    assert_true(rest->is_unpinned);
    assert_int_equal(item_recipient(rest, 0), 1);
    queue_put_back(&world.queue, item);
    world_done(&world);
}

static void test_withdrawn(void **state)
{
    static const struct world_mail three = { "a@example.com",
        { "b@example.net", "c@example.net", "d@example.net" } };
    struct world world;
    struct message *message;
    struct item *item;
    struct hop *hop;

    (void)state;
    world_open(&world, false);
    message = world_send(&world, &three);
    hop = world_hop(&world, "out");
    item = queue_take(&world.queue, hop, 1);
    queue_withdraw(&world.queue, message);
    assert_null(queue_take(&world.queue, hop, 0));
    assert_int_equal(hop->ready_count, 0);
    assert_int_equal(hop->delivering_count, 1);
    queue_take_out(&world.queue, item);
    assert_int_equal(hop_item_count(hop), 0);
    assert_int_equal(message->delivering_count, 0);
    assert_null(queue_take(&world.queue, hop, 0));
    queue_retry_message(&world.queue, message);
    assert_int_equal(hop->ready_count, 0);
    world_done(&world);
}

/* --- The next hop ------------------------------------------------------------------------ */

static bool is_wanted(void *me)
{
    const struct world *world = me;
    return world->want_count > 0;
}

static void test_retry_plan(void **state)
{
    struct world world;
    struct hop *hop;
    struct moment before;

    (void)state;
    world_open(&world, false);
    world_send(&world, &one);
    hop = world_hop(&world, "out");
    for (uint32_t failures = 1; failures <= 3; failures++) {
        int64_t planned = failures == 1 ? 40 : 80; /* less a tenth, and a millisecond's step */
        world.want_count = 0;
        before = loop_now(world.loop);
        queue_hop_down(&world.queue, hop, "451 4.4.1 no answer");
        assert_int_equal(hop->failure_count, failures);
        assert_true(hop_is_resting(hop));
        assert_string_equal(hop->last_error, "451 4.4.1 no answer");
        world_send(&world, &one); /* must not want a hop that rests */
        if (hop_is_resting(hop))
            assert_int_equal(world.want_count, 0);
        world_until(&world, is_wanted, &world);
        assert_true(loop_now(world.loop).ms - before.ms >= planned - planned / 10 - 1);
    }
    assert_true(hop->is_down);
    queue_hop_up(&world.queue, hop);
    assert_false(hop->is_down);
    assert_null(hop->last_error);
    assert_int_equal(hop->failure_count, 0);
    world_done(&world);
}

static bool is_probed(void *me)
{
    const struct world *world = me;
    return world->probe_count >= 2;
}

/* Where another connector stands in, no mail waits for what is down: it is asked without. */
static void test_probed(void **state)
{
    struct settings *settings = world_settings();
    struct world world;
    struct hop *hop;

    (void)state;
    world_connector(settings, "out", "*", 1)->failover = true;
    world_init(&world, settings);
    world_send(&world, &one);
    hop = world_hop(&world, "out");
    queue_hop_down(&world.queue, hop, "down");
    world.want_count = 0;
    world_until(&world, is_probed, &world);
    assert_int_equal(world.want_count, 0);
    assert_true(hop_is_resting(hop));
    world_done(&world);
}

static void test_retry_now(void **state)
{
    struct world world;
    struct message *message;
    struct hop *hop;

    (void)state;
    world_open(&world, false);
    message = world_send(&world, &one);
    hop = world_hop(&world, "out");
    world_deliver(&world, hop, "l");
    queue_hop_down(&world.queue, hop, "down");
    world.want_count = 0;
    queue_retry_hop(&world.queue, hop);
    assert_int_equal(world.want_count, 1);
    assert_int_equal(hop->ready_count, 1);
    world_deliver(&world, hop, "l");
    world.want_count = 0;
    queue_retry_message(&world.queue, message);
    assert_int_equal(world.want_count, 1);
    assert_int_equal(message->first.state, ITEM_READY);
    world_done(&world);
}

enum { MUCH = 1100 }; /* more than gets ready, or rests, at once */

static bool all_rest(void *me)
{
    const struct hop *hop = me;

    list_each (node, &hop->ready[PRIORITY_NORMAL])
        if (!item_message(container_of(node, struct item, in_hop))->is_resting)
            return false;
    return true;
}

/* Of much that waits a part gets ready at once, the rest soon; what is refused in between waits for
 * its own time.  And when the hop goes down, all rest. */
static void test_retry_of_much(void **state)
{
    struct world world;
    struct item *item;
    struct hop *hop;

    (void)state;
    world_open(&world, false);
    for (int i = 0; i < MUCH; i++)
        world_send(&world, &one);
    hop = world_hop(&world, "out");
    while ((item = queue_take(&world.queue, hop, 0)))
        queue_defer(&world.queue, item, "later");
    assert_int_equal(hop->waiting_count, MUCH);
    queue_retry_hop(&world.queue, hop);
    assert_true(hop->waiting_count > 0 && hop->ready_count > 0);
    item = queue_take(&world.queue, hop, 0);
    queue_defer(&world.queue, item, "later");
    world_until(&world, one_waits, hop);
    assert_int_equal(hop->ready_count, MUCH - 1);
    assert_int_equal(item->state, ITEM_WAITING);
    queue_retry_hop(&world.queue, hop);
    world_until(&world, all_ready, hop);
    world_done(&world);
}

static void test_much_rests(void **state)
{
    struct world world;
    struct hop *hop;

    (void)state;
    world_open(&world, false);
    for (int i = 0; i < MUCH; i++)
        world_send(&world, &one);
    hop = world_hop(&world, "out");
    assert_false(all_rest(hop));
    queue_hop_down(&world.queue, hop, "down");
    world_until(&world, all_rest, hop);
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_oldest_first),
        cmocka_unit_test(test_suspended),
        cmocka_unit_test(test_suspended_message),
        cmocka_unit_test(test_suspended_message_is_refused),
        cmocka_unit_test(test_suspended_name),
        cmocka_unit_test(test_priority),
        cmocka_unit_test(test_walk),
        cmocka_unit_test(test_some_recipients_at_a_time),
        cmocka_unit_test(test_deferred),
        cmocka_unit_test(test_aside),
        cmocka_unit_test(test_aside_ends),
        cmocka_unit_test(test_unpinned),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_withdrawn),
        cmocka_unit_test(test_retry_plan),
        cmocka_unit_test(test_probed),
        cmocka_unit_test(test_retry_now),
        cmocka_unit_test(test_retry_of_much),
        cmocka_unit_test(test_much_rests),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
