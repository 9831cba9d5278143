/* Reading a log: its file and those that were put aside when they were full, a line at a time and
 * the oldest first.  Blocking; one thread. */
#ifndef REPORT_LOG_FILES_H
#define REPORT_LOG_FILES_H

#include "base/bytes.h"

struct log_files;

/* Finds PATH and PATH.1 to PATH.FILES_MAX, as many as there are.  What is rotated from now on is read
 * all the same.  However many they are, few descriptors are in use. */
struct log_files *log_files_open(const char *path, unsigned files_max);
void log_files_close(struct log_files *files); /* NULL too */

/* What could not be read until now, though it is there: the first such file, and errno.  When there is no
 * file at all it is PATH, and ENOENT.  NULL: nothing is missing. */
const char *log_files_missing(const struct log_files *files, int *failure);

/* Calls EACH for every line, without its line feed, until it returns false.  Lines of more than
 * LINE_BYTES_MAX bytes are none of ours, and one without its end is being written: they are passed
 * over.  IS_FIRST: it is the first of its file.  May be called again. */
void log_files_each(struct log_files *files,
    bool (*each)(void *me, struct bytes line, bool is_first), void *me);

#endif
