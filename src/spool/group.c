/* A group of records on its way to the disk: one write, one flush, then the answers.  The
 * commit thread's.  Why this is enough stands at the top of log.c. */
#include "os/clock.h"
#include "spool/internal.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

enum {
    FLUSH_WAIT_MS = 1000,          /* of outcomes that nobody waits for */
    UNFLUSHED_BYTES_MAX = 8 << 20, /* a long flush later would hold up everybody */
};

int64_t log_now_ms(void)
{
    return clock_moment().ms;
}

static uint64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

void log_flush_within(struct log *log, int64_t ms)
{
    int64_t due = log_now_ms() + ms;

    if (!log->flush_due_ms || due < log->flush_due_ms)
        log->flush_due_ms = due;
}

/* --- Answers ------------------------------------------------------------------------------ */

static bool is_chunk_of_move(const struct move *move)
{
    return move->chunk_next < move->record.chunk_count;
}

static void answer_barrier(struct spool_request *request, enum err err)
{
    struct spool_barrier *barrier = container_of(request, struct spool_barrier, request);

    barrier->err = err;
    loop_post(barrier->home, &barrier->post);
}

static void answer_word(struct spool_request *request)
{
    struct spool_word *word = container_of(request, struct spool_word, request);

    word->at = request->at;
    loop_post(word->home, &word->post);
}

static void answer_move(struct spool *spool, struct spool_request *request, enum err err)
{
    struct move *move = container_of(request, struct move, request);

    move->err = err;
    move_post(spool, move);
}

/* REQUEST is flushed; chunks have had their answer before. */
static void answer_flushed(struct spool *spool, struct spool_request *request)
{
    switch ((enum request_kind)request->kind) {
    case REQUEST_MESSAGE:
        atomic_fetch_add_explicit(&spool->commits, 1, memory_order_relaxed);
        ticket_answer(container_of(request, struct spool_ticket, request), OK);
        break;
    case REQUEST_NOTE:
        free(container_of(request, struct note, request));
        break;
    case REQUEST_MOVE:
        answer_move(spool, request, OK);
        break;
    case REQUEST_WORD:
        answer_word(request);
        break;
    case REQUEST_BARRIER:
        answer_barrier(request, OK);
        break;
    case REQUEST_CHUNK:
    case REQUEST_ABANDON:
    case REQUEST_WAKE:
        assert(false);
    }
}

/* A ticket that is lost gives up the segment that was kept for it. */
static void refuse_ticket(struct spool *spool, struct spool_ticket *ticket, enum err err)
{
    if (ticket->writer->place_count)
        spool_unpin(spool, ticket->writer->places[0].at);
    else if (ticket->request.at)
        spool_unpin(spool, ticket->request.at);
    ticket_answer(ticket, err);
}

/* REQUEST has no place, or lost it; outcomes and words are kept in AGAIN. */
void log_refuse(
    struct spool *spool, struct spool_request *request, enum err err, struct line *again)
{
    struct chunk *chunk;

    if (err != ERR_SPACE)
        err = ERR_IO; /* the client's answers are two */
    switch ((enum request_kind)request->kind) {
    case REQUEST_MESSAGE:
        refuse_ticket(spool, container_of(request, struct spool_ticket, request), err);
        break;
    case REQUEST_CHUNK:
        chunk = container_of(request, struct chunk, request);
        chunk->writer->lost = err;
        chunk_answer(chunk, err);
        break;
    case REQUEST_NOTE:
    case REQUEST_WORD:
        requests_add(again, request);
        break;
    case REQUEST_MOVE:
        answer_move(spool, request, err);
        break;
    case REQUEST_BARRIER:
        answer_barrier(request, err);
        break;
    case REQUEST_ABANDON:
    case REQUEST_WAKE:
        assert(false);
    }
}

/* --- Writing and flushing ----------------------------------------------------------------- */

/* The segment is not trusted any more (argument 4).  What must be written again goes, in its
 * order, before all that still waits. */
static void fail(struct spool *spool, enum err err)
{
    struct log *log = &spool->log;
    struct spool_request *request;
    struct line again;

    line_init(&again);
    line_move(&log->written, &log->gathered);
    log->run_count = 0;
    log->segment->is_failed = true;
    log->segment = NULL;
    log->failures++;
    log->wants_flush = false;
    log->flush_due_ms = 0;
    atomic_store(&spool->room, 0);
    atomic_fetch_add(&spool->flush_errors, 1);
    if (!log->is_tried) {
        atomic_store(&spool->is_unhealthy, true);
        log->retry_at_ms = log_now_ms() + LOG_RETRY_MS;
    }
    while ((request = line_take(&log->written)))
        log_refuse(spool, request, err, &again);
    line_move(&again, &log->held); /* younger; nothing overtakes what is written again */
    if (log->placing)
        requests_add(&again, log->placing);
    log->placing = NULL;
    line_move_to_front(&log->todo, &again);
}

void log_add_run(struct log *log, const uint8_t *at, size_t n)
{
    assert(log->run_count < RUNS_MAX);
    if (n) {
        union {
            const uint8_t *from;
            void *to;
        } base = { at }; /* iovec has no const */
        log->runs[log->run_count++] = (struct iovec){ base.to, n };
    }
}

/* What somebody waits for only until it is written has its answer. */
static void answer_written(struct spool *spool)
{
    struct log *log = &spool->log;
    struct spool_request *request;

    while ((request = line_take(&log->gathered))) {
        if (request->kind == REQUEST_CHUNK)
            chunk_answer(container_of(request, struct chunk, request), OK);
        else if (request->kind == REQUEST_MOVE &&
                 is_chunk_of_move(container_of(request, struct move, request)))
            answer_move(spool, request, OK);
        else
            requests_add(&log->written, request);
    }
}

enum err log_write_out(struct spool *spool)
{
    struct log *log = &spool->log;
    enum err err;

    if (!log->run_count)
        return OK;
    err = file_writev_at(
        log->segment->file, log->runs, log->run_count, log->runs_at - log->segment->base);
    if (err) {
        fail(spool, err);
        return err;
    }
    atomic_fetch_add_explicit(
        &spool->bytes_written, log->at - log->runs_at, memory_order_relaxed);
    log->run_count = 0;
    log->runs_at = log->at;
    answer_written(spool);
    log_flush_within(log, FLUSH_WAIT_MS);
    if (log->at - log->segment->base > UNFLUSHED_BYTES_MAX &&
        log->at - log->durable > UNFLUSHED_BYTES_MAX)
        log->wants_flush = true;
    return OK;
}

static enum err sync_segment(struct spool *spool)
{
    struct log *log = &spool->log;
    uint64_t start = now_us();
    enum err err = file_sync_data(log->segment->file);

    if (err) {
        fail(spool, err);
        return err;
    }
    atomic_fetch_add_explicit(&spool->flushes, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&spool->flush_us, now_us() - start, memory_order_relaxed);
    log->durable = log->sure = log->at;
    log->is_tried = true;
    atomic_store(&spool->position, log->durable);
    atomic_store(&spool->is_unhealthy, false);
    return OK;
}

enum err log_flush(struct spool *spool)
{
    struct log *log = &spool->log;
    struct spool_request *request;
    enum err err = log_write_out(spool);

    if (!err && !log->segment)
        err = ERR_IO;
    if (!err && log->at != log->durable)
        err = sync_segment(spool);
    log->wants_flush = false;
    log->flush_due_ms = 0;
    /* After a failure only barriers can be left. */
    while ((request = line_take(&log->written))) {
        if (err)
            answer_barrier(request, err);
        else
            answer_flushed(spool, request);
    }
    return err;
}

/* --- Segments, one after the other -------------------------------------------------------- */

static void begin(struct spool *spool, struct segment *segment)
{
    struct log *log = &spool->log;
    struct segment_head head = {
        .store = spool->store,
        .base = segment->base,
        .sequence = segment->base / spool->settings.segment_bytes,
        .segment_bytes = spool->settings.segment_bytes,
        .previous_end = log->durable,
        .previous_sure = log->sure,
    };

    spool_add_segment(spool, segment);
    segment_head_encode(&head, log->head);
    log->segment = segment;
    log->is_tried = false;
    log->runs_at = segment->base;
    log->at = segment->base + SEGMENT_HEAD_BYTES;
    atomic_store(&spool->room, spool->settings.segment_bytes - SEGMENT_HEAD_BYTES);
    log_add_run(log, log->head, sizeof log->head);
}

/* Leaves the present segment, flushed, for a new one. */
enum err log_change(struct spool *spool, enum claim claim)
{
    struct log *log = &spool->log;
    struct segment *next;
    enum err err;

    if (log->segment) {
        err = log_flush(spool);
        if (err)
            return err;
    }
    if (log_now_ms() < log->retry_at_ms)
        return ERR_IO;
    err = keeper_take(spool, claim, &next);
    if (err)
        return err;
    log->retry_at_ms = 0;
    begin(spool, next);
    return atomic_load(&spool->is_unhealthy) ? log_flush(spool) : OK; /* is this one good? */
}

enum err log_start(struct spool *spool, uint64_t valid_end, uint64_t sure)
{
    struct log *log = &spool->log;
    enum err err;

    line_init(&log->todo);
    line_init(&log->gathered);
    line_init(&log->written);
    line_init(&log->held);
    log->durable = valid_end;
    log->sure = sure;
    err = log_change(spool, CLAIM_CLIENT);
    return err ? err : log_flush(spool);
}
