#include "base/table.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

enum { SLOTS_MIN = 16 };

void table_init(struct table *table)
{
    *table = (struct table){ NULL, 0, 0 };
}

void table_done(struct table *table)
{
    free(table->slots);
    table_init(table);
}

static struct table_node **slot_of(const struct table *table, uint64_t hash)
{
    /* Weak hashes differ in few bits: a multiplication spreads them over the upper ones. */
    return &table->slots[(hash * 0x9e3779b97f4a7c15u >> 20) & (table->slot_count - 1)];
}

static void grow(struct table *table)
{
    struct table old = *table;

    table->slot_count = old.slot_count ? old.slot_count * 2 : SLOTS_MIN;
    table->slots = mem_new(table->slot_count * sizeof *table->slots);
    for (size_t i = 0; i < old.slot_count; i++) {
        struct table_node *node = old.slots[i];
        while (node) {
            struct table_node *next = node->next;
            struct table_node **slot = slot_of(table, node->hash);
            node->next = *slot;
            *slot = node;
            node = next;
        }
    }
    free(old.slots);
}

void table_add(struct table *table, struct table_node *node, uint64_t hash)
{
    struct table_node **slot;

    if (table->count >= table->slot_count)
        grow(table);
    slot = slot_of(table, hash);
    node->hash = hash;
    node->next = *slot;
    *slot = node;
    table->count++;
}

void table_remove(struct table *table, struct table_node *node)
{
    struct table_node **link = slot_of(table, node->hash);

    while (*link != node) {
        assert(*link);
        link = &(*link)->next;
    }
    *link = node->next;
    node->next = NULL;
    table->count--;
}

static struct table_node *with_hash(struct table_node *node, uint64_t hash)
{
    while (node && node->hash != hash)
        node = node->next;
    return node;
}

struct table_node *table_first(const struct table *table, uint64_t hash)
{
    return table->count ? with_hash(*slot_of(table, hash), hash) : NULL;
}

struct table_node *table_next(struct table_node *node)
{
    return with_hash(node->next, node->hash);
}

void table_each(struct table *table, void (*visit)(struct table_node *node, void *me), void *me)
{
    for (size_t i = 0; i < table->slot_count; i++) {
        struct table_node *node = table->slots[i];
        while (node) {
            struct table_node *next = node->next;
            visit(node, me);
            node = next;
        }
    }
}
