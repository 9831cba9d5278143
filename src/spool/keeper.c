/* The keeper: makes segments ready ahead of the log, lets go of those that nothing needs, and
 * reads what is to be copied forward.  A prepared segment has been written from end to end and
 * bears its name in a flushed folder, so the commit thread only overwrites what is there. */
#include "spool/internal.h"

#include "base/mem.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    PIECE_BYTES = 1 << 20,
    PIECES_A_FLUSH = 4, /* so that no commit waits behind a long flush of zeros */
    LOOK_MS = 1000,
};

static const char unfinished_name[] = "unfinished.tmp";

void locked_keeper_look(struct spool *spool)
{
    spool->keeper.must_look = true;
    pthread_cond_signal(&spool->keeper.wake);
}

static bool must_stop(struct spool *spool)
{
    return atomic_load(&spool->keeper.must_stop);
}

/* --- Making segments --------------------------------------------------------------------- */

static enum err fill(struct spool *spool, struct file file)
{
    uint8_t *zeros = mem_new(PIECE_BYTES);
    enum err err = OK;
    unsigned piece = 0;

    for (uint64_t at = 0; !err && at < spool->settings.segment_bytes; at += PIECE_BYTES) {
        uint64_t left = spool->settings.segment_bytes - at;
        err = file_write_at(file, bytes_of(zeros, left < PIECE_BYTES ? left : PIECE_BYTES), at);
        if (!err && ++piece % PIECES_A_FLUSH == 0)
            err = file_sync_data(file);
        if (!err && must_stop(spool))
            err = ERR_CLOSED;
    }
    free(zeros);
    return err ? err : file_sync(file);
}

/* A file full of zeros under PATH, which is not its name yet. */
static enum err make_file(struct spool *spool, const char *path, struct file *out)
{
    struct file file;
    enum err err;

    err_ignore(file_remove(path)); /* of a life that ended while it made one */
    err = file_open(path, FILE_READ | FILE_WRITE | FILE_CREATE, &file);
    if (err)
        return err;
    err = file_allocate(file, spool->settings.segment_bytes);
    if (!err)
        err = fill(spool, file);
    if (err) {
        file_close(&file);
        err_ignore(file_remove(path)); /* the next opening removes it */
        return err;
    }
    *out = file;
    return OK;
}

/* Gives the file at FROM the next base, durably.  Once the name is changed the base is used up,
 * whatever follows. */
static enum err name_next(struct spool *spool, const char *from, uint64_t *base)
{
    struct keeper *keeper = &spool->keeper;
    char *to = segment_path(spool->folder, keeper->base_next);
    enum err err = file_rename(from, to);

    if (!err) {
        *base = keeper->base_next;
        keeper->base_next += spool->settings.segment_bytes;
        keeper->folder_is_dirty = true;
        err = folder_sync(spool->folder);
        if (!err)
            keeper->folder_is_dirty = false;
        else
            err_ignore(file_remove(to)); /* no harm when it stays: nothing in it is valid */
    }
    free(to);
    return err;
}

static void add_prepared(struct spool *spool, struct file file, uint64_t base)
{
    struct keeper *keeper = &spool->keeper;

    pthread_mutex_lock(&spool->lock);
    assert(keeper->prepared_count < PREPARED_MAX + 1);
    keeper->prepared[keeper->prepared_count++] = segment_new(file, base);
    atomic_store(&spool->ready_count, keeper->prepared_count);
    pthread_cond_broadcast(&keeper->has_more);
    pthread_mutex_unlock(&spool->lock);
}

static enum err make_segment(struct spool *spool)
{
    char *path = path_of(spool->folder, unfinished_name);
    struct file file;
    uint64_t base;
    enum err err = make_file(spool, path, &file);

    if (!err) {
        err = name_next(spool, path, &base);
        if (err) {
            file_close(&file);
            err_ignore(file_remove(path)); /* the next opening removes it */
        } else {
            add_prepared(spool, file, base);
        }
    }
    free(path);
    return err;
}

/* --- May there be more? ------------------------------------------------------------------ */

static void block(struct spool *spool, enum err err, const char *why)
{
    struct keeper *keeper = &spool->keeper;

    pthread_mutex_lock(&spool->lock);
    keeper->block_err = err;
    snprintf(keeper->why, sizeof keeper->why, "%s", why);
    atomic_store(&spool->blocked, err);
    pthread_cond_broadcast(&keeper->has_more);
    pthread_mutex_unlock(&spool->lock);
}

static uint64_t log_bytes(struct spool *spool)
{
    uint64_t count;

    pthread_mutex_lock(&spool->lock);
    count = spool->segment_count + spool->keeper.prepared_count;
    pthread_mutex_unlock(&spool->lock);
    return count * spool->settings.segment_bytes;
}

/* ERR_SPACE, ERR_IO: no further file; WHY says what is missing. */
static enum err may_grow(struct spool *spool, char why[128])
{
    const struct spool_settings *settings = &spool->settings;
    uint64_t free_bytes;
    enum err err = folder_free_bytes(spool->folder, &free_bytes);

    if (err) {
        snprintf(why, 128, "the file system of the spool: %s", err_text(err));
        return ERR_IO;
    }
    atomic_store(&spool->is_low, free_bytes < settings->free_bytes_min);
    if (free_bytes < settings->free_bytes_min ||
        free_bytes - settings->free_bytes_min < settings->segment_bytes) {
        snprintf(why, 128, "%" PRIu64 " MiB are free on the spool's disk, %" PRIu64 " are kept",
            free_bytes >> 20, settings->free_bytes_min >> 20);
        return ERR_SPACE;
    }
    if (settings->bytes_max &&
        log_bytes(spool) + settings->segment_bytes > settings->bytes_max) {
        snprintf(why, 128, "the spool has all of its %" PRIu64 " MiB in use",
            settings->bytes_max >> 20);
        return ERR_SPACE;
    }
    return OK;
}

static bool wants_more(struct spool *spool)
{
    bool wants;

    pthread_mutex_lock(&spool->lock);
    wants = spool->keeper.prepared_count < spool->keeper.prepared_wanted;
    pthread_mutex_unlock(&spool->lock);
    return wants;
}

static void make_segments(struct spool *spool)
{
    char why[128] = "";
    enum err err = may_grow(spool, why);

    while (!err && wants_more(spool) && !must_stop(spool)) {
        err = make_segment(spool);
        if (err)
            snprintf(why, sizeof why, "making a segment: %s", err_text(err));
        else
            err = may_grow(spool, why);
    }
    block(spool, err == OK || err == ERR_SPACE ? err : ERR_IO, why);
}

/* --- Letting segments go ----------------------------------------------------------------- */

/* The oldest one, when nothing needs it; it stays in the list. */
static struct segment *oldest_free(struct spool *spool, bool *is_wanted)
{
    struct segment *oldest = NULL;

    pthread_mutex_lock(&spool->lock);
    if (spool->segment_count > 1 && atomic_load(&spool->segments[0]->live) == 0)
        oldest = spool->segments[0];
    *is_wanted = spool->keeper.prepared_count < PREPARED_MAX;
    pthread_mutex_unlock(&spool->lock);
    return oldest;
}

static void remove_oldest(struct spool *spool)
{
    pthread_mutex_lock(&spool->lock);
    spool->segment_count--;
    memmove(
        spool->segments, spool->segments + 1, spool->segment_count * sizeof *spool->segments);
    pthread_mutex_unlock(&spool->lock);
}

static enum err set_aside(const char *path)
{
    size_t n = strlen(path) + sizeof ".damaged";
    char *to = mem_new(n);
    enum err err;

    snprintf(to, n, "%s.damaged", path);
    err = file_rename(path, to);
    free(to);
    return err;
}

/* Not OK: its name may stand in the folder still, so none behind it may go before. */
static enum err let_go(struct spool *spool, struct segment *segment, bool is_wanted)
{
    char *path = segment_path(spool->folder, segment->base);
    uint64_t base;
    enum err err;

    if (is_wanted && !segment->is_failed && !segment->is_damaged) {
        err = name_next(spool, path, &base);
        if (!err) {
            add_prepared(spool, segment->file, base);
            segment->file.fd = -1;
        }
    } else {
        err = segment->is_damaged ? set_aside(path) : file_remove(path);
        spool->keeper.folder_is_dirty = true;
        if (!err)
            err = folder_sync(spool->folder);
        if (!err)
            spool->keeper.folder_is_dirty = false;
    }
    free(path);
    return err == ERR_NONE ? OK : err;
}

static bool free_oldest(struct spool *spool)
{
    struct keeper *keeper = &spool->keeper;
    bool is_wanted;
    struct segment *oldest = oldest_free(spool, &is_wanted);

    if (!oldest)
        return false;
    if (keeper->folder_is_dirty) { /* the one before may be there again after a crash */
        if (folder_sync(spool->folder))
            return false;
        keeper->folder_is_dirty = false;
    }
    if (let_go(spool, oldest, is_wanted))
        return false;
    remove_oldest(spool);
    segment_free(oldest);
    return true;
}

/* --- Reading for the home loop ----------------------------------------------------------- */

static bool read_for_move(struct spool *spool)
{
    struct keeper *keeper = &spool->keeper;
    struct move *move;

    pthread_mutex_lock(&spool->lock);
    move = keeper->to_read;
    if (move)
        keeper->to_read = move->next;
    pthread_mutex_unlock(&spool->lock);
    if (!move)
        return false;
    move_read(spool, move);
    pthread_mutex_lock(&spool->lock);
    move->next = spool->reclaim.was_read;
    spool->reclaim.was_read = move;
    pthread_mutex_unlock(&spool->lock);
    return true;
}

/* --- The thread, and who asks it --------------------------------------------------------- */

void *keeper_main(void *me)
{
    struct spool *spool = me;
    struct keeper *keeper = &spool->keeper;

    pthread_mutex_lock(&spool->lock);
    while (!must_stop(spool)) {
        keeper->must_look = false;
        pthread_mutex_unlock(&spool->lock);
        while (free_oldest(spool))
            ;
        make_segments(spool);
        while (read_for_move(spool))
            ;
        pthread_mutex_lock(&spool->lock);
        if (!keeper->must_look && !must_stop(spool))
            wake_wait(&keeper->wake, &spool->lock, LOOK_MS);
    }
    pthread_cond_broadcast(&keeper->has_more);
    pthread_mutex_unlock(&spool->lock);
    return NULL;
}

/* The prepared one that may be taken now; what is kept is the last of those that can be had. */
static struct segment *locked_take(struct spool *spool, enum claim claim)
{
    struct keeper *keeper = &spool->keeper;
    uint32_t kept = keeper->block_err ? spool_kept(spool, claim) : 0;
    struct segment *segment = keeper->prepared[0];

    if (keeper->prepared_count <= kept)
        return NULL;
    keeper->prepared_count--;
    memmove(keeper->prepared, keeper->prepared + 1,
        keeper->prepared_count * sizeof *keeper->prepared);
    atomic_store(&spool->ready_count, keeper->prepared_count);
    if (!keeper->prepared_count && keeper->prepared_wanted < PREPARED_MAX)
        keeper->prepared_wanted++; /* it is used faster than it is made */
    locked_keeper_look(spool);
    return segment;
}

enum err keeper_take(struct spool *spool, enum claim claim, struct segment **out)
{
    struct keeper *keeper = &spool->keeper;
    struct segment *segment;
    enum err err = OK;

    pthread_mutex_lock(&spool->lock);
    while (!(segment = locked_take(spool, claim))) {
        if (keeper->block_err || must_stop(spool) || !spool->has_threads) {
            err = keeper->block_err ? keeper->block_err : ERR_IO;
            break;
        }
        locked_keeper_look(spool);
        wake_wait(&keeper->has_more, &spool->lock, LOOK_MS);
    }
    pthread_mutex_unlock(&spool->lock);
    if (!err)
        *out = segment;
    return err;
}

void spool_expect_copies(struct spool *spool)
{
    if (atomic_load_explicit(&spool->takes_copies, memory_order_relaxed) ||
        atomic_exchange(&spool->takes_copies, true))
        return;
    pthread_mutex_lock(&spool->lock);
    if (spool->keeper.prepared_wanted < PREPARED_MIN + 1)
        spool->keeper.prepared_wanted = PREPARED_MIN + 1;
    locked_keeper_look(spool);
    pthread_mutex_unlock(&spool->lock);
}

void keeper_add_unused(struct spool *spool, uint64_t base)
{
    char *path = segment_path(spool->folder, base);
    struct file file;
    uint64_t size, new_base;

    /* A new name: positions that a former life may have begun to use are not used again. */
    if (spool->keeper.prepared_count < PREPARED_MIN &&
        file_open(path, FILE_READ | FILE_WRITE, &file) == OK) {
        if (file_size(file, &size) == OK && size == spool->settings.segment_bytes &&
            name_next(spool, path, &new_base) == OK) {
            add_prepared(spool, file, new_base);
            free(path);
            return;
        }
        file_close(&file);
    }
    err_ignore(file_remove(path)); /* nothing in it is valid: no harm when it stays */
    free(path);
}

enum err keeper_start(struct spool *spool)
{
    struct keeper *keeper = &spool->keeper;
    char *path = path_of(spool->folder, unfinished_name);

    err_ignore(file_remove(path)); /* most often there is none */
    free(path);
    keeper->prepared_wanted = PREPARED_MIN;
    return keeper->prepared_count ? OK : make_segment(spool);
}
