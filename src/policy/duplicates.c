#include "policy/duplicates.h"

#include "base/hash.h"
#include "base/mem.h"
#include "policy/domain.h"

#include <stdlib.h>

/* A recipient by what it is; they are sorted, so that what is the same stands together. */
struct mark {
    uint64_t hash;
    uint32_t number; /* in the list */
};

enum { KEY_BYTES = 1 + MAILBOX_KEY_BYTES };

/* A domain has no "@", so the last one is it. */
static struct bytes key_of(
    const struct recipient *recipient, struct bytes home, char room[KEY_BYTES])
{
    struct bytes address = recipient->address, domain = home;
    size_t at = address.n;

    while (at && address.at[at - 1] != '@')
        at--;
    if (at) {
        domain = bytes_skip(address, at);
        address = bytes_first(address, at - 1);
    }
    room[0] = recipient->is_expanded ? 'x' : 'm';
    return bytes_of(room, 1 + mailbox_key(address, domain, room + 1).n);
}

static int compare_marks(const void *a, const void *b)
{
    const struct mark *one = a, *other = b;

    if (one->hash != other->hash)
        return one->hash < other->hash ? -1 : 1;
    return one->number < other->number ? -1 : one->number > other->number;
}

/* What nobody said means what RFC 3461, 4.1, lets it mean. */
static uint8_t notify_said(uint8_t notify)
{
    return notify ? notify : NOTIFY_FAILURE | NOTIFY_DELAY;
}

static void merge(struct recipient *first, const struct recipient *again)
{
    if (again->notify == first->notify || again->notify == NOTIFY_NEVER)
        return;
    if (first->notify == NOTIFY_NEVER) {
        first->notify = again->notify;
        first->orcpt = again->orcpt;
    } else {
        first->notify = notify_said(first->notify) | notify_said(again->notify);
    }
}

/* A recipient that is taken out has no address any more. */
static void merge_alike(
    struct recipient *list, const struct mark *marks, uint32_t count, struct bytes home)
{
    char first_room[KEY_BYTES], room[KEY_BYTES];
    struct bytes first_key = BYTES_NONE;
    uint32_t first = 0;

    for (uint32_t i = 1; i < count; i++) {
        struct recipient *again = &list[marks[i].number];

        if (marks[i].hash != marks[first].hash) {
            first = i;
            first_key = BYTES_NONE;
            continue;
        }
        if (!first_key.n)
            first_key = key_of(&list[marks[first].number], home, first_room);
        if (!bytes_equal(first_key, key_of(again, home, room)))
            continue; /* two copies of one mailbox in a thousand million years do no harm */
        merge(&list[marks[first].number], again);
        again->address = BYTES_NONE;
    }
}

uint32_t recipients_merge(
    struct recipient *list, uint32_t count, struct bytes home, uint64_t seed)
{
    char room[KEY_BYTES];
    struct mark *marks;
    uint32_t left = 0;

    if (count < 2)
        return count;
    marks = mem_new(count * sizeof *marks);
    for (uint32_t i = 0; i < count; i++)
        marks[i] = (struct mark){ hash64(key_of(&list[i], home, room), seed), i };
    qsort(marks, count, sizeof *marks, compare_marks);
    merge_alike(list, marks, count, home);
    free(marks);
    for (uint32_t i = 0; i < count; i++) {
        if (list[i].address.n)
            list[left++] = list[i];
    }
    return left;
}
