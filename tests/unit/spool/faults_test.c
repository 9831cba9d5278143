/* Each call to the disk fails once, one after the other: nothing acknowledged is lost, nothing
 * breaks.  And: a disk that fails for long, and one that is full. */
#include "spool_kit.h"

#include "os/file.h"

#include <stdatomic.h>
#include <stdio.h>

enum { MESSAGES = 24 };

struct disk {
    struct file_faults faults;
    atomic_uint count;
    unsigned fail_at;  /* the first call that fails; 0: none */
    unsigned fail_for; /* so many */
    unsigned calls;    /* 1 << enum file_call: those that are counted */
    bool is_short;     /* writes and reads are made short instead */
    enum err err;
    atomic_bool has_failed;
};

static enum err before(void *me, const struct file_event *event, size_t *n_max)
{
    struct disk *disk = me;
    unsigned number;

    if (!(disk->calls & 1u << event->call))
        return OK;
    number = atomic_fetch_add(&disk->count, 1) + 1;
    if (!disk->fail_at || number < disk->fail_at || number >= disk->fail_at + disk->fail_for)
        return OK;
    atomic_store(&disk->has_failed, true);
    if (!disk->is_short)
        return disk->err;
    if (*n_max > 1)
        *n_max /= 2;
    return OK;
}

static void disk_start(struct disk *disk)
{
    disk->faults = (struct file_faults){ disk, before, NULL };
    atomic_store(&disk->count, 0);
    atomic_store(&disk->has_failed, false);
    file_set_faults(&disk->faults);
}

enum { ALL_CALLS = ~(1u << FILE_CALL_READ), SYNCS = 1u << FILE_CALL_SYNC };

enum { WORDS_EACH = 3 };

/* What the world has been told. */
struct told {
    bool is_acknowledged[MESSAGES], is_settling[MESSAGES], is_settled[MESSAGES];
    struct bench_word word[MESSAGES][WORDS_EACH]; /* message I is said WORDS_EACH things of */
    unsigned said_count[MESSAGES];
};

static bool are_done(void *me)
{
    struct bench_commit *commits = me;
    return commits[0].is_done && commits[1].is_done && commits[2].is_done;
}

static void flush(struct bench *bench, struct told *told)
{
    if (bench_flush(bench) == OK)
        for (unsigned i = 0; i < MESSAGES; i++)
            told->is_settled[i] = told->is_settling[i];
}

/* Of the last message of each three, once a turn. */
static void say(struct bench *bench, struct told *told, unsigned below)
{
    for (unsigned i = 2; i < below; i += 3) {
        unsigned word = told->said_count[i];
        if (!told->is_acknowledged[i] || word == WORDS_EACH)
            continue;
        bench_stand(bench, &told->word[i][word], i, STANDING_HELD, (uint16_t)(word + 1));
        told->said_count[i]++;
    }
}

/* The last thing that was told is true, or a later one, and its place was told. */
static void check_words(const struct bench *bench, const struct told *told, const char *name)
{
    for (unsigned i = 0; i < MESSAGES; i++) {
        const struct kept *kept = &bench->kept[i];
        unsigned done = 0;
        while (done < told->said_count[i] && told->word[i][done].is_done)
            done++;
        for (unsigned k = done; k < told->said_count[i]; k++)
            check(name, !told->word[i][k].is_done); /* in their order */
        if (!kept->is_live)
            continue;
        check(name, kept->standing.generation >= done);
        check(name, kept->standing.generation <= told->said_count[i]);
        if (done && kept->standing.generation == done)
            check(name, kept->standing_at == told->word[i][done - 1].word.at);
    }
}

/* Three at a time, small and in chunks; the first of three is settled. */
static void work(struct bench *bench, struct told *told)
{
    static struct bench_commit commit[3];

    for (unsigned i = 0; i < MESSAGES; i += 3) {
        for (unsigned k = 0; k < 3; k++)
            bench_begin(bench, &commit[k], i + k, k == 2 ? 150000 : 3000, 1 + k, NULL);
        bench_until(bench, are_done, commit);
        for (unsigned k = 0; k < 3; k++)
            told->is_acknowledged[i + k] = commit[k].ticket.err == OK;
        if (told->is_acknowledged[i]) {
            bench_settle(bench, i);
            told->is_settling[i] = true;
        }
        say(bench, told, i + 3);
        if (i % 9 == 0)
            flush(bench, told);
    }
    flush(bench, told);
}

static void check_all(struct bench *bench, const struct told *told, const char *name)
{
    for (unsigned i = 0; i < MESSAGES; i++) {
        if (told->is_acknowledged[i] && !told->is_settling[i])
            check(name, bench->kept[i].is_live);
        if (told->is_settled[i])
            check(name, !bench->kept[i].is_live);
        if (bench->kept[i].is_live)
            check(name, bench_read(bench, i) == OK);
    }
    check_words(bench, told, name);
    check(name, bench->damage_count == 0);
}

/* False: the fault was never met. */
static bool run(struct disk *disk, const char *name)
{
    static struct bench bench;
    static struct told told;
    char why[256] = "";

    memset(&told, 0, sizeof told);
    bench_init(&bench);
    disk_start(disk);
    if (bench_try_open(&bench, why) == OK) {
        work(&bench, &told);
        bench_close(&bench);
    } else {
        check(name, why[0]);
        bench.spool = NULL;
    }
    file_set_faults(NULL);
    bench_open(&bench);
    check_all(&bench, &told, name);
    check(name, bench_commit(&bench, MESSAGES, 100, 1) == OK);
    bench_done(&bench);
    return atomic_load(&disk->has_failed);
}

static void survives_each_failure(void **state)
{
    static const struct {
        const char *name;
        unsigned calls, fail_for, step;
        bool is_short;
        enum err err;
    } cases[] = {
        { "a call fails", ALL_CALLS, 1, 1, false, ERR_IO },
        { "no space for a call", ALL_CALLS, 1, 3, false, ERR_SPACE },
        { "a flush fails", SYNCS, 1, 1, false, ERR_IO },
        { "two flushes fail", SYNCS, 2, 1, false, ERR_IO },
        { "short writes", 1u << FILE_CALL_WRITE, 3, 3, true, OK },
    };

    (void)state;
    for (unsigned i = 0; i < CASES(cases); i++) {
        struct disk disk = { .calls = cases[i].calls,
            .fail_for = cases[i].fail_for,
            .is_short = cases[i].is_short,
            .err = cases[i].err };
        do
            disk.fail_at += cases[i].step;
        while (run(&disk, cases[i].name));
        check(cases[i].name, disk.fail_at > 5);
    }
}

/* --- A disk that fails for long ---------------------------------------------------------- */

static bool is_healthy(void *me)
{
    struct spool_facts facts;

    spool_get_facts(((struct bench *)me)->spool, &facts);
    return !facts.is_unhealthy;
}

static void comes_back_by_itself(void **state)
{
    static struct bench bench;
    static struct bench_word word[2];
    struct disk disk = {
        .calls = SYNCS, .fail_at = 1, .fail_for = UINT32_MAX - 1, .err = ERR_IO
    };
    char why[128] = "";

    (void)state;
    bench_init(&bench);
    bench_open(&bench);
    assert_int_equal(bench_commit(&bench, 1, 1000, 1), OK);
    assert_int_equal(bench_commit(&bench, 2, 1000, 1), OK);
    disk_start(&disk);
    for (unsigned i = 3; i < 6; i++)
        assert_int_equal(bench_commit(&bench, i, 1000, 1), ERR_IO);
    assert_int_equal(spool_has_room(bench.spool, 1, why), ERR_IO);
    assert_true(why[0]);
    bench_stand(&bench, &word[0], 2, STANDING_HELD, 1); /* are told later, in their order */
    bench_stand(&bench, &word[1], 2, STANDING_PRIMARY, 2);
    bench_settle(&bench, 1); /* cannot be written now, and is not forgotten */
    assert_int_equal(bench_flush(&bench), ERR_IO);
    assert_false(word[0].is_done || word[1].is_done);
    file_set_faults(NULL);
    bench_until(&bench, is_healthy, &bench);
    assert_int_equal(spool_has_room(bench.spool, 1, why), OK);
    assert_int_equal(bench_commit(&bench, 6, 1000, 1), OK);
    assert_int_equal(bench_flush(&bench), OK);
    bench_wait_word(&bench, &word[1]);
    assert_true(word[0].is_done && word[0].word.at < word[1].word.at);
    bench_close(&bench);
    bench_open(&bench);
    assert_int_equal(bench.damage_count, 0);
    assert_int_equal(bench_live_count(&bench), 2);
    assert_int_equal(bench.kept[2].standing.generation, 2);
    assert_int_equal(bench.kept[2].standing_at, word[1].word.at);
    assert_true(bench.kept[2].is_live && bench.kept[6].is_live);
    bench_done(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(survives_each_failure),
        cmocka_unit_test(comes_back_by_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
