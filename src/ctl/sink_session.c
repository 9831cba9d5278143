#include "base/mem.h"
#include "ctl/sink.h"

#include <assert.h>
#include <stdlib.h>

/* One connection to the sink: the SMTP server engine, and decisions that are options. */
struct session {
    struct list node;
    struct sink *sink;
    struct conn *conn;
    struct smtp_server server;
    struct timer late; /* --delay: the reply to the end of the content */
    struct buf helo, sender, recipients, content;
    uint64_t content_bytes;
    uint32_t recipient_count;
    bool is_stalled; /* --stall-at: says nothing more */
    bool is_over;    /* closed as soon as no callback of ours is on the stack */
};

static void step(struct session *session, const struct smtp_server_event *event);

static void end(struct session *session)
{
    struct sink *sink = session->sink;

    list_remove(&session->node);
    timer_stop(&session->late);
    conn_close(&session->conn, true);
    smtp_server_done(&session->server);
    buf_done(&session->helo);
    buf_done(&session->sender);
    buf_done(&session->recipients);
    buf_done(&session->content);
    free(session);
    sink_session_ended(sink);
}

static void forget_message(struct session *session)
{
    buf_clear(&session->sender);
    buf_clear(&session->recipients);
    buf_clear(&session->content);
    session->content_bytes = 0;
    session->recipient_count = 0;
}

static void answer(
    struct session *session, enum smtp_server_event_type type, struct verdict verdict)
{
    struct smtp_server_event event = { .type = type, .verdict = &verdict };

    step(session, &event);
}

/* True: something else than an answer was asked for at this stage. */
static bool misbehaves(struct session *session, enum sink_stage stage)
{
    const struct sink_settings *settings = session->sink->settings;

    if (settings->drop_at == stage)
        session->is_over = true;
    else if (settings->stall_at == stage)
        session->is_stalled = true;
    return session->is_over || session->is_stalled;
}

static void decide(struct session *session, enum sink_stage stage)
{
    const struct verdict *asked = &session->sink->settings->replies[stage];
    struct verdict verdict = asked->code ? *asked : verdict_of(250, STATUS(2, 0, 0), "ok");

    if (misbehaves(session, stage))
        return;
    if (stage == SINK_AT_MAIL && session->sink->is_ending)
        verdict = verdict_of(421, STATUS(4, 3, 2), "received all that was asked for");
    answer(session, SMTP_SERVER_DECIDED, verdict);
}

/* --- The end of a message ---------------------------------------------------------------- */

static bool fails_by_chance(struct sink *sink)
{
    /* Knuth's 64-bit linear congruential generator; its upper bits are good enough here. */
    sink->random = sink->random * 6364136223846793005u + 1442695040888963407u;
    return (sink->random >> 33) % 100 < sink->settings->fail_percent;
}

static enum err store(struct session *session)
{
    const struct sink_message message = {
        .helo = buf_bytes(&session->helo),
        .sender = buf_bytes(&session->sender),
        .recipients = buf_bytes(&session->recipients),
        .content = buf_bytes(&session->content),
        .tls = conn_tls(session->conn),
    };

    return sink_store_write(session->sink->store, &message);
}

static void finish_message(struct session *session)
{
    struct sink *sink = session->sink;
    struct verdict verdict = sink->settings->replies[SINK_AT_END];
    uint64_t bytes = session->content_bytes;

    if (verdict.code == 0 && fails_by_chance(sink))
        verdict = verdict_of(451, STATUS(4, 3, 0), "failed by chance, as asked for");
    if (verdict.code == 0 && store(session) != OK)
        verdict = verdict_of(451, STATUS(4, 3, 0), "could not be written");
    if (verdict.code == 0)
        verdict = verdict_of(250, STATUS(2, 0, 0), "received");
    if (verdict_is_ok(&verdict)) {
        sink->recipients += session->recipient_count;
        sink_received(sink, bytes);
    } else {
        sink->refused++;
    }
    forget_message(session);
    answer(
        session, verdict_is_ok(&verdict) ? SMTP_SERVER_STORED : SMTP_SERVER_REFUSED, verdict);
}

static void resume(struct session *session)
{
    if (session->is_over) {
        end(session);
        return;
    }
    conn_send(session->conn);
    if (smtp_server_wants_input(&session->server) && !session->is_stalled)
        conn_resume(session->conn);
}

static void on_late(struct timer *timer)
{
    struct session *session = container_of(timer, struct session, late);

    finish_message(session);
    resume(session);
}

static void on_body_end(struct session *session)
{
    if (misbehaves(session, SINK_AT_END))
        return;
    if (session->sink->settings->delay_ms > 0)
        timer_start(&session->late, session->sink->settings->delay_ms);
    else
        finish_message(session);
}

/* --- Actions ----------------------------------------------------------------------------- */

static void set(struct buf *buf, struct bytes bytes)
{
    buf_clear(buf);
    err_ignore(buf_add(buf, bytes)); /* the ceiling is far above a command line */
}

static void on_recipient(struct session *session, const struct smtp_rcpt *rcpt)
{
    enum err err = buf_add(&session->recipients, rcpt->address.text);

    if (err == OK)
        err = buf_add_text(&session->recipients, "\n");
    if (err != OK) {
        answer(session, SMTP_SERVER_DECIDED,
            verdict_of(452, STATUS(4, 5, 3), "too many recipients"));
        return;
    }
    session->recipient_count++;
    decide(session, SINK_AT_RCPT);
}

static void on_body(struct session *session, struct bytes run)
{
    size_t keeps = sink_store_keeps(session->sink->store), have = session->content.n;

    session->content_bytes += run.n;
    if (have < keeps)
        err_ignore(buf_add(&session->content, bytes_first(run, keeps - have)));
    /* The engine watches size_bytes_max, which is the buffer's ceiling too. */
}

static void act(struct session *session, const struct smtp_server_action *action)
{
    switch (action->type) {
    case SMTP_SERVER_CHECK_HELLO:
        set(&session->helo, action->text);
        answer(session, SMTP_SERVER_DECIDED, verdict_of(250, STATUS(2, 0, 0), "ok"));
        break;
    case SMTP_SERVER_CHECK_MAIL:
        forget_message(session);
        set(&session->sender, action->mail->sender.text);
        decide(session, SINK_AT_MAIL);
        break;
    case SMTP_SERVER_CHECK_RCPT:
        on_recipient(session, action->rcpt);
        break;
    case SMTP_SERVER_BODY_BEGIN:
        decide(session, SINK_AT_DATA);
        break;
    case SMTP_SERVER_BODY:
        on_body(session, action->text);
        break;
    case SMTP_SERVER_BODY_END:
        on_body_end(session);
        break;
    case SMTP_SERVER_BODY_ABANDON:
    case SMTP_SERVER_RESET:
        forget_message(session);
        break;
    case SMTP_SERVER_START_TLS:
        conn_start_tls(session->conn, session->sink->tls, NULL);
        break;
    case SMTP_SERVER_AUTH_BEGIN: /* not offered */
    case SMTP_SERVER_AUTH_RESPONSE:
        answer(session, SMTP_SERVER_AUTH_DONE, verdict_of(535, STATUS(5, 7, 8), "no"));
        break;
    case SMTP_SERVER_CLOSE:
        session->is_over = true;
        break;
    default: /* lines and errors, which nobody wants to see here */
        break;
    }
}

/* Steps the engine and does what it says; answers step it again, from in here: the action that
 * asks is the last of its list. */
static void step(struct session *session, const struct smtp_server_event *event)
{
    struct smtp_server_actions actions;

    smtp_server_step(&session->server, event, &actions, conn_out(session->conn));
    for (unsigned i = 0; i < actions.count && !session->is_over; i++)
        act(session, &actions.list[i]);
}

/* --- The connection ---------------------------------------------------------------------- */

static bool wants_input(const struct session *session)
{
    return !session->is_over && !session->is_stalled &&
           smtp_server_wants_input(&session->server) && !conn_out_is_high(session->conn);
}

static size_t on_input(void *me, struct bytes input)
{
    struct session *session = me;
    size_t all = input.n;

    while (input.n && wants_input(session)) {
        struct smtp_server_event event = { .type = SMTP_SERVER_INPUT, .input = input };
        struct smtp_server_actions actions;
        size_t used =
            smtp_server_step(&session->server, &event, &actions, conn_out(session->conn));
        for (unsigned i = 0; i < actions.count && !session->is_over; i++)
            act(session, &actions.list[i]);
        input = bytes_skip(input, used);
        if (used == 0 && actions.count == 0)
            break; /* half a line */
    }
    if (session->is_over) {
        end(session);
        return all;
    }
    conn_send(session->conn);
    if (!wants_input(session))
        conn_pause(session->conn);
    return all - input.n;
}

static void on_room(void *me)
{
    resume(me);
}

static void open_dialogue(struct session *session)
{
    struct smtp_server_event event = { .type = SMTP_SERVER_OPENED };
    const struct verdict *banner = &session->sink->settings->replies[SINK_AT_BANNER];

    if (misbehaves(session, SINK_AT_BANNER)) {
        /* nothing is said */
    } else if (banner->code) {
        event = (struct smtp_server_event){ .type = SMTP_SERVER_STOPPED, .verdict = banner };
        step(session, &event);
    } else {
        step(session, &event);
    }
    resume(session);
}

static void on_tls(void *me, enum err err)
{
    struct session *session = me;
    struct smtp_server_event event = { .type = SMTP_SERVER_TLS_STARTED };

    if (err != OK) {
        end(session);
    } else if (session->sink->settings->is_implicit_tls) {
        open_dialogue(session);
    } else {
        step(session, &event);
        resume(session);
    }
}

static void on_end(void *me, enum err err)
{
    (void)err; /* a client that goes away is no event for a sink */
    end(me);
}

static const struct conn_handler handler = {
    .on_input = on_input,
    .on_room = on_room,
    .on_tls = on_tls,
    .on_end = on_end,
};

void sink_session_start(struct sink *sink, int fd)
{
    struct session *session = mem_new(sizeof *session);

    session->sink = sink;
    if (conn_accept(sink->loop, fd, &handler, session, &session->conn) != OK) {
        free(session);
        return;
    }
    list_add_last(&sink->sessions, &session->node);
    sink->session_count++;
    sink->sessions_all++;
    smtp_server_init(&session->server, &sink->config);
    timer_init(&session->late, sink->loop, on_late);
    buf_init(&session->helo, SMTP_SERVER_LINE_BYTES_MAX);
    buf_init(&session->sender, SMTP_SERVER_LINE_BYTES_MAX);
    buf_init(&session->recipients, 64 << 20);
    buf_init(&session->content, sink->settings->size_bytes_max);
    if (sink->settings->is_implicit_tls)
        conn_start_tls(session->conn, sink->tls, NULL);
    else
        open_dialogue(session);
}

void sink_sessions_close(struct sink *sink)
{
    while (!list_is_empty(&sink->sessions))
        end(container_of(list_first(&sink->sessions), struct session, node));
}
