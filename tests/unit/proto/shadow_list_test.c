#include "kit.h"

#include "proto/shadow/shadow.h"

static const struct {
    const char *text;
    uint32_t count;
    bool is_good;
} cases[] = {
    { "", 0, true },
    { "1", 1, true },
    { "1", 0, false },
    { "0", 5, false },
    { "2", 1, false },
    { "1-2", 2, true },
    { "1-3", 2, false },
    { "2-2", 5, false },
    { "3-2", 5, false },
    { "1-40,42", 42, true },
    { "1,2", 2, true },
    { "2,1", 5, false },
    { "1,1", 5, false },
    { "1-3,3", 5, false },
    { "1-3,4-5", 5, true },
    { ",", 5, false },
    { "1,", 5, false },
    { ",1", 5, false },
    { "1,,2", 5, false },
    { "1-", 5, false },
    { "-1", 5, false },
    { "1-2-3", 5, false },
    { "1 2", 5, false },
    { "a", 5, false },
    { "99999999999999999999", 5, false },
};

static void checks(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(cases); i++)
        check(cases[i].text,
            shadow_list_check(bytes_text(cases[i].text), cases[i].count) == cases[i].is_good);
}

struct set {
    bool has[64];
};

static bool is_in(const void *me, uint32_t recipient)
{
    return ((const struct set *)me)->has[recipient];
}

static void walks_and_writes_the_same(void **state)
{
    static const char *const lists[] = { "", "1", "64", "1-64", "1-40,42", "1,3,5-7,64",
        "2-63" };

    (void)state;
    for (size_t i = 0; i < CASES(lists); i++) {
        struct shadow_list_cursor cursor = { bytes_text(lists[i]) };
        struct set set = { 0 };
        uint32_t first, last;
        struct buf out;

        check(lists[i], shadow_list_check(cursor.rest, 64));
        while (shadow_list_next(&cursor, &first, &last))
            for (uint32_t n = first; n <= last; n++)
                set.has[n] = true;
        buf_init(&out, 1000);
        check(lists[i], shadow_list_add(&out, 64, is_in, &set) == OK);
        check_bytes(lists[i], buf_bytes(&out), bytes_text(lists[i]));
        buf_done(&out);
    }
}

static void is_true_when_cut(void **state)
{
    struct set set = { .has = { [0] = true, [2] = true, [3] = true, [9] = true } };
    struct buf out;

    (void)state;
    for (size_t max = 0; max < 8; max++) {
        buf_init(&out, max);
        assert_int_equal(shadow_list_add(&out, 64, is_in, &set), ERR_LIMIT);
        check_bytes("cut", buf_bytes(&out),
            max < 1   ? BYTES("")
            : max < 5 ? BYTES("1")
                      : BYTES("1,3-4"));
        buf_done(&out);
    }
}

static bool is_even(const void *me, uint32_t recipient)
{
    (void)me;
    return recipient % 2 == 0;
}

static void fits_a_line(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, 1 << 20);
    assert_int_equal(shadow_list_add(&out, ENVELOPE_RECIPIENTS_MAX, is_even, NULL), ERR_LIMIT);
    assert_true(out.n <= SHADOW_LIST_BYTES_MAX && out.n > SHADOW_LIST_BYTES_MAX - 8);
    assert_true(shadow_list_check(buf_bytes(&out), ENVELOPE_RECIPIENTS_MAX));
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checks),
        cmocka_unit_test(walks_and_writes_the_same),
        cmocka_unit_test(is_true_when_cut),
        cmocka_unit_test(fits_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
