/* A link of ours to another node: drives the asking engine. */
#include "node/inside.h"

#include "base/mem.h"
#include "report/report.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    IN_FLIGHT_MAX = 1000,
    LATE_MS = 200, /* a timer that is later than this: the process stood still */
    QUESTION_MS =
        60000, /* beyond an ask's own time: a take-over may have to be finished first */
};

/* --- Time -------------------------------------------------------------------------------- */

static struct moment now_of(const struct link *link)
{
    return loop_now(link->peer->node->home);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* When it is over unless something comes; INT64_MAX: nothing is waited for. */
static int64_t limit_of(const struct link *link)
{
    const struct node *node = link->peer->node;
    int64_t limit = INT64_MAX;

    if (!link->is_up)
        return link->opened.ms + node->heartbeat_timeout_ms;
    if (link->is_ask_sent)
        limit = link->ask_limit.ms;
    if (link->streaming || shadow_client_in_flight(link->engine))
        limit = earlier(limit, link->active.ms + node->copy_timeout_ms);
    return limit;
}

/* Moments move on while the timer runs: it looks again when it is due. */
static void watch(struct link *link)
{
    int64_t limit = limit_of(link);

    if (limit == INT64_MAX)
        return;
    limit -= now_of(link).ms;
    if (!timer_is_running(&link->timer) || link->timer.due.ms > now_of(link).ms + limit)
        timer_start(&link->timer, limit > 0 ? limit : 0);
}

static void set_why(struct link *link, const char *format, ...) PRINTF(2, 3);
static void set_why(struct link *link, const char *format, ...)
{
    va_list args;

    link->is_closing = true;
    if (*link->why)
        return; /* the first one says why */
    va_start(args, format);
    vsnprintf(link->why, sizeof link->why, format, args);
    va_end(args);
}

/* --- The engine's turn --------------------------------------------------------------------- */

static void on_up(struct link *link, const struct shadow_hello *hello)
{
    struct peer *peer = link->peer;

    if (!bytes_equal_nocase(hello->node.name, bytes_text(peer->name))) {
        report(REPORT_LINK_REFUSED, R_CHARS("node", peer->name),
            R_TEXT("calls-itself", hello->node.name));
        set_why(link, "it calls itself %.*s", BYTES_ARGS(hello->node.name));
        return;
    }
    link->hello = *hello;
    link->hello.node.name = bytes_text(peer->name);
    link->is_up = true;
    if (!peer_link_up(peer, link))
        set_why(link, "its store is not accepted");
}

static void on_turned_away(struct link *link, const struct verdict *verdict)
{
    struct node *node = link->peer->node;
    char text[VERDICT_TEXT_BYTES];

    verdict_format(verdict, text);
    set_why(link, "it turned us away: %s", text);
    ledger_on_turned_away(
        node->ledger, node_now(node), link->peer->index, verdict, &node->actions);
    node_did(node);
}

static void on_outcome(struct link *link, const struct shadow_client_action *action)
{
    struct copy_out *copy = (struct copy_out *)(uintptr_t)action->tag;

    if (link->streaming == copy) {
        link->streaming = NULL;
        set_why(link, "a copy was answered before its end");
    }
    copy_answer(copy, action->outcome);
}

static void on_page(struct link *link, const struct shadow_page *page)
{
    struct node *node = link->peer->node;

    link->ask = NULL;
    link->is_ask_sent = false;
    ledger_on_page(node->ledger, node_now(node), link->peer->index, page, &node->actions);
    node_did(node);
}

/* The ledger hears by ledger_on_down() that it was not answered. */
static void on_ask_refused(struct link *link, const struct verdict *verdict)
{
    char text[VERDICT_TEXT_BYTES];

    verdict_format(verdict, text);
    report(REPORT_LINK_FAULT, R_CHARS("node", link->peer->name), R_CHARS("text", text));
    set_why(link, "an ask was refused: %s", text);
}

static void do_action(struct link *link, const struct shadow_client_action *action)
{
    switch (action->type) {
    case SHADOW_CLIENT_UP:
        on_up(link, action->hello);
        return;
    case SHADOW_CLIENT_TURNED_AWAY:
        on_turned_away(link, action->verdict);
        return;
    case SHADOW_CLIENT_SEND_CONTENT:
        link->streaming = (struct copy_out *)(uintptr_t)action->tag;
        return;
    case SHADOW_CLIENT_OUTCOME:
        on_outcome(link, action);
        return;
    case SHADOW_CLIENT_PAGE:
        on_page(link, action->page);
        return;
    case SHADOW_CLIENT_ASK_REFUSED:
        on_ask_refused(link, action->verdict);
        return;
    case SHADOW_CLIENT_FAULT:
        report(
            REPORT_LINK_FAULT, R_CHARS("node", link->peer->name), R_TEXT("text", action->text));
        set_why(link, "a reply breaks the rules");
        return;
    case SHADOW_CLIENT_CLOSE:
        set_why(link, "closed");
        return;
    }
}

static size_t run(struct link *link, const struct shadow_client_event *event)
{
    struct shadow_client_actions actions = { .count = 0 };
    size_t used;

    link->depth++;
    used = shadow_client_step(link->engine, event, &actions, conn_out(link->conn));
    for (unsigned i = 0; i < actions.count; i++)
        do_action(link, &actions.list[i]);
    link->had_actions = actions.count > 0;
    link->depth--;
    return used;
}

void link_client_run(struct link *link, const struct shadow_client_event *event)
{
    run(link, event);
}

/* --- Serving ------------------------------------------------------------------------------- */

/* The content goes on; false: it waits for room, or for the disk. */
static bool pump(struct link *link)
{
    struct copy_out *copy = link->streaming;

    if (!copy_pump(copy, link)) {
        set_why(link, "a copy's content cannot be read");
        return false;
    }
    if (!copy->is_all_out)
        return false;
    link->streaming = NULL;
    run(link, &(struct shadow_client_event){ .type = SHADOW_CLIENT_CONTENT_SENT });
    return true;
}

static void send_ask(struct link *link)
{
    const struct node *node = link->peer->node;
    bool is_discard = link->ask->type == SHADOW_ASK_DISCARD;

    link->is_ask_sent = true;
    link->ask_limit.ms = now_of(link).ms + node->heartbeat_timeout_ms +
                         (is_discard ? link->ask->wait_ms : QUESTION_MS);
    run(link, &(struct shadow_client_event){ .type = SHADOW_CLIENT_ASK, .ask = link->ask });
}

static bool may_offer(const struct link *link)
{
    return link->role == LINK_COPY && shadow_client_may_offer(link->engine) &&
           !conn_out_is_high(link->conn) &&
           shadow_client_in_flight(link->engine) < IN_FLIGHT_MAX;
}

/* One thing more is sent, if there is one and it may. */
static bool serve_one(struct link *link)
{
    struct copy_out *copy;

    if (link->is_closing || !link->peer->is_up)
        return false;
    if (link->streaming)
        return pump(link);
    if (link->ask && !link->is_ask_sent && shadow_client_may_ask(link->engine)) {
        send_ask(link);
        return true;
    }
    if (!may_offer(link))
        return false;
    copy = copy_next(link->peer);
    if (!copy)
        return false;
    if (shadow_client_in_flight(link->engine) == 0)
        link->active = now_of(link);
    copy_offer(copy, link);
    return true;
}

/* After every outermost step.  The link may be gone then. */
static void turn(struct link *link)
{
    if (link->depth)
        return;
    link->depth++;
    while (serve_one(link))
        continue;
    link->depth--;
    if (link->is_closing) {
        char why[sizeof link->why];
        memcpy(why, link->why, sizeof why);
        peer_lose(link->peer, why);
        return;
    }
    conn_send(link->conn);
    watch(link);
}

void link_client_serve(struct link *link)
{
    turn(link);
}

void link_client_ask(struct link *link, const struct shadow_ask *ask)
{
    if (link->is_ask_sent)
        return; /* given up by the ledger, not by the link: its answer serves this one as well */
    link->ask = ask;
    turn(link);
}

static void on_soon(struct loop_step *step)
{
    turn(container_of(step, struct link, soon));
}

void link_client_ask_soon(struct link *link, const struct shadow_ask *ask)
{
    link->ask = ask;
    loop_step_ask(link->peer->node->home, &link->soon);
}

/* --- The connection -------------------------------------------------------------------------- */

static void on_connected(void *me, enum err err)
{
    struct link *link = me;

    if (err != OK) {
        set_why(link, "connect: %s", err_text(err));
        turn(link);
        return;
    }
    conn_start_tls(link->conn, link->peer->node->tls, link->peer->name);
}

static void on_tls(void *me, enum err err)
{
    struct link *link = me;
    struct node *node = link->peer->node;
    const struct tls_facts *facts = err == OK ? conn_tls(link->conn) : NULL;
    struct shadow_hello hello;

    if (err != OK) {
        set_why(link, "TLS: %s", conn_tls_error(link->conn));
    } else if (!facts->has_pin || peer_of_pin(node, &facts->pin) != link->peer->index) {
        report(REPORT_LINK_REFUSED, R_CHARS("node", link->peer->name),
            R_CHARS("text", "another node's key"));
        set_why(link, "it has another node's key");
    } else {
        node_now(node); /* the hello has the position */
        ledger_get_hello(node->ledger, link->peer->index, &hello);
        run(link,
            &(struct shadow_client_event){ .type = SHADOW_CLIENT_CONNECTED, .hello = &hello });
    }
    turn(link);
}

static size_t on_input(void *me, struct bytes input)
{
    struct link *link = me;
    size_t used = 0;

    link->active = now_of(link);
    while (used < input.n && !link->is_closing) {
        size_t n = run(link, &(struct shadow_client_event){ .type = SHADOW_CLIENT_INPUT,
                                 .input = bytes_skip(input, used) });
        used += n;
        if (n == 0 && !link->had_actions)
            break; /* half a line */
    }
    if (link->is_closing)
        used = input.n;
    turn(link);
    return used;
}

static void on_room(void *me)
{
    struct link *link = me;

    link->active = now_of(link);
    run(link, &(struct shadow_client_event){ .type = SHADOW_CLIENT_INPUT }); /* what waits */
    turn(link);
}

static void on_end(void *me, enum err err)
{
    struct link *link = me;

    set_why(link, "%s", err == OK ? "closed by the other side" : err_text(err));
    turn(link);
}

static const struct conn_handler handler = {
    .on_connected = on_connected,
    .on_input = on_input,
    .on_room = on_room,
    .on_tls = on_tls,
    .on_end = on_end,
};

/* Output that moves is progress too, though nothing tells of it below the high mark. */
static void see_output(struct link *link)
{
    size_t n = conn_out(link->conn)->n;

    if (n && n != link->out_seen)
        link->active = now_of(link);
    link->out_seen = n;
}

/* What came while this process stood still lies in the socket: it has its time again. */
static void forgive(struct link *link)
{
    struct moment now = now_of(link);

    link->opened = link->active = now;
    link->ask_limit.ms = now.ms + link->peer->node->heartbeat_timeout_ms;
}

static void on_timer(struct timer *timer)
{
    struct link *link = container_of(timer, struct link, timer);
    int64_t limit = limit_of(link);

    if (limit != INT64_MAX && now_of(link).ms - limit > LATE_MS)
        forgive(link);
    if (limit_of(link) <= now_of(link).ms && link->is_up)
        see_output(link);
    if (limit_of(link) <= now_of(link).ms)
        set_why(link, link->is_up ? "no answer in time" : "no introduction in time");
    turn(link);
}

/* --- Beginning and end ----------------------------------------------------------------------- */

struct link *link_client_open(struct peer *peer, enum link_role role, char why[200])
{
    struct node *node = peer->node;
    struct link *link = mem_new(sizeof *link);
    enum err err;

    link->peer = peer;
    link->role = role;
    link->opened = link->active = loop_now(node->home);
    link->heard = ledger_heard(node->ledger, peer->index);
    link->config.fqdn = bytes_text(node->name);
    timer_init(&link->timer, node->home, on_timer);
    loop_step_init(&link->soon, on_soon);
    err = conn_connect(node->home, &peer->at, NULL, &handler, link, &link->conn);
    if (err != OK) {
        snprintf(why, 200, "connect: %s", err_text(err));
        free(link);
        return NULL;
    }
    link->engine = shadow_client_new(&link->config);
    watch(link);
    return link;
}

void link_client_free(struct link *link)
{
    if (!link)
        return;
    assert(!link->depth);
    link->streaming = NULL;
    link->depth++; /* nothing is served any more */
    run(link, &(struct shadow_client_event){ .type = SHADOW_CLIENT_LOST });
    timer_stop(&link->timer);
    loop_step_cancel(&link->soon);
    conn_close(&link->conn, false);
    shadow_client_free(link->engine);
    free(link);
}
