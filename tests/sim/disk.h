/* A disk that holds a spool's log, as bytes of the real format: what is written, what is
 * flushed, and what was only said to be flushed.  Read back at a start by the spool's own
 * scanner.  Positions are those of the log. */
#ifndef SIM_DISK_H
#define SIM_DISK_H

#include "prng.h"

#include "node/ledger.h"
#include "spool/record.h"
#include "spool/spool.h"

enum { DISK_SEGMENTS_MAX = 256, DISK_STORES_MAX = 512 };

/* Bytes between two starts of the node. */
struct disk_segment {
    uint64_t base;
    uint64_t sure; /* below it a hole is damage; SCAN_SURE_BY_MARKS while it is the last */
    uint8_t *at;
    size_t n, room;
};

/* The stores file: replaced as a whole. */
struct disk_stores {
    struct ledger_store list[DISK_STORES_MAX];
    uint32_t count;
};

struct disk {
    struct store_id log;    /* of the records */
    uint64_t seed;          /* theirs */
    struct store_id public; /* what other nodes know it as */
    struct disk_segment segment[DISK_SEGMENTS_MAX];
    unsigned segment_count;
    uint64_t durable;          /* all below is said to be flushed */
    uint64_t marked;           /* all below stands in some record as flushed */
    uint64_t kept;             /* all below it will be there after a crash */
    struct disk_stores stores; /* durable */
    bool is_full;
    /* What the last opening found damaged, as one number; what the store was renewed for. */
    uint64_t damage, known_damage;
    bool is_damaged; /* since then */
};

void disk_new(struct disk *disk, struct prng *prng);
void disk_done(struct disk *disk);
void disk_copy(struct disk *to, const struct disk *from);

uint64_t disk_end(const struct disk *disk); /* behind the last byte written */

/* Each appends one record and returns its position. */
uint64_t disk_add_message(struct disk *disk, struct mid mid, struct bytes envelope,
    uint32_t recipient_count, struct bytes states, const struct standing *standing,
    struct bytes content);
uint64_t disk_add_outcome(struct disk *disk, struct mid mid, const uint32_t *recipients,
    uint32_t count, enum spool_outcome outcome);
uint64_t disk_add_standing(struct disk *disk, struct mid mid, const struct standing *standing);
uint64_t disk_add_settle(struct disk *disk, struct mid mid);

/* All below END is flushed, or LIES: said to be. */
void disk_flushed(struct disk *disk, uint64_t end, bool lies);

/* A crash: of what was not flushed some first part is there; IN_ANY_ORDER: any part. */
void disk_tear(struct disk *disk, struct prng *prng, bool in_any_order);
/* Some byte of a live record, chosen by chance, is another one. */
bool disk_damage(struct disk *disk, struct prng *prng);

/* Opens it: tells VISITOR, and begins a new segment.  Sets is_damaged. */
void disk_open(struct disk *disk, const struct spool_visitor *visitor);
void disk_renew(struct disk *disk, struct prng *prng);
struct store_id store_id_random(struct prng *prng);

#endif
