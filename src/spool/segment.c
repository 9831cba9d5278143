#include "spool/internal.h"

#include "base/mem.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct segment *segment_new(struct file file, uint64_t base)
{
    struct segment *segment = mem_new(sizeof *segment);

    segment->file = file;
    segment->base = base;
    atomic_init(&segment->live, 0);
    list_init(&segment->entries);
    return segment;
}

void segment_free(struct segment *segment)
{
    if (!segment)
        return;
    file_close(&segment->file);
    free(segment);
}

void segment_name(uint64_t base, char out[SEGMENT_NAME_BYTES])
{
    snprintf(out, SEGMENT_NAME_BYTES, "%016" PRIx64 ".seg", base);
}

bool segment_name_parse(const char *name, uint64_t *base)
{
    char again[SEGMENT_NAME_BYTES];
    char *end;
    uint64_t value;

    if (strlen(name) != SEGMENT_NAME_BYTES - 1)
        return false;
    value = strtoull(name, &end, 16);
    segment_name(value, again);
    if (strcmp(name, again) != 0)
        return false;
    *base = value;
    return true;
}

char *path_of(const char *folder, const char *name)
{
    size_t n = strlen(folder) + strlen(name) + 2;
    char *path = mem_new(n);

    snprintf(path, n, "%s/%s", folder, name);
    return path;
}

char *segment_path(const char *folder, uint64_t base)
{
    char name[SEGMENT_NAME_BYTES];

    segment_name(base, name);
    return path_of(folder, name);
}

/* --- The spool's segments ---------------------------------------------------------------- */

/* The last one that does not begin behind POSITION. */
static struct segment *locked_find(struct spool *spool, uint64_t position)
{
    uint32_t low = 0, high = spool->segment_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (spool->segments[middle]->base <= position)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? spool->segments[low - 1] : NULL;
}

struct segment *spool_segment(struct spool *spool, uint64_t position)
{
    struct segment *segment;

    pthread_mutex_lock(&spool->lock);
    segment = locked_find(spool, position);
    pthread_mutex_unlock(&spool->lock);
    assert(segment && position < segment->base + spool->settings.segment_bytes);
    return segment;
}

void spool_pin(struct spool *spool, uint64_t position)
{
    atomic_fetch_add(&spool_segment(spool, position)->live, 1);
}

void spool_unpin(struct spool *spool, uint64_t position)
{
    struct segment *segment;
    uint64_t live;

    pthread_mutex_lock(&spool->lock);
    segment = locked_find(spool, position);
    assert(segment);
    live = atomic_fetch_sub(&segment->live, 1);
    assert(live);
    if (live == 1 && segment == spool->segments[0] && spool->segment_count > 1)
        locked_keeper_look(spool);
    pthread_mutex_unlock(&spool->lock);
}

void spool_add_segment(struct spool *spool, struct segment *segment)
{
    pthread_mutex_lock(&spool->lock);
    if (spool->segment_count == spool->segment_room) {
        spool->segment_room = spool->segment_room ? 2 * spool->segment_room : 16;
        spool->segments =
            mem_grow(spool->segments, spool->segment_room * sizeof *spool->segments);
    }
    spool->segments[spool->segment_count++] = segment;
    pthread_mutex_unlock(&spool->lock);
}
