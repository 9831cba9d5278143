#include "base/mem.h"
#include "base/table.h"
#include "policy/domain.h"
#include "policy/settings.h"

#include <stdlib.h>

struct indexed {
    struct table_node by_pattern;
    struct bytes pattern;
};

struct domain_index {
    struct table table;
    struct indexed *list; /* in the order of the settings' domains */
};

struct domain_index *domain_index_new(const struct settings *settings)
{
    struct domain_index *index = mem_new(sizeof *index);

    table_init(&index->table);
    index->list = mem_new((settings->domain_count + 1) * sizeof *index->list);
    for (size_t i = 0; i < settings->domain_count; i++) {
        struct indexed *indexed = &index->list[i];
        indexed->pattern = bytes_text(settings->domains[i].pattern);
        table_add(&index->table, &indexed->by_pattern, bytes_hash_nocase(indexed->pattern));
    }
    return index;
}

void domain_index_free(struct domain_index *index)
{
    if (!index)
        return;
    table_done(&index->table);
    free(index->list);
    free(index);
}

static size_t find(const struct domain_index *index, struct bytes pattern)
{
    struct table_node *node = table_first(&index->table, bytes_hash_nocase(pattern));

    for (; node; node = table_next(node)) {
        struct indexed *indexed = container_of(node, struct indexed, by_pattern);
        if (bytes_equal_nocase(indexed->pattern, pattern))
            return (size_t)(indexed - index->list);
    }
    return SIZE_MAX;
}

/* The domain itself, then "*.x" for what stands behind its first label, and so on, then "*". */
size_t domain_index_find(const struct domain_index *index, struct bytes domain)
{
    size_t found = find(index, domain);
    char room[IDNA_BYTES_MAX + 1];

    while (found == SIZE_MAX && domain.n < IDNA_BYTES_MAX) {
        size_t dot = bytes_find(domain, '.');

        if (dot == BYTES_NOT_FOUND)
            return find(index, BYTES("*"));
        domain = bytes_skip(domain, dot);
        room[0] = '*';
        memcpy(room + 1, domain.at, domain.n);
        found = find(index, bytes_of(room, domain.n + 1));
        domain = bytes_skip(domain, 1);
    }
    return found;
}
