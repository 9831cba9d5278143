#include "disk.h"

#include "base/hash.h"
#include "base/mem.h"
#include "spool/internal.h"

#include <assert.h>
#include <stdlib.h>

enum { SECTOR_BYTES = 64, SEGMENT_GAP = 4096 };

struct store_id store_id_random(struct prng *prng)
{
    struct store_id id;

    for (size_t i = 0; i < sizeof id.byte; i++)
        id.byte[i] = (uint8_t)prng_next(prng);
    return id;
}

void disk_new(struct disk *disk, struct prng *prng)
{
    *disk = (struct disk){ .log = store_id_random(prng) };
    disk->public = disk->log;
    disk->seed = record_seed(disk->log);
    disk->segment_count = 1;
    disk->segment[0] = (struct disk_segment){ .base = SEGMENT_GAP, .sure = SCAN_SURE_BY_MARKS };
    disk->durable = disk->kept = SEGMENT_GAP;
}

void disk_done(struct disk *disk)
{
    for (unsigned i = 0; i < disk->segment_count; i++)
        free(disk->segment[i].at);
    disk->segment_count = 0;
}

void disk_copy(struct disk *to, const struct disk *from)
{
    disk_done(to);
    *to = *from;
    for (unsigned i = 0; i < to->segment_count; i++) {
        struct disk_segment *segment = &to->segment[i];
        segment->room = segment->n;
        segment->at = segment->n ? mem_copy(segment->at, segment->n) : NULL;
    }
}

static struct disk_segment *last(struct disk *disk)
{
    return &disk->segment[disk->segment_count - 1];
}

uint64_t disk_end(const struct disk *disk)
{
    const struct disk_segment *segment = &disk->segment[disk->segment_count - 1];

    return segment->base + segment->n;
}

/* --- Records ----------------------------------------------------------------------------- */

static uint8_t *room(struct disk_segment *segment, size_t bytes)
{
    if (segment->n + bytes > segment->room) {
        segment->room = 2 * (segment->n + bytes);
        segment->at = mem_grow(segment->at, segment->room);
    }
    memset(segment->at + segment->n, 0, bytes);
    segment->n += bytes;
    return segment->at + segment->n - bytes;
}

/* RUNS, end to end, are the payload. */
static uint64_t add(
    struct disk *disk, struct record *record, const struct bytes *runs, unsigned run_count)
{
    uint64_t at = disk_end(disk);
    uint8_t *to, *payload;

    for (unsigned i = 0; i < run_count; i++)
        record->payload_bytes += (uint32_t)runs[i].n;
    to = room(last(disk), record_bytes(record));
    payload = to + RECORD_HEADER_BYTES;
    for (unsigned i = 0; i < run_count; i++) {
        if (runs[i].n)
            memcpy(payload, runs[i].at, runs[i].n);
        payload += runs[i].n;
    }
    record->payload_hash =
        hash64(bytes_of(to + RECORD_HEADER_BYTES, record->payload_bytes), disk->seed);
    record_encode(record, to);
    record_stamp(to, at, disk->durable, disk->seed);
    disk->marked = disk->durable;
    return at;
}

uint64_t disk_add_message(struct disk *disk, struct mid mid, struct bytes envelope,
    uint32_t recipient_count, struct bytes states, const struct standing *standing,
    struct bytes content)
{
    uint8_t memory[STANDING_BYTES_MAX];
    struct bytes stands = bytes_of(memory, standing_encode(standing, memory));
    struct bytes runs[] = { envelope, states, stands, content };
    struct record record = {
        .type = RECORD_MESSAGE,
        .flags = (uint8_t)(RECORD_HAS_STANDING | (states.n ? RECORD_HAS_STATES : 0)),
        .mid = mid,
        .envelope_bytes = (uint32_t)envelope.n,
        .content_bytes = content.n,
        .recipient_count = recipient_count,
        .standing_bytes = (uint16_t)stands.n,
    };

    return add(disk, &record, runs, sizeof runs / sizeof *runs);
}

uint64_t disk_add_standing(struct disk *disk, struct mid mid, const struct standing *standing)
{
    uint8_t memory[STANDING_BYTES_MAX];
    struct bytes stands = bytes_of(memory, standing_encode(standing, memory));
    struct record record = {
        .type = RECORD_STANDING,
        .flags = RECORD_HAS_STANDING,
        .mid = mid,
        .standing_bytes = (uint16_t)stands.n,
    };

    return add(disk, &record, &stands, 1);
}

uint64_t disk_add_outcome(struct disk *disk, struct mid mid, const uint32_t *recipients,
    uint32_t count, enum spool_outcome outcome)
{
    uint8_t list[4 * 64];
    struct record record = {
        .type = RECORD_OUTCOME, .mid = mid, .recipient_count = count, .outcome = outcome
    };
    struct bytes run = bytes_of(list, 4 * (size_t)count);

    assert(count <= 64);
    for (uint32_t i = 0; i < count; i++)
        record_put_number(list + 4 * (size_t)i, recipients[i]);
    return add(disk, &record, &run, 1);
}

uint64_t disk_add_settle(struct disk *disk, struct mid mid)
{
    struct record record = { .type = RECORD_SETTLE, .mid = mid };

    return add(disk, &record, NULL, 0);
}

/* --- Flushes and crashes ----------------------------------------------------------------- */

void disk_flushed(struct disk *disk, uint64_t end, bool lies)
{
    disk->durable = end;
    if (!lies)
        disk->kept = end;
}

/* Sectors from FROM on are there or not, each by itself; or all up to some point. */
static void tear(
    struct disk_segment *segment, size_t from, struct prng *prng, bool in_any_order)
{
    bool is_cut = !in_any_order || prng_chance(prng, 50);
    size_t keep = from + prng_below(prng, segment->n - from + 1);

    for (size_t at = from; at < segment->n; at += SECTOR_BYTES) {
        size_t n = segment->n - at < SECTOR_BYTES ? segment->n - at : SECTOR_BYTES;
        if (is_cut ? at >= keep : prng_chance(prng, 50))
            memset(segment->at + at, 0, n);
    }
}

void disk_tear(struct disk *disk, struct prng *prng, bool in_any_order)
{
    struct disk_segment *segment = last(disk);

    if (disk->kept < disk_end(disk) && disk->kept >= segment->base)
        tear(segment, disk->kept - segment->base, prng, in_any_order);
}

/* A place that was flushed, in front of the last mark: so that it is seen as damage. */
bool disk_damage(struct disk *disk, struct prng *prng)
{
    unsigned number = (unsigned)prng_below(prng, disk->segment_count);
    struct disk_segment *segment = &disk->segment[number];
    uint64_t end = segment->base + segment->n;

    if (disk->kept < end)
        end = disk->kept;
    if (number == disk->segment_count - 1 && disk->marked < end)
        end = disk->marked; /* behind it nobody could tell it from a torn write */
    if (end <= segment->base)
        return false;
    segment->at[prng_below(prng, end - segment->base)] ^= 0x55;
    return true;
}

/* --- Opening ----------------------------------------------------------------------------- */

struct opening {
    struct disk *disk;
    const struct spool_visitor *visitor;
};

static void on_message(void *me, const struct spool_found *found)
{
    struct opening *opening = me;
    opening->visitor->on_message(opening->visitor->me, found);
}

static void on_damage(void *me, uint64_t at, const char *why)
{
    struct opening *opening = me;

    opening->disk->damage ^= (at + 1) * 0x9e3779b97f4a7c15;
    if (opening->visitor->on_damage)
        opening->visitor->on_damage(opening->visitor->me, at, why);
}

static void begin_segment(struct disk *disk, struct scan_sum sum)
{
    struct disk_segment *before = last(disk);
    uint64_t end = sum.end > before->base ? sum.end : before->base;
    uint64_t base = (end / SEGMENT_GAP + 1) * SEGMENT_GAP;

    assert(disk->segment_count < DISK_SEGMENTS_MAX);
    before->sure = sum.torn < end ? sum.torn : end;
    before->n = end - before->base;
    disk->segment[disk->segment_count++] =
        (struct disk_segment){ .base = base, .sure = SCAN_SURE_BY_MARKS };
    disk->durable = disk->kept = end;
}

void disk_open(struct disk *disk, const struct spool_visitor *visitor)
{
    struct opening opening = { disk, visitor };
    struct spool_visitor own = {
        .me = &opening, .on_message = on_message, .on_damage = on_damage
    };
    struct scan *scan = scan_new(disk->log, &own);

    disk->damage = 0;
    for (unsigned i = 0; i < disk->segment_count; i++) {
        struct disk_segment *segment = &disk->segment[i];
        if (segment->n)
            scan_bytes(scan, bytes_of(segment->at, segment->n), segment->base, segment->sure);
    }
    begin_segment(disk, scan_sum(scan));
    scan_tell(scan);
    scan_free(scan);
    disk->is_damaged = disk->damage && disk->damage != disk->known_damage;
}

void disk_renew(struct disk *disk, struct prng *prng)
{
    disk->public = store_id_random(prng);
    disk->known_damage = disk->damage;
}
