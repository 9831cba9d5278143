/* The links between nodes.  Each node makes two connections to each other one: asks that wait go
 * by the first, copies and short asks by the second.  What is sent on a connection arrives in
 * order, late, or not at all when the connection ends before.
 *
 *     near end: nothing -> OPENING -> INTRODUCING -> up; told to the ledger when both are up
 *     far end:  accepted -> up */
#include "sim.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

enum { CONNECT_MS = 10000 };

/* --- Sending ----------------------------------------------------------------------------- */

static void on_frame(struct world *world, struct event *event);

static struct conn *near_of(struct world *world, const struct frame *frame)
{
    uint8_t server = frame->from == frame->client ? frame->to : frame->from;
    return &world->links[frame->client][server].near[frame->lane];
}

static struct conn *far_of(struct world *world, const struct frame *frame)
{
    uint8_t server = frame->from == frame->client ? frame->to : frame->from;
    return &world->links[frame->client][server].far[frame->lane];
}

/* Takes FRAME.  It arrives after all that was sent before it in that direction. */
static void send(struct world *world, struct frame *frame)
{
    struct way *way = &world->way[frame->from][frame->to];
    struct conn *end =
        frame->to == frame->client ? near_of(world, frame) : far_of(world, frame);
    int64_t at = world->now + prng_spread(&world->prng, 0, world->latency_ms);

    if (way->slow_until > world->now)
        at += prng_between(&world->prng, 0, way->slow_ms);
    if (end->number == frame->conn || frame->kind == FRAME_OPEN) {
        if (at <= end->last_arrival)
            at = end->last_arrival;
        end->last_arrival = at;
    }
    struct event *event = world_in(world, at - world->now, on_frame);
    event->data = frame;
}

static void send_from_client(
    struct world *world, uint8_t from, uint8_t to, enum lane lane, struct frame *frame)
{
    frame->from = frame->client = from;
    frame->to = to;
    frame->lane = lane;
    frame->conn = world->links[from][to].near[lane].number;
    send(world, frame);
}

static void reply(struct world *world, const struct frame *to, struct frame *frame)
{
    frame->from = to->to;
    frame->to = to->from;
    frame->client = to->client;
    frame->lane = to->lane;
    frame->conn = to->conn;
    frame->number = to->number;
    frame->message = to->message;
    send(world, frame);
}

/* --- The near end is over ---------------------------------------------------------------- */

/* What the ledger is to be told once it may be told something. */
struct loss {
    uint8_t to;
    bool was_up, has_ask, failed; /* FAILED: no connection could be made */
    unsigned count;
    unsigned messages[];
};

static void on_open(struct world *world, struct event *event);

static void on_loss(struct world *world, struct event *event)
{
    struct host *host = &world->host[event->host];
    struct loss *loss = event->data;
    struct shadow_outcome lost = { .fate = SHADOW_LOST };
    uint8_t peer = host_peer(host, loss->to);

    world->links[host->number][loss->to].is_losing = false;
    for (unsigned i = 0; i < loss->count; i++) {
        ledger_on_outcome(host->ledger, host_now(host), peer,
            world->message[loss->messages[i]].mid, &lost, &host->actions);
        host_act(host);
    }
    if (loss->was_up) {
        ledger_on_down(host->ledger, host_now(host), peer, &host->actions);
        host_act(host);
    } else if (loss->has_ask) {
        ledger_on_ask_failed(host->ledger, host_now(host), peer, &host->actions);
        host_act(host);
    }
}

static struct loss *loss_of(struct host *host, uint8_t to)
{
    struct links *links = &host->world->links[host->number][to];
    struct loss *loss = mem_new(sizeof *loss + host->flight_count * sizeof *loss->messages);
    unsigned kept = 0;

    loss->to = to;
    loss->was_up = links->is_told_up;
    for (unsigned i = 0; i < LANE_COUNT; i++)
        loss->has_ask |= links->asking[i].is_open;
    for (unsigned i = 0; i < host->flight_count; i++) {
        if (host->flights[i].to == to)
            loss->messages[loss->count++] = host->flights[i].message;
        else
            host->flights[kept++] = host->flights[i];
    }
    host->flight_count = kept;
    return loss;
}

static void open_later(struct host *host, uint8_t to)
{
    struct links *links = &host->world->links[host->number][to];
    struct event *event;

    if (links->is_trying)
        return;
    links->is_trying = true;
    event = host_in(host, prng_spread(&host->world->prng, 50, 2000), on_open);
    event->a = to;
}

/* Both connections to TO are over; the ledger hears of it in a moment. */
static void close_near(struct host *host, uint8_t to)
{
    struct world *world = host->world;
    struct links *links = &world->links[host->number][to];
    bool was_open = links->near[LANE_ASK].number != 0;

    for (unsigned lane = 0; lane < LANE_COUNT; lane++)
        if (links->near[lane].number)
            send_from_client(world, host->number, to, lane, frame_plain(FRAME_CLOSED));
    if (was_open || links->asking[LANE_ASK].is_open) {
        host_in(host, 0, on_loss)->data = loss_of(host, to);
        links->is_losing = true;
    }
    for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
        links->near[lane] = (struct conn){ .number = 0 };
        links->asking[lane].is_open = false;
    }
    links->is_told_up = links->is_trying = false;
    open_later(host, to);
}

/* --- The far end is over ----------------------------------------------------------------- */

static void close_far(struct host *host, uint8_t from, enum lane lane)
{
    struct links *links = &host->world->links[from][host->number];
    struct asking *asking = &links->asking[lane];

    links->far[lane] = (struct conn){ .number = 0 };
    if (!asking->far_tag)
        return;
    ledger_on_asker_gone(host->ledger, host_peer(host, from), asking->far_tag);
    asking->far_tag = 0;
}

/* --- Connecting -------------------------------------------------------------------------- */

static void begin_conn(struct host *host, uint8_t to, enum lane lane)
{
    struct world *world = host->world;
    struct conn *conn = &world->links[host->number][to].near[lane];

    *conn = (struct conn){ .number = ++world->conn_number };
    conn->heard = ledger_heard(host->ledger, host_peer(host, to));
    send_from_client(world, host->number, to, lane, frame_plain(FRAME_OPEN));
}

static void on_connect_late(struct world *world, struct event *event)
{
    struct host *host = &world->host[event->host];
    struct links *links = &world->links[event->host][event->a];

    if (links->near[LANE_ASK].number == event->b && !links->is_told_up)
        close_near(host, (uint8_t)event->a);
}

static void on_open(struct world *world, struct event *event)
{
    struct host *host = &world->host[event->host];
    uint8_t to = (uint8_t)event->a;
    struct links *links = &world->links[host->number][to];

    links->is_trying = false;
    if (links->near[LANE_ASK].number || !world->host[to].is_configured ||
        !host->is_configured || host_peer(host, to) == LEDGER_NO_PEER)
        return;
    begin_conn(host, to, LANE_ASK);
    event = host_in(host, CONNECT_MS, on_connect_late);
    event->a = to;
    event->b = links->near[LANE_ASK].number;
}

static void send_ask(struct host *host, uint8_t to, enum lane lane);

/* The introduction of the first connection lets the second begin. */
static void on_welcome(struct host *host, const struct frame *frame)
{
    struct world *world = host->world;
    struct links *links = &world->links[host->number][frame->from];
    struct conn *conn = &links->near[frame->lane];
    struct shadow_hello hello;
    bool is_read = frame_read_hello(frame, &hello);

    assert(is_read);
    conn->is_up = true;
    if (frame->lane == LANE_ASK) {
        begin_conn(host, frame->from, LANE_COPY);
        return;
    }
    links->is_told_up = true;
    STORY(world, host, -1, "link to %s is up", world->host[frame->from].name);
    bool is_good = ledger_on_up(host->ledger, host_now(host), host_peer(host, frame->from),
        &hello, conn->heard, &host->actions);
    host_act(host);
    if (!is_good)
        road_cut(host, frame->from);
    else if (links->is_told_up && links->asking[LANE_ASK].is_open &&
             !links->asking[LANE_ASK].is_sent)
        send_ask(host, frame->from, LANE_ASK);
}

static void on_turned_away(struct host *host, const struct frame *frame)
{
    struct verdict verdict = frame_read_verdict(frame);

    STORY(host->world, host, -1, "is turned away by %s: %s",
        host->world->host[frame->from].name, verdict.text);
    ledger_on_turned_away(
        host->ledger, host_now(host), host_peer(host, frame->from), &verdict, &host->actions);
    host_act(host);
    close_near(host, frame->from);
}

static void on_opened(struct host *host, const struct frame *frame)
{
    struct shadow_hello hello;

    ledger_get_hello(host->ledger, host_peer(host, frame->from), &hello);
    send_from_client(
        host->world, host->number, frame->from, frame->lane, frame_hello(&hello, false));
}

/* --- The far end ------------------------------------------------------------------------- */

static void on_accept(struct host *host, const struct frame *frame)
{
    struct world *world = host->world;
    struct links *links = &world->links[frame->from][host->number];
    uint8_t peer = host_peer(host, frame->from);

    if (peer == LEDGER_NO_PEER || !world->host[frame->from].is_configured) {
        reply(world, frame, frame_plain(FRAME_CLOSED));
        return;
    }
    close_far(host, frame->from, frame->lane); /* an older one, which nobody has ended */
    links->far[frame->lane] =
        (struct conn){ .number = frame->conn, .heard = ledger_heard(host->ledger, peer) };
    reply(world, frame, frame_plain(FRAME_OPENED));
}

static void on_hello(struct host *host, const struct frame *frame)
{
    struct conn *conn = &host->world->links[frame->from][host->number].far[frame->lane];
    struct shadow_hello theirs, ours;
    struct verdict refusal;
    bool is_read = frame_read_hello(frame, &theirs);

    assert(is_read);
    if (ledger_on_introduced(host->ledger, host_now(host), host_peer(host, frame->from),
            &theirs, conn->heard, &ours, &refusal, &host->actions)) {
        conn->is_up = true;
        reply(host->world, frame, frame_hello(&ours, true));
    } else {
        reply(host->world, frame, frame_verdict(FRAME_TURNED_AWAY, &refusal));
    }
    host_act(host);
}

static void on_ask(struct host *host, const struct frame *frame)
{
    struct asking *asking = &host->world->links[frame->from][host->number].asking[frame->lane];
    struct shadow_ask ask;
    bool is_read = frame_read_ask(frame, &ask);

    assert(is_read && !asking->far_tag);
    asking->far_tag = ++host->world->tag;
    asking->far_frame = *frame;
    ledger_on_ask(host->ledger, host_now(host), host_peer(host, frame->from), asking->far_tag,
        &ask, &host->actions);
    host_act(host);
}

static struct asking *find_asking(struct host *host, uint64_t tag)
{
    for (unsigned from = 0; from < host->world->host_count; from++)
        for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
            struct asking *asking = &host->world->links[from][host->number].asking[lane];
            if (from != host->number && asking->far_tag == tag)
                return asking;
        }
    return NULL;
}

void road_answer(struct host *host, const struct ledger_action *action)
{
    struct asking *asking = find_asking(host, action->tag);

    if (asking) { /* else it is gone */
        asking->far_tag = 0;
        reply(host->world, &asking->far_frame,
            action->answer.refusal.code
                ? frame_verdict(FRAME_ASK_REFUSED, &action->answer.refusal)
                : frame_page(host, action->answer.page));
    }
    ledger_page_free(action->answer.page);
}

/* --- Asking ------------------------------------------------------------------------------ */

static void send_ask(struct host *host, uint8_t to, enum lane lane)
{
    struct asking *asking = &host->world->links[host->number][to].asking[lane];
    struct frame *frame = frame_ask(&asking->ask);

    asking->is_sent = true;
    frame->number = asking->number;
    send_from_client(host->world, host->number, to, lane, frame);
}

void road_ask(struct host *host, uint8_t to, const struct shadow_ask *ask)
{
    struct world *world = host->world;
    struct links *links = &world->links[host->number][to];
    enum lane lane = ask->type == SHADOW_ASK_DISCARD ? LANE_ASK : LANE_COPY;
    struct asking *asking = &links->asking[lane];

    if (ask->type == SHADOW_ASK_TAKEN)
        STORY(world, host, -1, "asks %s what it has taken from %02x%02x%s",
            world->host[to].name, ask->store.byte[0], ask->store.byte[1],
            ask->has_cursor ? ", further" : "");
    else if (ask->type == SHADOW_ASK_AUDIT)
        STORY(world, host, -1, "audits %u at %s", ask->mid_count, world->host[to].name);
    if (asking->is_open && asking->is_sent) {
        violated(world, -1, "%s asks %s twice at a time", host->name, world->host[to].name);
        return;
    }
    asking->is_open = true; /* one that was not sent is given up */
    asking->is_sent = false;
    asking->number = ++world->tag;
    asking->ask = *ask;
    if (links->is_told_up)
        send_ask(host, to, lane);
    else if (lane == LANE_COPY && links->is_losing)
        asking->is_open = false;
    else if (lane == LANE_COPY)
        violated(
            world, -1, "%s asks %s by a link that is not up", host->name, world->host[to].name);
}

static void on_page(struct host *host, const struct frame *frame)
{
    static struct shadow_item items[SHADOW_PAGE_MAX];
    struct links *links = &host->world->links[host->number][frame->from];
    struct asking *asking = &links->asking[frame->lane];
    struct shadow_page page;

    if (!asking->is_open || asking->number != frame->number)
        return;
    asking->is_open = false;
    if (frame->kind == FRAME_ASK_REFUSED) {
        STORY(host->world, host, -1, "an ask is refused by %s: %s",
            host->world->host[frame->from].name, frame_read_verdict(frame).text);
        ledger_on_ask_failed(
            host->ledger, host_now(host), host_peer(host, frame->from), &host->actions);
    } else {
        bool is_read = frame_read_page(frame, items, &page);
        assert(is_read);
        check_heard(host, frame->from, &page);
        ledger_on_page(
            host->ledger, host_now(host), host_peer(host, frame->from), &page, &host->actions);
    }
    host_act(host);
}

/* --- Copies ------------------------------------------------------------------------------ */

static void on_lost_at_once(struct world *world, struct event *event)
{
    struct host *host = &world->host[event->host];
    struct shadow_outcome lost = { .fate = SHADOW_LOST };

    ledger_on_outcome(host->ledger, host_now(host), host_peer(host, (uint8_t)event->a),
        world->message[event->b].mid, &lost, &host->actions);
    host_act(host);
}

void road_copy(struct host *host, uint8_t to, const struct ledger_action *action)
{
    struct world *world = host->world;
    struct message *message = message_find(world, action->mid);
    struct frame *frame;

    if (!world->links[host->number][to].is_told_up) {
        struct event *event = host_in(host, 0, on_lost_at_once);
        event->a = to;
        event->b = message->number;
        return;
    }
    if (host->flight_count == host->flight_room) {
        host->flight_room = 2 * host->flight_room + 16;
        host->flights = mem_grow(host->flights, host->flight_room * sizeof *host->flights);
    }
    STORY(world, host, (int)message->number, "copies it to %s, generation %u",
        world->host[to].name, action->standing.generation);
    frame = frame_copy(host, message, &action->standing);
    frame->number = ++world->tag;
    host->flights[host->flight_count++] =
        (struct flight){ .to = to, .number = frame->number, .message = message->number };
    send_from_client(world, host->number, to, LANE_COPY, frame);
}

static void on_outcome(struct host *host, const struct frame *frame)
{
    struct message *message = &host->world->message[frame->message];
    struct shadow_outcome outcome;
    bool is_read = frame_read_outcome(frame, message->mid, &outcome);

    assert(is_read);
    for (unsigned i = 0; i < host->flight_count; i++)
        if (host->flights[i].number == frame->number) {
            host->flights[i] = host->flights[--host->flight_count];
            break;
        }
    ledger_on_outcome(host->ledger, host_now(host), host_peer(host, frame->from), message->mid,
        &outcome, &host->actions);
    host_act(host);
}

static void answer_copy(struct host *host, const struct frame *frame, struct mid mid,
    const struct shadow_outcome *outcome)
{
    static const char *const fates[] = { "durable", "settled", "moved", "busy", "refused" };

    STORY(host->world, host, (int)frame->message, "answers the copy: %s %s",
        fates[outcome->fate], outcome->verdict.code ? outcome->verdict.text : "");
    reply(host->world, frame, frame_outcome(outcome, mid));
}

/* What was offered is to be stored; its content has come with it. */
static void take_copy(struct host *host, const struct frame *frame, struct message *message,
    const struct standing *standing, uint32_t done, uint64_t tag)
{
    struct entry *entry = &host->entry[message->number];
    struct shadow_outcome full = { .fate = SHADOW_REFUSED,
        .verdict = verdict_of(452, STATUS(4, 3, 1), "no room") };

    if (entry->is_here) {
        violated(
            host->world, (int)message->number, "%s takes a copy of what it has", host->name);
        return;
    }
    *entry = (struct entry){ .attempt = entry->attempt };
    message->heard[host->number] = done;
    for (unsigned i = 0; i < message->recipient_count; i++)
        if (done & 1U << i)
            entry->outcome[i] = SPOOL_RELAYED_AWAY;
    if (shelf_commit(host, message, standing, true, frame->from, tag))
        return;
    host->receipt_count--; /* the one that was just added */
    answer_copy(host, frame, message->mid, &full);
    ledger_on_copy_stored(host->ledger, host_now(host), host_peer(host, frame->from),
        message->mid, tag, false, &host->actions);
    host_act(host);
}

static void add_receipt(struct host *host, const struct frame *frame, uint64_t tag)
{
    if (host->receipt_count == host->receipt_room) {
        host->receipt_room = 2 * host->receipt_room + 16;
        host->receipts = mem_grow(host->receipts, host->receipt_room * sizeof *host->receipts);
    }
    host->receipts[host->receipt_count++] = (struct receipt){ .tag = tag, .frame = *frame };
}

/* It is here already: what is done is written in front of its new standing. */
static void note_done(struct host *host, struct message *message, uint32_t done)
{
    message->heard[host->number] |= done;
    shelf_note(
        host, message, done & ~entry_done(&host->entry[message->number]), SPOOL_RELAYED_AWAY);
}

static void on_copy(struct host *host, const struct frame *frame)
{
    struct world *world = host->world;
    struct message *message = &world->message[frame->message];
    struct shadow_copy copy;
    struct standing standing;
    struct shadow_outcome outcome;
    uint64_t tag = ++world->tag;
    uint32_t done;
    bool is_read = frame_read_copy(frame, &copy, &done);

    assert(is_read && copy.recipient_count == message->recipient_count);
    struct standing offered = ledger_lineage(&copy);
    enum ledger_offer offer =
        ledger_on_copy(host->ledger, host_now(host), host_peer(host, frame->from), copy.mid,
            &offered, true, tag, &standing, &outcome, &host->actions);
    STORY(world, host, (int)message->number, "is offered a copy by %s: %s",
        world->host[frame->from].name,
        offer == LEDGER_TAKE       ? "takes it"
        : offer == LEDGER_ANSWERED ? "answers at once"
                                   : "has it");
    if (offer == LEDGER_ANSWERED)
        answer_copy(host, frame, message->mid, &outcome);
    else
        add_receipt(host, frame, tag);
    if (offer == LEDGER_ONLY_STAND ||
        (offer == LEDGER_ANSWERED && outcome.fate == SHADOW_DURABLE))
        note_done(host, message, done);
    if (offer == LEDGER_TAKE)
        take_copy(host, frame, message, &standing, done, tag);
    host_act(host);
}

void road_held(struct host *host, const struct ledger_action *action)
{
    struct message *message = message_find(host->world, action->mid);
    struct shadow_outcome outcome = { .fate = action->held.fate,
        .verdict = action->held.refusal };

    if (action->held.fate == SHADOW_MOVED) {
        uint8_t node = host_of_peer(host, action->held.node);
        outcome.node.name =
            bytes_text(node == SIM_NOBODY ? host->name : host->world->host[node].name);
        outcome.node.store = action->held.store;
    }
    for (unsigned i = 0; i < host->receipt_count; i++)
        if (host->receipts[i].tag == action->tag) {
            answer_copy(host, &host->receipts[i].frame, message->mid, &outcome);
            host->receipts[i] = host->receipts[--host->receipt_count];
            return;
        }
}

/* --- Arriving ---------------------------------------------------------------------------- */

static void on_closed(struct host *host, const struct frame *frame)
{
    if (frame->client == host->number)
        close_near(host, frame->from);
    else
        close_far(host, frame->from, frame->lane);
}

static void arrive(struct host *host, const struct frame *frame)
{
    static const char *const names[] = { "OPEN", "OPENED", "HELLO", "WELCOME", "TURNED_AWAY",
        "ASK", "PAGE", "REFUSED", "COPY", "OUTCOME", "CLOSED" };
    typedef void run(struct host * host, const struct frame *frame);
    static run *const runs[] = {
        [FRAME_OPEN] = on_accept,
        [FRAME_OPENED] = on_opened,
        [FRAME_HELLO] = on_hello,
        [FRAME_WELCOME] = on_welcome,
        [FRAME_TURNED_AWAY] = on_turned_away,
        [FRAME_ASK] = on_ask,
        [FRAME_PAGE] = on_page,
        [FRAME_ASK_REFUSED] = on_page,
        [FRAME_COPY] = on_copy,
        [FRAME_OUTCOME] = on_outcome,
        [FRAME_CLOSED] = on_closed,
    };

    if (host->world->options.has_frames)
        STORY(host->world, host, -1, "  %s %s of %s, lane %d: %.*s", names[frame->kind],
            frame->client == host->number ? "<-" : "->", host->world->host[frame->from].name,
            frame->lane, frame->n > 2 ? (int)frame->n - 2 : 0, (const char *)frame->bytes);
    /* The ledger hears of an introduction when both connections are made. */
    if (!(frame->kind == FRAME_WELCOME && frame->lane == LANE_ASK) &&
        frame->kind != FRAME_CLOSED && frame->kind != FRAME_OPEN && frame->kind != FRAME_OPENED)
        check_frame(host, frame->from);
    runs[frame->kind](host, frame);
}

/* The kernel of a node without its process answers by itself; one without power does not. */
static void bounce(struct world *world, const struct frame *frame)
{
    if (frame->kind != FRAME_CLOSED)
        reply(world, frame, frame_plain(FRAME_CLOSED));
}

static void on_frame(struct world *world, struct event *event)
{
    struct frame *frame = event->data;
    struct host *host = &world->host[frame->to];
    struct way *way = &world->way[frame->from][frame->to];
    struct conn *end =
        frame->to == frame->client ? near_of(world, frame) : far_of(world, frame);

    if (way->blocked_until > world->now) {
        world_again(world, event, way->blocked_until);
        return;
    }
    if (!host->is_up) {
        if (host->has_power)
            bounce(world, frame);
        return;
    }
    if (host->paused_until > world->now) {
        world_again(world, event, host->paused_until);
        return;
    }
    if (frame->conn <= way->reset_below)
        return;
    if (frame->kind != FRAME_OPEN && end->number != frame->conn) {
        bounce(world, frame);
        return;
    }
    arrive(host, frame);
}

/* --- Faults and orders ------------------------------------------------------------------- */

void road_open(struct host *host)
{
    for (uint8_t to = 0; to < host->world->host_count; to++)
        if (to != host->number)
            open_later(host, to);
}

/* The ledger's order: the far ends of the other's links too. */
void road_cut(struct host *host, uint8_t to)
{
    struct world *world = host->world;

    for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
        struct conn *far = &world->links[to][host->number].far[lane];
        if (far->number) {
            struct frame *frame = frame_plain(FRAME_CLOSED);
            frame->from = host->number;
            frame->to = frame->client = to;
            frame->lane = lane;
            frame->conn = far->number;
            send(world, frame);
        }
        close_far(host, to, lane);
    }
    close_near(host, to);
}

/* Its memory of all connections is gone; IS_SEEN: its kernel ends them. */
void road_crash(struct host *host, bool is_seen)
{
    struct world *world = host->world;

    host->flight_count = 0;
    for (uint8_t i = 0; i < world->host_count; i++) {
        if (i == host->number)
            continue;
        struct links *out = &world->links[host->number][i],
                     *in = &world->links[i][host->number];
        for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
            if (is_seen && out->near[lane].number)
                send_from_client(world, host->number, i, lane, frame_plain(FRAME_CLOSED));
            if (is_seen && in->far[lane].number) {
                struct frame *frame = frame_plain(FRAME_CLOSED);
                frame->from = host->number;
                frame->to = frame->client = i;
                frame->lane = lane;
                frame->conn = in->far[lane].number;
                send(world, frame);
            }
            out->near[lane] = in->far[lane] = (struct conn){ .number = 0 };
            out->asking[lane].is_open = false;
            in->asking[lane].far_tag = 0;
        }
        out->is_told_up = out->is_trying = out->is_losing = false;
    }
}

/* One end hears that its connection is over, not by the way there. */
static void on_reset(struct world *world, struct event *event)
{
    struct host *host = &world->host[event->host];
    uint8_t other = (uint8_t)event->a;
    const struct links *links = &world->links[host->number][other];

    if (links->near[LANE_ASK].number == event->b && event->b)
        close_near(host, other);
    for (unsigned lane = 0; lane < LANE_COUNT; lane++)
        if (world->links[other][host->number].far[lane].number &&
            world->links[other][host->number].far[lane].number <= event->c)
            close_far(host, other, lane);
}

void road_reset(struct world *world, uint8_t a, uint8_t b)
{
    uint8_t ends[2] = { a, b };

    world->way[a][b].reset_below = world->way[b][a].reset_below = world->conn_number;
    for (unsigned i = 0; i < 2; i++) {
        struct host *host = &world->host[ends[i]];
        if (!host->is_up)
            continue;
        struct event *event = host_in(host, prng_between(&world->prng, 0, 50), on_reset);
        event->a = ends[1 - i];
        event->b = world->links[ends[i]][ends[1 - i]].near[LANE_ASK].number;
        event->c = world->conn_number;
    }
}

/* Some are not configured any more, or again. */
void road_peers_changed(struct host *host)
{
    struct world *world = host->world;

    for (uint8_t i = 0; i < world->host_count; i++) {
        bool is_wanted = host->is_configured && world->host[i].is_configured;
        if (i == host->number)
            continue;
        if (!is_wanted && world->links[host->number][i].near[LANE_ASK].number)
            close_near(host, i);
        else if (is_wanted)
            open_later(host, i);
    }
}
