/* All files are opened before any is read, the youngest first: one that is rotated meanwhile is then
 * met twice rather than not at all, and known again by its inode. */
#include "report/log_files.h"

#include "base/mem.h"
#include "report/line.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK_BYTES = 1 << 20, PATH_BYTES = 4096 };

struct log_file {
    int fd;
    dev_t device;
    ino_t inode;
};

struct log_files {
    struct log_file *list; /* the youngest first */
    size_t count;
    uint8_t *chunk; /* CHUNK_BYTES + one line */
};

static bool is_known(const struct log_files *files, const struct log_file *file)
{
    for (size_t i = 0; i < files->count; i++) {
        if (files->list[i].device == file->device && files->list[i].inode == file->inode)
            return true;
    }
    return false;
}

static bool open_one(struct log_files *files, const char *path)
{
    struct log_file file;
    struct stat facts;

    file.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file.fd < 0)
        return false;
    if (fstat(file.fd, &facts) != 0 || !S_ISREG(facts.st_mode)) {
        close(file.fd);
        return true;
    }
    file.device = facts.st_dev;
    file.inode = facts.st_ino;
    if (is_known(files, &file))
        close(file.fd);
    else
        files->list[files->count++] = file;
    return true;
}

struct log_files *log_files_open(const char *path, unsigned files_max)
{
    struct log_files *files = mem_new(sizeof *files);
    char name[PATH_BYTES];
    int failure;
    bool any;

    files->list = mem_new((files_max + 1) * sizeof *files->list);
    any = open_one(files, path);
    failure = errno;
    for (unsigned n = 1; n <= files_max; n++) {
        snprintf(name, sizeof name, "%s.%u", path, n);
        any |= open_one(files, name);
    }
    if (!any) {
        log_files_close(files);
        errno = failure;
        return NULL;
    }
    files->chunk = mem_new(CHUNK_BYTES + LINE_BYTES_MAX);
    return files;
}

void log_files_close(struct log_files *files)
{
    if (!files)
        return;
    for (size_t i = 0; i < files->count; i++)
        close(files->list[i].fd);
    free(files->list);
    free(files->chunk);
    free(files);
}

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

static void read_file(struct reading *reading, int fd)
{
    size_t kept = 0;
    off_t at = 0;
    ssize_t n;

    while (!reading->is_over && (n = pread(fd, reading->chunk + kept, CHUNK_BYTES, at)) > 0) {
        at += n;
        kept = read_lines(reading, kept + (size_t)n);
    }
}

void log_files_each(
    struct log_files *files, bool (*each)(void *me, struct bytes line, bool is_first), void *me)
{
    bool is_over = false;

    for (size_t i = files->count; !is_over && i-- > 0;) {
        struct reading reading = { .chunk = files->chunk, .each = each, .me = me };
        read_file(&reading, files->list[i].fd);
        is_over = reading.is_over;
    }
}
