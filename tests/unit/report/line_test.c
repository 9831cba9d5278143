#include "kit.h"

#include "proto/ctl/ctl.h"
#include "report/line.h"

#include <stdio.h>

static const struct mid some_mid = { { 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88,
    0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff } };
#define MID_TEXT "00112233445566778899aabbccddeeff"
#define HEAD_TEXT "2026-11-21T10:00:00.123Z relais[42]: "

static struct line_head head_of(enum report_level level)
{
    return (struct line_head){ "2026-11-21T10:00:00.123Z", 42, level };
}

static void check_text(const char *name, enum report_event event,
    const struct report_field *fields, unsigned count, const char *want)
{
    char out[LINE_BYTES_MAX];
    struct line_head head = head_of(REPORT_INFO);
    size_t n = line_text(out, &head, event, fields, count);

    check_bytes(name, bytes_of(out, n), bytes_text(want));
}
#define TEXT(name, event, want, ...)                                                           \
    check_text(name, event, (const struct report_field[]){ __VA_ARGS__ },                      \
        sizeof((const struct report_field[]){ __VA_ARGS__ }) / sizeof(struct report_field),    \
        HEAD_TEXT want "\n")

static void test_delivery(void **state)
{
    (void)state;
    TEXT("as Postfix has it", REPORT_DELIVERY,
        MID_TEXT ": connector=\"Smart host\", to=<b@example.com>, relay=mx[192.0.2.1]:25, "
                 "delay=1.2, dsn=2.0.0, status=sent (250 2.0.0 ok)",
        R_ADDRESS("to", BYTES("b@example.com")), R_CHARS("text", "250 2.0.0 ok"),
        R_CHARS("status", "sent"), R_CHARS("dsn", "2.0.0"), R_MS("delay", 1200),
        R_CHARS("relay", "mx[192.0.2.1]:25"), R_CHARS("connector", "Smart host"),
        R_MID(some_mid));
    TEXT("no text, no id", REPORT_DELIVERY, "to=<>, status=expired",
        R_CHARS("status", "expired"), R_ADDRESS("to", BYTES("")));
    TEXT("a reply that plays a line", REPORT_DELIVERY,
        MID_TEXT
        ": to=<a\\x0d\\x0a\\x3eb@c>, status=bounced (550 no\\x0a2026 relais[1]: \\x1b[2J)",
        R_MID(some_mid), R_ADDRESS("to", BYTES("a\r\n>b@c")), R_CHARS("status", "bounced"),
        R_CHARS("text", "550 no\n2026 relais[1]: \x1b[2J"));
}

/* Whose line it is: analysers look for who delivered. */
static void test_program(void **state)
{
    static const struct {
        const char *source, *program;
    } cases[] = { { "SMTP", "relais/smtp" }, { "LMTP", "relais/lmtp" },
        { "MAILDIR", "relais/local" }, { "QUEUE", "relais/error" }, { "PIGEON", "relais" } };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        const struct report_field fields[] = { R_MID(some_mid), R_ADDRESS("to", BYTES("a@b")),
            R_CHARS("status", "sent"), R_TRACKED_CHARS("source", cases[i].source) };
        struct line_head head = head_of(REPORT_INFO);
        char out[LINE_BYTES_MAX], want[200];
        size_t n = line_text(out, &head, REPORT_DELIVERY, fields, 4);
        snprintf(want, sizeof want, "%s %s[42]: " MID_TEXT ": to=<a@b>, status=sent\n",
            head.time, cases[i].program);
        check_bytes(cases[i].source, bytes_of(out, n), bytes_text(want));
        check_bytes("another event", line_program(REPORT_RECEIVED, fields, 4), BYTES("relais"));
    }
}

static void test_event(void **state)
{
    (void)state;
    TEXT("ids first", REPORT_RECEIVED,
        "received id=" MID_TEXT
        " session=00000000000000ff connector=Default size=10 from=<a@b>",
        R_NUMBER("size", 10), R_ADDRESS("from", BYTES("a@b")), R_CHARS("connector", "Default"),
        R_SESSION(((struct session_id){ 255 })), R_MID(some_mid));
    TEXT("quoting", REPORT_NOTICE, "notice text=\"a b=\\\"c\\\"\\\\\" empty=\"\" n=-5",
        R_CHARS("text", "a b=\"c\"\\"), R_CHARS("empty", ""), R_NUMBER("n", -5));
    TEXT("UTF-8 is a word", REPORT_ADMIN, "admin user=j\xc3\xbcrg",
        R_CHARS("user", "j\xc3\xbcrg"));
    TEXT(
        "no UTF-8 is not", REPORT_ADMIN, "admin user=\"j\\xfcrg\"", R_CHARS("user", "j\xfcrg"));
    TEXT("C1 controls", REPORT_ADMIN, "admin user=\"\\xc2\\x9b\"", R_CHARS("user", "\xc2\x9b"));
    TEXT("times", REPORT_ADMIN, "admin a=0 b=0.034 c=-1.5 d=3600", R_MS("a", 0), R_MS("b", 34),
        R_MS("c", -1500), R_MS("d", 3600000));
}

static void test_levels(void **state)
{
    char out[LINE_BYTES_MAX];
    struct line_head head = head_of(REPORT_WARNING);
    size_t n;

    (void)state;
    n = line_text(out, &head, REPORT_NOT_REDUNDANT, NULL, 0);
    check_bytes("level", bytes_of(out, n), BYTES(HEAD_TEXT "warning: not_redundant\n"));
    head.time = NULL;
    n = line_text(out, &head, REPORT_NOT_REDUNDANT, NULL, 0);
    check_bytes("for syslog", bytes_of(out, n), BYTES("warning: not_redundant\n"));
}

static void test_json(void **state)
{
    static const char want[] =
        "{\"time\":\"2026-11-21T10:00:00.123Z\",\"pid\":42,\"level\":\"info\","
        "\"event\":\"received\",\"id\":\"" MID_TEXT "\",\"from\":\"a\\\"\\u000a\\ufffd@b\","
        "\"delay\":0.5,\"size\":7}\n";
    const struct report_field fields[] = { R_ADDRESS("from", BYTES("a\"\n\xff@b")),
        R_MS("delay", 500), R_NUMBER("size", 7), R_MID(some_mid) };
    char out[LINE_BYTES_MAX];
    struct line_head head = head_of(REPORT_INFO);

    (void)state;
    check_bytes(
        "json", bytes_of(out, line_json(out, &head, REPORT_RECEIVED, fields, 4)), BYTES(want));
}

/* Whatever a peer sent, at any length: one line, and in JSON a whole object. */
static void check_shape(struct bytes text)
{
    const struct report_field fields[] = { R_TEXT("a", text), R_TEXT("text", text),
        R_ADDRESS("to", text), R_MID(some_mid), R_NUMBER("z", 1) };
    char out[LINE_BYTES_MAX], why[160];
    struct line_head head = head_of(REPORT_INFO);
    struct ctl_object *object;
    size_t n = line_json(out, &head, REPORT_DELIVERY, fields, 5);

    assert_int_equal(ctl_parse(bytes_of(out, n - 1), &object, why), OK);
    ctl_free(object);
    for (int pass = 0; pass < 2; pass++) {
        n = line_text(out, &head, pass ? REPORT_DELIVERY : REPORT_RECEIVED, fields, 5);
        assert_int_equal(bytes_find(bytes_of(out, n), '\n'), n - 1);
        for (size_t i = 0; i + 1 < n; i++)
            assert_true((uint8_t)out[i] >= 0x20 && out[i] != 0x7f);
    }
}

static void test_shape_holds(void **state)
{
    static uint8_t text[3 * LINE_BYTES_MAX];
    static const char *const fillers[] = { "a", "\n", "\"", "\xc3\xa9", "\xf0\x9f\x98\x80",
        "\xc2\x80", "\xff", "\\", "\x7f", "<" };

    (void)state;
    for (size_t f = 0; f < CASES(fillers); f++) {
        size_t width = strlen(fillers[f]);
        for (size_t i = 0; i + width <= sizeof text; i += width)
            memcpy(text + i, fillers[f], width);
        for (size_t n = 0; n < 20; n++)
            check_shape(bytes_of(text, n));
        for (size_t n = LINE_BYTES_MAX - 200; n < LINE_BYTES_MAX + 10; n++)
            check_shape(bytes_of(text, n));
        check_shape(bytes_of(text, sizeof text));
    }
}

static void test_protocol(void **state)
{
    struct report_session session = { .id = { 1 }, .connector = "A, \"B\"", .sequence = 3 };
    char out[LINE_BYTES_MAX];
    size_t n;

    (void)state;
    strcpy(session.local, "127.0.0.1:25");
    strcpy(session.peer, "127.0.0.1:4000");
    n = line_protocol_text(
        out, "2026-11-21T10:00:00.123Z", &session, '<', BYTES("MAIL FROM:<a,b>"));
    check_bytes("csv", bytes_of(out, n),
        BYTES("2026-11-21T10:00:00.123Z,\"A, \"\"B\"\"\",0000000000000001,3,127.0.0.1:25,"
              "127.0.0.1:4000,<,\"MAIL FROM:<a,b>\"\n"));
    n = line_protocol_json(out, "2026-11-21T10:00:00.123Z", &session, '>', BYTES("250 ok"));
    check_bytes("json", bytes_of(out, n),
        BYTES("{\"time\":\"2026-11-21T10:00:00.123Z\",\"sequence\":3,"
              "\"session\":\"0000000000000001\",\"connector\":\"A, \\\"B\\\"\","
              "\"local\":\"127.0.0.1:25\",\"peer\":\"127.0.0.1:4000\",\"sign\":\">\","
              "\"text\":\"250 ok\"}\n"));
}

static void test_time(void **state)
{
    struct line_clock clock = { 0 };

    (void)state;
    assert_string_equal(line_time(&clock, (struct wall){ 0 }), "1970-01-01T00:00:00.000Z");
    assert_string_equal(line_time(&clock, (struct wall){ 999 }), "1970-01-01T00:00:00.999Z");
    assert_string_equal(line_time(&clock, (struct wall){ 1007 }), "1970-01-01T00:00:01.007Z");
    assert_string_equal(line_time(&clock, (struct wall){ 60 }), "1970-01-01T00:00:00.060Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delivery),
        cmocka_unit_test(test_program),
        cmocka_unit_test(test_event),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_shape_holds),
        cmocka_unit_test(test_protocol),
        cmocka_unit_test(test_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
