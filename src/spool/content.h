/* The blocks of a message's content.  Written by one thread until it is committed, then read
 * by any.  docs: spool/spool.h. */
#ifndef SPOOL_CONTENT_H
#define SPOOL_CONTENT_H

#include "spool/spool.h"

#include <sys/uio.h>

/* How much memory all contents of a spool take; lives as long as the last of them. */
struct meter {
    atomic_uint refs;
    atomic_uint_fast64_t bytes;
};

struct meter *meter_new(void);
void meter_let_go(struct meter *meter);
uint64_t meter_bytes(const struct meter *meter);

enum { CONTENT_BYTES_MAX = 1 << 20, CONTENT_BLOCKS_MAX = 8 };

struct content_block {
    uint8_t *at;
    uint32_t n, room;
};

struct spool_content {
    atomic_uint refs;
    uint32_t block_count;
    struct meter *meter;
    uint64_t bytes;
    size_t memory_bytes;
    struct content_block block[CONTENT_BLOCKS_MAX];
    uint8_t first[]; /* the first block's room: a small message is one allocation */
};

struct spool_content *content_new(struct meter *meter);

/* A copy of BODY; content->bytes + body.n is at most CONTENT_BYTES_MAX. */
void content_add(struct spool_content *content, struct bytes body);

/* Gives back what a small content left of its first block; the content may move. */
struct spool_content *content_fit(struct spool_content *content);

#endif
