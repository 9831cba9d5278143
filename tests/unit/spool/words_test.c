/* Standings move forward with their messages; of what is over only a word does. */
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

/* --- Content that nobody needs ----------------------------------------------------------- */

enum { OWED = 200, HELD_EVERY = 20 };

static bool is_held(unsigned number)
{
    return number % HELD_EVERY == 7;
}

static void check_one(const struct kept *kept, unsigned number, const struct bench_word *word)
{
    assert_true(kept->is_live && kept->entry.has_standing);
    assert_int_equal(kept->standing.generation, number);
    assert_int_equal(kept->standing.role, is_held(number) ? STANDING_HELD : STANDING_SETTLED);
    assert_true(kept->standing_at >= word->word.at);
    if (is_held(number) || kept->standing_at == word->word.at)
        return;
    assert_true(kept->entry.is_word); /* and it was moved */
    assert_int_equal(kept->standing_at, kept->entry.at);
    assert_int_equal(kept->entry.content_bytes, 0);
    assert_string_equal(kept->envelope, "");
}

static void moves_standings_and_words(void **state)
{
    static struct bench bench;
    static struct bench_word word[OWED];
    const struct standing primary = bench_standing(STANDING_PRIMARY, 7);
    unsigned moved_count = 0;

    (void)state;
    bench_init(&bench);
    bench.standing = &primary;
    bench_open(&bench);
    for (unsigned i = 0; i < OWED; i++) {
        assert_int_equal(bench_commit(&bench, i, i % 50 == 9 ? 200000 : 60000, 10), OK);
        bench_stand(
            &bench, &word[i], i, is_held(i) ? STANDING_HELD : STANDING_SETTLED, (uint16_t)i);
    }
    bench_until(&bench, is_small, &bench); /* 12 MB of content pin nothing */
    assert_true(facts_of(&bench).bytes_live < MIB);
    for (unsigned again = 0; again < 2; again++) {
        bench_close(&bench);
        bench_open(&bench);
        assert_int_equal(bench.damage_count, 0);
        assert_int_equal(bench.found_count, OWED);
        for (unsigned i = 0; i < OWED; i++) {
            check_one(&bench.kept[i], i, &word[i]);
            moved_count += bench.kept[i].standing_at != word[i].word.at;
            if (is_held(i))
                assert_int_equal(bench_read(&bench, i), OK);
        }
    }
    assert_true(moved_count > OWED);
    for (unsigned i = 0; i < OWED; i++)
        bench_settle(&bench, i);
    assert_int_equal(bench_flush(&bench), OK);
    assert_int_equal(facts_of(&bench).bytes_live, 0);
    bench_close(&bench);
    bench_open(&bench);
    assert_int_equal(bench.found_count, 0);
    bench_done(&bench);
}

/* --- While others work ------------------------------------------------------------------- */

enum { ROUNDS = 15, EACH = 40, ALL = ROUNDS * EACH };

struct use {
    struct bench bench;
    struct bench_word word[2 * ALL];
    unsigned said_count;
    uint16_t generation[ALL];
};

static bool is_in_proportion(void *me)
{
    struct spool_facts facts = facts_of(me);
    return facts.segments * facts.segment_bytes <=
           2 * facts.bytes_live + 5 * facts.segment_bytes;
}

static void receive(struct use *use, unsigned round)
{
    for (unsigned i = round * EACH; i < (round + 1) * EACH; i++) {
        assert_int_equal(bench_commit(&use->bench, i, i % 20 == 10 ? 150000 : 20000, 1), OK);
        if (i % 10)
            bench_settle(&use->bench, i);
    }
}

/* The entry moves in memory, is said something new about and, perhaps, is settled. */
static void change(struct use *use, unsigned number, unsigned round)
{
    struct kept *kept = &use->bench.kept[number];
    bool is_over = kept->entry.is_word || number % 20;
    struct kept other = { .is_live = true };

    if (round % 3 == 0) {
        spool_move_entry(use->bench.spool, &kept->entry, &other.entry);
        spool_move_entry(use->bench.spool, &other.entry, &kept->entry);
    }
    bench_stand(&use->bench, &use->word[use->said_count++], number,
        is_over ? STANDING_SETTLED : STANDING_HELD, ++use->generation[number]);
    if (number % 60 == 0)
        bench_settle(&use->bench, number);
}

static void check_all(struct use *use)
{
    for (unsigned i = 0; i < ALL; i++) {
        const struct kept *kept = &use->bench.kept[i];
        if (!kept->is_live)
            continue;
        assert_int_equal(kept->entry.has_standing, use->generation[i] != 0);
        assert_int_equal(kept->standing.generation, use->generation[i]);
        if (!kept->entry.is_word)
            assert_int_equal(bench_read(&use->bench, i), OK);
    }
}

static void moves_words_under_use(void **state)
{
    static struct use use;
    struct bench *bench = &use.bench;
    unsigned live_count;

    (void)state;
    bench_init(bench);
    bench_open(bench);
    for (unsigned round = 0; round < ROUNDS; round++) {
        receive(&use, round);
        for (unsigned i = 0; i + 2 * EACH < round * EACH; i += 10)
            if (bench->kept[i].is_live && use.said_count < CASES(use.word) &&
                (i / 10 + round) % 4 == 0)
                change(&use, i, round);
    }
    assert_true(use.said_count > ROUNDS);
    bench_wait_word(bench, &use.word[use.said_count - 1]);
    bench_until(bench, is_in_proportion, bench);
    live_count = bench_live_count(bench);
    bench_close(bench);
    bench_open(bench);
    assert_int_equal(bench->damage_count, 0);
    assert_int_equal(bench->found_count, live_count);
    check_all(&use);
    bench_done(bench);
}

/* --- What cannot be read ----------------------------------------------------------------- */

static void spoil(const struct bench *bench, uint64_t position)
{
    uint64_t base = position - position % MIB;
    char path[128];
    FILE *file;

    snprintf(path, sizeof path, "%s/%016llx.seg", bench->folder, (unsigned long long)base);
    file = fopen(path, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, (long)(position - base), SEEK_SET), 0);
    assert_int_equal(fputc(0xff, file), 0xff);
    fclose(file);
}

/* It stays where it is until nothing of it is to be read. */
static void a_damaged_message_becomes_a_word(void **state)
{
    static struct bench bench;
    static struct bench_word word;

    (void)state;
    bench_init(&bench);
    bench_open(&bench);
    assert_int_equal(bench_commit(&bench, 0, 30000, 1), OK);
    spoil(&bench, bench.kept[0].entry.at + 1000);
    for (unsigned i = 1; i < 200; i++) {
        assert_int_equal(bench_commit(&bench, i, 60000, 1), OK);
        bench_settle(&bench, i);
    }
    while (!facts_of(&bench).damaged)
        assert_int_equal(bench_flush(&bench), OK);
    assert_int_equal(facts_of(&bench).messages_moved, 0);
    bench_stand(&bench, &word, 0, STANDING_SETTLED, 1);
    bench_until(&bench, is_small, &bench);
    bench_close(&bench);
    bench_open(&bench);
    assert_int_equal(bench.found_count, 1);
    assert_true(bench.kept[0].entry.is_word);
    bench_done(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moves_standings_and_words),
        cmocka_unit_test(moves_words_under_use),
        cmocka_unit_test(a_damaged_message_becomes_a_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
