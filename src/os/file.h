/* Files and folders, for what must be durable.  Any thread; these calls block.
 *
 * Short reads and writes are gone on with here; EINTR too.  ENOSPC and EDQUOT are ERR_SPACE. */
#ifndef OS_FILE_H
#define OS_FILE_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

#include <sys/uio.h>

struct file {
    int fd; /* -1: closed */
};

enum file_mode {
    FILE_READ = 1,
    FILE_WRITE = 2,
    FILE_CREATE = 4, /* must not exist: ERR_EXISTS */
};

enum err file_open(const char *path, unsigned mode, struct file *out) MUST_USE;
void file_close(struct file *file); /* a closed one too */

/* Reads exactly N bytes.  ERR_NONE: the file ends before. */
enum err file_read_at(struct file file, void *to, size_t n, uint64_t at) MUST_USE;
/* Reads up to N bytes; *got is less at the end of the file. */
enum err file_read_some(
    struct file file, void *to, size_t n, uint64_t at, size_t *got) MUST_USE;

enum err file_write_at(struct file file, struct bytes bytes, uint64_t at) MUST_USE;
/* All the runs, end to end; RUNS is used up (changed) on a short write. */
enum err file_writev_at(
    struct file file, struct iovec *runs, size_t run_count, uint64_t at) MUST_USE;

enum err file_sync_data(struct file file) MUST_USE; /* fdatasync */
enum err file_sync(struct file file) MUST_USE;      /* fsync */
enum err file_size(struct file file, uint64_t *out) MUST_USE;
enum err file_truncate(struct file file, uint64_t bytes) MUST_USE;
enum err file_allocate(struct file file, uint64_t bytes) MUST_USE; /* fallocate, else zeros */

enum err file_rename(const char *from, const char *to) MUST_USE;
enum err file_link(const char *from, const char *to) MUST_USE;
enum err file_remove(const char *path) MUST_USE;
enum err file_read_all(const char *path, size_t bytes_max, struct buf *out) MUST_USE;

/* Makes the folder and what is missing above it, with this mode. */
enum err folder_make(const char *path, unsigned mode) MUST_USE;
enum err folder_sync(
    const char *path) MUST_USE; /* entries made or renamed in it are durable then */
enum err folder_free_bytes(const char *path, uint64_t *out) MUST_USE;
/* Calls VISIT with each name but "." and "..", in no order; stops at its first error. */
enum err folder_each(
    const char *path, enum err (*visit)(const char *name, void *me), void *me) MUST_USE;

/* Takes the lock file at PATH for this process (flock).  ERR_BUSY: another has it. */
enum err file_lock(const char *path, struct file *out) MUST_USE;

#endif
