/* One item on a connection: what is offered to the engine, and its content's way into the
 * output: from memory where it is there, else piece by piece from the spool. */
#include "flow/deliver/internal.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

enum { PIECE_BYTES = 256 << 10 };

static void fill_recipients(struct sending *sending, struct bytes encoded)
{
    struct envelope_cursor cursor;
    struct recipient recipient;
    const struct item *item = sending->item;
    uint32_t at = 0;

    envelope_recipients(encoded, &cursor);
    for (uint32_t i = 0;
         at < item->recipient_count && envelope_next_recipient(&cursor, &recipient); i++) {
        if (item_recipient(item, at) == i)
            sending->recipients[at++] = recipient;
    }
    assert(at == item->recipient_count);
}

static void fill_offer(struct sending *sending, struct bytes encoded)
{
    struct envelope now, *envelope = &now;

    if (envelope_decode(encoded, envelope) != OK)
        abort(); /* it was decoded when the message came in, and its checksum holds */
    sending->prepend = envelope->prepend;
    fill_recipients(sending, encoded);
    sending->is_filled = true;
    sending->offer = (struct smtp_client_message){
        .tag = (uint64_t)(uintptr_t)sending,
        .sender = envelope->sender,
        .envid = envelope->envid,
        .auth = envelope->auth,
        .ret = envelope->ret,
        .body = envelope->body,
        .is_smtputf8 = envelope->is_smtputf8,
        .has_8bit = envelope->has_8bit,
        .has_utf8_header = envelope->has_utf8_header,
        .has_dot_line = envelope->has_dot_line,
        .ends_with_crlf = !envelope->has_dot_line, /* see flow/session/receipt.c */
        .priority = envelope->priority,
        .content_bytes = sending->takeover.n + envelope->prepend.n + sending->content_bytes,
        .recipients = sending->recipients,
        .recipient_count = sending->item->recipient_count,
    };
}

struct crash_work sending_begin(const struct sending *sending)
{
    return crash_begin(item_message(sending->item)->entry.by_mid.mid, "deliver");
}

struct sending *sending_new(struct delivery *delivery, struct item *item)
{
    struct sending *sending = mem_new(sizeof *sending);
    struct message *message = item_message(item);

    sending->delivery = delivery;
    sending->item = item;
    list_init(&sending->in_delivery);
    list_add_last(&delivery->sendings, &sending->in_delivery);
    sending->recipients = &sending->one;
    sending->results = &sending->one_result;
    if (item->recipient_count > 1) {
        sending->recipients = mem_new(item->recipient_count * sizeof *sending->recipients);
        sending->results = mem_new(item->recipient_count * sizeof *sending->results);
    }
    sending->content_bytes = message->entry.content_bytes;
    sending->takeover = message_takeover_header(message);
    if (message_content(message))
        sending->content = spool_content_hold(message_content(message));
    if (!message->is_resting)
        fill_offer(sending, message_envelope(message));
    return sending;
}

static void free_now(struct sending *sending)
{
    spool_content_free(sending->content);
    free(sending->piece);
    free(sending->envelope);
    if (sending->recipients != &sending->one)
        free(sending->recipients);
    if (sending->results != &sending->one_result)
        free(sending->results);
    free(sending);
}

void sending_free(struct sending *sending)
{
    struct delivery *delivery = sending->delivery;

    list_remove(&sending->in_delivery);
    if (delivery->asked == sending)
        delivery->asked = NULL;
    sending->delivery = NULL;
    if (sending->is_reading)
        sending->is_abandoned = true; /* the read frees it */
    else
        free_now(sending);
}

/* --- The content ------------------------------------------------------------------------- */

/* What comes next, as far as it is in memory; empty: it must be read (or all is out). */
static struct bytes next_run(const struct sending *sending)
{
    uint64_t at = sending->done;

    if (at < sending->takeover.n)
        return bytes_skip(sending->takeover, (size_t)at);
    at -= sending->takeover.n;
    if (at < sending->prepend.n)
        return bytes_skip(sending->prepend, (size_t)at);
    at -= sending->prepend.n;
    if (sending->content)
        return spool_content_at(sending->content, at);
    if (sending->piece && at >= sending->piece_from &&
        at < sending->piece_from + sending->piece_n)
        return bytes_of(sending->piece + (at - sending->piece_from),
            (size_t)(sending->piece_from + sending->piece_n - at));
    return BYTES_NONE;
}

static void take_envelope(struct sending *sending, struct spool_read *read)
{
    if (!read->envelope)
        return;
    sending->envelope = read->envelope;
    sending->envelope_n = read->envelope_n;
    fill_offer(sending, bytes_of(sending->envelope, sending->envelope_n));
}

/* The loop has set the message in work: it was, when the read was begun. */
static void on_read(struct spool_read *read)
{
    struct sending *sending = container_of(read, struct sending, read);
    struct delivery *delivery = sending->delivery;

    sending->is_reading = false;
    if (sending->is_abandoned) {
        free(read->at);
        free(read->envelope);
        free_now(sending);
        return;
    }
    if (read->err != OK || (read->n == 0 && sending->content_bytes)) {
        free(read->at);
        free(read->envelope);
        sending->trouble = read->err != OK ? read->err : ERR_CORRUPT;
    } else {
        take_envelope(sending, read);
        free(sending->piece);
        sending->piece = read->at;
        sending->piece_n = read->n;
        sending->piece_from = read->from;
    }
    if (delivery->preparing == sending)
        delivery_prepared(delivery, sending);
    else if (sending->trouble != OK)
        delivery_break(delivery); /* in the middle: what was sent must not look whole */
    else
        delivery_pump(delivery);
}

static void read_piece(struct sending *sending, uint64_t from)
{
    struct delivery *delivery = sending->delivery;

    sending->is_reading = true;
    sending->read.done = on_read;
    sending->read.wants_envelope = !sending->is_filled;
    spool_read(delivery->destination->deliver->spool, &item_message(sending->item)->entry, from,
        PIECE_BYTES, &sending->read);
}

bool sending_is_prepared(const struct sending *sending)
{
    return sending->is_filled &&
           (sending->content || sending->content_bytes == 0 || sending->piece);
}

void sending_prepare(struct sending *sending)
{
    read_piece(sending, 0);
}

void sending_ask(struct sending *sending, bool is_stuffed)
{
    sending->is_asked = true;
    sending->is_stuffed = is_stuffed;
    sending->stuff = SMTP_STUFF_START;
}

static void add(struct sending *sending, struct bytes run, struct buf *out)
{
    enum err err =
        sending->is_stuffed ? smtp_stuff_add(&sending->stuff, run, out) : buf_add(out, run);
    if (err != OK)
        abort(); /* the output was below HIGH, a run is bounded, its ceiling is far above both
                  */
}

void sending_pump(struct sending *sending)
{
    struct conn *conn = sending->delivery->conn;
    uint64_t head = sending->takeover.n + sending->prepend.n;
    uint64_t all = head + sending->content_bytes;

    while (sending->done < all) {
        struct bytes run;
        if (conn_out_is_high(conn) || sending->is_reading)
            return;
        run = next_run(sending);
        if (run.n == 0) {
            read_piece(sending, sending->done - head);
            return;
        }
        run = bytes_first(run, PIECE_BYTES);
        add(sending, run, conn_out(conn));
        sending->done += run.n;
    }
    if (sending->is_stuffed && smtp_stuff_end(&sending->stuff, conn_out(conn)) != OK)
        abort();
    sending->is_all_out = true;
}
