/* Inside proto/shadow: memory for what a step, or a transaction, needs until it is over.  What was
 * taken does not move; all of it is given back at once.  One thread. */
#ifndef PROTO_SHADOW_ARENA_H
#define PROTO_SHADOW_ARENA_H

#include "base/bytes.h"

struct arena_block;

struct arena {
    struct arena_block *blocks; /* the newest first; one is kept for the next time */
    size_t bytes, bytes_max;
};

void arena_init(struct arena *arena, size_t bytes_max);
void arena_done(struct arena *arena);

/* N bytes, aligned for anything; NULL over the ceiling. */
void *arena_take(struct arena *arena, size_t n);
/* A copy of BYTES; false over the ceiling. */
bool arena_copy(struct arena *arena, struct bytes bytes, struct bytes *out);
void arena_clear(struct arena *arena);

#endif
