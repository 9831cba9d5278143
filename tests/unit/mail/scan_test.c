#include "kit.h"

#include "mail/scan.h"

/* What a case must show, as letters: d date, m message-id, f from, . dot line, 8 8-bit,
 * u UTF-8 in the header, 0 NUL. */
struct scan_case {
    const char *name;
    struct bytes content;
    const char *facts;
    uint64_t header_bytes;
    unsigned received, delivered_to, longest;
    const char *message_id, *subject;
};

#define X30 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X120 X30 X30 X30 X30
#define X240 X120 X120

static const struct scan_case cases[] = {
    { "a plain message",
        BYTES("Date: now\r\nMessage-ID: <a@b>\r\nFrom: x\r\nSubject: Hi\r\n\r\nbody\r\n"),
        "dmf", 54, 0, 0, 17, "<a@b>", "Hi" },
    { "names without case, space before the colon", BYTES("dAtE : x\r\nFROM\t:y\r\n\r\n"), "df",
        21, 0, 0, 8, "", "" },
    { "counts",
        BYTES("Received: a\r\n b\r\nreceived: c\r\nDelivered-To: d\r\n\r\nReceived: e\r\n"), "",
        49, 2, 1, 15, "", "" },
    { "a folded id", BYTES("Message-ID:\r\n <a@b>\r\n\t(c) \r\n\r\n"), "m", 30, 0, 0, 11,
        "<a@b> (c)", "" },
    { "of two ids the first", BYTES("Message-ID: <a>\r\nMessage-ID: <b>\r\n\r\n"), "m", 36, 0,
        0, 15, "<a>", "" },
    { "the subject's first line", BYTES("Subject: \r\n one \r\n two\r\n\r\n"), "", 26, 0, 0, 9,
        "", "one" },
    { "control bytes in values", BYTES("Subject: a\x1B[1mb\tc\r\n\r\n"), "", 21, 0, 0, 17, "",
        "a?[1mb c" },
    { "similar names are others", BYTES("Dated: x\r\nX-From: y\r\nFro: z\r\n\r\n"), "", 31, 0,
        0, 9, "", "" },
    { "a long name",
        BYTES("Fromxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx: y\r\nFrom: z\r\n\r\n"), "f", 63,
        0, 0, 50, "", "" },
    { "dot in the body", BYTES("From: x\r\n\r\na\r\n.b\r\n"), "f.", 11, 0, 0, 7, "", "" },
    { "dot in the header", BYTES(".x: y\r\n\r\n"), ".", 9, 0, 0, 5, "", "" },
    { "dot first of all, no header", BYTES(".\r\n"), ".", 0, 0, 0, 1, "", "" },
    { "dots elsewhere", BYTES("From: .\r\n .\r\n\r\n ..\r\n"), "f", 15, 0, 0, 7, "", "" },
    { "dot behind a bare LF", BYTES("\r\na\n.b\r\n"), ".", 2, 0, 0, 2, "", "" },
    { "8-bit in the body", BYTES("From: x\r\n\r\n\xC3\xA4\r\n"), "f8", 11, 0, 0, 7, "", "" },
    { "8-bit in the header", BYTES("Subject: \xC3\xA4\r\n\r\n"), "8u", 15, 0, 0, 11, "",
        "\xC3\xA4" },
    { "8-bit in a folded line", BYTES("X: a\r\n \xC3\xA4\r\n\r\n"), "8u", 13, 0, 0, 4, "", "" },
    { "8-bit in a name ends the header", BYTES("From: x\r\n\xC3\xA4: y\r\n\r\n"), "f8", 9, 0, 0,
        7, "", "" },
    { "8-bit far on", BYTES("\r\n" X240 X240 "\x80\r\n"), "8", 2, 0, 0, 481, "", "" },
    { "NUL in the body", BYTES("\r\na\0b\r\n"), "0", 2, 0, 0, 3, "", "" },
    { "NUL in the header", BYTES("Subject: a\0b\r\n\r\n"), "0", 16, 0, 0, 12, "", "a?b" },
    { "no header", BYTES("\r\nDate: x\r\n"), "", 2, 0, 0, 7, "", "" },
    { "no empty line", BYTES("Date: x\r\nFrom: y\r\n"), "df", 18, 0, 0, 7, "", "" },
    { "cut in a value", BYTES("Date: x\r\nSubject: y"), "d", 19, 0, 0, 10, "", "y" },
    { "cut in a name", BYTES("Date: x\r\nFrom"), "d", 9, 0, 0, 7, "", "" },
    { "a line that is no field", BYTES("Date: x\r\nhello there\r\nFrom: y\r\n\r\n"), "d", 9, 0,
        0, 11, "", "" },
    { "a line without colon", BYTES("Date: x\r\nhello\r\nFrom: y\r\n\r\n"), "d", 9, 0, 0, 7, "",
        "" },
    { "a colon first", BYTES(": x\r\nFrom: y\r\n\r\n"), "", 0, 0, 0, 7, "", "" },
    { "a space first", BYTES(" x\r\nFrom: y\r\n\r\n"), "", 0, 0, 0, 7, "", "" },
    { "CR and no LF", BYTES("Date: x\r\n\rFrom: y\r\n\r\n"), "d", 9, 0, 0, 8, "", "" },
    { "line ends of LF alone", BYTES("Date: x\nFrom: y\n\nbody\n"), "df", 17, 0, 0, 7, "", "" },
    { "nothing", { NULL, 0 }, "", 0, 0, 0, 0, "", "" },
    { "the last line without an end", BYTES("\r\nabc\r\nabcd"), "", 2, 0, 0, 4, "", "" },
    { "a long subject", BYTES("Subject: " X120 "y\r\n\r\n"), "", 134, 0, 0, 130, "", X120 },
    { "a long id", BYTES("Message-ID: " X240 X30 "\r\n\r\n"), "m", 286, 0, 0, 282,
        X240 "xxxxxxxxxx", "" },
};

static void check_scan(const struct scan_case *c, const struct scan *scan)
{
    check(c->name, scan->has_date == !!strchr(c->facts, 'd'));
    check(c->name, scan->has_message_id == !!strchr(c->facts, 'm'));
    check(c->name, scan->has_from == !!strchr(c->facts, 'f'));
    check(c->name, scan->has_dot_line == !!strchr(c->facts, '.'));
    check(c->name, scan->has_8bit == !!strchr(c->facts, '8'));
    check(c->name, scan->has_utf8_header == !!strchr(c->facts, 'u'));
    check(c->name, scan->has_nul == !!strchr(c->facts, '0'));
    check(c->name, scan->header_ended);
    check(c->name, scan->header_bytes == c->header_bytes);
    check(c->name, scan->bytes == c->content.n);
    check(c->name, scan->received_count == c->received);
    check(c->name, scan->delivered_to_count == c->delivered_to);
    check(c->name, scan->line_bytes_longest == c->longest);
    check_bytes(c->name, bytes_text(scan->message_id), bytes_text(c->message_id));
    check_bytes(c->name, bytes_text(scan->subject), bytes_text(c->subject));
}

static void any_cut_gives_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        for (size_t cut = 0; cut <= cases[i].content.n; cut++) {
            struct scan scan;
            scan_init(&scan);
            scan_feed(&scan, bytes_first(cases[i].content, cut));
            scan_feed(&scan, bytes_skip(cases[i].content, cut));
            scan_end(&scan);
            check_scan(&cases[i], &scan);
        }
    }
}

static void priority_is_the_first_that_says_something(void **state)
{
    static const struct {
        const char *header;
        int want;
    } headers[] = {
        { "X-Priority: 1\r\n\r\n", 4 },
        { "X-Priority: 2 (High)\r\n\r\n", 4 },
        { "X-Priority: 3\r\n\r\n", 0 },
        { "x-priority:5 (Lowest)\r\n\r\n", -4 },
        { "Importance: High\r\n\r\n", 4 },
        { "Importance: low\r\n\r\n", -4 },
        { "Priority: urgent\r\n\r\n", 4 },
        { "Priority: non-urgent\r\n\r\n", -4 },
        { "X-Priority: 3\r\nImportance: low\r\n\r\n", -4 },
        { "X-Priority: 1\r\nImportance: low\r\n\r\n", 4 },
        { "Importance: very very very high indeed\r\n\r\n", 0 },
        { "X-Priority: 11\r\n\r\n", 0 },
        { "X-Priority:\r\n 1\r\n\r\n", 4 },
        { "X-Priority:\r\n\r\n", 0 },
        { "Importance: high", 4 },
        { "From: a\r\n\r\nX-Priority: 1\r\n", 0 },
    };

    (void)state;
    for (size_t i = 0; i < CASES(headers); i++) {
        struct scan scan;
        scan_init(&scan);
        scan_feed(&scan, bytes_text(headers[i].header));
        scan_end(&scan);
        check(headers[i].header, scan.priority == headers[i].want);
    }
}

static void byte_by_byte_gives_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct scan scan;
        scan_init(&scan);
        for (size_t at = 0; at < cases[i].content.n; at++)
            scan_feed(&scan, bytes_of(cases[i].content.at + at, 1));
        scan_end(&scan);
        check_scan(&cases[i], &scan);
    }
}

static void the_header_ends_before_the_end(void **state)
{
    struct scan scan;

    (void)state;
    scan_init(&scan);
    scan_feed(&scan, BYTES("Date: x\r\n\r"));
    assert_false(scan.header_ended);
    scan_feed(&scan, BYTES("\n"));
    assert_true(scan.header_ended);
}

static void own_received_fields_are_counted(void **state)
{
    static const struct {
        const char *name;
        struct bytes content;
        uint16_t own, all;
    } fields[] = {
        { "one of ours",
            BYTES("Received: from a (b [1.2.3.4])\r\n\tby relay.test with ESMTP\r\n"
                  "\tid 1; today\r\n\r\n"),
            1, 1 },
        { "in any case, at the end of a line", BYTES("received: BY Relay.TEST\r\n\r\n"), 1, 1 },
        { "before a semicolon", BYTES("Received: by relay.test; today\r\n\r\n"), 1, 1 },
        { "two, and another's between",
            BYTES("Received: by relay.test id 1\r\nReceived: by other.test\r\n"
                  "Received: from x by relay.test (y) id 2\r\n\r\n"),
            2, 3 },
        { "longer and shorter names",
            BYTES("Received: by relay.test.example\r\nReceived: by relay\r\n"
                  "Received: by not.relay.test\r\n\r\n"),
            0, 3 },
        { "from us, not by us", BYTES("Received: from relay.test by other.test\r\n\r\n"), 0,
            1 },
        { "in a comment", BYTES("Received: from a (by relay.test (x)) by b\r\n\r\n"), 0, 1 },
        { "in another field", BYTES("X-Note: by relay.test\r\n\r\n"), 0, 0 },
        { "a by at the end, then a name", BYTES("Received: from a by\r\nX: relay.test\r\n\r\n"),
            0, 1 },
    };

    (void)state;
    for (size_t i = 0; i < CASES(fields); i++) {
        for (size_t cut = 0; cut <= fields[i].content.n; cut++) {
            struct scan scan;
            scan_init(&scan);
            scan.own = BYTES("relay.test");
            scan_feed(&scan, bytes_first(fields[i].content, cut));
            scan_feed(&scan, bytes_skip(fields[i].content, cut));
            check(fields[i].name, scan.own_count == fields[i].own);
            check(fields[i].name, scan.received_count == fields[i].all);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(priority_is_the_first_that_says_something),
        cmocka_unit_test(any_cut_gives_the_same),
        cmocka_unit_test(byte_by_byte_gives_the_same),
        cmocka_unit_test(the_header_ends_before_the_end),
        cmocka_unit_test(own_received_fields_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
