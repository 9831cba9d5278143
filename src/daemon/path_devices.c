/* The table of devices outlives the process: it is read when the path is opened, and written now
 * and then and at the end.  What was noted since the last time is lost with the machine, and
 * noted again when the device comes again. */
#include "daemon/path_inside.h"

#include "base/mem.h"
#include "os/file.h"
#include "report/report.h"

#include <stdio.h>
#include <stdlib.h>

enum { WRITE_EVERY_MS = 5 * 60 * 1000, FILE_MODE = 0640, FILE_BYTES_MAX = 32 << 20 };

static char *devices_file(const struct path *path)
{
    const char *folder = path->routed_by->settings->state_folder;
    size_t n = strlen(folder) + sizeof "/devices";
    char *file = mem_new(n);

    snprintf(file, n, "%s/devices", folder);
    return file;
}

/* Written by a thread of the pool: the file may be large, and its disk slow. */
struct devices_write {
    struct loop_work work;
    struct path *path;
    char *file;
    enum err err;
};

static enum err write_devices(struct devices *devices, const char *file)
{
    struct buf text;
    size_t count;
    struct device *list = devices_list(devices, &count);
    enum err err;

    buf_init(&text, FILE_BYTES_MAX);
    err = devices_format(list, count, &text);
    if (err == OK)
        err = file_replace(file, buf_bytes(&text), FILE_MODE);
    buf_done(&text);
    free(list);
    return err;
}

static void on_run(struct loop_work *work)
{
    struct devices_write *write = container_of(work, struct devices_write, work);

    write->err = write_devices(&write->path->devices, write->file);
}

static void complain(const char *file, enum err err)
{
    if (err != OK)
        report_notice(
            REPORT_WARNING, "%s: the devices cannot be written: %s", file, err_text(err));
}

static void on_done(struct loop_work *work)
{
    struct devices_write *write = container_of(work, struct devices_write, work);
    struct path *path = write->path;

    complain(write->file, write->err);
    path->is_writing_devices = false;
    if (!path->is_stopping)
        timer_start(&path->devices_due, WRITE_EVERY_MS);
    free(write->file);
    free(write);
}

static void on_due(struct timer *timer)
{
    struct path *path = container_of(timer, struct path, devices_due);
    uint64_t changes = devices_changes(&path->devices);
    struct devices_write *write;

    if (changes == path->devices_written) {
        timer_start(timer, WRITE_EVERY_MS);
        return;
    }
    path->devices_written = changes;
    path->is_writing_devices = true;
    write = mem_new(sizeof *write);
    write->work = (struct loop_work){ .run = on_run, .done = on_done };
    write->path = path;
    write->file = devices_file(path);
    loop_work(path->home, &write->work);
}

void path_open_devices(struct path *path)
{
    char *file = devices_file(path);
    struct buf text;
    enum err err;
    size_t bad;

    rates_init(&path->rates);
    devices_init(&path->devices);
    timer_init(&path->devices_due, path->home, on_due);
    timer_start(&path->devices_due, WRITE_EVERY_MS);
    buf_init(&text, FILE_BYTES_MAX);
    err = file_read_all(file, FILE_BYTES_MAX, &text);
    bad = err == OK ? devices_parse(&path->devices, buf_bytes(&text)) : 0;
    if (err != OK && err != ERR_NONE)
        report_notice(
            REPORT_WARNING, "%s: the devices cannot be read: %s", file, err_text(err));
    if (bad)
        report_notice(
            REPORT_WARNING, "%s: %zu lines are no devices, and were passed over", file, bad);
    buf_done(&text);
    free(file);
}

/* No session is left that could note anything. */
void path_close_devices(struct path *path)
{
    char *file;

    timer_stop(&path->devices_due);
    if (path->is_writing_devices)
        return; /* over the deadline, by a thread that goes with the process */
    file = devices_file(path);
    if (devices_changes(&path->devices) != path->devices_written)
        complain(file, write_devices(&path->devices, file));
    free(file);
    devices_done(&path->devices);
    rates_done(&path->rates);
}
