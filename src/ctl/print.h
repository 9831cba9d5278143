/* What the tool prints: tables, JSON rows, sizes and ages for people.  One thread.
 *
 * What peers sent stands in the output: control bytes are replaced, so that no message plays
 * with the administrator's terminal. */
#ifndef CTL_PRINT_H
#define CTL_PRINT_H

#include "base/bytes.h"
#include "proto/ctl/ctl.h"

enum { PRINT_NUMBER_BYTES = 24 };

/* "812", "9.8K", "36M": 1024 a step, three digits at most. */
void print_size(uint64_t bytes, char out[PRINT_NUMBER_BYTES]);
/* "45s", "12m", "3h20m", "2d4h"; "-" below zero. */
void print_age(int64_t seconds, char out[PRINT_NUMBER_BYTES]);

/* One row as a line of JSON on standard output. */
void print_json_row(const struct ctl_object *row);

/* TEXT on standard output; control bytes but line feed and tab as "?". */
void print_clean(struct bytes text);

struct print_column {
    const char *title;
    bool is_right; /* numbers */
};

/* Aligned columns.  The widths are those of the title and the first rows: a long listing is
 * printed while it comes. */
struct print_table;
struct print_table *print_table_new(const struct print_column *columns, unsigned count);
/* One cell for each column, borrowed; NULL is "-". */
void print_table_row(struct print_table *table, const char *const *cells);
void print_table_end(struct print_table *table); /* prints what waits, and frees; NULL too */

/* "name: value", the names padded to the same width. */
void print_fact(const char *name, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
