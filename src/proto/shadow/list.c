/* Recipients by number: "1-40,42", ascending. */
#include "proto/shadow/words.h"

#include <assert.h>
#include <stdio.h>

/* A run as it stands, numbers from 1: 1 <= *first < *last, or both the same and one number. */
static bool read_run(struct bytes text, uint64_t max, uint64_t *first, uint64_t *last)
{
    size_t dash = bytes_find(text, '-');

    if (!bytes_to_number(bytes_first(text, dash), max, first) || *first == 0)
        return false;
    *last = *first;
    if (dash == BYTES_NOT_FOUND)
        return true;
    return bytes_to_number(bytes_skip(text, dash + 1), max, last) && *first < *last;
}

/* Cuts the next run off *REST; a comma at the end leaves an empty run behind, which is none. */
static struct bytes take_run(struct bytes *rest, bool *is_last)
{
    struct bytes run = bytes_first(*rest, bytes_find(*rest, ','));

    *is_last = run.n == rest->n;
    *rest = bytes_skip(*rest, *is_last ? run.n : run.n + 1);
    return run;
}

bool shadow_list_check(struct bytes text, uint32_t count)
{
    uint64_t first, last, before = 0;
    bool is_last = text.n == 0;

    if (text.n > SHADOW_LIST_BYTES_MAX)
        return false;
    while (!is_last) {
        if (!read_run(take_run(&text, &is_last), count, &first, &last) || first <= before)
            return false;
        before = last;
    }
    return true;
}

bool shadow_list_next(struct shadow_list_cursor *cursor, uint32_t *first, uint32_t *last)
{
    uint64_t from, to;
    bool is_last, is_good;

    if (cursor->rest.n == 0)
        return false;
    is_good = read_run(take_run(&cursor->rest, &is_last), UINT32_MAX, &from, &to);
    assert(is_good);
    *first = (uint32_t)(from - 1);
    *last = (uint32_t)(to - 1);
    return true;
}

enum err shadow_list_add(struct buf *out, uint32_t count,
    bool (*is_in)(const void *me, uint32_t recipient), const void *me)
{
    char text[32];
    size_t start = out->n;

    for (uint32_t first = 0; first < count; first++) {
        uint32_t end = first;
        int n;

        while (end < count && is_in(me, end))
            end++;
        if (end == first)
            continue;
        n = snprintf(text, sizeof text, end - first > 1 ? "%s%u-%u" : "%s%u",
            out->n > start ? "," : "", first + 1, end);
        if (out->n - start + (size_t)n > SHADOW_LIST_BYTES_MAX ||
            buf_add(out, bytes_of(text, (size_t)n)) != OK)
            return ERR_LIMIT;
        first = end;
    }
    return OK;
}
