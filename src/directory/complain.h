/* Making complaints: inside of directory/.  Main loop's thread. */
#ifndef DIRECTORY_COMPLAIN_H
#define DIRECTORY_COMPLAIN_H

#include "directory/directory.h"

/* Adds a mistake, or a warning; the result is there for complaint_hint() until the next one is
 * added.  Over the ceiling it is counted only. */
struct complaint *complain(struct complaints *complaints, struct source_line where,
    const char *format, ...) PRINTF(3, 4);
struct complaint *complain_warning(struct complaints *complaints, struct source_line where,
    const char *format, ...) PRINTF(3, 4);
void complaint_hint(struct complaint *complaint, const char *format, ...) PRINTF(2, 3);

/* Puts them in the order of files (as first seen) and lines. */
void complaints_sort(struct complaints *complaints);

/* The nearest of the names to a misspelt one by edit distance; NULL: none is near.  Names are
 * asked for by number until name_at() gives NULL. */
const char *nearest_name(
    const char *wrong, const char *(*name_at)(const void *me, size_t i), const void *me);

#endif
