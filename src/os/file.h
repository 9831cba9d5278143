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
    FILE_CREATE = 4, /* must not exist: ERR_EXISTS; for its owner alone (0600) */
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

/* Puts TEXT in the place of the file at PATH: whole or not at all, and durable.  A new file gets
 * MODE, and when root makes it, the owner of its folder; an old one keeps both. */
enum err file_replace(const char *path, struct bytes text, unsigned mode) MUST_USE;
/* Gives the file to the owner of its folder; only root can, for anybody else it is OK as it is. */
enum err file_own(const char *path) MUST_USE;

/* Makes the folder and what is missing above it, with this mode. */
enum err folder_make(const char *path, unsigned mode) MUST_USE;
/* The same for the folder that FILE stands in. */
enum err folder_make_for(const char *file, unsigned mode) MUST_USE;
enum err folder_sync(
    const char *path) MUST_USE; /* entries made or renamed in it are durable then */
enum err folder_free_bytes(const char *path, uint64_t *out) MUST_USE;
/* Calls VISIT with each name but "." and "..", in no order; stops at its first error. */
enum err folder_each(
    const char *path, enum err (*visit)(const char *name, void *me), void *me) MUST_USE;

/* Takes the lock file at PATH for this process (flock).  ERR_BUSY: another has it. */
enum err file_lock(const char *path, struct file *out) MUST_USE;

/* --- Faults, for tests -----------------------------------------------------------------------
 *
 * A test sees each system call that opens or changes something, may let it fail, make a write
 * short, and keep a record of what was written and what was flushed: enough to act out a power
 * cut.  Renames, links, removals and new files are durable after FILE_CALL_SYNC_FOLDER. */

enum file_call {
    FILE_CALL_OPEN,
    FILE_CALL_READ,
    FILE_CALL_WRITE,
    FILE_CALL_SYNC, /* data or all */
    FILE_CALL_TRUNCATE,
    FILE_CALL_ALLOCATE,
    FILE_CALL_RENAME,
    FILE_CALL_LINK,
    FILE_CALL_REMOVE,
    FILE_CALL_MAKE_FOLDER,
    FILE_CALL_SYNC_FOLDER,
};

struct file_event {
    enum file_call call;
    int fd;           /* -1: the call is by path; OPEN has it after the call */
    const char *path; /* NULL: the call is by descriptor */
    const char *to;   /* RENAME, LINK: the new name */
    unsigned mode;    /* OPEN: enum file_mode */
    uint64_t at;      /* READ, WRITE */
    size_t n;         /* READ, WRITE: asked for before, done after.  TRUNCATE, ALLOCATE: size */
};

struct file_faults {
    void *me;
    /* Other than OK: the call is not made, and this is its answer.  *n_max may be lowered (not
     * to 0) to make a READ or WRITE short: the rest follows as a call of its own. */
    enum err (*before)(void *me, const struct file_event *event, size_t *n_max);
    /* The call was made, and this came of it.  May be NULL. */
    void (*after)(void *me, const struct file_event *event, enum err err);
};

/* From now on, in all threads: the hooks may be called by several at once.  FAULTS stays the
 * caller's; NULL (as in production) ends it. */
void file_set_faults(const struct file_faults *faults);

#endif
