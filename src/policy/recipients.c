#include "policy/recipients.h"

#include "base/mem.h"
#include "base/table.h"
#include "policy/domain.h"

#include <stdlib.h>

struct known {
    struct table_node by_name;
    char *name; /* mailbox_key() */
};

struct recipient_table {
    struct table names;
};

struct recipient_table *recipient_table_new(void)
{
    struct recipient_table *table = mem_new(sizeof *table);

    table_init(&table->names);
    return table;
}

static void free_known(struct table_node *node, void *me)
{
    struct known *known = container_of(node, struct known, by_name);

    table_remove(me, node);
    free(known->name);
    free(known);
}

void recipient_table_free(struct recipient_table *table)
{
    if (!table)
        return;
    table_each(&table->names, free_known, &table->names);
    table_done(&table->names);
    free(table);
}

static bool has(const struct recipient_table *table, struct bytes name)
{
    struct table_node *node = table_first(&table->names, bytes_hash_nocase(name));

    for (; node; node = table_next(node)) {
        if (bytes_equal(bytes_text(container_of(node, struct known, by_name)->name), name))
            return true;
    }
    return false;
}

void recipient_table_add(struct recipient_table *table, struct bytes local, struct bytes domain)
{
    char room[MAILBOX_KEY_BYTES];
    struct bytes name = mailbox_key(local, domain, room);
    struct known *known;

    if (has(table, name))
        return;
    known = mem_new(sizeof *known);
    known->name = bytes_to_text(name);
    table_add(&table->names, &known->by_name, bytes_hash_nocase(name));
}

bool recipient_table_has(
    const struct recipient_table *table, struct bytes local, struct bytes domain)
{
    char room[MAILBOX_KEY_BYTES];

    return has(table, mailbox_key(local, BYTES_NONE, room)) ||
           (domain.n && has(table, mailbox_key(local, domain, room)));
}

size_t recipient_table_count(const struct recipient_table *table)
{
    return table->names.count;
}
