#include "kit.h"

#include "proto/smtp/body.h"

struct unstuff_case {
    const char *name;
    struct bytes in, content;
    size_t left; /* bytes behind the end; NO_END: there was none */
    bool saw_bare, saw_nul;
};

enum { NO_END = 9999 };

/* Feeds IN in pieces: up to CUT, then STRIDE bytes at a time. */
static void check_unstuff(
    const struct unstuff_case *c, bool normalise, size_t cut, size_t stride)
{
    struct smtp_unstuff unstuff;
    struct buf out;
    size_t from = 0, to = cut;
    bool ended = false;

    buf_init(&out, 1 << 16);
    smtp_unstuff_init(&unstuff, normalise);
    while (!ended && from < c->in.n) {
        struct bytes piece, run;
        size_t used;
        enum smtp_unstuff_step step;

        if (to > c->in.n)
            to = c->in.n;
        piece = bytes_of(c->in.at + from, to - from);
        step = smtp_unstuff_step(&unstuff, piece, &run, &used);
        check(c->name, used <= piece.n);
        check(c->name, step != SMTP_UNSTUFF_MORE || used == piece.n);
        check(c->name, step != SMTP_UNSTUFF_CONTENT || run.n > 0);
        if (step == SMTP_UNSTUFF_CONTENT)
            assert_int_equal(buf_add(&out, run), OK);
        ended = step == SMTP_UNSTUFF_END;
        from += used;
        if (step == SMTP_UNSTUFF_MORE)
            to += stride;
    }
    check_bytes(c->name, buf_bytes(&out), c->content);
    check(c->name, ended == (c->left != NO_END));
    check(c->name, !ended || c->in.n - from == c->left);
    check(c->name, unstuff.saw_bare == c->saw_bare);
    check(c->name, unstuff.saw_nul == c->saw_nul);
    buf_done(&out);
}

static void check_table(const struct unstuff_case *cases, size_t count, bool normalise)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t cut = 0; cut <= cases[i].in.n; cut++) {
            check_unstuff(&cases[i], normalise, cut, cases[i].in.n);
            check_unstuff(&cases[i], normalise, cut, 1);
        }
    }
}

static void only_crlf_dot_crlf_ends(void **state)
{
    static const struct unstuff_case cases[] = {
        { "one line", BYTES("a\r\n.\r\n"), BYTES("a\r\n"), 0 },
        { "empty content", BYTES(".\r\n"), BYTES(""), 0 },
        { "an empty line", BYTES("\r\n.\r\n"), BYTES("\r\n"), 0 },
        { "commands behind", BYTES("a\r\n.\r\nQUIT\r\n"), BYTES("a\r\n"), 6 },
        { "two ends", BYTES(".\r\n.\r\n"), BYTES(""), 3 },
        { "stuffed", BYTES("..a\r\n...\r\n.\r\n"), BYTES(".a\r\n..\r\n"), 0 },
        { "a stuffed dot alone", BYTES("a\r\n..\r\n.\r\n"), BYTES("a\r\n.\r\n"), 0 },
        { "a dot not doubled", BYTES(".a\r\n.\r\n"), BYTES("a\r\n"), 0 },
        { "dots inside", BYTES("a.b.\r\n.\r\n"), BYTES("a.b.\r\n"), 0 },
        { "no end yet", BYTES("a\r\n.\r"), BYTES("a\r\n"), NO_END },
        { "LF . CRLF", BYTES("a\n.\r\nb\r\n.\r\n"), BYTES("a\n.\r\nb\r\n"), 0, true },
        { "LF . LF", BYTES("a\n.\nb\r\n.\r\n"), BYTES("a\n.\nb\r\n"), 0, true },
        { "CRLF . LF", BYTES("a\r\n.\nb\r\n.\r\n"), BYTES("a\r\n\nb\r\n"), 0, true },
        { "CRLF . CR", BYTES("a\r\n.\rb\r\n.\r\n"), BYTES("a\r\n\rb\r\n"), 0, true },
        { "CR . CR", BYTES("a\r.\rb\r\n.\r\n"), BYTES("a\r.\rb\r\n"), 0, true },
        { "CR . CRLF", BYTES("a\r.\r\nb\r\n.\r\n"), BYTES("a\r.\r\nb\r\n"), 0, true },
        { "CRLF . CR CRLF", BYTES("a\r\n.\r\r\n.\r\n"), BYTES("a\r\n\r\r\n"), 0, true },
        { "CR CRLF . CRLF", BYTES("a\r\r\n.\r\n"), BYTES("a\r\r\n"), 0, true },
        { "LF first", BYTES("\n.\r\n.\r\n"), BYTES("\n.\r\n"), 0, true },
        { "CR first", BYTES("\r.\r\n.\r\n"), BYTES("\r.\r\n"), 0, true },
        { "LF CR", BYTES("a\n\r.\r\n.\r\n"), BYTES("a\n\r.\r\n"), 0, true },
        { "NUL in a line", BYTES("a\0b\r\n.\r\n"), BYTES("a\0b\r\n"), 0, false, true },
        { "NUL behind a dot", BYTES(".\0\r\n.\r\n"), BYTES("\0\r\n"), 0, false, true },
        { "NUL behind a CR", BYTES("\r\0\r\n.\r\n"), BYTES("\r\0\r\n"), 0, true, true },
        { "NUL behind the end", BYTES(".\r\n\0"), BYTES(""), 1 },
    };

    (void)state;
    check_table(cases, CASES(cases), false);
}

static void tolerance_makes_lines_and_no_end(void **state)
{
    static const struct unstuff_case cases[] = {
        { "clean", BYTES("a\r\n..b\r\n.\r\n"), BYTES("a\r\n.b\r\n"), 0 },
        { "LF", BYTES("a\nb\r\n.\r\n"), BYTES("a\r\nb\r\n"), 0, true },
        { "CR", BYTES("a\rb\r\n.\r\n"), BYTES("a\r\nb\r\n"), 0, true },
        { "LF LF", BYTES("a\n\nb\r\n.\r\n"), BYTES("a\r\n\r\nb\r\n"), 0, true },
        { "LF . CRLF", BYTES("a\n.\r\nb\r\n.\r\n"), BYTES("a\r\n.\r\nb\r\n"), 0, true },
        { "LF . LF", BYTES("a\n.\nb\r\n.\r\n"), BYTES("a\r\n.\r\nb\r\n"), 0, true },
        { "CR . CRLF", BYTES("a\r.\r\nb\r\n.\r\n"), BYTES("a\r\n.\r\nb\r\n"), 0, true },
        { "CRLF . LF", BYTES("a\r\n.\nb\r\n.\r\n"), BYTES("a\r\n\r\nb\r\n"), 0, true },
        { "CRLF . CR", BYTES("a\r\n.\r.\r\n.\r\n"), BYTES("a\r\n\r\n.\r\n"), 0, true },
        { "CR CRLF", BYTES("a\r\r\n.\r\n"), BYTES("a\r\n\r\n"), 0, true },
        { "LF first", BYTES("\n.\r\n.\r\n"), BYTES("\r\n.\r\n"), 0, true },
        { "NUL", BYTES("\n\0\r\n.\r\n"), BYTES("\r\n\0\r\n"), 0, true, true },
    };

    (void)state;
    check_table(cases, CASES(cases), true);
}

/* A large clean body comes as one run: no copy is made of it. */
static void a_clean_body_is_one_run(void **state)
{
    static const struct bytes in = BYTES("From: a\r\n\r\nHello.\r\nx .\r\n.\r\n");
    struct smtp_unstuff unstuff;
    struct bytes run;
    size_t used;

    (void)state;
    smtp_unstuff_init(&unstuff, false);
    assert_int_equal(smtp_unstuff_step(&unstuff, in, &run, &used), SMTP_UNSTUFF_CONTENT);
    check_bytes("run", run, bytes_first(in, in.n - 3));
    assert_ptr_equal(run.at, in.at);
    assert_int_equal(
        smtp_unstuff_step(&unstuff, bytes_skip(in, used), &run, &used), SMTP_UNSTUFF_END);
}

static void doubles_dots(void **state)
{
    static const struct {
        const char *name;
        struct bytes content, wire;
    } cases[] = {
        { "empty", BYTES(""), BYTES(".\r\n") },
        { "no dots", BYTES("a\r\nb\r\n"), BYTES("a\r\nb\r\n.\r\n") },
        { "a line without end", BYTES("a"), BYTES("a\r\n.\r\n") },
        { "ends with CR", BYTES("a\r"), BYTES("a\r\r\n.\r\n") },
        { "ends with LF", BYTES("a\n"), BYTES("a\n\r\n.\r\n") },
        { "a dot first", BYTES(".a\r\n"), BYTES("..a\r\n.\r\n") },
        { "a dot alone", BYTES("."), BYTES("..\r\n.\r\n") },
        { "dots alone", BYTES(".\r\n.\r\n..\r\n"), BYTES("..\r\n..\r\n...\r\n.\r\n") },
        { "dots inside", BYTES("a.\r\nb.c\r\n"), BYTES("a.\r\nb.c\r\n.\r\n") },
        { "behind a bare LF", BYTES("a\n.b\r\n"), BYTES("a\n.b\r\n.\r\n") },
        { "behind a bare CR", BYTES("a\r.b\r\n"), BYTES("a\r.b\r\n.\r\n") },
        { "LF first", BYTES("\n.b\r\n"), BYTES("\n.b\r\n.\r\n") },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        for (size_t cut = 0; cut <= cases[i].content.n; cut++) {
            struct smtp_stuff stuff = SMTP_STUFF_START;
            struct bytes content = cases[i].content;
            struct buf out;

            buf_init(&out, 100);
            assert_int_equal(smtp_stuff_add(&stuff, bytes_first(content, cut), &out), OK);
            assert_int_equal(smtp_stuff_add(&stuff, bytes_skip(content, cut), &out), OK);
            assert_int_equal(smtp_stuff_end(&stuff, &out), OK);
            check_bytes(cases[i].name, buf_bytes(&out), cases[i].wire);
            buf_done(&out);
        }
    }
}

static void at_the_ceiling_nothing_is_added(void **state)
{
    struct smtp_stuff stuff = SMTP_STUFF_START;
    struct buf out;

    (void)state;
    buf_init(&out, 5);
    assert_int_equal(smtp_stuff_add(&stuff, BYTES(".a\r\n."), &out), ERR_LIMIT);
    assert_int_equal(smtp_stuff_add(&stuff, BYTES("a\r\nbcd"), &out), ERR_LIMIT);
    assert_int_equal(out.n, 0);
    assert_int_equal(smtp_stuff_add(&stuff, BYTES(".a\r\n"), &out), OK);
    check_bytes("still at the start", buf_bytes(&out), BYTES("..a\r\n"));
    assert_int_equal(smtp_stuff_end(&stuff, &out), ERR_LIMIT);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_crlf_dot_crlf_ends),
        cmocka_unit_test(tolerance_makes_lines_and_no_end),
        cmocka_unit_test(a_clean_body_is_one_run),
        cmocka_unit_test(doubles_dots),
        cmocka_unit_test(at_the_ceiling_nothing_is_added),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
