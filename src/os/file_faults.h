/* How file.c and folder.c ask the faults of os/file.h. */
#ifndef OS_FILE_FAULTS_H
#define OS_FILE_FAULTS_H

#include "os/file.h"

/* Before a call.  Lowers *n_max (may be NULL) when the test wants it short. */
enum err file_before(const struct file_event *event, size_t *n_max) MUST_USE;
/* After it; returns ERR, so that it can stand in a return. */
enum err file_after(const struct file_event *event, enum err err) MUST_USE;

#endif
