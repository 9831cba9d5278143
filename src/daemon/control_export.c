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

static void read_next(struct export *export, struct message *message);

static void on_read(struct spool_read *read)
{
    struct export *export = container_of(read, struct export, read);
    struct message *message = queue_find(&export->client->control->path->queue, export->mid);

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
    if (!message) {
        client_error(export->client, EX_UNAVAILABLE, "the message left the queue meanwhile");
        finish(export);
        return;
    }
    read_next(export, message);
}

static void read_next(struct export *export, struct message *message)
{
    if (export->is_begun && export->done >= message->entry.content_bytes) {
        client_ok(export->client);
        finish(export);
        return;
    }
    export->read = (struct spool_read){ .done = on_read, .wants_envelope = !export->is_begun };
    export->is_begun = true;
    spool_read(export->client->control->path->spool, &message->entry, export->done, PIECE_BYTES,
        &export->read);
}

void command_export(struct client *client, const struct ctl_object *request)
{
    const char *text = ctl_text(request, "id");
    struct message *message;
    struct export *export;
    struct mid mid;

    if (!text || !mid_parse(bytes_text(text), &mid)) {
        client_error(client, EX_USAGE, "'%s' is no message id", text ? text : "");
        return;
    }
    message = queue_find(&client->control->path->queue, mid);
    if (!message) {
        client_error(client, EX_NOINPUT, "no message %s in the queue", text);
        return;
    }
    export = mem_new(sizeof *export);
    export->client = client;
    export->mid = mid;
    client_begin_work(client);
    read_next(export, message);
}
