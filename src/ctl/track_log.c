/* The files of the tracking log.  All are opened before any is read, the youngest first: one that
 * is rotated meanwhile is then met twice rather than not at all, and known again by its inode. */
#include "ctl/track.h"

#include "base/mem.h"
#include "report/line.h"

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

struct track_log {
    struct log_file *files; /* the youngest first */
    size_t count;
    uint8_t *chunk; /* CHUNK_BYTES + one line */
    uint8_t room[LINE_BYTES_MAX];
};

static bool is_known(const struct track_log *log, const struct log_file *file)
{
    for (size_t i = 0; i < log->count; i++) {
        if (log->files[i].device == file->device && log->files[i].inode == file->inode)
            return true;
    }
    return false;
}

static bool open_one(struct track_log *log, const char *path)
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
    if (is_known(log, &file))
        close(file.fd);
    else
        log->files[log->count++] = file;
    return true;
}

struct track_log *track_log_open(const char *path, unsigned files_max)
{
    struct track_log *log = mem_new(sizeof *log);
    char name[PATH_BYTES];
    bool any;

    log->files = mem_new((files_max + 1) * sizeof *log->files);
    any = open_one(log, path);
    for (unsigned n = 1; n <= files_max; n++) {
        snprintf(name, sizeof name, "%s.%u", path, n);
        any |= open_one(log, name);
    }
    if (!any) {
        track_log_close(log);
        return NULL;
    }
    log->chunk = mem_new(CHUNK_BYTES + LINE_BYTES_MAX);
    return log;
}

void track_log_close(struct track_log *log)
{
    if (!log)
        return;
    for (size_t i = 0; i < log->count; i++)
        close(log->files[i].fd);
    free(log->files);
    free(log->chunk);
    free(log);
}

struct reading {
    struct track_log *log;
    struct tracking_layout layout;
    void (*each)(void *me, const struct tracking_line *line);
    void *me;
};

static void read_line(struct reading *reading, struct bytes line)
{
    struct tracking_line parsed;

    if (line.n <= LINE_BYTES_MAX &&
        tracking_parse(line, &reading->layout, reading->log->room, &parsed) == TRACKING_LINE)
        reading->each(reading->me, &parsed);
}

/* Reads the whole lines in the first N bytes of the chunk; what is left of the last one moves to
 * the front.  Returns how much that is. */
static size_t read_lines(struct reading *reading, size_t n)
{
    struct bytes rest = bytes_of(reading->log->chunk, n);
    size_t lf;

    while ((lf = bytes_find(rest, '\n')) != BYTES_NOT_FOUND) {
        read_line(reading, bytes_first(rest, lf));
        rest = bytes_skip(rest, lf + 1);
    }
    if (rest.n > LINE_BYTES_MAX)
        return 0; /* no line of ours */
    memmove(reading->log->chunk, rest.at, rest.n);
    return rest.n;
}

/* A last line without its end is being written just now: it is left alone. */
static void read_file(struct reading *reading, int fd)
{
    size_t kept = 0;
    off_t at = 0;
    ssize_t n;

    while ((n = pread(fd, reading->log->chunk + kept, CHUNK_BYTES, at)) > 0) {
        at += n;
        kept = read_lines(reading, kept + (size_t)n);
    }
}

void track_log_each(
    struct track_log *log, void (*each)(void *me, const struct tracking_line *line), void *me)
{
    for (size_t i = log->count; i-- > 0;) {
        struct reading reading = { .log = log, .each = each, .me = me };
        read_file(&reading, log->files[i].fd);
    }
}
