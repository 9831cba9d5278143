/* What the engine asks, answered: from the settings, the spool's room and the receipt. */
#include "flow/session/internal.h"

#include "answer/answer.h"
#include "base/mem.h"
#include "policy/limits.h"
#include "policy/rights.h"
#include "proto/smtp/reply.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* --- Configuration of the engine --------------------------------------------------------- */

void session_know_client(struct session *session)
{
    const struct settings *settings = session->setup->settings;

    client_know(settings, session->connector, &session->client);
    session->config.size_bytes_max =
        limits_size_max(settings, session->connector, &session->client);
}

/* What the engine needs to know of the connector.  Called between transactions alone. */
void session_configure(struct session *session)
{
    const struct receive_connector *connector = session->connector;
    const struct settings *settings = session->setup->settings;

    client_know(settings, connector, &session->client);
    free(session->banner);
    session->banner = answer_banner(settings, connector);
    session->config = answer_config(settings, connector, &session->client, session->banner);
    session->config.logs_lines &= !session->is_quiet;
    session->protocol.connector = connector->name;
    auth_configure(session);
}

bool session_refresh(struct session *session)
{
    struct setup_slot *slot = session->house->setup;
    const struct receive_connector *connector;
    struct setup *setup;

    if (atomic_load_explicit(&slot->revision, memory_order_relaxed) ==
        session->setup->settings->revision)
        return true;
    setup = setup_slot_hold(slot);
    connector = receive_choose(setup->settings, &session->arrival);
    if (!connector) {
        setup_free(setup);
        return false;
    }
    if (session->client.is_partner)
        session->client.is_partner = client_is_still_partner(
            session->connector, connector, conn_tls(session->conn)->peer_fingerprint);
    setup_free(session->setup);
    session->setup = setup;
    session->connector = connector;
    session_configure(session);
    if (!auth_renew(session))
        return false;
    session_know_client(session);
    return true;
}

/* --- Answers to the engine --------------------------------------------------------------- */

void session_answer(
    struct session *session, enum smtp_server_event_type type, struct verdict verdict)
{
    session->verdict = verdict;
    session->answer = (struct smtp_server_event){ .type = type };
    session->has_answer = true;
}

void session_answer_changed(struct session *session)
{
    session_answer(session, SMTP_SERVER_STOPPED,
        verdict_of(421, STATUS(4, 3, 2), "Configuration has changed, please reconnect"));
}

static void report_reject(struct session *session, const char *stage, struct bytes about,
    const char *rule, const struct verdict *verdict)
{
    char status[STATUS_TEXT_BYTES];

    status_format(verdict->status, status);
    report(REPORT_REJECT, R_SESSION(session->protocol.id),
        R_CHARS("connector", session->connector->name),
        R_CHARS("client", session->protocol.peer), R_CHARS("helo", session->client_name),
        R_CHARS("stage", stage), R_CHARS("rule", rule), R_ADDRESS("about", about),
        R_NUMBER("code", verdict->code), R_CHARS("dsn", status),
        R_CHARS("text", verdict->text));
}

void session_reject(struct session *session, const char *stage, const struct decision *decision)
{
    report_reject(session, stage, BYTES_NONE, decision->rule, &decision->verdict);
}

static void answer_decided(struct session *session, const char *stage, struct bytes about,
    const struct decision *decision)
{
    if (!decision_is_yes(decision))
        report_reject(session, stage, about, decision->rule, &decision->verdict);
    session_answer(session, SMTP_SERVER_DECIDED, decision->verdict);
}

/* A decision that is a yes stays what it is when there is room. */
static void decide_room(struct session *session, uint64_t bytes, struct decision *decision)
{
    char why[128] = "";

    switch (spool_has_room(session->house->secure->spool, bytes, why)) {
    case OK:
        return;
    case ERR_SPACE:
        decide(decision, "storage",
            verdict_of(452, STATUS(4, 3, 1), "Insufficient system storage: %s", why), "%s",
            why);
        return;
    default:
        decide(decision, "storage",
            verdict_of(451, STATUS(4, 3, 0), "Message store is not available: %s", why), "%s",
            why);
        return;
    }
}

static void on_hello(struct session *session, const struct smtp_server_action *action)
{
    free(session->client_name);
    session->client_name = bytes_to_text(action->text);
    session_answer(session, SMTP_SERVER_DECIDED, (struct verdict){ .code = 250 });
}

static void log_rewritten(struct session *session, const char *sender)
{
    char remark[ADDRESS_BYTES_MAX + 32];

    if (!session->config.logs_lines)
        return;
    snprintf(remark, sizeof remark, "sender rewritten to <%s>", sender);
    report_protocol(&session->protocol, '*', bytes_text(remark));
}

/* The engine refuses what is over `messages_max`, unless that is in report mode: then the first of
 * them is told of. */
static void report_one_too_many(struct session *session)
{
    uint32_t max = session->connector->messages_per_session_max;

    if (max && session->engine.mail_count == max)
        session_would_refuse(session, "MAIL", LIMIT_MESSAGES);
}

/* A yes becomes a no when this user, or address, has sent too much in this minute (PE-8). */
static void decide_rate(struct session *session, struct decision *decision)
{
    const struct receive_connector *connector = session->connector;
    uint32_t max = limits_rate_max(session->setup->settings, connector, &session->client);

    if (!max || session_takes_rate(session, max))
        return;
    if (connector->report_only & LIMIT_MESSAGE_RATE)
        session_would_refuse(session, "MAIL", LIMIT_MESSAGE_RATE);
    else
        limit_refuse(connector, LIMIT_MESSAGE_RATE, decision);
}

static void on_mail(struct session *session, const struct smtp_mail *mail)
{
    struct answer_mail answer;
    struct decision *decision = &answer.decision;

    if (!session_refresh(session)) {
        session_answer_changed(session);
        return;
    }
    answer_mail(session->setup->settings, session->connector, &session->client, mail, &answer);
    if (answer.rewritten)
        log_rewritten(session, answer.rewritten);
    if (decision_is_yes(decision))
        decide_room(session, mail->size_bytes, decision);
    if (decision_is_yes(decision))
        decide_rate(session, decision); /* last, since it counts */
    if (decision_is_yes(decision)) {
        assert(!session->receipt);
        report_one_too_many(session);
        session->receipt = receipt_new(
            &answer.mail, decision->rule, !(session->client.rights & RIGHT_INTERNAL_HEADERS));
        session->receipt->scan.own = session->config.fqdn;
        receipt_rename_senders(session->receipt, session);
    }
    answer_decided(session, "MAIL", answer.mail.sender.text, decision);
    free(answer.rewritten);
}

static void on_rcpt(struct session *session, const struct smtp_rcpt *rcpt)
{
    const struct settings *settings = session->setup->settings;
    struct resolved resolved;
    struct decision decision;

    rights_decide_recipient(
        settings, session->connector, &session->client, &rcpt->address, &resolved, &decision);
    if (decision_is_yes(&decision) &&
        !receipt_add_recipient(session->receipt, settings, rcpt, &resolved, decision.rule))
        decide_refusal(&decision, "recipients", session->connector->name,
            verdict_of(452, STATUS(4, 5, 3), "Too many recipients"),
            "what the recipients stand for is more than a message can have");
    else if (decision_is_yes(&decision) &&
             session->engine.recipient_count == session->connector->recipients_max)
        session_would_refuse(session, "RCPT", LIMIT_RECIPIENTS); /* else the engine refuses */
    answer_decided(session, "RCPT", rcpt->address.text, &decision);
}

static void on_body_begin(struct session *session)
{
    struct receipt *receipt = session->receipt;
    uint64_t size_max = session->config.size_bytes_max;
    struct decision decision = { .verdict = { .code = 250 } };

    decide_room(session, receipt->size_declared, &decision);
    if (decision_is_yes(&decision))
        receipt->writer = spool_writer_new(session->house->secure->spool, session->house->loop,
            size_max ? size_max : UINT64_MAX, session_on_room, session);
    answer_decided(session, "DATA", BYTES_NONE, &decision);
}

/* The message is given up; the engine reads on to its end. */
static void give_up_body(struct session *session, const struct decision *decision)
{
    report_reject(session, "DATA", BYTES_NONE, decision->rule, &decision->verdict);
    spool_abandon(&session->receipt->writer);
    session_answer(session, SMTP_SERVER_BODY_FAILED, decision->verdict);
}

static void on_body(struct session *session, struct bytes content)
{
    struct decision decision = { .verdict = { .code = 250 } };

    if (!session->receipt->writer)
        return; /* given up already: the engine is being told */
    receipt_add(session->receipt, session, content, &decision);
    if (!decision_is_yes(&decision))
        give_up_body(session, &decision);
}

/* What became of the header. */
static void log_changes(struct session *session)
{
    const struct receipt *receipt = session->receipt;
    char text[80];
    int n;

    if (!session->config.logs_lines)
        return;
    if (receipt->strip.count) {
        n = snprintf(text, sizeof text, "%u internal header fields removed: no right to them",
            receipt->strip.count);
        report_protocol(&session->protocol, '*', bytes_of(text, (size_t)n));
    }
    if (receipt->renames && receipt->renames->count) {
        n = snprintf(
            text, sizeof text, "senders rewritten in the header: %u", receipt->renames->count);
        report_protocol(&session->protocol, '*', bytes_of(text, (size_t)n));
    }
}

static void on_body_end(struct session *session)
{
    struct receipt *receipt = session->receipt;
    struct decision decision = { .verdict = { .code = 250 } };

    if (receipt->writer) {
        receipt_end(receipt, session, &decision);
        if (!decision_is_yes(&decision))
            give_up_body(session, &decision);
    }
    log_changes(session);
    if (receipt->writer)
        receipt_store(receipt, session);
    else /* it failed in this very step, before the engine could be told */
        session->answer.type = SMTP_SERVER_REFUSED;
}

/* What the engine refused by itself.  An error of a client that may make any number of them is
 * told of as often as others may make one. */
static void on_rejected(struct session *session, const struct smtp_server_action *action)
{
    struct bytes line = bytes_first(action->text, bytes_find(action->text, '\r')), rest;
    struct smtp_reply reply;
    struct verdict verdict;
    uint16_t code;
    bool is_last;

    if (session->engine.error_count > session->connector->errors_max + 1 ||
        !smtp_reply_parse_line(line, &code, &is_last, &rest))
        return;
    smtp_reply_begin(&reply, code, rest);
    verdict = verdict_of(code, reply.status, "%s", reply.text);
    report_reject(session, action->command, action->more, action->rule, &verdict);
}

void session_drop_receipt(struct session *session)
{
    receipt_free(session->receipt);
    session->receipt = NULL;
}

void session_do(struct session *session, const struct smtp_server_action *action)
{
    switch (action->type) {
    case SMTP_SERVER_CHECK_HELLO:
        on_hello(session, action);
        return;
    case SMTP_SERVER_CHECK_MAIL:
        session_unquiet(session);
        on_mail(session, action->mail);
        return;
    case SMTP_SERVER_CHECK_RCPT:
        on_rcpt(session, action->rcpt);
        return;
    case SMTP_SERVER_BODY_BEGIN:
        on_body_begin(session);
        return;
    case SMTP_SERVER_BODY:
        on_body(session, action->text);
        return;
    case SMTP_SERVER_BODY_END:
        on_body_end(session);
        return;
    case SMTP_SERVER_BODY_ABANDON:
    case SMTP_SERVER_RESET:
        session_drop_receipt(session);
        return;
    case SMTP_SERVER_START_TLS:
        session->wants_tls = true;
        return;
    case SMTP_SERVER_LINE:
        report_protocol(&session->protocol, '<', action->text);
        return;
    case SMTP_SERVER_CLOSE:
        session->is_closing = true;
        return;
    case SMTP_SERVER_PROTOCOL_ERROR:
        if (session->engine.error_count == session->connector->errors_max + 1 &&
            session->connector->report_only & LIMIT_ERRORS)
            session_would_refuse(session, "COMMAND", LIMIT_ERRORS);
        return;
    case SMTP_SERVER_REJECTED:
        on_rejected(session, action);
        return;
    case SMTP_SERVER_AUTH_BEGIN:
        auth_begin_login(session, action);
        return;
    case SMTP_SERVER_AUTH_RESPONSE:
        auth_respond(session, action);
        return;
    case SMTP_SERVER_AUTH_CANCEL:
        auth_end(session);
        return;
    }
}
