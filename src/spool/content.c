#include "spool/content.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

enum {
    FIRST_BYTES = 12288 - sizeof(struct spool_content), /* most mail is smaller than that */
    SECOND_BYTES = 65536,
    FURTHER_BYTES = 262144,
    WASTE_BYTES_MAX = 2048, /* less is not worth a realloc */
};

struct meter *meter_new(void)
{
    struct meter *meter = mem_new(sizeof *meter);
    atomic_init(&meter->refs, 1);
    return meter;
}

void meter_let_go(struct meter *meter)
{
    if (atomic_fetch_sub(&meter->refs, 1) == 1)
        free(meter);
}

uint64_t meter_bytes(const struct meter *meter)
{
    return atomic_load_explicit(&meter->bytes, memory_order_relaxed);
}

static void count(struct spool_content *content, size_t bytes)
{
    content->memory_bytes += bytes;
    atomic_fetch_add_explicit(&content->meter->bytes, bytes, memory_order_relaxed);
}

struct spool_content *content_new(struct meter *meter)
{
    /* Not mem_new(): its zeros would cost more than the message. */
    struct spool_content *content = mem_grow(NULL, sizeof *content + FIRST_BYTES);

    *content = (struct spool_content){ .meter = meter, .block_count = 1 };
    atomic_init(&content->refs, 1);
    atomic_fetch_add(&meter->refs, 1);
    content->block[0] = (struct content_block){ content->first, 0, FIRST_BYTES };
    count(content, sizeof *content + FIRST_BYTES);
    return content;
}

static struct content_block *add_block(struct spool_content *content)
{
    uint32_t room = content->block_count == 1 ? SECOND_BYTES : FURTHER_BYTES;
    struct content_block *block = &content->block[content->block_count++];

    assert(content->block_count <= CONTENT_BLOCKS_MAX);
    *block = (struct content_block){ mem_grow(NULL, room), 0, room };
    count(content, room);
    return block;
}

void content_add(struct spool_content *content, struct bytes body)
{
    assert(body.n <= CONTENT_BYTES_MAX - content->bytes);
    while (body.n) {
        struct content_block *block = &content->block[content->block_count - 1];
        size_t n;
        if (block->n == block->room)
            block = add_block(content);
        n = body.n < block->room - block->n ? body.n : block->room - block->n;
        memcpy(block->at + block->n, body.at, n);
        block->n += (uint32_t)n;
        content->bytes += n;
        body = bytes_skip(body, n);
    }
}

struct spool_content *content_fit(struct spool_content *content)
{
    size_t waste = content->block[0].room - content->block[0].n;

    if (content->block_count > 1 || waste < WASTE_BYTES_MAX)
        return content;
    content = mem_grow(content, sizeof *content + content->block[0].n);
    content->block[0].at = content->first;
    content->block[0].room -= (uint32_t)waste;
    content->memory_bytes -= waste;
    atomic_fetch_sub_explicit(&content->meter->bytes, waste, memory_order_relaxed);
    return content;
}

struct spool_content *spool_content_hold(struct spool_content *content)
{
    atomic_fetch_add_explicit(&content->refs, 1, memory_order_relaxed);
    return content;
}

void spool_content_free(struct spool_content *content)
{
    if (!content || atomic_fetch_sub(&content->refs, 1) != 1)
        return;
    for (uint32_t i = 1; i < content->block_count; i++)
        free(content->block[i].at);
    atomic_fetch_sub_explicit(
        &content->meter->bytes, content->memory_bytes, memory_order_relaxed);
    meter_let_go(content->meter);
    free(content);
}

uint64_t spool_content_bytes(const struct spool_content *content)
{
    return content->bytes;
}

struct bytes spool_content_at(const struct spool_content *content, uint64_t at)
{
    for (uint32_t i = 0; i < content->block_count; i++) {
        const struct content_block *block = &content->block[i];
        if (at < block->n)
            return bytes_of(block->at + at, block->n - at);
        at -= block->n;
    }
    return BYTES_NONE;
}
