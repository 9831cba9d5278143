/* Which host of a next hop is tried next. */
#include "kit.h"

#include "policy/host_choice.h"

enum { PLACES_MAX = 6, ROUNDS = 6000 };

/* Shares in sixths of all rounds. */
static const struct {
    const char *name;
    struct host_place places[PLACES_MAX]; /* priority, weight, entry, preference */
    unsigned sixths[PLACES_MAX];
} cases[] = {
    { "one", { { 10, 1, 0, 0 } }, { 6 } },
    { "the lowest priority", { { 20, 9, 0, 0 }, { 10, 1, 1, 0 } }, { 0, 6 } },
    { "by weight", { { 10, 1, 0, 0 }, { 10, 2, 1, 0 }, { 10, 3, 2, 0 } }, { 1, 2, 3 } },
    { "the lowest preference", { { 0, 1, 0, 20 }, { 0, 1, 0, 10 } }, { 0, 6 } },
    { "equal preferences",
        { { 0, 1, 0, 10 }, { 0, 1, 0, 20 }, { 0, 1, 0, 10 }, { 0, 1, 0, 10 } },
        { 2, 0, 2, 2 } },
    { "an entry's hosts share its weight",
        { { 10, 1, 0, 5 }, { 10, 1, 0, 5 }, { 10, 2, 1, 0 } }, { 1, 1, 4 } },
    { "its preference is nothing to others",
        { { 10, 1, 0, 50 }, { 10, 1, 1, 0 }, { 10, 1, 0, 60 } }, { 3, 3, 0 } },
    { "its hosts stand anywhere",
        { { 10, 1, 0, 7 }, { 10, 1, 1, 0 }, { 10, 1, 0, 7 }, { 10, 1, 2, 0 } },
        { 1, 2, 1, 2 } },
    { "priority beats preference", { { 20, 1, 0, 1 }, { 10, 1, 1, 100 } }, { 0, 6 } },
};

static void shares(void **state)
{
    uint32_t seed = 7;

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        const struct host_place *places[PLACES_MAX];
        unsigned got[PLACES_MAX] = { 0 };
        size_t count = 0;

        while (count < PLACES_MAX && cases[i].places[count].weight) {
            places[count] = &cases[i].places[count];
            count++;
        }
        for (unsigned k = 0; k < ROUNDS; k++) {
            uint64_t random = (uint64_t)next_random(&seed) << 24 | next_random(&seed);
            size_t at = host_choose(places, count, random);
            check(cases[i].name, at < count);
            got[at]++;
        }
        for (size_t k = 0; k < count; k++) {
            unsigned want = cases[i].sixths[k] * (ROUNDS / 6);
            check(cases[i].name, got[k] + 200 > want && got[k] < want + 200);
            check(cases[i].name, want > 0 || got[k] == 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(shares) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
