/* `relais message export`: the message as it would be sent, piece by piece: the next one is read when
 * the client has taken the one before, so a message of any size takes the memory of one. */
#include "daemon/control_internal.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

enum { PIECE_BYTES = 256 << 10 };

struct export
{
    struct client *client;
    struct mid mid;
    uint64_t content_bytes, done;
    bool is_begun;
    bool is_unread; /* its envelope is not looked at: without our trace fields */
    struct spool_read read;
};

static void finish(struct export *export)
{
    client_end_work(export->client);
    free(export);
}

static void send_piece(struct client *client, struct bytes piece)
{
    struct ctl_object *row = ctl_new();

    ctl_set_data(row, "data", piece);
    client_row(client, &row);
}

static void send_prepend(struct client *client, struct bytes encoded)
{
    struct envelope envelope;

    if (envelope_decode(encoded, &envelope) == OK)
        send_piece(client, envelope.prepend);
}

static void on_read(struct spool_read *read);

static void fail(struct export *export, int code, const char *why)
{
    client_error(export->client, code, "%s", why);
    finish(export);
}

static void read_next(struct export *export, struct spool_entry *entry)
{
    export->read = (struct spool_read){ .done = on_read,
        .wants_envelope = !export->is_begun && !export->is_unread };
    export->is_begun = true;
    spool_read(
        export->client->control->path->spool, entry, export->done, PIECE_BYTES, &export->read);
}

static void on_room(void *me)
{
    struct export *export = me;
    struct spool_entry *entry = copy_find_entry(export->client->control->path, export->mid);

    if (client_is_gone(export->client)) {
        finish(export);
    } else if (export->done >= export->content_bytes) {
        client_ok(export->client);
        finish(export);
    } else if (!entry) {
        fail(export, EX_NOINPUT, "the message left the queue meanwhile");
    } else {
        read_next(export, entry);
    }
}

static void on_read(struct spool_read *read)
{
    struct export *export = container_of(read, struct export, read);
    char why[100];

    if (read->err != OK) {
        snprintf(why, sizeof why, "the message cannot be read: %s", err_text(read->err));
        fail(export, EX_DATAERR, why);
        return;
    }
    if (read->wants_envelope)
        send_prepend(export->client, bytes_of(read->envelope, read->envelope_n));
    free(read->envelope);
    send_piece(export->client, bytes_of(read->at, read->n));
    export->done += read->n;
    free(read->at);
    if (!client_must_wait(export->client, on_room, export))
        on_room(export);
}

void command_export(struct client *client, const struct ctl_object *request)
{
    const char *text = ctl_text(request, "id");
    const struct message *message;
    struct spool_entry *entry;
    struct export *export;
    struct mid mid;

    if (!text || !mid_parse(bytes_text(text), &mid)) {
        client_error(client, EX_USAGE, "'%s' is no message id", text ? text : "");
        return;
    }
    entry = copy_find_entry(client->control->path, mid);
    if (!entry || entry->is_word) {
        copy_refuse(client, mid, text);
        return;
    }
    export = mem_new(sizeof *export);
    export->client = client;
    export->mid = mid;
    export->content_bytes = entry->content_bytes;
    message = queue_find(&client->control->path->queue, mid);
    export->is_unread = message && message->is_unread;
    client_begin_work(client);
    read_next(export, entry);
}
