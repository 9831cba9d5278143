/* Discard: outcomes, notifications and the end of a message. */
#include "flow_kit.h"

#include <stdio.h>

static void open_world(struct world *world)
{
    struct settings *settings = world_settings();

    world_connector(settings, "out", "*", 1);
    world_connector(settings, "inside", "inside.example", 1);
    world_init(world, settings);
}

/* --- Notifications ----------------------------------------------------------------------- */

static bool is_quiet(void *me)
{
    const struct world *world = me;
    return world->discard.notice_count == 0;
}

static bool has_notice(void *me)
{
    const struct world *world = me;
    return world->message_count == 2;
}

/* The sender of a notification, its one recipient and its text, which has SAYS, or what stands
 * behind a "!" there not. */
static void check_notice(
    struct world *world, const char *name, const char *to, const char *says)
{
    struct message *notice = world->latest;
    struct envelope_cursor cursor;
    struct envelope envelope;
    struct recipient recipient;
    struct bytes text;
    bool is_absent = *says == '!';

    check(name, envelope_decode(message_envelope(notice), &envelope) == OK);
    check(name, envelope.sender.n == 0);
    check(name, envelope.recipient_count == 1);
    envelope_recipients(message_envelope(notice), &cursor);
    check(name, envelope_next_recipient(&cursor, &recipient));
    check_bytes(name, recipient.address, bytes_text(to));
    check(name, message_content(notice));
    text = spool_content_at(message_content(notice), 0);
    says += is_absent;
    if ((memmem(text.at, text.n, says, strlen(says)) == NULL) != is_absent)
        fail_msg("%s: no \"%s\" in: %.*s", name, says, BYTES_ARGS(text));
}

static const struct notice_case {
    const char *name, *sender;
    uint8_t notify;
    const char *fate;
    const char *says; /* NULL: nothing is sent */
} notice_cases[] = {
    { "failed", "a@example.com", 0, "f", "Action: failed" },
    { "its status", "a@example.com", 0, "f", "Status: 5.1.1" },
    { "when", "a@example.com", 0, "f", "\r\nLast-Attempt-Date: " },
    { "its cause", "a@example.com", 0, "f", "no such user" },
    { "who said so", "a@example.com", 0, "f", "mx.example.net" },
    { "the original", "a@example.com", 0, "f", "Some text." },
    { "its type", "a@example.com", 0, "f", "Content-Type: message/rfc822\r\n" },
    { "NOTIFY=FAILURE", "a@example.com", NOTIFY_FAILURE, "f", "Action: failed" },
    { "NOTIFY=NEVER", "a@example.com", NOTIFY_NEVER, "f", NULL },
    { "NOTIFY=SUCCESS does not ask for failures", "a@example.com", NOTIFY_SUCCESS, "f", NULL },
    { "NOTIFY=DELAY does not ask for failures", "a@example.com", NOTIFY_DELAY, "f", NULL },
    { "null sender", "", 0, "f", NULL },
    { "null sender with NOTIFY", "", NOTIFY_FAILURE | NOTIFY_SUCCESS, "f", NULL },
    { "delivered", "a@example.com", 0, "d", NULL },
    { "delivered, NOTIFY=FAILURE", "a@example.com", NOTIFY_FAILURE, "d", NULL },
    { "delivered, NOTIFY=SUCCESS", "a@example.com", NOTIFY_SUCCESS, "d", "Action: relayed" },
    { "delivered: its header alone", "a@example.com", NOTIFY_SUCCESS, "d", "!Some text." },
    { "delivered: the type of that", "a@example.com", NOTIFY_SUCCESS, "d",
        "Content-Type: text/rfc822-headers\r\n" },
    { "delivered, null sender", "", NOTIFY_SUCCESS, "d", NULL },
};

static void test_notices(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(notice_cases); i++) {
        const struct notice_case *c = &notice_cases[i];
        struct world world;
        struct mid mid;

        open_world(&world);
        mid = world_send(
            &world, &(struct world_mail){ c->sender, { "b@example.net" }, .notify = c->notify })
                  ->entry.by_mid.mid;
        world_deliver(&world, world_hop(&world, "out"), c->fate);
        if (c->says) {
            check(c->name, queue_find(&world.queue, mid)); /* not over before it is told */
            world_until(&world, has_notice, &world);
            check_notice(&world, c->name, c->sender, c->says);
        }
        check(c->name, world.message_count == (c->says ? 2 : 1));
        check(c->name, world.forgotten_count == 1);
        check(c->name, !queue_find(&world.queue, mid));
        check(c->name, is_quiet(&world));
        world_done(&world);
    }
}

/* --- Several recipients ------------------------------------------------------------------ */

static const struct fates_case {
    const char *name, *first, *second; /* fates of two deliveries */
    unsigned messages;                 /* with the notifications */
} fates_cases[] = {
    { "all at once", "ddd", NULL, 1 },
    { "one later", "dld", "d", 1 },
    { "all later", "lll", "ddd", 1 },
    { "one refused", "dfd", NULL, 2 },
    { "two refused are told of together", "ffd", NULL, 2 },
    { "refused, delivered and later", "fdl", "d", 2 },
    { "refused twice", "fdl", "f", 3 },
    { "refused after all", "ldd", "f", 2 },
};

struct settled {
    struct world *world;
    unsigned messages;
};

static bool is_settled(void *me)
{
    const struct settled *settled = me;

    return settled->world->forgotten_count == 1 &&
           settled->world->message_count == settled->messages;
}

static void test_partial_outcomes(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(fates_cases); i++) {
        const struct fates_case *c = &fates_cases[i];
        struct world world;
        struct settled settled = { &world, c->messages };
        struct message *message;
        struct hop *hop;

        open_world(&world);
        message =
            world_send(&world, &(struct world_mail){ "a@inside.example",
                                   { "b@example.net", "c@example.net", "d@example.net" } });
        hop = world_hop(&world, "out");
        world_deliver(&world, hop, c->first);
        if (c->second) {
            check(c->name, world.forgotten_count == 0);
            check(c->name, hop->waiting_count == 1);
            world_until(&world, is_quiet, &world);
            queue_retry_message(&world.queue, message);
            world_deliver(&world, hop, c->second);
        }
        world_until(&world, is_settled, &settled);
        check(c->name, hop_item_count(hop) == 0);
        world_done(&world);
    }
}

static void test_several_hops(void **state)
{
    struct world world;

    (void)state;
    open_world(&world);
    world_send(&world, &(struct world_mail){ "a@example.com",
                           { "b@example.net", "c@inside.example", "d@example.net" } });
    world_deliver(&world, world_hop(&world, "inside"), "d");
    assert_int_equal(world.forgotten_count, 0);
    assert_int_equal(world.idle_count, 1);
    world_deliver(&world, world_hop(&world, "out"), "dd");
    assert_int_equal(world.forgotten_count, 1);
    world_done(&world);
}

/* The same address twice is two recipients: each has its outcome. */
static void test_duplicate_recipients(void **state)
{
    struct world world;

    (void)state;
    open_world(&world);
    world_send(
        &world, &(struct world_mail){ "a@example.com", { "b@example.net", "b@example.net" } });
    world_deliver(&world, world_hop(&world, "out"), "dl");
    assert_int_equal(world.forgotten_count, 0);
    queue_retry_hop(&world.queue, world_hop(&world, "out"));
    world_deliver(&world, world_hop(&world, "out"), "d");
    assert_int_equal(world.forgotten_count, 1);
    world_done(&world);
}

/* --- Ends by ourselves ------------------------------------------------------------------- */

static void test_expired(void **state)
{
    struct world world;
    struct message *message;

    (void)state;
    open_world(&world);
    message = world_send(&world, &(struct world_mail){ "a@example.com", { "b@example.net" } });
    queue_take_item(&world.queue, &message->first);
    discard_expired(&world.discard, &message->first);
    world_until(&world, has_notice, &world);
    check_notice(&world, "expired", "a@example.com", "Status: 4.4.7");
    check_notice(&world, "expired", "a@example.com", "QUEUE.Expired; message expired");
    check_notice(&world, "expired by no attempt", "a@example.com", "!Last-Attempt-Date");
    assert_int_equal(world.forgotten_count, 1);
    world_done(&world);
}

static void test_removed(void **state)
{
    (void)state;
    for (int with_notice = 0; with_notice <= 1; with_notice++) {
        struct world world;
        struct message *message;

        open_world(&world);
        message =
            world_send(&world, &(struct world_mail){ "a@example.com", { "b@example.net" } });
        queue_take_item(&world.queue, &message->first);
        discard_removed(&world.discard, &message->first, with_notice);
        if (with_notice)
            world_until(&world, has_notice, &world);
        if (with_notice)
            check_notice(
                &world, "removed by no attempt", "a@example.com", "!Last-Attempt-Date");
        assert_int_equal(world.message_count, 1 + with_notice);
        assert_int_equal(world.forgotten_count, 1);
        world_done(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_notices),
        cmocka_unit_test(test_partial_outcomes),
        cmocka_unit_test(test_several_hops),
        cmocka_unit_test(test_duplicate_recipients),
        cmocka_unit_test(test_expired),
        cmocka_unit_test(test_removed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
