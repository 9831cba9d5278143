#include "policy/domain_index.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/table.h"

#include <assert.h>
#include <stdlib.h>

struct indexed {
    struct table_node by_pattern;
    struct bytes pattern;
    size_t number;
};

struct domain_index {
    struct table table;
    struct indexed *list;
    size_t count, room;
};

struct domain_index *domain_index_new(size_t count)
{
    struct domain_index *index = mem_new(sizeof *index);

    table_init(&index->table);
    index->list = mem_new((count + 1) * sizeof *index->list);
    index->room = count;
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

static struct indexed *find(
    const struct domain_index *index, struct bytes pattern, uint64_t hash)
{
    struct table_node *node = table_first(&index->table, hash);

    for (; node; node = table_next(node)) {
        struct indexed *indexed = container_of(node, struct indexed, by_pattern);
        if (bytes_equal(indexed->pattern, pattern))
            return indexed;
    }
    return NULL;
}

size_t domain_index_set(struct domain_index *index, struct bytes pattern, size_t number)
{
    uint64_t hash = hash64(pattern, 0);
    struct indexed *indexed = find(index, pattern, hash);
    size_t before = indexed ? indexed->number : DOMAIN_INDEX_NONE;

    if (!indexed) {
        assert(index->count < index->room);
        indexed = &index->list[index->count++];
        indexed->pattern = pattern;
        table_add(&index->table, &indexed->by_pattern, hash);
    }
    indexed->number = number;
    return before;
}

size_t domain_index_find(const struct domain_index *index, struct bytes pattern)
{
    const struct indexed *indexed = find(index, pattern, hash64(pattern, 0));

    return indexed ? indexed->number : DOMAIN_INDEX_NONE;
}

size_t domain_index_find_nearest(const struct domain_index *index, struct bytes domain)
{
    size_t found = DOMAIN_INDEX_NONE;
    struct domain_forms forms;
    struct bytes pattern;

    domain_forms_init(&forms, domain);
    while (found == DOMAIN_INDEX_NONE && domain_forms_next(&forms, &pattern))
        found = domain_index_find(index, pattern);
    return found;
}

void domain_forms_init(struct domain_forms *forms, struct bytes domain)
{
    domain = bytes_first(domain, IDNA_BYTES_MAX);
    forms->at = 0;
    forms->n = domain.n + 1;
    forms->is_literal = domain.n && domain.at[0] == '[';
    forms->is_over = false;
    if (domain.n)
        memcpy(forms->room + 1, domain.at, domain.n);
}

/* The star takes the place of a byte that is not needed any more: what is in front of the dot. */
bool domain_forms_next(struct domain_forms *forms, struct bytes *out)
{
    size_t dot = forms->at + 1; /* something stands in front of it */

    if (forms->is_over)
        return false;
    if (forms->at == 0) {
        forms->at = 1;
        *out = bytes_of(forms->room + 1, forms->n - 1);
        return true;
    }
    while (dot < forms->n && forms->room[dot] != '.')
        dot++;
    if (dot >= forms->n || forms->is_literal) {
        forms->is_over = true;
        *out = BYTES("*");
        return true;
    }
    forms->at = dot;
    forms->room[dot - 1] = '*';
    *out = bytes_of(forms->room + dot - 1, forms->n - dot + 1);
    return true;
}
