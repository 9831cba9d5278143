/* Who has a message: what it was committed with, what was said later, and when that is told. */
#include "spool_kit.h"

#include <stdio.h>

static bool is_committed(void *me)
{
    return ((struct bench_commit *)me)->is_done;
}

static void commit_as(struct bench *bench, unsigned number, const struct standing *standing)
{
    bench->standing = standing;
    assert_int_equal(bench_commit(bench, number, 1000, 1 + number), OK);
    bench->standing = NULL;
    assert_int_equal(bench->kept[number].entry.has_standing, standing != NULL);
}

static void open_again(struct bench *bench)
{
    bench_close(bench);
    bench_open(bench);
    assert_int_equal(bench->damage_count, 0);
    assert_false(spool_was_damaged(bench->spool));
}

static void check_standing(
    struct bench *bench, unsigned number, enum standing_role role, uint16_t generation)
{
    struct standing want = bench_standing(role, generation);
    const struct kept *kept = &bench->kept[number];

    assert_true(kept->is_live && kept->entry.has_standing);
    assert_int_equal(kept->entry.is_word, role == STANDING_SETTLED);
    assert_memory_equal(&kept->standing, &want, sizeof want);
}

static void keeps_the_last_standing(void **state)
{
    static struct bench bench;
    struct standing primary = bench_standing(STANDING_PRIMARY, 3),
                    held = bench_standing(STANDING_HELD, 8);
    struct bench_word word[4];

    (void)state;
    bench_init(&bench);
    bench_open(&bench);
    commit_as(&bench, 0, NULL);
    commit_as(&bench, 1, &primary);
    commit_as(&bench, 2, &held);
    commit_as(&bench, 11, &held); /* many recipients */
    commit_as(&bench, 4, NULL);
    bench_stand(&bench, &word[0], 4, STANDING_HELD, 1);
    bench_stand(&bench, &word[1], 4, STANDING_ASIDE, 2);
    bench_stand(&bench, &word[2], 11, STANDING_SETTLED, 5);
    bench_wait_word(&bench, &word[2]);
    assert_true(word[0].is_done && word[1].is_done);
    for (unsigned again = 0; again < 3; again++) {
        open_again(&bench);
        assert_int_equal(bench.found_count, 5);
        assert_false(bench.kept[0].entry.has_standing);
        check_standing(&bench, 1, STANDING_PRIMARY, 3);
        assert_int_equal(bench.kept[1].standing_at, bench.kept[1].entry.at);
        check_standing(&bench, 2, STANDING_HELD, 8);
        check_standing(&bench, 4, STANDING_ASIDE, 2);
        assert_int_equal(bench.kept[4].standing_at, word[1].word.at);
        check_standing(&bench, 11, STANDING_SETTLED, 5);
        assert_int_equal(bench.kept[11].standing_at, word[2].word.at);
        for (unsigned i = 0; i < 3; i++)
            assert_int_equal(bench_read(&bench, i), OK);
    }
    bench_settle(&bench, 11);
    bench_settle(&bench, 4);
    open_again(&bench);
    assert_int_equal(bench.found_count, 3);
    bench_done(&bench);
}

/* --- When words are told ----------------------------------------------------------------- */

enum { WORDS = 300 };

struct telling {
    struct bench bench;
    struct spool_word word[WORDS];
    unsigned told_count;
    uint64_t last;
};

static struct telling telling;

static void on_told(struct spool_word *word)
{
    assert_ptr_equal(word, &telling.word[telling.told_count]);
    assert_true(word->at > telling.last);
    assert_true(word->at < spool_position(telling.bench.spool));
    telling.last = word->at;
    telling.told_count++;
}

static bool are_told(void *me)
{
    return ((struct telling *)me)->told_count == WORDS;
}

/* More than one write gathers, and commits, outcomes and ends among them. */
static void tells_in_the_order_of_the_log(void **state)
{
    static struct bench_commit commit[WORDS / 10];
    struct bench *bench = &telling.bench;
    const uint32_t first = 0;

    (void)state;
    bench_init(bench);
    bench_open(bench);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(bench_commit(bench, i, 500, 1), OK);
    for (unsigned i = 0; i < WORDS; i++) {
        struct kept *kept = &bench->kept[i % 20];
        kept->standing = bench_standing(STANDING_PRIMARY, (uint16_t)i);
        telling.word[i].done = on_told;
        spool_stand(bench->spool, &kept->entry, &kept->standing, &telling.word[i]);
        if (i % 10 == 0)
            bench_begin(bench, &commit[i / 10], 100 + i, 40000, 1, NULL);
        if (i % 7 == 0)
            spool_note(bench->spool, &kept->entry, &first, 1, SPOOL_DELIVERED);
    }
    bench_until(bench, are_told, &telling);
    for (unsigned i = 0; i < CASES(commit); i++)
        bench_until(bench, is_committed, &commit[i]);
    open_again(bench);
    for (unsigned i = 0; i < 20; i++)
        check_standing(bench, i, STANDING_PRIMARY, (uint16_t)(WORDS - 20 + i));
    bench_done(bench);
}

/* --- Barriers that nobody waits for ------------------------------------------------------ */

static bool is_flushed(void *me)
{
    return ((struct bench_barrier *)me)->is_done;
}

static void goes_with_the_next_group(void **state)
{
    static struct bench bench;
    struct bench_barrier flushing;
    const uint32_t first = 0;

    (void)state;
    bench_init(&bench);
    bench_open(&bench);
    commit_as(&bench, 0, NULL);
    bench_flush_soon(&bench, &flushing);
    commit_as(&bench, 1, NULL);
    assert_true(flushing.is_done); /* at the latest with that one */
    assert_int_equal(flushing.barrier.err, OK);
    spool_note(bench.spool, &bench.kept[0].entry, &first, 1, SPOOL_DELIVERED);
    bench_flush_soon(&bench, &flushing);
    bench_until(&bench, is_flushed, &flushing); /* there is no other: by itself */
    assert_int_equal(flushing.barrier.err, OK);
    bench_done(&bench);
}

/* The entry is over before its word is written. */
static void outlives_its_entry(void **state)
{
    static struct bench bench;
    struct bench_word word[3];

    (void)state;
    bench_init(&bench);
    bench_open(&bench);
    for (unsigned i = 0; i < 3; i++)
        commit_as(&bench, i, NULL);
    for (unsigned i = 0; i < 3; i++)
        bench_stand(&bench, &word[i], i, i ? STANDING_SETTLED : STANDING_HELD, 1);
    bench_settle(&bench, 0);
    bench_settle(&bench, 1);
    for (unsigned i = 0; i < 3; i++)
        bench_wait_word(&bench, &word[i]);
    assert_int_equal(bench_flush(&bench), OK);
    open_again(&bench);
    assert_int_equal(bench.found_count, 1);
    check_standing(&bench, 2, STANDING_SETTLED, 1);
    bench_done(&bench);
}

/* What waits when the spool is closed is written all the same. */
static void is_written_at_the_end(void **state)
{
    static struct bench bench;
    static struct bench_word word;

    (void)state;
    bench_init(&bench);
    bench_open(&bench);
    commit_as(&bench, 1, NULL);
    bench_stand(&bench, &word, 1, STANDING_UNCLAIMED, 9);
    open_again(&bench);
    check_standing(&bench, 1, STANDING_UNCLAIMED, 9);
    bench_done(&bench);
}

/* --- Entries and contents that change hands ---------------------------------------------- */

static void moves_an_entry(void **state)
{
    static struct bench bench;
    struct spool_facts facts;
    struct kept *kept = &bench.kept[9];
    const uint32_t third = 3;
    struct spool_entry other;

    (void)state;
    bench_init(&bench);
    bench_open(&bench);
    commit_as(&bench, 9, NULL); /* 10 recipients: their outcomes are malloc'ed */
    spool_move_entry(bench.spool, &kept->entry, &other);
    spool_note(bench.spool, &other, &third, 1, SPOOL_FAILED);
    assert_int_equal(spool_entry_outcome(&other, 3), SPOOL_FAILED);
    spool_move_entry(bench.spool, &other, &kept->entry);
    spool_get_facts(bench.spool, &facts);
    assert_int_equal(facts.messages_live, 1);
    assert_int_equal(bench_read(&bench, 9), OK);
    bench_settle(&bench, 9);
    spool_get_facts(bench.spool, &facts);
    assert_int_equal(facts.messages_live, 0);
    assert_int_equal(facts.bytes_live, 0);
    open_again(&bench);
    assert_int_equal(bench.found_count, 0);
    bench_done(&bench);
}

static void on_committed(struct spool_ticket *ticket)
{
    loop_stop(ticket->loop);
}

/* A copy goes to another node while the message is committed. */
static void gives_its_content_out(void **state)
{
    static const struct {
        const char *name;
        size_t bytes;
        bool is_there;
    } cases[] = {
        { "empty", 0, true },
        { "small", 100, true },
        { "several blocks", 60000, true },
        { "in chunks", 70000, false },
    };
    static struct bench bench;
    static uint8_t body[70000];

    (void)state;
    bench_init(&bench);
    bench_open(&bench);
    for (unsigned i = 0; i < CASES(cases); i++) {
        struct spool_writer *writer =
            spool_writer_new(bench.spool, bench.loop, sizeof body, NULL, NULL);
        struct spool_ticket ticket = { .on_done = on_committed };
        struct spool_entry entry;
        struct spool_content *content;
        uint64_t at = 0;
        for (size_t k = 0; k < cases[i].bytes; k++)
            body[k] = bench_byte(i, k);
        assert_int_equal(spool_append(writer, bytes_of(body, cases[i].bytes)), OK);
        content = spool_writer_content(writer);
        check(cases[i].name, (content != NULL) == cases[i].is_there);
        spool_commit(&writer, bench_mid(i), BYTES("e"), 1, NULL, NULL, &ticket);
        while (content && spool_content_at(content, at).n) {
            struct bytes run = spool_content_at(content, at);
            check_bytes(cases[i].name, run, bytes_of(body + at, run.n));
            at += run.n;
        }
        check(cases[i].name, !content || at == cases[i].bytes);
        loop_run(bench.loop);
        check(cases[i].name, ticket.err == OK);
        check(cases[i].name, !content || ticket.content == content);
        spool_content_free(content);
        spool_content_free(ticket.content);
        entry = ticket.entry;
        spool_adopt(bench.spool, &entry);
        spool_settle(bench.spool, &entry);
    }
    bench_done(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_last_standing),
        cmocka_unit_test(tells_in_the_order_of_the_log),
        cmocka_unit_test(goes_with_the_next_group),
        cmocka_unit_test(outlives_its_entry),
        cmocka_unit_test(is_written_at_the_end),
        cmocka_unit_test(moves_an_entry),
        cmocka_unit_test(gives_its_content_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
