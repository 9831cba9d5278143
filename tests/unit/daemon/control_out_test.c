/* Answers of the control socket: whole, or with an error for their end. */
#include "kit.h"

#include "daemon/control_out.h"

#include <stdio.h>

enum { CEILING = 1000 };

static void add_row(struct control_out *out, size_t bytes)
{
    struct ctl_object *row = ctl_new();
    char text[2 * CEILING] = "";

    memset(text, 'x', bytes);
    ctl_set_text(row, "t", bytes_of(text, bytes));
    control_out_row(out, &row);
    assert_null(row);
}

static void add_end(struct control_out *out)
{
    struct ctl_object *end = ctl_new();

    ctl_set_bool(end, "ok", true);
    control_out_end(out, &end);
    assert_null(end);
}

/* What is there, taken PIECE bytes at a time: how many rows; *IS_OK: how its end is. */
static unsigned take(struct control_out *out, size_t piece, bool *is_ok)
{
    char all[4 * CEILING], why[160];
    struct bytes rest = bytes_of(all, 0);
    unsigned rows = 0, ends = 0;

    while (!control_out_is_empty(out)) {
        struct bytes next = control_out_next(out, piece);
        assert_true(next.n > 0 && next.n <= piece && rest.n + next.n <= sizeof all);
        memcpy(all + rest.n, next.at, next.n);
        rest.n += next.n;
        control_out_sent(out, next.n);
    }
    while (rest.n) {
        size_t n = bytes_find(rest, '\n');
        struct ctl_object *line;
        assert_true(n != BYTES_NOT_FOUND && ends == 0);
        assert_int_equal(ctl_parse(bytes_first(rest, n), &line, why), OK);
        rows += ctl_has(line, "row");
        ends += ctl_has(line, "ok");
        *is_ok = ctl_bool(line, "ok");
        assert_true(*is_ok || ends == 0 || strstr(ctl_text(line, "error"), "1000 bytes"));
        ctl_free(line);
        rest = bytes_skip(rest, n + 1);
    }
    assert_int_equal(ends, 1);
    return rows;
}

static void test_whole_or_an_error(void **state)
{
    static const struct {
        const char *name;
        size_t rows[5]; /* how long their text is */
        unsigned kept;
        bool is_ok;
    } cases[] = {
        { "nothing", { 0 }, 0, true },
        { "a little", { 100, 100 }, 2, true },
        { "one that is too long", { 1000 }, 0, false },
        { "a short one behind it", { 1000, 10 }, 0, false },
        { "and before it", { 10, 1000, 10, 10 }, 1, false },
        { "one too many", { 300, 300, 300, 300 }, 3, false },
        { "up to the ceiling", { 300, 300, 300 }, 3, true },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        for (size_t piece = 1; piece < 4 * CEILING; piece *= 3) {
            struct control_out out;
            bool is_ok;
            control_out_init(&out, CEILING);
            for (unsigned again = 0; again < 2; again++) { /* an answer spoils none behind it */
                for (size_t k = 0; k < CASES(cases[i].rows) && cases[i].rows[k]; k++)
                    add_row(&out, cases[i].rows[k]);
                add_end(&out);
                check(cases[i].name, take(&out, piece, &is_ok) == cases[i].kept);
                check(cases[i].name, is_ok == cases[i].is_ok);
            }
            control_out_done(&out);
        }
    }
}

/* What was sent makes room: an answer may be longer than the ceiling. */
static void test_longer_than_the_ceiling(void **state)
{
    struct control_out out;
    bool is_ok = false;

    (void)state;
    control_out_init(&out, CEILING);
    for (unsigned i = 0; i < 100; i++) {
        add_row(&out, 200);
        control_out_sent(&out, control_out_next(&out, SIZE_MAX).n);
    }
    add_end(&out);
    assert_int_equal(take(&out, CEILING, &is_ok), 0);
    assert_true(is_ok);
    control_out_done(&out);
}

static void test_dropped(void **state)
{
    struct control_out out;

    (void)state;
    control_out_init(&out, CEILING);
    add_row(&out, 200);
    control_out_sent(&out, 10);
    control_out_drop(&out);
    assert_true(control_out_is_empty(&out));
    control_out_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_or_an_error),
        cmocka_unit_test(test_longer_than_the_ceiling),
        cmocka_unit_test(test_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
