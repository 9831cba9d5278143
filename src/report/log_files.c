/* All files are looked for before any is read, the youngest first: one that is rotated meanwhile is then
 * met twice rather than not at all, and known again by its inode.
 *
 * The oldest stay open, for rotation removes one of them each time.  The others only move up: each is
 * looked for where it stood when its turn comes, and above. */
#include "report/log_files.h"

#include "base/mem.h"
#include "report/line.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK_BYTES = 1 << 20, PATH_BYTES = 4096, HELD_MAX = 32 };

struct log_file {
    unsigned number; /* where it stood last: PATH.NUMBER; 0: PATH */
    int fd;          /* -1: is opened when it is read */
    dev_t device;
    ino_t inode;
};

struct log_files {
    char *path;
    unsigned files_max;
    struct log_file *list; /* the youngest first */
    size_t count;
    uint8_t *chunk; /* CHUNK_BYTES + one line */
    char missing[PATH_BYTES];
    int failure; /* of MISSING; 0: nothing is */
};

static void file_name(const struct log_files *files, unsigned number, char name[PATH_BYTES])
{
    if (number)
        snprintf(name, PATH_BYTES, "%s.%u", files->path, number);
    else
        snprintf(name, PATH_BYTES, "%s", files->path);
}

static void note_missing(struct log_files *files, unsigned number, int failure)
{
    if (files->failure)
        return;
    file_name(files, number, files->missing);
    files->failure = failure;
}

const char *log_files_missing(const struct log_files *files, int *failure)
{
    *failure = files->failure;
    return files->failure ? files->missing : NULL;
}

/* --- Finding them ------------------------------------------------------------------------ */

static bool is_same(const struct log_file *a, const struct log_file *b)
{
    return a->device == b->device && a->inode == b->inode;
}

/* False: there is none of that number, or none that can be read. */
static bool open_one(struct log_files *files, unsigned number, struct log_file *out)
{
    struct log_file file = { .number = number };
    char name[PATH_BYTES];
    struct stat facts;

    file_name(files, number, name);
    file.fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file.fd < 0 || fstat(file.fd, &facts) != 0) {
        if (errno != ENOENT)
            note_missing(files, number, errno);
        if (file.fd >= 0)
            close(file.fd);
        return false;
    }
    file.device = facts.st_dev;
    file.inode = facts.st_ino;
    *out = file;
    if (S_ISREG(facts.st_mode))
        return true;
    close(file.fd);
    return false;
}

static void let_go(struct log_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}

static void add(struct log_files *files, struct log_file file)
{
    for (size_t i = 0; i < files->count; i++) {
        if (is_same(&files->list[i], &file)) {
            let_go(&file);
            return;
        }
    }
    files->list[files->count++] = file;
    if (files->count > HELD_MAX)
        let_go(&files->list[files->count - 1 - HELD_MAX]);
}

struct log_files *log_files_open(const char *path, unsigned files_max)
{
    struct log_files *files = mem_new(sizeof *files);
    struct log_file file;

    files->path = mem_text(path);
    files->files_max = files_max;
    files->list = mem_new((files_max + 1) * sizeof *files->list);
    files->chunk = mem_new(CHUNK_BYTES + LINE_BYTES_MAX);
    for (unsigned n = 0; n <= files_max; n++)
        if (open_one(files, n, &file))
            add(files, file);
    if (files->count == 0 && access(path, F_OK) != 0)
        note_missing(files, 0, errno);
    return files;
}

void log_files_close(struct log_files *files)
{
    if (!files)
        return;
    for (size_t i = 0; i < files->count; i++)
        let_go(&files->list[i]);
    free(files->list);
    free(files->chunk);
    free(files->path);
    free(files);
}

/* As it was found, wherever it stands now. */
static int open_again(struct log_files *files, struct log_file *file)
{
    for (unsigned n = file->number; n <= files->files_max; n++) {
        struct log_file now;
        if (!open_one(files, n, &now))
            continue;
        if (is_same(&now, file)) {
            file->number = n;
            return now.fd;
        }
        close(now.fd);
    }
    note_missing(files, file->number, ENOENT);
    return -1;
}

/* --- Reading them ------------------------------------------------------------------------ */

struct reading {
    uint8_t *chunk;
    bool (*each)(void *me, struct bytes line, bool is_first);
    void *me;
    bool is_begun;  /* a line of this file was met */
    bool is_inside; /* of one that is too long */
    bool is_over;
};

static void take_line(struct reading *reading, struct bytes line)
{
    bool is_inside = reading->is_inside;

    reading->is_inside = false;
    if (is_inside || line.n >= LINE_BYTES_MAX)
        return;
    reading->is_over = !reading->each(reading->me, line, !reading->is_begun);
    reading->is_begun = true;
}

/* Reads the whole lines in the first N bytes of the chunk; what is left of the last one moves to
 * the front.  Returns how much that is. */
static size_t read_lines(struct reading *reading, size_t n)
{
    struct bytes rest = bytes_of(reading->chunk, n);
    size_t lf;

    while (!reading->is_over && (lf = bytes_find(rest, '\n')) != BYTES_NOT_FOUND) {
        take_line(reading, bytes_first(rest, lf));
        rest = bytes_skip(rest, lf + 1);
    }
    if (rest.n > LINE_BYTES_MAX) {
        reading->is_inside = true;
        return 0;
    }
    memmove(reading->chunk, rest.at, rest.n);
    return rest.n;
}

/* False: not all of it could be read. */
static bool read_all(struct reading *reading, int fd)
{
    size_t kept = 0;
    off_t at = 0;
    ssize_t n = 0;

    while (!reading->is_over && (n = pread(fd, reading->chunk + kept, CHUNK_BYTES, at)) > 0) {
        at += n;
        kept = read_lines(reading, kept + (size_t)n);
    }
    return n >= 0;
}

static void read_file(struct log_files *files, struct log_file *file, struct reading *reading)
{
    int fd = file->fd >= 0 ? file->fd : open_again(files, file);

    if (fd < 0)
        return;
    if (!read_all(reading, fd))
        note_missing(files, file->number, errno);
    if (fd != file->fd)
        close(fd);
}

void log_files_each(
    struct log_files *files, bool (*each)(void *me, struct bytes line, bool is_first), void *me)
{
    bool is_over = false;

    for (size_t i = files->count; !is_over && i-- > 0;) {
        struct reading reading = { .chunk = files->chunk, .each = each, .me = me };
        read_file(files, &files->list[i], &reading);
        is_over = reading.is_over;
    }
}
