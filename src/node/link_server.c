/* A peer link that we answer: drives the answering engine.
 *
 * The key of the handshake says which node it is; the name it gives must be that one's.  A
 * stranger gets nothing: without a known key the handshake fails. */
#include "node/inside.h"

#include "base/mem.h"
#include "report/report.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    INTRODUCTION_MS = 30000,
    IN_FLIGHT_MAX = 1000,
    LINKS_OF_PEER_MAX = 8, /* beyond, its oldest is a left-over that nobody closed */
};

/* --- The engine's turn --------------------------------------------------------------------- */

static void set_answer(struct link_in *link, enum shadow_server_event_type type)
{
    link->answer = (struct shadow_server_event){
        .type = type, .hello = &link->hello, .verdict = &link->verdict
    };
    link->has_answer = true;
}

static void refuse_stranger(struct link_in *link, struct bytes name)
{
    report(REPORT_LINK_REFUSED, R_CHARS("node", peer_name(link->node, link->peer)),
        R_CHARS("client", link->text), R_TEXT("calls-itself", name));
    link->verdict = verdict_of(530, STATUS(5, 7, 0), "not a node of this organisation");
    set_answer(link, SHADOW_SERVER_REFUSE);
}

static void on_hello(struct link_in *link, const struct shadow_hello *hello)
{
    struct node *node = link->node;
    bool is_welcome;

    if (!bytes_equal_nocase(hello->node.name, bytes_text(peer_name(node, link->peer)))) {
        refuse_stranger(link, hello->node.name);
        return;
    }
    is_welcome = ledger_on_introduced(node->ledger, node_now(node), link->peer, hello,
        link->heard[link->peer], &link->hello, &link->verdict, &node->actions);
    node_did(node);
    if (is_welcome) {
        link->is_introduced = true;
        peer_is_there(node, link->peer);
        timer_stop(&link->timer);
    }
    set_answer(link, is_welcome ? SHADOW_SERVER_WELCOME : SHADOW_SERVER_REFUSE);
}

static void on_copy_begin(struct link_in *link, const struct shadow_server_action *action)
{
    link->outcome = (struct shadow_outcome){ .fate = SHADOW_REFUSED };
    link->receiving = copy_in_new(link, action->copy, action->tag, &link->outcome.verdict);
    set_answer(link, SHADOW_SERVER_DECIDED);
    link->answer.outcome = link->receiving ? NULL : &link->outcome;
    link->answer.tag = action->tag;
}

static void on_ask(struct link_in *link, const struct shadow_ask *ask)
{
    struct node *node = link->node;

    link->ask_tag = ++node->last_tag;
    ledger_on_ask(node->ledger, node_now(node), link->peer, link->ask_tag, ask, &node->actions);
    node_did(node);
}

static void do_copy(struct link_in *link, const struct shadow_server_action *action)
{
    struct copy_in *copy = link->receiving;

    if (!copy || copy->engine_tag != action->tag)
        return;
    if (action->type == SHADOW_SERVER_COPY_BODY) {
        copy_in_add(copy, action->text);
        return;
    }
    link->receiving = NULL;
    if (action->type == SHADOW_SERVER_COPY_END)
        copy_in_end(copy);
    else
        copy_in_abandon(copy);
}

static void do_action(struct link_in *link, const struct shadow_server_action *action)
{
    switch (action->type) {
    case SHADOW_SERVER_HELLO:
        on_hello(link, action->hello);
        return;
    case SHADOW_SERVER_COPY_BEGIN:
        on_copy_begin(link, action);
        return;
    case SHADOW_SERVER_COPY_BODY:
    case SHADOW_SERVER_COPY_END:
    case SHADOW_SERVER_COPY_ABANDON:
        do_copy(link, action);
        return;
    case SHADOW_SERVER_ASK:
        on_ask(link, action->ask);
        return;
    case SHADOW_SERVER_FAULT:
        report(REPORT_LINK_FAULT, R_CHARS("node", peer_name(link->node, link->peer)),
            R_CHARS("client", link->text), R_TEXT("text", action->text));
        return;
    case SHADOW_SERVER_CLOSE:
        link->is_closing = true;
        return;
    }
}

static size_t step(struct link_in *link, const struct shadow_server_event *event)
{
    struct shadow_server_actions actions;
    size_t used;

    link->has_said |= event->type != SHADOW_SERVER_INPUT &&
                      !(event->type == SHADOW_SERVER_DECIDED && !event->outcome);
    link->depth++;
    used = shadow_server_step(link->engine, event, &actions, conn_out(link->conn));
    for (unsigned i = 0; i < actions.count; i++)
        do_action(link, &actions.list[i]);
    link->depth--;
    return used;
}

/* The next thing that the engine waits for. */
static bool give_answer(struct link_in *link)
{
    struct list *at = list_first(&link->answered);
    struct copy_in *copy;

    if (link->has_answer) {
        struct shadow_server_event event = link->answer;
        link->has_answer = false;
        step(link, &event);
        return true;
    }
    if (!at)
        return false;
    copy = container_of(at, struct copy_in, in_link);
    step(link, &(struct shadow_server_event){ .type = SHADOW_SERVER_OUTCOME,
                   .tag = copy->engine_tag,
                   .outcome = &copy->outcome });
    copy_in_free(copy);
    return true;
}

static bool is_stalled(const struct link_in *link)
{
    return conn_out_is_high(link->conn) ||
           (link->receiving && copy_in_is_full(link->receiving));
}

static size_t feed(struct link_in *link, struct bytes input)
{
    size_t used = 0;

    while (!link->is_closing) {
        size_t n;
        if (give_answer(link))
            continue;
        if (used == input.n || is_stalled(link) || !shadow_server_wants_input(link->engine))
            break;
        n = step(link, &(struct shadow_server_event){
                           .type = SHADOW_SERVER_INPUT, .input = bytes_skip(input, used) });
        used += n;
        if (n == 0 && !link->has_answer && list_is_empty(&link->answered))
            break; /* half a line */
    }
    return used;
}

static void free_link(struct link_in *link)
{
    struct node *node = link->node;

    if (link->ask_tag)
        ledger_on_asker_gone(node->ledger, link->peer, link->ask_tag);
    if (link->receiving)
        copy_in_abandon(link->receiving);
    copies_in_detach(link);
    timer_stop(&link->timer);
    shadow_server_free(link->engine);
    list_remove(&link->in_node);
    free(link);
    node_look_stopped(node);
}

/* What is in the output answers only the commands in front of a copy that is being committed:
 * it goes out with the answer to that copy, which its sender waits for.  Sent before, it would
 * wake both nodes once more for each message. */
static bool may_wait(const struct link_in *link)
{
    return !link->has_said && !list_is_empty(&link->copies) && !link->receiving &&
           !conn_out_is_high(link->conn);
}

/* After every outermost turn.  The link may be gone then. */
static void settle(struct link_in *link)
{
    if (link->is_closing) {
        conn_close(&link->conn, true);
        free_link(link);
        return;
    }
    if (!may_wait(link)) {
        link->has_said = false;
        conn_send(link->conn);
    }
    if (is_stalled(link) || !shadow_server_wants_input(link->engine))
        conn_pause(link->conn);
    else
        conn_resume(link->conn);
}

static void step_and_settle(struct link_in *link, const struct shadow_server_event *event)
{
    step(link, event);
    feed(link, BYTES_NONE);
    settle(link);
}

void link_in_serve(struct link_in *link)
{
    if (link->depth)
        return; /* the turn under way does it */
    feed(link, BYTES_NONE);
    settle(link);
}

void link_in_answer(struct node *node, uint64_t tag, const struct shadow_page *page,
    const struct verdict *refusal)
{
    list_each (at, &node->links_in) {
        struct link_in *link = container_of(at, struct link_in, in_node);
        if (link->ask_tag != tag)
            continue;
        link->ask_tag = 0;
        step_and_settle(
            link, &(struct shadow_server_event){
                      .type = refusal->code ? SHADOW_SERVER_REFUSE : SHADOW_SERVER_PAGE,
                      .page = page,
                      .verdict = refusal });
        return;
    }
}

/* --- The connection -------------------------------------------------------------------------- */

static size_t on_input(void *me, struct bytes input)
{
    struct link_in *link = me;
    size_t used = feed(link, input);

    if (link->is_closing)
        used = input.n;
    settle(link);
    return used;
}

void link_in_on_room(void *me)
{
    struct link_in *link = me;

    /* What found no room in the output goes out first. */
    step_and_settle(link, &(struct shadow_server_event){ .type = SHADOW_SERVER_INPUT });
}

static void close_oldest(struct node *node, uint8_t peer)
{
    unsigned count = 0;
    struct link_in *oldest = NULL;

    list_each (at, &node->links_in) {
        struct link_in *link = container_of(at, struct link_in, in_node);
        if (link->peer != peer)
            continue;
        if (!oldest)
            oldest = link;
        count++;
    }
    if (count <= LINKS_OF_PEER_MAX)
        return;
    oldest->is_closing = true;
    settle(oldest);
}

static void on_tls(void *me, enum err err)
{
    struct link_in *link = me;
    struct node *node = link->node;
    const struct tls_facts *facts = err == OK ? conn_tls(link->conn) : NULL;

    if (facts && facts->has_pin)
        link->peer = peer_of_pin(node, &facts->pin);
    if (link->peer == LEDGER_NO_PEER) {
        if (err == OK || err == ERR_TLS) /* else it went away by itself */
            report(REPORT_LINK_REFUSED, R_CHARS("client", link->text),
                R_CHARS(
                    "text", err == OK ? "its key is no node's" : conn_tls_error(link->conn)));
        link->is_closing = true;
        settle(link);
        return;
    }
    close_oldest(node, link->peer);
    step_and_settle(link, &(struct shadow_server_event){ .type = SHADOW_SERVER_OPENED });
}

static void on_end(void *me, enum err err)
{
    struct link_in *link = me;

    err_ignore(err); /* closed or broken: what was not committed is not held */
    conn_close(&link->conn, false);
    free_link(link);
}

static const struct conn_handler handler = {
    .on_input = on_input,
    .on_room = link_in_on_room,
    .on_tls = on_tls,
    .on_end = on_end,
};

static void on_timer(struct timer *timer)
{
    struct link_in *link = container_of(timer, struct link_in, timer);

    link->is_closing = true;
    settle(link);
}

/* A node that died says nothing, and a link on which it only spoke is never written to: the
 * kernel finds out. */
static void keep_alive(int fd)
{
    int on = 1, idle_s = 60, interval_s = 10, count = 6;

    /* Without these a dead link stays until the peer opens further ones: see close_oldest(). */
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}

void link_in_open(struct node *node, int fd)
{
    struct link_in *link;

    if (!node->tls || node->are_links_stopped) { /* no other node is named: nobody may come */
        close(fd);
        return;
    }
    link = mem_new(sizeof *link);
    link->node = node;
    link->peer = LEDGER_NO_PEER;
    for (uint8_t i = 0; i < ledger_peer_count(node->ledger); i++)
        link->heard[i] = ledger_heard(node->ledger, i);
    list_init(&link->copies);
    list_init(&link->answered);
    list_init(&link->in_node);
    timer_init(&link->timer, node->home, on_timer);
    link->config = (struct shadow_server_config){ .fqdn = bytes_text(node->name),
        .in_flight_max = IN_FLIGHT_MAX };
    keep_alive(fd);
    if (conn_accept(node->home, fd, &handler, link, &link->conn) != OK) {
        free(link);
        return;
    }
    endpoint_format(conn_peer(link->conn), link->text);
    link->engine = shadow_server_new(&link->config);
    list_add_last(&node->links_in, &link->in_node);
    timer_start(&link->timer, INTRODUCTION_MS);
    conn_start_tls(link->conn, node->tls, NULL);
}

void links_in_cut(struct node *node, uint8_t index)
{
    static const struct verdict stopping = {
        .code = 421, .status = { 4, 3, 2 }, .text = "link closed"
    };

    list_each (at, &node->links_in) {
        struct link_in *link = container_of(at, struct link_in, in_node);
        if (index != LEDGER_NO_PEER && link->peer != index)
            continue;
        if (link->peer != LEDGER_NO_PEER) /* not in clear to one that is shaking hands */
            step(link, &(struct shadow_server_event){
                           .type = SHADOW_SERVER_STOPPED, .verdict = &stopping });
        link->is_closing = true;
        settle(link);
    }
}

uint32_t links_in_count(const struct node *node)
{
    uint32_t count = 0;

    list_each (at, &node->links_in)
        count += container_of(at, struct link_in, in_node)->is_introduced;
    return count;
}
