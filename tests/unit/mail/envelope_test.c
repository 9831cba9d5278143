#include "kit.h"

#include "mail/envelope.h"

static const struct recipient recipients[] = {
    { BYTES("one@example.com"), BYTES("rfc822;one@example.com"), NOTIFY_NEVER },
    { BYTES("two@example.net"), { NULL, 0 }, 0 },
    { BYTES("three@example.org"), { NULL, 0 }, NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY },
};

static struct envelope full_envelope(void)
{
    return (struct envelope){
        .sender = BYTES("sender@example.com"),
        .envid = BYTES("QQ+2B314"),
        .auth = BYTES("<>"),
        .ret = RET_HDRS,
        .body = BODY_BINARYMIME,
        .is_smtputf8 = true,
        .has_dot_line = true,
        .has_8bit = true,
        .has_utf8_header = true,
        .priority = -9,
        .crash_count = 1,
        .hop_count = 255,
        .arrived = { 1790000000123 },
        .session = { 0xFEDCBA9876543210 },
        .connector = BYTES("Default Frontend"),
        .client_name = BYTES("printer.example.com"),
        .client_ip = BYTES("2001:db8::1"),
        .client_user = BYTES("scanner"),
        .message_id = BYTES("<a@b>"),
        .prepend = BYTES("Received: from x\r\n"),
        .content_bytes = 10240,
        .recipient_count = CASES(recipients),
        .recipients = recipients,
    };
}

static struct buf encode(const struct envelope *envelope)
{
    struct buf buf;
    buf_init(&buf, ENVELOPE_BYTES_MAX);
    assert_int_equal(envelope_encode(envelope, &buf), OK);
    return buf;
}

static void check_texts(const struct envelope *got, const struct envelope *want)
{
    check_bytes("sender", got->sender, want->sender);
    check_bytes("envid", got->envid, want->envid);
    check_bytes("auth", got->auth, want->auth);
    check_bytes("connector", got->connector, want->connector);
    check_bytes("client_name", got->client_name, want->client_name);
    check_bytes("client_ip", got->client_ip, want->client_ip);
    check_bytes("client_user", got->client_user, want->client_user);
    check_bytes("message_id", got->message_id, want->message_id);
    check_bytes("prepend", got->prepend, want->prepend);
}

static void check_same(const struct envelope *got, const struct envelope *want)
{
    check_texts(got, want);
    assert_int_equal(got->ret, want->ret);
    assert_int_equal(got->body, want->body);
    assert_int_equal(got->is_smtputf8, want->is_smtputf8);
    assert_int_equal(got->has_dot_line, want->has_dot_line);
    assert_int_equal(got->has_8bit, want->has_8bit);
    assert_int_equal(got->has_utf8_header, want->has_utf8_header);
    assert_int_equal(got->priority, want->priority);
    assert_int_equal(got->crash_count, want->crash_count);
    assert_int_equal(got->hop_count, want->hop_count);
    assert_int_equal(got->arrived.ms, want->arrived.ms);
    assert_int_equal(got->session.n, want->session.n);
    assert_int_equal(got->content_bytes, want->content_bytes);
    assert_int_equal(got->recipient_count, want->recipient_count);
    assert_null(got->recipients);
}

static void check_recipients(struct bytes encoded, const struct envelope *want)
{
    struct envelope_cursor cursor;
    struct recipient recipient;

    envelope_recipients(encoded, &cursor);
    for (size_t i = 0; i < want->recipient_count; i++) {
        assert_true(envelope_next_recipient(&cursor, &recipient));
        check_bytes("address", recipient.address, want->recipients[i].address);
        check_bytes("orcpt", recipient.orcpt, want->recipients[i].orcpt);
        assert_int_equal(recipient.notify, want->recipients[i].notify);
    }
    assert_false(envelope_next_recipient(&cursor, &recipient));
    assert_false(envelope_next_recipient(&cursor, &recipient));
}

static void what_is_written_is_read(void **state)
{
    struct envelope full = full_envelope(), empty = { 0 }, numbers = { 0 };
    const struct envelope *cases[] = { &full, &empty, &numbers };

    (void)state;
    numbers.arrived.ms = -1;
    numbers.session.n = UINT64_MAX;
    numbers.content_bytes = (uint64_t)1 << 40;
    numbers.priority = 9;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct buf buf = encode(cases[i]);
        struct envelope got;
        assert_int_equal(envelope_decode(buf_bytes(&buf), &got), OK);
        assert_true(bytes_equal(envelope_sender(buf_bytes(&buf)), got.sender));
        check_same(&got, cases[i]);
        check_recipients(buf_bytes(&buf), cases[i]);
        buf_done(&buf);
    }
}

/* Cut between two fields it is a shorter envelope (the spool's checksum tells), cut elsewhere
 * it is none; the copy is as short as the text, for the address sanitizer. */
static void a_cut_envelope_is_never_read_past_its_end(void **state)
{
    struct envelope full = full_envelope();
    struct buf buf = encode(&full);

    (void)state;
    for (size_t cut = 0; cut < buf.n; cut++) {
        uint8_t *copy = memcpy(test_malloc(cut + !cut), buf.at, cut);
        struct envelope got;
        struct envelope_cursor cursor;
        struct recipient recipient;
        enum err err = envelope_decode(bytes_of(copy, cut), &got);
        assert_true(err == OK || err == ERR_CORRUPT);
        envelope_recipients(bytes_of(copy, cut), &cursor);
        while (envelope_next_recipient(&cursor, &recipient))
            assert_true(recipient.address.n > 0);
        test_free(copy);
    }
    buf_done(&buf);
}

static void reads_and_refuses(void **state)
{
    static const struct {
        const char *name;
        struct bytes encoded;
        enum err err;
    } cases[] = {
        { "nothing", { NULL, 0 }, OK },
        { "unknown tags", BYTES("\xF0\x01x\x02\x01s\xF1\x00\x11\x01r\xF2\x02yy"), OK },
        { "a length of two bytes for a short value", BYTES("\x02\x81\x00s"), OK },
        { "flags of a later version in the known byte", BYTES("\x01\x01\x30"), ERR_CORRUPT },
        { "body 3", BYTES("\x01\x01\xC0"), ERR_CORRUPT },
        { "flags of two bytes", BYTES("\x01\x02\x01\x01"), ERR_CORRUPT },
        { "priority 0", BYTES("\x05\x00"), ERR_CORRUPT },
        { "priority 10", BYTES("\x05\x01\x14"), ERR_CORRUPT },
        { "nine bytes of number",
            BYTES("\x08\x09"
                  "123456789"),
            ERR_CORRUPT },
        { "twice the sender",
            BYTES("\x02\x01"
                  "a\x02\x01"
                  "b"),
            ERR_CORRUPT },
        { "the sender behind a recipient", BYTES("\x11\x01r\x02\x01s"), ERR_CORRUPT },
        { "notify without recipient", BYTES("\x12\x01\x01"), ERR_CORRUPT },
        { "notify 16", BYTES("\x11\x01r\x12\x01\x10"), ERR_CORRUPT },
        { "an empty recipient", BYTES("\x11\x00"), ERR_CORRUPT },
        { "tag alone", BYTES("\x02"), ERR_CORRUPT },
        { "length without end", BYTES("\x02\x80"), ERR_CORRUPT },
        { "length of six bytes", BYTES("\x02\x80\x80\x80\x80\x80\x00"), ERR_CORRUPT },
        { "length over the end", BYTES("\x02\xFF\xFF\xFF\xFF\x7Fx"), ERR_CORRUPT },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct envelope got = { .hop_count = 77 };
        check(cases[i].name, envelope_decode(cases[i].encoded, &got) == cases[i].err);
        if (cases[i].err != OK)
            check(cases[i].name, got.hop_count == 77);
    }
}

static void later_tags_of_a_recipient_are_skipped(void **state)
{
    struct envelope_cursor cursor;
    struct recipient recipient;

    (void)state;
    envelope_recipients(
        BYTES("\x02\x01s\x11\x01r\xF0\x01x\x13\x03o;p\xF1\x00\x11\x01t\x12\x01\x01"), &cursor);
    assert_true(envelope_next_recipient(&cursor, &recipient));
    check_bytes("first", recipient.address, BYTES("r"));
    check_bytes("its orcpt", recipient.orcpt, BYTES("o;p"));
    assert_true(envelope_next_recipient(&cursor, &recipient));
    check_bytes("second", recipient.address, BYTES("t"));
    assert_int_equal(recipient.notify, NOTIFY_NEVER);
    assert_int_equal(recipient.orcpt.n, 0);
    assert_false(envelope_next_recipient(&cursor, &recipient));
}

/* One recipient, anonymous, on the LAN: what the queue holds in millions. */
static void a_common_envelope_is_small(void **state)
{
    struct envelope envelope = {
        .sender = BYTES("scanner@example.com"),
        .has_8bit = true,
        .hop_count = 1,
        .arrived = { 1790000000123 },
        .session = { 0x1234567890ABCDEF },
        .connector = BYTES("Default"),
        .client_name = BYTES("printer"),
        .client_ip = BYTES("192.0.2.1"),
        .message_id = BYTES("<0123456789@printer>"),
        .content_bytes = 10240,
        .recipient_count = 1,
        .recipients = recipients + 1,
    };
    struct buf buf = encode(&envelope);
    size_t text = 19 + 7 + 7 + 9 + 20 + 15;

    (void)state;
    assert_true(buf.n <= text + 42);
    buf_done(&buf);
}

static void a_full_buffer_stays_as_it_was(void **state)
{
    struct envelope full = full_envelope();
    struct buf buf;

    (void)state;
    buf_init(&buf, 100);
    assert_int_equal(buf_add_text(&buf, "before"), OK);
    assert_int_equal(envelope_encode(&full, &buf), ERR_LIMIT);
    check_bytes("as before", buf_bytes(&buf), BYTES("before"));
    buf_done(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(a_cut_envelope_is_never_read_past_its_end),
        cmocka_unit_test(reads_and_refuses),
        cmocka_unit_test(later_tags_of_a_recipient_are_skipped),
        cmocka_unit_test(a_common_envelope_is_small),
        cmocka_unit_test(a_full_buffer_stays_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
