#include "kit.h"

#include "report/line.h"
#include "report/tracking.h"

#include <stdlib.h>

static const struct mid some_mid = { { 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88,
    0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff } };
static const struct mid other_mid = { { 1 } };
#define MID_TEXT "00112233445566778899aabbccddeeff"
#define OTHER_TEXT "01000000000000000000000000000000"
#define TIME "2026-11-21T10:00:00.123Z"

typedef size_t format_function(char *out, const char *time, enum report_event event,
    const struct report_field *fields, unsigned count);

/* Whoever asks for an event can name it. */
static void check_event_id(const char *name, struct bytes text)
{
    struct tracking_layout layout = { 0 };
    struct tracking_line line;
    uint8_t room[LINE_BYTES_MAX];
    bool is_known = false;

    check(name, tracking_parse(text, &layout, room, &line) == TRACKING_LINE);
    for (size_t i = 0; tracking_event_ids[i]; i++)
        is_known |= bytes_equal(line.column[TRACKING_EVENT], bytes_text(tracking_event_ids[i]));
    check(name, is_known);
}

static void check_line(const char *name, format_function *format, enum report_event event,
    const struct report_field *fields, unsigned count, const char *want)
{
    char out[LINE_BYTES_MAX];
    size_t n = format(out, TIME, event, fields, count);

    check_bytes(name, bytes_of(out, n), bytes_text(want));
    if (n && format == tracking_text)
        check_event_id(name, bytes_of(out, n));
}
#define FIELDS(...)                                                                            \
    (const struct report_field[]){ __VA_ARGS__ },                                              \
        sizeof((const struct report_field[]){ __VA_ARGS__ }) / sizeof(struct report_field)
#define LINE(name, event, want, ...)                                                           \
    check_line(name, tracking_text, event, FIELDS(__VA_ARGS__), want)
#define JSON(name, event, want, ...)                                                           \
    check_line(name, tracking_json, event, FIELDS(__VA_ARGS__), want)

static void test_received(void **state)
{
    (void)state;
    LINE("all of it", REPORT_RECEIVED,
        TIME ",192.0.2.1,printer,192.0.2.9,relay.test,00000000000000ff,Devices,SMTP,"
             "RECEIVE," MID_TEXT ",<1@x>,b@c;d@e,,10,2,,,Hello,a@b,joe,,,TLSv1.3\n",
        R_MID(some_mid), R_SESSION(((struct session_id){ 255 })),
        R_CHARS("connector", "Devices"), R_CHARS("client", "192.0.2.1:4711"),
        R_CHARS("helo", "printer"), R_CHARS("user", "joe"), R_CHARS("by", "any-sender"),
        R_ADDRESS("from", BYTES("a@b")), R_NUMBER("nrcpt", 2), R_NUMBER("size", 10),
        R_CHARS("message-id", "<1@x>"), R_TRACKED("recipients", BYTES("b@c;d@e")),
        R_TRACKED_CHARS("local", "192.0.2.9:25"), R_TRACKED_CHARS("fqdn", "relay.test"),
        R_TRACKED_CHARS("tls", "TLSv1.3"), R_TRACKED_CHARS("subject", "Hello"));
    LINE("v6, quotes, commas, control bytes", REPORT_RECEIVED,
        TIME ",2001:db8::1,,unix:/run/x,,,\"A,B\",SMTP,RECEIVE,,,"
             "\"\"\"b,c\"\"@d\",,,,,,\"say \"\"\\x0a\"\"\",,,,,\n",
        R_CHARS("client", "[2001:db8::1]:25"), R_CHARS("local", "unix:/run/x"),
        R_CHARS("connector", "A,B"), R_TRACKED("recipients", BYTES("\"b,c\"@d")),
        R_CHARS("subject", "say \"\n\""));
    JSON("JSON has what there is", REPORT_RECEIVED,
        "{\"date-time\":\"" TIME "\",\"client-ip\":\"192.0.2.1\",\"source\":\"SMTP\","
        "\"event-id\":\"RECEIVE\",\"message-subject\":\"a\\\"\\u000a\"}\n",
        R_CHARS("client", "192.0.2.1:1"), R_CHARS("subject", "a\"\n"), R_CHARS("user", ""));
}

static void test_delivery(void **state)
{
    (void)state;
    LINE("sent to a host", REPORT_DELIVERY,
        TIME ",,,192.0.2.7,mx.test,,Out,SMTP,SEND," MID_TEXT ",,b@c,250 2.0.0 ok,,,,,,a@b,,"
             "smtp:Out,,none\n",
        R_MID(some_mid), R_ADDRESS("to", BYTES("b@c")), R_ADDRESS("from", BYTES("a@b")),
        R_CHARS("connector", "Out"), R_CHARS("queue", "smtp:Out"),
        R_CHARS("relay", "mx.test[192.0.2.7]:25"), R_CHARS("tls", "none"),
        R_CHARS("dsn", "2.0.0"), R_CHARS("status", "sent"), R_CHARS("text", "250 2.0.0 ok"),
        R_TRACKED_CHARS("source", "SMTP"));
    LINE("into a mailbox", REPORT_DELIVERY,
        TIME ",,,2001:db8::7,lmtp.test,,,LMTP,DELIVER,,,b@c,,,,,,,,,,,\n",
        R_ADDRESS("to", BYTES("b@c")), R_CHARS("relay", "lmtp.test[2001:db8::7]:24"),
        R_CHARS("status", "sent"), R_TRACKED_CHARS("source", "LMTP"));
    LINE("deferred", REPORT_DELIVERY, TIME ",,,,,,,SMTP,DEFER,,,b@c,451 no,,,,,,,,,,\n",
        R_ADDRESS("to", BYTES("b@c")), R_CHARS("status", "deferred"), R_CHARS("text", "451 no"),
        R_TRACKED_CHARS("source", "SMTP"));
    LINE("too old", REPORT_DELIVERY, TIME ",,,,,,,QUEUE,FAIL,,,b@c,,,,,,,,,,,\n",
        R_ADDRESS("to", BYTES("b@c")), R_CHARS("relay", "none"), R_CHARS("status", "expired"));
    LINE("the null sender", REPORT_DELIVERY, TIME ",,,,,,,QUEUE,FAIL,,,,,,,,,,<>,,,,\n",
        R_ADDRESS("from", BYTES("")));
    LINE("bounced", REPORT_DELIVERY, TIME ",,,,,,,QUEUE,FAIL,,,b@c,,,,,,,,,,,\n",
        R_ADDRESS("to", BYTES("b@c")), R_CHARS("status", "bounced"));
}

static void test_others(void **state)
{
    (void)state;
    LINE("a notification", REPORT_DSN,
        TIME ",,,,,,,DSN,DSN," OTHER_TEXT ",,a@b,,,,," MID_TEXT ",,<>,,,,failure\n",
        R_MID(some_mid), R_CHARS("about", "failure"), R_MID_AS("notification", other_mid),
        R_TRACKED("to", BYTES("a@b")), R_TRACKED_ADDRESS("from", BYTES("")));
    LINE("poison", REPORT_POISON,
        TIME ",,,,,,,QUEUE,POISONMESSAGE," MID_TEXT ",,,crashed twice,,3,,,,a@b,,poison,,\n",
        R_MID(some_mid), R_ADDRESS("from", BYTES("a@b")), R_NUMBER("nrcpt", 3),
        R_CHARS("queue", "poison"), R_CHARS("reason", "crashed twice"));
    LINE("an alias", REPORT_EXPANDED,
        TIME ",,,,,,,ROUTING,EXPAND," MID_TEXT ",,b@c;d@e,,,2,all@c,,,,,,,\n", R_MID(some_mid),
        R_ADDRESS("alias", BYTES("all@c")), R_NUMBER("nrcpt", 2),
        R_TRACKED("recipients", BYTES("b@c;d@e")));
    LINE("a shadow copy", REPORT_HA_RECEIVE,
        TIME ",,,,,,,SHADOW,HARECEIVE," MID_TEXT ",,,,,,,,,,,,n2,\n", R_MID(some_mid),
        R_CHARS("node", "n2"));
    LINE("a copy at another node", REPORT_HA_REDIRECT,
        TIME ",,,,,,,SHADOW,HAREDIRECT,,,,,,,,,,,,,n2,\n", R_CHARS("node", "n2"));
    LINE("no copy there", REPORT_HA_REDIRECT_FAIL,
        TIME ",,,,,,,SHADOW,HAREDIRECTFAIL,,,,,,,,,,,,,n2,\n", R_CHARS("node", "n2"));
    LINE("a copy let go", REPORT_HA_DISCARD, TIME ",,,,,,,SHADOW,HADISCARD,,,,,,,,,,,,,n2,\n",
        R_CHARS("node", "n2"));
    LINE("fenced", REPORT_FENCED, TIME ",,,,,,,SHADOW,FENCED,,,,,,,,,,,,,n2,\n",
        R_CHARS("node", "n2"));
    LINE("redirected", REPORT_REDIRECT, TIME ",,,,,,,QUEUE,REDIRECT,,,,,,,,,,,,,,mx.test\n",
        R_CHARS("to", "mx.test"));
    LINE("suspended", REPORT_ADMIN,
        TIME ",,,,,,,ADMIN,SUSPEND," MID_TEXT ",,,,,,,,,,,,,suspend\n", R_MID(some_mid),
        R_CHARS("command", "suspend"));
    LINE("resumed", REPORT_ADMIN, TIME ",,,,,,,ADMIN,RESUME," MID_TEXT ",,,,,,,,,,,,,resume\n",
        R_MID(some_mid), R_CHARS("command", "resume"));
    LINE("taken over, in the log alone", REPORT_RESUBMIT, "", R_MID(some_mid),
        R_CHARS("node", "n2"));
    LINE("taken over", REPORT_TAKEN_OVER,
        TIME ",,,,,,In,SHADOW,RESUBMIT," MID_TEXT ",<x@y>,b@c;d@e,,700,2,,,,a@b,ann,,n2,\n",
        R_MID(some_mid), R_CHARS("connector", "In"), R_CHARS("node", "n2"),
        R_ADDRESS("from", BYTES("a@b")), R_TEXT("recipients", BYTES("b@c;d@e")),
        R_NUMBER("nrcpt", 2), R_NUMBER("size", 700), R_CHARS("message-id", "<x@y>"),
        R_CHARS("user", "ann"));
    LINE("removed by hand", REPORT_ADMIN,
        TIME ",,,,,,,ADMIN,DROP," MID_TEXT ",,,,,,,,,,,,,remove\n", R_MID(some_mid),
        R_CHARS("command", "remove"));
    LINE("another command", REPORT_ADMIN, "", R_MID(some_mid), R_CHARS("command", "x"));
    LINE("a command of no message", REPORT_ADMIN, "", R_CHARS("command", "remove"));
    LINE("no event of a message", REPORT_CONNECT, "", R_CHARS("client", "x"));
}

/* As long as can be, and every byte one that grows: it is a line all the same, and columns stay
 * where they are. */
static void test_long(void **state)
{
    static const char *const names[] = { "client", "helo", "local", "fqdn", "connector",
        "message-id", "recipients", "subject", "from", "user", "tls" };
    static const char bytes[] = { '\x01', '"', '\\', '\xff', 'x', ',' };
    struct report_field fields[CASES(names)];
    char out[LINE_BYTES_MAX], *text = malloc(10000);

    (void)state;
    for (size_t b = 0; b < sizeof bytes; b++) {
        struct tracking_layout layout = { 0 };
        struct tracking_line line;
        uint8_t room[LINE_BYTES_MAX];
        memset(text, bytes[b], 10000);
        for (size_t i = 0; i < CASES(names); i++)
            fields[i] = R_TEXT(names[i], bytes_of(text, 10000));
        for (int pass = 0; pass < 2; pass++) {
            size_t n = (pass ? tracking_json : tracking_text)(
                out, TIME, REPORT_RECEIVED, fields, CASES(names));
            check("ends", n && n <= LINE_BYTES_MAX && out[n - 1] == '\n');
            check("is one line", memchr(out, '\n', n - 1) == NULL);
            check("is read",
                tracking_parse(bytes_of(out, n), &layout, room, &line) == TRACKING_LINE);
            check_bytes("event", line.column[TRACKING_EVENT], BYTES("RECEIVE"));
            check("subject", line.column[TRACKING_SUBJECT].n > 50);
            check("info", line.column[TRACKING_INFO].n > 20);
        }
    }
    free(text);
}

/* --- Reading ----------------------------------------------------------------------------- */

static const struct {
    const char *name, *line;
    enum tracking_kind kind;
    const char *recipients, *info; /* of a line */
} read_cases[] = {
    { "plain", TIME ",,,,,,,S,SEND,,,b@c,,,,,,,,,,,x\n", TRACKING_LINE, "b@c", "x" },
    { "quoted", TIME ",,,,,,,S,SEND,,,\"\"\"b,\"\"@c\",,,,,,,,,,,\"x,y\"\n", TRACKING_LINE,
        "\"b,\"@c", "x,y" },
    { "CRLF", TIME ",,,,,,,S,SEND,,,b@c\r\n", TRACKING_LINE, "b@c", "" },
    { "too many columns", TIME ",,,,,,,S,SEND,,,b@c,,,,,,,,,,,x,y,z\n", TRACKING_LINE, "b@c",
        "x" },
    { "a quote that does not end", TIME ",,,,,,,S,SEND,,,\"b@c", TRACKING_LINE, "b@c", "" },
    { "something behind the quote", TIME ",,,,,,,S,SEND,,,\"b\"@c,\n", TRACKING_LINE, "b", "" },
    { "no event", TIME ",,,,,,,S,,,,b@c\n", TRACKING_OTHER, NULL, NULL },
    { "no time", "x,,,,,,,S,SEND\n", TRACKING_OTHER, NULL, NULL },
    { "half a line", "2026-11-21T10", TRACKING_OTHER, NULL, NULL },
    { "empty", "\n", TRACKING_OTHER, NULL, NULL },
    { "a remark", "# x\n", TRACKING_OTHER, NULL, NULL },
    { "JSON",
        "{\"date-time\":\"" TIME "\",\"event-id\":\"SEND\",\"recipient-address\":"
        "\"\\\"\\u00e4\\\\\\\"@c\",\"message-info\":\"\\u000a\\ufffd\\t\",\"other\":\"1\"}\n",
        TRACKING_LINE, "\"\xc3\xa4\\\"@c", "\n\xef\xbf\xbd\t" },
    { "JSON that ends early", "{\"date-time\":\"" TIME "\",\"event-id\":\"SEND\"",
        TRACKING_OTHER, NULL, NULL },
    { "JSON with more behind it", "{\"date-time\":\"" TIME "\",\"event-id\":\"SEND\"}x",
        TRACKING_OTHER, NULL, NULL },
    { "JSON with a bad escape", "{\"date-time\":\"" TIME "\",\"event-id\":\"\\x\"}",
        TRACKING_OTHER, NULL, NULL },
};

static void test_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(read_cases); i++) {
        const char *name = read_cases[i].name;
        struct tracking_layout layout = { 0 };
        struct tracking_line line;
        uint8_t room[1000];
        struct bytes text = bytes_text(read_cases[i].line);
        check(name, tracking_parse(text, &layout, room, &line) == read_cases[i].kind);
        for (size_t n = 0; n < text.n; n++) { /* cut anywhere it does no harm */
            struct tracking_line half;
            uint8_t *exact = malloc(n ? n : 1), *copy = malloc(n ? n : 1);
            memcpy(copy, text.at, n);
            tracking_parse(bytes_of(copy, n), &layout, exact, &half);
            free(copy);
            free(exact);
        }
        if (read_cases[i].kind != TRACKING_LINE)
            continue;
        layout.count = 0;
        tracking_parse(text, &layout, room, &line);
        check_bytes(
            name, line.column[TRACKING_RECIPIENTS], bytes_text(read_cases[i].recipients));
        check_bytes(name, line.column[TRACKING_INFO], bytes_text(read_cases[i].info));
    }
}

static void test_layout(void **state)
{
    struct tracking_layout layout = { 0 };
    struct tracking_line line;
    uint8_t room[1000];

    (void)state;
    assert_int_equal(
        tracking_parse(BYTES("#Fields: event-id, foreign,Date-Time\n"), &layout, room, &line),
        TRACKING_LAYOUT);
    assert_int_equal(
        tracking_parse(BYTES("SEND,x," TIME), &layout, room, &line), TRACKING_LINE);
    check_bytes("another order", line.column[TRACKING_EVENT], BYTES("SEND"));
    check_bytes("one that is not there", line.column[TRACKING_MID], BYTES(""));
    assert_int_equal(
        tracking_parse(BYTES(TRACKING_HEADER), &layout, room, &line), TRACKING_LAYOUT);
    check("ours", layout.count == TRACKING_COLUMN_COUNT);
    for (unsigned i = 0; i < TRACKING_COLUMN_COUNT; i++)
        check(tracking_column_name(i), layout.column[i] == i);
}

static void test_recipients(void **state)
{
    struct bytes list = BYTES("a@b;\"c;\\\"d\"@e;;f"), one;
    const char *const want[] = { "a@b", "\"c;\\\"d\"@e", "", "f" };

    (void)state;
    for (size_t i = 0; i < CASES(want); i++) {
        assert_true(tracking_next_recipient(&list, &one));
        check_bytes("recipient", one, bytes_text(want[i]));
    }
    assert_false(tracking_next_recipient(&list, &one));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_received),
        cmocka_unit_test(test_delivery),
        cmocka_unit_test(test_others),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_recipients),
    };

    return cmocka_run_group_tests_name("report_tracking", tests, NULL, NULL);
}
