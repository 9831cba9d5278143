#include "report/out.h"

#include "base/mem.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* What was given to us, by a link as /dev/stdout is, is not ours to move away. */
static bool is_standard(const struct stat *facts)
{
    struct stat other;

    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fstat(fd, &other) == 0 && other.st_dev == facts->st_dev &&
            other.st_ino == facts->st_ino)
            return true;
    }
    return false;
}

/* BYTES: of a file; of a device or pipe 0. */
static enum err open_file(const char *path, int *fd, uint64_t *bytes, bool *may_move)
{
    struct stat facts;
    /* O_APPEND: what several processes write stays whole lines; O_NONBLOCK: opening a pipe
     * without a reader must not hang the daemon. */
    int got = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640);

    if (got < 0)
        return errno == EACCES || errno == EPERM || errno == EROFS ? ERR_DENIED
               : errno == ENOENT || errno == ENOTDIR               ? ERR_NONE
               : errno == ENOSPC || errno == EDQUOT                ? ERR_SPACE
                                                                   : ERR_SYSTEM;
    *may_move = fstat(got, &facts) == 0 && S_ISREG(facts.st_mode);
    *bytes = *may_move ? (uint64_t)facts.st_size : 0;
    *may_move = *may_move && !is_standard(&facts);
    *fd = got;
    return OK;
}

/* Writes it all, or returns what is left; a slow reader of a pipe or terminal is waited for at most
 * a second. */
static struct bytes write_most(int fd, struct bytes bytes)
{
    while (bytes.n) {
        ssize_t n = write(fd, bytes.at, bytes.n);
        if (n > 0) {
            bytes = bytes_skip(bytes, (size_t)n);
        } else if (n < 0 && errno == EAGAIN) {
            struct pollfd wait = { .fd = fd, .events = POLLOUT };
            if (poll(&wait, 1, 1000) <= 0)
                break;
        } else if (n == 0 || errno != EINTR) {
            break;
        }
    }
    return bytes;
}

static bool write_all(int fd, struct bytes bytes)
{
    return write_most(fd, bytes).n == 0;
}

static void begin(struct out *out)
{
    if (out->header && out->bytes == 0 && write_all(out->fd, bytes_text(out->header)))
        out->bytes += strlen(out->header);
}

/* A full disk, a lost connection to one, a crash: the last line of a file that was there may have
 * been cut in the middle. */
static bool ends_torn(const char *path, uint64_t bytes)
{
    char last = '\n';
    int fd = bytes ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;

    if (fd < 0)
        return false;
    if (pread(fd, &last, 1, (off_t)bytes - 1) != 1)
        last = '\n';
    close(fd);
    return last != '\n';
}

enum err out_open(const char *path, const char *header, uint64_t bytes_max, unsigned files_max,
    struct out *out, char why[256])
{
    struct out made = { .header = header, .bytes_max = bytes_max, .files_max = files_max };
    bool may_move;
    enum err err;

    err_ignore(folder_make_for(path, 0750)); /* the next call says what is wrong */
    err = open_file(path, &made.fd, &made.bytes, &may_move);
    if (err != OK) {
        snprintf(why, 256, "%.180s: %s", path, err_text(err));
        return err;
    }
    if (!may_move)
        made.bytes_max = 0;
    made.path = mem_text(path);
    made.is_torn = ends_torn(path, made.bytes);
    begin(&made);
    *out = made;
    return OK;
}

void out_stderr(struct out *out)
{
    *out = (struct out){ .fd = STDERR_FILENO, .is_borrowed = true };
}

void out_close(struct out *out)
{
    if (out->fd >= 0 && !out->is_borrowed)
        close(out->fd);
    free(out->path);
    *out = OUT_CLOSED;
}

static void numbered(const char *path, unsigned number, char name[4096])
{
    if (number)
        snprintf(name, 4096, "%s.%u", path, number);
    else
        snprintf(name, 4096, "%s", path);
}

/* path.1 to path.2 and so on, path to path.1, the new file to path.  When there can be no new one
 * the old one is gone on with, and none is moved: a log that is too large is better than none. */
static void rotate(struct out *out)
{
    char next[4096], from[4096], to[4096];
    int fd;
    uint64_t bytes;
    bool may_move;

    snprintf(next, sizeof next, "%s.next", out->path);
    if (open_file(next, &fd, &bytes, &may_move) != OK)
        return;
    for (unsigned n = out->files_max; n > 0; n--) {
        numbered(out->path, n - 1, from);
        numbered(out->path, n, to);
        err_ignore(file_rename(from, to)); /* the first times there are fewer files */
    }
    err_ignore(file_rename(next, out->path)); /* with no old ones to be kept, over the last */
    close(out->fd);
    out->fd = fd;
    out->bytes = bytes;
    out->is_torn = false;
    begin(out);
}

static uint64_t count_lines(struct bytes lines)
{
    uint64_t n = 0;

    for (size_t at; (at = bytes_find(lines, '\n')) != BYTES_NOT_FOUND; n++)
        lines = bytes_skip(lines, at + 1);
    return n;
}

/* A full disk may have cut a line in the middle: the next one must not go on with it. */
static bool end_torn_line(struct out *out)
{
    if (out->is_torn && !write_all(out->fd, BYTES("\n")))
        return false;
    out->bytes += out->is_torn;
    out->is_torn = false;
    return true;
}

uint64_t out_write(struct out *out, struct bytes lines)
{
    struct bytes left;
    uint64_t lost;

    if (out->fd < 0 || lines.n == 0)
        return 0;
    if (out->path && out->bytes_max && out->bytes && out->bytes + lines.n > out->bytes_max)
        rotate(out);
    left = end_torn_line(out) ? write_most(out->fd, lines) : lines;
    out->bytes += lines.n - left.n;
    if (left.n) {
        out->lost += count_lines(left);
        if (left.n < lines.n)
            out->is_torn = left.at[-1] != '\n';
        return 0;
    }
    lost = out->lost;
    out->lost = 0;
    return lost;
}

void out_write_raw(const struct out *out, struct bytes lines)
{
    if (out->fd >= 0)
        (void)!write_all(out->fd, lines);
}
