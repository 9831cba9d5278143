#include "os/file.h"

#include "os/errno.h"
#include "os/file_faults.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* The result of a call that gives 0, or -1 and errno. */
static enum err err_of(int result)
{
    return result < 0 ? err_of_errno(errno) : OK;
}

static enum err open_with(const char *path, unsigned mode, int flags, struct file *out)
{
    struct file_event event = { FILE_CALL_OPEN, .fd = -1, .path = path, .mode = mode };
    enum err err = file_before(&event, NULL);

    if (err != OK)
        return err;
    do
        event.fd = open(path, flags | O_CLOEXEC, 0600);
    while (event.fd < 0 && errno == EINTR);
    err = file_after(&event, err_of(event.fd));
    if (err == OK)
        out->fd = event.fd;
    return err;
}

enum err file_open(const char *path, unsigned mode, struct file *out)
{
    int flags = mode & FILE_WRITE ? (mode & FILE_READ ? O_RDWR : O_WRONLY) : O_RDONLY;

    if (mode & FILE_CREATE)
        flags |= O_CREAT | O_EXCL;
    return open_with(path, mode, flags, out);
}

void file_close(struct file *file)
{
    /* Not again on EINTR: Linux has closed it by then, and the number may be another's. */
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}

enum err file_read_some(struct file file, void *to, size_t n, uint64_t at, size_t *got)
{
    size_t have = 0;

    while (have < n) {
        struct file_event event = { FILE_CALL_READ, .fd = file.fd, .at = at + have,
            .n = n - have };
        size_t ask = event.n;
        ssize_t result;
        enum err err = file_before(&event, &ask);
        if (err != OK)
            return err;
        result = pread(file.fd, (uint8_t *)to + have, ask, (off_t)(at + have));
        if (result < 0 && errno == EINTR)
            continue;
        event.n = result < 0 ? 0 : (size_t)result;
        err = file_after(&event, result < 0 ? err_of_errno(errno) : OK);
        if (err != OK)
            return err;
        if (result == 0)
            break;
        have += (size_t)result;
    }
    *got = have;
    return OK;
}

enum err file_read_at(struct file file, void *to, size_t n, uint64_t at)
{
    size_t got;
    enum err err = file_read_some(file, to, n, at, &got);

    if (err != OK)
        return err;
    return got == n ? OK : ERR_NONE;
}

/* Skips N written bytes; returns how many of the runs are used up. */
static size_t runs_skip(struct iovec *runs, size_t run_count, size_t n)
{
    size_t used = 0;

    while (used < run_count && n >= runs[used].iov_len)
        n -= runs[used++].iov_len;
    if (n) {
        runs[used].iov_base = (char *)runs[used].iov_base + n;
        runs[used].iov_len -= n;
    }
    return used;
}

/* One pwritev() of at most N_MAX bytes. */
static ssize_t write_once(
    int fd, struct iovec *runs, size_t run_count, uint64_t at, size_t n_max)
{
    size_t count = 0, n = 0, cut = 0;
    ssize_t result;
    int saved;

    while (count < run_count && count < IOV_MAX && n < n_max)
        n += runs[count++].iov_len;
    if (n > n_max)
        cut = n - n_max;
    if (count)
        runs[count - 1].iov_len -= cut;
    result = pwritev(fd, runs, (int)count, (off_t)at);
    saved = errno;
    if (count)
        runs[count - 1].iov_len += cut;
    errno = saved;
    return result;
}

enum err file_writev_at(struct file file, struct iovec *runs, size_t run_count, uint64_t at)
{
    size_t left = 0;

    for (size_t i = 0; i < run_count; i++)
        left += runs[i].iov_len;
    while (left) {
        struct file_event event = { FILE_CALL_WRITE, .fd = file.fd, .at = at, .n = left };
        size_t n_max = left, used;
        ssize_t result;
        enum err err = file_before(&event, &n_max);
        if (err != OK)
            return err;
        result = write_once(file.fd, runs, run_count, at, n_max);
        if (result < 0 && errno == EINTR)
            continue;
        if (result ==
            0) { /* no kernel says this of a file; without an end it would be a loop */
            result = -1;
            errno = EIO;
        }
        event.n = result < 0 ? 0 : (size_t)result;
        err = file_after(&event, result < 0 ? err_of_errno(errno) : OK);
        if (err != OK)
            return err;
        used = runs_skip(runs, run_count, event.n);
        runs += used;
        run_count -= used;
        left -= event.n;
        at += event.n;
    }
    return OK;
}

enum err file_write_at(struct file file, struct bytes bytes, uint64_t at)
{
    union {
        const void *from;
        void *base;
    } u = { bytes.at };
    struct iovec run = { u.base, bytes.n }; /* only read from */

    return file_writev_at(file, &run, 1, at);
}

static enum err sync_with(struct file file, int (*sync)(int fd))
{
    struct file_event event = { FILE_CALL_SYNC, .fd = file.fd };
    enum err err = file_before(&event, NULL);
    int result;

    if (err != OK)
        return err;
    do
        result = sync(file.fd);
    while (result < 0 && errno == EINTR);
    return file_after(&event, err_of(result));
}

enum err file_sync_data(struct file file)
{
    return sync_with(file, fdatasync);
}

enum err file_sync(struct file file)
{
    return sync_with(file, fsync);
}

enum err file_size(struct file file, uint64_t *out)
{
    struct stat s;

    if (fstat(file.fd, &s) < 0)
        return err_of_errno(errno);
    *out = (uint64_t)s.st_size;
    return OK;
}

enum err file_truncate(struct file file, uint64_t bytes)
{
    struct file_event event = { FILE_CALL_TRUNCATE, .fd = file.fd, .n = bytes };
    enum err err = file_before(&event, NULL);
    int result;

    if (err != OK)
        return err;
    do
        result = ftruncate(file.fd, (off_t)bytes);
    while (result < 0 && errno == EINTR);
    return file_after(&event, err_of(result));
}

/* Zeros from the end of the file up to BYTES, where the file system cannot allocate. */
static enum err fill_with_zeros(struct file file, uint64_t bytes)
{
    static const uint8_t zeros[64 << 10];
    uint64_t at;
    enum err err = file_size(file, &at);

    while (err == OK && at < bytes) {
        size_t n = bytes - at < sizeof zeros ? (size_t)(bytes - at) : sizeof zeros;
        err = file_write_at(file, bytes_of(zeros, n), at);
        at += n;
    }
    return err;
}

enum err file_allocate(struct file file, uint64_t bytes)
{
    struct file_event event = { FILE_CALL_ALLOCATE, .fd = file.fd, .n = bytes };
    enum err err = file_before(&event, NULL);
    int result;

    if (err != OK)
        return err;
    do
        result = fallocate(file.fd, 0, 0, (off_t)bytes);
    while (result < 0 && errno == EINTR);
    if (result < 0 && (errno == EOPNOTSUPP || errno == ENOSYS))
        return fill_with_zeros(file, bytes);
    return file_after(&event, err_of(result));
}

enum err file_rename(const char *from, const char *to)
{
    struct file_event event = { FILE_CALL_RENAME, .fd = -1, .path = from, .to = to };
    enum err err = file_before(&event, NULL);

    return err != OK ? err : file_after(&event, err_of(rename(from, to)));
}

enum err file_link(const char *from, const char *to)
{
    struct file_event event = { FILE_CALL_LINK, .fd = -1, .path = from, .to = to };
    enum err err = file_before(&event, NULL);

    return err != OK ? err : file_after(&event, err_of(link(from, to)));
}

enum err file_remove(const char *path)
{
    struct file_event event = { FILE_CALL_REMOVE, .fd = -1, .path = path };
    enum err err = file_before(&event, NULL);

    return err != OK ? err : file_after(&event, err_of(unlink(path)));
}

/* Until the end rather than up to its size: a file in /proc has none. */
static enum err read_to_end(struct file file, size_t bytes_max, struct buf *out)
{
    uint64_t at = 0;
    size_t got;

    do {
        size_t want = at < bytes_max ? bytes_max - (size_t)at : 1;
        uint8_t *to;
        enum err err;
        if (want > 16 << 10)
            want = 16 << 10;
        to = buf_room(out, want);
        if (!to)
            return ERR_LIMIT;
        err = file_read_some(file, to, want, at, &got);
        if (err != OK)
            return err;
        at += got;
        if (at > bytes_max)
            return ERR_LIMIT;
        buf_wrote(out, got);
    } while (got);
    return OK;
}

enum err file_read_all(const char *path, size_t bytes_max, struct buf *out)
{
    struct file file = { -1 };
    size_t before = out->n;
    enum err err = file_open(path, FILE_READ, &file);

    if (err != OK)
        return err;
    err = read_to_end(file, bytes_max, out);
    if (err != OK)
        out->n = before;
    file_close(&file);
    return err;
}

enum err file_lock(const char *path, struct file *out)
{
    struct file file = { -1 };
    enum err err = open_with(path, FILE_READ | FILE_WRITE, O_RDWR | O_CREAT, &file);
    int result;

    if (err != OK)
        return err;
    do
        result = flock(file.fd, LOCK_EX | LOCK_NB);
    while (result < 0 && errno == EINTR);
    if (result < 0) {
        err = err_of_errno(errno);
        file_close(&file);
        return err;
    }
    *out = file;
    return OK;
}
