#include "base/mem.h"
#include "ctl/load.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { RECONNECT_MS = 100, REFUSED_WAIT_MS = 50 };

/* A message under way. */
struct flight {
    struct smtp_client_message message;
    struct load_content content;
    uint64_t number;
    uint64_t began_us, sent_us;
    unsigned worst; /* code of the worst reply; a lost connection is worse than all */
    bool is_used, is_lost;
};

/* One session: connections one after the other, as long as there is work. */
struct load_session {
    struct load *load;
    struct conn *conn;
    struct smtp_client *client;
    struct timer again; /* connect, or offer, later */
    struct flight *flights;
    uint64_t offered;  /* on this connection */
    uint64_t heard_us; /* when the other side last said something */
    bool is_ready;     /* the engine would take a message */
    bool wants_close;  /* the engine said CLOSE */
    bool was_lost;     /* LOST was given to the engine */
    bool has_failed;   /* this connection: it did not come up, or was lost */
    bool is_holding;   /* a message was refused for now: no other at once */
    bool is_quitting;
    struct flight *sending; /* its content is being appended */
    bool is_stuffed;
    struct smtp_stuff stuff;
    uint64_t sent; /* bytes of content appended */
};

static void connect_now(struct load_session *session);

/* --- Ends -------------------------------------------------------------------------------- */

static void be_over(struct load_session *session)
{
    struct load *load = session->load;

    if (--load->open_count == 0)
        load->on_over(load);
}

static void note_error(struct load_session *session, const char *text)
{
    snprintf(session->load->last_error, sizeof session->load->last_error, "%.280s", text);
}

/* The connection is gone.  Opens the next, if there is something to be sent. */
static void next_connection(struct load_session *session, bool was_failure)
{
    const struct load_settings *settings = session->load->settings;

    conn_close(&session->conn, true);
    smtp_client_free(session->client);
    session->client = NULL;
    timer_stop(&session->again);
    if (load_work_is_given_out(&session->load->work) || (was_failure && !settings->retries))
        be_over(session);
    else if (was_failure)
        timer_start(&session->again, RECONNECT_MS);
    else
        connect_now(session);
}

/* --- The engine -------------------------------------------------------------------------- */

static void finish_flight(struct load_session *session, struct flight *flight)
{
    struct load_work *work = &session->load->work;
    uint64_t now = load_now_us();
    unsigned code = flight->is_lost ? 0 : flight->worst;

    flight->is_used = false;
    if (code >= 200 && code < 300) {
        histogram_add(&work->ack_us, now - flight->sent_us);
        histogram_add(&work->whole_us, now - flight->began_us);
    }
    load_work_end(work, flight->number, code);
    if (work->settings->retries && (code < 200 || code / 100 == 4)) {
        session->is_holding = true;
        timer_start(&session->again, REFUSED_WAIT_MS);
    }
}

static void on_result(struct load_session *session, const struct smtp_client_action *action)
{
    struct flight *flight = &session->flights[action->tag];

    if (session->was_lost)
        flight->is_lost = true;
    if (action->reply->code > flight->worst)
        flight->worst = action->reply->code;
    if (action->reply->code >= 400)
        note_error(session, action->reply->text);
}

static void on_returned(struct load_session *session, uint64_t tag)
{
    session->flights[tag].is_used = false;
    load_work_return(&session->load->work, session->flights[tag].number);
}

static void on_failed(struct load_session *session, const struct smtp_reply *reply)
{
    session->load->work.connections_failed++;
    if (reply->code < LOAD_CODE_MAX)
        session->load->work.codes[session->was_lost ? 0 : reply->code]++;
    note_error(session, reply->text);
    session->has_failed = true;
}

static void on_send_content(
    struct load_session *session, const struct smtp_client_action *action)
{
    assert(!session->sending);
    session->sending = &session->flights[action->tag];
    session->is_stuffed = action->is_stuffed;
    session->stuff = SMTP_STUFF_START;
    session->sent = 0;
}

static void act(struct load_session *session, const struct smtp_client_action *action)
{
    switch (action->type) {
    case SMTP_CLIENT_START_TLS:
        conn_start_tls(session->conn, session->load->tls, "localhost");
        break;
    case SMTP_CLIENT_READY:
        session->is_ready = true;
        break;
    case SMTP_CLIENT_SEND_CONTENT:
        on_send_content(session, action);
        break;
    case SMTP_CLIENT_RESULT:
        on_result(session, action);
        break;
    case SMTP_CLIENT_DONE:
        finish_flight(session, &session->flights[action->tag]);
        break;
    case SMTP_CLIENT_FAILED:
        on_failed(session, action->reply);
        break;
    case SMTP_CLIENT_RETURNED:
        on_returned(session, action->tag);
        break;
    case SMTP_CLIENT_CLOSE:
        session->wants_close = true;
        break;
    default: /* UP, and lines for a log */
        break;
    }
}

/* One event; and empty input for as long as the list of actions was full. */
static size_t step(struct load_session *session, const struct smtp_client_event *event)
{
    struct smtp_client_event more = { .type = SMTP_CLIENT_INPUT };
    struct smtp_client_actions actions;
    size_t used = smtp_client_step(session->client, event, &actions, conn_out(session->conn));

    for (;;) {
        for (unsigned i = 0; i < actions.count; i++)
            act(session, &actions.list[i]);
        if (!actions.is_more)
            return used;
        smtp_client_step(session->client, &more, &actions, conn_out(session->conn));
    }
}

static void step_plain(struct load_session *session, enum smtp_client_event_type type)
{
    step(session, &(struct smtp_client_event){ .type = type });
}

static void lose(struct load_session *session, const char *why)
{
    struct verdict verdict = verdict_of(421, STATUS(4, 4, 2), "%s", why);
    struct smtp_client_event event = { .type = SMTP_CLIENT_LOST, .verdict = &verdict };

    session->was_lost = session->has_failed = true;
    session->sending = NULL;
    step(session, &event);
    session->wants_close = true;
}

/* --- Messages ---------------------------------------------------------------------------- */

static struct flight *free_flight(struct load_session *session)
{
    for (uint64_t i = 0; i < session->load->settings->under_way; i++) {
        if (!session->flights[i].is_used)
            return &session->flights[i];
    }
    return NULL;
}

static void offer(struct load_session *session, struct flight *flight, uint64_t number)
{
    struct load_work *work = &session->load->work;
    struct smtp_client_event event = { .type = SMTP_CLIENT_OFFER };

    flight->is_used = true;
    flight->is_lost = false;
    flight->number = number;
    flight->worst = 0;
    flight->began_us = load_now_us();
    load_content_make(work, number, &flight->content);
    flight->message = (struct smtp_client_message){
        .tag = (uint64_t)(flight - session->flights),
        .sender = bytes_text(work->settings->from),
        .ends_with_crlf = true,
        .content_bytes = load_content_bytes(&flight->content),
        .recipients = work->recipients,
        .recipient_count = (uint32_t)work->settings->recipient_count,
    };
    event.message = &flight->message;
    session->is_ready = false;
    session->offered++;
    step(session, &event);
}

static bool has_enough(const struct load_session *session)
{
    uint64_t max = session->load->settings->messages_per_session;

    return (max && session->offered >= max) || load_work_is_given_out(&session->load->work);
}

/* Answers READY: a message, QUIT, or nothing yet.  True: something was done. */
static bool answer_ready(struct load_session *session)
{
    struct flight *flight = free_flight(session);
    uint64_t number;

    if (has_enough(session)) {
        session->is_ready = false;
        session->is_quitting = true;
        step_plain(session, SMTP_CLIENT_QUIT);
        return true;
    }
    if (session->is_holding || !flight || !load_work_take(&session->load->work, &number))
        return false; /* woken by the rate, or when a message comes back */
    offer(session, flight, number);
    return true;
}

static enum err append(struct load_session *session, struct bytes run)
{
    struct buf *out = conn_out(session->conn);

    return session->is_stuffed ? smtp_stuff_add(&session->stuff, run, out) : buf_add(out, run);
}

/* Appends content until the output is high; the rest follows with on_room(). */
static void send_content(struct load_session *session)
{
    struct flight *flight = session->sending;
    enum err err = OK;

    while (err == OK && session->sent < flight->message.content_bytes) {
        struct bytes run;
        if (conn_out_is_high(session->conn))
            return;
        run =
            bytes_first(load_content_at(&session->load->work, &flight->content, session->sent),
                CONN_OUT_BYTES_HIGH);
        err = append(session, run);
        session->sent += run.n;
    }
    if (err == OK && session->is_stuffed)
        err = smtp_stuff_end(&session->stuff, conn_out(session->conn));
    assert(err == OK); /* the output's ceiling is far above HIGH */
    session->sending = NULL;
    flight->sent_us = load_now_us();
    step_plain(session, SMTP_CLIENT_CONTENT_SENT);
}

/* What the actions asked for, once their list is done with. */
static void go_on(struct load_session *session)
{
    bool goes_on = true;

    while (goes_on && !session->wants_close) {
        goes_on = false;
        if (session->sending) {
            send_content(session);
            goes_on = !session->sending;
        } else if (session->is_ready) {
            goes_on = answer_ready(session);
        }
    }
    if (session->wants_close)
        next_connection(session, session->has_failed && !session->is_quitting);
    else
        conn_send(session->conn);
}

/* --- The connection ---------------------------------------------------------------------- */

static void on_connected(void *me, enum err err)
{
    struct load_session *session = me;

    if (err != OK) {
        session->load->work.connections_failed++;
        session->load->work.codes[0]++;
        note_error(session, err_text(err));
        next_connection(session, true);
    } else if (session->load->settings->tls == LOAD_TLS_IMPLICIT) {
        conn_start_tls(session->conn, session->load->tls, "localhost");
    } else {
        step_plain(session, SMTP_CLIENT_CONNECTED);
        go_on(session);
    }
}

static size_t on_input(void *me, struct bytes input)
{
    struct load_session *session = me;
    struct smtp_client_event event = { .type = SMTP_CLIENT_INPUT };
    size_t all = 0, used;

    session->heard_us = load_now_us();
    do {
        event.input = bytes_skip(input, all);
        used = step(session, &event);
        all += used;
    } while (used && all < input.n && !session->wants_close);
    if (conn_out_is_empty(session->conn) &&
        smtp_client_waits(session->client) != SMTP_CLIENT_WAITS_NOT)
        conn_acknowledge(session->conn);
    go_on(session); /* may close the connection: what was used does not matter then */
    return session->conn ? all : input.n;
}

static void on_room(void *me)
{
    go_on(me);
}

static void on_tls(void *me, enum err err)
{
    struct load_session *session = me;

    if (err != OK)
        lose(session, "TLS handshake failed");
    else if (session->load->settings->tls == LOAD_TLS_IMPLICIT)
        step_plain(session, SMTP_CLIENT_CONNECTED);
    else
        step_plain(session, SMTP_CLIENT_TLS_STARTED);
    go_on(session);
}

static void on_end(void *me, enum err err)
{
    lose(me, err == OK ? "connection closed by the other side" : err_text(err));
    go_on(me);
}

static const struct conn_handler handler = {
    .on_connected = on_connected,
    .on_input = on_input,
    .on_room = on_room,
    .on_tls = on_tls,
    .on_end = on_end,
};

static void connect_now(struct load_session *session)
{
    struct load *load = session->load;
    enum err err;

    session->offered = 0;
    session->heard_us = load_now_us();
    session->is_ready = session->wants_close = session->was_lost = false;
    session->is_quitting = session->is_stuffed = false;
    session->has_failed = session->is_holding = false;
    session->sending = NULL;
    session->client = smtp_client_new(&load->config);
    load->work.connections++;
    err =
        conn_connect(load->loop, &load->settings->to, NULL, &handler, session, &session->conn);
    if (err == OK)
        return;
    load->work.connections_failed++;
    note_error(session, err_text(err));
    next_connection(session, true);
}

static void on_again(struct timer *timer)
{
    struct load_session *session = container_of(timer, struct load_session, again);

    session->is_holding = false;
    if (session->conn)
        go_on(session);
    else if (load_work_is_given_out(&session->load->work))
        be_over(session);
    else
        connect_now(session);
}

/* --- Outside ----------------------------------------------------------------------------- */

struct load_session *load_session_new(struct load *load)
{
    struct load_session *session = mem_new(sizeof *session);

    session->load = load;
    session->flights = mem_new(load->settings->under_way * sizeof *session->flights);
    timer_init(&session->again, load->loop, on_again);
    load->open_count++;
    timer_start(&session->again, 0); /* nothing ends before all sessions are made */
    return session;
}

void load_session_free(struct load_session *session)
{
    if (!session)
        return;
    timer_stop(&session->again);
    conn_close(&session->conn, false);
    smtp_client_free(session->client);
    free(session->flights);
    free(session);
}

void load_session_wake(struct load_session *session)
{
    if (session->conn && session->is_ready)
        go_on(session);
}

void load_session_check(struct load_session *session, uint64_t now_us)
{
    uint64_t timeout_us = (uint64_t)session->load->settings->timeout_ms * 1000;

    if (!session->conn || session->is_ready || now_us - session->heard_us < timeout_us)
        return;
    lose(session, "timed out");
    go_on(session);
}
