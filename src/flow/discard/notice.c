/* Delivery status notifications: a new message from us, committed in one record with the
 * outcomes it tells of (rule R3), so that neither is ever true without the other. */
#include "flow/discard/internal.h"

#include "base/mem.h"
#include "mail/dsn.h"
#include "os/clock.h"
#include "report/report.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    NOTICE_BYTES_MAX = 64 << 20,
    HEADER_BYTES_MAX = 256 << 10, /* of the original, when its header alone is attached */
    TRY_AGAIN_MS = 30000,
    TOLD_MAX = 5000, /* recipients in one notification: some KiB of text each */
};

struct notice {
    struct discard *discard;
    struct message *message; /* held by its delivering_count */
    struct result *results;
    uint32_t count;
    char host[200];
    struct wall began; /* when the attempt that it tells of ended, if one did */
    struct mid mid;
    char message_id[DSN_MESSAGE_ID_BYTES]; /* its own; once it is made */
    struct spool_read read;
    uint8_t *envelope; /* our own, of a message that rested; else NULL */
    size_t envelope_n;
    struct buf original; /* the part that is attached */
    struct securing securing;
    struct timer again;
};

static void notice_free(struct notice *notice)
{
    notice->discard->notice_count--;
    timer_stop(&notice->again);
    for (uint32_t i = 0; i < notice->count; i++)
        shared_text_free(notice->results[i].host);
    buf_done(&notice->original);
    free(notice->envelope);
    free(notice->results);
    free(notice);
}

/* The message's whole envelope. */
static struct bytes envelope_of(const struct notice *notice)
{
    if (notice->envelope)
        return bytes_of(notice->envelope, notice->envelope_n);
    return message_envelope(notice->message);
}

static bool is_of_delay(const struct notice *notice)
{
    return notice->results[0].fate == FATE_DEFERRED;
}

/* Those alone may bring the whole message back: RFC 3461, 4.3. */
static bool is_of_failure(const struct notice *notice)
{
    return notice->results[0].fate == FATE_FAILED;
}

static void note_delays(struct notice *notice)
{
    for (uint32_t i = 0; i < notice->count; i++)
        spool_note(notice->discard->secure->spool, &notice->message->entry,
            &notice->results[i].recipient, 1, SPOOL_DELAYED);
}

static void finish(struct notice *notice)
{
    struct discard *discard = notice->discard;
    struct message *message = notice->message;

    message->delivering_count--;
    if (is_of_delay(notice))
        note_delays(notice);
    else
        discard_note(discard, message, notice->results, notice->count);
    notice_free(notice);
    discard_check_over(discard, message);
}

static void commit(struct notice *notice);

static void on_again(struct timer *timer)
{
    struct notice *notice = container_of(timer, struct notice, again);
    struct crash_work before = crash_begin(notice->message->entry.by_mid.mid, "notify");

    commit(notice);
    crash_end(before);
}

static const char *about(const struct notice *notice)
{
    static const char *const texts[] = {
        [FATE_DELIVERED] = "delivery", [FATE_FAILED] = "failure", [FATE_DEFERRED] = "delay"
    };

    return texts[notice->results[0].fate];
}

static void report_notice_sent(const struct notice *notice)
{
    struct envelope envelope;

    if (envelope_decode(envelope_of(notice), &envelope) != OK)
        abort(); /* the notification was made from it */
    report(REPORT_DSN, R_MID(notice->message->entry.by_mid.mid),
        R_CHARS("about", about(notice)), R_MID_AS("notification", notice->mid),
        R_TRACKED_ADDRESS("from", BYTES_NONE), R_TRACKED("to", envelope.sender),
        R_TRACKED_CHARS("message-id", notice->message_id));
}

static void on_secured(struct securing *securing, const struct verdict *verdict)
{
    struct notice *notice = container_of(securing, struct notice, securing);
    struct crash_work before = crash_begin(notice->message->entry.by_mid.mid, "notify");

    if (verdict_is_ok(verdict)) {
        report_notice_sent(notice);
        finish(notice);
    } else { /* No room, or a bad disk.  The outcome is not true before its notification is. */
        timer_start(&notice->again, TRY_AGAIN_MS);
    }
    crash_end(before);
}

/* --- Its content ------------------------------------------------------------------------- */

static enum dsn_action action_of(const struct result *result)
{
    if (result->fate == FATE_FAILED)
        return DSN_FAILED;
    if (result->fate == FATE_DEFERRED)
        return DSN_DELAYED;
    if (result->is_expanded)
        return DSN_EXPANDED;
    return result->is_final ? DSN_DELIVERED : DSN_RELAYED;
}

/* What is still tried has not failed for good, whatever a host said: RFC 3463, 2. */
static struct status status_of(const struct result *result)
{
    struct status status = verdict_status(&result->verdict);

    if (result->fate == FATE_DEFERRED)
        status.class = 4;
    return status;
}

/* The recipients' part; the texts stand in TEXTS. */
static void list_recipients(const struct notice *notice, const struct setup *setup,
    struct dsn_recipient *out, char (*texts)[VERDICT_TEXT_BYTES])
{
    struct wall until = { notice->message->arrived.ms + setup->settings->expiry_ms };
    struct envelope_cursor cursor;
    struct recipient recipient;
    uint32_t at = 0;

    envelope_recipients(envelope_of(notice), &cursor);
    for (uint32_t i = 0; at < notice->count && envelope_next_recipient(&cursor, &recipient);
         i++) {
        const struct result *result = &notice->results[at];
        if (result->recipient != i)
            continue;
        verdict_format(&result->verdict, texts[at]);
        out[at] = (struct dsn_recipient){
            .address = recipient.address,
            .orcpt = recipient.orcpt,
            .action = action_of(result),
            .status = status_of(result),
            .remote_host = bytes_text(result->host ? result->host->text : notice->host),
            .reply = bytes_text(texts[at]),
            .is_own_reply = result->is_own,
            .will_retry_until = until,
        };
        if (!result->is_unattempted)
            out[at].last_attempt = notice->began;
        at++;
    }
}

static void format_notice(
    const struct notice *notice, const struct setup *setup, struct wall now, struct buf *out)
{
    struct dsn_recipient *recipients = mem_new(notice->count * sizeof *recipients);
    char(*texts)[VERDICT_TEXT_BYTES] = mem_new(notice->count * sizeof *texts);
    struct envelope envelope;
    struct dsn dsn;

    if (envelope_decode(envelope_of(notice), &envelope) != OK)
        abort(); /* it was decoded when the message came in, and lies in our memory */
    list_recipients(notice, setup, recipients, texts);
    dsn = (struct dsn){
        .mid = notice->mid,
        .fqdn = bytes_text(setup->settings->fqdn),
        .to = envelope.sender,
        .envid = envelope.envid,
        .arrived = notice->message->arrived,
        .now = now,
        .original_message_id = envelope.message_id,
        .is_utf8 = envelope.is_smtputf8,
        .has_8bit = envelope.has_8bit,
        .recipients = recipients,
        .recipient_count = notice->count,
        .original_prepend = envelope.prepend,
        .original = buf_bytes(&notice->original),
        .headers_only = notice->original.n < notice->message->entry.content_bytes ||
                        envelope.ret == RET_HDRS || !is_of_failure(notice),
    };
    if (dsn_format(&dsn, out) != OK) {
        buf_clear(out);
        dsn.headers_only = true;
        if (dsn_format(&dsn, out) != OK)
            abort(); /* a header is bounded far below the ceiling */
    }
    free(texts);
    free(recipients);
}

static struct message *make_message(
    const struct notice *notice, struct wall now, uint64_t content_bytes)
{
    struct envelope original, envelope;
    struct recipient recipient;
    struct message *message;
    struct buf encoded;

    if (envelope_decode(envelope_of(notice), &original) != OK)
        abort();
    recipient = (struct recipient){ .address = original.sender, .notify = NOTIFY_NEVER };
    envelope = (struct envelope){
        .body = original.has_8bit ? BODY_8BITMIME : BODY_7BIT,
        .is_smtputf8 = original.is_smtputf8,
        .has_8bit = original.has_8bit,
        .has_dot_line = true, /* what is attached may have one */
        .priority = original.priority,
        .arrived = now,
        .session = original.session,
        .connector = BYTES("dsn"),
        .message_id = bytes_text(notice->message_id),
        .content_bytes = content_bytes,
        .recipient_count = 1,
        .recipients = &recipient,
    };
    buf_init(&encoded, ENVELOPE_BYTES_MAX);
    if (envelope_encode(&envelope, &encoded) != OK)
        abort(); /* one recipient: small */
    message = message_new(notice->mid, buf_bytes(&encoded), 1, now);
    message->priority = (uint8_t)priority_of(envelope.priority);
    buf_done(&encoded);
    return message;
}

/* --- Its way into the spool -------------------------------------------------------------- */

static void derive_mid(struct notice *notice)
{
    uint32_t *numbers = mem_new(notice->count * sizeof *numbers);

    for (uint32_t i = 0; i < notice->count; i++)
        numbers[i] = notice->results[i].recipient;
    notice->mid = dsn_mid(notice->message->entry.by_mid.mid, numbers, notice->count,
        action_of(&notice->results[0]));
    free(numbers);
}

static void commit(struct notice *notice)
{
    static const enum spool_outcome outcomes[] = { [FATE_DELIVERED] = SPOOL_DELIVERED,
        [FATE_FAILED] = SPOOL_FAILED,
        [FATE_DEFERRED] = SPOOL_DELAYED };
    struct discard *discard = notice->discard;
    struct loop *home = discard->secure->home;
    struct wall now = loop_wall(home);
    struct spool_writer *writer;
    struct message *message;
    struct setup *setup;
    struct buf content;
    uint32_t *numbers;

    if (discard->is_known(discard, notice->mid)) {
        finish(notice); /* made before; its outcome was lost, the notification was not */
        return;
    }
    buf_init(&content, NOTICE_BYTES_MAX);
    setup = setup_slot_hold(discard->setup);
    format_notice(notice, setup, now, &content);
    dsn_message_id(notice->mid, bytes_text(setup->settings->fqdn), notice->message_id);
    setup_free(setup);
    writer = spool_writer_new(discard->secure->spool, home, NOTICE_BYTES_MAX, NULL, NULL);
    if (spool_append(writer, buf_bytes(&content)) != OK) {
        spool_abandon(&writer);
        buf_done(&content);
        timer_start(&notice->again, TRY_AGAIN_MS);
        return;
    }
    message = make_message(notice, now, content.n);
    buf_done(&content);
    numbers = mem_new(notice->count * sizeof *numbers);
    for (uint32_t i = 0; i < notice->count; i++)
        numbers[i] = notice->results[i].recipient;
    /* R3: what it tells of is true only with it, so it is never refused for want of a holder. */
    notice->securing.failure = SHADOW_FAILURE_ACCEPT;
    notice->securing.on_done = on_secured;
    secure_store(discard->secure, home, &writer, &message,
        &(struct spool_cause){
            .mid = notice->message->entry.by_mid.mid,
            .recipients = numbers,
            .recipient_count = notice->count,
            .outcome = outcomes[notice->results[0].fate],
        },
        &notice->securing);
    free(numbers);
}

static void on_original(struct spool_read *read)
{
    struct notice *notice = container_of(read, struct notice, read);

    notice->envelope = read->envelope;
    notice->envelope_n = read->envelope_n;
    if (read->err == OK)
        err_ignore(
            buf_add(&notice->original, bytes_of(read->at, read->n))); /* its room is known */
    free(read->at);
    commit(notice); /* without the original when it cannot be read: better than no word */
}

/* How much of the original is read: all of a small one that failed, else what has its header. */
static size_t attached_bytes(struct notice *notice)
{
    struct setup *setup = setup_slot_hold(notice->discard->setup);
    uint64_t full_max = setup->settings->dsn_full_bytes_max;
    uint64_t bytes = notice->message->entry.content_bytes;

    setup_free(setup);
    if (bytes <= full_max && is_of_failure(notice))
        return (size_t)bytes;
    return bytes < HEADER_BYTES_MAX ? (size_t)bytes : HEADER_BYTES_MAX;
}

static void take_from_memory(struct notice *notice, size_t bytes)
{
    while (notice->original.n < bytes) {
        struct bytes run =
            spool_content_at(message_content(notice->message), notice->original.n);
        run = bytes_first(run, bytes - notice->original.n);
        if (run.n == 0 || buf_add(&notice->original, run) != OK)
            return;
    }
}

/* One notification tells of one kind of outcome: failed and delivered never share a record. */
static void start(struct discard *discard, struct message *message,
    const struct result *results, uint32_t count, const char *host)
{
    struct notice *notice = mem_new(sizeof *notice);
    size_t bytes;

    notice->discard = discard;
    discard->notice_count++;
    notice->message = message;
    notice->results = mem_copy(results, count * sizeof *results);
    notice->count = count;
    for (uint32_t i = 0; i < count; i++) {
        if (results[i].host)
            shared_text_hold(results[i].host);
    }
    snprintf(notice->host, sizeof notice->host, "%s", host);
    notice->began = loop_wall(discard->secure->home);
    timer_init(&notice->again, discard->secure->home, on_again);
    derive_mid(notice);
    message->delivering_count++;
    bytes = attached_bytes(notice);
    buf_init(&notice->original, bytes ? bytes : 1);
    if (message_content(message) || (bytes == 0 && !message->is_resting)) {
        take_from_memory(notice, bytes);
        commit(notice);
        return;
    }
    notice->read.done = on_original;
    notice->read.wants_envelope = message->is_resting;
    spool_read(discard->secure->spool, &message->entry, 0, bytes, &notice->read);
}

void notice_send(struct discard *discard, struct message *message, const struct result *results,
    uint32_t count, const char *host)
{
    struct crash_work before = crash_begin(message->entry.by_mid.mid, "notify");
    struct result *kind = mem_new(count * sizeof *kind);

    message->delivering_count++; /* it stays, though the first was made before a restart */
    for (int fate = FATE_DELIVERED; fate <= FATE_DEFERRED; fate++) {
        uint32_t n = 0;
        for (uint32_t i = 0; i < count; i++) {
            if ((int)results[i].fate == fate)
                kind[n++] = results[i];
        }
        for (uint32_t at = 0; at < n; at += TOLD_MAX)
            start(discard, message, kind + at, n - at < TOLD_MAX ? n - at : TOLD_MAX, host);
    }
    free(kind);
    if (--message->delivering_count == 0)
        discard_check_over(discard, message);
    crash_end(before);
}
