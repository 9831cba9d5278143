/* The lines of the tracking log. */
#include "ctl/track.h"

#include "base/mem.h"
#include "report/line.h"
#include "report/log_files.h"

#include <stdlib.h>

struct track_log {
    struct log_files *files;
    struct tracking_layout layout; /* of the file that is being read */
    void (*each)(void *me, const struct tracking_line *line);
    void *me;
    uint8_t room[LINE_BYTES_MAX];
};

struct track_log *track_log_open(const char *path, unsigned files_max)
{
    struct track_log *log = mem_new(sizeof *log);

    log->files = log_files_open(path, files_max);
    return log;
}

const char *track_log_missing(const struct track_log *log, int *failure)
{
    return log_files_missing(log->files, failure);
}

void track_log_close(struct track_log *log)
{
    if (!log)
        return;
    log_files_close(log->files);
    free(log);
}

static bool on_line(void *me, struct bytes line, bool is_first)
{
    struct track_log *log = me;
    struct tracking_line parsed;

    if (is_first)
        log->layout = (struct tracking_layout){ 0 };
    if (tracking_parse(line, &log->layout, log->room, &parsed) == TRACKING_LINE)
        log->each(log->me, &parsed);
    return true;
}

void track_log_each(
    struct track_log *log, void (*each)(void *me, const struct tracking_line *line), void *me)
{
    log->each = each;
    log->me = me;
    log_files_each(log->files, on_line, log);
}
