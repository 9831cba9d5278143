#include "flow/message.h"

#include "base/mem.h"
#include "base/small.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

/* The envelopes of those that rest; home loop.  With a million of them what an allocator keeps of
 * each one, and what it rounds up, would be a good part. */
static struct small at_rest;

static struct small *small_at_rest(void)
{
    if (!at_rest.slabs[0].size)
        small_init(&at_rest);
    return &at_rest;
}

/* The messages; any thread: one is made where it is received, and ends at home. */
static struct {
    pthread_mutex_t lock; /* around what follows */
    struct slab slab;
} messages = { .lock = PTHREAD_MUTEX_INITIALIZER };

static struct message *message_take(void)
{
    struct message *message;

    pthread_mutex_lock(&messages.lock);
    if (!messages.slab.size)
        slab_init(&messages.slab, sizeof *message);
    message = slab_take(&messages.slab);
    pthread_mutex_unlock(&messages.lock);
    return message;
}

static void message_give(struct message *message)
{
    pthread_mutex_lock(&messages.lock);
    slab_give(&messages.slab, message);
    pthread_mutex_unlock(&messages.lock);
}

static void drop_envelope(struct message *message)
{
    if (message->is_resting)
        small_give(small_at_rest(), message->envelope, message->envelope_bytes);
    else
        free(message->envelope);
}

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
    struct message *message = message_take();

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

static void let_go(struct message *message)
{
    if (message->is_taken_over)
        takeover_free(message->has.takeover);
    else
        spool_content_free(message->has.content);
    message->has.content = NULL;
    message->is_taken_over = false;
}

void message_free(struct message *message)
{
    if (!message)
        return;
    message_clear_items(message);
    let_go(message);
    drop_envelope(message);
    message_give(message);
}

/* --- Taken over -------------------------------------------------------------------------- */

struct takeover *takeover_new(uint16_t generation, struct bytes from, struct bytes header)
{
    struct takeover *takeover = mem_new(sizeof *takeover + from.n + 1 + header.n);

    takeover->holders = 1;
    takeover->generation = generation;
    memcpy(takeover->from, from.at, from.n);
    takeover->header_at = (uint16_t)(from.n + 1);
    takeover->header_bytes = (uint16_t)header.n;
    memcpy(takeover->from + takeover->header_at, header.at, header.n);
    return takeover;
}

bool takeover_is(const struct takeover *takeover, uint16_t generation, struct bytes from,
    struct bytes header)
{
    return takeover->generation == generation &&
           bytes_equal(bytes_text(takeover->from), from) &&
           bytes_equal(
               bytes_of(takeover->from + takeover->header_at, takeover->header_bytes), header);
}

void takeover_free(struct takeover *takeover)
{
    if (takeover && --takeover->holders == 0)
        free(takeover);
}

void message_set_takeover(struct message *message, struct takeover *takeover)
{
    takeover->holders++;
    let_go(message);
    message->has.takeover = takeover;
    message->is_taken_over = true;
}

/* --- At rest ----------------------------------------------------------------------------- */

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
    envelope.arrived.ms = 0;
    envelope.content_bytes = 0;
    buf_init(&shorter, ENVELOPE_BYTES_MAX);
    if (envelope_encode(&envelope, &shorter) != OK)
        abort(); /* shorter than it was */
    drop_envelope(message);
    message->is_resting = true;
    message->envelope_bytes = (uint32_t)shorter.n;
    message->envelope = small_take(small_at_rest(), shorter.n);
    if (shorter.n)
        memcpy(message->envelope, shorter.at, shorter.n);
    buf_done(&shorter);
    if (recipients != few)
        free(recipients);
}

void message_rest(struct message *message)
{
    if (message->delivering_count)
        return;
    if (!message->is_taken_over)
        let_go(message);
    if (!message->is_resting)
        shorten_envelope(message);
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
    rest->is_unpinned = item->is_unpinned;
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
