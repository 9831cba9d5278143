#include "kit.h"

#include "ctl/print.h"

static void test_sizes(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *want;
    } cases[] = { { 0, "0" }, { 999, "999" }, { 1000, "1.0K" }, { 10137, "9.9K" },
        { 10240, "10K" }, { 1 << 20, "1.0M" }, { 36 << 20, "36M" }, { UINT64_MAX, "16E" } };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        char text[PRINT_NUMBER_BYTES];
        print_size(cases[i].bytes, text);
        assert_string_equal(text, cases[i].want);
    }
}

static void test_ages(void **state)
{
    static const struct {
        int64_t seconds;
        const char *want;
    } cases[] = { { -1, "-" }, { 0, "0s" }, { 59, "59s" }, { 60, "1m" }, { 3599, "59m" },
        { 3600, "1h0m" }, { 86399, "23h59m" }, { 86400, "1d0h" }, { 90 * 86400, "90d0h" } };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        char text[PRINT_NUMBER_BYTES];
        print_age(cases[i].seconds, text);
        assert_string_equal(text, cases[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_ages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
