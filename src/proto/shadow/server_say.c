#include "proto/shadow/server_turn.h"

#include <assert.h>
#include <stdlib.h>

/* Input stops while so much waits behind copies: somebody asks on and on and does not wait. */
enum { LATER_BYTES_MAX = 65536, FAULT_TEXT_BYTES_MAX = 200 };

void serve_enter(struct turn *turn, enum serve_state to)
{
    static const uint16_t moves[] = {
        [SERVE_GREETING] = IN(HELLO),
        [SERVE_HELLO] = IN(STRANGER) | IN(BDAT) | IN(QUITTING),
        [SERVE_STRANGER] = IN(STRANGER) | IN(INTRODUCING) | IN(BDAT) | IN(QUITTING),
        [SERVE_INTRODUCING] = IN(READY) | IN(STRANGER),
        [SERVE_READY] = IN(READY) | IN(MAIL) | IN(BDAT) | IN(ASKED) | IN(QUITTING),
        [SERVE_MAIL] = IN(RCPT) | IN(BDAT) | IN(READY) | IN(QUITTING),
        [SERVE_RCPT] = IN(RCPT) | IN(DECIDING) | IN(BDAT) | IN(READY) | IN(QUITTING),
        [SERVE_DECIDING] = IN(BDAT),
        [SERVE_BDAT] =
            IN(HELLO) | IN(STRANGER) | IN(READY) | IN(MAIL) | IN(BDAT) | IN(QUITTING),
        [SERVE_ASKED] = IN(READY),
        [SERVE_QUITTING] = 0,
        [SERVE_CLOSED] = 0,
    };
    struct shadow_server *server = turn->server;

    assert(to == SERVE_CLOSED || moves[server->state] & 1u << to);
    server->state = to;
}

struct shadow_server_action *serve_act(struct turn *turn, enum shadow_server_action_type type)
{
    struct shadow_server_actions *actions = turn->actions;
    struct shadow_server_action *action;

    assert(actions->count < SHADOW_SERVER_ACTIONS_MAX);
    action = &actions->list[actions->count++];
    *action = (struct shadow_server_action){ .type = type };
    return action;
}

/* --- The order of replies ---------------------------------------------------------------- */

static struct serve_copy *at(struct shadow_server *server, uint32_t i)
{
    return &server->ring[(server->first + i) % server->config->in_flight_max];
}

/* What waits cannot be too much for `unsent` and `later`: nothing is read while they have
 * something, or much; what is under way then is as many outcomes as the ring has room for, and
 * one page. */
static void must(enum err err)
{
    assert(err == OK);
}

/* To OUT, or behind what found no room there. */
static void send(struct turn *turn, struct bytes lines)
{
    struct shadow_server *server = turn->server;

    if (server->unsent.n || buf_add(turn->out, lines) != OK)
        must(buf_add(&server->unsent, lines));
}

void serve_say(struct turn *turn, struct bytes lines)
{
    struct shadow_server *server = turn->server;

    if (server->count == 0) {
        send(turn, lines);
        return;
    }
    must(buf_add(&server->later, lines));
    at(server, server->count - 1)->after_bytes += lines.n;
}

/* What was to be said behind a copy.  The rest moves to the front when most of it is over, not each
 * time. */
static void send_later(struct turn *turn, size_t n)
{
    struct shadow_server *server = turn->server;

    send(turn, bytes_first(bytes_skip(buf_bytes(&server->later), server->later_said), n));
    server->later_said += n;
    if (server->later_said < server->later.n / 2)
        return;
    buf_drop(&server->later, server->later_said);
    server->later_said = 0;
    if (server->later.n == 0 && server->later.room > 2 * LATER_BYTES_MAX)
        buf_release(&server->later); /* a page was in it */
}

struct buf *serve_line(struct turn *turn)
{
    buf_clear(&turn->server->line);
    return &turn->server->line;
}

/* The oldest copy has its outcome. */
static void send_first(struct turn *turn)
{
    static const struct shadow_outcome durable = { .fate = SHADOW_DURABLE };
    struct shadow_server *server = turn->server;
    struct serve_copy *copy = at(server, 0);
    struct buf *line;

    assert(copy->is_decided);
    if (copy->reply) {
        send(turn, bytes_text(copy->reply));
        free(copy->reply);
        copy->reply = NULL;
    } else {
        line = serve_line(turn);
        must(shadow_add_outcome(line, copy->mid, &durable));
        send(turn, buf_bytes(line));
    }
    send_later(turn, copy->after_bytes);
    server->first = (server->first + 1) % server->config->in_flight_max;
    server->count--;
}

void serve_wait(struct turn *turn)
{
    struct shadow_server *server = turn->server;

    assert(server->count < server->config->in_flight_max);
    server->count++;
    *at(server, server->count - 1) =
        (struct serve_copy){ .tag = server->now.tag, .mid = server->now.copy.mid };
}

/* Outcomes come in about the order of the copies, so the search is short. */
static struct serve_copy *find(struct shadow_server *server, uint64_t tag)
{
    for (uint32_t i = 0; i < server->count; i++)
        if (at(server, i)->tag == tag)
            return at(server, i);
    return NULL;
}

bool serve_is_waiting(struct shadow_server *server, uint64_t tag)
{
    return find(server, tag) != NULL;
}

void serve_outcome(struct turn *turn, uint64_t tag, const struct shadow_outcome *outcome)
{
    struct shadow_server *server = turn->server;
    struct serve_copy *copy = find(server, tag);

    assert(copy && !copy->is_decided);
    copy->is_decided = true;
    if (outcome->fate != SHADOW_DURABLE) {
        struct buf *line = serve_line(turn);

        must(shadow_add_outcome(line, copy->mid, outcome));
        copy->reply = buf_take_text(line);
    }
    while (server->count && at(server, 0)->is_decided)
        send_first(turn);
}

bool serve_is_backed_up(const struct shadow_server *server)
{
    return server->unsent.n || server->count == server->config->in_flight_max ||
           server->later.n - server->later_said > LATER_BYTES_MAX;
}

void serve_flush(struct turn *turn)
{
    struct buf *unsent = &turn->server->unsent;
    struct bytes part = bytes_first(buf_bytes(unsent), turn->out->bytes_max - turn->out->n);

    if (part.n == 0)
        return;
    must(buf_add(turn->out, part));
    buf_drop(unsent, part.n);
    if (unsent->n == 0)
        buf_release(unsent);
}

/* --- Refusals, faults and the end -------------------------------------------------------- */

static void close_link(struct turn *turn)
{
    serve_clear(turn);
    serve_enter(turn, SERVE_CLOSED);
    serve_act(turn, SHADOW_SERVER_CLOSE);
}

static struct bytes refusal(struct turn *turn, const struct verdict *verdict)
{
    struct buf *line = serve_line(turn);

    must(shadow_add_refusal(line, verdict));
    return buf_bytes(line);
}

void serve_refuse(struct turn *turn, const struct verdict *verdict)
{
    serve_say(turn, refusal(turn, verdict));
    if (verdict->code != 421)
        return;
    serve_clear(
        turn); /* it says that we close; copies that were read have their outcome first */
    serve_enter(turn, SERVE_QUITTING);
}

void serve_stop(struct turn *turn, const struct verdict *verdict)
{
    send(turn, refusal(turn, verdict)); /* it stands for all that are owed */
    close_link(turn);
}

bool serve_count_fault(struct turn *turn, struct bytes line)
{
    static const struct verdict too_many = { 421, { 4, 7, 0 }, "too many errors" };

    serve_act(turn, SHADOW_SERVER_FAULT)->text = bytes_first(line, FAULT_TEXT_BYTES_MAX);
    if (++turn->server->error_count <= SHADOW_SERVER_ERRORS_MAX)
        return true;
    serve_refuse(turn, &too_many);
    return false;
}

void serve_fault(struct turn *turn, struct bytes line, struct bytes reply)
{
    if (serve_count_fault(turn, line))
        serve_say(turn, reply);
}

void serve_end(struct turn *turn)
{
    const struct shadow_server *server = turn->server;

    if (server->state == SERVE_QUITTING && server->count == 0 && server->unsent.n == 0)
        close_link(turn);
}
