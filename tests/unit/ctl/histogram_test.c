#include "kit.h"

#include "ctl/histogram.h"

#include <stdlib.h>

static void test_empty(void **state)
{
    struct histogram *histogram = calloc(1, sizeof *histogram);

    (void)state;
    assert_int_equal(histogram_at(histogram, 0.5), 0);
    assert_int_equal(histogram_at(histogram, 1), 0);
    free(histogram);
}

static void test_parts(void **state)
{
    struct histogram *histogram = calloc(1, sizeof *histogram);

    (void)state;
    for (uint64_t i = 1; i <= 100; i++)
        histogram_add(histogram, i);
    assert_int_equal(histogram_at(histogram, 0.5), 50);
    assert_int_equal(histogram_at(histogram, 0.99), 99);
    assert_int_equal(histogram_at(histogram, 1), 100);
    free(histogram);
}

/* One value alone: what comes back is it, as it is the maximum; beside a larger one it is not
 * more than 1 % too high, and never too low. */
static void test_error_is_small(void **state)
{
    (void)state;
    for (uint64_t value = 1; value < (uint64_t)1 << 45; value = value * 21 / 20 + 1) {
        struct histogram *histogram = calloc(1, sizeof *histogram);
        uint64_t got;
        histogram_add(histogram, value);
        assert_int_equal(histogram_at(histogram, 0.5), value);
        histogram_add(histogram, UINT64_MAX);
        got = histogram_at(histogram, 0.5);
        assert_true(got >= value && got - value <= value / 100);
        assert_true(histogram_at(histogram, 1) == UINT64_MAX);
        free(histogram);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_error_is_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
