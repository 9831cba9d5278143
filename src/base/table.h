/* A hash table whose links stand in the things it holds; it owns none of them.  One thread.
 *
 *     struct host { struct table_node node; char *name; };
 *     struct table_node *n = table_first(&hosts, hash);
 *     for (; n; n = table_next(n)) { host = container_of(n, struct host, node); compare; }
 */
#ifndef BASE_TABLE_H
#define BASE_TABLE_H

#include "base/list.h"

#include <stddef.h>
#include <stdint.h>

struct table_node {
    struct table_node *next;
    uint64_t hash;
};

struct table {
    struct table_node **slots;
    size_t slot_count; /* a power of two, or 0 */
    size_t count;
};

void table_init(struct table *table);

/* Gives back the slots; the nodes are the caller's. */
void table_done(struct table *table);

void table_add(struct table *table, struct table_node *node, uint64_t hash);
void table_remove(struct table *table, struct table_node *node); /* it must be in the table */

/* The nodes with this hash, one after the other; NULL at the end. */
struct table_node *table_first(const struct table *table, uint64_t hash);
struct table_node *table_next(struct table_node *node);

/* Calls VISIT for each node; VISIT may remove the node it is given, and no other. */
void table_each(
    struct table *table, void (*visit)(struct table_node *node, void *me), void *me);

#endif
