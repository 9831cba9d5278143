#include "spool/spool.h"

#include "base/hash.h"
#include "base/mem.h"
#include "os/clock.h"
#include "spool/internal.h"

#include <assert.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    SEGMENT_BYTES = 64 << 20,
    CHUNK_BYTES = 256 << 10,
    CHUNK_BYTES_MIN = 4096,
    MEMORY_BYTES = 256 << 20,
    LOG_SEGMENTS_MIN = 4, /* the log's, one that is being emptied, the next, and the reserve */
};

static enum err say(char why[256], const char *path, const char *what, enum err err)
{
    snprintf(why, 256, "%s: %s: %s", path, what, err_text(err));
    return err;
}

/* --- Making and unmaking ----------------------------------------------------------------- */

/* 0 is the default, and what makes no sense is moved to what does. */
static struct spool_settings within_bounds(struct spool_settings s)
{
    if (!s.segment_bytes)
        s.segment_bytes = SEGMENT_BYTES;
    if (s.segment_bytes < SEGMENT_BYTES_MIN)
        s.segment_bytes = SEGMENT_BYTES_MIN;
    if (s.segment_bytes > SEGMENT_BYTES_MAX)
        s.segment_bytes = SEGMENT_BYTES_MAX;
    s.segment_bytes -= s.segment_bytes % SEGMENT_HEAD_BYTES;
    if (!s.chunk_bytes)
        s.chunk_bytes = CHUNK_BYTES;
    if (s.chunk_bytes < CHUNK_BYTES_MIN)
        s.chunk_bytes = CHUNK_BYTES_MIN;
    if (s.chunk_bytes > CONTENT_BYTES_MAX)
        s.chunk_bytes = CONTENT_BYTES_MAX;
    if (!s.memory_bytes_max)
        s.memory_bytes_max = MEMORY_BYTES;
    return s;
}

static struct spool *spool_new(struct loop *home, const struct spool_settings *settings)
{
    struct spool *spool = mem_new(sizeof *spool);
    int failed = pthread_mutex_init(&spool->lock, NULL);

    assert(!failed);
    spool->settings = within_bounds(*settings);
    spool->folder = mem_text(settings->folder);
    spool->settings.folder = spool->folder;
    spool->home = home;
    spool->lock_file.fd = -1;
    spool->meter = meter_new();
    inbox_init(&spool->inbox);
    wake_init(&spool->keeper.wake);
    wake_init(&spool->keeper.has_more);
    list_init(&spool->reclaim.moves);
    return spool;
}

void spool_free(struct spool *spool)
{
    for (uint32_t i = 0; i < spool->segment_count; i++)
        segment_free(spool->segments[i]);
    free(spool->segments);
    for (uint32_t i = 0; i < spool->keeper.prepared_count; i++)
        segment_free(spool->keeper.prepared[i]);
    pthread_cond_destroy(&spool->keeper.wake);
    pthread_cond_destroy(&spool->keeper.has_more);
    pthread_mutex_destroy(&spool->lock);
    inbox_done(&spool->inbox);
    meter_let_go(spool->meter);
    file_close(&spool->lock_file);
    free(spool->folder);
    free(spool);
}

/* Signals are the main thread's. */
static void start_thread(pthread_t *thread, void *(*main)(void *spool), struct spool *spool)
{
    sigset_t all, before;
    int failed;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(thread, NULL, main, spool);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        fputs("relais: no thread for the spool\n", stderr);
        abort();
    }
}

/* --- Opening ----------------------------------------------------------------------------- */

static enum err take_lock(struct spool *spool, char why[256])
{
    char *path = path_of(spool->folder, "lock");
    enum err err = folder_make(spool->folder, 0700);

    if (err)
        say(why, spool->folder, "making the folder", err);
    else if ((err = file_lock(path, &spool->lock_file)))
        say(why, path, err == ERR_BUSY ? "another process has this spool" : "locking it", err);
    free(path);
    return err;
}

/* SPOOL hears first what its caller's visitor hears. */
struct listener {
    struct spool *spool;
    const struct spool_visitor *visitor;
};

static void on_message(void *me, const struct spool_found *found)
{
    struct listener *listener = me;

    spool_pin(listener->spool, found->entry.first);
    if (found->has_standing && found->standing.role == STANDING_HELD)
        spool_expect_copies(listener->spool);
    if (listener->visitor->on_message)
        listener->visitor->on_message(listener->visitor->me, found);
}

static void on_damage(void *me, uint64_t at, const char *why)
{
    struct listener *listener = me;
    struct spool *spool = listener->spool;

    atomic_fetch_add(&spool->damaged, 1);
    spool->damage ^= (uint32_t)hash64(bytes_text(why), at);
    if (spool->segment_count) /* not while the files are still being read */
        spool_segment(spool, at)->is_damaged = true;
    if (listener->visitor->on_damage)
        listener->visitor->on_damage(listener->visitor->me, at, why);
}

static void on_progress(void *me, uint64_t bytes_done, uint64_t bytes_all)
{
    struct listener *listener = me;

    if (listener->visitor->on_progress)
        listener->visitor->on_progress(listener->visitor->me, bytes_done, bytes_all);
}

static bool is_feared(void *me, struct mid mid)
{
    struct listener *listener = me;

    return listener->visitor->is_feared(listener->visitor->me, mid);
}

static void take_over(struct spool *spool, struct recovered *recovered)
{
    spool->store = recovered->store.id;
    spool->told = store_told(&recovered->store);
    spool->known_damage = recovered->store.known_damage;
    spool->seed = record_seed(recovered->store.id);
    spool->settings.segment_bytes = recovered->store.segment_bytes;
    if (spool->settings.chunk_bytes > spool->settings.segment_bytes / 4)
        spool->settings.chunk_bytes = (uint32_t)(spool->settings.segment_bytes / 4);
    if (spool->settings.bytes_max &&
        spool->settings.bytes_max < LOG_SEGMENTS_MIN * spool->settings.segment_bytes)
        spool->settings.bytes_max = LOG_SEGMENTS_MIN * spool->settings.segment_bytes;
    for (uint32_t i = 0; i < recovered->segment_count; i++)
        spool_add_segment(spool, recovered->segments[i]);
    recovered->segment_count = 0;
    spool->keeper.base_next = recovered->base_next;
    for (uint32_t i = 0; i < recovered->unused_count; i++)
        keeper_add_unused(spool, recovered->unused[i]);
}

/* What a killed process had written and not flushed is read like the rest: it must not be told
 * to anybody before it is as durable.  All segments but the last one were flushed. */
static enum err flush_found(struct spool *spool)
{
    if (!spool->segment_count)
        return OK;
    return file_sync_data(spool->segments[spool->segment_count - 1]->file);
}

/* Reads the log, begins a segment behind it, then tells what was found. */
static enum err open_log(
    struct spool *spool, const struct spool_visitor *visitor, char why[256])
{
    struct listener listener = { spool, visitor };
    struct spool_visitor mine = { &listener, on_message, on_damage, on_progress,
        visitor->is_feared ? is_feared : NULL };
    struct recovered recovered;
    enum err err = recover(spool->folder, FILE_READ | FILE_WRITE, &mine, &recovered, why);

    if (!err) {
        take_over(spool, &recovered);
        err = flush_found(spool);
        if (!err)
            err = keeper_start(spool);
        if (!err)
            err = log_start(spool, recovered.valid_end, recovered.sure);
        if (err)
            say(why, spool->folder, "beginning a segment", err);
    }
    if (!err)
        scan_tell(recovered.scan);
    if (atomic_load(&spool->damaged) && !spool->damage)
        spool->damage = 1; /* 0 is kept for nothing */
    recovered_done(&recovered);
    return err;
}

enum err spool_open(struct spool **out, struct loop *home,
    const struct spool_settings *settings, const struct spool_visitor *visitor, char why[256])
{
    struct spool *spool = spool_new(home, settings);
    enum err err = take_lock(spool, why);

    if (!err)
        err = store_ensure(spool->folder, spool->settings.segment_bytes, why);
    if (!err)
        err = open_log(spool, visitor, why);
    if (err) {
        spool_free(spool);
        return err;
    }
    spool->has_threads = true;
    start_thread(&spool->commit_thread, log_main, spool);
    start_thread(&spool->keeper.thread, keeper_main, spool);
    reclaim_start(spool);
    *out = spool;
    return OK;
}

/* The thread may have seen that it must stop before what was to wake it for that was put in. */
static void take_stop(struct spool *spool)
{
    struct spool_request *request;
    struct line rest;

    line_init(&rest);
    inbox_take(&spool->inbox, 0, &rest);
    request = line_take(&rest);
    assert((!request || request == &spool->stop) && line_is_empty(&rest));
}

void spool_close(struct spool *spool)
{
    if (!spool)
        return;
    timer_stop(&spool->reclaim.tick);
    atomic_store(&spool->must_stop, true);
    spool->stop.kind = REQUEST_WAKE;
    inbox_put(&spool->inbox, &spool->stop);
    pthread_join(spool->commit_thread, NULL);
    take_stop(spool);
    pthread_mutex_lock(&spool->lock);
    atomic_store(&spool->keeper.must_stop, true);
    locked_keeper_look(spool);
    pthread_mutex_unlock(&spool->lock);
    pthread_join(spool->keeper.thread, NULL);
    reclaim_stop(spool);
    spool->is_closed = true;
    if (spool->reads_open == 0)
        spool_free(spool);
}

struct store_id spool_store_id(const struct spool *spool)
{
    return spool->told;
}

bool spool_was_damaged(const struct spool *spool)
{
    return spool->damage && spool->damage != spool->known_damage;
}

/* When the flush of the folder fails, the next opening may find the new id all the same.  That
 * is the safe side: nothing is told in the new store's name before. */
enum err spool_renew_store(struct spool *spool)
{
    struct store_head head = {
        .version = STORE_VERSION,
        .id = spool->store,
        .segment_bytes = spool->settings.segment_bytes,
    };
    enum err err;

    head.known_damage = spool->damage;
    random_fill(head.told.byte, sizeof head.told.byte);
    err = store_write(spool->folder, &head);
    if (err)
        return err == ERR_SPACE ? ERR_SPACE : ERR_IO;
    spool->told = head.told;
    spool->known_damage = head.known_damage;
    return OK;
}

void spool_set_standings(struct spool *spool,
    void (*get)(void *me, const struct spool_entry *entry, struct standing *out), void *me)
{
    spool->reclaim.get_standing = get;
    spool->reclaim.me = me;
}

uint64_t spool_position(const struct spool *spool)
{
    return atomic_load(&spool->position);
}

/* --- Room -------------------------------------------------------------------------------- */

/* When a segment that was kept is in use itself, what is left of it is kept. */
enum err spool_fits(struct spool *spool, uint64_t bytes, enum claim claim)
{
    uint32_t kept = spool_kept(spool, claim);
    enum err blocked = (enum err)atomic_load_explicit(&spool->blocked, memory_order_relaxed);
    unsigned ready;

    if (claim == CLAIM_CLIENT && atomic_load_explicit(&spool->is_low, memory_order_relaxed))
        return ERR_SPACE; /* a copy may use what is prepared */
    if (!blocked)
        return OK; /* the keeper makes more */
    ready = atomic_load_explicit(&spool->ready_count, memory_order_relaxed);
    if (ready < kept)
        return blocked;
    if (bytes <= atomic_load_explicit(&spool->room, memory_order_relaxed))
        return OK;
    return bytes / spool->settings.segment_bytes + 1 + kept <= ready ? OK : blocked;
}

static enum err has_room(struct spool *spool, uint64_t bytes, enum claim claim, char why[128])
{
    enum err err;

    if (atomic_load_explicit(&spool->is_unhealthy, memory_order_relaxed)) {
        snprintf(why, 128, "the spool's disk takes no writes");
        return ERR_IO;
    }
    err = spool_fits(spool, bytes + 2 * RECORD_HEADER_BYTES, claim);
    if (!err)
        return OK;
    pthread_mutex_lock(&spool->lock);
    snprintf(why, 128, "%s",
        spool->keeper.why[0] ? spool->keeper.why : "the spool has no room for it");
    pthread_mutex_unlock(&spool->lock);
    return err;
}

enum err spool_has_room(struct spool *spool, uint64_t bytes, char why[128])
{
    return has_room(spool, bytes, CLAIM_CLIENT, why);
}

enum err spool_has_room_for_copy(struct spool *spool, uint64_t bytes, char why[128])
{
    return has_room(spool, bytes, CLAIM_COPY, why);
}

void spool_get_facts(struct spool *spool, struct spool_facts *out)
{
    enum err err;

    *out = (struct spool_facts){
        .messages_live = spool->reclaim.messages_live,
        .bytes_live = spool->reclaim.bytes_live,
        .segment_bytes = spool->settings.segment_bytes,
        .position = spool_position(spool),
        .content_memory_bytes = meter_bytes(spool->meter),
        .commits = atomic_load(&spool->commits),
        .flushes = atomic_load(&spool->flushes),
        .flush_errors = atomic_load(&spool->flush_errors),
        .bytes_written = atomic_load(&spool->bytes_written),
        .messages_moved = atomic_load(&spool->messages_moved),
        .damaged = atomic_load(&spool->damaged),
        .flush_us_total = atomic_load(&spool->flush_us),
    };
    pthread_mutex_lock(&spool->lock);
    out->segments = spool->segment_count;
    out->segments_spare = spool->keeper.prepared_count;
    pthread_mutex_unlock(&spool->lock);
    err = spool_has_room(spool, spool->settings.chunk_bytes, out->why);
    out->is_full = err == ERR_SPACE;
    out->is_unhealthy = err == ERR_IO;
}
