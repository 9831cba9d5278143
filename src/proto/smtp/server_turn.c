#include "proto/smtp/server_turn.h"

#include "proto/smtp/reply.h"

#include <assert.h>
#include <stdlib.h>

struct smtp_server_action *turn_act(struct turn *turn, enum smtp_server_action_type type)
{
    struct smtp_server_actions *actions = turn->actions;
    struct smtp_server_action *action;

    assert(actions->count < SMTP_SERVER_ACTIONS_MAX);
    action = &actions->list[actions->count++];
    *action = (struct smtp_server_action){ .type = type };
    return action;
}

/* Where each state may lead.  CLOSED is open to all.  A chunk that is thrown away goes through
 * BDAT from any state that reads commands, and back. */
static const uint16_t moves[] = {
    [SMTP_SERVER_GREETING] = IN(HELLO),
    [SMTP_SERVER_HELLO] = IN(DECIDING) | IN(BDAT) | IN(STARTING_TLS) | IN(READY),
    [SMTP_SERVER_READY] = IN(DECIDING) | IN(BDAT) | IN(STARTING_TLS) | IN(AUTHENTICATING),
    [SMTP_SERVER_MAIL] = IN(DECIDING) | IN(BDAT) | IN(READY),
    [SMTP_SERVER_RCPT] = IN(DECIDING) | IN(BDAT) | IN(READY),
    [SMTP_SERVER_DATA] = IN(COMMITTING) | IN(READY),
    [SMTP_SERVER_BDAT] = IN(DECIDING) | IN(COMMITTING) | IN(HELLO) | IN(READY) | IN(MAIL),
    [SMTP_SERVER_DECIDING] = IN(HELLO) | IN(READY) | IN(MAIL) | IN(RCPT) | IN(DATA) | IN(BDAT),
    [SMTP_SERVER_STARTING_TLS] = IN(HELLO),
    [SMTP_SERVER_AUTHENTICATING] = IN(READY),
    [SMTP_SERVER_COMMITTING] = IN(READY),
    [SMTP_SERVER_CLOSED] = 0,
};

void turn_enter(struct turn *turn, enum smtp_server_state to)
{
    struct smtp_server *server = turn->server;

    assert(to == SMTP_SERVER_CLOSED || moves[server->state] & 1u << to);
    server->state = to;
}

void turn_decide(struct turn *turn, enum deciding deciding)
{
    struct smtp_server *server = turn->server;

    server->deciding = (uint8_t)deciding;
    server->resume = server->state;
    turn_enter(turn, SMTP_SERVER_DECIDING);
}

/* No reply fails: a command is read only while SMTP_SERVER_LINE_BYTES_MAX bytes are free, and
 * all that is said before the next one is read takes less. */
static void add(struct turn *turn, struct bytes bytes)
{
    enum err err = buf_add(turn->out, bytes);

    assert(err == OK);
}

void turn_reply(struct turn *turn, struct bytes reply)
{
    add(turn, reply);
}

void turn_accept(struct turn *turn, struct bytes prefix, const char *text, const char *fallback)
{
    struct bytes say = bytes_text(text[0] ? text : fallback);
    uint8_t *at = buf_room(turn->out, prefix.n + say.n + 2);
    size_t n = prefix.n;

    assert(at);
    memcpy(at, prefix.at, prefix.n);
    for (size_t i = 0; i < say.n; i++) /* a line break would be a second reply */
        at[n++] = say.at[i] < ' ' || say.at[i] == 127 ? '?' : say.at[i];
    at[n++] = '\r';
    at[n++] = '\n';
    buf_wrote(turn->out, n);
}

static void add_verdict(struct turn *turn, const struct verdict *verdict)
{
    uint8_t class = (uint8_t)(verdict->code / 100);
    struct status status = verdict->status;
    const char *text = verdict->text[0] ? verdict->text : "Refused";
    enum err err;

    assert(class == 4 || class == 5);
    status.class = class; /* RFC 2034, 4: every refusal has one, and the classes agree */
    err = smtp_reply_add(turn->out, verdict->code, status, text);
    assert(err == OK);
}

void turn_refuse(struct turn *turn, const struct verdict *verdict)
{
    add_verdict(turn, verdict);
    turn->server->refusal_count += verdict->code >= 500;
    if (verdict->code == 421) /* RFC 5321, 4.2.3: it says that we close */
        turn_close(turn);
}

void turn_reject(struct turn *turn, const char *rule, struct bytes reply, struct bytes about)
{
    struct smtp_server_action *action = turn_act(turn, SMTP_SERVER_REJECTED);

    action->rule = rule;
    action->command = turn->server->command;
    action->text = reply;
    action->more = about;
    turn_reply(turn, reply);
    turn->server->refusal_count += reply.at[0] == '5';
    if (bytes_starts(reply, BYTES("421")))
        turn_close(turn);
}

void turn_fault_as(struct turn *turn, const char *rule, struct bytes reply, struct bytes about)
{
    struct smtp_server *server = turn->server;

    turn_act(turn, SMTP_SERVER_PROTOCOL_ERROR);
    if (++server->error_count <= server->config->errors_max)
        turn_reject(turn, rule, reply, about);
    else
        turn_reject(turn, "errors", BYTES("421 4.7.0 Too many errors\r\n"), about);
}

void turn_fault(struct turn *turn, struct bytes reply)
{
    static const struct {
        struct bytes code;
        const char *rule;
    } rules[] = { { BYTES("500"), "unknown-command" }, { BYTES("502"), "not-offered" },
        { BYTES("503"), "sequence" }, { BYTES("504"), "not-offered" }, { BYTES("530"), "tls" },
        { BYTES("538"), "tls" }, { BYTES(""), "syntax" } };
    size_t i = 0;

    while (!bytes_starts(reply, rules[i].code))
        i++;
    turn_fault_as(turn, rules[i].rule, reply, BYTES_NONE);
}

void turn_forget(struct turn *turn)
{
    struct smtp_server *server = turn->server;

    if (server->has_body)
        turn_act(turn, SMTP_SERVER_BODY_ABANDON);
    else if (server->has_mail)
        turn_act(turn, SMTP_SERVER_RESET);
    server->has_body = server->has_mail = false;
}

void turn_clear(struct turn *turn)
{
    struct smtp_server *server = turn->server;

    turn_forget(turn);
    free(server->failure);
    server->failure = NULL;
    server->own_failure = NULL;
    server->said_full = false;
    server->is_failed = server->is_smtputf8 = false;
    server->is_bdat = server->is_bdat_last = false;
    server->body = BODY_7BIT;
    server->recipient_count = 0;
    server->body_bytes = server->chunk_bytes_left = 0;
}

void turn_close(struct turn *turn)
{
    turn_clear(turn);
    turn_act(turn, SMTP_SERVER_CLOSE);
    turn_enter(turn, SMTP_SERVER_CLOSED);
}
