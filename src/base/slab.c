#include "base/slab.h"

#include "base/mem.h"

#include <assert.h>
#include <sanitizer/asan_interface.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Blocks lie at multiples of this: a thing's address says in which it is.  They are a little
 * shorter, so that with what the allocator keeps of each one they may lie side by side.  Where they
 * do not, it leaves a gap as large as a block, and touches a page at both of its ends: of small
 * blocks that was a twentieth of all memory. */
enum { BLOCK_BYTES = 256 << 10, BLOCK_USED_BYTES = BLOCK_BYTES - 64 };

struct unused {
    struct unused *next;
};

struct block {
    struct list in_slab; /* while it has room */
    struct unused *unused;
    uint32_t taken; /* of those below `reached` */
    uint32_t reached;
    uint64_t things[];
};

void slab_init(struct slab *slab, size_t size)
{
    assert(size >= sizeof(struct unused) && size <= 4096);
    slab->size = (size + 7) & ~(size_t)7;
    list_init(&slab->with_room);
}

static uint32_t room_of(const struct slab *slab)
{
    return (uint32_t)((BLOCK_USED_BYTES - sizeof(struct block)) / slab->size);
}

static struct block *block_new(struct slab *slab)
{
    struct block *block = mem_aligned(BLOCK_BYTES, BLOCK_USED_BYTES);

    block->unused = NULL;
    block->taken = block->reached = 0;
    list_init(&block->in_slab);
    list_add_first(&slab->with_room, &block->in_slab);
    ASAN_POISON_MEMORY_REGION(block->things, room_of(slab) * slab->size);
    return block;
}

static void block_free(struct slab *slab, struct block *block)
{
    list_remove(&block->in_slab);
    ASAN_UNPOISON_MEMORY_REGION(block->things, room_of(slab) * slab->size);
    free(block);
}

void slab_done(struct slab *slab)
{
    list_each (node, &slab->with_room) {
        struct block *block = container_of(node, struct block, in_slab);
        assert(!block->taken);
        block_free(slab, block);
    }
}

void *slab_take(struct slab *slab)
{
    struct list *first = list_first(&slab->with_room);
    struct block *block = first ? container_of(first, struct block, in_slab) : block_new(slab);
    void *at = block->unused;

    if (!at)
        at = (uint8_t *)block->things + block->reached++ * slab->size;
    ASAN_UNPOISON_MEMORY_REGION(at, slab->size);
    if (at == block->unused)
        block->unused = block->unused->next;
    if (++block->taken == room_of(slab))
        list_remove(&block->in_slab);
    return memset(at, 0, slab->size);
}

/* One empty block stays, for the next that is taken. */
static bool is_spare(const struct slab *slab, const struct block *block)
{
    return slab->with_room.next == &block->in_slab && slab->with_room.prev == &block->in_slab;
}

void slab_give(struct slab *slab, void *at)
{
    struct block *block = (struct block *)((uintptr_t)at & ~(uintptr_t)(BLOCK_BYTES - 1));
    struct unused *unused = at;

    assert(block->taken);
    if (block->taken-- == room_of(slab))
        list_add_first(&slab->with_room, &block->in_slab);
    unused->next = block->unused;
    block->unused = unused;
    ASAN_POISON_MEMORY_REGION(at, slab->size);
    if (!block->taken && !is_spare(slab, block))
        block_free(slab, block);
}
