/* track: what is still queued of some messages, and what is held of them for others; sync-logs,
 * which its asker says first. */
#include "daemon/control_internal.h"

#include "base/mem.h"
#include "report/report.h"

#include <stdlib.h>

/* The recipients of one item, in the place of all that the message waits for. */
static void add_recipients(
    const struct message *message, const struct item *item, struct ctl_object *row)
{
    struct envelope_cursor cursor;
    struct recipient recipient;
    uint32_t at = 0;

    envelope_recipients(message_envelope(message), &cursor);
    for (uint32_t i = 0;
         at < item->recipient_count && envelope_next_recipient(&cursor, &recipient); i++) {
        if (item_recipient(item, at) != i)
            continue;
        ctl_add_text(row, "to", recipient.address);
        at++;
    }
}

static void queued_rows(struct client *client, const struct message *message)
{
    char id[ID_TEXT_BYTES];

    mid_format(message->entry.by_mid.mid, id);
    for (const struct item *item = &message->first; item; item = item->next) {
        struct ctl_object *row;
        if (item->state == ITEM_DONE || !item->hop)
            continue;
        row = ctl_new();
        ctl_set_text(row, "id", bytes_text(id));
        add_recipients(message, item, row);
        item_add_row(client->control->path, item, row);
        client_row(client, &row);
    }
}

static void copy_row(struct client *client, struct mid mid)
{
    struct ctl_object *row = ctl_new();
    char id[ID_TEXT_BYTES];

    mid_format(mid, id);
    ctl_set_text(row, "id", bytes_text(id));
    copy_add_queue(client->control->path, mid, row);
    if (ctl_text(row, "queue"))
        client_row(client, &row);
    else
        ctl_free(row);
}

/* "ids": a list; those that are not here have no row. */
void command_track(struct client *client, const struct ctl_object *request)
{
    size_t count = ctl_list_count(request, "ids");

    for (size_t i = 0; i < count; i++) {
        const struct message *message;
        struct mid mid;
        if (!mid_parse(bytes_text(ctl_list_text(request, "ids", i)), &mid))
            continue;
        message = queue_find(&client->control->path->queue, mid);
        if (message)
            queued_rows(client, message);
        else
            copy_row(client, mid);
    }
    client_ok(client);
}

/* --- sync-logs --------------------------------------------------------------------------- */

struct sync_job {
    struct loop_work work;
    struct client *client;
    bool is_written;
};

static void on_sync(struct loop_work *work)
{
    container_of(work, struct sync_job, work)->is_written = report_sync();
}

static void on_synced(struct loop_work *work)
{
    struct sync_job *job = container_of(work, struct sync_job, work);
    struct ctl_object *end = ctl_new();

    ctl_set_bool(end, "ok", true);
    ctl_set_bool(end, "written", job->is_written);
    client_end(job->client, &end);
    client_end_work(job->client);
    free(job);
}

void command_sync_logs(struct client *client, const struct ctl_object *request)
{
    struct sync_job *job = mem_new(sizeof *job);

    (void)request;
    job->client = client;
    job->work.run = on_sync;
    job->work.done = on_synced;
    client_begin_work(client);
    loop_work(client->control->path->home, &job->work);
}
