#include "flow/session/internal.h"

#include "base/mem.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { LOOK_AGAIN_MS = 1000, AFTER_SENDING_MS = 1 };

/* --- The engine's turn ------------------------------------------------------------------- */

static void note_protocol(struct session *session, char sign, struct bytes text)
{
    if (!session->is_quiet)
        report_protocol(&session->protocol, sign, text);
}

static void log_replies(struct session *session, struct bytes sent)
{
    while (sent.n) {
        size_t end = bytes_find(sent, '\n');
        size_t n = end == BYTES_NOT_FOUND ? sent.n : end + 1;
        size_t text = n >= 2 ? n - 2 : n;
        report_protocol(&session->protocol, '>', bytes_first(sent, text));
        sent = bytes_skip(sent, n);
    }
}

/* One event into the engine; its actions are done in order. */
static size_t step(struct session *session, const struct smtp_server_event *event)
{
    struct buf *out = conn_out(session->conn);
    struct smtp_server_actions actions;
    size_t before = out->n, used;
    uint32_t refusals = session->engine.refusal_count;

    used = smtp_server_step(&session->engine, event, &actions, out);
    session->is_refused |= session->engine.refusal_count != refusals;
    for (unsigned i = 0; i < actions.count; i++)
        session_do(session, &actions.list[i]);
    if (session->config.logs_lines && out->n > before)
        log_replies(session, bytes_skip(buf_bytes(out), before));
    return used;
}

static bool is_stalled(const struct session *session)
{
    const struct receipt *receipt = session->receipt;

    return conn_out_is_high(session->conn) ||
           (receipt && receipt->writer && spool_writer_is_full(receipt->writer));
}

/* A refusal is held back for a while, and what stands behind it in the input with it, so that a
 * flight of commands waits for each (PE-8). */
static bool is_held(const struct session *session)
{
    return timer_is_running(&session->tarpit) ||
           (session->is_refused && session->connector->tarpit_ms &&
               !session->engine.is_authenticated);
}

/* Content that was given up: the engine reads on to its end by itself and says no more of it.
 */
static bool is_end_of_receipt(const struct smtp_server_event *event)
{
    return event->type == SMTP_SERVER_BODY_FAILED || event->type == SMTP_SERVER_REFUSED;
}

/* Gives the engine its answers, then INPUT as far as it takes it. */
static size_t feed(struct session *session, struct bytes input)
{
    size_t used = 0;

    while (!session->is_closing && !session->wants_tls) {
        size_t n;
        if (session->has_answer) {
            struct smtp_server_event event = session->answer;
            event.verdict = &session->verdict;
            session->has_answer = false;
            step(session, &event);
            if (is_end_of_receipt(&event))
                session_drop_receipt(session);
            continue;
        }
        if (used == input.n || is_stalled(session) || is_held(session) ||
            session->is_locked_out || !smtp_server_wants_input(&session->engine))
            break;
        n = step(session, &(struct smtp_server_event){
                              .type = SMTP_SERVER_INPUT, .input = bytes_skip(input, used) });
        used += n;
        if (n == 0 && !session->has_answer)
            break; /* half a line */
    }
    return used;
}

void session_house_leave(struct session_house *house)
{
    assert(house->count > 0);
    house->count--;
    if (house->is_stopping && house->count == 0)
        house->on_empty(house);
}

static void free_session(struct session *session)
{
    struct session_house *house = session->house;
    bool leaves = true;

    if (!session->is_quiet)
        report(REPORT_DISCONNECT, R_SESSION(session->protocol.id),
            R_CHARS("connector", session->connector->name),
            R_CHARS("client", session->protocol.peer));
    note_protocol(session, '-', BYTES_NONE);
    session_note_device(session);
    if (session->receipt && session->receipt->is_committing) {
        receipt_keep_client(session->receipt);
        session->receipt->session = NULL; /* it goes on without us, */
        leaves = false;                   /* and leaves the house in our place */
    } else {
        receipt_free(session->receipt);
    }
    timer_stop(&session->idle);
    timer_stop(&session->tarpit);
    auth_forget(session);
    smtp_server_done(&session->engine);
    list_remove(&session->in_house);
    house->on_gone(house, session->counted_as, session->arrival.source);
    setup_free(session->setup);
    free(session->client_name);
    free(session->unix_path);
    free(session->banner);
    free(session);
    if (leaves)
        session_house_leave(house);
}

static void lock_out(struct session *session);

static void on_end(void *me, enum err err);

/* The reply goes out before anything behind it is looked at: another refusal would go out with it,
 * a tarpit too early.  Nor is anything looked at for somebody who has left meanwhile: what he sent
 * at once would keep his place for a tarpit each. */
static void on_tarpit(struct timer *timer)
{
    struct session *session = container_of(timer, struct session, tarpit);

    if (session->is_locked_out) {
        lock_out(session);
        return;
    }
    session->last_input = loop_now(session->house->loop); /* until now he was not heard */
    session->is_let_go = !session->is_let_go;
    if (session->is_let_go) {
        conn_send(session->conn);
        timer_start(timer, AFTER_SENDING_MS);
    } else if (conn_is_broken(session->conn)) {
        on_end(session, ERR_CLOSED);
    } else {
        conn_resume(session->conn); /* with what is there already: on_input() */
    }
}

static bool enters_tarpit(struct session *session)
{
    bool holds = is_held(session);

    session->is_refused = false;
    if (holds && !timer_is_running(&session->tarpit)) {
        conn_pause(session->conn);
        timer_start(&session->tarpit, session->connector->tarpit_ms);
    }
    return holds;
}

static void start_tls(struct session *session)
{
    struct tls_context *context = setup_hold_receive_tls(session->setup, session->connector);

    conn_start_tls(session->conn, context, NULL);
    tls_context_free(context);
}

/* After every turn of the engine: sends, starts TLS, or ends.  The session may be gone then. */
static void settle(struct session *session)
{
    if (session->is_closing) {
        conn_close(&session->conn, true);
        free_session(session);
        return;
    }
    if (session->wants_tls) {
        session->wants_tls = false;
        start_tls(session);
        return;
    }
    if (enters_tarpit(session))
        return;
    if (session->is_locked_out) {
        lock_out(session);
        return;
    }
    conn_send(session->conn);
    if (is_stalled(session) || !smtp_server_wants_input(&session->engine))
        conn_pause(session->conn);
}

static void step_and_settle(
    struct session *session, enum smtp_server_event_type type, struct verdict verdict)
{
    session_answer(session, type, verdict);
    feed(session, BYTES_NONE);
    settle(session);
}

/* Too many failed logins. */
static void lock_out(struct session *session)
{
    struct decision decision;

    session->is_locked_out = false;
    limit_refuse(session->connector, LIMIT_LOGINS, &decision);
    session_reject(session, "AUTH", &decision);
    step_and_settle(session, SMTP_SERVER_STOPPED, decision.verdict);
}

void session_go_on(struct session *session)
{
    feed(session, BYTES_NONE);
    if (!session->is_closing)
        conn_resume(session->conn);
    settle(session);
}

/* Ends it by a 421, but not in clear to a client that is shaking hands. */
static void stop_session(struct session *session, struct verdict verdict)
{
    if (session->engine.state == SMTP_SERVER_GREETING && session->config.is_tls) {
        session->is_closing = true;
        settle(session);
        return;
    }
    step_and_settle(session, SMTP_SERVER_STOPPED, verdict);
}

/* --- The connection ---------------------------------------------------------------------- */

/* Who is no balancer says that he is somebody else (FE-5).  False: he does not, as far as it is
 * known by now. */
static bool is_header(struct session *session, struct bytes input)
{
    enum proxy_look look = proxy_look(input);

    session->has_begun = look == PROXY_LOOKS_OTHER;
    return look == PROXY_LOOKS_SO;
}

static void refuse_header(struct session *session)
{
    struct decision decision;

    balancer_refuse_header(session->connector->name, &decision);
    session_reject(session, "CONNECT", &decision);
    stop_session(session, decision.verdict);
}

static size_t on_input(void *me, struct bytes input)
{
    struct session *session = me;
    bool was_in_body = session->receipt && session->receipt->writer;
    size_t used;

    if (!session->has_begun && is_header(session, input)) {
        refuse_header(session);
        return input.n;
    }

    session->last_input = loop_now(session->house->loop);
    session->has_stored = false; /* whoever goes on has read the answer */
    used = feed(session, input);
    if (was_in_body || (session->receipt && session->receipt->writer))
        session->last_data = session->last_input;
    if (session->wants_tls && used < input.n) {
        /* Commands behind STARTTLS, in clear: somebody in the middle injects them.  SM-3. */
        report_protocol(&session->protocol, '*', BYTES("plaintext behind STARTTLS: closed"));
        session->wants_tls = false;
        session->is_closing = true;
    }
    if (session->is_closing)
        used = input.n;
    settle(session);
    return used;
}

void session_on_room(void *me)
{
    struct session *session = me;

    if (!timer_is_running(&session->tarpit)) /* else it does that in the end */
        conn_resume(session->conn);
}

static void log_tls(struct session *session, const struct tls_facts *tls)
{
    char text[400];
    int n = snprintf(text, sizeof text, "TLS started: %s %s", tls->version, tls->cipher);

    if (tls->peer_fingerprint[0])
        n += snprintf(text + n, sizeof text - (size_t)n, ", client certificate %s: %s",
            tls->peer_is_known ? "known" : "not known",
            tls->peer_subject[0] ? tls->peer_subject : tls->peer_fingerprint);
    note_protocol(session, '*', bytes_of(text, strnlen(text, (size_t)n)));
}

static void on_tls(void *me, enum err err)
{
    struct session *session = me;
    const struct tls_facts *tls;

    if (err != OK) {
        note_protocol(session, '*', BYTES("TLS handshake failed"));
        session->is_closing = true;
        settle(session);
        return;
    }
    tls = conn_tls(session->conn);
    snprintf(session->tls_version, sizeof session->tls_version, "%s", tls->version);
    snprintf(session->tls_cipher, sizeof session->tls_cipher, "%s", tls->cipher);
    session->client.is_tls = true;
    session->client.has_certificate = tls->peer_fingerprint[0];
    session->client.is_partner = tls->peer_is_known;
    if (session->config.logs_lines)
        log_tls(session, tls);
    session->last_input = loop_now(session->house->loop);
    auth_forget(session);
    auth_configure(session);
    session_know_client(session);
    step_and_settle(session,
        session->config.is_tls ? SMTP_SERVER_OPENED : SMTP_SERVER_TLS_STARTED,
        (struct verdict){ .code = 220 });
}

static void on_end(void *me, enum err err)
{
    struct session *session = me;

    /* Closed or broken: what was not committed does not exist.  Of what was, a client whose
     * connection broke may not have heard: it may send it again (D2). */
    if (err != OK && session->has_stored)
        report(REPORT_UNTOLD, R_MID(session->stored), R_SESSION(session->protocol.id),
            R_CHARS("connector", session->connector->name),
            R_CHARS("client", session->protocol.peer));
    conn_close(&session->conn, false);
    free_session(session);
}

static const struct conn_handler handler = {
    .on_input = on_input,
    .on_room = session_on_room,
    .on_tls = on_tls,
    .on_end = on_end,
};

void session_on_stored(
    struct session *session, struct receipt *receipt, const struct verdict *verdict)
{
    assert(session->receipt == receipt);
    if (verdict_is_ok(verdict)) {
        tell_received(receipt);
    } else {
        report(REPORT_STORE_FAILED, R_SESSION(session->protocol.id),
            R_CHARS("connector", session->connector->name),
            R_CHARS("client", session->protocol.peer), R_NUMBER("code", verdict->code),
            R_CHARS("text", verdict->text));
    }
    session->stored = receipt->mid;
    session->has_stored = verdict_is_ok(verdict);
    session->receipt = NULL; /* freed by its own commit */
    session->last_data = loop_now(session->house->loop);
    session_answer(
        session, verdict_is_ok(verdict) ? SMTP_SERVER_STORED : SMTP_SERVER_REFUSED, *verdict);
    feed(session, BYTES_NONE);
    if (session->house->is_stopping && !session->is_closing) {
        session_answer(session, SMTP_SERVER_STOPPED,
            verdict_of(421, STATUS(4, 3, 2), "Service shutting down"));
        feed(session, BYTES_NONE);
    }
    if (!session->is_closing)
        conn_resume(session->conn);
    settle(session);
}

/* --- Time -------------------------------------------------------------------------------- */

static void on_idle(struct timer *timer)
{
    struct session *session = container_of(timer, struct session, idle);
    const struct receive_connector *connector = session->connector;
    int64_t now = loop_now(session->house->loop).ms;
    int64_t idle_left = timer_is_running(&session->tarpit)
                            ? connector->idle_ms /* it is we who are silent */
                            : session->last_input.ms + connector->idle_ms - now;
    int64_t total_left = session->last_data.ms + connector->session_ms - now;
    int64_t left = idle_left < total_left ? idle_left : total_left;

    if (session->receipt && session->receipt->is_committing)
        left = left > LOOK_AGAIN_MS ? left : LOOK_AGAIN_MS; /* it waits for us */
    if (left > 0) {
        timer_start(timer, left);
        return;
    }
    stop_session(session,
        verdict_of(421, STATUS(4, 4, 2), "Connection timed out: %s",
            idle_left <= 0 ? "idle for too long" : "session without mail for too long"));
}

/* --- Beginning and end ------------------------------------------------------------------- */

/* The client is whom the balancer speaks for. */
static void name_peers(struct session *session)
{
    struct endpoint client = { .ip = session->arrival.peer,
        .port = session->arrival.peer_port };
    bool is_balanced = session->arrival.balanced.has_client;

    endpoint_format(is_balanced ? &client : conn_peer(session->conn), session->protocol.peer);
    endpoint_format(conn_local(session->conn), session->protocol.local);
}

static void report_balanced(struct session *session)
{
    const struct balanced *by = &session->arrival.balanced;
    struct endpoint via = { .ip = by->balancer, .port = by->balancer_port },
                    to = { .ip = by->destination, .port = by->destination_port };
    char from[ENDPOINT_TEXT_BYTES], destination[ENDPOINT_TEXT_BYTES],
        text[2 * ENDPOINT_TEXT_BYTES + 20];

    endpoint_format(&via, from);
    endpoint_format(&to, destination);
    report(REPORT_CONNECT, R_SESSION(session->protocol.id),
        R_CHARS("connector", session->connector->name),
        R_CHARS("client", session->protocol.peer), R_CHARS("via", from),
        R_CHARS("to", destination));
    snprintf(text, sizeof text, "PROXY via %s to %s", from, destination);
    report_protocol(&session->protocol, '+', BYTES_NONE);
    report_protocol(&session->protocol, '*', bytes_text(text));
}

static void report_connect(struct session *session)
{
    if (session->is_quiet)
        return;
    if (session->arrival.balanced.has_client) {
        report_balanced(session);
        return;
    }
    report(REPORT_CONNECT, R_SESSION(session->protocol.id),
        R_CHARS("connector", session->connector->name),
        R_CHARS("client", session->protocol.peer));
    report_protocol(&session->protocol, '+', BYTES_NONE);
}

void session_unquiet(struct session *session)
{
    if (!session->is_quiet)
        return;
    session->is_quiet = false;
    session->config.logs_lines = session->connector->logs_protocol;
    report_connect(session);
}

void session_open(struct session_house *house, const struct session_start *start)
{
    struct session *session = mem_new(sizeof *session);

    session->house = house;
    session->setup = start->setup;
    session->connector = start->connector;
    session->arrival = start->arrival;
    if (start->arrival.path) /* the binding may be closed while the session goes on */
        session->arrival.path = session->unix_path = mem_text(start->arrival.path);
    session->is_quiet = start->arrival.balanced.is_probe;
    session->protocol.id = start->id;
    snprintf(session->counted_as, sizeof session->counted_as, "%s", start->connector->name);
    list_init(&session->in_house);
    list_add_last(&house->sessions, &session->in_house);
    house->count++;
    timer_init(&session->idle, house->loop, on_idle);
    timer_init(&session->tarpit, house->loop, on_tarpit);
    session->last_input = session->last_data = session->unnoted.last = loop_now(house->loop);
    session_configure(session);
    smtp_server_init(&session->engine, &session->config);
    if (conn_accept(house->loop, start->fd, &handler, session, &session->conn) != OK) {
        free_session(session);
        return;
    }
    name_peers(session);
    report_connect(session);
    timer_start(&session->idle, session->connector->idle_ms < session->connector->session_ms
                                    ? session->connector->idle_ms
                                    : session->connector->session_ms);
    if (session->config.is_tls)
        start_tls(session);
    else
        step_and_settle(session, SMTP_SERVER_OPENED, (struct verdict){ .code = 220 });
}

void session_house_stop(struct session_house *house)
{
    house->is_stopping = true;
    if (house->count == 0) {
        house->on_empty(house);
        return;
    }
    list_each (node, &house->sessions) {
        struct session *session = container_of(node, struct session, in_house);
        if (session->receipt && session->receipt->is_committing)
            continue; /* session_on_stored() ends it */
        stop_session(session, verdict_of(421, STATUS(4, 3, 2), "Service shutting down"));
    }
}
