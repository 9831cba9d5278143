/* AUTH: RFC 4954.  The driver runs the mechanism; here are the lines, base64 and the order. */
#include "proto/smtp/server_turn.h"

#include "base/base64.h"

#include <assert.h>

void auth_wipe(struct smtp_server *server)
{
    if (!server->secret.at)
        return;
    explicit_bzero(server->secret.at, server->secret.room);
    buf_release(&server->secret);
}

/* Decodes into server->secret. */
static bool decode(struct smtp_server *server, struct bytes digits, struct bytes *out)
{
    enum err err;

    assert(!server->secret.at);
    buf_init(&server->secret, SMTP_SERVER_AUTH_LINE_BYTES_MAX);
    err = base64_decode(digits, &server->secret);
    assert(err != ERR_LIMIT); /* a line is no longer than that */
    *out = buf_bytes(&server->secret);
    if (err != OK)
        auth_wipe(server);
    return err == OK;
}

static bool has_word(struct bytes words, struct bytes word)
{
    while (words.n) {
        struct bytes next = bytes_first(words, bytes_find(words, ' '));
        if (word.n && bytes_equal_nocase(next, word))
            return true;
        words = bytes_skip(words, next.n < words.n ? next.n + 1 : next.n);
    }
    return false;
}

/* Why AUTH is not possible now; empty: it is. */
static struct bytes refusal(const struct smtp_server *server)
{
    const struct smtp_server_config *config = server->config;

    if (config->auth_mechanisms.n == 0)
        return BYTES("502 5.5.1 AUTH is not offered\r\n");
    if (server->is_authenticated)
        return BYTES("503 5.5.1 Authenticated already\r\n");
    if (server->is_tls || config->offers_auth_plain_text)
        return BYTES_NONE;
    if (config->requires_tls)
        return BYTES("530 5.7.0 Must issue a STARTTLS command first\r\n");
    return BYTES("538 5.7.11 Encryption required for authentication\r\n");
}

static void begin(struct turn *turn, struct bytes mechanism, struct bytes initial)
{
    struct smtp_server *server = turn->server;
    struct smtp_server_action *action;
    struct bytes decoded = BYTES_NONE;

    if (initial.n && !bytes_equal(initial, BYTES("=")) && !decode(server, initial, &decoded)) {
        turn_fault(turn, BYTES("501 5.5.2 Not base64\r\n"));
        return;
    }
    action = turn_act(turn, SMTP_SERVER_AUTH_BEGIN);
    action->text = mechanism;
    action->has_more = initial.n > 0;
    action->more = decoded;
    server->is_awaiting_response = false;
    turn_enter(turn, SMTP_SERVER_AUTHENTICATING);
}

void auth_begin(struct turn *turn, struct bytes args)
{
    struct smtp_server *server = turn->server;
    struct bytes mechanism = bytes_first(args, bytes_find(args, ' '));
    struct bytes initial = bytes_trim(bytes_skip(args, mechanism.n));
    struct bytes fault = refusal(server);

    if (fault.n == 0 && args.n == 0)
        fault = BYTES("501 5.5.4 Syntax: AUTH mechanism [response]\r\n");
    else if (fault.n == 0 && bytes_find(initial, ' ') != BYTES_NOT_FOUND)
        fault = BYTES("501 5.5.4 Syntax: AUTH mechanism [response]\r\n");
    else if (fault.n == 0 && !has_word(server->config->auth_mechanisms, mechanism))
        fault = BYTES("504 5.5.4 Unknown mechanism\r\n");
    if (fault.n)
        turn_fault(turn, fault);
    else
        begin(turn, mechanism, initial);
}

void auth_cancel(struct turn *turn)
{
    turn_act(turn, SMTP_SERVER_AUTH_CANCEL);
    turn_enter(turn, SMTP_SERVER_READY);
}

void auth_line(struct turn *turn, struct bytes line)
{
    struct smtp_server *server = turn->server;
    bool is_cancelled = bytes_equal(line, BYTES("*"));
    struct bytes decoded = BYTES_NONE;

    if (server->config->logs_lines)
        turn_act(turn, SMTP_SERVER_LINE)->text = is_cancelled ? line : BYTES("(not shown)");
    if (is_cancelled || !decode(server, line, &decoded)) {
        auth_cancel(turn);
        turn_fault(turn, is_cancelled ? BYTES("501 5.7.0 Authentication cancelled\r\n")
                                      : BYTES("501 5.5.2 Not base64\r\n"));
        return;
    }
    turn_act(turn, SMTP_SERVER_AUTH_RESPONSE)->text = decoded;
    server->is_awaiting_response = false;
}

void auth_challenge(struct turn *turn, struct bytes challenge)
{
    enum { ROOM_FOR_MORE = 1024 }; /* 421 must find its place behind it */
    struct smtp_server *server = turn->server;
    enum err err;

    assert(is_in(server, IN(AUTHENTICATING)) && !server->is_awaiting_response);
    if (!buf_room(turn->out, challenge.n / 3 * 4 + ROOM_FOR_MORE)) {
        auth_cancel(turn);
        turn_reply(turn, BYTES("454 4.7.0 Challenge too long\r\n"));
        return;
    }
    turn_reply(turn, BYTES("334 "));
    err = base64_encode(challenge, turn->out);
    assert(err == OK);
    turn_reply(turn, BYTES("\r\n"));
    server->is_awaiting_response = true;
}

void auth_done(struct turn *turn, const struct verdict *verdict)
{
    struct smtp_server *server = turn->server;

    assert(is_in(server, IN(AUTHENTICATING)) && !server->is_awaiting_response);
    turn_enter(turn, SMTP_SERVER_READY);
    if (!verdict_is_ok(verdict)) {
        turn_refuse(turn, verdict);
        return;
    }
    server->is_authenticated = true;
    turn_accept(turn, BYTES("235 2.7.0 "), verdict->text, "Authenticated");
}
