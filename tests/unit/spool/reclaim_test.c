/* Space: segments are used again, a few old messages do not keep the log, and a full one
 * refuses in time and comes back. */
#include "spool_kit.h"

#include <stdio.h>

enum { MIB = 1 << 20 };

static struct spool_facts facts_of(struct bench *bench)
{
    struct spool_facts facts;

    spool_get_facts(bench->spool, &facts);
    return facts;
}

static bool is_small(void *me)
{
    return facts_of(me).segments <= 6;
}

/* One of 40 stays: without copying forward all segments would. */
static void copies_old_messages_forward(void **state)
{
    static struct bench bench;
    unsigned kept_count = 0;

    (void)state;
    bench_init(&bench);
    bench_open(&bench);
    for (unsigned i = 0; i < 400; i++) {
        assert_int_equal(bench_commit(&bench, i, i % 50 == 7 ? 200000 : 60000, 10), OK);
        if (i % 40 == 7) {
            static const uint32_t third[] = { 3 };
            spool_note(bench.spool, &bench.kept[i].entry, third, 1, SPOOL_FAILED);
            kept_count++;
        } else {
            bench_settle(&bench, i);
        }
    }
    bench_until(&bench, is_small, &bench);
    assert_true(facts_of(&bench).messages_moved > 0);
    for (unsigned again = 0; again < 2; again++) {
        assert_int_equal(bench_live_count(&bench), kept_count);
        for (unsigned i = 7; i < 400; i += 40) {
            assert_true(bench.kept[i].is_live);
            assert_int_equal(bench_read(&bench, i), OK);
            assert_int_equal(spool_entry_outcome(&bench.kept[i].entry, 3), SPOOL_FAILED);
            assert_int_equal(spool_entry_outcome(&bench.kept[i].entry, 4), SPOOL_PENDING);
        }
        bench_close(&bench);
        bench_open(&bench);
        assert_int_equal(bench.damage_count, 0);
    }
    bench_done(&bench);
}

static bool is_empty(void *me)
{
    return facts_of(me).segments <= 2;
}

static void uses_segments_again(void **state)
{
    static struct bench bench;

    (void)state;
    bench_init(&bench);
    bench_open(&bench);
    for (unsigned i = 0; i < 300; i++) {
        assert_int_equal(bench_commit(&bench, i, 60000, 1), OK);
        bench_settle(&bench, i);
    }
    bench_until(&bench, is_empty, &bench);
    assert_true(facts_of(&bench).segments_spare <= 4);
    bench_close(&bench);
    bench_open(&bench);
    assert_int_equal(bench.found_count, 0);
    bench_done(&bench);
}

static bool has_room(void *me)
{
    char why[128];
    return spool_has_room(((struct bench *)me)->spool, 60000, why) == OK;
}

/* Until it is full, then all are settled: what frees room has room. */
static void refuses_in_time_and_comes_back(void **state)
{
    static struct bench bench;
    char why[128] = "";
    unsigned count = 0;
    enum err err;

    (void)state;
    bench_init(&bench);
    bench.settings.bytes_max = 6 * MIB;
    bench_open(&bench);
    while ((err = bench_commit(&bench, count, 60000, 1)) == OK && count < 200)
        count++;
    assert_int_equal(err, ERR_SPACE);
    assert_true(count > 40);
    assert_int_equal(spool_has_room(bench.spool, MIB, why), ERR_SPACE);
    assert_non_null(strstr(why, "in use"));
    assert_true(facts_of(&bench).is_full);
    bench_close(&bench); /* it is as full after a start */
    bench_open(&bench);
    assert_int_equal(bench.found_count, count);
    for (unsigned i = 0; i < count; i++)
        bench_settle(&bench, i);
    assert_int_equal(bench_flush(&bench), OK);
    bench_until(&bench, has_room, &bench);
    assert_int_equal(bench_commit(&bench, 0, 60000, 1), OK);
    assert_false(facts_of(&bench).is_full);
    bench_done(&bench);
}

static bool is_in_proportion(void *me)
{
    struct spool_facts facts = facts_of(me);
    return facts.segments * facts.segment_bytes <=
           2 * facts.bytes_live + 5 * facts.segment_bytes;
}

/* Messages are settled and read while they are copied forward. */
static void moves_under_use(void **state)
{
    static struct bench bench;
    unsigned next = 0;

    (void)state;
    bench_init(&bench);
    bench_open(&bench);
    for (unsigned round = 0; round < 30; round++) {
        for (unsigned i = 0; i < 40; i++, next++) {
            assert_int_equal(bench_commit(&bench, next, 30000, 1), OK);
            if (next % 10)
                bench_settle(&bench, next);
        }
        for (unsigned i = 0; i + 200 < next; i += 10) {
            if (!bench.kept[i].is_live)
                continue;
            assert_int_equal(bench_read(&bench, i), OK);
            if (i % 30 == 0)
                bench_settle(&bench, i);
        }
    }
    bench_until(&bench, is_in_proportion, &bench);
    next = bench_live_count(&bench);
    bench_close(&bench);
    bench_open(&bench);
    assert_int_equal(bench.found_count, next);
    bench_done(&bench);
}

/* --- Copies for other nodes -------------------------------------------------------------- */

static bool is_blocked(void *me)
{
    char why[128];
    return spool_has_room(((struct bench *)me)->spool, 60000, why) == ERR_SPACE;
}

static unsigned fill_up(struct bench *bench, unsigned first, uint64_t bytes)
{
    unsigned number = first;

    while (number < first + 300 && bench_commit(bench, number, bytes, 1) == OK)
        number++;
    return number;
}

/* Clients are refused first, then copies; what frees room has some still. */
static void refuses_copies_last(void **state)
{
    static struct bench bench;
    static struct bench_word word;
    const struct standing held = bench_standing(STANDING_HELD, 1);
    char why[128] = "";
    unsigned clients, copies;

    (void)state;
    bench_init(&bench);
    bench.settings.bytes_max = 8 * MIB;
    bench_open(&bench);
    bench.standing = &held;
    assert_int_equal(bench_commit(&bench, 0, 60000, 1), OK);
    bench.standing = NULL;
    clients = fill_up(&bench, 1, 60000);
    assert_true(clients > 50);
    bench_until(&bench, is_blocked, &bench);
    assert_int_equal(spool_has_room_for_copy(bench.spool, 60000, why), OK);
    bench.standing = &held;
    copies = fill_up(&bench, clients, 60000);
    assert_in_range(copies - clients, 10, 40); /* some segment */
    assert_int_equal(spool_has_room_for_copy(bench.spool, MIB, why), ERR_SPACE);
    assert_true(why[0]);
    bench_stand(&bench, &word, clients, STANDING_PRIMARY, 2); /* a take-over */
    bench_wait_word(&bench, &word);
    for (unsigned i = 0; i < copies; i++)
        bench_settle(&bench, i);
    assert_int_equal(bench_flush(&bench), OK);
    bench_until(&bench, has_room, &bench);
    assert_int_equal(bench_commit(&bench, 0, 60000, 1), OK);
    bench_done(&bench);
}

/* A large one, in chunks. */
static void takes_a_large_copy(void **state)
{
    static struct bench bench;
    static const uint8_t piece[50000];
    const struct standing held = bench_standing(STANDING_HELD, 1);
    struct spool_writer *writer;

    (void)state;
    bench_init(&bench);
    bench.settings.bytes_max = 8 * MIB;
    bench_open(&bench);
    bench.standing = &held;
    assert_int_equal(bench_commit(&bench, 0, 60000, 1), OK);
    bench.standing = NULL;
    fill_up(&bench, 1, 60000);
    for (unsigned is_copy = 0; is_copy < 2; is_copy++) {
        enum err err = OK;
        writer = spool_writer_new(bench.spool, bench.loop, 4 * MIB, NULL, NULL);
        if (is_copy)
            spool_writer_set_copy(writer);
        for (unsigned i = 0; i < 8; i++) {
            if (!err)
                err = spool_append(writer, bytes_of(piece, sizeof piece));
            assert_int_equal(bench_flush(&bench), OK); /* its chunks have their answers */
        }
        assert_int_equal(err, is_copy ? OK : ERR_SPACE);
        spool_abandon(&writer);
    }
    assert_int_equal(bench_flush(&bench), OK);
    bench_done(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_old_messages_forward),
        cmocka_unit_test(uses_segments_again),
        cmocka_unit_test(refuses_in_time_and_comes_back),
        cmocka_unit_test(moves_under_use),
        cmocka_unit_test(refuses_copies_last),
        cmocka_unit_test(takes_a_large_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
