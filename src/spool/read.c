/* Reading a message back.  A record is read whole and its checksum compared before any of it is
 * given out: nothing is ever delivered in part. */
#include "base/hash.h"
#include "base/mem.h"
#include "spool/internal.h"

#include <stdlib.h>

struct source source_of(struct spool *spool)
{
    return (struct source){ spool, spool->folder, spool->seed, spool->settings.segment_bytes };
}

/* --- Records ----------------------------------------------------------------------------- */

static enum err read_record(struct file file, uint64_t base, const struct source *source,
    uint64_t at, size_t room, struct record *record, uint8_t **payload)
{
    uint8_t header[RECORD_HEADER_BYTES], *memory;
    struct bytes bytes;
    enum err err;

    if (at - base > source->segment_bytes - sizeof header)
        return ERR_CORRUPT;
    err = file_read_at(file, header, sizeof header, at - base);
    if (err)
        return err == ERR_NONE ? ERR_CORRUPT : err;
    if (!record_decode(header, at, source->seed, record) ||
        at - base + record_bytes(record) > source->segment_bytes)
        return ERR_CORRUPT;
    memory = mem_grow(NULL, room + record->payload_bytes);
    err = file_read_at(
        file, memory + room, record->payload_bytes, at - base + RECORD_HEADER_BYTES);
    bytes = bytes_of(memory + room, record->payload_bytes);
    if (!err && hash64(bytes, source->seed) != record->payload_hash)
        err = ERR_CORRUPT;
    if (err) {
        free(memory);
        return err == ERR_NONE ? ERR_CORRUPT : err;
    }
    *payload = memory;
    return OK;
}

enum err source_read(const struct source *source, uint64_t at, size_t room,
    struct record *record, uint8_t **payload)
{
    uint64_t base = at - at % source->segment_bytes; /* bases are multiples of it */
    struct file file;
    char *path;
    enum err err;

    if (source->spool)
        return read_record(
            spool_segment(source->spool, at)->file, base, source, at, room, record, payload);
    path = segment_path(source->folder, base);
    err = file_open(path, FILE_READ, &file);
    free(path);
    if (err)
        return err == ERR_NONE ? ERR_CORRUPT : err;
    err = read_record(file, base, source, at, room, record, payload);
    file_close(&file);
    return err;
}

/* --- A part of a message's content ------------------------------------------------------- */

struct window {
    uint64_t from, end;
    uint8_t *to;
};

/* What of CONTENT, which begins at AT in the whole, is asked for. */
static void copy_part(const struct window *window, uint64_t at, struct bytes content)
{
    uint64_t from = window->from > at ? window->from : at;
    uint64_t end = window->end < at + content.n ? window->end : at + content.n;

    if (from < end)
        memcpy(window->to + (from - window->from), content.at + (from - at), end - from);
}

static enum err copy_chunk(const struct source *source, struct chunk_place place, uint64_t at,
    const struct window *window)
{
    struct record record;
    uint8_t *payload;
    enum err err = source_read(source, place.at, 0, &record, &payload);

    if (err)
        return err;
    if (record.type == RECORD_CHUNK && record.payload_bytes == place.bytes)
        copy_part(window, at, bytes_of(payload, place.bytes));
    else
        err = ERR_CORRUPT;
    free(payload);
    return err;
}

static enum err copy_chunks(const struct source *source, const struct record *record,
    struct bytes places, const struct window *window)
{
    uint64_t at = 0;

    for (uint32_t i = 0; i < record->chunk_count && at < window->end; i++) {
        struct chunk_place place = chunk_place_decode(places, i);
        if (at + place.bytes > window->from) {
            enum err err = copy_chunk(source, place, at, window);
            if (err)
                return err;
        }
        at += place.bytes;
    }
    return at < window->end ? ERR_CORRUPT : OK;
}

/* The message's record, if it is still the one that ENTRY says. */
static enum err read_message(const struct source *source, const struct spool_entry *entry,
    struct record *record, uint8_t **payload)
{
    enum err err = source_read(source, entry->at, 0, record, payload);

    if (err)
        return err;
    if (record->type == RECORD_MESSAGE && mid_equal(record->mid, entry->by_mid.mid) &&
        record->content_bytes == entry->content_bytes)
        return OK;
    free(*payload);
    return ERR_CORRUPT;
}

/* WINDOW->to has room for all of it. */
static enum err copy_content(const struct source *source, const struct record *record,
    const uint8_t *payload, const struct window *window)
{
    struct record_parts parts;

    record_split(record, bytes_of(payload, record->payload_bytes), &parts);
    if (record->chunk_count)
        return copy_chunks(source, record, parts.places, window);
    copy_part(window, 0, parts.content);
    return OK;
}

/* --- Reading beside the loop ------------------------------------------------------------- */

static void on_pool(struct loop_work *work)
{
    struct spool_read *read = container_of(work, struct spool_read, work);
    struct source source = source_of(read->spool);
    uint64_t all = read->place.content_bytes;
    struct window window = { .from = read->from < all ? read->from : all };
    struct record record;
    uint8_t *payload;

    window.end = all - window.from < read->bytes_max ? all : window.from + read->bytes_max;
    read->err = read_message(&source, &read->place, &record, &payload);
    if (read->err)
        return;
    window.to = mem_grow(NULL, window.end - window.from);
    read->err = copy_content(&source, &record, payload, &window);
    if (read->err) {
        free(payload);
        free(window.to);
        return;
    }
    if (read->wants_envelope) {
        read->envelope = mem_copy(payload, record.envelope_bytes);
        read->envelope_n = record.envelope_bytes;
    }
    free(payload);
    read->at = window.to;
    read->n = window.end - window.from;
}

static void on_pool_done(struct loop_work *work)
{
    struct spool_read *read = container_of(work, struct spool_read, work);

    struct spool *spool = read->spool;

    spool_unpin(spool, read->place.first);
    if (read->err == ERR_CORRUPT)
        atomic_fetch_add(&spool->damaged, 1);
    spool->reads_open--;
    if (spool->is_closed && spool->reads_open == 0)
        spool_free(spool);
    read->done(read);
}

void spool_read(struct spool *spool, struct spool_entry *entry, uint64_t from, size_t bytes_max,
    struct spool_read *read)
{
    read->spool = spool;
    read->from = from;
    read->bytes_max = bytes_max;
    read->place = *entry; /* it may be moved meanwhile; this place is kept until DONE */
    read->at = NULL;
    read->n = 0;
    read->envelope = NULL;
    read->envelope_n = 0;
    read->work.run = on_pool;
    read->work.done = on_pool_done;
    spool->reads_open++;
    spool_pin(spool, entry->first);
    loop_work(spool->home, &read->work);
}

uint32_t spool_open_reads(const struct spool *spool)
{
    return spool->reads_open;
}

/* --- Reading without a spool ------------------------------------------------------------- */

enum err spool_read_offline(const char *folder, const struct spool_entry *entry,
    struct buf *envelope, struct buf *content)
{
    char why[256];
    struct store_head store;
    struct source source = { .folder = folder };
    struct window window = { .end = entry->content_bytes };
    struct record record;
    uint8_t *payload;
    enum err err = store_read(folder, &store, why);

    if (err)
        return err;
    source.seed = record_seed(store.id);
    source.segment_bytes = store.segment_bytes;
    err = read_message(&source, entry, &record, &payload);
    if (err)
        return err;
    window.to = buf_room(content, entry->content_bytes);
    if (window.end && !window.to)
        err = ERR_LIMIT;
    if (!err)
        err = copy_content(&source, &record, payload, &window);
    if (!err)
        err = buf_add(envelope, bytes_of(payload, record.envelope_bytes));
    if (!err)
        buf_wrote(content, entry->content_bytes);
    free(payload);
    return err;
}
