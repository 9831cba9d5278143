/* The power goes after any write, flush or rename: what was acknowledged is there, what was
 * durably settled is not, no torn write is called damage; and of what was said of a message the
 * last that was told, or something later, is what it is. */
#include "crash_disk.h"
#include "scratch.h"
#include "spool_kit.h"

#include "base/mem.h"

#include <stdatomic.h>
#include <stdio.h>

enum { MESSAGES = 400, IMAGES_MAX = 40, EVERY = 5, KEEP_EVERY = 6 };

enum state { NOT_YET, ACKNOWLEDGED, SETTLING, SETTLED };

/* What was told of a message; the generation counts its words. */
struct told {
    uint64_t at;
    uint16_t generation;
};

struct image {
    char folder[96];
    uint8_t state[MESSAGES];
    struct told told[MESSAGES];
};

struct crash {
    struct bench *bench;
    _Atomic uint8_t state[MESSAGES];
    atomic_uint_fast64_t told_at[MESSAGES];
    atomic_uint_fast16_t told_generation[MESSAGES];
    unsigned word_count;
    uint16_t said_generation[MESSAGES];
    unsigned change_count, image_count, kept_count;
    struct image kept[IMAGES_MAX];
    struct image *image; /* the one that is being looked at */
    bool is_found[MESSAGES];
    unsigned damage_count, moved_word_count;
};

static unsigned number_of(struct mid mid)
{
    unsigned number;

    memcpy(&number, mid.byte, sizeof number);
    return number;
}

/* Its content is whole: read from the image as it is. */
static void read_it(const char *folder, const struct spool_found *found)
{
    struct buf envelope, content;

    buf_init(&envelope, 1 << 20);
    buf_init(&content, 1 << 20);
    assert_int_equal(spool_read_offline(folder, &found->entry, &envelope, &content), OK);
    check_bytes("envelope", buf_bytes(&envelope), found->envelope);
    for (size_t i = 0; i < content.n; i++)
        assert_int_equal(content.at[i], bench_byte(number_of(found->mid), i));
    buf_done(&envelope);
    buf_done(&content);
}

/* Some are over at their third word. */
static enum standing_role role_of(unsigned number, uint16_t generation)
{
    return number % 3 == 0 && generation >= 3 ? STANDING_SETTLED : STANDING_HELD;
}

/* Nothing that was told is forgotten; a record that stands behind it says the same or more. */
static void compare_standing(struct crash *crash, const struct spool_found *found)
{
    unsigned number = number_of(found->mid);
    const struct told *told = &crash->image->told[number];
    struct standing want =
        bench_standing(role_of(number, found->standing.generation), found->standing.generation);

    if (found->standing.generation < told->generation || found->standing_at < told->at)
        fail_msg("%s: message %u: word %u at %llx was told, %u at %llx is there",
            crash->image->folder, number, told->generation, (unsigned long long)told->at,
            found->standing.generation, (unsigned long long)found->standing_at);
    assert_memory_equal(&found->standing, &want, sizeof want);
    assert_int_equal(found->entry.is_word, want.role == STANDING_SETTLED);
    if (found->envelope.n == 0)
        crash->moved_word_count++;
}

static void on_message(void *me, const struct spool_found *found)
{
    struct crash *crash = me;
    unsigned number = number_of(found->mid);

    assert_in_range(number, 0, MESSAGES - 1);
    crash->is_found[number] = true;
    if (!found->entry.is_word)
        read_it(crash->image->folder, found);
    assert_true(found->has_standing);
    compare_standing(crash, found);
    if (found->entry.recipient_count > sizeof found->entry.outcome.few)
        free(found->entry.outcome.many);
}

static void on_damage(void *me, uint64_t at, const char *why)
{
    fail_msg("%s: damage at %llx: %s", ((struct crash *)me)->image->folder,
        (unsigned long long)at, why);
}

static void compare(struct crash *crash, const struct image *image)
{
    for (unsigned i = 0; i < MESSAGES; i++) {
        if (image->state[i] == ACKNOWLEDGED && !crash->is_found[i])
            fail_msg("%s: message %u is lost", image->folder, i);
        if (image->state[i] == SETTLED && crash->is_found[i])
            fail_msg("%s: message %u has come back", image->folder, i);
    }
}

static void look_at(struct crash *crash, struct image *image)
{
    const struct spool_visitor visitor = { crash, on_message, on_damage, NULL, NULL };
    char why[256] = "";
    enum err err;

    crash->image = image;
    memset(crash->is_found, 0, sizeof crash->is_found);
    err = spool_scan(image->folder, &visitor, why);
    if (err == ERR_NONE || err == ERR_CORRUPT) { /* the store was not made yet */
        for (unsigned i = 0; i < MESSAGES; i++)
            assert_int_equal(image->state[i], NOT_YET);
        return;
    }
    assert_int_equal(err, OK);
    compare(crash, image);
}

static void on_change(struct crash_disk *disk, void *me)
{
    static const unsigned chances[] = { 0, 20, 128, 250, 256 };
    struct crash *crash = me;
    struct image image;
    unsigned number;

    if (crash->change_count++ % EVERY)
        return;
    number = crash->image_count++;
    for (unsigned i = 0; i < MESSAGES; i++) {
        image.state[i] = atomic_load(&crash->state[i]);
        image.told[i] = (struct told){ atomic_load(&crash->told_at[i]),
            (uint16_t)atomic_load(&crash->told_generation[i]) };
    }
    snprintf(image.folder, sizeof image.folder, "%s-%u", crash->bench->folder, number);
    crash_disk_save(disk, image.folder, chances[number % CASES(chances)]);
    look_at(crash, &image);
    if (number % KEEP_EVERY == 0 && crash->kept_count < IMAGES_MAX)
        crash->kept[crash->kept_count++] = image;
    else
        scratch_remove(image.folder);
}

static bool is_done(void *me)
{
    return ((struct bench_commit *)me)->is_done;
}

static void commit(struct crash *crash, unsigned number)
{
    struct bench_commit now, then;
    uint64_t bytes = number % 10 == 0 ? 200000 : 1000 + number % 100 * 150;

    bench_begin(crash->bench, &now, number, bytes, 1 + number % 12, NULL);
    bench_begin(crash->bench, &then, number + 1, 777, 1, NULL);
    bench_until(crash->bench, is_done, &now);
    bench_until(crash->bench, is_done, &then);
    assert_int_equal(now.ticket.err, OK);
    assert_int_equal(then.ticket.err, OK);
    atomic_store(&crash->state[number], ACKNOWLEDGED);
    atomic_store(&crash->state[number + 1], ACKNOWLEDGED);
}

static void settle(struct crash *crash, unsigned number)
{
    atomic_store(&crash->state[number], SETTLING);
    bench_settle(crash->bench, number);
}

/* A word of message NUMBER, on its way. */
struct saying {
    struct spool_word word;
    struct crash *crash;
    unsigned number;
    uint16_t generation;
};

static void on_told(struct spool_word *word)
{
    struct saying *saying = container_of(word, struct saying, word);
    struct crash *crash = saying->crash;

    atomic_store(&crash->told_generation[saying->number], saying->generation);
    atomic_store(&crash->told_at[saying->number], word->at);
    crash->word_count++;
    free(saying);
}

static void say(struct crash *crash, unsigned number)
{
    struct kept *kept = &crash->bench->kept[number];
    struct saying *saying = mem_new(sizeof *saying);

    *saying = (struct saying){ .word.done = on_told,
        .crash = crash,
        .number = number,
        .generation = ++crash->said_generation[number] };
    kept->standing = bench_standing(role_of(number, saying->generation), saying->generation);
    spool_stand(crash->bench->spool, &kept->entry, &kept->standing, &saying->word);
}

/* Of those that stay. */
static void say_some(struct crash *crash, unsigned below)
{
    for (unsigned i = below % 6; i < below; i += 6)
        if (atomic_load(&crash->state[i]) == ACKNOWLEDGED && crash->said_generation[i] < 12)
            say(crash, i);
}

/* Every other message is settled soon; some stay for long, so that they are copied forward. */
static void work(struct crash *crash)
{
    for (unsigned i = 0; i < MESSAGES; i += 2) {
        commit(crash, i);
        if (i % 4 == 2)
            say(crash, i);
        if (i % 16)
            settle(crash, i);
        if (i % 10 == 4)
            say_some(crash, i);
        if (i >= 20 && i % 4 == 0)
            settle(crash, i - 19);
        if (i % 20 == 18) {
            assert_int_equal(bench_flush(crash->bench), OK);
            for (unsigned k = 0; k < i; k++)
                if (atomic_load(&crash->state[k]) == SETTLING)
                    atomic_store(&crash->state[k], SETTLED);
        }
    }
}

/* An image is opened, written to and opened again: a torn write stays no damage. */
static void open_twice(const struct image *image)
{
    static struct bench bench;
    char why[256];
    unsigned found = 0;

    bench_init(&bench);
    scratch_remove(bench.folder);
    snprintf(bench.folder, sizeof bench.folder, "%s", image->folder);
    if (bench_try_open(&bench, why) != OK) /* cut before there was a store: begins anew */
        fail_msg("%s: %s", image->folder, why);
    for (unsigned i = 0; i < MESSAGES; i++)
        found += bench.kept[i].is_live;
    assert_int_equal(bench.damage_count, 0);
    assert_int_equal(bench_commit(&bench, MESSAGES, 5000, 1), OK);
    for (unsigned again = 0; again < 2; again++) {
        bench_close(&bench);
        bench_open(&bench);
        if (bench.damage_count)
            fail_msg("%s: %s", image->folder, bench.damage);
        assert_int_equal(bench.found_count, found + 1);
        for (unsigned i = 0; i < MESSAGES; i++) {
            assert_false(image->state[i] == ACKNOWLEDGED && !bench.kept[i].is_live);
            if (!bench.kept[i].is_live)
                continue;
            assert_true(bench.kept[i].standing.generation >= image->told[i].generation);
            assert_true(bench.kept[i].standing_at >= image->told[i].at);
            if (!bench.kept[i].entry.is_word)
                assert_int_equal(bench_read(&bench, i), OK);
        }
    }
    bench_done(&bench);
}

static void survives_at_any_point(void **state)
{
    static struct bench bench;
    static struct crash crash;
    const struct standing first = bench_standing(STANDING_HELD, 0);
    struct crash_disk *disk;

    (void)state;
    bench_init(&bench);
    crash.bench = &bench;
    bench.standing = &first;
    disk = crash_disk_new(bench.folder, on_change, &crash);
    bench_open(&bench);
    work(&crash);
    bench_close(&bench);
    crash_disk_free(disk);
    assert_true(crash.image_count > 50);
    assert_true(crash.word_count > 100);
    assert_true(crash.moved_word_count > 0);
    for (unsigned i = 0; i < crash.kept_count; i++)
        open_twice(&crash.kept[i]);
    bench_done(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(survives_at_any_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
