/* Who is to deliver a message, and who else has it: what rides on its records in the log, and is
 * written again whenever it changes.  Plain values; any thread.  The words and rules are those
 * of docs/formats/shadow.md. */
#ifndef SPOOL_STANDING_H
#define SPOOL_STANDING_H

#include "base/bytes.h"
#include "base/id.h"

enum standing_role {
    STANDING_PRIMARY = 0, /* this node delivers it */
    STANDING_HELD,        /* a copy: its primary's store is OWNER */
    STANDING_UNCLAIMED, /* a copy whose primary does not know it: kept a while, then dropped */
    STANDING_SETTLED,   /* no recipient is pending; a word about it is still owed */
    STANDING_ASIDE,     /* set aside for the administrator (R14, R20) */
    STANDING_ROLE_COUNT
};

/* Why one copy was enough (R1). */
enum standing_single {
    SINGLE_NOT = 0, /* there is, or is to be, a second one */
    SINGLE_NO_NODE, /* no other node could be asked */
    SINGLE_FAILED,  /* those asked did not take it in time */
    SINGLE_ALONE,   /* this node is configured alone, or redundancy is switched off */
    SINGLE_LOST,    /* the holder is gone (its store, its node, or silent for too long) */
    SINGLE_COUNT
};

enum {
    STANDING_HOLDERS_MAX = 8,
    STANDING_EARLIER_MAX = 3,
    STANDING_BYTES_MAX = 8 + 32 + 16 * (STANDING_HOLDERS_MAX + STANDING_EARLIER_MAX),
};

struct standing {
    uint8_t role;          /* enum standing_role */
    uint8_t single;        /* enum standing_single */
    uint16_t generation;   /* 0, plus one per take-over */
    struct store_id owner; /* PRIMARY, SETTLED: this node's store at that time; HELD and
                            * UNCLAIMED: the primary's */
    struct store_id from;  /* the store it was taken over from; zero: from none */
    uint8_t earlier_count;
    struct store_id
        earlier[STANDING_EARLIER_MAX]; /* taken over from these before, which have not
                                                    * heard of it yet */
    uint8_t holder_count;
    struct store_id holders[STANDING_HOLDERS_MAX]; /* possible holders: every store a copy was
                                                    * ever sent to, answered or not */
};

/* Writes STANDING_BYTES_MAX bytes at most; returns how many. */
size_t standing_encode(const struct standing *standing, uint8_t out[STANDING_BYTES_MAX]);
/* False: these bytes are none. */
bool standing_decode(struct bytes bytes, struct standing *out);

#endif
