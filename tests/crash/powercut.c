/* A disk that can forget: loaded before relaisd, notes what each change of a file overwrote, so
 * that after kill -9 powercut_apply.py can put back whatever was not flushed.
 *
 *     POWERCUT_FOLDER=/x/spool POWERCUT_LOG=/x/undo LD_PRELOAD=powercut.so relaisd ...
 *
 * The argument:
 * 1. Before a change, a record with the old bytes is appended to POWERCUT_LOG by one write().
 * The page cache outlives the process, so whatever changed has its record.  A torn last record
 *    belongs to a change that was not made.
 * 2. A flush takes its place in the order when it begins and is noted when it has returned OK:
 * it forgives what was changed before it began, and no more.
 * 3. Names (made, renamed, removed) are forgiven by a flush of their folder alone, content by a
 *    flush of the file: stricter than ext4, as POSIX allows.
 * 4. Changes of one process are put in order by one lock.  relaisd has one process with a
 * spool.
 *
 * A record is a header, a path or two, and old bytes.  All in this machine's byte order. */
#include "track.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>

enum kind {
    KIND_CHANGED = 1, /* at..at+n had these old bytes (fewer at the end of the file) */
    KIND_FLUSHED = 2, /* all of `inode` up to `upto` is on the disk */
    KIND_MADE = 3,    /* the name `first` in folder `inode` */
    KIND_RENAMED = 4, /* `first` to `second`; `spare` has what was there, if anything was */
    KIND_REMOVED = 5, /* `first`; `spare` has it */
    KIND_FOLDER = 6,  /* the folder `first` was made */
    KIND_LOST =
        7, /* a flush of `inode` failed: what was changed up to `upto` never comes back */
};

struct record {
    uint32_t magic, kind;
    uint64_t number, inode, upto;
    uint64_t at, size_before, size_after;
    uint32_t first_bytes, second_bytes, spare, old_bytes;
};

enum { MAGIC = 0x50435554 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int undo_fd = -1;
static uint64_t numbers; /* of records, from 1 */
static uint32_t spares;  /* links in POWERCUT_LOG.spare/ */

static __attribute__((constructor)) void start(void)
{
    const char *log = getenv("POWERCUT_LOG");

    track_init("POWERCUT_FOLDER");
    if (!track_folder || !log)
        return;
    undo_fd = (int)syscall(
        SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (undo_fd < 0) {
        perror("powercut: POWERCUT_LOG");
        abort();
    }
}

static void write_record(
    struct record *record, const char *first, const char *second, const void *old)
{
    struct iovec runs[4] = {
        { record, sizeof *record },
        { (void *)(uintptr_t)first, first ? strlen(first) : 0 },
        { (void *)(uintptr_t)second, second ? strlen(second) : 0 },
        { (void *)(uintptr_t)old, record->old_bytes },
    };

    record->magic = MAGIC;
    record->number = ++numbers;
    record->first_bytes = (uint32_t)runs[1].iov_len;
    record->second_bytes = (uint32_t)runs[2].iov_len;
    if (syscall(SYS_writev, undo_fd, runs, 4) != (ssize_t)track_iov_bytes(runs, 4)) {
        static const char text[] = "powercut: cannot write the undo log\n";
        syscall(SYS_write, 2, text, sizeof text - 1);
        abort();
    }
}

static uint64_t inode_of_parent(const char *path)
{
    char parent[PATH_MAX];
    struct stat st;

    snprintf(parent, sizeof parent, "%s", path);
    char *slash = strrchr(parent, '/');
    if (!slash)
        return 0;
    *slash = '\0';
    return stat(parent, &st) == 0 ? (uint64_t)st.st_ino : 0;
}

/* Notes what stands in FD at AT, N bytes, before it is overwritten or cut off.  Locked. */
static void note_change(int fd, uint64_t at, uint64_t n, uint64_t size_after)
{
    struct stat st;
    char link[64];
    uint8_t *old = NULL;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return;
    uint64_t size = (uint64_t)st.st_size;
    uint64_t have = at >= size ? 0 : size - at < n ? size - at : n;
    if (have > 0) {
        /* The descriptor may be for writing alone: read by another. */
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        int again = (int)syscall(SYS_openat, AT_FDCWD, link, O_RDONLY | O_CLOEXEC, 0);
        old = malloc(have);
        if (again < 0 || !old || syscall(SYS_pread64, again, old, have, at) != (ssize_t)have)
            abort();
        syscall(SYS_close, again);
    }
    struct record record = {
        .kind = KIND_CHANGED,
        .inode = (uint64_t)st.st_ino,
        .at = at,
        .upto = n,
        .size_before = size,
        .size_after = size_after > size ? size_after : size,
        .old_bytes = (uint32_t)have,
    };
    write_record(&record, NULL, NULL, old);
    free(old);
}

/* --- Content -------------------------------------------------------------------------------
 */

ssize_t pwrite(int fd, const void *from, size_t n, off_t at)
{
    if (!track_is_ours(fd))
        return syscall(SYS_pwrite64, fd, from, n, at);
    pthread_mutex_lock(&lock);
    note_change(fd, (uint64_t)at, n, (uint64_t)at + n);
    ssize_t done = syscall(SYS_pwrite64, fd, from, n, at);
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t pwritev2(int fd, const struct iovec *runs, int count, off_t at, int flags)
{
    /* The kernel takes the offset in two halves; on 64 bits the second is not looked at. */
    if (!track_is_ours(fd))
        return syscall(SYS_pwritev2, fd, runs, count, at, 0, flags);
    size_t n = track_iov_bytes(runs, count);
    pthread_mutex_lock(&lock);
    note_change(fd, (uint64_t)at, n, (uint64_t)at + n);
    ssize_t done = syscall(SYS_pwritev2, fd, runs, count, at, 0, flags);
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t pwritev(int fd, const struct iovec *runs, int count, off_t at)
{
    return pwritev2(fd, runs, count, at, 0);
}

static uint64_t place_of(int fd)
{
    struct stat st;
    int flags = (int)syscall(SYS_fcntl, fd, F_GETFL);

    if (flags >= 0 && flags & O_APPEND && fstat(fd, &st) == 0)
        return (uint64_t)st.st_size;
    off_t at = (off_t)syscall(SYS_lseek, fd, 0, SEEK_CUR);
    return at < 0 ? 0 : (uint64_t)at;
}

ssize_t write(int fd, const void *from, size_t n)
{
    if (!track_is_ours(fd))
        return syscall(SYS_write, fd, from, n);
    pthread_mutex_lock(&lock);
    uint64_t at = place_of(fd);
    note_change(fd, at, n, at + n);
    ssize_t done = syscall(SYS_write, fd, from, n);
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t writev(int fd, const struct iovec *runs, int count)
{
    if (!track_is_ours(fd))
        return syscall(SYS_writev, fd, runs, count);
    size_t n = track_iov_bytes(runs, count);
    pthread_mutex_lock(&lock);
    uint64_t at = place_of(fd);
    note_change(fd, at, n, at + n);
    ssize_t done = syscall(SYS_writev, fd, runs, count);
    pthread_mutex_unlock(&lock);
    return done;
}

int ftruncate(int fd, off_t size)
{
    struct stat st;

    if (!track_is_ours(fd))
        return (int)syscall(SYS_ftruncate, fd, size);
    pthread_mutex_lock(&lock);
    if (fstat(fd, &st) == 0) {
        uint64_t gone = st.st_size > size ? (uint64_t)(st.st_size - size) : 0;
        note_change(fd, (uint64_t)size, gone, (uint64_t)size);
    }
    int done = (int)syscall(SYS_ftruncate, fd, size);
    pthread_mutex_unlock(&lock);
    return done;
}

int fallocate(int fd, int mode, off_t at, off_t n)
{
    if (!track_is_ours(fd))
        return (int)syscall(SYS_fallocate, fd, mode, at, n);
    pthread_mutex_lock(&lock);
    /* With a mode (punching, zeroing) the bytes change, without one only the size may. */
    note_change(fd, (uint64_t)at, mode ? (uint64_t)n : 0, (uint64_t)(at + n));
    int done = (int)syscall(SYS_fallocate, fd, mode, at, n);
    pthread_mutex_unlock(&lock);
    return done;
}

int posix_fallocate(int fd, off_t at, off_t n)
{
    return fallocate(fd, 0, at, n) == 0 ? 0 : errno;
}

/* --- Flushes -------------------------------------------------------------------------------
 */

static int flush(int fd, long call)
{
    struct stat st;

    if (!track_is_ours(fd))
        return (int)syscall(call, fd);
    pthread_mutex_lock(&lock);
    uint64_t upto = numbers;
    pthread_mutex_unlock(&lock);
    int done = (int)syscall(call, fd);
    if (done == 0 && fstat(fd, &st) == 0) {
        struct record record = {
            .kind = KIND_FLUSHED, .inode = (uint64_t)st.st_ino, .upto = upto
        };
        pthread_mutex_lock(&lock);
        write_record(&record, NULL, NULL, NULL);
        pthread_mutex_unlock(&lock);
    }
    return done;
}

int fsync(int fd)
{
    return flush(fd, SYS_fsync);
}

int fdatasync(int fd)
{
    return flush(fd, SYS_fdatasync);
}

/* A flush failed, as faults.so tells: the kernel has thrown the changes away, so a later flush
 * of the same file that returns OK has not written them. */
void powercut_lost(int fd);
void powercut_lost(int fd)
{
    struct stat st;

    if (!track_is_ours(fd) || fstat(fd, &st) != 0)
        return;
    pthread_mutex_lock(&lock);
    struct record record = { .kind = KIND_LOST, .inode = (uint64_t)st.st_ino, .upto = numbers };
    write_record(&record, NULL, NULL, NULL);
    pthread_mutex_unlock(&lock);
}

/* --- Names ---------------------------------------------------------------------------------
 */

static int open_file(int dir, const char *path, int flags, mode_t mode)
{
    char full[PATH_MAX];
    struct stat st;

    if (!track_path(dir, path, full))
        return (int)syscall(SYS_openat, dir, path, flags, mode);
    pthread_mutex_lock(&lock);
    bool was_there = stat(full, &st) == 0;
    if (was_there && flags & O_TRUNC && st.st_size > 0) {
        int fd = (int)syscall(SYS_openat, AT_FDCWD, full, O_RDWR | O_CLOEXEC, 0);
        if (fd >= 0) {
            note_change(fd, 0, (uint64_t)st.st_size, 0);
            syscall(SYS_close, fd);
        }
    }
    int fd = (int)syscall(SYS_openat, dir, path, flags, mode);
    if (fd >= 0) {
        track_set(fd, true);
        if (!was_there) {
            struct record record = { .kind = KIND_MADE, .inode = inode_of_parent(full) };
            write_record(&record, full, NULL, NULL);
        }
    }
    pthread_mutex_unlock(&lock);
    return fd;
}

int open(const char *path, int flags, ...)
{
    va_list list;

    va_start(list, flags);
    mode_t mode = track_has_mode(flags) ? va_arg(list, mode_t) : 0;
    va_end(list);
    return open_file(AT_FDCWD, path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...)
{
    va_list list;

    va_start(list, flags);
    mode_t mode = track_has_mode(flags) ? va_arg(list, mode_t) : 0;
    va_end(list);
    return open_file(dir, path, flags, mode);
}

int close(int fd)
{
    track_set(fd, false);
    return (int)syscall(SYS_close, fd);
}

/* A link to what stands at PATH, so that it can come back.  0: nothing stands there. */
static uint32_t keep(const char *path)
{
    char folder[PATH_MAX], spare[PATH_MAX + 32];
    struct stat st;

    if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return 0;
    snprintf(folder, sizeof folder, "%s.spare", getenv("POWERCUT_LOG"));
    syscall(SYS_mkdir, folder, 0700);
    do
        snprintf(spare, sizeof spare, "%s/%u", folder, ++spares);
    while (syscall(SYS_link, path, spare) != 0 && errno == EEXIST);
    return spares;
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    char a[PATH_MAX], b[PATH_MAX];

    if (!track_path(from_dir, from, a) || !track_path(to_dir, to, b))
        return (int)syscall(SYS_renameat, from_dir, from, to_dir, to);
    pthread_mutex_lock(&lock);
    struct record record = {
        .kind = KIND_RENAMED, .inode = inode_of_parent(b), .spare = keep(b)
    };
    int done = (int)syscall(SYS_renameat, from_dir, from, to_dir, to);
    if (done == 0)
        write_record(&record, a, b, NULL);
    pthread_mutex_unlock(&lock);
    return done;
}

int rename(const char *from, const char *to)
{
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
    char b[PATH_MAX];

    if (!track_path(to_dir, to, b))
        return (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
    pthread_mutex_lock(&lock);
    int done = (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
    struct record record = { .kind = KIND_MADE, .inode = inode_of_parent(b) };
    if (done == 0)
        write_record(&record, b, NULL, NULL);
    pthread_mutex_unlock(&lock);
    return done;
}

int link(const char *from, const char *to)
{
    return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlinkat(int dir, const char *path, int flags)
{
    char full[PATH_MAX];

    if (flags & AT_REMOVEDIR || !track_path(dir, path, full))
        return (int)syscall(SYS_unlinkat, dir, path, flags);
    pthread_mutex_lock(&lock);
    struct record record = {
        .kind = KIND_REMOVED, .inode = inode_of_parent(full), .spare = keep(full)
    };
    int done = (int)syscall(SYS_unlinkat, dir, path, flags);
    if (done == 0)
        write_record(&record, full, NULL, NULL);
    pthread_mutex_unlock(&lock);
    return done;
}

int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

int mkdirat(int dir, const char *path, mode_t mode)
{
    char full[PATH_MAX];

    if (!track_path(dir, path, full))
        return (int)syscall(SYS_mkdirat, dir, path, mode);
    pthread_mutex_lock(&lock);
    int done = (int)syscall(SYS_mkdirat, dir, path, mode);
    struct record record = { .kind = KIND_FOLDER, .inode = inode_of_parent(full) };
    /* The folder itself stands in one that is not watched: who flushes that is not seen. */
    if (done == 0 && strcmp(full, track_folder) != 0)
        write_record(&record, full, NULL, NULL);
    pthread_mutex_unlock(&lock);
    return done;
}

int mkdir(const char *path, mode_t mode)
{
    return mkdirat(AT_FDCWD, path, mode);
}

/* The same calls under the names that large-file builds use. */
ssize_t pwrite64(int fd, const void *from, size_t n, off_t at) __attribute__((alias("pwrite")));
ssize_t pwritev64(int fd, const struct iovec *runs, int count, off_t at)
    __attribute__((alias("pwritev")));
int ftruncate64(int fd, off_t size) __attribute__((alias("ftruncate")));
int fallocate64(int fd, int mode, off_t at, off_t n) __attribute__((alias("fallocate")));
int posix_fallocate64(int fd, off_t at, off_t n) __attribute__((alias("posix_fallocate")));
int open64(const char *path, int flags, ...) __attribute__((alias("open")));
int openat64(int dir, const char *path, int flags, ...) __attribute__((alias("openat")));
ssize_t pwritev64v2(int fd, const struct iovec *runs, int count, off_t at, int flags)
    __attribute__((alias("pwritev2")));
