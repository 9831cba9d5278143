#include "proto/shadow/server.h"

#include "base/mem.h"
#include "proto/shadow/server_turn.h"
#include "proto/smtp/line.h"

#include <assert.h>
#include <stdlib.h>

enum {
    /* What one event, or one piece of input, may add at the most. */
    ACTIONS_PER_PIECE_MAX = 6,
    /* A page of lists, each as long as a line: far more than any page has. */
    WAITING_BYTES_MAX = 256 << 20,
    /* An envelope as it travels: its fields, and the words around them. */
    ARENA_BYTES_MAX = ENVELOPE_BYTES_MAX + ENVELOPE_RECIPIENTS_MAX * 64,
};

_Static_assert((uint64_t)SHADOW_PAGE_MAX *SHADOW_LINE_BYTES_MAX * 2 < WAITING_BYTES_MAX,
    "a page always fits, and a second one beside it");

struct shadow_server *shadow_server_new(const struct shadow_server_config *config)
{
    struct shadow_server *server = mem_new(sizeof *server);

    assert(config->in_flight_max > 0);
    server->config = config;
    server->ring = mem_new(config->in_flight_max * sizeof *server->ring);
    arena_init(&server->now.arena, ARENA_BYTES_MAX);
    buf_init(&server->now.refusal, 1024);
    buf_init(&server->later, WAITING_BYTES_MAX);
    buf_init(&server->unsent, WAITING_BYTES_MAX);
    buf_init(&server->line, WAITING_BYTES_MAX);
    return server;
}

void shadow_server_free(struct shadow_server *server)
{
    if (!server)
        return;
    for (uint32_t i = 0; i < server->config->in_flight_max; i++)
        free(server->ring[i].reply);
    free(server->ring);
    serve_transaction_done(&server->now);
    buf_done(&server->later);
    buf_done(&server->unsent);
    buf_done(&server->line);
    free(server);
}

bool shadow_server_wants_input(const struct shadow_server *server)
{
    unsigned reading = IN(HELLO) | IN(STRANGER) | IN(READY) | IN(MAIL) | IN(RCPT) | IN(BDAT);

    return serve_is_in(server, reading) && !serve_is_backed_up(server);
}

static void on_opened(struct turn *turn)
{
    struct buf *line = serve_line(turn);
    enum err err =
        buf_printf(line, "220 %.*s ESMTP\r\n", BYTES_ARGS(turn->server->config->fqdn));

    assert(err == OK);
    serve_enter(turn, SERVE_HELLO);
    serve_say(turn, buf_bytes(line));
}

static void on_welcome(struct turn *turn, const struct shadow_hello *hello)
{
    struct shadow_server *server = turn->server;
    struct shadow_hello answer = *hello;
    struct buf *line = serve_line(turn);
    enum err err;

    assert(server->state == SERVE_INTRODUCING);
    answer.versions = server->versions;
    err = shadow_add_hello_reply(line, &answer);
    assert(err == OK);
    server->is_introduced = true;
    serve_enter(turn, SERVE_READY);
    serve_say(turn, buf_bytes(line));
}

static void on_refuse(struct turn *turn, const struct verdict *verdict)
{
    assert(serve_is_in(turn->server, IN(INTRODUCING) | IN(ASKED)));
    serve_enter(turn, turn->server->is_introduced ? SERVE_READY : SERVE_STRANGER);
    serve_refuse(turn, verdict);
}

static void on_page(struct turn *turn, const struct shadow_page *page)
{
    struct shadow_server *server = turn->server;
    struct buf *line = serve_line(turn);
    enum err err;

    assert(server->state == SERVE_ASKED && server->ask.type == page->type);
    err = shadow_add_page(line, page);
    assert(err == OK);
    serve_enter(turn, SERVE_READY);
    serve_say(turn, buf_bytes(line));
    if (line->room > SHADOW_LINE_BYTES_MAX)
        buf_release(line);
}

/* --- Input ------------------------------------------------------------------------------- */

static bool read_line(struct turn *turn, struct bytes in, size_t *used)
{
    struct shadow_server *server = turn->server;
    bool was_skipping = server->is_skipping;
    struct bytes line = BYTES_NONE;
    enum smtp_line got = was_skipping
                             ? smtp_line_skip(in, false, used)
                             : smtp_line_cut(in, SHADOW_LINE_BYTES_MAX, false, &line, used);

    if (got == SMTP_LINE_MORE)
        return *used > 0;
    server->is_skipping = got != SMTP_LINE_DONE;
    if (was_skipping)
        return true;
    if (got == SMTP_LINE_DONE)
        serve_command(turn, line);
    else
        serve_fault(turn, bytes_first(in, *used),
            got == SMTP_LINE_BARE ? BYTES("500 5.5.2 bare CR, LF or NUL\r\n")
                                  : BYTES("500 5.5.6 line too long\r\n"));
    return true;
}

static size_t on_input(struct turn *turn, struct bytes in)
{
    struct shadow_server *server = turn->server;
    bool goes_on = true;
    size_t at = 0;

    while (goes_on && shadow_server_wants_input(server) &&
           turn->actions->count + ACTIONS_PER_PIECE_MAX <= SHADOW_SERVER_ACTIONS_MAX) {
        struct bytes rest = bytes_skip(in, at);
        size_t used = 0;

        if (server->state == SERVE_BDAT && server->now.chunk_bytes_left)
            goes_on = serve_chunk(turn, rest, &used);
        else
            goes_on = read_line(turn, rest, &used);
        at += used;
    }
    return at;
}

static size_t on_event(struct turn *turn, const struct shadow_server_event *event)
{
    switch (event->type) {
    case SHADOW_SERVER_OPENED:
        on_opened(turn);
        break;
    case SHADOW_SERVER_INPUT:
        return on_input(turn, event->input);
    case SHADOW_SERVER_WELCOME:
        on_welcome(turn, event->hello);
        break;
    case SHADOW_SERVER_REFUSE:
        on_refuse(turn, event->verdict);
        break;
    case SHADOW_SERVER_DECIDED:
        serve_decided(turn, event->outcome);
        break;
    case SHADOW_SERVER_COPY_LOST:
        serve_copy_lost(turn, event->tag, event->outcome);
        break;
    case SHADOW_SERVER_OUTCOME:
        serve_outcome(turn, event->tag, event->outcome);
        break;
    case SHADOW_SERVER_PAGE:
        on_page(turn, event->page);
        break;
    case SHADOW_SERVER_STOPPED:
        serve_stop(turn, event->verdict);
        break;
    }
    return 0;
}

/* What ends after the link has, comes too late: nobody is there to hear of it. */
size_t shadow_server_step(struct shadow_server *server, const struct shadow_server_event *event,
    struct shadow_server_actions *actions, struct buf *out)
{
    struct turn turn = { server, actions, out };
    size_t used;

    actions->count = 0;
    if (server->state == SERVE_CLOSED)
        return 0;
    serve_flush(&turn);
    used = on_event(&turn, event);
    serve_end(&turn);
    return used;
}
