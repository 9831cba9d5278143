/* Aliases: names that stand for other addresses (AD-4), in the syntax of /etc/aliases.
 *
 * No programs and no files to write to.  A table is made once, when the settings are read, and
 * never changes; then any thread.
 *
 *     root: admin@example.com, backup         # a local part: of every authoritative domain
 *     team@example.com: a, b@example.org      # this address alone
 *         c@example.net                       # a line that begins with a blank goes on
 *     list: :include:/etc/relais/list         # addresses, one or more a line */
#ifndef POLICY_ALIASES_H
#define POLICY_ALIASES_H

#include "base/bytes.h"
#include "base/err.h"

struct alias_table;
struct alias; /* one name of it */

enum {
    ALIAS_DEPTH_MAX = 20,      /* aliases of aliases */
    ALIAS_ADDRESSES_MAX = 5000 /* that one alias stands for in the end */
};

struct alias_table *alias_table_new(void);
void alias_table_free(struct alias_table *table); /* NULL too */

/* What is wrong with a table; SOURCE is what alias_table_add() was given. */
struct alias_fault {
    size_t source;
    char text[200];
};

/* One more alias: NAME (local part or address) stands for TARGET too; a target without a domain
 * is another alias, or a mailbox of the default domain.  False: one of them is no address. */
bool alias_table_add(
    struct alias_table *table, struct bytes name, struct bytes target, size_t source);

/* Once all were added: finds circles, and aliases that stand for too many.  Calls EACH for each
 * fault. */
void alias_table_check(const struct alias_table *table,
    void (*each)(void *me, const struct alias_fault *fault), void *me);

/* LOCAL@DOMAIN as an alias; NULL: it is none.  IS_LOCAL: the domain is one of those whose local
 * parts are looked up. */
const struct alias *alias_table_find(
    const struct alias_table *table, struct bytes local, struct bytes domain, bool is_local);

/* Calls EACH for every address that ALIAS, one of TABLE's, stands for in the end, each once; those
 * without a domain are given DOMAIN. */
void alias_expand(const struct alias_table *table, const struct alias *alias,
    struct bytes domain, void (*each)(void *me, struct bytes address), void *me);

size_t alias_table_count(const struct alias_table *table);

#endif
