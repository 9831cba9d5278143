/* Records of the log as bytes: pure, any thread.  docs/formats/spool.md draws them. */
#ifndef SPOOL_RECORD_H
#define SPOOL_RECORD_H

#include "base/bytes.h"
#include "base/id.h"

enum record_type {
    RECORD_MESSAGE = 1, /* a message exists from here on */
    RECORD_CHUNK =
        2, /* a part of a large message's content; nothing until a MESSAGE names it */
    RECORD_OUTCOME = 3,        /* what became of some recipients */
    RECORD_SETTLE = 4,         /* a message is over */
    RECORD_STANDING = 5,       /* who delivers a message, and who has it */
    RECORD_TYPE_KNOWN_MAX = 5, /* 6 to 31 are kept for claims and leases */
};

enum {
    RECORD_HEADER_BYTES = 88,
    RECORD_ALIGN = 8,
    RECORD_HAS_STATES = 1,   /* flag: an outcome for each recipient stands in the payload */
    RECORD_HAS_STANDING = 2, /* flag: so does a standing (standing.h) */
    RECORD_CHUNK_PLACE_BYTES = 16,
    RECORD_RECIPIENTS_MAX = 1 << 20,
};

/* A header, decoded. */
struct record {
    uint8_t type;    /* enum record_type */
    uint8_t flags;   /* RECORD_HAS_STATES, RECORD_HAS_STANDING */
    uint8_t outcome; /* of OUTCOME, and of a MESSAGE's cause: enum spool_outcome */
    uint64_t at;     /* its own position: what lies here from another use is not taken for it */
    uint64_t durable; /* all below this position was flushed when the record was written */
    uint32_t payload_bytes;
    uint32_t envelope_bytes;
    struct mid mid;
    uint64_t content_bytes; /* of the whole message; in a CHUNK: where its bytes start in it */
    uint32_t recipient_count; /* in OUTCOME: how many it names */
    uint32_t chunk_count;     /* 0: the content stands in the record */
    uint32_t cause_count;     /* recipients of another message whose outcome this makes true */
    uint16_t standing_bytes;  /* with RECORD_HAS_STANDING; otherwise 0 */
    uint64_t payload_hash;
};

/* Header, payload and what fills up to the next multiple of RECORD_ALIGN. */
uint64_t record_bytes(const struct record *record);

/* AT, DURABLE and the checksum are left for record_stamp(): they are known last. */
void record_encode(const struct record *record, uint8_t out[RECORD_HEADER_BYTES]);
void record_stamp(
    uint8_t header[RECORD_HEADER_BYTES], uint64_t at, uint64_t durable, uint64_t seed);

void record_set_payload_hash(uint8_t header[RECORD_HEADER_BYTES], uint64_t hash);

/* False: no header of this log stands here.  Its payload's lengths agree when it is true. */
bool record_decode(
    const uint8_t header[RECORD_HEADER_BYTES], uint64_t at, uint64_t seed, struct record *out);

/* The parts of a payload, in their order. */
struct record_parts {
    struct bytes envelope;
    struct bytes states;     /* an outcome a recipient, or empty */
    struct bytes standing;   /* encoded, or empty; all of a STANDING's payload */
    struct mid cause;        /* when cause_count is not 0 */
    struct bytes cause_list; /* 4 bytes a recipient */
    struct bytes places;     /* RECORD_CHUNK_PLACE_BYTES a chunk */
    struct bytes content;
    struct bytes recipients; /* of OUTCOME: 4 bytes each */
};

/* PAYLOAD has record->payload_bytes. */
void record_split(const struct record *record, struct bytes payload, struct record_parts *out);

struct chunk_place {
    uint64_t at;
    uint32_t bytes; /* of content */
};

void chunk_place_encode(struct chunk_place place, uint8_t out[RECORD_CHUNK_PLACE_BYTES]);
struct chunk_place chunk_place_decode(struct bytes places, uint32_t number);

/* The NUMBER-th of a list of 4-byte numbers. */
uint32_t record_number(struct bytes list, uint32_t number);
void record_put_number(uint8_t *at, uint32_t value);

/* --- Heads of segments, and the store file ----------------------------------------------- */

enum {
    SEGMENT_HEAD_BYTES = 4096,
    SEGMENT_VERSION = 1,
    STORE_VERSION = 2, /* 1: no standings in the log, and no second id */
    STORE_VERSION_OLDEST = 1,
    STORE_BYTES = 64,
};

struct segment_head {
    struct store_id store;
    uint64_t base; /* the position of the file's first byte */
    uint64_t sequence;
    uint64_t segment_bytes;
    /* Nothing from PREVIOUS_END to BASE is valid, whatever stands there. */
    uint64_t previous_end;
    /* All below it was flushed, or found whole; a hole between it and PREVIOUS_END is a torn
     * write that was seen at an opening, and no damage. */
    uint64_t previous_sure;
};

void segment_head_encode(const struct segment_head *head, uint8_t out[SEGMENT_HEAD_BYTES]);
bool segment_head_decode(const uint8_t in[SEGMENT_HEAD_BYTES], struct store_id store,
    uint64_t base, struct segment_head *out);

struct store_head {
    uint32_t version;
    struct store_id id; /* what the log's checksums start from; given once */
    uint64_t segment_bytes;
    struct store_id told;  /* the store's name among nodes; zero: ID */
    uint32_t known_damage; /* a digest of what had been set aside when TOLD was given */
};

struct store_id store_told(const struct store_head *head);
void store_head_encode(const struct store_head *head, uint8_t out[STORE_BYTES]);
bool store_head_decode(struct bytes bytes, struct store_head *out);

/* What the checksums of a store's records start from. */
uint64_t record_seed(struct store_id store);

#endif
