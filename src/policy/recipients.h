/* The recipients that exist in an authoritative domain (AD-3).  Made once, when the settings are
 * read; then any thread. */
#ifndef POLICY_RECIPIENTS_H
#define POLICY_RECIPIENTS_H

#include "base/bytes.h"

struct recipient_table;

struct recipient_table *recipient_table_new(void);
void recipient_table_free(struct recipient_table *table); /* NULL too */

/* DOMAIN empty: in every domain that this table is asked about.  Case does not matter. */
void recipient_table_add(
    struct recipient_table *table, struct bytes local, struct bytes domain);

bool recipient_table_has(
    const struct recipient_table *table, struct bytes local, struct bytes domain);
size_t recipient_table_count(const struct recipient_table *table);

#endif
