#include "proto/smtp/server.h"

#include "proto/smtp/line.h"
#include "proto/smtp/server_turn.h"

#include <assert.h>
#include <stdlib.h>

/* What one event, or one piece of input, may add at the most; a list with less room left is
 * handed over first. */
enum { ACTIONS_PER_PIECE_MAX = 8 };

_Static_assert(sizeof(struct smtp_server) < 512, "an idle session must cost little");

void smtp_server_init(struct smtp_server *server, const struct smtp_server_config *config)
{
    *server = (struct smtp_server){
        .config = config,
        .state = SMTP_SERVER_GREETING,
        .is_tls = config->is_tls,
        .command = "COMMAND",
    };
}

void smtp_server_done(struct smtp_server *server)
{
    auth_wipe(server);
    free(server->failure);
    server->failure = NULL;
    server->state = SMTP_SERVER_CLOSED;
}

bool smtp_server_wants_input(const struct smtp_server *server)
{
    if (server->state == SMTP_SERVER_AUTHENTICATING)
        return server->is_awaiting_response;
    return is_in(server, IN(HELLO) | IN(READY) | IN(MAIL) | IN(RCPT) | IN(DATA) | IN(BDAT));
}

/* The promise: the message is safe.  Said here and nowhere else (RFC 5321, 6.1). */
static void on_stored(struct turn *turn, const struct verdict *verdict)
{
    assert(turn->server->state == SMTP_SERVER_COMMITTING);
    turn_clear(turn);
    turn_enter(turn, SMTP_SERVER_READY);
    turn_accept(turn, BYTES("250 2.0.0 "), verdict->text, "Stored");
}

static void on_refused(struct turn *turn, const struct verdict *verdict)
{
    assert(turn->server->state == SMTP_SERVER_COMMITTING);
    turn_clear(turn);
    turn->server->was_refused = true;
    turn_enter(turn, SMTP_SERVER_READY);
    turn_refuse(turn, verdict);
}

static void on_decided(struct turn *turn, const struct verdict *verdict)
{
    struct smtp_server *server = turn->server;

    assert(server->state == SMTP_SERVER_DECIDING);
    if (server->deciding == DECIDING_BODY) {
        content_decided(turn, verdict);
        return;
    }
    if (!verdict_is_ok(verdict)) {
        turn_enter(turn, server->resume);
        turn_refuse(turn, verdict);
        return;
    }
    switch ((enum deciding)server->deciding) {
    case DECIDING_HELO:
    case DECIDING_EHLO:
        hello_accepted(turn, server->deciding == DECIDING_EHLO, verdict->text);
        break;
    case DECIDING_MAIL:
        mail_accepted(turn, verdict->text);
        break;
    case DECIDING_RCPT:
        mail_rcpt_accepted(turn, verdict->text);
        break;
    case DECIDING_BODY: /* above */
        break;
    }
}

/* Nothing that was said in clear counts any more: RFC 3207, 4.2. */
static void on_tls_started(struct turn *turn)
{
    struct smtp_server *server = turn->server;

    assert(server->state == SMTP_SERVER_STARTING_TLS);
    turn_clear(turn);
    server->is_tls = true;
    server->is_extended = server->has_hello = server->is_authenticated = false;
    server->was_refused = server->hides_unknown = false;
    turn_enter(turn, SMTP_SERVER_HELLO);
}

static void on_opened(struct turn *turn)
{
    turn_reply(turn, BYTES("220 "));
    turn_reply(turn, turn->server->config->banner);
    turn_reply(turn, BYTES("\r\n"));
    turn_enter(turn, SMTP_SERVER_HELLO);
}

/* While TLS starts, a line in clear would break into the handshake. */
static void on_stopped(struct turn *turn, const struct verdict *verdict)
{
    if (turn->server->state != SMTP_SERVER_STARTING_TLS)
        turn_refuse(turn, verdict);
    if (turn->server->state != SMTP_SERVER_CLOSED) /* 421 has closed it */
        turn_close(turn);
}

static size_t line_bytes_max(const struct smtp_server *server, struct bytes in)
{
    bool is_auth =
        server->state == SMTP_SERVER_AUTHENTICATING || bytes_starts_nocase(in, BYTES("AUTH "));

    return is_auth ? SMTP_SERVER_AUTH_LINE_BYTES_MAX : SMTP_SERVER_LINE_BYTES_MAX;
}

/* Whether the line that was cut off IN ended without its CR. */
static bool ended_bare(struct bytes in, size_t used)
{
    return used < 2 || in.at[used - 2] != '\r';
}

static void refuse_line(struct turn *turn, const char *rule, struct bytes reply)
{
    if (turn->server->state == SMTP_SERVER_AUTHENTICATING)
        auth_cancel(turn);
    else
        turn->server->command = "COMMAND";
    turn_fault_as(turn, rule, reply, BYTES_NONE);
}

/* Each bare LF gets an answer, so that a device which knows no other line end hears why; none
 * of it is obeyed before a CRLF was read. */
static bool read_line(struct turn *turn, struct bytes in, size_t *used)
{
    struct smtp_server *server = turn->server;
    bool tolerates = server->config->tolerates_bare_lf;
    bool was_skipping = server->is_skipping;
    struct bytes line = BYTES_NONE;
    enum smtp_line got =
        was_skipping ? smtp_line_skip(in, tolerates, used)
                     : smtp_line_cut(in, line_bytes_max(server, in), tolerates, &line, used);

    if (got == SMTP_LINE_MORE)
        return false;
    server->is_skipping = got != SMTP_LINE_DONE;
    if (tolerates && got == SMTP_LINE_DONE && ended_bare(in, *used))
        server->tolerated |= SMTP_TOLERATED_BARE_LF;
    if (got == SMTP_LINE_BARE)
        refuse_line(
            turn, "line-end", BYTES("500 5.5.2 Lines end with CR LF; bare CR, LF or NUL\r\n"));
    else if (got == SMTP_LINE_LONG)
        refuse_line(turn, "line-length", BYTES("500 5.5.6 Line too long\r\n"));
    else if (was_skipping)
        return true;
    else if (server->state == SMTP_SERVER_AUTHENTICATING)
        auth_line(turn, line);
    else
        verbs_line(turn, line);
    return true;
}

static bool read_piece(struct turn *turn, struct bytes in, size_t *used)
{
    const struct smtp_server *server = turn->server;

    if (server->state == SMTP_SERVER_DATA)
        return content_read_data(turn, in, used);
    if (server->state == SMTP_SERVER_BDAT && server->chunk_bytes_left)
        return content_read_chunk(turn, in, used);
    return read_line(turn, in, used);
}

static bool has_room(const struct turn *turn)
{
    const struct buf *out = turn->out;

    return turn->actions->count + ACTIONS_PER_PIECE_MAX <= SMTP_SERVER_ACTIONS_MAX &&
           out->bytes_max - out->n >= SMTP_SERVER_LINE_BYTES_MAX;
}

/* Behind a refusal the driver may want to wait. */
static size_t on_input(struct turn *turn, struct bytes in)
{
    struct smtp_server *server = turn->server;
    uint32_t refusals = server->refusal_count;
    bool goes_on = true;
    size_t at = 0;

    while (goes_on && smtp_server_wants_input(server) && has_room(turn)) {
        size_t used = 0;
        goes_on =
            read_piece(turn, bytes_skip(in, at), &used) && server->refusal_count == refusals;
        at += used;
    }
    return at;
}

static size_t on_event(struct turn *turn, const struct smtp_server_event *event)
{
    switch (event->type) {
    case SMTP_SERVER_OPENED:
        on_opened(turn);
        break;
    case SMTP_SERVER_INPUT:
        return on_input(turn, event->input);
    case SMTP_SERVER_DECIDED:
        on_decided(turn, event->verdict);
        break;
    case SMTP_SERVER_TLS_STARTED:
        on_tls_started(turn);
        break;
    case SMTP_SERVER_AUTH_CHALLENGE:
        auth_challenge(turn, event->input);
        break;
    case SMTP_SERVER_AUTH_DONE:
        auth_done(turn, event->verdict);
        break;
    case SMTP_SERVER_BODY_FAILED:
        content_failed(turn, event->verdict);
        break;
    case SMTP_SERVER_STORED:
        on_stored(turn, event->verdict);
        break;
    case SMTP_SERVER_REFUSED:
        on_refused(turn, event->verdict);
        break;
    case SMTP_SERVER_STOPPED:
        on_stopped(turn, event->verdict);
        break;
    }
    return 0;
}

/* A decision, a handshake or a commit may end after the session has: it comes too late, and
 * nobody is there to hear of it. */
size_t smtp_server_step(struct smtp_server *server, const struct smtp_server_event *event,
    struct smtp_server_actions *actions, struct buf *out)
{
    struct turn turn = { server, actions, out };

    actions->count = 0;
    auth_wipe(server);
    if (server->state == SMTP_SERVER_CLOSED)
        return 0;
    return on_event(&turn, event);
}
