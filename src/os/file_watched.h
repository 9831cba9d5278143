/* Files that may change while we run: looked at now and then.  One thread a file. */
#ifndef OS_FILE_WATCHED_H
#define OS_FILE_WATCHED_H

#include "base/bytes.h"

#include <time.h>

/* A file that may change while we run. */
struct watched_file {
    const char *path; /* NULL: there is none; it never changes */
    struct timespec changed;
    int64_t bytes;
    uint64_t inode;
};

/* True when the file is another than at the last call, has appeared or is gone; the first call
 * says true.  It looks at the file's date, not at its content. */
bool watched_file_changed(struct watched_file *file);

#endif
