#include "proto/shadow/arena.h"

#include "base/mem.h"

#include <stdalign.h>
#include <stdlib.h>

enum { BLOCK_BYTES = 16384 - 64, ALIGNMENT = 16 };

struct arena_block {
    struct arena_block *next;
    size_t n, room;
    alignas(ALIGNMENT) uint8_t at[];
};

void arena_init(struct arena *arena, size_t bytes_max)
{
    *arena = (struct arena){ .bytes_max = bytes_max };
}

static void free_blocks(struct arena_block *block)
{
    while (block) {
        struct arena_block *next = block->next;

        free(block);
        block = next;
    }
}

void arena_done(struct arena *arena)
{
    free_blocks(arena->blocks);
    arena->blocks = NULL;
    arena->bytes = 0;
}

void arena_clear(struct arena *arena)
{
    struct arena_block *block = arena->blocks;

    arena->bytes = 0;
    if (!block)
        return;
    free_blocks(block->next);
    block->next = NULL;
    block->n = 0;
    if (block->room > BLOCK_BYTES) /* a large one was for a large message */
        arena_done(arena);
}

void *arena_take(struct arena *arena, size_t n)
{
    struct arena_block *block = arena->blocks;
    void *taken;

    if (n > arena->bytes_max - arena->bytes)
        return NULL;
    arena->bytes += n;
    n = (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (!block || n > block->room - block->n) {
        size_t room = n > BLOCK_BYTES ? n : BLOCK_BYTES;

        block = mem_grow(NULL, sizeof *block + room);
        *block = (struct arena_block){ .next = arena->blocks, .room = room };
        arena->blocks = block;
    }
    taken = block->at + block->n;
    block->n += n;
    return taken;
}

bool arena_copy(struct arena *arena, struct bytes bytes, struct bytes *out)
{
    uint8_t *at = arena_take(arena, bytes.n);

    if (!at)
        return false;
    if (bytes.n)
        memcpy(at, bytes.at, bytes.n);
    *out = bytes_of(at, bytes.n);
    return true;
}
