/* One message as it comes in: its envelope, its content's way into the spool, its trace fields.
 */
#include "flow/session/internal.h"

#include "base/mem.h"
#include "mail/trace.h"
#include "os/clock.h"
#include "policy/duplicates.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    TEXT_BYTES_MAX = 64 << 20, /* the envelope's, and the aliases as they were named */
    PREPEND_BYTES_MAX = 64 << 10,
    /* What all recipients may take of the envelope: the rest is for the message's own fields. */
    RECIPIENTS_BYTES_MAX = ENVELOPE_BYTES_MAX - (512 << 10),
    RECIPIENT_FIELDS_BYTES = 16, /* tags, lengths and numbers around a recipient's texts */
};

static struct span keep(struct receipt *receipt, struct bytes bytes)
{
    struct span span = { (uint32_t)receipt->text.n, (uint32_t)bytes.n };

    /* Command lines are short, and add_recipient() looks at the sum: below the ceiling. */
    if (buf_add(&receipt->text, bytes) != OK)
        abort();
    return span;
}

struct bytes receipt_text(const struct receipt *receipt, struct span span)
{
    return span.n ? bytes_of(receipt->text.at + span.at, span.n) : BYTES_NONE;
}

struct bytes receipt_sender(const struct receipt *receipt)
{
    return receipt_text(receipt, receipt->sender);
}

static void note_rule(struct receipt *receipt, const char *rule)
{
    for (uint8_t i = 0; i < receipt->rule_count; i++) {
        if (receipt->rules[i] == rule)
            return;
    }
    if (receipt->rule_count < RECEIPT_RULES_MAX)
        receipt->rules[receipt->rule_count++] = rule;
}

void receipt_format_rules(const struct receipt *receipt, char out[RECEIPT_RULES_BYTES])
{
    size_t n = 0;

    out[0] = '\0';
    for (uint8_t i = 0; i < receipt->rule_count && n < RECEIPT_RULES_BYTES; i++)
        n += (size_t)snprintf(
            out + n, RECEIPT_RULES_BYTES - n, "%s%.30s", i ? "," : "", receipt->rules[i]);
}

struct receipt *receipt_new(const struct smtp_mail *mail, const char *rule, bool strips)
{
    struct receipt *receipt = mem_new(sizeof *receipt);

    receipt->mid = random_mid();
    buf_init(&receipt->text, TEXT_BYTES_MAX);
    receipt->sender = keep(receipt, mail->sender.text);
    receipt->envid = keep(receipt, mail->envid);
    receipt->auth = keep(receipt, mail->auth);
    receipt->size_declared = mail->size_bytes;
    receipt->body = mail->body;
    receipt->ret = mail->ret;
    receipt->priority = mail->priority;
    receipt->is_smtputf8 = mail->is_smtputf8;
    note_rule(receipt, rule);
    strip_init(&receipt->strip, strips);
    scan_init(&receipt->scan);
    return receipt;
}

/* False: more of them, or of their texts, than an envelope has room for. */
static bool add_recipient(struct receipt *receipt, struct bytes address, struct span orcpt,
    uint8_t notify, bool is_expanded)
{
    uint32_t bytes = (uint32_t)address.n + orcpt.n + RECIPIENT_FIELDS_BYTES;

    if (receipt->recipient_count == ENVELOPE_RECIPIENTS_MAX ||
        receipt->recipients_bytes + bytes > RECIPIENTS_BYTES_MAX)
        return false;
    if (receipt->recipient_count == receipt->recipient_room) {
        receipt->recipient_room = receipt->recipient_room ? receipt->recipient_room * 2 : 2;
        receipt->recipients = mem_grow(
            receipt->recipients, receipt->recipient_room * sizeof *receipt->recipients);
    }
    receipt->recipients_bytes += bytes;
    receipt->recipients[receipt->recipient_count++] = (struct receipt_recipient){
        .address = keep(receipt, address),
        .orcpt = orcpt,
        .notify = notify,
        .is_expanded = is_expanded,
    };
    return true;
}

/* Those that a recipient stands for, as they are found. */
struct standing_for {
    struct receipt *receipt;
    struct span orcpt;
    uint8_t notify;
    bool is_too_much;
};

static void add_one(void *me, struct bytes address)
{
    struct standing_for *others = me;

    if (!others->is_too_much)
        others->is_too_much =
            !add_recipient(others->receipt, address, others->orcpt, others->notify, false);
}

/* RFC 3461, 5.2.7: a report of success must not come from each of several recipients; that the
 * one was expanded is told instead, by us.  Who wanted to know of nothing else hears no more.
 * To the null sender nothing is ever told (4.5.5 of RFC 5321). */
static bool share_notify(
    struct receipt *receipt, const struct smtp_rcpt *rcpt, struct span orcpt, uint32_t first)
{
    uint8_t rest = rcpt->notify & (uint8_t)~NOTIFY_SUCCESS;
    uint32_t count = receipt->recipient_count - first;
    struct receipt_recipient whole, *others;

    if (count < 2 || !(rcpt->notify & NOTIFY_SUCCESS))
        return true;
    for (uint32_t i = first; i < receipt->recipient_count; i++)
        receipt->recipients[i].notify = rest ? rest : NOTIFY_NEVER;
    if (receipt->sender.n == 0)
        return true;
    if (!add_recipient(receipt, rcpt->address.text, orcpt, NOTIFY_SUCCESS, true))
        return false;
    others = receipt->recipients + first; /* in front of them */
    whole = others[count];
    memmove(others + 1, others, count * sizeof *others);
    others[0] = whole;
    return true;
}

static void note_alias(struct receipt *receipt, struct bytes address, uint32_t first)
{
    if (receipt->alias_count == receipt->alias_room) {
        receipt->alias_room = receipt->alias_room ? receipt->alias_room * 2 : 2;
        receipt->aliases =
            mem_grow(receipt->aliases, receipt->alias_room * sizeof *receipt->aliases);
    }
    receipt->aliases[receipt->alias_count++] = (struct receipt_alias){
        .address = keep(receipt, address),
        .first = first,
        .count = receipt->recipient_count - first,
    };
}

/* Back to what was there before. */
static void take_back(
    struct receipt *receipt, uint32_t count, uint32_t recipients_bytes, size_t text_n)
{
    receipt->recipient_count = count;
    receipt->recipients_bytes = recipients_bytes;
    receipt->text.n = text_n;
}

bool receipt_add_recipient(struct receipt *receipt, const struct settings *settings,
    const struct smtp_rcpt *rcpt, const struct resolved *resolved, const char *rule)
{
    uint32_t first = receipt->recipient_count, bytes = receipt->recipients_bytes;
    size_t text_n = receipt->text.n;
    struct standing_for others = {
        .receipt = receipt, .orcpt = keep(receipt, rcpt->orcpt), .notify = rcpt->notify
    };
    bool is_good;

    if (resolved->kind == RESOLVED_ITSELF) {
        is_good = add_recipient(receipt, rcpt->address.text, others.orcpt, rcpt->notify, false);
    } else {
        resolved_each(settings, resolved, &rcpt->address, add_one, &others);
        is_good = !others.is_too_much && share_notify(receipt, rcpt, others.orcpt, first);
        if (is_good)
            note_alias(receipt, rcpt->address.text, first);
    }
    if (is_good)
        note_rule(receipt, rule);
    else
        take_back(receipt, first, bytes, text_n);
    return is_good;
}

void receipt_free(struct receipt *receipt)
{
    if (!receipt)
        return;
    assert(!receipt->is_committing);
    spool_abandon(&receipt->writer);
    if (receipt->renames)
        sender_fields_done(receipt->renames);
    free(receipt->renames);
    buf_done(&receipt->text);
    free(receipt->recipients);
    free(receipt->aliases);
    free(receipt->client);
    free(receipt);
}

/* It begins with text, not with a field or an empty line: as it stands it would go on where our
 * last field ends, or be taken for one. */
static bool lacks_header(const struct scan *scan)
{
    return scan->bytes && scan->header_bytes == 0;
}

/* The logs have it, too, as if it had been there. */
static enum err add_message_id(struct receipt *receipt, struct bytes fqdn, struct buf *out)
{
    const size_t before = out->n;
    enum err err = trace_message_id(receipt->mid, fqdn, out);
    struct bytes value;

    if (err != OK)
        return err;
    value = bytes_skip(buf_bytes(out), before + strlen("Message-ID: "));
    value = bytes_first(value, bytes_find(value, '\r'));
    snprintf(
        receipt->scan.message_id, sizeof receipt->scan.message_id, "%.*s", BYTES_ARGS(value));
    return OK;
}

/* The header fields of ours that go before the content. */
static void write_prepend(struct receipt *receipt, const struct session *session,
    struct wall now, struct bytes ip, struct buf *out)
{
    const struct tls_facts *tls = conn_tls(session->conn);
    struct bytes fqdn = session->config.fqdn;
    bool adds = session->connector->adds_missing_headers;
    struct trace trace = {
        .client_name = bytes_text(session->client_name),
        .client_ip = ip,
        .by = fqdn,
        .connector = bytes_text(session->connector->name),
        .tls_version = bytes_text(tls ? tls->version : NULL),
        .tls_cipher = bytes_text(tls ? tls->cipher : NULL),
        .user = bytes_text(session->client.user),
        .is_smtp = !session->engine.is_extended,
        .is_utf8 = receipt->is_smtputf8,
        .mid = receipt->mid,
        .now = now,
    };
    enum err err;

    if (receipt->mailbox_count == 1)
        trace.only_recipient = receipt_text(receipt, receipt->recipients[0].address);
    err = trace_received(&trace, out);
    if (err == OK && adds && !receipt->scan.has_date)
        err = trace_date(now, out);
    if (err == OK && adds && !receipt->scan.has_from)
        err = trace_from(receipt_sender(receipt), receipt->is_smtputf8, out);
    if (err == OK && adds && !receipt->scan.has_message_id)
        err = add_message_id(receipt, fqdn, out);
    if (err == OK && lacks_header(&receipt->scan))
        err = buf_add_text(out, "\r\n");
    if (err != OK)
        abort(); /* all parts are bounded far below the ceiling */
}

/* Nobody is in it twice. */
static void list_recipients(
    struct receipt *receipt, const struct settings *settings, struct recipient *out)
{
    struct bytes home = bytes_text(default_domain(settings));
    uint64_t seed;

    for (uint32_t i = 0; i < receipt->recipient_count; i++)
        out[i] = (struct recipient){
            .address = receipt_text(receipt, receipt->recipients[i].address),
            .orcpt = receipt_text(receipt, receipt->recipients[i].orcpt),
            .notify = receipt->recipients[i].notify,
            .is_expanded = receipt->recipients[i].is_expanded,
        };
    memcpy(&seed, receipt->mid.byte, sizeof seed); /* nobody was told it yet */
    receipt->mailbox_count = recipients_merge(out, receipt->recipient_count, home, seed);
}

/* Who wrote it is believed from those alone who proved who they are: RFC 4954, 5. */
static struct bytes believed_auth(const struct receipt *receipt, const struct session *session)
{
    if (receipt->auth.n && !session->client.user)
        return BYTES("<>");
    return receipt_text(receipt, receipt->auth);
}

static struct envelope envelope_of(const struct receipt *receipt, const struct session *session)
{
    const struct scan *scan = &receipt->scan;
    bool ends_with_crlf = scan->bytes == 0 || memcmp(receipt->last_two, "\r\n", 2) == 0;

    return (struct envelope){
        .sender = receipt_text(receipt, receipt->sender),
        .envid = receipt_text(receipt, receipt->envid),
        .auth = believed_auth(receipt, session),
        .ret = receipt->ret,
        .body = receipt->body,
        .is_smtputf8 = receipt->is_smtputf8,
        /* Content that does not end with CRLF (BDAT) goes through the stuffing writer too,
         * which completes its last line before the final dot. */
        .has_dot_line = scan->has_dot_line || !ends_with_crlf,
        .has_8bit = scan->has_8bit,
        .has_utf8_header = scan->has_utf8_header,
        .priority = priority_level(session->connector,
            &(struct priority_wish){ .mail = receipt->priority, .header = scan->priority }),
        .hop_count = scan->received_count > 255 ? 255 : (uint8_t)scan->received_count,
        .session = session->protocol.id,
        .connector = bytes_text(session->connector->name),
        .client_name = bytes_text(session->client_name),
        .client_user = bytes_text(session->client.user),
        .message_id = bytes_text(scan->message_id),
        .content_bytes = scan->bytes,
        .recipient_count = receipt->mailbox_count,
    };
}

static struct message *make_message(struct receipt *receipt, const struct session *session)
{
    struct envelope envelope;
    struct recipient few[4];
    struct recipient *recipients = receipt->recipient_count <= 4
                                       ? few
                                       : mem_new(receipt->recipient_count * sizeof *recipients);
    char ip[IP_TEXT_BYTES] = "";
    struct buf prepend, encoded;
    struct message *message;

    buf_init(&prepend, PREPEND_BYTES_MAX);
    buf_init(&encoded, ENVELOPE_BYTES_MAX);
    list_recipients(receipt, session->setup->settings, recipients);
    envelope = envelope_of(receipt, session);
    if (!session->arrival.is_unix)
        ip_format(session->arrival.peer, ip);
    envelope.arrived = loop_wall(session->house->loop);
    envelope.client_ip = bytes_text(ip);
    write_prepend(receipt, session, envelope.arrived, envelope.client_ip, &prepend);
    envelope.prepend = buf_bytes(&prepend);
    envelope.message_id = bytes_text(receipt->scan.message_id); /* perhaps ours */
    envelope.recipients = recipients;
    if (envelope_encode(&envelope, &encoded) != OK)
        abort(); /* recipients are counted and lines short: far below the ceiling */
    message = message_new(
        receipt->mid, buf_bytes(&encoded), receipt->mailbox_count, envelope.arrived);
    message->priority = (uint8_t)priority_of(envelope.priority);
    buf_done(&encoded);
    buf_done(&prepend);
    if (recipients != few)
        free(recipients);
    return message;
}

/* Its client is gone: it was not told, and may send the message again (D2). */
static void on_untold(struct receipt *receipt, const struct verdict *verdict)
{
    if (verdict->code == 250) {
        tell_received(receipt);
        tell_untold(receipt);
    }
    session_house_leave(receipt->house);
}

static void on_secured(struct securing *securing, const struct verdict *verdict)
{
    struct receipt *receipt = container_of(securing, struct receipt, securing);

    receipt->is_committing = false;
    if (receipt->session)
        session_on_stored(receipt->session, receipt, verdict);
    else
        on_untold(receipt, verdict);
    receipt_free(receipt);
}

void receipt_store(struct receipt *receipt, struct session *session)
{
    struct message *message;

    scan_end(&receipt->scan);
    if (receipt->scan.bytes > session->connector->size_bytes_max &&
        session->connector->report_only & LIMIT_MESSAGE_SIZE)
        session_would_refuse(session, "DATA", LIMIT_MESSAGE_SIZE);
    session_count_message(session, receipt->scan.bytes);
    message = make_message(receipt, session);
    receipt->is_committing = true;
    receipt->session = session;
    receipt->house = session->house;
    receipt->securing.failure = session->connector->shadow_failure;
    receipt->securing.delay_ms = session->connector->acknowledgement_delay_ms;
    receipt->securing.on_done = on_secured;
    secure_store(session->house->secure, session->house->loop, &receipt->writer, &message, NULL,
        &receipt->securing);
}
