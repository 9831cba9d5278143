/* Standings as bytes: whole, cut, of a later version. */
#include "kit.h"

#include "spool/standing.h"

static struct standing standing_of(uint8_t role, uint8_t holder_count)
{
    struct standing standing = { .role = role,
        .single = SINGLE_LOST,
        .generation = 0x1234,
        .owner = { { 1, 2, 3 } },
        .from = { { 4, 5 } },
        .earlier_count = holder_count % (STANDING_EARLIER_MAX + 1),
        .holder_count = holder_count };

    for (uint8_t i = 0; i < holder_count; i++)
        standing.holders[i] = (struct store_id){ { i, 7 } };
    for (uint8_t i = 0; i < standing.earlier_count; i++)
        standing.earlier[i] = (struct store_id){ { i, 9 } };
    return standing;
}

static void decodes_what_it_encodes(void **state)
{
    (void)state;
    for (uint8_t role = 0; role < STANDING_ROLE_COUNT; role++)
        for (uint8_t count = 0; count <= STANDING_HOLDERS_MAX; count++) {
            struct standing standing = standing_of(role, count), got;
            uint8_t bytes[STANDING_BYTES_MAX + 1], again[STANDING_BYTES_MAX];
            size_t n = standing_encode(&standing, bytes);
            assert_in_range(n, 1, STANDING_BYTES_MAX);
            assert_true(standing_decode(bytes_of(bytes, n), &got));
            assert_memory_equal(&standing, &got, sizeof got);
            assert_int_equal(standing_encode(&got, again), n);
            assert_memory_equal(bytes, again, n);
            for (size_t cut = 0; cut < n; cut++)
                assert_false(standing_decode(bytes_of(bytes, cut), &got));
            bytes[n] = 0;
            assert_false(standing_decode(bytes_of(bytes, n + 1), &got));
        }
}

/* One byte is another one. */
static void knows_what_it_does_not_know(void **state)
{
    static const struct {
        const char *name;
        size_t at;
        uint8_t value;
        bool is_good;
    } cases[] = {
        { "as it is", 0, 40, true },
        { "the first part too short", 0, 39, false },
        { "the first part longer than all", 0, 57, false },
        { "the first part of nothing", 0, 0, false },
        { "the last role", 1, STANDING_ROLE_COUNT - 1, true },
        { "a role of a later version", 1, STANDING_ROLE_COUNT, false },
        { "the last reason", 2, SINGLE_COUNT - 1, true },
        { "a reason of a later version", 2, SINGLE_COUNT, false },
        { "a flag", 3, 1, false },
        { "fewer holders", 6, 0, false },
        { "more holders", 6, 2, false },
        { "too many holders", 6, 255, false },
        { "what is kept free", 7, 1, true },
    };
    struct standing standing = standing_of(STANDING_HELD, 1), got;
    uint8_t bytes[STANDING_BYTES_MAX];

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        size_t n = standing_encode(&standing, bytes);
        bytes[cases[i].at] = cases[i].value;
        check(cases[i].name, standing_decode(bytes_of(bytes, n), &got) == cases[i].is_good);
    }
}

/* Fields behind those we know, as a later version may have them. */
static void skips_later_fields(void **state)
{
    struct standing standing = standing_of(STANDING_PRIMARY, 2), got;
    uint8_t bytes[STANDING_BYTES_MAX + 8];
    size_t n = standing_encode(&standing, bytes);

    (void)state;
    memmove(bytes + 48, bytes + 40, n - 40);
    memset(bytes + 40, 0xee, 8);
    bytes[0] = 48;
    assert_true(standing_decode(bytes_of(bytes, n + 8), &got));
    assert_memory_equal(&standing, &got, sizeof got);
}

/* A failure changes nothing. */
static void leaves_the_rest_alone(void **state)
{
    struct standing got = standing_of(STANDING_HELD, 3), before = got;

    (void)state;
    assert_false(standing_decode(BYTES_NONE, &got));
    assert_memory_equal(&got, &before, sizeof got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_what_it_encodes),
        cmocka_unit_test(knows_what_it_does_not_know),
        cmocka_unit_test(skips_later_fields),
        cmocka_unit_test(leaves_the_rest_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
