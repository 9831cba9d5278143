/* What the log's records amount to.  The memory it takes is that of the live messages: one that
 * is settled is forgotten as the scan goes on. */
#include "spool/internal.h"

#include "base/hash.h"
#include "base/mem.h"
#include "os/crash.h"

#include <stdio.h>
#include <stdlib.h>

struct live {
    struct list order;
    struct spool_entry entry;
    uint64_t sure;            /* of its segment */
    bool is_broken;           /* a chunk of it lies in a hole */
    struct standing standing; /* with entry.has_standing */
    uint64_t standing_at;
    size_t envelope_n; /* 0: it is feared */
    uint8_t envelope[];
};

struct hole {
    uint64_t from, to, sure;
};

struct scan {
    struct spool_visitor visitor;
    uint64_t seed;
    struct mid_table by_mid;
    struct list live;
    struct hole *holes;
    uint32_t hole_count, hole_room;
    uint64_t durable_max; /* the highest mark in a record */
    uint64_t record_count, end;
    uint64_t sure; /* of the bytes that are being scanned */
};

struct scan *scan_new(struct store_id store, const struct spool_visitor *visitor)
{
    struct scan *scan = mem_new(sizeof *scan);

    scan->visitor = *visitor;
    scan->seed = record_seed(store);
    mid_table_init(&scan->by_mid);
    list_init(&scan->live);
    return scan;
}

static bool has_many(const struct spool_entry *entry)
{
    return entry->recipient_count > sizeof entry->outcome.few;
}

static uint8_t *outcomes_of(struct spool_entry *entry)
{
    return has_many(entry) ? entry->outcome.many : entry->outcome.few;
}

static void forget(struct scan *scan, struct live *live)
{
    mid_table_remove(&scan->by_mid, &live->entry.by_mid);
    list_remove(&live->order);
    if (has_many(&live->entry))
        free(live->entry.outcome.many);
    free(live);
}

void scan_free(struct scan *scan)
{
    struct list *node;

    if (!scan)
        return;
    while ((node = list_first(&scan->live)))
        forget(scan, container_of(node, struct live, order));
    mid_table_done(&scan->by_mid);
    free(scan->holes);
    free(scan);
}

static struct live *find(const struct scan *scan, struct mid mid)
{
    struct mid_node *node = mid_table_find(&scan->by_mid, mid);

    return node ? container_of(node, struct live, entry.by_mid) : NULL;
}

/* --- Records ----------------------------------------------------------------------------- */

static void apply(struct scan *scan, struct mid mid, struct bytes recipients, uint8_t outcome)
{
    struct live *live = find(scan, mid);

    if (!live)
        return; /* settled since, or its record is damaged */
    for (uint32_t i = 0; i < recipients.n / 4; i++) {
        uint32_t recipient = record_number(recipients, i);
        if (recipient < live->entry.recipient_count)
            outcome_set(&outcomes_of(&live->entry)[recipient], outcome);
    }
}

/* What stands in no table of ours was written by a later version.  The message is neither lost
 * nor delivered for that: it is the administrator's. */
static void stand(struct scan *scan, struct live *live, struct bytes bytes, uint64_t at)
{
    struct standing standing;

    if (!standing_decode(bytes, &standing)) {
        scan_tell_damage(scan, at, "a standing that this version does not know");
        standing = (struct standing){ .role = STANDING_ASIDE };
    }
    live->standing = standing;
    live->standing_at = at;
    live->entry.has_standing = true;
    live->entry.is_word = standing.role == STANDING_SETTLED;
}

static bool is_in_hole(const struct scan *scan, struct chunk_place place)
{
    for (uint32_t i = 0; i < scan->hole_count; i++)
        if (place.at < scan->holes[i].to &&
            place.at + RECORD_HEADER_BYTES + place.bytes > scan->holes[i].from)
            return true;
    return false;
}

static void take_places(const struct scan *scan, struct live *live, struct bytes places)
{
    uint32_t count = (uint32_t)(places.n / RECORD_CHUNK_PLACE_BYTES);

    for (uint32_t i = 0; i < count; i++) {
        struct chunk_place place = chunk_place_decode(places, i);
        if (i == 0)
            live->entry.first = place.at;
        if (place.at >= live->entry.at || is_in_hole(scan, place))
            live->is_broken = true;
    }
    if (live->entry.first > live->entry.at) /* only a record that was made up */
        live->entry.first = live->entry.at;
}

/* Outcomes that the record has, and those that an earlier place of the message had: a copy
 * forward may lack what was told between. */
static void take_states(struct live *live, struct bytes states, struct live *before)
{
    uint8_t *outcomes = outcomes_of(&live->entry);
    uint32_t n = live->entry.recipient_count;

    if (states.n)
        memcpy(outcomes, states.at, states.n);
    if (!before || before->entry.recipient_count != n)
        return;
    for (uint32_t i = 0; i < n; i++)
        if (outcomes[i] == SPOOL_PENDING || !spool_is_pending(outcomes_of(&before->entry)[i]))
            outcomes[i] = outcomes_of(&before->entry)[i];
}

static bool is_feared(const struct scan *scan, struct mid mid)
{
    return scan->visitor.is_feared && scan->visitor.is_feared(scan->visitor.me, mid);
}

static void take_message(
    struct scan *scan, const struct record *record, const struct record_parts *parts)
{
    struct live *before = find(scan, record->mid);
    struct bytes envelope = is_feared(scan, record->mid) ? BYTES_NONE : parts->envelope;
    struct live *live = mem_grow(NULL, sizeof *live + envelope.n);

    *live = (struct live){ .entry = {
                               .by_mid.mid = record->mid,
                               .at = record->at,
                               .first = record->at,
                               .record_bytes = (uint32_t)record_bytes(record),
                               .content_bytes = record->content_bytes,
                               .recipient_count = record->recipient_count,
                               .is_in_chunks = record->chunk_count > 0,
                           } };
    if (has_many(&live->entry))
        live->entry.outcome.many = mem_new(record->recipient_count);
    live->envelope_n = envelope.n;
    if (envelope.n)
        memcpy(live->envelope, envelope.at, envelope.n);
    live->sure = scan->sure;
    take_places(scan, live, parts->places);
    take_states(live, parts->states, before);
    if (parts->standing.n)
        stand(scan, live, parts->standing, record->at);
    if (before)
        forget(scan, before);
    list_add_last(&scan->live, &live->order);
    mid_table_add(&scan->by_mid, &live->entry.by_mid);
    if (record->cause_count)
        apply(scan, parts->cause, parts->cause_list, record->outcome);
}

static void take(struct scan *scan, const struct record *record, struct bytes payload)
{
    struct record_parts parts;
    struct live *live;

    scan->record_count++;
    if (record->durable > scan->durable_max && record->durable <= record->at)
        scan->durable_max = record->durable;
    record_split(record, payload, &parts);
    switch (record->type) {
    case RECORD_MESSAGE:
        take_message(scan, record, &parts);
        break;
    case RECORD_CHUNK: /* nothing until a message names it */
        break;
    case RECORD_OUTCOME:
        apply(scan, record->mid, parts.recipients, record->outcome);
        break;
    case RECORD_STANDING:
        live = find(scan, record->mid);
        if (live)
            stand(scan, live, parts.standing, record->at);
        break;
    case RECORD_SETTLE:
        live = find(scan, record->mid);
        if (live)
            forget(scan, live);
        break;
    default:
        scan_tell_damage(
            scan, record->at, "a record of a kind that this version does not know");
    }
}

/* --- Bytes ------------------------------------------------------------------------------- */

void scan_hole(struct scan *scan, uint64_t from, uint64_t to, uint64_t sure)
{
    if (scan->hole_count == scan->hole_room) {
        scan->hole_room = scan->hole_room ? 2 * scan->hole_room : 8;
        scan->holes = mem_grow(scan->holes, scan->hole_room * sizeof *scan->holes);
    }
    scan->holes[scan->hole_count++] = (struct hole){ from, to, sure };
}

enum found { FOUND_NOTHING, FOUND_BROKEN, FOUND_WHOLE };

/* What stands at the first of BYTES. */
static enum found look(
    const struct scan *scan, struct bytes bytes, uint64_t at, struct record *record)
{
    struct bytes payload;

    if (bytes.n < RECORD_HEADER_BYTES || !record_decode(bytes.at, at, scan->seed, record))
        return FOUND_NOTHING;
    if (record_bytes(record) > bytes.n)
        return FOUND_NOTHING;
    payload = bytes_of(bytes.at + RECORD_HEADER_BYTES, record->payload_bytes);
    return hash64(payload, scan->seed) == record->payload_hash ? FOUND_WHOLE : FOUND_BROKEN;
}

void scan_bytes(struct scan *scan, struct bytes bytes, uint64_t at, uint64_t sure)
{
    uint64_t sound = at; /* behind the last whole record */

    scan->sure = sure;
    while (bytes.n >= RECORD_ALIGN) {
        struct record record;
        enum found found = look(scan, bytes, at, &record);
        uint64_t step = found == FOUND_NOTHING ? RECORD_ALIGN : record_bytes(&record);
        if (found == FOUND_WHOLE) {
            if (sound < at)
                scan_hole(scan, sound, at, sure);
            struct crash_work before = crash_begin(record.mid, "recover");
            take(scan, &record, bytes_of(bytes.at + RECORD_HEADER_BYTES, record.payload_bytes));
            crash_end(before);
            sound = scan->end = at + step;
        }
        bytes = bytes_skip(bytes, step);
        at += step;
    }
    at += bytes.n;
    if (sound < at)
        scan_hole(scan, sound, at, sure);
}

/* --- What is told ------------------------------------------------------------------------ */

/* Was what is missing at AT never flushed? */
static bool is_torn(const struct scan *scan, uint64_t at, uint64_t sure)
{
    return at >= (sure == SCAN_SURE_BY_MARKS ? scan->durable_max : sure);
}

struct scan_sum scan_sum(const struct scan *scan)
{
    struct scan_sum sum = { scan->record_count, scan->end, UINT64_MAX };

    for (uint32_t i = 0; i < scan->hole_count && sum.torn == UINT64_MAX; i++) {
        const struct hole *hole = &scan->holes[i];
        if (hole->sure == SCAN_SURE_BY_MARKS && is_torn(scan, hole->from, hole->sure) &&
            hole->from < scan->end)
            sum.torn = hole->from;
    }
    return sum;
}

void scan_tell_damage(struct scan *scan, uint64_t at, const char *why)
{
    if (scan->visitor.on_damage)
        scan->visitor.on_damage(scan->visitor.me, at, why);
}

static void tell_holes(struct scan *scan)
{
    for (uint32_t i = 0; i < scan->hole_count; i++) {
        const struct hole *hole = &scan->holes[i];
        char why[128];
        if (is_torn(scan, hole->from, hole->sure))
            continue;
        snprintf(why, sizeof why, "%llu bytes that were flushed hold no valid record",
            (unsigned long long)(hole->to - hole->from));
        scan_tell_damage(scan, hole->from, why);
    }
}

/* A message with a chunk missing was damaged, or never acknowledged: then nobody is told. */
static void tell_broken(struct scan *scan, const struct live *live)
{
    char text[ID_TEXT_BYTES], why[128];

    if (is_torn(scan, live->entry.at, live->sure))
        return;
    mid_format(live->entry.by_mid.mid, text);
    snprintf(why, sizeof why, "message %s: a part of its content is missing", text);
    scan_tell_damage(scan, live->entry.at, why);
}

void scan_tell(struct scan *scan)
{
    struct list *node;

    tell_holes(scan);
    while ((node = list_first(&scan->live))) {
        struct live *live = container_of(node, struct live, order);
        struct spool_found found = {
            .mid = live->entry.by_mid.mid,
            .envelope = bytes_of(live->envelope, live->envelope_n),
            .entry = live->entry,
            .has_standing = live->entry.has_standing,
            .standing = live->standing,
            .standing_at = live->standing_at,
        };
        if (live->is_broken && !live->entry.is_word) { /* a word needs no content */
            tell_broken(scan, live);
        } else if (scan->visitor.on_message) {
            live->entry.recipient_count = 0; /* the visitor takes outcome.many */
            scan->visitor.on_message(scan->visitor.me, &found);
        }
        forget(scan, live);
    }
}
