#include "flow/discard/internal.h"

#include "base/mem.h"
#include "report/report.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* --- The delivery line ------------------------------------------------------------------- */

static const char *status_word(const struct result *result)
{
    switch (result->fate) {
    case FATE_DELIVERED:
        return "sent";
    case FATE_DEFERRED:
        return "deferred";
    default:
        if (result->verdict.status.class == 4)
            return "expired"; /* 550 4.4.7 */
        return "bounced";
    }
}

/* Who took it, for the tracking log. */
static const char *source_of(const struct item *item, const char *host)
{
    static const char *const sources[] = { [DELIVERY_SMART_HOSTS] = "SMTP",
        [DELIVERY_MX] = "SMTP",
        [DELIVERY_LMTP] = "LMTP",
        [DELIVERY_MAILDIR] = "MAILDIR" };

    if (!item->hop->connector ||
        (*host == '\0' && item->hop->connector->delivery != DELIVERY_MAILDIR))
        return "QUEUE"; /* we did it ourselves: it is too old, or unreachable */
    return sources[item->hop->connector->delivery];
}

static void report_delivery(const struct item *item, const struct recipient *recipient,
    const struct envelope *envelope, const struct result *result, const char *host, int64_t now)
{
    const struct message *message = item_message(item);
    const struct takeover *takeover = message_takeover(message);
    char status[STATUS_TEXT_BYTES], text[VERDICT_TEXT_BYTES];

    status_format(verdict_status(&result->verdict), status);
    verdict_format(&result->verdict, text);
    const struct report_field fields[] = {
        R_MID(item_message(item)->entry.by_mid.mid),
        R_ADDRESS("to", recipient->address),
        R_ADDRESS("from", envelope->sender),
        R_CHARS(
            "connector", item->hop->connector ? item->hop->connector->name : item->hop->name),
        R_CHARS("queue", item->hop->name),
        R_CHARS("relay", *host ? host : "none"),
        R_CHARS("tls", result->tls && *result->tls ? result->tls : "none"),
        R_MS("delay", now - message->arrived.ms),
        R_CHARS("dsn", status),
        R_CHARS("status", status_word(result)),
        R_CHARS("text", text),
        R_SESSION(envelope->session),
        R_TRACKED_CHARS("source", source_of(item, host)),
        R_TRACKED("message-id", envelope->message_id),
        R_TRACKED_NUMBER("size", (int64_t)message->entry.content_bytes),
        /* That other node may have delivered it too: of taken over messages alone (SH-8). */
        R_CHARS("taken-over-from", takeover ? takeover->from : ""),
        R_NUMBER("generation", takeover ? takeover->generation : 0),
    };
    unsigned count = sizeof fields / sizeof *fields;

    report_fields(REPORT_DELIVERY, fields, takeover ? count : count - 2);
}

/* --- Outcomes ---------------------------------------------------------------------------- */

/* The one end of a message, whatever led there.  Where another node may hold a copy, ours knows
 * what is still to be said of it. */
void discard_settle(struct secure *secure, struct message *message)
{
    struct mid mid = message->entry.by_mid.mid;

    if (secure->node)
        node_settled(secure->node, &message->entry);
    else
        spool_settle(secure->spool, &message->entry);
    report(REPORT_REMOVED, R_MID(mid));
    secure_delivered(secure, mid);
}

void discard_check_over(struct discard *discard, struct message *message)
{
    if (message->delivering_count)
        return;
    if (message->pending_count) {
        discard->idle(discard, message);
        return;
    }
    discard_settle(discard->secure, message);
    discard->forget(discard, message);
}

static enum spool_outcome outcome_of(const struct result *result)
{
    return result->fate == FATE_DELIVERED ? SPOOL_DELIVERED : SPOOL_FAILED;
}

static void note_one(struct discard *discard, struct message *message, uint32_t recipient,
    enum spool_outcome outcome)
{
    assert(message->pending_count > 0);
    message->pending_count--;
    spool_note(discard->secure->spool, &message->entry, &recipient, 1, outcome);
}

/* Whoever holds a copy hears which recipients are none of its business any more. */
static void tell_partly(struct discard *discard, const struct message *message)
{
    if (discard->secure->node && message->pending_count)
        node_partly(discard->secure->node, message->entry.by_mid.mid);
}

void discard_note(struct discard *discard, struct message *message,
    const struct result *results, uint32_t count)
{
    /* The last one of a message settles it whole: no record of its own. */
    if (count == message->pending_count && message->delivering_count == 0) {
        message->pending_count = 0;
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        note_one(discard, message, results[i].recipient, outcome_of(&results[i]));
    if (count)
        tell_partly(discard, message);
}

/* Does the sender get to know of this? */
static bool owes_notice(const struct envelope *envelope, const struct recipient *recipient,
    const struct result *result)
{
    if (envelope->sender.n == 0 || result->fate == FATE_DEFERRED)
        return false; /* never a notification for a notification: RFC 5321, 4.5.5 */
    if (result->fate == FATE_DELIVERED)
        return (recipient->notify & NOTIFY_SUCCESS) &&
               (result->is_relayed_blind || result->is_final);
    return recipient->notify == 0 || (recipient->notify & NOTIFY_FAILURE);
}

/* --- Sorting an item's results ----------------------------------------------------------- */

/* As whole as it is known. */
static struct bytes envelope_of(const struct item *item, const struct attempt *attempt)
{
    return attempt->envelope.n ? attempt->envelope : message_envelope(item_message(item));
}

struct sorted {
    struct result *notices, *plain; /* malloc'd, room for all */
    uint32_t notice_count, plain_count, deferred_count, delivered_count;
    uint32_t slowed_count; /* of the deferred */
    uint32_t *deferred;
    const struct result *last_deferred;
};

static const struct result *result_for(
    const struct result *results, uint32_t count, uint32_t recipient)
{
    for (uint32_t i = 0; i < count; i++) {
        if (results[i].recipient == recipient)
            return &results[i];
    }
    return NULL;
}

static void sort_one(struct sorted *sorted, const struct envelope *envelope,
    const struct recipient *recipient, const struct result *result)
{
    sorted->delivered_count += result->fate == FATE_DELIVERED;
    if (result->fate == FATE_DEFERRED) {
        sorted->deferred[sorted->deferred_count++] = result->recipient;
        sorted->slowed_count += result->is_slowed;
        sorted->last_deferred = result;
    } else if (owes_notice(envelope, recipient, result)) {
        sorted->notices[sorted->notice_count++] = *result;
    } else {
        sorted->plain[sorted->plain_count++] = *result;
    }
}

/* RESULTS stand in the order of the item's recipients, which is that of the envelope. */
static void sort_results(struct sorted *sorted, struct item *item, const struct result *results,
    const struct attempt *attempt, int64_t now)
{
    struct bytes encoded = envelope_of(item, attempt);
    struct envelope envelope;
    struct envelope_cursor cursor;
    struct recipient recipient;
    uint32_t count = item->recipient_count, at = 0;

    if (envelope_decode(encoded, &envelope) != OK)
        abort(); /* it was decoded when the message came in, and its checksum holds */
    envelope_recipients(encoded, &cursor);
    for (uint32_t i = 0; at < count && envelope_next_recipient(&cursor, &recipient); i++) {
        const struct result *result;
        if (item_recipient(item, at) != i)
            continue;
        result = results[at].recipient == i ? &results[at] : result_for(results, count, i);
        assert(result);
        report_delivery(item, &recipient, &envelope, result, attempt->host, now);
        sort_one(sorted, &envelope, &recipient, result);
        at++;
    }
}

static void keep_deferred(struct item *item, const struct sorted *sorted)
{
    if (sorted->deferred_count == item->recipient_count)
        return;
    for (uint32_t i = 0; i < sorted->deferred_count; i++)
        item_put_recipient(item, i, sorted->deferred[i]);
    item_keep_first(item, sorted->deferred_count);
}

/* The host took as many recipients as it takes at once: the rest goes right behind (RFC 5321,
 * 4.5.3.1.10). */
static bool is_too_many(const struct sorted *sorted)
{
    const struct status *status = &sorted->last_deferred->verdict.status;

    return sorted->delivered_count && sorted->last_deferred->verdict.code == 452 &&
           status->subject == 5 && status->detail == 3;
}

/* Whose word it is; "" in the place of HOST where there was none but us: a Maildir. */
static const char *who_said(const struct item *item, const char *host)
{
    const struct send_connector *connector = item->hop->connector;

    return connector && connector->delivery == DELIVERY_MAILDIR ? "" : host;
}

/* What is left of the item goes back to its queue. */
static void try_again(
    struct discard *discard, struct item *item, const struct sorted *sorted, const char *host)
{
    const struct result *why = sorted->last_deferred;
    char error[CAUSE_BYTES];

    cause_format(host, why->is_own ? "" : " said", why->verdict.code, why->verdict.status,
        why->verdict.text, error);
    if (is_too_many(sorted))
        discard->put_back(discard, item);
    else if (sorted->slowed_count == sorted->deferred_count)
        discard->put_behind(discard, item, error); /* who is too fast is slower now */
    else
        discard->defer(discard, item, error);
}

static void settle_item(
    struct discard *discard, struct item *item, struct sorted *sorted, const char *host)
{
    struct message *message = item_message(item);

    host = who_said(item, host);
    if (sorted->notice_count)
        notice_send(discard, message, sorted->notices, sorted->notice_count, host);
    if (sorted->deferred_count) {
        keep_deferred(item, sorted);
        discard_note(discard, message, sorted->plain, sorted->plain_count);
        try_again(discard, item, sorted, host);
    } else {
        discard->item_done(discard, item);
        discard_note(discard, message, sorted->plain, sorted->plain_count);
    }
    discard_check_over(discard, message);
}

/* Nearly all: one recipient, nobody to be told. */
static bool is_simple(const struct item *item, const struct result *result,
    const struct attempt *attempt, struct envelope *envelope, struct recipient *recipient)
{
    struct bytes encoded = envelope_of(item, attempt);
    struct envelope_cursor cursor;

    if (item->recipient_count != 1 || item_recipient(item, 0) != 0 ||
        result->fate == FATE_DEFERRED)
        return false;
    if (envelope_decode(encoded, envelope) != OK)
        return false;
    envelope_recipients(encoded, &cursor);
    return envelope_next_recipient(&cursor, recipient) &&
           !owes_notice(envelope, recipient, result);
}

static void settle(struct discard *discard, struct item *item, const struct result *results,
    const struct attempt *attempt)
{
    int64_t now = loop_wall(discard->secure->home).ms;
    uint32_t count = item->recipient_count;
    struct sorted sorted = { NULL };
    struct envelope envelope;
    struct recipient recipient;
    struct message *message = item_message(item);

    if (is_simple(item, results, attempt, &envelope, &recipient)) {
        report_delivery(item, &recipient, &envelope, results, attempt->host, now);
        discard->item_done(discard, item);
        discard_note(discard, message, results, 1);
        discard_check_over(discard, message);
        return;
    }
    sorted.notices = mem_new(count * sizeof *sorted.notices);
    sorted.plain = mem_new(count * sizeof *sorted.plain);
    sorted.deferred = mem_new(count * sizeof *sorted.deferred);
    sort_results(&sorted, item, results, attempt, now);
    settle_item(discard, item, &sorted, attempt->host);
    free(sorted.notices);
    free(sorted.plain);
    free(sorted.deferred);
}

/* --- What rested, and was not read for an attempt ---------------------------------------- */

/* An item that fails without one (it is too old, its domain does not exist), whose envelope is
 * read for the tracking log. */
struct unread {
    struct discard *discard;
    struct item *item;
    struct result *results;
    char *host;
    struct spool_read read;
};

/* What they borrow goes when the caller goes.  Who ends so was offered to nobody: no TLS. */
static struct result *keep_results(const struct result *results, uint32_t count)
{
    struct result *kept = mem_copy(results, count * sizeof *kept);

    for (uint32_t i = 0; i < count; i++) {
        kept[i].tls = NULL;
        if (kept[i].host)
            shared_text_hold(kept[i].host);
    }
    return kept;
}

static void on_read(struct spool_read *read)
{
    struct unread *unread = container_of(read, struct unread, read);
    uint32_t count = unread->item->recipient_count; /* the item may be gone afterwards */
    struct bytes envelope = bytes_of(read->envelope, read->envelope_n); /* damaged: none */

    unread->discard->notice_count--;
    settle(unread->discard, unread->item, unread->results,
        &(struct attempt){ unread->host, envelope });
    free(read->at);
    free(read->envelope);
    for (uint32_t i = 0; i < count; i++)
        shared_text_free(unread->results[i].host);
    free(unread->results);
    free(unread->host);
    free(unread);
}

static void read_first(struct discard *discard, struct item *item, const struct result *results,
    const struct attempt *attempt)
{
    struct unread *unread = mem_new(sizeof *unread);

    unread->discard = discard;
    unread->item = item; /* it stays DELIVERING, and its message with it */
    unread->results = keep_results(results, item->recipient_count);
    unread->host = mem_text(attempt->host);
    unread->read.done = on_read;
    unread->read.wants_envelope = true;
    discard->notice_count++;
    spool_read(discard->secure->spool, &item_message(item)->entry, 0, 0, &unread->read);
}

static bool lacks_message_id(const struct message *message, const struct attempt *attempt)
{
    return message->is_resting && attempt->envelope.n == 0 && !message->is_unread &&
           report_tracks();
}

void discard_item(struct discard *discard, struct item *item, const struct result *results,
    const struct attempt *attempt)
{
    const struct message *message = item_message(item);
    struct crash_work before = crash_begin(message->entry.by_mid.mid, "settle");

    if (lacks_message_id(message, attempt))
        read_first(discard, item, results, attempt);
    else
        settle(discard, item, results, attempt);
    crash_end(before);
}

/* --- Ends by ourselves ------------------------------------------------------------------- */

/* HOST: whom it has to do with; NULL: nobody. */
static void fail_all(struct discard *discard, struct item *item, const struct verdict *verdict,
    struct shared_text *host)
{
    uint32_t count = item->recipient_count;
    struct result *results = mem_new(count * sizeof *results);

    for (uint32_t i = 0; i < count; i++)
        results[i] = (struct result){
            .recipient = item_recipient(item, i),
            .fate = FATE_FAILED,
            .is_own = true,
            .is_unattempted = true,
            .host = host,
            .verdict = *verdict,
        };
    discard_item(discard, item, results, &(struct attempt){ .host = "" });
    free(results);
}

void discard_expired(struct discard *discard, struct item *item)
{
    struct reason reason;
    struct verdict verdict;

    reason_find(discard, item, &reason);
    verdict = reason_of_expiry(&reason);
    fail_all(discard, item, &verdict, reason.host);
    reason_done(&reason);
}

static bool wants_delay_told(const struct spool_entry *entry, uint32_t recipient)
{
    enum spool_outcome outcome = spool_entry_outcome(entry, recipient);

    return spool_is_pending(outcome) && !spool_is_delay_told(outcome);
}

/* Who has each of the COUNT recipients; NULL: nobody.  malloc'd. */
static const struct item **items_of(const struct message *message, size_t count)
{
    const struct item **items = mem_new(count * sizeof *items);

    for (const struct item *item = &message->first; item; item = item->next) {
        for (uint32_t i = 0; i < item->recipient_count; i++)
            items[item_recipient(item, i)] = item;
    }
    return items;
}

/* The RESULTS for those who wait and are to be told of; each holds its host. */
static uint32_t list_delayed(const struct discard *discard, const struct message *message,
    size_t recipient_count, struct result *results)
{
    const struct item **items = items_of(message, recipient_count), *of = NULL;
    struct envelope_cursor cursor;
    struct recipient recipient;
    struct reason reason = { .host = NULL };
    uint32_t count = 0;

    envelope_recipients(message_envelope(message), &cursor);
    for (uint32_t i = 0; envelope_next_recipient(&cursor, &recipient); i++) {
        bool wants = recipient.notify == 0 || (recipient.notify & NOTIFY_DELAY);
        if (!wants || !wants_delay_told(&message->entry, i))
            continue;
        if (count == 0 || items[i] != of) {
            reason_done(&reason);
            reason_find(discard, items[i], &reason);
            of = items[i];
        }
        results[count++] = (struct result){ .recipient = i,
            .fate = FATE_DEFERRED,
            .is_unattempted = true,
            .host = reason.host ? shared_text_hold(reason.host) : NULL,
            .verdict = reason.verdict };
    }
    reason_done(&reason);
    free(items);
    return count;
}

void discard_delayed(struct discard *discard, struct message *message)
{
    struct result *results;
    struct envelope envelope;
    uint32_t count;

    if (envelope_decode(message_envelope(message), &envelope) != OK)
        abort(); /* it was decoded when the message came in, and lies in our memory */
    if (envelope.sender.n == 0)
        return;
    results = mem_new(envelope.recipient_count * sizeof *results);
    count = list_delayed(discard, message, envelope.recipient_count, results);
    if (count)
        notice_send(discard, message, results, count, "");
    for (uint32_t i = 0; i < count; i++)
        shared_text_free(results[i].host);
    free(results);
}

void discard_expanded(struct discard *discard, struct message *message)
{
    struct envelope_cursor cursor;
    struct recipient recipient;
    struct result *results = NULL;
    struct envelope envelope;
    uint32_t count = 0;

    if (envelope_decode(message_envelope(message), &envelope) != OK)
        abort(); /* it was decoded when the message came in, and lies in our memory */
    envelope_recipients(message_envelope(message), &cursor);
    for (uint32_t i = 0; envelope_next_recipient(&cursor, &recipient); i++) {
        if (!recipient.is_expanded ||
            !spool_is_pending(spool_entry_outcome(&message->entry, i)))
            continue;
        results = mem_grow(results, (count + 1) * sizeof *results);
        results[count++] = (struct result){
            .recipient = i,
            .fate = FATE_DELIVERED,
            .is_expanded = true,
            .is_unattempted = true,
            .verdict = verdict_of(250, STATUS(2, 1, 5), "Expanded to other recipients"),
        };
    }
    if (count && envelope.sender.n) {
        notice_send(discard, message, results, count, "");
    } else if (count) { /* nobody is there to be told: RFC 5321, 4.5.5 */
        discard_note(discard, message, results, count);
        discard_check_over(discard, message);
    }
    free(results);
}

void discard_removed(struct discard *discard, struct item *item, bool with_notice)
{
    struct message *message = item_message(item);
    struct verdict verdict =
        verdict_of(550, STATUS(5, 7, 0), "Message removed by the administrator");
    uint32_t count = item->recipient_count;

    if (with_notice) {
        fail_all(discard, item, &verdict, NULL);
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        note_one(discard, message, item_recipient(item, i), SPOOL_REMOVED);
    tell_partly(discard, message);
    discard->item_done(discard, item);
    discard_check_over(discard, message);
}
