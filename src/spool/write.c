/* Receiving a message: writers, their chunks, and the ticket of the commit. */
#include "spool/internal.h"

#include "base/hash.h"
#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

struct spool_writer *spool_writer_new(struct spool *spool, struct loop *loop,
    uint64_t size_bytes_max, void (*on_room)(void *me), void *me)
{
    struct spool_writer *writer = mem_new(sizeof *writer);

    atomic_init(&writer->refs, 1);
    writer->spool = spool;
    writer->loop = loop;
    writer->content = content_new(spool->meter);
    writer->bytes_max = size_bytes_max;
    writer->on_room = on_room;
    writer->me = me;
    return writer;
}

void writer_let_go(struct spool_writer *writer)
{
    if (atomic_fetch_sub(&writer->refs, 1) != 1)
        return;
    spool_content_free(writer->content);
    free(writer->places);
    free(writer);
}

/* The hash of FRONT's payload and of CONTENT behind it. */
static uint64_t payload_hash(
    struct bytes front, const struct spool_content *content, uint64_t seed)
{
    struct bytes runs[1 + CONTENT_BLOCKS_MAX];
    size_t n = 0;

    if (front.n)
        runs[n++] = front;
    for (uint32_t i = 0; content && i < content->block_count; i++)
        runs[n++] = bytes_of(content->block[i].at, content->block[i].n);
    return n ? hash64_runs(runs, n, seed) : hash64(BYTES(""), seed);
}

/* --- Chunks ------------------------------------------------------------------------------ */

static enum err err_of(const struct spool_writer *writer)
{
    return (enum err)atomic_load(&writer->err);
}

/* The first one stays. */
static enum err set_err(struct spool_writer *writer, enum err err)
{
    int none = OK;

    atomic_compare_exchange_strong(&writer->err, &none, (int)err);
    return err;
}

static void on_chunk_written(struct loop_post *post)
{
    struct chunk *chunk = container_of(post, struct chunk, post);
    struct spool_writer *writer = chunk->writer;

    unsigned before = atomic_fetch_sub(&writer->chunks_in_flight, 1);

    if (chunk->err)
        set_err(writer, chunk->err);
    free(chunk);
    if (writer->on_room && before == CHUNKS_IN_FLIGHT_MAX)
        writer->on_room(writer->me);
    writer_let_go(writer);
}

void chunk_answer(struct chunk *chunk, enum err err)
{
    spool_content_free(chunk->request.content);
    chunk->request.content = NULL;
    chunk->err = err;
    loop_post(chunk->writer->loop, &chunk->post);
}

/* What the writer has so far goes to the disk as a chunk. */
static void cut(struct spool_writer *writer)
{
    struct spool *spool = writer->spool;
    struct chunk *chunk = mem_new(sizeof *chunk);
    struct spool_content *content = writer->content;
    struct record record = {
        .type = RECORD_CHUNK,
        .payload_bytes = (uint32_t)content->bytes,
        .content_bytes = writer->bytes_in_chunks,
        .payload_hash = payload_hash(BYTES_NONE, content, spool->seed),
    };

    record_encode(&record, chunk->front);
    chunk->request.kind = REQUEST_CHUNK;
    chunk->request.front = chunk->front;
    chunk->request.front_bytes = sizeof chunk->front;
    chunk->request.content = content;
    chunk->post.run = on_chunk_written;
    chunk->writer = writer;
    atomic_fetch_add(&writer->refs, 1);
    writer->bytes_in_chunks += content->bytes;
    writer->chunk_count++;
    atomic_fetch_add(&writer->chunks_in_flight, 1);
    writer->content = NULL;
    inbox_put(&spool->inbox, &chunk->request);
}

static uint64_t chunk_limit(const struct spool_writer *writer)
{
    const struct spool_settings *settings = &writer->spool->settings;

    if (meter_bytes(writer->spool->meter) > settings->memory_bytes_max)
        return CHUNK_BYTES_SHORT;
    return settings->chunk_bytes;
}

enum err spool_append(struct spool_writer *writer, struct bytes body)
{
    if (err_of(writer))
        return err_of(writer);
    if (body.n > writer->bytes_max - writer->bytes)
        return set_err(writer, ERR_LIMIT);
    writer->bytes += body.n;
    while (body.n) {
        uint64_t limit = chunk_limit(writer);
        size_t n;
        if (writer->content->bytes >= limit) {
            cut(writer);
            writer->content = content_new(writer->spool->meter);
        }
        n = limit - writer->content->bytes;
        if (n > body.n)
            n = body.n;
        content_add(writer->content, bytes_first(body, n));
        body = bytes_skip(body, n);
    }
    return OK;
}

bool spool_writer_is_full(const struct spool_writer *writer)
{
    return atomic_load(&writer->chunks_in_flight) >= CHUNKS_IN_FLIGHT_MAX;
}

uint64_t spool_writer_bytes(const struct spool_writer *writer)
{
    return writer->bytes;
}

void spool_writer_set_copy(struct spool_writer *writer)
{
    atomic_store(&writer->is_copy, true);
    spool_expect_copies(writer->spool);
}

/* Nobody hears of room any more.  Written only once: chunks may be answered on the writer's
 * loop while another one, which was given the writer, commits it. */
static void end(struct spool_writer *writer)
{
    if (writer->on_room)
        writer->on_room = NULL;
}

struct spool_content *spool_writer_content(struct spool_writer *writer)
{
    end(writer);
    if (writer->chunk_count || err_of(writer))
        return NULL;
    writer->content = content_fit(writer->content);
    return spool_content_hold(writer->content);
}

void spool_abandon(struct spool_writer **taken)
{
    struct spool_writer *writer = *taken;

    *taken = NULL;
    if (!writer)
        return;
    end(writer);
    if (!writer->chunk_count) {
        writer_let_go(writer);
        return;
    }
    writer->abandon.kind =
        REQUEST_ABANDON; /* the commit thread lets go of segment and writer */
    inbox_put(&writer->spool->inbox, &writer->abandon);
}

/* --- Commit ------------------------------------------------------------------------------ */

static void on_ticket_done(struct loop_post *post)
{
    struct spool_ticket *ticket = container_of(post, struct spool_ticket, post);

    ticket->on_done(ticket);
}

void ticket_answer(struct spool_ticket *ticket, enum err err)
{
    struct spool *spool = ticket->spool;
    struct spool_content *content = ticket->request.content;

    free(ticket->request.front);
    ticket->request.front = NULL;
    ticket->request.content = NULL;
    writer_let_go(ticket->writer);
    ticket->writer = NULL;
    if (err && ticket->entry.recipient_count > sizeof ticket->entry.outcome.few)
        free(ticket->entry.outcome.many);
    if (err || meter_bytes(spool->meter) > spool->settings.memory_bytes_max) {
        spool_content_free(content);
        content = NULL;
    }
    ticket->err = err;
    ticket->content = content;
    loop_post(ticket->loop, &ticket->post);
}

static struct spool_entry entry_of(const struct record *record)
{
    struct spool_entry entry = {
        .by_mid.mid = record->mid,
        .record_bytes = (uint32_t)record_bytes(record),
        .content_bytes = record->content_bytes,
        .recipient_count = record->recipient_count,
        .has_standing = record->flags & RECORD_HAS_STANDING,
        .is_in_chunks = record->chunk_count > 0,
    };

    if (entry.recipient_count > sizeof entry.outcome.few)
        entry.outcome.many = mem_new(entry.recipient_count);
    return entry;
}

static void put_cause(uint8_t *at, const struct spool_cause *cause)
{
    memcpy(at, cause->mid.byte, sizeof cause->mid.byte);
    at += sizeof cause->mid.byte;
    for (uint32_t i = 0; i < cause->recipient_count; i++)
        record_put_number(at + 4 * (size_t)i, cause->recipients[i]);
}

static size_t cause_bytes(const struct spool_cause *cause)
{
    if (!cause || !cause->recipient_count)
        return 0;
    return sizeof cause->mid.byte + 4 * (size_t)cause->recipient_count;
}

/* What is said of a message besides its content. */
struct said {
    struct bytes envelope;
    uint8_t standing[STANDING_BYTES_MAX];
    size_t standing_bytes;
    const struct spool_cause *cause;
};

static uint64_t said_bytes(const struct said *said)
{
    return said->envelope.n + said->standing_bytes + cause_bytes(said->cause);
}

/* Header, what is said and, for the commit thread to fill in, the places of the chunks. */
static void build_front(struct spool_request *request, struct record *record,
    const struct said *said, uint64_t seed)
{
    size_t bytes = RECORD_HEADER_BYTES + said_bytes(said) +
                   (size_t)record->chunk_count * RECORD_CHUNK_PLACE_BYTES;
    uint8_t *front = mem_grow(NULL, bytes), *to = front + RECORD_HEADER_BYTES;

    if (said->envelope.n)
        memcpy(to, said->envelope.at, said->envelope.n);
    to += said->envelope.n;
    memcpy(to, said->standing, said->standing_bytes);
    to += said->standing_bytes;
    if (record->cause_count)
        put_cause(to, said->cause);
    if (!record->chunk_count)
        record->payload_hash =
            payload_hash(bytes_of(front + RECORD_HEADER_BYTES, bytes - RECORD_HEADER_BYTES),
                request->content, seed);
    record_encode(record, front);
    request->front = front;
    request->front_bytes = bytes;
}

/* The writer's last bytes: a chunk like the others, or what goes into the record. */
static struct spool_content *last_of(struct spool_writer *writer)
{
    struct spool_content *content = writer->content;

    writer->content = NULL;
    if (!writer->chunk_count)
        return content_fit(content);
    writer->content = content;
    if (content->bytes)
        cut(writer);
    return NULL;
}

static void refuse(struct spool_writer *writer, struct spool_ticket *ticket, enum err err)
{
    struct spool_writer *abandoned = writer;

    atomic_fetch_add(&writer->refs, 1); /* one for the abandoning, one for the answer */
    spool_abandon(&abandoned);
    ticket_answer(ticket, err);
}

static void ticket_init(struct spool_ticket *ticket, struct spool_writer *writer)
{
    ticket->spool = writer->spool;
    if (!ticket->loop)
        ticket->loop = writer->loop;
    ticket->writer = writer;
    ticket->post.run = on_ticket_done;
    ticket->request =
        (struct spool_request){ .kind = REQUEST_MESSAGE, .content = last_of(writer) };
}

void spool_commit(struct spool_writer **taken, struct mid mid, struct bytes envelope,
    uint32_t recipient_count, const struct spool_cause *cause, const struct standing *standing,
    struct spool_ticket *ticket)
{
    struct spool_writer *writer = *taken;
    struct spool *spool = writer->spool;
    struct said said = { .envelope = envelope, .cause = cause };
    struct record record = {
        .type = RECORD_MESSAGE,
        .mid = mid,
        .envelope_bytes = (uint32_t)envelope.n,
        .content_bytes = writer->bytes,
        .recipient_count = recipient_count,
        .cause_count = cause ? cause->recipient_count : 0,
        .outcome = cause ? (uint8_t)cause->outcome : 0,
    };
    uint64_t payload;

    *taken = NULL;
    end(writer);
    ticket_init(ticket, writer);
    if (standing) {
        said.standing_bytes = standing_encode(standing, said.standing);
        record.flags = RECORD_HAS_STANDING;
        record.standing_bytes = (uint16_t)said.standing_bytes;
        if (standing->role == STANDING_HELD)
            spool_writer_set_copy(writer);
    }
    record.chunk_count = writer->chunk_count;
    payload = said_bytes(&said) +
              (ticket->request.content ? ticket->request.content->bytes : 0) +
              (uint64_t)writer->chunk_count * RECORD_CHUNK_PLACE_BYTES;
    record.payload_bytes = (uint32_t)payload;
    ticket->entry = entry_of(&record);
    ticket->entry.is_word = standing && standing->role == STANDING_SETTLED;
    if (recipient_count > RECORD_RECIPIENTS_MAX ||
        payload > spool->settings.segment_bytes - SEGMENT_HEAD_BYTES - 2 * RECORD_HEADER_BYTES)
        refuse(writer, ticket, ERR_LIMIT);
    else if (err_of(writer))
        refuse(writer, ticket, err_of(writer));
    else {
        build_front(&ticket->request, &record, &said, spool->seed);
        inbox_put(&spool->inbox, &ticket->request);
    }
}
