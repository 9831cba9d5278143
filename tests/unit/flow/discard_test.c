/* Discard: outcomes, notifications and the end of a message. */
#include "flow_kit.h"

#include "report/report.h"

#include <stdio.h>
#include <stdlib.h>

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

/* What was folded is one line again.  malloc'd. */
static char *unfold(struct bytes text)
{
    char *out = bytes_to_text(text), *to = out;

    for (const char *at = out; *at; at++) {
        *to = *at;
        if (strncmp(at, "\r\n", 2) == 0 && strspn(at + 2, " \t")) {
            *to = ' ';
            at += 1 + strspn(at + 2, " \t");
        }
        to++;
    }
    *to = 0;
    return out;
}

/* TEXT has FACT, or not what stands behind a "!". */
static void check_fact(const char *name, const char *text, const char *fact)
{
    bool is_absent = *fact == '!';

    if ((strstr(text, fact + is_absent) == NULL) != is_absent)
        fail_msg("%s: %s in: %s", name, fact, text);
}

/* The sender of a notification, its one recipient and a fact of its text. */
static void check_notice(
    struct world *world, const char *name, const char *to, const char *says)
{
    struct message *notice = world->latest;
    struct envelope_cursor cursor;
    struct envelope envelope;
    struct recipient recipient;
    char *text;

    check(name, envelope_decode(message_envelope(notice), &envelope) == OK);
    check(name, envelope.sender.n == 0);
    check(name, envelope.recipient_count == 1);
    envelope_recipients(message_envelope(notice), &cursor);
    check(name, envelope_next_recipient(&cursor, &recipient));
    check_bytes(name, recipient.address, bytes_text(to));
    check(name, message_content(notice));
    text = unfold(spool_content_at(message_content(notice), 0));
    check_fact(name, text, says);
    free(text);
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

#define MX "mx.example.net[192.0.2.1]:25"

static void refuse(struct world *world)
{
    world_deliver(world, world_hop(world, "out"), "l");
}

static void be_closed(struct world *world)
{
    queue_hop_down(&world->queue, world_hop(world, "out"), MX ": 451 4.4.1 connect: refused");
}

static void refuse_login(struct world *world)
{
    queue_hop_down(&world->queue, world_hop(world, "out"),
        MX " refused our user and password and said: 535 5.7.8 no");
}

static void have_no_address(struct world *world)
{
    queue_hop_down(&world->queue, world_hop(world, "out"), "451 4.4.3 no address of mx");
}

static void have_a_closed_socket(struct world *world)
{
    queue_hop_down(
        &world->queue, world_hop(world, "out"), "/run/lmtp: 451 4.4.1 connect: refused");
}

static void suspend(struct world *world)
{
    queue_suspend_hop(&world->queue, world_hop(world, "out"), true);
    world->slowed_by = MX " said: 421 4.7.0 slow down";
}

static void slow_down(struct world *world)
{
    world->slowed_by = MX " said: 421 4.7.0 slow down";
}

static void limit_rate(struct world *world)
{
    world->setup->settings->send[0].messages_per_minute_max = 5;
}

static void keep_busy(struct world *world)
{
    (void)world;
}

/* What its sender is told of a message that could not leave, when it is late and when it is too
 * old. */
static const struct reason_case {
    const char *name;
    void (*keep)(struct world *world);
    const char *delayed[4], *expired[3];
} reason_cases[] = {
    { "refused for now", refuse,
        { "Status: 4.7.1\r\nRemote-MTA: dns; mx.example.net\r\n",
            "Diagnostic-Code: smtp; 451 4.7.1 greylisted\r\n",
            "The server " MX " said: 451 4.7.1 greylisted" },
        { "smtp; 550 4.4.7 QUEUE.Expired; message expired; last: " MX
          " said: 451 4.7.1 greylisted\r\n",
            "Remote-MTA: dns; mx.example.net\r\n", "!The server" } },
    { "no host answers", be_closed,
        { "Status: 4.4.1\r\nDiagnostic-Code: smtp; 451 4.4.1 " MX ": connect: refused\r\n",
            "!Remote-MTA", "!The server" },
        { "; message expired; last: 451 4.4.1 " MX ": connect: refused\r\n", "!Remote-MTA" } },
    { "a refusal for good that is tried again", refuse_login,
        { "Status: 4.7.8\r\nRemote-MTA: dns; mx.example.net\r\n",
            "Diagnostic-Code: smtp; 535 5.7.8 no\r\n", "The server " MX " said: 535 5.7.8 no" },
        { "; message expired; last: " MX " said: 535 5.7.8 no\r\n" } },
    { "no address", have_no_address,
        { "Status: 4.4.3\r\n", "smtp; 451 4.4.3 no address of mx\r\n", "!Remote-MTA" },
        { "; message expired; last: 451 4.4.3 no address of mx\r\n" } },
    { "paths are ours", have_a_closed_socket,
        { "smtp; 451 4.4.1 connect: refused\r\n", "!/run", "!Remote-MTA" },
        { "; message expired; last: 451 4.4.1 connect: refused\r\n", "!/run" } },
    { "suspended", suspend,
        { "Status: 4.3.2\r\n", "smtp; 451 4.3.2 the queue is suspended\r\n", "!Remote-MTA" },
        { "; message expired; the queue is suspended\r\n" } },
    { "slowed down", slow_down,
        { "Status: 4.7.0\r\nRemote-MTA: dns; mx.example.net\r\n",
            "Diagnostic-Code: smtp; 421 4.7.0 slow down\r\n" },
        { "; message expired; last: " MX " said: 421 4.7.0 slow down\r\n" } },
    { "so many a minute", limit_rate,
        { "Status: 4.4.5\r\n", "it waits for its turn: 5 messages a minute may go there\r\n" },
        { "; message expired; it waits for its turn: 5 messages" } },
    { "not tried yet", keep_busy,
        { "Status: 4.4.5\r\n", "smtp; 451 4.4.5 it waits for its turn\r\n", "!no route" },
        { "; message expired; it waits for its turn\r\n" } },
};

/* What is told goes by another next hop. */
static void check_reason(const struct reason_case *c, bool is_expired)
{
    const char *const *facts = is_expired ? c->expired : c->delayed;
    size_t count = is_expired ? CASES(c->expired) : CASES(c->delayed);
    struct message *message;
    struct world world;

    open_world(&world);
    message =
        world_send(&world, &(struct world_mail){ "a@inside.example", { "b@example.net" } });
    c->keep(&world);
    if (is_expired) {
        queue_take_item(&world.queue, &message->first);
        discard_expired(&world.discard, &message->first);
    } else {
        discard_delayed(&world.discard, message);
    }
    world_until(&world, has_notice, &world);
    check_notice(&world, c->name, "a@inside.example",
        is_expired ? "Action: failed\r\nStatus: 4.4.7\r\n" : "Action: delayed\r\n");
    check_notice(&world, c->name, "a@inside.example", "!Last-Attempt-Date");
    for (size_t i = 0; i < count && facts[i]; i++)
        check_notice(&world, c->name, "a@inside.example", facts[i]);
    check(c->name, world.forgotten_count == is_expired);
    world_until(&world, is_quiet, &world);
    world_done(&world);
}

static void test_reasons(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(reason_cases); i++) {
        check_reason(&reason_cases[i], false);
        check_reason(&reason_cases[i], true);
    }
}

static void test_no_route(void **state)
{
    struct settings *settings = world_settings();
    struct message *message;
    struct world world;

    (void)state;
    world_connector(settings, "inside", "inside.example", 1);
    world_init(&world, settings);
    message =
        world_send(&world, &(struct world_mail){ "a@inside.example", { "b@example.net" } });
    discard_delayed(&world.discard, message);
    world_until(&world, has_notice, &world);
    check_notice(&world, "no route", "a@inside.example", "Status: 4.4.4\r\n");
    check_notice(&world, "no route", "a@inside.example", "smtp; 451 4.4.4 no route to it\r\n");
    world_until(&world, is_quiet, &world);
    world_done(&world);
}

/* Each recipient of one notification has a reason of his own. */
static void test_reasons_of_several(void **state)
{
    static const char *const facts[] = {
        "Final-Recipient: rfc822; b@example.net\r\nAction: delayed\r\nStatus: 4.7.1\r\n"
        "Remote-MTA: dns; mx.example.net\r\n",
        "Final-Recipient: rfc822; c@inside.example\r\nAction: delayed\r\nStatus: 4.4.1\r\n"
        "Diagnostic-Code: smtp; 451 4.4.1 no answer\r\n",
        "Final-Recipient: rfc822; d@example.net\r\nAction: delayed\r\nStatus: 4.7.1\r\n"
    };
    struct world world;
    struct message *message;

    (void)state;
    open_world(&world);
    message =
        world_send(&world, &(struct world_mail){ "a@example.com",
                               { "b@example.net", "c@inside.example", "d@example.net" } });
    world_deliver(&world, world_hop(&world, "out"), "ll");
    queue_hop_down(&world.queue, world_hop(&world, "inside"), "451 4.4.1 no answer");
    discard_delayed(&world.discard, message);
    world_until(&world, has_notice, &world);
    for (size_t i = 0; i < CASES(facts); i++)
        check_notice(&world, "several", "a@example.com", facts[i]);
    world_until(&world, is_quiet, &world);
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

/* --- The tracking log -------------------------------------------------------------------- */

static void begin_tracking(const struct world *world, char path[128])
{
    struct report_settings settings = { .target = 0, .tracking_file = path };
    char why[256];

    snprintf(path, 128, "%s/tracking", world->folder);
    assert_int_equal(report_init(&settings, why), OK);
}

/* The line of the event has the Message-ID in its column. */
static void check_tracked(const char *name, const char *path, const char *event, const char *id)
{
    char line[4096], wanted[200];
    FILE *file = fopen(path, "re");
    unsigned found = 0;

    assert_non_null(file);
    snprintf(wanted, sizeof wanted, ",%s,", event);
    while (fgets(line, sizeof line, file)) {
        const char *at = strstr(line, wanted);
        if (!at)
            continue;
        at = strchr(at + strlen(wanted), ','); /* behind our own id */
        check(name, at && strncmp(at + 1, id, strlen(id)) == 0 && at[1 + strlen(id)] == ',');
        found++;
    }
    fclose(file);
    check(name, found == 1);
}

static const struct tracked_case {
    const char *name, *sender;
    bool rests, expires;
    const char *event;
} tracked_cases[] = {
    { "delivered at once", "a@example.com", false, false, "SEND" },
    { "expired", "a@example.com", false, true, "FAIL" },
    { "rested, then expired", "a@example.com", true, true, "FAIL" },
    { "rested, then expired, nobody is told", "", true, true, "FAIL" },
    /* Deliver reads the envelope; the test's has not: it is read all the same. */
    { "rested, then delivered", "a@example.com", true, false, "SEND" },
};

static bool is_forgotten(void *me)
{
    const struct world *world = me;
    return world->forgotten_count > 0;
}

static void test_tracked(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(tracked_cases); i++) {
        const struct tracked_case *c = &tracked_cases[i];
        struct world world;
        struct message *message;
        char path[128];

        open_world(&world);
        begin_tracking(&world, path);
        message = world_send(&world, &(struct world_mail){ c->sender, { "b@example.net" },
                                         .message_id = "<1@example.com>" });
        if (c->rests)
            message_rest(message);
        if (c->expires) {
            queue_take_item(&world.queue, &message->first);
            discard_expired(&world.discard, &message->first);
        } else {
            world_deliver(&world, world_hop(&world, "out"), "d");
        }
        world_until(&world, is_forgotten, &world);
        world_until(&world, is_quiet, &world);
        check_tracked(c->name, path, c->event, "<1@example.com>");
        report_done();
        world_done(&world);
    }
}

/* The notification has a Message-ID of its own, in its own lines and in the one that tells of it. */
static void test_notice_is_tracked(void **state)
{
    struct world world;
    struct envelope envelope;
    char path[128], id[ID_TEXT_BYTES], wanted[200];

    (void)state;
    open_world(&world);
    begin_tracking(&world, path);
    world_send(&world, &(struct world_mail){ "a@example.com", { "b@example.net" } });
    world_deliver(&world, world_hop(&world, "out"), "f");
    world_until(&world, has_notice, &world);
    mid_format(world.latest->entry.by_mid.mid, id);
    snprintf(wanted, sizeof wanted, "<%s@relay.example.com>", id);
    check_notice(&world, "its field", "a@example.com", wanted);
    assert_int_equal(envelope_decode(message_envelope(world.latest), &envelope), OK);
    check_bytes("its envelope", envelope.message_id, bytes_text(wanted));
    check_tracked("the line about it", path, "DSN,DSN", wanted); /* source and event */
    report_done();
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_notices),
        cmocka_unit_test(test_partial_outcomes),
        cmocka_unit_test(test_several_hops),
        cmocka_unit_test(test_duplicate_recipients),
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_no_route),
        cmocka_unit_test(test_reasons_of_several),
        cmocka_unit_test(test_removed),
        cmocka_unit_test(test_tracked),
        cmocka_unit_test(test_notice_is_tracked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
