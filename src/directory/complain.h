/* Making complaints: inside of directory/.  Main loop's thread. */
#ifndef DIRECTORY_COMPLAIN_H
#define DIRECTORY_COMPLAIN_H

#include "base/near.h"
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

#endif
