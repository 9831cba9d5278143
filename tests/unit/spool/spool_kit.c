#include "spool_kit.h"
#include "scratch.h"

#include "base/mem.h"
#include "os/clock.h"
#include "os/file.h"

#include <stdio.h>
#include <unistd.h>

/* --- Folders ----------------------------------------------------------------------------- */

static enum err copy_one(const char *name, void *me)
{
    const char *const *folders = me;
    char from[512], to[512];
    struct file file;
    struct buf bytes;

    snprintf(from, sizeof from, "%s/%s", folders[0], name);
    snprintf(to, sizeof to, "%s/%s", folders[1], name);
    buf_init(&bytes, 1 << 30);
    assert_int_equal(file_read_all(from, 1 << 30, &bytes), OK);
    assert_int_equal(file_open(to, FILE_WRITE | FILE_READ | FILE_CREATE, &file), OK);
    assert_int_equal(file_write_at(file, buf_bytes(&bytes), 0), OK);
    file_close(&file);
    buf_done(&bytes);
    return OK;
}

void folder_copy(const char *from, const char *to)
{
    const char *folders[2] = { from, to };

    assert_int_equal(folder_make(to, 0700), OK);
    assert_int_equal(folder_each(from, copy_one, folders), OK);
}

/* --- Opening ----------------------------------------------------------------------------- */

void bench_init(struct bench *bench)
{
    memset(bench, 0, sizeof *bench);
    snprintf(bench->folder, sizeof bench->folder, "/tmp/relais-spool-XXXXXX");
    assert_non_null(mkdtemp(bench->folder));
    bench->settings = (struct spool_settings){
        .folder = bench->folder,
        .segment_bytes = 1 << 20,
        .chunk_bytes = 64 << 10,
    };
    assert_int_equal(loop_new(&bench->loop), OK);
}

void bench_done(struct bench *bench)
{
    if (bench->spool)
        bench_close(bench);
    loop_free(bench->loop);
    scratch_remove(bench->folder);
}

static unsigned number_of(struct mid mid)
{
    unsigned number;

    memcpy(&number, mid.byte, sizeof number);
    return number;
}

static void on_message(void *me, const struct spool_found *found)
{
    struct bench *bench = me;
    unsigned number = number_of(found->mid);
    struct kept *kept = &bench->kept[number];

    assert_in_range(number, 0, KEPT_MAX - 1);
    assert_false(kept->is_live);
    *kept = (struct kept){ .entry = found->entry,
        .is_live = true,
        .standing = found->standing,
        .standing_at = found->standing_at };
    assert_int_equal(found->has_standing, found->entry.has_standing);
    snprintf(kept->envelope, sizeof kept->envelope, "%.*s", BYTES_ARGS(found->envelope));
    bench->found_count++;
}

static void on_damage(void *me, uint64_t at, const char *why)
{
    struct bench *bench = me;

    bench->damage_count++;
    snprintf(bench->damage, sizeof bench->damage, "%llx: %s", (unsigned long long)at, why);
}

static void get_standing(void *me, const struct spool_entry *entry, struct standing *out)
{
    struct bench *bench = me;
    const struct kept *kept = &bench->kept[number_of(entry->by_mid.mid)];

    assert_ptr_equal(&kept->entry, entry);
    assert_true(kept->is_live);
    *out = kept->standing;
}

enum err bench_try_open(struct bench *bench, char why[256])
{
    const struct spool_visitor visitor = { bench, on_message, on_damage, NULL, NULL };
    enum err err;

    bench->found_count = bench->damage_count = 0;
    err = spool_open(&bench->spool, bench->loop, &bench->settings, &visitor, why);
    if (err)
        return err;
    spool_set_standings(bench->spool, get_standing, bench);
    for (unsigned i = 0; i < KEPT_MAX; i++)
        if (bench->kept[i].is_live)
            spool_adopt(bench->spool, &bench->kept[i].entry);
    return OK;
}

void bench_open(struct bench *bench)
{
    char why[256] = "";
    enum err err = bench_try_open(bench, why);

    if (err)
        fail_msg("spool_open: %s: %s", err_text(err), why);
}

void bench_close(struct bench *bench)
{
    for (unsigned i = 0; i < KEPT_MAX; i++) {
        struct kept *kept = &bench->kept[i];
        if (kept->is_live)
            spool_leave(bench->spool, &kept->entry);
        spool_content_free(kept->content);
        *kept = (struct kept){ .is_live = false };
    }
    spool_close(bench->spool);
    bench->spool = NULL;
}

/* --- Waiting ----------------------------------------------------------------------------- */

void bench_until(struct bench *bench, bool (*has_come)(void *me), void *me)
{
    scratch_until(bench->loop, has_come, me);
}

/* --- Messages ---------------------------------------------------------------------------- */

uint8_t bench_byte(unsigned number, uint64_t at)
{
    return (uint8_t)(number * 7 + at * 31 + (at >> 8) * 17);
}

struct mid bench_mid(unsigned number)
{
    struct mid mid = { { 0 } };

    memcpy(mid.byte, &number, sizeof number);
    mid.byte[15] = 1;
    return mid;
}

static void on_committed(struct spool_ticket *ticket)
{
    struct bench_commit *commit = container_of(ticket, struct bench_commit, ticket);
    struct bench *bench = commit->bench;
    struct kept *kept = &bench->kept[commit->number];

    commit->is_done = true;
    if (ticket->err) {
        assert_null(ticket->content);
        return;
    }
    *kept = (struct kept){ ticket->entry, true, ticket->content, "", commit->standing, 0 };
    spool_adopt(bench->spool, &kept->entry);
}

/* Fills a writer in pieces of an odd size, waiting whenever it is full. */
struct filling {
    struct spool_writer *writer;
    bool has_room;
};

static void on_room(void *me)
{
    ((struct filling *)me)->has_room = true;
}

static bool has_room(void *me)
{
    struct filling *filling = me;
    return filling->has_room || !spool_writer_is_full(filling->writer);
}

static enum err fill(struct bench *bench, struct filling *filling, unsigned number, uint64_t n)
{
    uint8_t piece[4999];
    enum err err = OK;

    for (uint64_t at = 0; !err && at < n; at += sizeof piece) {
        size_t bytes = n - at < sizeof piece ? n - at : sizeof piece;
        for (size_t i = 0; i < bytes; i++)
            piece[i] = bench_byte(number, at + i);
        err = spool_append(filling->writer, bytes_of(piece, bytes));
        if (spool_writer_is_full(filling->writer)) {
            filling->has_room = false;
            bench_until(bench, has_room, filling);
        }
    }
    return err;
}

void bench_begin(struct bench *bench, struct bench_commit *commit, unsigned number, uint64_t n,
    uint32_t recipients, const struct spool_cause *cause)
{
    struct filling filling = { NULL, false };
    char envelope[64];
    enum err err;

    snprintf(envelope, sizeof envelope, "envelope of %u", number);
    *commit = (struct bench_commit){ .bench = bench, .number = number };
    commit->ticket.on_done = on_committed;
    if (bench->standing)
        commit->standing = *bench->standing;
    filling.writer = spool_writer_new(bench->spool, bench->loop, 1 << 30, on_room, &filling);
    err = fill(bench, &filling, number, n);
    if (err) {
        spool_abandon(&filling.writer);
        commit->ticket.err = err;
        commit->is_done = true;
        return;
    }
    spool_commit(&filling.writer, bench_mid(number), bytes_text(envelope), recipients, cause,
        bench->standing, &commit->ticket);
}

static bool is_done(void *me)
{
    return *(bool *)me;
}

enum err bench_commit(struct bench *bench, unsigned number, uint64_t n, uint32_t recipients)
{
    struct bench_commit commit;

    bench_begin(bench, &commit, number, n, recipients, NULL);
    bench_until(bench, is_done, &commit.is_done);
    return commit.ticket.err;
}

struct standing bench_standing(enum standing_role role, uint16_t generation)
{
    struct standing standing = { .role = (uint8_t)role,
        .single = (uint8_t)(generation % SINGLE_COUNT),
        .generation = generation,
        .owner = { { (uint8_t)generation, 1 } },
        .holder_count = (uint8_t)(generation % (STANDING_HOLDERS_MAX + 1)) };

    for (uint8_t i = 0; i < standing.holder_count; i++)
        standing.holders[i] = (struct store_id){ { (uint8_t)generation, 2, i } };
    return standing;
}

static void on_stood(struct spool_word *word)
{
    container_of(word, struct bench_word, word)->is_done = true;
}

void bench_stand(struct bench *bench, struct bench_word *word, unsigned number,
    enum standing_role role, uint16_t generation)
{
    struct kept *kept = &bench->kept[number];

    assert_true(kept->is_live);
    kept->standing = bench_standing(role, generation);
    *word = (struct bench_word){ .word.done = on_stood };
    spool_stand(bench->spool, &kept->entry, &kept->standing, &word->word);
    assert_true(kept->entry.has_standing);
    assert_int_equal(kept->entry.is_word, role == STANDING_SETTLED);
}

void bench_wait_word(struct bench *bench, struct bench_word *word)
{
    bench_until(bench, is_done, &word->is_done);
    assert_true(word->word.at < spool_position(bench->spool)); /* flushed */
}

void bench_settle(struct bench *bench, unsigned number)
{
    struct kept *kept = &bench->kept[number];

    assert_true(kept->is_live);
    for (uint32_t i = 0; i < kept->entry.recipient_count; i++)
        spool_note(bench->spool, &kept->entry, &i, 1, SPOOL_DELIVERED);
    spool_settle(bench->spool, &kept->entry);
    spool_content_free(kept->content);
    *kept = (struct kept){ .is_live = false };
}

static void on_flushed(struct spool_barrier *barrier)
{
    container_of(barrier, struct bench_barrier, barrier)->is_done = true;
}

enum err bench_flush(struct bench *bench)
{
    struct bench_barrier flushing = { .barrier.done = on_flushed };

    spool_flush(bench->spool, &flushing.barrier);
    bench_until(bench, is_done, &flushing.is_done);
    return flushing.barrier.err;
}

void bench_flush_soon(struct bench *bench, struct bench_barrier *flushing)
{
    *flushing = (struct bench_barrier){ .barrier.done = on_flushed };
    spool_flush_soon(bench->spool, &flushing->barrier);
}

struct reading {
    struct spool_read read;
    bool is_done;
};

static void on_read(struct spool_read *read)
{
    container_of(read, struct reading, read)->is_done = true;
}

enum err bench_read(struct bench *bench, unsigned number)
{
    enum { AT_A_TIME = 50001 };
    struct kept *kept = &bench->kept[number];
    uint64_t at = 0, n;

    do {
        struct reading reading = { .read.done = on_read };
        spool_read(bench->spool, &kept->entry, at, AT_A_TIME, &reading.read);
        bench_until(bench, is_done, &reading.is_done);
        if (reading.read.err)
            return reading.read.err;
        n = reading.read.n;
        for (uint64_t i = 0; i < n; i++)
            assert_int_equal(reading.read.at[i], bench_byte(number, at + i));
        at += n;
        free(reading.read.at);
    } while (n == AT_A_TIME);
    assert_int_equal(at, kept->entry.content_bytes);
    return OK;
}

unsigned bench_live_count(const struct bench *bench)
{
    unsigned count = 0;

    for (unsigned i = 0; i < KEPT_MAX; i++)
        count += bench->kept[i].is_live;
    return count;
}
