#include "base/small.h"

#include "base/mem.h"

#include <stdlib.h>

enum { UNIT = 8 };

void small_init(struct small *small)
{
    for (size_t i = 0; i < SMALL_SIZES; i++)
        slab_init(&small->slabs[i], (i + 1) * UNIT);
}

void small_done(struct small *small)
{
    for (size_t i = 0; i < SMALL_SIZES; i++)
        slab_done(&small->slabs[i]);
}

static struct slab *slab_of(struct small *small, size_t bytes)
{
    size_t units = bytes ? (bytes + UNIT - 1) / UNIT : 1;

    return units <= SMALL_SIZES ? &small->slabs[units - 1] : NULL;
}

void *small_take(struct small *small, size_t bytes)
{
    struct slab *slab = slab_of(small, bytes);

    return slab ? slab_take(slab) : mem_new(bytes);
}

void small_give(struct small *small, void *at, size_t bytes)
{
    struct slab *slab = slab_of(small, bytes);

    if (slab)
        slab_give(slab, at);
    else
        free(at);
}
