/* Who goes before a message that was told to slow down. */
#include "flow_kit.h"

#include <stdio.h>

/* A letter for the sender, a digit for the recipient. */
static void send(struct world *world, const char *name)
{
    char sender[] = "?@example.com", recipient[] = "?@example.net";

    sender[0] = name[0];
    recipient[0] = name[1];
    world_send(world, &(struct world_mail){ sender, { recipient } });
}

static void name_of(const struct item *item, char out[3])
{
    struct bytes encoded = message_envelope(item_message(item));
    struct envelope_cursor cursor;
    struct recipient recipient;

    envelope_recipients(encoded, &cursor);
    assert_true(envelope_next_recipient(&cursor, &recipient));
    out[0] = (char)envelope_sender(encoded).at[0];
    out[1] = (char)recipient.address.at[0];
    out[2] = 0;
}

/* The order in which they leave now. */
static void drain(struct world *world, struct hop *hop, char *out)
{
    struct item *item;

    *out = 0;
    while ((item = queue_take(&world->queue, hop, 0))) {
        char name[3];
        name_of(item, name);
        if (*out)
            strcat(out, " ");
        strcat(out, name);
        queue_item_done(&world->queue, item);
        item_message(item)->pending_count = 0;
    }
}

static void test_others_pass(void **state)
{
    static const struct {
        const char *name, *come, *leave;
        int told; /* so often the first one, 0: once */
    } cases[] = {
        { "two others, and it is its turn again", "a1 b2 c3 d4", "b2 c3 a1 d4" },
        { "not of its sender", "a1 a2 b3 a4 c5 d6", "b3 c5 a1 a2 a4 d6" },
        { "not to its recipient", "a1 b1 c2 d1 e3 f4", "c2 e3 a1 b1 d1 f4" },
        { "there is one", "a1 a2 b3", "b3 a1 a2" },
        { "there are none: the next", "a1 a2 a3 a4", "a2 a3 a1 a4" },
        { "the last two", "a1 a2", "a2 a1" },
        { "alone", "a1", "a1" },
        { "those who were told do not pass for ever", "a1 b2 c3 d4", "d4 c3 b2 a1", 3 },
        { "nor those of one sender", "a1 a2 a3 a4", "a4 a3 a2 a1", 3 },
        { "unless all were", "a1 b2", "b2 a1", 3 },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct world world;
        struct hop *hop;
        char left[40];

        world_open(&world, false);
        for (const char *c = cases[i].come; *c; c += c[2] ? 3 : 2)
            send(&world, c);
        hop = world_hop(&world, "out");
        for (int told = 0; told == 0 || told < cases[i].told; told++)
            world_deliver(&world, hop, "s");
        drain(&world, hop, left);
        if (strcmp(left, cases[i].leave) != 0)
            fail_msg("%s: %s", cases[i].name, left);
        world_done(&world);
    }
}

/* He who sends too much has thousands there; what others send comes in behind them. */
static void test_others_far_behind(void **state)
{
    enum { MUCH = 1100 };
    struct world world;
    struct item *item;
    struct hop *hop;
    char name[3];

    (void)state;
    world_open(&world, false);
    for (int i = 0; i < MUCH; i++)
        send(&world, "a1");
    send(&world, "b2");
    hop = world_hop(&world, "out");
    world_deliver(&world, hop, "s");
    item = queue_take(&world.queue, hop, 0);
    name_of(item, name);
    assert_string_equal(name, "b2");
    queue_put_back(&world.queue, item);
    assert_int_equal(hop->ready_count, MUCH + 1);
    world_done(&world);
}

/* It was an attempt, and why it waits can be seen (QU-7). */
static void test_its_error_is_kept(void **state)
{
    struct world world;
    struct message *message;
    struct hop *hop;

    (void)state;
    world_open(&world, false);
    send(&world, "a1");
    message = world.latest;
    hop = world_hop(&world, "out");
    world.want_count = 0;
    world_deliver(&world, hop, "s");
    assert_int_equal(message->first.state, ITEM_READY);
    assert_int_equal(world.want_count, 1);
    assert_int_equal(message->first.attempt_count, 1);
    assert_string_equal(message->first.last_error->text,
        "mx.example.net[192.0.2.1]:25 said: 432 4.3.2 slow down");
    world_done(&world);
}

static void test_suspended_meanwhile(void **state)
{
    struct world world;
    struct item *item;
    struct hop *hop;

    (void)state;
    world_open(&world, false);
    send(&world, "a1");
    hop = world_hop(&world, "out");
    item = queue_take(&world.queue, hop, 0);
    queue_suspend(&world.queue, world.latest);
    queue_put_behind(&world.queue, item, "slow down");
    assert_int_equal(item->state, ITEM_SUSPENDED);
    assert_int_equal(hop->ready_count, 0);
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_others_pass),
        cmocka_unit_test(test_others_far_behind),
        cmocka_unit_test(test_its_error_is_kept),
        cmocka_unit_test(test_suspended_meanwhile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
