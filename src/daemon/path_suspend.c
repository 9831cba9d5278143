/* What the administrator has suspended.
 *
 * A message's word stands in the spool, with its recipients' outcomes (spool_suspend()).  A next
 * hop is in no spool: its name stands in the file `suspended` in the state folder, one a line,
 * read at the start, for hops come and go.  Both are this node's alone: a node that takes a
 * message over delivers it. */
#include "daemon/path_inside.h"

#include "base/mem.h"
#include "os/file.h"
#include "report/report.h"

#include <stdio.h>
#include <stdlib.h>

enum { FILE_BYTES_MAX = 8 << 20, FILE_MODE = 0640, FOLDER_MODE = 0750 };

bool path_suspend(struct path *path, struct message *message, bool suspended)
{
    if (message->is_suspended == suspended)
        return true;
    if (message->is_poison)
        return path_forgive(path, message);
    spool_suspend(path->spool, &message->entry, suspended);
    if (suspended)
        queue_suspend(&path->queue, message);
    else
        queue_resume(&path->queue, message);
    return true;
}

/* --- Names ------------------------------------------------------------------------------- */

static size_t find(const struct suspended_names *names, const char *name)
{
    size_t i = 0;

    while (i < names->count && strcmp(names->list[i], name) != 0)
        i++;
    return i;
}

static void add(struct suspended_names *names, struct bytes name)
{
    names->list = mem_grow(names->list, (names->count + 1) * sizeof *names->list);
    names->list[names->count++] = bytes_to_text(name);
}

static void take_away(struct suspended_names *names, size_t at)
{
    free(names->list[at]);
    names->list[at] = names->list[--names->count];
}

static enum err write_names(const struct suspended_names *names)
{
    struct buf text;
    enum err err = OK;

    buf_init(&text, FILE_BYTES_MAX);
    for (size_t i = 0; err == OK && i < names->count; i++)
        err = buf_printf(&text, "%s\n", names->list[i]);
    if (err == OK)
        err = file_replace(names->file, buf_bytes(&text), FILE_MODE);
    buf_done(&text);
    return err;
}

/* The list as it is to be, each name its own; free_names(). */
static void copy_names(const struct suspended_names *from, struct suspended_names *to)
{
    *to = (struct suspended_names){ .file = from->file };
    for (size_t i = 0; i < from->count; i++)
        add(to, bytes_text(from->list[i]));
}

static void free_names(struct suspended_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->list[i]);
    free(names->list);
}

/* By its whole name: another's number may look the same. */
static void set_hop(struct path *path, const char *name, bool suspended)
{
    list_each (node, &path->queue.all_hops) {
        struct hop *hop = container_of(node, struct hop, in_hops);
        if (strcmp(hop->name, name) == 0 && hop->is_suspended != suspended)
            queue_suspend_hop(&path->queue, hop, suspended);
    }
}

enum err path_suspend_hops(struct path *path, char *const *list, size_t count, bool suspended)
{
    struct suspended_names names;
    enum err err;

    copy_names(&path->suspended, &names);
    for (size_t i = 0; i < count; i++) {
        size_t at = find(&names, list[i]);
        if (suspended && at == names.count)
            add(&names, bytes_text(list[i]));
        else if (!suspended && at < names.count)
            take_away(&names, at);
    }
    err = folder_make(path->routed_by->settings->state_folder, FOLDER_MODE);
    if (err == OK)
        err = write_names(&names);
    if (err != OK) {
        free_names(&names);
        return err;
    }
    free_names(&path->suspended);
    path->suspended = names;
    for (size_t i = 0; i < count; i++)
        set_hop(path, list[i], suspended);
    return OK;
}

bool path_is_suspended_name(const struct path *path, const char *name)
{
    return find(&path->suspended, name) < path->suspended.count;
}

static bool is_suspended(struct queue *queue, const char *name)
{
    return path_is_suspended_name(queue->me, name);
}

/* --- Beginning and end ------------------------------------------------------------------- */

static void read_lines(struct suspended_names *names, struct bytes text)
{
    while (text.n) {
        size_t end = bytes_find(text, '\n');
        struct bytes line = bytes_trim(bytes_first(text, end));
        if (line.n)
            add(names, line);
        if (end == BYTES_NOT_FOUND)
            return;
        text = bytes_skip(text, end + 1);
    }
}

void path_open_suspended(struct path *path, const struct settings *settings)
{
    struct suspended_names *names = &path->suspended;
    size_t n = strlen(settings->state_folder) + sizeof "/suspended";
    struct buf text;
    enum err err;

    names->file = mem_new(n);
    snprintf(names->file, n, "%s/suspended", settings->state_folder);
    buf_init(&text, FILE_BYTES_MAX);
    err = file_read_all(names->file, FILE_BYTES_MAX, &text);
    if (err == OK)
        read_lines(names, buf_bytes(&text));
    else if (err != ERR_NONE)
        report_notice(REPORT_ERROR, "%s: which queues are suspended cannot be read: %s",
            names->file, err_text(err));
    buf_done(&text);
    path->queue.is_suspended = is_suspended;
}

void path_close_suspended(struct path *path)
{
    free_names(&path->suspended);
    free(path->suspended.file);
}
