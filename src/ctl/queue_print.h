/* Messages and queues as tables. */
#ifndef CTL_QUEUE_PRINT_H
#define CTL_QUEUE_PRINT_H

#include "ctl/print.h"

struct print_table *print_messages_new(void);
void print_message_row(struct print_table *table, const struct ctl_object *row);

struct print_table *print_queues_new(void);
void print_queue(struct print_table *table, const struct ctl_object *row);

/* How long messages wait, next hop by next hop: rows are kept, and printed with their sums, the
 * longest queue first. */
struct age_table;
struct age_table *age_table_new(void);
void age_table_add(struct age_table *table, const struct ctl_object *row);
void age_table_end(struct age_table *table, uint64_t limit); /* prints LIMIT (0: all), frees */

#endif
