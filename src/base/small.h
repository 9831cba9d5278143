/* Many short runs of bytes, packed: each takes its length, up to the next multiple of 8.  One
 * thread. */
#ifndef BASE_SMALL_H
#define BASE_SMALL_H

#include "base/slab.h"

enum { SMALL_SIZES = 32 }; /* what is longer than 8 times that is the allocator's */

struct small {
    struct slab slabs[SMALL_SIZES];
};

void small_init(struct small *small);
void small_done(struct small *small); /* all were given back */

void *small_take(struct small *small, size_t bytes); /* zeroed, aligned to 8; never NULL */
void small_give(struct small *small, void *at, size_t bytes); /* BYTES: as it was taken */

#endif
