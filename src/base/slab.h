/* Many small things of one size, packed: nothing is spent on each of them, and a block that holds
 * none any more goes back.  One thread. */
#ifndef BASE_SLAB_H
#define BASE_SLAB_H

#include "base/list.h"

struct slab {
    size_t size;
    struct list with_room; /* blocks */
};

/* SIZE: of each, in bytes; 4096 at most. */
void slab_init(struct slab *slab, size_t size);
/* All were given back. */
void slab_done(struct slab *slab);

void *slab_take(struct slab *slab); /* zeroed, aligned to 8; never NULL */
void slab_give(struct slab *slab, void *at);

#endif
