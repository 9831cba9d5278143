/* What the tool reads from a spool that no daemon has open. */
#include "scratch.h"

#include "ctl/offline.h"
#include "mail/envelope.h"
#include "os/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#define CONTENT "Subject: x\r\n\r\nbody\r\n"
#define PREPEND "Received: by us\r\n"

struct place {
    char folder[40];
    struct loop *loop;
    struct spool *spool;
    struct spool_ticket ticket;
};

static const struct mid mid = { { 1, 2, 3 } };

static void ignore_message(void *me, const struct spool_found *found)
{
    (void)me;
    (void)found;
}

static void ignore_damage(void *me, uint64_t at, const char *why)
{
    (void)me;
    (void)at;
    (void)why;
}

static void ignore_progress(void *me, uint64_t done, uint64_t all)
{
    (void)me;
    (void)done;
    (void)all;
}

static void on_done(struct spool_ticket *ticket)
{
    loop_stop(ticket->loop);
}

static void open_spool(struct place *place)
{
    static const struct spool_visitor visitor = { NULL, ignore_message, ignore_damage,
        ignore_progress, NULL };
    struct spool_settings settings = { .folder = place->folder,
        .segment_bytes = 1 << 20,
        .memory_bytes_max = 1 << 20,
        .chunk_bytes = 64 << 10 };
    char why[256];

    strcpy(place->folder, "/tmp/relais-offline-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    assert_int_equal(loop_new(&place->loop), OK);
    assert_int_equal(spool_open(&place->spool, place->loop, &settings, &visitor, why), OK);
}

static void encode(struct buf *out)
{
    static const struct recipient recipients[] = { { .address = BYTES("b@example.com") },
        { .address = BYTES("c@example.com"), .orcpt = BYTES("rfc822;x") } };
    const struct envelope envelope = { .sender = BYTES("a@example.com"),
        .arrived = { 1795255200123 },
        .connector = BYTES("Default"),
        .prepend = BYTES(PREPEND),
        .content_bytes = sizeof CONTENT - 1,
        .recipient_count = 2,
        .recipients = recipients };

    assert_int_equal(envelope_encode(&envelope, out), OK);
}

/* One message for two, of whom the first has it. */
static void fill(struct place *place)
{
    static const uint32_t first = 0;
    struct spool_writer *writer =
        spool_writer_new(place->spool, place->loop, 1 << 20, NULL, NULL);
    struct spool_entry entry;
    struct buf envelope;

    buf_init(&envelope, 1 << 16);
    encode(&envelope);
    assert_int_equal(spool_append(writer, BYTES(CONTENT)), OK);
    place->ticket.on_done = on_done;
    place->ticket.loop = place->loop;
    spool_commit(&writer, mid, buf_bytes(&envelope), 2, NULL, NULL, &place->ticket);
    loop_run(place->loop);
    assert_int_equal(place->ticket.err, OK);
    buf_done(&envelope);
    spool_content_free(place->ticket.content);
    entry = place->ticket.entry;
    spool_adopt(place->spool, &entry);
    spool_note(place->spool, &entry, &first, 1, SPOOL_DELIVERED);
    spool_close(place->spool);
    loop_free(place->loop);
}

static int setup(void **state)
{
    static struct place place;

    open_spool(&place);
    fill(&place);
    *state = &place;
    return 0;
}

static int teardown(void **state)
{
    struct place *place = *state;

    scratch_remove(place->folder);
    return 0;
}

/* Without a configuration file: the defaults hold. */
static struct tool tool_of(const struct place *place)
{
    return (struct tool){ .spool_folder = place->folder, .config_file = "/nowhere/at/all" };
}

static void keep_row(void *me, const struct spool_found *found)
{
    struct ctl_object **row = me;

    assert_null(*row);
    *row = offline_row(found, false);
}

static void test_row(void **state)
{
    struct tool tool = tool_of(*state);
    struct ctl_object *row = NULL;
    struct offline_reader reader = { .on_message = keep_row, .me = &row };

    assert_int_equal(offline_scan(&tool, &reader), EX_OK);
    assert_non_null(row);
    assert_string_equal(ctl_text(row, "id"), "01020300000000000000000000000000");
    assert_string_equal(ctl_text(row, "from"), "a@example.com");
    assert_string_equal(ctl_text(row, "arrived"), "2026-11-21T10:00:00.123Z");
    assert_int_equal(ctl_list_count(row, "to"), 1);
    assert_string_equal(ctl_list_text(row, "to", 0), "c@example.com");
    assert_int_equal(ctl_number(row, "size", 0), sizeof CONTENT - 1);
    assert_int_equal(ctl_list_count(row, "recipients"), 0);
    ctl_free(row);
    tool_done(&tool);
}

static void test_message(void **state)
{
    struct tool tool = tool_of(*state);
    struct ctl_object *row = NULL, *recipient;
    struct buf content;

    buf_init(&content, 1 << 20);
    assert_int_equal(offline_message(&tool, mid, &row, &content), EX_OK);
    check_bytes("as it is sent on", buf_bytes(&content), BYTES(PREPEND CONTENT));
    assert_int_equal(ctl_list_count(row, "recipients"), 2);
    recipient = ctl_list_object(row, "recipients", 0);
    assert_string_equal(ctl_text(recipient, "outcome"), "delivered");
    ctl_free(recipient);
    recipient = ctl_list_object(row, "recipients", 1);
    assert_string_equal(ctl_text(recipient, "outcome"), "pending");
    assert_string_equal(ctl_text(recipient, "orcpt"), "rfc822;x");
    ctl_free(recipient);
    assert_string_equal(ctl_text(row, "connector"), "Default");
    ctl_free(row);
    buf_done(&content);
    tool_done(&tool);
}

static void test_none(void **state)
{
    struct tool tool = tool_of(*state);
    struct offline_reader reader = { .folder = "/nowhere/at/all" };
    struct ctl_object *row = NULL;
    struct buf content;

    buf_init(&content, 1 << 20);
    assert_int_equal(offline_message(&tool, (struct mid){ { 9 } }, &row, &content), EX_NOINPUT);
    assert_null(row);
    assert_int_equal(offline_scan(&tool, &reader), EX_NOINPUT);
    buf_done(&content);
    tool_done(&tool);
}

/* Copies are shown as copies, and what is over only as a word. */
static void test_roles(void **state)
{
    static const struct {
        const char *name;
        bool has_standing, has_envelope;
        uint8_t role;
        const char *status, *queue;
    } cases[] = {
        { "no standing", false, true, 0, "stored", NULL },
        { "ours", true, true, STANDING_PRIMARY, "stored", NULL },
        { "a copy", true, true, STANDING_HELD, "held", "shadow\\0c5e0000" },
        { "unclaimed", true, true, STANDING_UNCLAIMED, "unclaimed", "shadow\\0c5e0000" },
        { "set aside", true, true, STANDING_ASIDE, "aside", NULL },
        { "a word", true, false, STANDING_SETTLED, "settled", NULL },
        { "no envelope", true, false, STANDING_HELD, "damaged", "shadow\\0c5e0000" },
    };
    struct buf envelope;

    (void)state;
    buf_init(&envelope, 1 << 16);
    encode(&envelope);
    for (size_t i = 0; i < CASES(cases); i++) {
        struct spool_found found = { .mid = mid,
            .entry.recipient_count = 2,
            .has_standing = cases[i].has_standing,
            .standing = { .role = cases[i].role, .owner = { { 0x0c, 0x5e } } } };
        struct ctl_object *row;
        const char *queue;
        if (cases[i].has_envelope)
            found.envelope = buf_bytes(&envelope);
        row = offline_row(&found, true);
        queue = ctl_text(row, "queue");
        check_bytes(
            cases[i].name, bytes_text(ctl_text(row, "status")), bytes_text(cases[i].status));
        check_bytes(cases[i].name, bytes_text(queue), bytes_text(cases[i].queue));
        ctl_free(row);
    }
    buf_done(&envelope);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_roles),
        cmocka_unit_test(test_row),
        cmocka_unit_test(test_message),
        cmocka_unit_test(test_none),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
