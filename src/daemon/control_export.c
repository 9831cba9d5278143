/* `relais message export`: the message as it would be sent, piece by piece. */
#include "daemon/control_internal.h"

#include "base/mem.h"

#include <stdlib.h>
#include <sysexits.h>

enum { PIECE_BYTES = 256 << 10 };

struct export
{
    struct client *client;
    struct mid mid;
    uint64_t done;
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

static void read_next(struct export *export, struct spool_entry *entry);

static void on_read(struct spool_read *read)
{
    struct export *export = container_of(read, struct export, read);
    struct spool_entry *entry = copy_find_entry(export->client->control->path, export->mid);

    if (read->err != OK) {
        client_error(
            export->client, EX_DATAERR, "the message cannot be read: %s", err_text(read->err));
        finish(export);
        return;
    }
    if (read->wants_envelope)
        send_prepend(export->client, bytes_of(read->envelope, read->envelope_n));
    free(read->envelope);
    send_piece(export->client, bytes_of(read->at, read->n));
    export->done += read->n;
    free(read->at);
    if (!entry) {
        client_error(export->client, EX_UNAVAILABLE, "the message left the queue meanwhile");
        finish(export);
        return;
    }
    read_next(export, entry);
}

static void read_next(struct export *export, struct spool_entry *entry)
{
    if (export->is_begun && export->done >= entry->content_bytes) {
        client_ok(export->client);
        finish(export);
        return;
    }
    export->read = (struct spool_read){ .done = on_read,
        .wants_envelope = !export->is_begun && !export->is_unread };
    export->is_begun = true;
    spool_read(
        export->client->control->path->spool, entry, export->done, PIECE_BYTES, &export->read);
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
    message = queue_find(&client->control->path->queue, mid);
    export->is_unread = message && message->is_unread;
    client_begin_work(client);
    read_next(export, entry);
}
