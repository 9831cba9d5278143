/* Which files the log has, where each one's valid bytes end, and their scan. */
#include "spool/internal.h"

#include "base/mem.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { READ_BYTES = 4 << 20 };

/* A file of the log while it is recovered. */
struct part {
    uint64_t base;
    struct file file;
    bool has_head;
    struct segment_head head;
    uint64_t record_count;
};

struct parts {
    struct part *part;
    uint32_t count, room;
    bool has_lost_some; /* taken away while we looked */
};

static enum err say(char why[256], const char *folder, const char *what, enum err err)
{
    snprintf(why, 256, "%s: %s: %s", folder, what, err_text(err));
    return err;
}

/* --- The files --------------------------------------------------------------------------- */

static enum err on_name(const char *name, void *me)
{
    struct parts *parts = me;
    uint64_t base;

    if (!segment_name_parse(name, &base))
        return OK;
    if (parts->count == parts->room) {
        parts->room = parts->room ? 2 * parts->room : 64;
        parts->part = mem_grow(parts->part, parts->room * sizeof *parts->part);
    }
    parts->part[parts->count++] = (struct part){ .base = base, .file = { -1 } };
    return OK;
}

static int by_base(const void *a, const void *b)
{
    uint64_t first = ((const struct part *)a)->base, second = ((const struct part *)b)->base;
    return (first > second) - (first < second);
}

static void read_head(struct part *part, struct store_id store)
{
    uint8_t head[SEGMENT_HEAD_BYTES];

    part->has_head = file_read_at(part->file, head, sizeof head, 0) == OK &&
                     segment_head_decode(head, store, part->base, &part->head);
}

/* Opens those that are there; a running daemon may take one away meanwhile. */
static enum err open_parts(struct parts *parts, const char *folder, unsigned mode,
    struct store_id store, char why[256])
{
    enum err err = folder_each(folder, on_name, parts);
    uint32_t kept = 0;

    if (err)
        return say(why, folder, "reading the folder", err);
    if (parts->count)
        qsort(parts->part, parts->count, sizeof *parts->part, by_base);
    for (uint32_t i = 0; i < parts->count; i++) {
        struct part *part = &parts->part[i];
        char *path = segment_path(folder, part->base);
        err = file_open(path, mode, &part->file);
        if (err && err != ERR_NONE)
            say(why, path, "opening it", err);
        free(path);
        if (err == ERR_NONE) {
            parts->has_lost_some = true;
            continue;
        }
        if (err) {
            parts->count = i;
            return err;
        }
        read_head(part, store);
        parts->part[kept++] = *part;
    }
    parts->count = kept;
    return OK;
}

static void parts_done(struct parts *parts)
{
    for (uint32_t i = 0; i < parts->count; i++)
        file_close(&parts->part[i].file);
    free(parts->part);
}

/* --- Their bytes ------------------------------------------------------------------------- */

/* Bytes that cannot be read are zeros, and so a hole. */
static void read_bytes(struct file file, uint8_t *to, uint64_t from, uint64_t end)
{
    while (from < end) {
        size_t want = end - from < READ_BYTES ? end - from : READ_BYTES, got = 0;
        if (file_read_some(file, to, want, from, &got))
            got = 0;
        memset(to + got, 0, want - got);
        to += want;
        from += want;
    }
}

static const struct segment_head *next_head(const struct parts *parts, uint32_t number)
{
    for (uint32_t i = number + 1; i < parts->count; i++)
        if (parts->part[i].has_head)
            return &parts->part[i].head;
    return NULL;
}

/* Each head says where the log ended before: not behind the file that stands before it. */
static void look_for_gap(
    struct scan *scan, const struct parts *parts, uint32_t number, uint64_t segment_bytes)
{
    const struct part *part = &parts->part[number];
    uint64_t end;

    if (!number || !part->has_head || parts->has_lost_some)
        return;
    end = parts->part[number - 1].base + segment_bytes;
    if (part->head.previous_end > end)
        scan_tell_damage(scan, end, "a segment that the next one follows is missing");
}

static void scan_part(struct scan *scan, const struct parts *parts, uint32_t number,
    uint64_t segment_bytes, uint8_t *memory)
{
    struct part *part = &parts->part[number];
    const struct segment_head *next = next_head(parts, number);
    uint64_t from = part->base + SEGMENT_HEAD_BYTES, end = part->base + segment_bytes;
    uint64_t sure = next ? next->previous_sure : SCAN_SURE_BY_MARKS;
    uint64_t before = scan_sum(scan).record_count;

    if (next && next->previous_end < end)
        end = next->previous_end;
    if (end <= part->base)
        return;          /* void, head and all */
    if (!part->has_head) /* nothing but a torn first write, or damage */
        scan_hole(scan, part->base, from, sure);
    if (from < end) {
        read_bytes(part->file, memory, SEGMENT_HEAD_BYTES, end - part->base);
        scan_bytes(scan, bytes_of(memory, end - from), from, sure);
    }
    part->record_count = scan_sum(scan).record_count - before;
}

static void scan_parts(struct scan *scan, const struct parts *parts,
    const struct spool_visitor *visitor, uint64_t segment_bytes)
{
    uint8_t *memory = mem_grow(NULL, segment_bytes);

    for (uint32_t i = 0; i < parts->count; i++) {
        look_for_gap(scan, parts, i, segment_bytes);
        scan_part(scan, parts, i, segment_bytes, memory);
        if (visitor->on_progress)
            visitor->on_progress(
                visitor->me, (i + 1) * segment_bytes, (uint64_t)parts->count * segment_bytes);
    }
    free(memory);
}

/* --- What comes of it -------------------------------------------------------------------- */

static bool is_used(const struct part *part)
{
    return part->has_head || part->record_count;
}

/* Behind the last file that is used, all are free to be written. */
static uint32_t used_count(const struct parts *parts)
{
    uint32_t count = parts->count;

    while (count && !is_used(&parts->part[count - 1]))
        count--;
    return count;
}

static void sum_up(struct recovered *out, struct parts *parts)
{
    uint32_t used = used_count(parts);
    struct scan_sum sum = scan_sum(out->scan);

    out->segments = mem_new((used + 1) * sizeof *out->segments);
    out->unused = mem_new((parts->count - used + 1) * sizeof *out->unused);
    for (uint32_t i = 0; i < parts->count; i++) {
        struct part *part = &parts->part[i];
        if (i < used) {
            out->segments[out->segment_count++] = segment_new(part->file, part->base);
            part->file.fd = -1;
        } else {
            out->unused[out->unused_count++] = part->base;
        }
        out->base_next = part->base + out->store.segment_bytes;
    }
    out->valid_end = sum.end;
    if (used && out->valid_end < parts->part[used - 1].base + SEGMENT_HEAD_BYTES)
        out->valid_end = parts->part[used - 1].base + SEGMENT_HEAD_BYTES;
    out->sure = sum.torn < out->valid_end ? sum.torn : out->valid_end;
}

enum err recover(const char *folder, unsigned mode, const struct spool_visitor *visitor,
    struct recovered *out, char why[256])
{
    struct parts parts = { .part = NULL };
    enum err err;

    *out = (struct recovered){ .scan = NULL };
    err = store_read(folder, &out->store, why);
    if (!err)
        err = open_parts(&parts, folder, mode, out->store.id, why);
    if (!err) {
        out->scan = scan_new(out->store.id, visitor);
        scan_parts(out->scan, &parts, visitor, out->store.segment_bytes);
        sum_up(out, &parts);
    }
    parts_done(&parts);
    return err;
}

void recovered_done(struct recovered *recovered)
{
    for (uint32_t i = 0; recovered->segments && i < recovered->segment_count; i++)
        segment_free(recovered->segments[i]);
    free(recovered->segments);
    free(recovered->unused);
    scan_free(recovered->scan);
    *recovered = (struct recovered){ .scan = NULL };
}

enum err spool_scan(const char *folder, const struct spool_visitor *visitor, char why[256])
{
    struct recovered recovered;
    enum err err = recover(folder, FILE_READ, visitor, &recovered, why);

    if (!err)
        scan_tell(recovered.scan);
    recovered_done(&recovered);
    return err;
}
