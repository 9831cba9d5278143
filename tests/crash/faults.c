/* A disk that fails: loaded before relaisd, lets the n-th call on files below a folder fail.
 *
 *     FAULTS_FOLDER=/x/spool FAULTS_NTH=12 FAULTS_KIND=ENOSPC FAULTS_LOG=/x/faults
 *
 * FAULTS_KIND is ENOSPC, EIO or SHORT: a short write does half of what was asked, once.  With
 * FAULTS_FOR=k the k calls from the n-th on fail (1 by default).  One line for each failure is
 * written to FAULTS_LOG: the number and the call.
 *
 * What does not fail goes on to the library behind this one, so powercut.so can stand there: a
 * flush that failed has forgiven nothing. */
#include "track.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdatomic.h>

static atomic_long calls;
static long first_bad, bad_count = 1;
static int bad_errno; /* 0: short */
static int log_fd = -1;

static __attribute__((constructor)) void start(void)
{
    const char *nth = getenv("FAULTS_NTH"), *kind = getenv("FAULTS_KIND");
    const char *log = getenv("FAULTS_LOG"), *for_calls = getenv("FAULTS_FOR");

    track_init("FAULTS_FOLDER");
    first_bad = nth ? atol(nth) : 0;
    bad_count = for_calls ? atol(for_calls) : 1;
    if (kind && strcmp(kind, "ENOSPC") == 0)
        bad_errno = ENOSPC;
    else if (kind && strcmp(kind, "EIO") == 0)
        bad_errno = EIO;
    if (log)
        log_fd = (int)syscall(
            SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* The same function of the next library. */
#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* Is it this call's turn to fail?  errno is set when it is. */
static bool fails(const char *call)
{
    char text[80];
    long number = atomic_fetch_add(&calls, 1) + 1;

    if (first_bad == 0 || number < first_bad || number >= first_bad + bad_count)
        return false;
    int n = snprintf(text, sizeof text, "%ld %s\n", number, call);
    if (log_fd >= 0)
        syscall(SYS_write, log_fd, text, (size_t)n);
    errno = bad_errno;
    return true;
}

/* --- Writing: a short write does half ---------------------------------------------------- */

ssize_t pwrite(int fd, const void *from, size_t n, off_t at)
{
    if (track_is_ours(fd) && fails("pwrite")) {
        if (bad_errno)
            return -1;
        n = (n + 1) / 2;
    }
    return NEXT(pwrite)(fd, from, n, at);
}

/* Cuts RUNS to half of their bytes in COPY; returns how many runs are left. */
static int half(const struct iovec *runs, int count, struct iovec *copy)
{
    size_t left = (track_iov_bytes(runs, count) + 1) / 2;
    int n = 0;

    for (; n < count && left > 0; n++) {
        copy[n] = runs[n];
        if (copy[n].iov_len > left)
            copy[n].iov_len = left;
        left -= copy[n].iov_len;
    }
    return n;
}

ssize_t pwritev(int fd, const struct iovec *runs, int count, off_t at)
{
    struct iovec copy[IOV_MAX];

    if (track_is_ours(fd) && fails("pwritev")) {
        if (bad_errno)
            return -1;
        count = half(runs, count, copy);
        runs = copy;
    }
    return NEXT(pwritev)(fd, runs, count, at);
}

ssize_t write(int fd, const void *from, size_t n)
{
    if (track_is_ours(fd) && fails("write")) {
        if (bad_errno)
            return -1;
        n = (n + 1) / 2;
    }
    return NEXT(write)(fd, from, n);
}

ssize_t writev(int fd, const struct iovec *runs, int count)
{
    struct iovec copy[IOV_MAX];

    if (track_is_ours(fd) && fails("writev")) {
        if (bad_errno)
            return -1;
        count = half(runs, count, copy);
        runs = copy;
    }
    return NEXT(writev)(fd, runs, count);
}

/* --- The rest: fails, but with SHORT, where there is no half ----------------------------- */

#define FAILS(name) (fails(name) && bad_errno)

int ftruncate(int fd, off_t size)
{
    if (track_is_ours(fd) && FAILS("ftruncate"))
        return -1;
    return NEXT(ftruncate)(fd, size);
}

int fallocate(int fd, int mode, off_t at, off_t n)
{
    if (track_is_ours(fd) && FAILS("fallocate"))
        return -1;
    return NEXT(fallocate)(fd, mode, at, n);
}

int posix_fallocate(int fd, off_t at, off_t n)
{
    return fallocate(fd, 0, at, n) == 0 ? 0 : errno;
}

static int fail_flush(int fd)
{
    void (*lost)(int fd) = (void (*)(int fd))dlsym(RTLD_DEFAULT, "powercut_lost");
    int error = errno;

    if (lost)
        lost(fd);
    errno = error;
    return -1;
}

int fsync(int fd)
{
    if (track_is_ours(fd) && FAILS("fsync"))
        return fail_flush(fd);
    return NEXT(fsync)(fd);
}

int fdatasync(int fd)
{
    if (track_is_ours(fd) && FAILS("fdatasync"))
        return fail_flush(fd);
    return NEXT(fdatasync)(fd);
}

ssize_t pread(int fd, void *to, size_t n, off_t at)
{
    if (track_is_ours(fd) && fails("pread")) {
        if (bad_errno)
            return -1;
        n = (n + 1) / 2;
    }
    return NEXT(pread)(fd, to, n, at);
}

static int open_file(int dir, const char *path, int flags, mode_t mode)
{
    char full[PATH_MAX];
    bool is_ours = track_path(dir, path, full);

    if (is_ours && FAILS("open"))
        return -1;
    int fd = NEXT(openat)(dir, path, flags, mode);
    if (fd >= 0 && is_ours)
        track_set(fd, true);
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
    return NEXT(close)(fd);
}

int rename(const char *from, const char *to)
{
    char full[PATH_MAX];

    if (track_path(AT_FDCWD, to, full) && FAILS("rename"))
        return -1;
    return NEXT(rename)(from, to);
}

int unlink(const char *path)
{
    char full[PATH_MAX];

    if (track_path(AT_FDCWD, path, full) && FAILS("unlink"))
        return -1;
    return NEXT(unlink)(path);
}

int link(const char *from, const char *to)
{
    char full[PATH_MAX];

    if (track_path(AT_FDCWD, to, full) && FAILS("link"))
        return -1;
    return NEXT(link)(from, to);
}

int mkdir(const char *path, mode_t mode)
{
    char full[PATH_MAX];

    if (track_path(AT_FDCWD, path, full) && FAILS("mkdir"))
        return -1;
    return NEXT(mkdir)(path, mode);
}

/* The same calls under the names that large-file builds use. */
ssize_t pread64(int fd, void *to, size_t n, off_t at) __attribute__((alias("pread")));
ssize_t pwrite64(int fd, const void *from, size_t n, off_t at) __attribute__((alias("pwrite")));
ssize_t pwritev64(int fd, const struct iovec *runs, int count, off_t at)
    __attribute__((alias("pwritev")));
int ftruncate64(int fd, off_t size) __attribute__((alias("ftruncate")));
int fallocate64(int fd, int mode, off_t at, off_t n) __attribute__((alias("fallocate")));
int posix_fallocate64(int fd, off_t at, off_t n) __attribute__((alias("posix_fallocate")));
int open64(const char *path, int flags, ...) __attribute__((alias("open")));
int openat64(int dir, const char *path, int flags, ...) __attribute__((alias("openat")));
