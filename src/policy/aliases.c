#include "policy/aliases.h"

#include "base/mem.h"
#include "base/table.h"
#include "mail/address.h"
#include "policy/domain.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct alias {
    struct table_node by_key;
    char *key;     /* mailbox_key() */
    size_t source; /* of its first target */
    char **targets;
    size_t target_count;
    bool is_open; /* while alias_table_check() walks below it */
};

struct alias_table {
    struct table keys;
    struct alias **list; /* in the order they came */
    size_t count;
};

struct alias_table *alias_table_new(void)
{
    struct alias_table *table = mem_new(sizeof *table);

    table_init(&table->keys);
    return table;
}

void alias_table_free(struct alias_table *table)
{
    if (!table)
        return;
    for (size_t i = 0; i < table->count; i++) {
        for (size_t k = 0; k < table->list[i]->target_count; k++)
            free(table->list[i]->targets[k]);
        free(table->list[i]->targets);
        free(table->list[i]->key);
        free(table->list[i]);
    }
    free(table->list);
    table_done(&table->keys);
    free(table);
}

size_t alias_table_count(const struct alias_table *table)
{
    return table->count;
}

/* --- Keys -------------------------------------------------------------------------------- */

static struct alias *find(const struct alias_table *table, struct bytes key)
{
    struct table_node *node = table_first(&table->keys, bytes_hash_nocase(key));

    for (; node; node = table_next(node)) {
        struct alias *alias = container_of(node, struct alias, by_key);
        if (bytes_equal(bytes_text(alias->key), key))
            return alias;
    }
    return NULL;
}

static bool parse(struct bytes text, struct address *out)
{
    return address_parse(text, ADDRESS_UTF8 | ADDRESS_LOCAL_ONLY, out) == ADDRESS_OK;
}

bool alias_table_add(
    struct alias_table *table, struct bytes name, struct bytes target, size_t source)
{
    struct address key_address, target_address;
    char room[MAILBOX_KEY_BYTES];
    struct alias *alias;
    struct bytes key;

    if (!parse(name, &key_address) || !parse(target, &target_address))
        return false;
    key = mailbox_key(key_address.local, key_address.domain, room);
    alias = find(table, key);
    if (!alias) {
        alias = mem_new(sizeof *alias);
        alias->key = bytes_to_text(key);
        alias->source = source;
        table->list = mem_grow(table->list, (table->count + 1) * sizeof *table->list);
        table->list[table->count++] = alias;
        table_add(&table->keys, &alias->by_key, bytes_hash_nocase(key));
    }
    alias->targets =
        mem_grow(alias->targets, (alias->target_count + 1) * sizeof *alias->targets);
    alias->targets[alias->target_count++] = bytes_to_text(target);
    return true;
}

/* --- Looking up -------------------------------------------------------------------------- */

/* The whole address goes before the local part. */
static struct alias *find_alias(
    const struct alias_table *table, struct bytes local, struct bytes domain, bool is_local)
{
    char room[MAILBOX_KEY_BYTES];
    struct alias *alias = domain.n ? find(table, mailbox_key(local, domain, room)) : NULL;

    if (!alias && is_local)
        alias = find(table, mailbox_key(local, BYTES_NONE, room));
    return alias;
}

/* What a target is in turn; one of another domain is an alias only when its whole address is. */
static struct alias *next_of(const struct alias_table *table, const char *target)
{
    struct address address;

    if (!parse(bytes_text(target), &address))
        return NULL;
    return find_alias(table, address.local, address.domain, address.domain.n == 0);
}

/* --- Expanding --------------------------------------------------------------------------- */

struct found {
    struct table_node by_key;
    char *address, *key; /* mailbox_key() */
};

struct expansion {
    const struct alias_table *table;
    struct bytes domain;
    const struct alias *path[ALIAS_DEPTH_MAX]; /* what led here */
    struct table keys;                         /* a long list is not searched for each */
    struct found *list[ALIAS_ADDRESSES_MAX];
    size_t count;
};

static bool is_found(const struct expansion *expansion, struct bytes key)
{
    struct table_node *node = table_first(&expansion->keys, bytes_hash_nocase(key));

    for (; node; node = table_next(node)) {
        if (bytes_equal(bytes_text(container_of(node, struct found, by_key)->key), key))
            return true;
    }
    return false;
}

static void found_one(struct expansion *expansion, const char *target)
{
    char text[ADDRESS_BYTES_MAX + IDNA_BYTES_MAX + 2], room[MAILBOX_KEY_BYTES];
    struct address address;
    struct found *found;
    struct bytes key;

    if (!parse(bytes_text(target), &address))
        return;
    if (address.domain.n) {
        snprintf(text, sizeof text, "%s", target);
    } else {
        address.domain = expansion->domain;
        snprintf(text, sizeof text, "%s@%.*s", target, BYTES_ARGS(expansion->domain));
    }
    key = mailbox_key(address.local, address.domain, room);
    if (expansion->count == ALIAS_ADDRESSES_MAX || is_found(expansion, key))
        return; /* of too many alias_table_check() has said so */
    found = mem_new(sizeof *found);
    found->address = mem_text(text);
    found->key = bytes_to_text(key);
    table_add(&expansion->keys, &found->by_key, bytes_hash_nocase(key));
    expansion->list[expansion->count++] = found;
}

/* An alias that names itself, or one that it came by, means that mailbox. */
static bool is_on_path(
    const struct expansion *expansion, const struct alias *alias, unsigned depth)
{
    for (unsigned i = 0; i < depth; i++) {
        if (expansion->path[i] == alias)
            return true;
    }
    return false;
}

static void expand(struct expansion *expansion, const struct alias *alias, unsigned depth)
{
    expansion->path[depth++] = alias;
    for (size_t i = 0; i < alias->target_count; i++) {
        const struct alias *next = next_of(expansion->table, alias->targets[i]);

        if (!next || depth == ALIAS_DEPTH_MAX || is_on_path(expansion, next, depth))
            found_one(expansion, alias->targets[i]);
        else
            expand(expansion, next, depth);
    }
}

const struct alias *alias_table_find(
    const struct alias_table *table, struct bytes local, struct bytes domain, bool is_local)
{
    return find_alias(table, local, domain, is_local);
}

static void tell_and_free(
    struct expansion *expansion, void (*each)(void *me, struct bytes address), void *me)
{
    for (size_t i = 0; i < expansion->count; i++) {
        struct found *found = expansion->list[i];
        each(me, bytes_text(found->address));
        free(found->address);
        free(found->key);
        free(found);
    }
    table_done(&expansion->keys);
    free(expansion);
}

void alias_expand(const struct alias_table *table, const struct alias *alias,
    struct bytes domain, void (*each)(void *me, struct bytes address), void *me)
{
    struct expansion *expansion = mem_new(sizeof *expansion);

    expansion->table = table;
    expansion->domain = domain;
    table_init(&expansion->keys);
    expand(expansion, alias, 0);
    tell_and_free(expansion, each, me);
}

/* --- Checking ---------------------------------------------------------------------------- */

struct check {
    const struct alias_table *table;
    struct alias_fault fault;
    size_t count; /* addresses below the alias that is looked at */
};

/* False: a fault stands in the check. */
static bool walk(struct check *check, struct alias *alias, unsigned depth);

static bool is_at_fault(struct check *check, const char *format, ...) PRINTF(2, 3);
static bool is_at_fault(struct check *check, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(check->fault.text, sizeof check->fault.text, format, arguments);
    va_end(arguments);
    return false;
}

static bool walk_target(
    struct check *check, struct alias *alias, const char *target, unsigned depth)
{
    struct alias *next = next_of(check->table, target);

    if (!next || next == alias) { /* an alias that names itself means that mailbox */
        if (++check->count <= ALIAS_ADDRESSES_MAX)
            return true;
        return is_at_fault(
            check, "an alias stands for more than %d addresses", ALIAS_ADDRESSES_MAX);
    }
    if (next->is_open)
        return is_at_fault(check, "the alias \"%.80s\" leads back to itself, by \"%.80s\"",
            next->key, alias->key);
    if (depth + 1 == ALIAS_DEPTH_MAX)
        return is_at_fault(
            check, "aliases of aliases are nested deeper than %d", ALIAS_DEPTH_MAX);
    return walk(check, next, depth + 1);
}

static bool walk(struct check *check, struct alias *alias, unsigned depth)
{
    bool is_good = true;

    alias->is_open = true;
    for (size_t i = 0; i < alias->target_count && is_good; i++)
        is_good = walk_target(check, alias, alias->targets[i], depth);
    alias->is_open = false;
    return is_good;
}

void alias_table_check(const struct alias_table *table,
    void (*each)(void *me, const struct alias_fault *fault), void *me)
{
    for (size_t i = 0; i < table->count; i++) {
        struct check check = { .table = table, .fault = { .source = table->list[i]->source } };

        if (!walk(&check, table->list[i], 0))
            each(me, &check.fault);
    }
}
