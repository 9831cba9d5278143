/* The commit thread: it alone writes to the log.  Why a crash loses nothing:
 *
 *  1. A position is a byte's place in the log since the store was made.  None is given twice:
 *     each opening begins a segment whose base was never a file's name before, and so does each
 *     failure.  A record holds its position and a checksum that starts from the store's id.
 *     So whatever an earlier use of a file left in it is not taken for a record.
 *  2. A ticket is answered OK only after fdatasync() has returned for its segment with all of
 * its record written, and with the chunks it names written before it in the log.  A segment is
 *     flushed before the next one's head is written, so all that stands before a flushed record
 *     is flushed.  Files were written full of zeros, flushed, and their names made durable by
 *     a flush of the folder, before the log came to them: an fdatasync() is enough.
 *  3. A record says up to where all was flushed when it was written (`durable`).  At recovery a
 *     hole below such a mark is damage; a hole above all marks is a torn write, which nobody
 * was told OK for.  Valid records behind a torn one are kept: if their flush did return,
 * nothing is lost; if it did not, their clients will send again, which is allowed.
 *  4. After a failed write or flush the kernel may have dropped pages and say so only once.  So
 *     nothing of the unflushed part is believed, tickets in it are answered ERR_IO, and the
 *     segment is never written again.  The next segment's head says that all from the last
 *     flushed byte to its own base is void, so what did reach the disk cannot come back to life
 *     once that head is flushed; should the machine die before, the client has not been told
 * OK, and sends again.
 *  5. Outcomes and settlements are written at once and flushed with the next group, or within
 *     a second.  Lost ones can only repeat deliveries of that last second; a process that is
 *     killed loses none.  Those that were written to a segment that failed are written again.
 *  6. Segments go strictly oldest first, each one's going durable before the next one's.  A
 *     message's first record is in a segment not behind its outcomes and its settlement, so
 *     no settlement goes before what it settles: a settled message cannot come back.
 *  7. A live message of the oldest segment is copied forward with the outcomes known so far,
 *     and its old place is given up only when the copy is flushed.  Both may be found: the
 * later one counts, and an outcome in either counts.  A settlement written after the copy
 * stands behind it in the log, because both pass through the one queue in the order of the home
 * loop.
 *  8. A notification and the outcomes that owe it are one record: both are there, or neither.
 *  9. A word (a standing that is written by itself) is answered after the flush of its segment,
 *     and requests have places in their order: so all that was noted before it is durable when
 *     it is told, and words are told in the order of their positions.  Those of a segment that
 *     failed are written again like outcomes, in their order; nobody was told the old places.
 * 10. A copy that goes forward has the standing of the moment in which it enters the queue; what
 *     is said later stands behind it.  A settled word moves without content and envelope, and
 *     its new position is above all that were told: it may be told twice, and is never skipped.
 * 11. What a process that was killed had written, but not flushed, is found by the next one.  It
 *     is flushed before anybody is told of it (spool.c): a copy that this node says it has is
 *     there after the power went.
 *
 * The format: docs/formats/spool.md. */
#include "spool/internal.h"

#include "base/hash.h"
#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

enum {
    FLUSH_WAIT_MOVE_MS = 20, /* of what was copied forward: room waits for it */
    FLUSH_WAIT_WORD_MS = 20, /* other nodes wait for it */
    HELD_WAIT_MS = 200,
    RUNS_OF_ONE_MAX = 2 + CONTENT_BLOCKS_MAX,
};

/* --- Giving places ------------------------------------------------------------------------ */

static uint64_t bytes_of_request(const struct spool_request *request)
{
    uint64_t bytes = request->front_bytes + (request->content ? request->content->bytes : 0);

    return (bytes + RECORD_ALIGN - 1) & ~(uint64_t)(RECORD_ALIGN - 1);
}

/* Makes sure that the present segment has room for BYTES. */
static enum err reach(struct spool *spool, uint64_t bytes, enum claim claim)
{
    struct log *log = &spool->log;

    if (claim != CLAIM_RELIEF) {
        enum err err = spool_fits(spool, bytes, claim);
        if (err)
            return err;
    }
    if (log->segment && log->run_count + RUNS_OF_ONE_MAX > RUNS_MAX) {
        enum err err = log_write_out(spool);
        if (err)
            return err;
    }
    if (log->segment && bytes <= log->segment->base + spool->settings.segment_bytes - log->at)
        return OK;
    return log_change(spool, claim);
}

static void put(struct spool *spool, struct spool_request *request)
{
    static const uint8_t zeros[RECORD_ALIGN];
    struct log *log = &spool->log;
    uint64_t bytes = bytes_of_request(request);
    uint64_t content_bytes = request->content ? request->content->bytes : 0;

    request->at = log->at;
    record_stamp(request->front, log->at, log->durable, spool->seed);
    log_add_run(log, request->front, request->front_bytes);
    for (uint32_t i = 0; request->content && i < request->content->block_count; i++)
        log_add_run(log, request->content->block[i].at, request->content->block[i].n);
    log_add_run(log, zeros, bytes - request->front_bytes - content_bytes);
    log->at += bytes;
    requests_add(&log->gathered, request);
    atomic_store_explicit(&spool->room,
        log->segment->base + spool->settings.segment_bytes - log->at, memory_order_relaxed);
}

static void keep_segment(struct log *log)
{
    atomic_fetch_add(&log->segment->live, 1);
}

static void put_chunk(struct spool *spool, struct chunk *chunk)
{
    struct log *log = &spool->log;
    struct spool_writer *writer = chunk->writer;
    uint32_t bytes = (uint32_t)chunk->request.content->bytes;

    put(spool, &chunk->request);
    if (!writer->place_count) {
        keep_segment(log); /* for the writer, then for the message */
        writer->failures = log->failures;
    }
    if (writer->place_count == writer->place_room) {
        writer->place_room = writer->place_room ? 2 * writer->place_room : 8;
        writer->places = mem_grow(writer->places, writer->place_room * sizeof *writer->places);
    }
    writer->places[writer->place_count++] = (struct chunk_place){ chunk->request.at, bytes };
}

/* The places of its chunks are known only now. */
static void fill_in_places(struct spool *spool, struct spool_ticket *ticket)
{
    struct spool_writer *writer = ticket->writer;
    struct spool_request *request = &ticket->request;
    uint8_t *at = request->front + request->front_bytes -
                  (size_t)writer->place_count * RECORD_CHUNK_PLACE_BYTES;
    struct bytes payload = bytes_of(
        request->front + RECORD_HEADER_BYTES, request->front_bytes - RECORD_HEADER_BYTES);

    for (uint32_t i = 0; i < writer->place_count; i++, at += RECORD_CHUNK_PLACE_BYTES)
        chunk_place_encode(writer->places[i], at);
    record_set_payload_hash(request->front, hash64(payload, spool->seed));
}

static void put_message(struct spool *spool, struct spool_ticket *ticket)
{
    struct spool_writer *writer = ticket->writer;

    if (writer->place_count)
        fill_in_places(spool, ticket);
    else
        keep_segment(&spool->log);
    put(spool, &ticket->request);
    ticket->entry.at = ticket->request.at;
    ticket->entry.first = writer->place_count ? writer->places[0].at : ticket->request.at;
    spool->log.wants_flush = true;
}

static void put_move(struct spool *spool, struct move *move)
{
    struct log *log = &spool->log;

    put(spool, &move->request);
    if (!move->first) {
        keep_segment(log);
        move->first = move->request.at;
        move->failures = log->failures;
    }
    log_flush_within(log, FLUSH_WAIT_MOVE_MS);
}

/* The writer of a message or a chunk. */
static struct spool_writer *writer_of(struct spool_request *request)
{
    return request->kind == REQUEST_CHUNK
               ? container_of(request, struct chunk, request)->writer
               : container_of(request, struct spool_ticket, request)->writer;
}

static enum claim claim_of(struct spool_request *request)
{
    if (request->kind != REQUEST_MESSAGE && request->kind != REQUEST_CHUNK)
        return CLAIM_RELIEF;
    return atomic_load(&writer_of(request)->is_copy) ? CLAIM_COPY : CLAIM_CLIENT;
}

/* Not OK: something that belongs to the request is lost already. */
static enum err is_whole(const struct log *log, struct spool_request *request)
{
    struct spool_writer *writer;
    struct move *move;

    if (request->kind == REQUEST_MOVE) {
        move = container_of(request, struct move, request);
        return move->first && move->failures != log->failures ? ERR_IO : OK;
    }
    if (request->kind == REQUEST_NOTE || request->kind == REQUEST_WORD)
        return OK;
    writer = writer_of(request);
    if (writer->place_count && writer->failures != log->failures && !writer->lost)
        writer->lost = ERR_IO;
    return writer->lost;
}

static void place_record(struct spool *spool, struct spool_request *request)
{
    struct log *log = &spool->log;
    enum err err = is_whole(log, request);

    /* Nothing overtakes an outcome: a message may come a second time after its end. */
    if (!err && !line_is_empty(&log->held))
        err = log->held_err;
    if (!err) {
        log->placing = request;
        err = reach(spool, bytes_of_request(request), claim_of(request));
        if (!log->placing)
            return; /* the segment failed: REQUEST stands in `todo` again */
        log->placing = NULL;
    }
    if (err) {
        if (line_is_empty(&log->held)) {
            log->held_due_ms = log_now_ms() + HELD_WAIT_MS;
            log->held_err = err;
        }
        log_refuse(spool, request, err, &log->held);
    } else if (request->kind == REQUEST_MESSAGE) {
        put_message(spool, container_of(request, struct spool_ticket, request));
    } else if (request->kind == REQUEST_CHUNK) {
        put_chunk(spool, container_of(request, struct chunk, request));
    } else if (request->kind == REQUEST_MOVE) {
        put_move(spool, container_of(request, struct move, request));
    } else {
        put(spool, request);
        if (request->kind == REQUEST_WORD)
            log_flush_within(log, FLUSH_WAIT_WORD_MS);
    }
}

static void abandon(struct spool *spool, struct spool_request *request)
{
    struct spool_writer *writer = container_of(request, struct spool_writer, abandon);

    if (writer->place_count)
        spool_unpin(spool, writer->places[0].at);
    writer_let_go(writer);
}

/* Answered when all before it is flushed. */
static void place_barrier(struct spool *spool, struct spool_barrier *barrier)
{
    struct log *log = &spool->log;

    if (!line_is_empty(&log->held)) {
        log_refuse(spool, &barrier->request, log->held_err, NULL);
        return;
    }
    requests_add(&log->written, &barrier->request);
    if (barrier->is_patient)
        log_flush_within(log, FLUSH_WAIT_WORD_MS);
    else
        log->wants_flush = true;
}

static void place(struct spool *spool, struct spool_request *request)
{
    switch ((enum request_kind)request->kind) {
    case REQUEST_MESSAGE:
    case REQUEST_CHUNK:
    case REQUEST_NOTE:
    case REQUEST_MOVE:
    case REQUEST_WORD:
        place_record(spool, request);
        break;
    case REQUEST_BARRIER:
        place_barrier(spool, container_of(request, struct spool_barrier, request));
        break;
    case REQUEST_ABANDON:
        abandon(spool, request);
        break;
    case REQUEST_WAKE:
        break;
    }
}

/* --- The thread --------------------------------------------------------------------------- */

static int64_t wait_ms(const struct spool *spool)
{
    const struct log *log = &spool->log;
    int64_t due = log->flush_due_ms, now;

    if (!line_is_empty(&log->todo))
        return 0; /* outcomes of a segment that failed */
    if (!line_is_empty(&log->held) && (!due || log->held_due_ms < due))
        due = log->held_due_ms;
    if (!log->segment && (!due || log->retry_at_ms < due))
        due = log->retry_at_ms ? log->retry_at_ms : 1;
    if (!due)
        return -1;
    now = log_now_ms();
    return due > now ? due - now : 0;
}

/* Without a segment nothing is taken that would make one: so try by ourselves. */
static void look_for_segment(struct spool *spool)
{
    struct log *log = &spool->log;
    enum err err;

    if (log->segment || log_now_ms() < log->retry_at_ms)
        return;
    err = log_change(spool, CLAIM_RELIEF);
    if (!err)
        err = log_flush(spool);
    if (!err) {
        log->held_due_ms = 0;
    } else if (err == ERR_SPACE) {
        log->retry_at_ms = log_now_ms() + HELD_WAIT_MS;
    } else {
        log->retry_at_ms = log_now_ms() + LOG_RETRY_MS;
        atomic_store(&spool->is_unhealthy, true);
    }
}

static void turn(struct spool *spool)
{
    struct log *log = &spool->log;
    struct spool_request *request;

    look_for_segment(spool);
    if (!line_is_empty(&log->held) && log_now_ms() >= log->held_due_ms)
        line_move_to_front(&log->todo, &log->held);
    while ((request = line_take(&log->todo)))
        place(spool, request);
    if (log->wants_flush || (log->flush_due_ms && log_now_ms() >= log->flush_due_ms))
        err_ignore(log_flush(spool)); /* those who wait have their answers */
    else
        err_ignore(log_write_out(spool)); /* likewise */
}

static void let_held_go(struct spool *spool)
{
    struct spool_request *request;

    line_move(&spool->log.held, &spool->log.todo);
    while ((request = line_take(&spool->log.held)))
        if (request->kind == REQUEST_NOTE)
            free(container_of(request, struct note, request));
}

void *log_main(void *me)
{
    struct spool *spool = me;
    bool is_last;

    do {
        is_last = atomic_load(&spool->must_stop);
        inbox_take(&spool->inbox, is_last ? 0 : wait_ms(spool), &spool->log.todo);
        turn(spool);
    } while (!is_last);
    err_ignore(log_flush(spool)); /* what fails now is an outcome of the last second */
    let_held_go(spool);
    return NULL;
}
