#include "kit.h"

#include "base/buf.h"
#include "report/ring.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

enum { BYTES = 512, LINE = 100, MANY = 50000 };

/* Line N is "N" and as many dots as N says; its length. */
static size_t format_line(char *out, unsigned n)
{
    int digits = snprintf(out, LINE, "%u", n);
    size_t dots = n * 7 % 80;

    memset(out + digits, '.', dots);
    out[(size_t)digits + dots] = '\n';
    return (size_t)digits + dots + 1;
}

static bool add(struct ring *ring, unsigned n)
{
    char *room = ring_room(ring, LINE);

    if (!room)
        return false;
    ring_wrote(ring, format_line(room, n));
    return true;
}

/* Takes what is there, which must be whole lines from *NEXT on. */
static void take(struct ring *ring, unsigned *next)
{
    struct bytes got = ring_take(ring);
    size_t n = got.n;

    while (got.n) {
        char line[LINE];
        size_t bytes = format_line(line, *next);
        check_bytes("the next line", bytes_first(got, bytes), bytes_of(line, bytes));
        got = bytes_skip(got, bytes);
        ++*next;
    }
    ring_taken(ring, n);
}

static void test_published_alone_is_seen(void **state)
{
    struct ring ring;
    unsigned next = 1;

    (void)state;
    ring_init(&ring, BYTES);
    assert_int_equal(ring_take(&ring).n, 0);
    assert_true(add(&ring, 1));
    assert_int_equal(ring_take(&ring).n, 0);
    assert_true(ring_waiting(&ring) == ring.hidden && ring.hidden > 0);
    ring_publish(&ring);
    assert_int_equal(ring.hidden, 0);
    take(&ring, &next);
    assert_int_equal(next, 2);
    assert_int_equal(ring_waiting(&ring), 0);
    ring_done(&ring);
}

static void test_full(void **state)
{
    struct ring ring;
    unsigned added = 0, next = 0;

    (void)state;
    ring_init(&ring, BYTES);
    while (add(&ring, added))
        added++;
    assert_in_range(ring_waiting(&ring), BYTES - LINE, BYTES);
    ring_publish(&ring);
    assert_null(ring_room(&ring, LINE));
    take(&ring, &next);
    assert_int_equal(next, added);
    assert_true(add(&ring, added));
    ring_done(&ring);
}

/* Adds up to ADD lines, publishes, takes TAKE times; again and again, past the end many times. */
static void go_round(unsigned add_count, unsigned take_count)
{
    struct ring ring;
    unsigned added = 0, next = 0;

    ring_init(&ring, BYTES);
    for (unsigned i = 0; i < 500; i++) {
        for (unsigned n = 0; n < add_count && add(&ring, added); n++)
            added++;
        if (i % 3 != 2) /* else some more are added first */
            ring_publish(&ring);
        for (unsigned n = 0; n < take_count; n++)
            take(&ring, &next);
    }
    ring_publish(&ring);
    take(&ring, &next);
    take(&ring, &next);
    assert_int_equal(next, added);
    assert_true(added >= 500);
    assert_int_equal(ring_waiting(&ring), 0);
    ring_done(&ring);
}

static void test_rounds(void **state)
{
    (void)state;
    for (unsigned a = 1; a <= 12; a++) {
        for (unsigned t = 1; t <= 3; t++)
            go_round(a, t);
    }
}

static void *add_many(void *me)
{
    struct ring *ring = me;

    for (unsigned n = 0; n < MANY; n++) {
        while (!add(ring, n)) {
            ring_publish(ring);
            sched_yield();
        }
        if (n % 5 == 0)
            ring_publish(ring);
    }
    ring_publish(ring);
    return NULL;
}

static void test_two_threads(void **state)
{
    struct ring ring;
    unsigned next = 0;
    pthread_t adder;

    (void)state;
    ring_init(&ring, 4096);
    assert_int_equal(pthread_create(&adder, NULL, add_many, &ring), 0);
    while (next < MANY) {
        take(&ring, &next);
        sched_yield();
    }
    pthread_join(adder, NULL);
    assert_int_equal(ring_take(&ring).n, 0);
    ring_done(&ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_alone_is_seen),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_rounds),
        cmocka_unit_test(test_two_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
