/* Linear hashing: slot n is split off the slot whose number is n without its highest bit. */
#include "base/mid_table.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

enum { ROOM_MIN = 16, NODES_A_SLOT = 2 };

void mid_table_init(struct mid_table *table)
{
    *table = (struct mid_table){ NULL, 0, 0, 0 };
}

void mid_table_done(struct mid_table *table)
{
    free(table->slots);
    mid_table_init(table);
}

/* The highest power of two that is not above COUNT (one at least). */
static size_t highest(size_t count)
{
    return (size_t)1 << (63 - __builtin_clzll(count));
}

static size_t place_of(const struct mid_table *table, struct mid mid)
{
    size_t half = highest(table->slot_count);
    size_t place = mid_hash(mid) & (2 * half - 1);

    return place < table->slot_count ? place : place & (half - 1);
}

static void add_slot(struct mid_table *table)
{
    size_t added = table->slot_count;
    struct mid_node **link;

    if (added == table->slot_room) {
        table->slot_room = added ? 2 * added : ROOM_MIN;
        table->slots = mem_grow(table->slots, table->slot_room * sizeof *table->slots);
    }
    table->slots[added] = NULL;
    table->slot_count++;
    if (!added)
        return;
    link = &table->slots[added - highest(added)];
    while (*link) {
        struct mid_node *node = *link;
        if (place_of(table, node->mid) != added) {
            link = &node->next;
            continue;
        }
        *link = node->next;
        node->next = table->slots[added];
        table->slots[added] = node;
    }
}

void mid_table_add(struct mid_table *table, struct mid_node *node)
{
    struct mid_node **slot;

    if (table->count++ >= NODES_A_SLOT * table->slot_count)
        add_slot(table);
    slot = &table->slots[place_of(table, node->mid)];
    node->next = *slot;
    *slot = node;
}

void mid_table_remove(struct mid_table *table, struct mid_node *node)
{
    struct mid_node **link = &table->slots[place_of(table, node->mid)];

    while (*link != node) {
        assert(*link);
        link = &(*link)->next;
    }
    *link = node->next;
    node->next = NULL;
    table->count--;
}

struct mid_node *mid_table_find(const struct mid_table *table, struct mid mid)
{
    struct mid_node *node = table->count ? table->slots[place_of(table, mid)] : NULL;

    while (node && !mid_equal(node->mid, mid))
        node = node->next;
    return node;
}

/* Those of a slot; returns how many. */
static size_t visit_slot(
    struct mid_node *node, void (*visit)(struct mid_node *node, void *me), void *me)
{
    size_t count = 0;

    while (node) {
        struct mid_node *next = node->next;
        visit(node, me);
        node = next;
        count++;
    }
    return count;
}

void mid_table_each(
    const struct mid_table *table, void (*visit)(struct mid_node *node, void *me), void *me)
{
    for (size_t i = 0; i < table->slot_count; i++)
        visit_slot(table->slots[i], visit, me);
}

/* A slot is split into itself and one behind all others: nothing goes to where this has been. */
bool mid_table_some(const struct mid_table *table, size_t *at, size_t count,
    void (*visit)(struct mid_node *node, void *me), void *me)
{
    size_t visited = 0;

    while (*at < table->slot_count && visited < count)
        visited += visit_slot(table->slots[(*at)++], visit, me);
    return *at < table->slot_count;
}
