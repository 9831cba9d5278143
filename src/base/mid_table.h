/* A hash table of things that have a mid, for millions of them; it owns none.  One thread.
 *
 * It costs 4 to 8 bytes for each besides the node, and grows by one place at a time: no call ever
 * takes long because there are many.
 *
 *     struct copy { struct mid_node by_mid; ... };
 *     struct mid_node *node = mid_table_find(&copies, mid);
 *     copy = node ? container_of(node, struct copy, by_mid) : NULL;
 */
#ifndef BASE_MID_TABLE_H
#define BASE_MID_TABLE_H

#include "base/id.h"
#include "base/list.h"

struct mid_node {
    struct mid_node *next;
    struct mid mid; /* set by the caller, and not changed while it is in a table */
};

struct mid_table {
    struct mid_node **slots;
    size_t slot_count, slot_room;
    size_t count;
};

void mid_table_init(struct mid_table *table);
/* Gives back the slots; the nodes are the caller's. */
void mid_table_done(struct mid_table *table);

void mid_table_add(struct mid_table *table, struct mid_node *node); /* no other has its mid */
void mid_table_remove(struct mid_table *table, struct mid_node *node); /* it is in the table */
struct mid_node *mid_table_find(const struct mid_table *table, struct mid mid); /* or NULL */

/* Calls VISIT for each node; VISIT may remove the node it is given, and no other. */
void mid_table_each(
    const struct mid_table *table, void (*visit)(struct mid_node *node, void *me), void *me);

/* The same for COUNT of them, or a few more: a stretch at a time, with other calls between them.
 * *AT: 0 to begin with.  True: there are more.  Those that are added meanwhile may be left out;
 * some may be visited twice. */
bool mid_table_some(const struct mid_table *table, size_t *at, size_t count,
    void (*visit)(struct mid_node *node, void *me), void *me);

#endif
