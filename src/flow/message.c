#include "flow/message.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

static void item_init(struct item *item)
{
    *item = (struct item){ .state = ITEM_NEW };
    list_init(&item->in_hop);
}

static struct item *further_item_new(struct message *message)
{
    struct further_item *further = mem_new(sizeof *further);

    item_init(&further->item);
    further->item.is_further = true;
    further->message = message;
    return &further->item;
}

static void item_done(struct item *item)
{
    assert(!list_is_linked(&item->in_hop));
    shared_text_free(item->last_error);
    if (item->recipient_count > 1)
        free(item->recipients.many);
}

struct message *message_new(
    struct mid mid, struct bytes envelope, uint32_t recipient_count, struct wall arrived)
{
    struct message *message = mem_new(sizeof *message);

    list_init(&message->in_queue);
    list_init(&message->entry.in_segment);
    message->entry.by_mid.mid = mid;
    message->arrived = arrived;
    message->pending_count = recipient_count;
    message->envelope_bytes = (uint32_t)envelope.n;
    message->envelope = mem_copy(envelope.at, envelope.n);
    message->priority = PRIORITY_NORMAL;
    item_init(&message->first);
    return message;
}

void message_clear_items(struct message *message)
{
    struct item *item = message->first.next;

    while (item) {
        struct item *next = item->next;
        item_done(item);
        free(container_of(item, struct further_item, item));
        item = next;
    }
    item_done(&message->first);
    item_init(&message->first);
}

void message_free(struct message *message)
{
    if (!message)
        return;
    message_clear_items(message);
    spool_content_free(message->content);
    free(message->envelope);
    free(message->takeover);
    free(message);
}

void message_set_takeover(
    struct message *message, uint16_t generation, struct bytes from, struct bytes header)
{
    struct takeover *takeover = mem_new(sizeof *takeover + from.n + 1 + header.n);

    takeover->generation = generation;
    memcpy(takeover->from, from.at, from.n);
    takeover->header_at = (uint16_t)(from.n + 1);
    takeover->header_bytes = (uint16_t)header.n;
    memcpy(takeover->from + takeover->header_at, header.at, header.n);
    free(message->takeover);
    message->takeover = takeover;
}

static void shorten_envelope(struct message *message)
{
    struct bytes encoded = message_envelope(message);
    struct envelope_cursor cursor;
    struct recipient few[4], *recipients = few;
    struct envelope envelope;
    struct buf shorter;

    if (envelope_decode(encoded, &envelope) != OK)
        abort(); /* it was decoded when the message came in, and lies in our memory */
    if (envelope.recipient_count > 4)
        recipients = mem_new(envelope.recipient_count * sizeof *recipients);
    envelope_recipients(encoded, &cursor);
    for (size_t i = 0; i < envelope.recipient_count; i++)
        if (!envelope_next_recipient(&cursor, &recipients[i]))
            abort(); /* its count was checked when it was decoded */
    envelope.recipients = recipients;
    envelope.prepend = envelope.message_id = BYTES_NONE;
    envelope.client_name = envelope.client_user = BYTES_NONE; /* its address: for filters */
    buf_init(&shorter, ENVELOPE_BYTES_MAX);
    if (envelope_encode(&envelope, &shorter) != OK)
        abort(); /* shorter than it was */
    message->envelope_bytes = (uint32_t)shorter.n;
    free(message->envelope);
    message->envelope = mem_copy(shorter.at, shorter.n);
    buf_done(&shorter);
    if (recipients != few)
        free(recipients);
}

void message_rest(struct message *message)
{
    if (message->delivering_count)
        return;
    spool_content_free(message->content);
    message->content = NULL;
    if (!message->is_resting)
        shorten_envelope(message);
    message->is_resting = true;
}

struct shared_text *shared_text_new(const char *text)
{
    size_t n = strlen(text) + 1;
    struct shared_text *shared = mem_new(sizeof *shared + n);

    shared->holders = 1;
    memcpy(shared->text, text, n);
    return shared;
}

struct shared_text *shared_text_hold(struct shared_text *text)
{
    text->holders++;
    return text;
}

void shared_text_free(struct shared_text *text)
{
    if (text && --text->holders == 0)
        free(text);
}

void item_set_error(struct item *item, struct shared_text *error)
{
    shared_text_free(item->last_error);
    item->last_error = error ? shared_text_hold(error) : NULL;
}

void item_add_recipient(struct item *item, uint32_t recipient)
{
    uint32_t count = item->recipient_count++, *many;

    if (count == 0) {
        item->recipients.only = recipient;
        return;
    }
    many = count > 1 ? item->recipients.many : NULL;
    if ((count & (count - 1)) == 0) /* room: a power of two */
        many = mem_grow(many, 2 * (size_t)count * sizeof *many);
    if (count == 1)
        many[0] = item->recipients.only;
    many[count] = recipient;
    item->recipients.many = many;
}

void item_keep_first(struct item *item, uint32_t count)
{
    uint32_t *many = item->recipients.many;

    if (item->recipient_count > 1 && count <= 1) {
        item->recipients.only = many[0];
        free(many);
    }
    item->recipient_count = count;
}

uint32_t item_keep_pending(struct item *item)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < item->recipient_count; i++) {
        uint32_t recipient = item_recipient(item, i);
        if (!spool_is_pending(spool_entry_outcome(&item_message(item)->entry, recipient)))
            continue;
        item_put_recipient(item, kept++, recipient);
    }
    item_keep_first(item, kept);
    return kept;
}

struct item *item_split(struct item *item, uint32_t count)
{
    struct item *rest = further_item_new(item_message(item));

    assert(count && count < item->recipient_count);
    rest->hop = item->hop;
    rest->attempt_count = item->attempt_count;
    rest->next = item->next;
    item->next = rest;
    for (uint32_t i = count; i < item->recipient_count; i++)
        item_add_recipient(rest, item->recipients.many[i]);
    item_keep_first(item, count);
    return rest;
}

struct item *message_add_item(struct message *message, uint32_t recipient)
{
    struct item *item = &message->first;

    if (item->recipient_count) {
        struct item *further = further_item_new(message);
        further->next = item->next;
        item->next = further;
        item = further;
    }
    item_add_recipient(item, recipient);
    return item;
}
