#include "policy/route_index.h"

#include "base/mem.h"
#include "policy/domain_index.h"

#include <stdlib.h>

struct route_index {
    struct domain_index *patterns; /* to numbers of the first entries */
    struct route_entry *entries; /* sorted: by pattern, then as route_index_find() gives them */
    size_t count;
};

bool route_is_scoped(const struct send_connector *connector)
{
    return connector->senders.count || connector->came_by.count;
}

bool route_is_local(const struct settings *settings, const struct send_connector *connector)
{
    struct bytes node = bytes_text(settings->node), fqdn = bytes_text(settings->fqdn);

    for (size_t i = 0; i < connector->source_nodes.count; i++) {
        struct bytes name = bytes_text(connector->source_nodes.list[i]);
        if (bytes_equal_nocase(name, node) || bytes_equal_nocase(name, fqdn))
            return true;
    }
    return false;
}

static int compare_numbers(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

/* What is of one pattern and connector together, the lowest cost first. */
static int compare_owners(const void *a, const void *b)
{
    const struct route_entry *one = a, *other = b;
    int order = strcmp(one->pattern, other->pattern);

    if (order == 0)
        order = compare_numbers((uintptr_t)one->connector, (uintptr_t)other->connector);
    return order ? order : compare_numbers(one->cost, other->cost);
}

static int compare_ranks(const void *a, const void *b)
{
    const struct route_entry *one = a, *other = b;
    int order = strcmp(one->pattern, other->pattern);

    if (order == 0)
        order =
            compare_numbers(route_is_scoped(other->connector), route_is_scoped(one->connector));
    if (order == 0)
        order = compare_numbers(one->cost, other->cost);
    if (order == 0)
        order = compare_numbers(other->is_local, one->is_local);
    return order ? order : strcmp(one->connector->name, other->connector->name);
}

static size_t list_all(const struct settings *settings, struct route_entry *out)
{
    size_t count = 0;

    for (size_t i = 0; i < settings->send_count; i++) {
        const struct send_connector *connector = &settings->send[i];
        bool is_local = route_is_local(settings, connector);
        for (size_t k = 0; k < connector->space_count; k++)
            out[count++] = (struct route_entry){ connector, connector->spaces[k].pattern,
                connector->spaces[k].cost, is_local };
    }
    return count;
}

/* The first of each owner and pattern. */
static size_t drop_dearer(struct route_entry *entries, size_t count)
{
    size_t left = 0;

    for (size_t i = 0; i < count; i++) {
        if (left == 0 || entries[left - 1].connector != entries[i].connector ||
            strcmp(entries[left - 1].pattern, entries[i].pattern) != 0)
            entries[left++] = entries[i];
    }
    return left;
}

struct route_index *route_index_new(const struct settings *settings)
{
    struct route_index *index;
    size_t count = 0;

    for (size_t i = 0; i < settings->send_count; i++)
        count += settings->send[i].space_count;
    if (count < DOMAIN_INDEX_MIN)
        return NULL;
    index = mem_new(sizeof *index);
    index->entries = mem_new(count * sizeof *index->entries);
    index->patterns = domain_index_new(count);
    count = list_all(settings, index->entries);
    qsort(index->entries, count, sizeof *index->entries, compare_owners);
    index->count = drop_dearer(index->entries, count);
    qsort(index->entries, index->count, sizeof *index->entries, compare_ranks);
    for (size_t i = index->count; i > 0; i--) /* the first of a pattern is its number */
        domain_index_set(index->patterns, bytes_text(index->entries[i - 1].pattern), i - 1);
    return index;
}

void route_index_free(struct route_index *index)
{
    if (!index)
        return;
    domain_index_free(index->patterns);
    free(index->entries);
    free(index);
}

struct route_entries route_index_find(const struct route_index *index, struct bytes pattern)
{
    size_t first = domain_index_find(index->patterns, pattern), end = first;

    if (first == DOMAIN_INDEX_NONE)
        return (struct route_entries){ NULL, 0 };
    while (end < index->count &&
           strcmp(index->entries[end].pattern, index->entries[first].pattern) == 0)
        end++;
    return (struct route_entries){ index->entries + first, end - first };
}
