/* Header fields of the organisation's own, taken out: in any split the same. */
#include "kit.h"

#include "mail/strip.h"

#include <stdio.h>

struct output {
    char text[2000];
    size_t n;
};

static void keep(struct output *output, struct bytes run)
{
    assert_true(output->n + run.n < sizeof output->text);
    if (run.n)
        memcpy(output->text + output->n, run.at, run.n);
    output->n += run.n;
}

static void feed(struct strip *strip, struct bytes content, struct output *output)
{
    struct bytes run;

    while (strip_next(strip, &content, &run)) {
        assert_true(run.n > 0);
        keep(output, run);
    }
    assert_int_equal(content.n, 0);
}

/* PIECE: bytes fed at once, after the first FIRST ones. */
static void check_split(const char *name, struct bytes text, size_t first, size_t piece,
    const char *want, uint32_t count)
{
    struct output output = { .n = 0 };
    struct strip strip;
    char case_name[100];

    snprintf(case_name, sizeof case_name, "%s (cut at %zu, then each %zu)", name, first, piece);
    strip_init(&strip, true);
    feed(&strip, bytes_first(text, first), &output);
    for (size_t at = first; at < text.n; at += piece)
        feed(&strip, bytes_first(bytes_skip(text, at), piece), &output);
    keep(&output, strip_end(&strip));
    check_bytes(case_name, bytes_of(output.text, output.n), bytes_text(want));
    check(case_name, strip.count == count);
}

static const struct {
    const char *name, *text, *want;
    uint32_t count;
} cases[] = {
    { "nothing to take out", "From: a\r\nX-Mailer: b\r\n\r\nbody\r\n",
        "From: a\r\nX-Mailer: b\r\n\r\nbody\r\n", 0 },
    { "the first", "X-Relais-A: b\r\nFrom: a\r\n\r\nbody\r\n", "From: a\r\n\r\nbody\r\n", 1 },
    { "in the middle", "From: a\r\nX-Relais-A: b\r\nTo: c\r\n\r\n", "From: a\r\nTo: c\r\n\r\n",
        1 },
    { "the last", "From: a\r\nx-relais-a: b\r\n\r\nX-Relais-A: body\r\n",
        "From: a\r\n\r\nX-Relais-A: body\r\n", 1 },
    { "two", "X-RELAIS-A: b\r\nX-ReLaIs-B: c\r\nTo: d\r\n\r\n", "To: d\r\n\r\n", 2 },
    { "folded", "X-Relais-A: b\r\n\tc\r\n d\r\nTo: e\r\n f\r\n\r\n", "To: e\r\n f\r\n\r\n", 1 },
    { "a space before the colon", "To: c\r\nX-Relais-A : b\r\n\r\n", "To: c\r\n\r\n", 1 },
    { "no colon at all", "To: c\r\nX-Relais-A\r\n\r\n", "To: c\r\n\r\n", 1 },
    { "almost", "X-Relai: a\r\nX-Relais: b\r\nX-Relaisx-: c\r\nXX-Relais-A: d\r\n\r\n",
        "X-Relai: a\r\nX-Relais: b\r\nX-Relaisx-: c\r\nXX-Relais-A: d\r\n\r\n", 0 },
    { "in a value", "Subject: X-Relais-A: b\r\n X-Relais-A: c\r\n\r\n",
        "Subject: X-Relais-A: b\r\n X-Relais-A: c\r\n\r\n", 0 },
    { "in the body", "Subject: a\r\n\r\nX-Relais-A: b\r\n",
        "Subject: a\r\n\r\nX-Relais-A: b\r\n", 0 },
    { "behind a line that is no field", "Subject: a\r\nno field\r\nX-Relais-A: b\r\n",
        "Subject: a\r\nno field\r\nX-Relais-A: b\r\n", 0 },
    { "no header", "\r\nX-Relais-A: b\r\n", "\r\nX-Relais-A: b\r\n", 0 },
    { "a folded line first", " a\r\nX-Relais-A: b\r\n", " a\r\nX-Relais-A: b\r\n", 0 },
    { "no value", "X-Relais-A:\r\n\r\n", "\r\n", 1 },
    { "nothing else", "X-Relais-A: b", "", 1 },
    { "cut in the name", "To: a\r\nX-Rel", "To: a\r\nX-Rel", 0 },
    { "empty", "", "", 0 },
    { "bare line feeds", "To: a\nX-Relais-A: b\n c\n\nX-Relais-A: d\n",
        "To: a\n\nX-Relais-A: d\n", 1 },
    { "obsolete space in a field before", "To : a\r\nX-Relais-A: b\r\n\r\n", "To : a\r\n\r\n",
        1 },
    { "an mbox line", "From a b\r\nX-Relais-A: b\r\n\r\n", "From a b\r\nX-Relais-A: b\r\n\r\n",
        0 },
};

static void fields_are_taken_out_in_any_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct bytes text = bytes_text(cases[i].text);

        for (size_t first = 0; first <= text.n; first++)
            check_split(cases[i].name, text, first, text.n + 1, cases[i].want, cases[i].count);
        for (size_t piece = 1; piece < 12; piece++)
            check_split(cases[i].name, text, 0, piece, cases[i].want, cases[i].count);
    }
}

static void nothing_is_copied_when_nothing_is_taken_out(void **state)
{
    struct bytes text = BYTES("From: a\r\nX-Mailer: b\r\n c\r\n\r\nbody\r\n"), content = text,
                 run;
    struct strip strip;

    (void)state;
    strip_init(&strip, true);
    check("a run", strip_next(&strip, &content, &run));
    check("all of it, where it lay", run.at == text.at && run.n == text.n);
    check("no more", !strip_next(&strip, &content, &run));
}

static void who_may_keeps_all(void **state)
{
    struct bytes text = BYTES("X-Relais-A: a\r\n\r\n"), content = text, run;
    struct strip strip;

    (void)state;
    strip_init(&strip, false);
    check("a run", strip_next(&strip, &content, &run));
    check("all of it", run.at == text.at && run.n == text.n && strip.count == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_taken_out_in_any_split),
        cmocka_unit_test(nothing_is_copied_when_nothing_is_taken_out),
        cmocka_unit_test(who_may_keeps_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
