#include "base/mid_table.h"

#include "kit.h"

enum { MANY = 5000 };

struct thing {
    struct mid_node by_mid;
    bool is_seen;
};

static struct mid mid_of(uint32_t number)
{
    struct mid mid = { { 0 } };
    uint64_t hash = number * UINT64_C(0x9E3779B97F4A7C15);

    memcpy(mid.byte, &hash, sizeof hash);
    memcpy(mid.byte + 8, &number, sizeof number);
    return mid;
}

static void see(struct mid_node *node, void *me)
{
    struct thing *thing = container_of(node, struct thing, by_mid);

    assert_false(thing->is_seen);
    thing->is_seen = true;
    ++*(size_t *)me;
}

static void assert_all(const struct mid_table *table, struct thing *things, uint32_t count)
{
    size_t seen = 0;

    for (uint32_t i = 0; i < MANY; i++) {
        struct mid_node *found = mid_table_find(table, mid_of(i));
        assert_ptr_equal(found, i < count ? &things[i].by_mid : NULL);
        things[i].is_seen = false;
    }
    mid_table_each(table, see, &seen);
    assert_int_equal(seen, count);
    assert_int_equal(table->count, count);
}

static void test_grows_by_one_and_finds_all(void **state)
{
    static struct thing things[MANY];
    struct mid_table table;

    (void)state;
    mid_table_init(&table);
    for (uint32_t i = 0; i < MANY; i++) {
        things[i].by_mid.mid = mid_of(i);
        mid_table_add(&table, &things[i].by_mid);
        if (i % 997 == 0 || i < 40)
            assert_all(&table, things, i + 1);
    }
    for (uint32_t i = MANY; i-- > 0;) {
        mid_table_remove(&table, &things[i].by_mid);
        if (i % 997 == 0 || i < 40)
            assert_all(&table, things, i);
    }
    mid_table_done(&table);
}

/* Mids that agree in what is hashed stand beside one another. */
static void test_same_hash(void **state)
{
    struct thing things[40] = { 0 };
    struct mid_table table;

    (void)state;
    mid_table_init(&table);
    for (uint8_t i = 0; i < 40; i++) {
        things[i].by_mid.mid.byte[15] = i;
        mid_table_add(&table, &things[i].by_mid);
    }
    for (uint8_t i = 0; i < 40; i++) {
        struct mid mid = things[i].by_mid.mid;
        assert_ptr_equal(mid_table_find(&table, mid), &things[i].by_mid);
        mid_table_remove(&table, &things[i].by_mid);
        assert_null(mid_table_find(&table, mid));
    }
    mid_table_done(&table);
}

static struct thing the_things[MANY];

struct tour {
    unsigned met[MANY];
};

static void meet(struct mid_node *node, void *me)
{
    struct tour *tour = me;
    struct thing *thing = container_of(node, struct thing, by_mid);

    tour->met[thing - the_things]++;
}

/* Whoever was there all the time is met, though others come meanwhile, and slots with them. */
static void test_some_at_a_time(void **state)
{
    static struct tour tour;
    struct mid_table table;
    uint32_t count = MANY / 3;
    size_t at = 0;

    (void)state;
    mid_table_init(&table);
    for (uint32_t i = 0; i < count; i++) {
        the_things[i].by_mid.mid = mid_of(i);
        mid_table_add(&table, &the_things[i].by_mid);
    }
    while (mid_table_some(&table, &at, 7, meet, &tour))
        for (int i = 0; i < 5 && count < MANY; i++, count++) {
            the_things[count].by_mid.mid = mid_of(count);
            mid_table_add(&table, &the_things[count].by_mid);
        }
    for (uint32_t i = 0; i < MANY / 3; i++)
        assert_true(tour.met[i] > 0);
    mid_table_done(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grows_by_one_and_finds_all),
        cmocka_unit_test(test_same_hash),
        cmocka_unit_test(test_some_at_a_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
