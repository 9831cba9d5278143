#include "spool/record.h"

#include "base/hash.h"

#include <assert.h>
#include <endian.h>

/* Where each field stands in a record's header; all numbers are little-endian. */
enum {
    AT_MAGIC = 0,
    AT_TYPE = 4,
    AT_FLAGS = 5,
    AT_OUTCOME = 6,
    AT_POSITION = 8,
    AT_DURABLE = 16,
    AT_PAYLOAD = 24,
    AT_ENVELOPE = 28,
    AT_MID = 32,
    AT_CONTENT = 48,
    AT_RECIPIENTS = 56,
    AT_CHUNKS = 60,
    AT_CAUSE = 64,
    AT_STANDING = 68,
    AT_PAYLOAD_HASH = 72,
    AT_CHECKSUM = 80,
};

static const uint32_t record_magic = 0x31524c52; /* "RLR1" */
static const uint8_t segment_magic[8] = "RLSEGMT";
static const uint8_t store_magic[8] = "RLSTORE";

static void put16(uint8_t *at, uint16_t value)
{
    value = htole16(value);
    memcpy(at, &value, sizeof value);
}

static void put32(uint8_t *at, uint32_t value)
{
    value = htole32(value);
    memcpy(at, &value, sizeof value);
}

static void put64(uint8_t *at, uint64_t value)
{
    value = htole64(value);
    memcpy(at, &value, sizeof value);
}

static uint16_t get16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return le16toh(value);
}

static uint32_t get32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return le32toh(value);
}

static uint64_t get64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return le64toh(value);
}

uint64_t record_seed(struct store_id store)
{
    return hash64(bytes_of(store.byte, sizeof store.byte), 0);
}

uint64_t record_bytes(const struct record *record)
{
    uint64_t bytes = RECORD_HEADER_BYTES + (uint64_t)record->payload_bytes;
    return (bytes + RECORD_ALIGN - 1) & ~(uint64_t)(RECORD_ALIGN - 1);
}

void record_encode(const struct record *record, uint8_t out[RECORD_HEADER_BYTES])
{
    memset(out, 0, RECORD_HEADER_BYTES);
    put32(out + AT_MAGIC, record_magic);
    out[AT_TYPE] = record->type;
    out[AT_FLAGS] = record->flags;
    out[AT_OUTCOME] = record->outcome;
    put32(out + AT_PAYLOAD, record->payload_bytes);
    put32(out + AT_ENVELOPE, record->envelope_bytes);
    memcpy(out + AT_MID, record->mid.byte, sizeof record->mid.byte);
    put64(out + AT_CONTENT, record->content_bytes);
    put32(out + AT_RECIPIENTS, record->recipient_count);
    put32(out + AT_CHUNKS, record->chunk_count);
    put32(out + AT_CAUSE, record->cause_count);
    put16(out + AT_STANDING, record->standing_bytes);
    put64(out + AT_PAYLOAD_HASH, record->payload_hash);
}

void record_stamp(
    uint8_t header[RECORD_HEADER_BYTES], uint64_t at, uint64_t durable, uint64_t seed)
{
    put64(header + AT_POSITION, at);
    put64(header + AT_DURABLE, durable);
    put64(header + AT_CHECKSUM, hash64(bytes_of(header, AT_CHECKSUM), seed));
}

void record_set_payload_hash(uint8_t header[RECORD_HEADER_BYTES], uint64_t hash)
{
    put64(header + AT_PAYLOAD_HASH, hash);
}

/* What stands in the payload in front of the content or the chunks' places. */
static uint64_t front_bytes(const struct record *record)
{
    uint64_t bytes = record->envelope_bytes;

    if (record->flags & RECORD_HAS_STATES)
        bytes += record->recipient_count;
    bytes += record->standing_bytes;
    if (record->cause_count)
        bytes += sizeof(struct mid) + 4 * (uint64_t)record->cause_count;
    return bytes;
}

static bool lengths_agree(const struct record *record)
{
    uint64_t bytes;

    if (record->recipient_count > RECORD_RECIPIENTS_MAX)
        return false;
    switch (record->type) {
    case RECORD_MESSAGE:
        if (!(record->flags & RECORD_HAS_STANDING) != !record->standing_bytes)
            return false;
        bytes = front_bytes(record);
        if (record->chunk_count)
            bytes += (uint64_t)record->chunk_count * RECORD_CHUNK_PLACE_BYTES;
        else if (record->content_bytes <= UINT32_MAX)
            bytes += record->content_bytes;
        else
            return false;
        return bytes == record->payload_bytes;
    case RECORD_OUTCOME:
        return record->payload_bytes == 4 * (uint64_t)record->recipient_count;
    case RECORD_SETTLE:
        return record->payload_bytes == 0;
    default:
        return true;
    }
}

bool record_decode(
    const uint8_t header[RECORD_HEADER_BYTES], uint64_t at, uint64_t seed, struct record *out)
{
    struct record record;

    if (get32(header + AT_MAGIC) != record_magic || get64(header + AT_POSITION) != at)
        return false;
    if (get64(header + AT_CHECKSUM) != hash64(bytes_of(header, AT_CHECKSUM), seed))
        return false;
    record = (struct record){
        .type = header[AT_TYPE],
        .flags = header[AT_FLAGS],
        .outcome = header[AT_OUTCOME],
        .at = at,
        .durable = get64(header + AT_DURABLE),
        .payload_bytes = get32(header + AT_PAYLOAD),
        .envelope_bytes = get32(header + AT_ENVELOPE),
        .content_bytes = get64(header + AT_CONTENT),
        .recipient_count = get32(header + AT_RECIPIENTS),
        .chunk_count = get32(header + AT_CHUNKS),
        .cause_count = get32(header + AT_CAUSE),
        .standing_bytes = get16(header + AT_STANDING),
        .payload_hash = get64(header + AT_PAYLOAD_HASH),
    };
    memcpy(record.mid.byte, header + AT_MID, sizeof record.mid.byte);
    if (!lengths_agree(&record))
        return false;
    *out = record;
    return true;
}

static struct bytes cut(struct bytes *rest, uint64_t n)
{
    struct bytes part = bytes_first(*rest, n);

    assert(n <= rest->n); /* record_decode() has compared the lengths */
    *rest = bytes_skip(*rest, n);
    return part;
}

void record_split(const struct record *record, struct bytes payload, struct record_parts *out)
{
    struct bytes rest = payload;

    assert(payload.n == record->payload_bytes);
    *out = (struct record_parts){ .content = BYTES_NONE };
    if (record->type == RECORD_OUTCOME) {
        out->recipients = payload;
        return;
    }
    if (record->type == RECORD_STANDING) {
        out->standing = payload;
        return;
    }
    if (record->type != RECORD_MESSAGE) {
        out->content = payload;
        return;
    }
    out->envelope = cut(&rest, record->envelope_bytes);
    if (record->flags & RECORD_HAS_STATES)
        out->states = cut(&rest, record->recipient_count);
    out->standing = cut(&rest, record->standing_bytes);
    if (record->cause_count) {
        struct bytes mid = cut(&rest, sizeof out->cause.byte);
        memcpy(out->cause.byte, mid.at, mid.n);
        out->cause_list = cut(&rest, 4 * (uint64_t)record->cause_count);
    }
    if (record->chunk_count)
        out->places = rest;
    else
        out->content = rest;
}

void chunk_place_encode(struct chunk_place place, uint8_t out[RECORD_CHUNK_PLACE_BYTES])
{
    put64(out, place.at);
    put32(out + 8, place.bytes);
    put32(out + 12, 0);
}

struct chunk_place chunk_place_decode(struct bytes places, uint32_t number)
{
    const uint8_t *at = places.at + (size_t)number * RECORD_CHUNK_PLACE_BYTES;

    assert(((size_t)number + 1) * RECORD_CHUNK_PLACE_BYTES <= places.n);
    return (struct chunk_place){ get64(at), get32(at + 8) };
}

uint32_t record_number(struct bytes list, uint32_t number)
{
    assert(((size_t)number + 1) * 4 <= list.n);
    return get32(list.at + (size_t)number * 4);
}

void record_put_number(uint8_t *at, uint32_t value)
{
    put32(at, value);
}

/* --- Heads of segments, and the store file ----------------------------------------------- */

enum {
    SEGMENT_AT_CHECKSUM = 80,
    STORE_AT_DAMAGE = 12,
    STORE_AT_TOLD = 40,
    STORE_AT_CHECKSUM = 56
};

void segment_head_encode(const struct segment_head *head, uint8_t out[SEGMENT_HEAD_BYTES])
{
    memset(out, 0, SEGMENT_HEAD_BYTES);
    memcpy(out, segment_magic, sizeof segment_magic);
    put32(out + 8, SEGMENT_VERSION);
    put32(out + 12, SEGMENT_HEAD_BYTES);
    memcpy(out + 16, head->store.byte, sizeof head->store.byte);
    put64(out + 32, head->base);
    put64(out + 40, head->sequence);
    put64(out + 48, head->segment_bytes);
    put64(out + 56, head->previous_end);
    put64(out + 64, head->previous_sure);
    put64(out + SEGMENT_AT_CHECKSUM,
        hash64(bytes_of(out, SEGMENT_AT_CHECKSUM), record_seed(head->store)));
}

bool segment_head_decode(const uint8_t in[SEGMENT_HEAD_BYTES], struct store_id store,
    uint64_t base, struct segment_head *out)
{
    struct segment_head head;

    if (memcmp(in, segment_magic, sizeof segment_magic) != 0 ||
        get32(in + 8) != SEGMENT_VERSION)
        return false;
    if (memcmp(in + 16, store.byte, sizeof store.byte) != 0 || get64(in + 32) != base)
        return false;
    if (get64(in + SEGMENT_AT_CHECKSUM) !=
        hash64(bytes_of(in, SEGMENT_AT_CHECKSUM), record_seed(store)))
        return false;
    head = (struct segment_head){
        .store = store,
        .base = base,
        .sequence = get64(in + 40),
        .segment_bytes = get64(in + 48),
        .previous_end = get64(in + 56),
        .previous_sure = get64(in + 64),
    };
    if (head.previous_sure > head.previous_end || head.previous_end > base)
        return false;
    *out = head;
    return true;
}

struct store_id store_told(const struct store_head *head)
{
    static const struct store_id none;

    return memcmp(head->told.byte, none.byte, sizeof none.byte) == 0 ? head->id : head->told;
}

void store_head_encode(const struct store_head *head, uint8_t out[STORE_BYTES])
{
    memset(out, 0, STORE_BYTES);
    memcpy(out, store_magic, sizeof store_magic);
    put32(out + 8, head->version);
    put32(out + STORE_AT_DAMAGE, head->known_damage);
    memcpy(out + 16, head->id.byte, sizeof head->id.byte);
    put64(out + 32, head->segment_bytes);
    memcpy(out + STORE_AT_TOLD, head->told.byte, sizeof head->told.byte);
    put64(out + STORE_AT_CHECKSUM, hash64(bytes_of(out, STORE_AT_CHECKSUM), 0));
}

bool store_head_decode(struct bytes bytes, struct store_head *out)
{
    if (bytes.n != STORE_BYTES || memcmp(bytes.at, store_magic, sizeof store_magic) != 0)
        return false;
    if (get64(bytes.at + STORE_AT_CHECKSUM) != hash64(bytes_first(bytes, STORE_AT_CHECKSUM), 0))
        return false;
    out->version = get32(bytes.at + 8);
    out->known_damage = get32(bytes.at + STORE_AT_DAMAGE);
    memcpy(out->id.byte, bytes.at + 16, sizeof out->id.byte);
    out->segment_bytes = get64(bytes.at + 32);
    memcpy(out->told.byte, bytes.at + STORE_AT_TOLD, sizeof out->told.byte);
    return true;
}
