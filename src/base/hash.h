/* XXH3 by libxxhash: checksums of records and names derived from content.  Not a defence
 * against someone who wants a collision.  Any thread. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/bytes.h"
#include "base/id.h"

uint64_t hash64(struct bytes bytes, uint64_t seed);

/* The hash of several runs is the hash of the bytes put end to end. */
uint64_t hash64_runs(const struct bytes *runs, size_t run_count, uint64_t seed);

/* 128 bits: a message id derived from others (a DSN's, a part's). */
struct mid hash_mid(struct bytes bytes);

#endif
