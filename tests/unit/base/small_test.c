#include "base/small.h"

#include "kit.h"

enum { LONGEST = 300, EACH = 50 };

/* Of each length, those that are longer than any slab has, too: zeroed, and nobody else's. */
static void test_taken_and_given(void **state)
{
    static uint8_t *runs[LONGEST + 1][EACH];
    struct small small;

    (void)state;
    small_init(&small);
    for (size_t n = 0; n <= LONGEST; n++)
        for (int i = 0; i < EACH; i++) {
            runs[n][i] = small_take(&small, n);
            for (size_t at = 0; at < n; at++) {
                assert_int_equal(runs[n][i][at], 0);
                runs[n][i][at] = (uint8_t)(n + at + (size_t)i);
            }
        }
    for (size_t n = 0; n <= LONGEST; n++)
        for (int i = 0; i < EACH; i++) {
            for (size_t at = 0; at < n; at++)
                assert_int_equal(runs[n][i][at], (uint8_t)(n + at + (size_t)i));
            small_give(&small, runs[n][i], n);
        }
    small_done(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken_and_given),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
