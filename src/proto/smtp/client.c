#include "proto/smtp/client.h"

#include "base/mem.h"
#include "proto/smtp/client_engine.h"
#include "proto/smtp/line.h"

#include <assert.h>
#include <stdlib.h>

/* The most that one turn of the pump adds to the actions. */
enum { ACTIONS_A_TURN = 4 };

#define TO(state) (1u << CLIENT_##state)
#define TO_AUTH (TO(AUTH_PLAIN) | TO(AUTH_LOGIN) | TO(AUTH_ASKING))

/* Which state may follow which; ENDING may follow all but itself and CLOSED. */
static const unsigned moves[] = {
    [CLIENT_CONNECTING] = TO(BANNER),
    [CLIENT_BANNER] = TO(EHLO),
    [CLIENT_EHLO] = TO(HELO) | TO(STARTTLS) | TO_AUTH | TO(UP),
    [CLIENT_HELO] = TO(UP),
    [CLIENT_STARTTLS] = TO(STARTING_TLS) | TO_AUTH | TO(UP),
    [CLIENT_STARTING_TLS] = TO(EHLO),
    [CLIENT_AUTH_PLAIN] = TO(UP),
    [CLIENT_AUTH_LOGIN] = TO(AUTH_USER),
    [CLIENT_AUTH_USER] = TO(AUTH_PASSWORD),
    [CLIENT_AUTH_PASSWORD] = TO(UP),
    [CLIENT_AUTH_ASKING] = TO(AUTH_TALKING),
    [CLIENT_AUTH_TALKING] = TO(AUTH_ASKING) | TO(UP),
    [CLIENT_UP] = TO(QUITTING),
    [CLIENT_QUITTING] = 0,
    [CLIENT_ENDING] = TO(CLOSED),
    [CLIENT_CLOSED] = 0,
};

void client_enter(struct smtp_client *client, enum client_state to)
{
    if (to == CLIENT_ENDING)
        assert(client->state < CLIENT_ENDING);
    else
        assert(moves[client->state] & 1u << to);
    client->state = to;
}

struct smtp_client_action *client_act(
    struct smtp_client *client, enum smtp_client_action_type type)
{
    struct smtp_client_actions *actions = client->actions;
    struct smtp_client_action *action;

    assert(actions->count < SMTP_CLIENT_ACTIONS_MAX);
    action = &actions->list[actions->count++];
    *action = (struct smtp_client_action){ .type = type };
    return action;
}

bool client_has_room(const struct smtp_client *client)
{
    return client->actions->count + ACTIONS_A_TURN <= SMTP_CLIENT_ACTIONS_MAX;
}

struct smtp_client *smtp_client_new(const struct smtp_client_config *config)
{
    struct smtp_client *client = mem_new(sizeof *client);

    assert(config->under_way_max >= 1);
    assert(config->fqdn.n <= SMTP_CLIENT_LINE_BYTES_MAX / 2);
    client->config = config;
    client->is_tls = config->is_tls;
    client->ring = mem_new(config->under_way_max * sizeof *client->ring);
    return client;
}

void smtp_client_free(struct smtp_client *client)
{
    if (!client)
        return;
    for (uint32_t i = 0; i < client->config->under_way_max; i++)
        free(client->ring[i].fates);
    free(client->ring);
    buf_done(&client->challenge);
    free(client);
}

const struct smtp_client_peer *smtp_client_peer(const struct smtp_client *client)
{
    return &client->peer;
}

enum smtp_client_wait smtp_client_waits(const struct smtp_client *client)
{
    const struct transaction *t = client_head(client);

    if (client->state == CLIENT_CONNECTING || client->state >= CLIENT_ENDING)
        return SMTP_CLIENT_WAITS_NOT;
    if (client->state == CLIENT_BANNER)
        return SMTP_CLIENT_WAITS_GREETING;
    if (client->state != CLIENT_UP)
        return SMTP_CLIENT_WAITS_COMMAND;
    if (!client_is_reply_expected(client))
        return SMTP_CLIENT_WAITS_NOT;
    if (t->read == READ_DATA)
        return SMTP_CLIENT_WAITS_DATA;
    if (t->read == READ_END)
        return t->write == WRITE_OVER ? SMTP_CLIENT_WAITS_END : SMTP_CLIENT_WAITS_NOT;
    return SMTP_CLIENT_WAITS_COMMAND;
}

/* The actions of the last step are done.  A reply that is not, moves to the first place. */
static void reuse_replies(struct smtp_client *client)
{
    const struct smtp_reply *current = &client->replies[client->reply_at];
    bool is_settling = client->settling.reply == current;
    bool is_cause = client->state == CLIENT_ENDING && client->ending.cause == current;

    if (client->reply_at && (is_settling || is_cause || client->reply_lines))
        client->replies[0] = *current;
    if (is_settling)
        client->settling.reply = client->replies;
    if (is_cause)
        client->ending.cause = client->replies;
    client->is_reply_kept = client->is_reply_kept && (is_settling || is_cause);
    client->reply_at = 0;
}

static void on_reply(struct smtp_client *client, const struct smtp_reply *reply)
{
    if (client->state == CLIENT_QUITTING) {
        client_end_refused(client, reply);
    } else if (reply->code == 421) { /* in any place: RFC 5321, 3.8 */
        client_end_refused(client, reply);
    } else if (client->state == CLIENT_UP) {
        client_transaction_reply(client, reply);
    } else {
        client_session_reply(client, reply);
    }
}

/* HELO's reply names the peer and says nothing of extensions. */
static void learn(struct smtp_client *client, struct bytes text)
{
    bool is_first = client->reply_lines == 0;

    if (client->state == CLIENT_EHLO || (client->state == CLIENT_HELO && is_first))
        client_peer_learn(client, text, is_first);
}

/* False: not a line that can stand here. */
static bool gather(
    struct smtp_client *client, struct smtp_reply *reply, struct bytes line, bool *is_last)
{
    uint16_t code;
    struct bytes text;

    if (!smtp_reply_parse_line(line, &code, is_last, &text))
        return false;
    if (client->reply_lines == 0) {
        if (code != 421 && !client_is_reply_expected(client))
            return false;
        smtp_reply_begin(reply, code, text);
    } else {
        if (code != reply->code)
            return false;
        smtp_reply_continue(reply, text);
    }
    if (code / 100 == 2)
        learn(client, text);
    return ++client->reply_lines <= SMTP_REPLY_LINES_MAX;
}

static void on_line(struct smtp_client *client, struct bytes line)
{
    struct smtp_reply *reply = &client->replies[client->reply_at];
    bool is_last;

    if (client->config->logs_lines)
        client_act(client, SMTP_CLIENT_LINE_IN)->text = line;
    if (!gather(client, reply, line, &is_last)) {
        client_end_lost(client, &client_own_protocol);
        return;
    }
    if (!is_last)
        return;
    client->reply_lines = 0;
    on_reply(client, reply);
}

/* A place for the next reply; false when all are pointed to. */
static bool take_reply_place(struct smtp_client *client)
{
    if (!client->is_reply_kept)
        return true;
    if (client->reply_at + 1 == CLIENT_REPLIES_MAX)
        return false;
    client->reply_at++;
    client->is_reply_kept = false;
    return true;
}

/* True when a line was read.  A bare LF ends a line too: replies have nothing to smuggle. */
static bool read_line(struct smtp_client *client, struct bytes *input)
{
    struct bytes line;
    size_t used;
    enum smtp_line what;

    if (input->n == 0 || client->state == CLIENT_CONNECTING)
        return false;
    if (client->state == CLIENT_STARTING_TLS) {
        client_end_lost(client, &client_own_early_tls); /* not to be taken for TLS's: SM-3 */
        return true;
    }
    if (!take_reply_place(client)) {
        client->actions->is_more = true;
        return false;
    }
    what = smtp_line_cut(*input, SMTP_REPLY_LINE_BYTES_MAX, true, &line, &used);
    if (what == SMTP_LINE_MORE)
        return false;
    *input = bytes_skip(*input, used);
    if (what == SMTP_LINE_DONE)
        on_line(client, line);
    else
        client_end_lost(client, &client_own_protocol);
    return true;
}

/* One small thing; false when there is nothing to do. */
static bool turn(struct smtp_client *client, struct bytes *input)
{
    if (client->settling.reply) {
        client_settle_more(client);
        return true;
    }
    if (client->state == CLIENT_CLOSED) {
        *input = BYTES_NONE;
        return false;
    }
    if (client->state == CLIENT_ENDING) {
        client_end_more(client);
        return true;
    }
    if (client->state == CLIENT_UP && (client_advance(client) || client_write(client)))
        return true;
    return read_line(client, input);
}

static void on_lost(struct smtp_client *client, const struct verdict *verdict)
{
    if (client->state >= CLIENT_ENDING)
        return;
    if (!verdict || verdict->code < 400) {
        client_end_lost(client, &client_own_lost);
        return;
    }
    smtp_reply_begin(&client->lost, verdict->code, bytes_text(verdict->text));
    client->lost.status = verdict->status;
    client->lost.is_own = true;
    client_end_lost(client, &client->lost);
}

static void on_event(struct smtp_client *client, const struct smtp_client_event *event)
{
    bool is_live = client->state < CLIENT_ENDING;

    switch (event->type) {
    case SMTP_CLIENT_INPUT:
        break;
    case SMTP_CLIENT_CONNECTED:
        client_enter(client, CLIENT_BANNER);
        break;
    case SMTP_CLIENT_TLS_STARTED:
        if (is_live)
            client_session_tls_started(client);
        break;
    case SMTP_CLIENT_AUTH_RESPONSE:
        client_auth_response(client, event->input, event->is_last);
        break;
    case SMTP_CLIENT_AUTH_FAILED:
        if (client->state == CLIENT_AUTH_ASKING)
            on_lost(client, event->verdict);
        break;
    case SMTP_CLIENT_OFFER:
        client_offer(client, event->message);
        break;
    case SMTP_CLIENT_CONTENT_SENT:
        if (is_live)
            client_content_sent(client);
        break;
    case SMTP_CLIENT_QUIT:
        client->wants_quit = true;
        client->is_ready_open = false;
        if (client->state == CLIENT_CONNECTING)
            client_end_lost(client, &client_own_lost);
        break;
    case SMTP_CLIENT_LOST:
        on_lost(client, event->verdict);
        break;
    }
}

/* OUT does not move any more: the lines in it get their addresses. */
static void place_lines(struct smtp_client *client)
{
    for (unsigned i = 0; i < client->actions->count; i++) {
        struct smtp_client_action *action = &client->actions->list[i];

        if (action->type == SMTP_CLIENT_LINE_OUT && !action->text.at) {
            action->text.at = client->out->at + client->out_start + action->recipient;
            action->recipient = 0;
        }
    }
}

size_t smtp_client_step(struct smtp_client *client, const struct smtp_client_event *event,
    struct smtp_client_actions *actions, struct buf *out)
{
    struct bytes input = event->type == SMTP_CLIENT_INPUT ? event->input : BYTES_NONE;
    size_t input_n = input.n;

    actions->count = 0;
    actions->is_more = false;
    client->actions = actions;
    client->out = out;
    client->out_start = out->n;
    reuse_replies(client);
    on_event(client, event);
    do {
        if (!client_has_room(client)) {
            actions->is_more = true;
            break;
        }
    } while (turn(client, &input));
    if (client->config->logs_lines)
        place_lines(client);
    client->actions = NULL;
    client->out = NULL;
    return input_n - input.n;
}
