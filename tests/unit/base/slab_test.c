#include "base/slab.h"

#include "kit.h"

enum { MANY = 12000, SIZE = 84 }; /* some blocks */

static bool is_all(const uint8_t *at, uint8_t byte)
{
    for (size_t i = 0; i < SIZE; i++)
        if (at[i] != byte)
            return false;
    return true;
}

/* Each is zeroed when it is taken, and nobody else's until it is given back. */
static void test_taken_and_given(void **state)
{
    static uint8_t *things[MANY];
    struct slab slab;

    (void)state;
    slab_init(&slab, SIZE);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < MANY; i++) {
            if (things[i])
                continue;
            things[i] = slab_take(&slab);
            assert_int_equal((uintptr_t)things[i] % 8, 0);
            assert_true(is_all(things[i], 0));
            memset(things[i], i % 251 + 1, SIZE);
        }
        for (int i = 0; i < MANY; i++) {
            assert_true(is_all(things[i], (uint8_t)(i % 251 + 1)));
            if (i % (round + 2) != 0)
                continue;
            slab_give(&slab, things[i]);
            things[i] = NULL;
        }
    }
    for (int i = 0; i < MANY; i++)
        if (things[i])
            slab_give(&slab, things[i]);
    assert_ptr_equal(slab.with_room.next->next, &slab.with_room); /* one block is left */
    slab_done(&slab);
    assert_true(list_is_empty(&slab.with_room));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken_and_given),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
