/* The last of many sorted addresses that is at or before another. */
#include "kit.h"

#include "base/mem.h"
#include "policy/radix.h"

#include <stdlib.h>

/* How addresses are drawn: those of one kind share their first bytes, and differ in some of the
 * others by a few values alone, so that there are clusters, long shared paths and the same ones. */
struct kind {
    const char *name;
    uint8_t shared[16];
    unsigned shared_bytes;
    unsigned varied[16]; /* values that a byte behind them takes; 0: it is 0 */
};

static const struct kind kinds[] = {
    { "IPv4, anywhere", { [10] = 255, [11] = 255 }, 12, { [12] = 256, 256, 256, 256 } },
    { "IPv4, dense", { [10] = 255, [11] = 255, 10, 1 }, 14, { [14] = 4, 256 } },
    { "IPv4, clusters", { [10] = 255, [11] = 255 }, 12, { [12] = 3, 256, 2, 4 } },
    { "IPv6, anywhere", { 0x20 }, 1,
        { 0, 256, 256, 256, 256, 256, 256, 256, 256, 256, 256, 256, 256, 256, 256, 256 } },
    { "IPv6, sites", { 0x20, 1, 0xd, 0xb8 }, 4, { [4] = 2, 256, 2, [15] = 2 } },
    { "IPv6, hosts", { 0x20, 1, 0xd, 0xb8 }, 4, { [12] = 2, 256, 2, 256 } },
    { "both ends of all", { 0 }, 0, { [0] = 2, [15] = 2 } },
    { "all the same", { 0x20, 1 }, 16, { 0 } },
};

static struct ip draw(const struct kind *kind, uint32_t *seed)
{
    struct ip ip = { { 0 } };

    memcpy(ip.byte, kind->shared, kind->shared_bytes);
    for (unsigned i = kind->shared_bytes; i < 16; i++) {
        if (kind->varied[i])
            ip.byte[i] = (uint8_t)(random_below(seed, kind->varied[i]) * 255 /
                                   (kind->varied[i] > 1 ? kind->varied[i] - 1 : 1));
    }
    return ip;
}

/* One of any kind, or near to one that is there. */
static struct ip draw_asked(const struct range_node *nodes, size_t count, uint32_t *seed)
{
    struct ip ip = draw(&kinds[random_below(seed, CASES(kinds))], seed);
    unsigned way = random_below(seed, 3);

    if (way == 0 || count == 0)
        return ip;
    ip = nodes[random_below(seed, (uint32_t)count)].range.first;
    if (way == 2)
        ip.byte[random_below(seed, 16)] ^= (uint8_t)(1u << random_below(seed, 8));
    return ip;
}

static int compare(const void *a, const void *b)
{
    const struct range_node *one = a, *other = b;

    return ip_compare(one->range.first, other->range.first);
}

static size_t find_slowly(const struct range_node *nodes, size_t count, struct ip ip)
{
    size_t found = RADIX_NONE;

    for (size_t i = 0; i < count; i++) {
        if (ip_compare(nodes[i].range.first, ip) <= 0)
            found = i;
    }
    return found;
}

static void check_set(
    const char *name, struct range_node *nodes, size_t count, unsigned asked, uint32_t *seed)
{
    struct radix *radix;

    qsort(nodes, count, sizeof *nodes, compare);
    radix = radix_new(nodes, count);
    for (unsigned i = 0; i < asked; i++) {
        struct ip ip = draw_asked(nodes, count, seed);
        check(name, radix_find(radix, ip) == find_slowly(nodes, count, ip));
    }
    radix_free(radix);
}

static void agrees_with_looking_at_each(void **state)
{
    enum { ROUNDS = 40, NODES_MAX = 700, ASKED = 100 };
    struct range_node *nodes = mem_new(NODES_MAX * sizeof *nodes);
    uint32_t seed = 1;

    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (size_t k = 0; k <= CASES(kinds); k++) { /* the last time they are mixed */
            size_t count = random_below(&seed, round < 20 ? 20 : NODES_MAX);
            for (size_t i = 0; i < count; i++) {
                size_t kind = k < CASES(kinds) ? k : random_below(&seed, CASES(kinds));
                nodes[i].range.first = draw(&kinds[kind], &seed);
            }
            check_set(k < CASES(kinds) ? kinds[k].name : "mixed", nodes, count, ASKED, &seed);
        }
    }
    free(nodes);
}

static void a_hundred_thousand(void **state)
{
    enum { COUNT = 100000, ASKED = 40 };
    struct range_node *nodes = mem_new(COUNT * sizeof *nodes);
    uint32_t seed = 1;

    (void)state;
    for (size_t k = 0; k <= CASES(kinds); k++) {
        for (size_t i = 0; i < COUNT; i++) {
            size_t kind = k < CASES(kinds) ? k : i % CASES(kinds);
            nodes[i].range.first = draw(&kinds[kind], &seed);
        }
        check_set(k < CASES(kinds) ? kinds[k].name : "mixed", nodes, COUNT, ASKED, &seed);
    }
    free(nodes);
}

static void nothing_is_found_in_nothing(void **state)
{
    struct radix *radix = radix_new(NULL, 0);

    (void)state;
    check("none", radix_find(radix, (struct ip){ { 1 } }) == RADIX_NONE);
    radix_free(radix);
    radix_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_looking_at_each),
        cmocka_unit_test(a_hundred_thousand),
        cmocka_unit_test(nothing_is_found_in_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
