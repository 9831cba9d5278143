/* Which store a spool is, and when it cannot vouch for itself any more. */
#include "spool_kit.h"

#include "os/file.h"
#include "spool/internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static bool is_same(struct store_id a, struct store_id b)
{
    return memcmp(a.byte, b.byte, sizeof a.byte) == 0;
}

static void open_again(struct bench *bench)
{
    bench_close(bench);
    bench_open(bench);
}

static void gets_another_name(void **state)
{
    static struct bench bench;
    struct store_id first, second;

    (void)state;
    bench_init(&bench);
    bench_open(&bench);
    assert_int_equal(bench_commit(&bench, 1, 3000, 1), OK);
    first = spool_store_id(bench.spool);
    assert_int_equal(spool_renew_store(bench.spool), OK);
    second = spool_store_id(bench.spool);
    assert_false(is_same(first, second));
    assert_int_equal(bench_commit(&bench, 2, 300000, 1), OK);
    for (unsigned i = 3; i < 6; i++) { /* what was written before stays valid */
        open_again(&bench);
        assert_true(is_same(spool_store_id(bench.spool), second));
        assert_int_equal(bench.damage_count, 0);
        assert_int_equal(bench.found_count, i - 1);
        for (unsigned k = 1; k < i; k++)
            assert_int_equal(bench_read(&bench, k), OK);
        assert_int_equal(bench_commit(&bench, i, 3000, 1), OK);
    }
    bench_done(&bench);
}

/* --- A call fails ------------------------------------------------------------------------ */

struct disk {
    struct file_faults faults;
    unsigned count, fail_at;
    enum err err;
};

/* Segments are the business of other threads, and of faults_test. */
static enum err before(void *me, const struct file_event *event, size_t *n_max)
{
    struct disk *disk = me;
    static _Thread_local bool is_of_store;

    (void)n_max;
    if (event->call == FILE_CALL_OPEN || event->call == FILE_CALL_RENAME ||
        event->call == FILE_CALL_REMOVE)
        is_of_store = strstr(event->path, "/store") != NULL;
    if (!is_of_store || event->call == FILE_CALL_READ)
        return OK;
    return ++disk->count == disk->fail_at ? disk->err : OK;
}

static void is_the_old_one_after_a_failure(void **state)
{
    static struct bench bench;
    struct disk disk = { .fail_at = 1 };
    enum err err;

    (void)state;
    bench_init(&bench);
    bench_open(&bench);
    assert_int_equal(bench_commit(&bench, 1, 3000, 1), OK);
    do {
        struct store_id old = spool_store_id(bench.spool);
        disk.faults = (struct file_faults){ &disk, before, NULL };
        disk.err = disk.fail_at % 2 ? ERR_IO : ERR_SPACE;
        disk.count = 0;
        file_set_faults(&disk.faults);
        err = spool_renew_store(bench.spool);
        file_set_faults(NULL);
        if (disk.fail_at > 1) /* that there was none to be removed is no failure */
            assert_true(err == OK || err == disk.err);
        assert_int_equal(is_same(spool_store_id(bench.spool), old), err != OK);
        open_again(&bench);
        assert_int_equal(bench.found_count, 1);
        disk.fail_at++;
    } while (disk.count >= disk.fail_at - 1);
    assert_true(disk.fail_at > 5);
    assert_int_equal(err, OK);
    bench_done(&bench);
}

/* --- The older format -------------------------------------------------------------------- */

static void write_file(const struct bench *bench, const char *name, const void *at, size_t n)
{
    char path[128];
    int fd;

    snprintf(path, sizeof path, "%s/%s", bench->folder, name);
    fd = open(path, O_WRONLY | O_TRUNC | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, at, n), n);
    close(fd);
}

static void count_one(void *me, const struct spool_found *found)
{
    (void)found;
    ++*(unsigned *)me;
}

static void reads_the_older_format(void **state)
{
    static struct bench bench;
    unsigned count = 0;
    const struct spool_visitor visitor = { &count, count_one, NULL, NULL, NULL };
    struct store_head head = { .version = 1, .segment_bytes = 1 << 20 }, got;
    uint8_t bytes[STORE_BYTES];
    char why[256] = "";

    (void)state;
    bench_init(&bench);
    bench_open(&bench);
    assert_int_equal(bench_commit(&bench, 1, 3000, 1), OK);
    head.id = spool_store_id(bench.spool);
    bench_close(&bench);
    store_head_encode(&head, bytes);
    write_file(&bench, "store", bytes, sizeof bytes);
    assert_int_equal(spool_scan(bench.folder, &visitor, why), OK);
    assert_int_equal(count, 1);
    assert_int_equal(store_read(bench.folder, &got, why), OK);
    assert_int_equal(got.version, 1); /* to look changes nothing */
    bench_open(&bench);
    assert_int_equal(bench.found_count, 1);
    assert_true(is_same(spool_store_id(bench.spool), head.id));
    assert_int_equal(store_read(bench.folder, &got, why), OK);
    assert_int_equal(got.version, STORE_VERSION);
    bench_close(&bench);
    head.version = STORE_VERSION + 1;
    store_head_encode(&head, bytes);
    write_file(&bench, "store", bytes, sizeof bytes);
    assert_int_equal(bench_try_open(&bench, why), ERR_CORRUPT);
    assert_non_null(strstr(why, "format 3"));
    bench.spool = NULL;
    bench_done(&bench);
}

/* --- Damage ------------------------------------------------------------------------------ */

/* One byte of the record at POSITION is another one. */
static void spoil(const struct bench *bench, uint64_t position)
{
    uint64_t base = position - position % (1 << 20);
    char path[128];
    uint8_t byte;
    int fd;

    snprintf(path, sizeof path, "%s/%016llx.seg", bench->folder, (unsigned long long)base);
    fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, (off_t)(position - base) + 100), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)(position - base) + 100), 1);
    close(fd);
}

static void knows_when_it_was_damaged(void **state)
{
    static struct bench bench;
    uint64_t at[4];

    (void)state;
    bench_init(&bench);
    bench_open(&bench);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(bench_commit(&bench, i, 3000, 1), OK);
        at[i] = bench.kept[i].entry.at;
    }
    bench_close(&bench);
    spoil(&bench, at[1]);
    for (unsigned again = 0; again < 2; again++) { /* until something is done about it */
        bench_open(&bench);
        assert_true(spool_was_damaged(bench.spool));
        assert_int_equal(bench.found_count, 3);
        assert_int_equal(bench.damage_count, 1);
        bench_close(&bench);
    }
    bench_open(&bench);
    assert_int_equal(spool_renew_store(bench.spool), OK);
    assert_false(spool_was_damaged(bench.spool));
    open_again(&bench);
    assert_int_equal(bench.damage_count, 1); /* it is there still, and known */
    assert_false(spool_was_damaged(bench.spool));
    bench_close(&bench);
    spoil(&bench, at[2]);
    bench_open(&bench);
    assert_true(spool_was_damaged(bench.spool));
    assert_int_equal(bench.found_count, 2);
    bench_done(&bench);
}

/* What an unflushed tail leaves is no damage; that nobody was told of it is not asked here. */
static void a_torn_tail_is_none(void **state)
{
    static struct bench bench;
    uint64_t at;

    (void)state;
    bench_init(&bench);
    bench_open(&bench);
    assert_int_equal(bench_commit(&bench, 0, 3000, 1), OK);
    assert_int_equal(bench_commit(&bench, 1, 3000, 1), OK);
    at = bench.kept[1].entry.at;
    bench_close(&bench);
    spoil(&bench, at);
    bench_open(&bench);
    assert_int_equal(bench.found_count, 1);
    assert_false(spool_was_damaged(bench.spool));
    bench_done(&bench);
}

static void misses_a_segment(void **state)
{
    static struct bench bench;
    char path[128];
    uint64_t base;

    (void)state;
    bench_init(&bench);
    bench_open(&bench);
    for (unsigned i = 0; i < 60; i++)
        assert_int_equal(bench_commit(&bench, i, 60000, 1), OK);
    base = bench.kept[25].entry.at - bench.kept[25].entry.at % (1 << 20);
    bench_close(&bench);
    snprintf(path, sizeof path, "%s/%016llx.seg", bench.folder, (unsigned long long)base);
    assert_int_equal(unlink(path), 0);
    bench_open(&bench);
    assert_in_range(bench.found_count, 30, 50);
    assert_true(bench.damage_count > 0);
    assert_true(spool_was_damaged(bench.spool));
    assert_int_equal(bench_commit(&bench, 60, 60000, 1), OK);
    bench_done(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gets_another_name),
        cmocka_unit_test(is_the_old_one_after_a_failure),
        cmocka_unit_test(reads_the_older_format),
        cmocka_unit_test(knows_when_it_was_damaged),
        cmocka_unit_test(a_torn_tail_is_none),
        cmocka_unit_test(misses_a_segment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
