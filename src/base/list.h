/* A doubly linked list whose links stand in the things it lists.  One thread. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *prev;
};

#define container_of(at, type, member) ((type *)((char *)(at)-offsetof(type, member)))

#define list_each(node, all)                                                                   \
    for (struct list *node = (all)->next, *node##_next = node->next; node != (all);            \
         node = node##_next, node##_next = node->next) /* NODE may be removed meanwhile */

static inline void list_init(struct list *list)
{
    list->next = list->prev = list;
}

static inline bool list_is_empty(const struct list *list)
{
    return list->next == list;
}

/* A node set up by list_init() and not in any list. */
static inline bool list_is_linked(const struct list *node)
{
    return node->next != node;
}

static inline void list_insert_before(struct list *at, struct list *node)
{
    node->prev = at->prev;
    node->next = at;
    at->prev->next = node;
    at->prev = node;
}

static inline void list_add_last(struct list *list, struct list *node)
{
    list_insert_before(list, node);
}

static inline void list_add_first(struct list *list, struct list *node)
{
    list_insert_before(list->next, node);
}

/* May be called again for a node that is in no list. */
static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

static inline struct list *list_first(const struct list *list)
{
    return list_is_empty(list) ? NULL : list->next;
}

#endif
