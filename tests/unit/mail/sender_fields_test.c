/* Senders in the header called differently: in any split the same, and nothing else touched. */
#include "kit.h"

#include "base/mem.h"
#include "mail/sender_fields.h"

#include <stdio.h>
#include <stdlib.h>

struct output {
    char text[40000];
    size_t n;
};

static struct output output;

/* "root@a.local" becomes "a+root@example.com", "long@..." one of 250 bytes. */
static char *rename_local(void *me, const struct address *address)
{
    char name[300];

    (void)me;
    if (bytes_equal_nocase(address->local, BYTES("long")))
        snprintf(name, sizeof name, "%0238d@example.com", 0);
    else if (bytes_ends_nocase(address->domain, BYTES(".local")))
        snprintf(name, sizeof name, "%.*s+%.*s@example.com", (int)address->domain.n - 6,
            (const char *)address->domain.at, BYTES_ARGS(address->local));
    else
        return NULL;
    return mem_text(name);
}

static void keep(struct bytes run)
{
    assert_true(output.n + run.n < sizeof output.text);
    if (run.n)
        memcpy(output.text + output.n, run.at, run.n);
    output.n += run.n;
}

static void feed(struct sender_fields *fields, struct bytes content)
{
    struct bytes run;

    while (sender_fields_next(fields, &content, &run)) {
        assert_true(run.n > 0);
        keep(run);
    }
    assert_int_equal(content.n, 0);
}

/* The first FIRST bytes, then PIECE at once. */
static uint32_t split(struct bytes text, size_t first, size_t piece)
{
    struct sender_fields fields;
    uint32_t count;

    output.n = 0;
    sender_fields_init(&fields, rename_local, NULL);
    feed(&fields, bytes_first(text, first));
    for (size_t at = first; at < text.n; at += piece)
        feed(&fields, bytes_first(bytes_skip(text, at), piece));
    keep(sender_fields_end(&fields));
    count = fields.count;
    sender_fields_done(&fields);
    return count;
}

static const struct {
    const char *name, *text, *want; /* WANT NULL: the same */
    uint32_t count;
} cases[] = {
    { "bare", "From: root@a.local\r\n\r\nbody\r\n", "From: a+root@example.com\r\n\r\nbody\r\n",
        1 },
    { "in brackets", "To: x@b.local\r\nFrom: Printer <root@a.local>\r\nSubject: s\r\n\r\n",
        "To: x@b.local\r\nFrom: Printer <a+root@example.com>\r\nSubject: s\r\n\r\n", 1 },
    { "all three", "FROM:<r@a.local>\r\nsender : s@b.local\r\nReply-to:\tt@c.local\r\n\r\n",
        "FROM:<a+r@example.com>\r\nsender : b+s@example.com\r\nReply-to:\tc+t@example.com\r\n"
        "\r\n",
        3 },
    { "folded", "From: Printer\r\n <root@a.local>\r\n (hall)\r\nTo: x\r\n\r\n",
        "From: Printer\r\n <a+root@example.com>\r\n (hall)\r\nTo: x\r\n\r\n", 1 },
    { "a list", "From: a@a.local, B <b@b.test>, \"C, D\" <c@c.local>\r\n\r\n",
        "From: a+a@example.com, B <b@b.test>, \"C, D\" <c+c@example.com>\r\n\r\n", 2 },
    { "a group", "Reply-To: all: a@a.local, <b@b.local>;\r\n\r\n",
        "Reply-To: all: a+a@example.com, <b+b@example.com>;\r\n\r\n", 2 },
    { "comments", "From: r@a.local (\"x@b.local\" (\\) y@c.local))\r\n\r\n",
        "From: a+r@example.com (\"x@b.local\" (\\) y@c.local))\r\n\r\n", 1 },
    { "a name that looks like one", "From: \"x@b.local\" <y@test>, z@c.local <z@test>\r\n\r\n",
        NULL, 0 },
    { "a quoted local part", "From: \"a b\"@a.local\r\n\r\n",
        "From: a+\"a b\"@example.com\r\n\r\n", 1 },
    { "spaces in brackets", "From: < r@a.local >\r\n\r\n", "From: < a+r@example.com >\r\n\r\n",
        1 },
    { "others'", "To: r@a.local\r\nCc: r@a.local\r\nResent-From: r@a.local\r\n\r\n", NULL, 0 },
    { "names almost the same",
        "Fro: r@a.local\r\nFromm: r@a.local\r\nSenders: r@a.local\r\nReply: r@a.local\r\n\r\n",
        NULL, 0 },
    { "in a value", "Subject: x\r\n From: r@a.local\r\n\r\n", NULL, 0 },
    { "in the body", "Subject: x\r\n\r\nFrom: r@a.local\r\n", NULL, 0 },
    { "behind a line that is no field", "Subject: x\r\nno field\r\nFrom: r@a.local\r\n", NULL,
        0 },
    { "no header", "\r\nFrom: r@a.local\r\n", NULL, 0 },
    { "an mbox line", "From r@a.local Mon\r\nFrom: r@a.local\r\n\r\n", NULL, 0 },
    { "no address", "From: root\r\nSender:\r\nReply-To: a b@c.local d\r\n\r\n", NULL, 0 },
    { "what does not end",
        "From: \"x <r@a.local>\r\nSender: (r@a.local\r\nReply-To: <r@a.local\r\n"
        "\r\n",
        NULL, 0 },
    { "a bracket too many", "From: <r@a.local> <s@b.local>\r\n\r\n",
        "From: <a+r@example.com> <s@b.local>\r\n\r\n", 1 },
    { "a source route", "From: <@x.test:r@a.local>\r\n\r\n", NULL, 0 },
    { "no end of the header", "From: r@a.local", "From: a+r@example.com", 1 },
    { "a line end and no more", "From: r@a.local\r\n", "From: a+r@example.com\r\n", 1 },
    { "cut in the name", "To: x\r\nSend", NULL, 0 },
    { "empty", "", NULL, 0 },
    { "the last field", "To: x\r\nFrom: r@a.local\r\n\r\nbody",
        "To: x\r\nFrom: a+r@example.com\r\n\r\nbody", 1 },
    { "bare line feeds", "From: r@a.local\n (x)\nTo: y\n\nFrom: r@a.local\n",
        "From: a+r@example.com\n (x)\nTo: y\n\nFrom: r@a.local\n", 1 },
    { "an IPv6 literal", "From: r@[IPv6:2001:db8::1], s@a.local\r\n\r\n",
        "From: r@[IPv6:2001:db8::1], a+s@example.com\r\n\r\n", 1 },
};

static void fields_are_changed_in_any_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct bytes text = bytes_text(cases[i].text);
        struct bytes want = cases[i].want ? bytes_text(cases[i].want) : text;

        for (size_t first = 0; first <= text.n; first++) {
            check(cases[i].name, split(text, first, text.n + 1) == cases[i].count);
            check_bytes(cases[i].name, bytes_of(output.text, output.n), want);
        }
        for (size_t piece = 1; piece < 12; piece++) {
            check(cases[i].name, split(text, 0, piece) == cases[i].count);
            check_bytes(cases[i].name, bytes_of(output.text, output.n), want);
        }
    }
}

/* A line of NAME bytes before the address, and of TAIL bytes behind it. */
static uint32_t long_field(char *text, size_t name, size_t tail)
{
    size_t n = (size_t)sprintf(text, "From: \"");

    memset(text + n, 'n', name);
    n += name;
    n += (size_t)sprintf(text + n, "\" <long@a.local>");
    memset(text + n, '-', tail);
    memcpy(text + n, tail ? "(" : "", tail ? 1 : 0);
    n += tail;
    n += (size_t)sprintf(text + n, "%s\r\n\r\n", tail ? ")" : "");
    return split(bytes_of(text, n), n, 1);
}

static void no_line_becomes_too_long(void **state)
{
    static char text[SENDER_FIELD_BYTES_MAX + 1000];

    (void)state;
    check("fits", long_field(text, 700, 0) == 1 && !strstr(output.text, "\r\n\t<"));
    check("on a line of its own", long_field(text, 900, 0) == 1);
    check("folded", strstr(output.text, "n\" \r\n\t<000"));
    check("fits nowhere", long_field(text, 20, 900) == 0);
    check_bytes("as it was", bytes_of(output.text, output.n), bytes_text(text));
    check("a long field", long_field(text, SENDER_FIELD_BYTES_MAX, 0) == 0);
    check_bytes("as it was", bytes_of(output.text, output.n), bytes_text(text));
}

static void what_is_not_ours_is_not_copied(void **state)
{
    struct bytes text = BYTES("To: a\r\nX-Mailer: b\r\n c\r\n\r\nbody\r\n"), content = text,
                 run;
    struct sender_fields fields;

    (void)state;
    sender_fields_init(&fields, rename_local, NULL);
    check("a run", sender_fields_next(&fields, &content, &run));
    check("all of it, where it lay", run.at == text.at && run.n == text.n);
    check("no more", !sender_fields_next(&fields, &content, &run));
    sender_fields_done(&fields);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_changed_in_any_split),
        cmocka_unit_test(no_line_becomes_too_long),
        cmocka_unit_test(what_is_not_ours_is_not_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
