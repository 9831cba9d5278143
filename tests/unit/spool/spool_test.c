/* What is committed is there after the spool is opened again; what is settled is not. */
#include "spool_kit.h"

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

static void keeps_what_is_committed(void **state)
{
    static const struct {
        const char *name;
        uint64_t bytes;
        uint32_t recipients;
    } cases[] = {
        { "nothing in it", 0, 1 },
        { "one byte", 1, 1 },
        { "a small one", 1000, 2 },
        { "two blocks", 20000, 8 },
        { "many recipients", 5000, 9 },
        { "just one record", 64 << 10, 1 },
        { "just more than one record", (64 << 10) + 1, 1 },
        { "many chunks", 700000, 100 },
        { "larger than a segment", 3 << 20, 1 },
    };
    struct bench bench;

    (void)state;
    bench_init(&bench);
    bench_open(&bench);
    for (unsigned i = 0; i < CASES(cases); i++) {
        check(
            cases[i].name, bench_commit(&bench, i, cases[i].bytes, cases[i].recipients) == OK);
        check(cases[i].name, bench_read(&bench, i) == OK);
    }
    for (unsigned again = 0; again < 3; again++) {
        bench_close(&bench);
        bench_open(&bench);
        assert_int_equal(bench.found_count, CASES(cases));
        assert_int_equal(bench.damage_count, 0);
        for (unsigned i = 0; i < CASES(cases); i++) {
            char envelope[64];
            snprintf(envelope, sizeof envelope, "envelope of %u", i);
            check(cases[i].name, bench.kept[i].is_live);
            check(cases[i].name, bench.kept[i].entry.recipient_count == cases[i].recipients);
            check_bytes(
                cases[i].name, bytes_text(bench.kept[i].envelope), bytes_text(envelope));
            check(cases[i].name, bench_read(&bench, i) == OK);
        }
    }
    bench_done(&bench);
}

static void keeps_outcomes(void **state)
{
    static const uint32_t some[] = { 0, 7, 11 };
    struct bench bench;

    (void)state;
    bench_init(&bench);
    bench_open(&bench);
    assert_int_equal(bench_commit(&bench, 1, 10, 12), OK);
    assert_int_equal(bench_commit(&bench, 2, 10, 3), OK);
    assert_int_equal(bench_commit(&bench, 3, 10, 3), OK);
    spool_note(bench.spool, &bench.kept[1].entry, some, 3, SPOOL_FAILED);
    spool_note(bench.spool, &bench.kept[2].entry, some, 1, SPOOL_DELIVERED);
    bench_settle(&bench, 3);
    bench_close(&bench);
    bench_open(&bench);
    assert_int_equal(bench.found_count, 2);
    assert_int_equal(spool_entry_outcome(&bench.kept[1].entry, 0), SPOOL_FAILED);
    assert_int_equal(spool_entry_outcome(&bench.kept[1].entry, 1), SPOOL_PENDING);
    assert_int_equal(spool_entry_outcome(&bench.kept[1].entry, 7), SPOOL_FAILED);
    assert_int_equal(spool_entry_outcome(&bench.kept[1].entry, 11), SPOOL_FAILED);
    assert_int_equal(spool_entry_outcome(&bench.kept[2].entry, 0), SPOOL_DELIVERED);
    assert_int_equal(spool_entry_outcome(&bench.kept[2].entry, 2), SPOOL_PENDING);
    bench_done(&bench);
}

static bool is_done(void *me)
{
    return ((struct bench_commit *)me)->is_done;
}

static void keeps_what_is_suspended(void **state)
{
    static const uint32_t first = 0, second = 1;
    struct spool_entry *entry;
    struct bench bench;

    (void)state;
    bench_init(&bench);
    bench_open(&bench);
    assert_int_equal(bench_commit(&bench, 1, 100, 3), OK);
    assert_int_equal(bench_commit(&bench, 2, 100, 10), OK);
    entry = &bench.kept[1].entry;
    spool_note(bench.spool, entry, &first, 1, SPOOL_DELIVERED);
    spool_note(bench.spool, entry, &second, 1, SPOOL_DELAYED);
    spool_suspend(bench.spool, entry, true);
    spool_suspend(bench.spool, &bench.kept[2].entry, true);
    spool_suspend(bench.spool, &bench.kept[2].entry, false);
    assert_int_equal(bench_flush(&bench), OK);
    bench_close(&bench);
    bench_open(&bench);
    entry = &bench.kept[1].entry;
    assert_int_equal(spool_entry_outcome(entry, 0), SPOOL_DELIVERED);
    assert_int_equal(spool_entry_outcome(entry, 1), SPOOL_SUSPENDED_DELAYED);
    assert_int_equal(spool_entry_outcome(entry, 2), SPOOL_SUSPENDED);
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(spool_entry_outcome(&bench.kept[2].entry, i), SPOOL_RESUMED);
    /* A notice of the delay that was under way does not resume it. */
    spool_note(bench.spool, entry, (const uint32_t[]){ 2 }, 1, SPOOL_DELAYED);
    spool_note(bench.spool, entry, (const uint32_t[]){ 2 }, 1, SPOOL_DELAYED);
    assert_int_equal(spool_entry_outcome(entry, 2), SPOOL_SUSPENDED_DELAYED);
    assert_true(spool_is_pending(spool_entry_outcome(entry, 2)));
    spool_suspend(bench.spool, entry, false);
    assert_int_equal(bench_flush(&bench), OK);
    bench_close(&bench);
    bench_open(&bench);
    entry = &bench.kept[1].entry;
    assert_int_equal(spool_entry_outcome(entry, 0), SPOOL_DELIVERED);
    assert_int_equal(spool_entry_outcome(entry, 1), SPOOL_DELAYED);
    assert_int_equal(spool_entry_outcome(entry, 2), SPOOL_DELAYED);
    bench_done(&bench);
}

static void keeps_a_notification_and_its_cause_together(void **state)
{
    static const uint32_t failed[] = { 1 };
    struct bench bench;
    struct bench_commit commit;
    struct spool_cause cause = { bench_mid(1), failed, 1, SPOOL_FAILED };

    (void)state;
    bench_init(&bench);
    bench_open(&bench);
    assert_int_equal(bench_commit(&bench, 1, 100, 2), OK);
    bench_begin(&bench, &commit, 2, 300, 1, &cause);
    bench_until(&bench, is_done, &commit);
    assert_int_equal(commit.ticket.err, OK);
    bench_close(&bench);
    bench_open(&bench);
    assert_int_equal(bench.found_count, 2);
    assert_int_equal(spool_entry_outcome(&bench.kept[1].entry, 0), SPOOL_PENDING);
    assert_int_equal(spool_entry_outcome(&bench.kept[1].entry, 1), SPOOL_FAILED);
    assert_int_equal(bench_read(&bench, 2), OK);
    bench_done(&bench);
}

static void is_of_one_process(void **state)
{
    struct bench first, second;
    char why[256] = "";

    (void)state;
    bench_init(&first);
    bench_init(&second);
    bench_open(&first);
    second.settings.folder = first.folder;
    assert_int_equal(bench_try_open(&second, why), ERR_BUSY);
    assert_non_null(strstr(why, "another process"));
    second.spool = NULL;
    bench_done(&second);
    bench_done(&first);
}

static void position_only_grows(void **state)
{
    struct bench bench;
    struct store_id store;
    uint64_t before = 0;

    (void)state;
    bench_init(&bench);
    bench_open(&bench);
    store = spool_store_id(bench.spool);
    for (unsigned i = 0; i < 5; i++) {
        assert_true(spool_position(bench.spool) > before);
        before = spool_position(bench.spool);
        assert_int_equal(bench_commit(&bench, i, 1000, 1), OK);
        assert_true(spool_position(bench.spool) > before);
        before = spool_position(bench.spool);
        bench_close(&bench);
        bench_open(&bench);
        assert_memory_equal(store.byte, spool_store_id(bench.spool).byte, sizeof store.byte);
    }
    bench_done(&bench);
}

static void abandons(void **state)
{
    struct bench bench;
    struct spool_writer *writer;
    uint8_t zeros[1000] = { 0 };

    (void)state;
    bench_init(&bench);
    bench_open(&bench);
    for (unsigned bytes = 0; bytes < 500000; bytes += 99000) {
        writer = spool_writer_new(bench.spool, bench.loop, 500000, NULL, NULL);
        for (unsigned at = 0; at < bytes; at += sizeof zeros)
            assert_int_equal(spool_append(writer, bytes_of(zeros, sizeof zeros)), OK);
        spool_abandon(&writer);
        assert_null(writer);
    }
    writer = spool_writer_new(bench.spool, bench.loop, 999, NULL, NULL);
    assert_int_equal(spool_append(writer, bytes_of(zeros, sizeof zeros)), ERR_LIMIT);
    spool_abandon(&writer);
    assert_int_equal(bench_flush(&bench), OK);
    bench_close(&bench);
    bench_open(&bench);
    assert_int_equal(bench.found_count, 0);
    bench_done(&bench);
}

/* A thread of the pool that is kept busy until LET_GO. */
struct hostage {
    struct loop_work work;
    sem_t *let_go;
};

static void on_hostage(struct loop_work *work)
{
    sem_wait(container_of(work, struct hostage, work)->let_go);
}

static void on_hostage_done(struct loop_work *work)
{
    (void)work;
}

struct late_read {
    struct spool_read read;
    bool is_done;
};

static void on_late_read(struct spool_read *read)
{
    container_of(read, struct late_read, read)->is_done = true;
}

static bool is_read(void *me)
{
    return ((struct late_read *)me)->is_done;
}

/* The disk, or what else the pool does, is slow, and the time to stop is over. */
static void closes_while_a_message_is_read(void **state)
{
    struct late_read late = { .read.done = on_late_read };
    struct hostage hostages[16];
    struct bench bench;
    sem_t let_go;

    (void)state;
    bench_init(&bench);
    bench_open(&bench);
    assert_int_equal(bench_commit(&bench, 0, 1000, 1), OK);
    sem_init(&let_go, 0, 0);
    for (size_t i = 0; i < CASES(hostages); i++) {
        hostages[i] = (struct hostage){ .work = { .run = on_hostage, .done = on_hostage_done },
            .let_go = &let_go };
        loop_work(bench.loop, &hostages[i].work);
    }
    spool_read(bench.spool, &bench.kept[0].entry, 0, 1000, &late.read);
    assert_int_equal(spool_open_reads(bench.spool), 1);
    bench_close(&bench);
    for (size_t i = 0; i < CASES(hostages); i++)
        sem_post(&let_go);
    bench_until(&bench, is_read, &late);
    assert_int_equal(late.read.err, OK);
    assert_int_equal(late.read.n, 1000);
    free(late.read.at);
    bench_open(&bench); /* nobody has the folder any more */
    assert_int_equal(bench.found_count, 1);
    assert_int_equal(bench_read(&bench, 0), OK);
    assert_int_equal(spool_open_reads(bench.spool), 0);
    bench_done(&bench);
    sem_destroy(&let_go);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_what_is_committed),
        cmocka_unit_test(keeps_outcomes),
        cmocka_unit_test(keeps_what_is_suspended),
        cmocka_unit_test(keeps_a_notification_and_its_cause_together),
        cmocka_unit_test(is_of_one_process),
        cmocka_unit_test(position_only_grows),
        cmocka_unit_test(abandons),
        cmocka_unit_test(closes_while_a_message_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
