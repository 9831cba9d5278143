/* One connection to a host: drives the client engine. */
#include "flow/deliver/internal.h"

#include "base/mem.h"
#include "os/clock.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { UNDER_WAY_MAX = 8, NO_TLS_MS = 600000 };

/* --- Beginning and end ------------------------------------------------------------------- */

static void configure(struct delivery *delivery)
{
    const struct send_connector *connector = delivery->connector;
    const struct settings *settings = delivery->setup->settings;
    enum smtp_client_tls tls = SMTP_CLIENT_TLS_MUST;

    delivery_choose_tls(delivery);
    if (delivery->tls == SEND_TLS_NONE)
        tls = SMTP_CLIENT_TLS_NONE;
    else if (delivery->tls == SEND_TLS_MAY)
        tls = SMTP_CLIENT_TLS_MAY;
    delivery->config = (struct smtp_client_config){
        .fqdn = bytes_text(connector->fqdn ? connector->fqdn : settings->fqdn),
        .is_lmtp = connector->delivery == DELIVERY_LMTP,
        .tls = tls,
        .is_tls = connector->is_implicit_tls && !delivery->host->is_unix,
        .uses_chunking = connector->uses_chunking,
        .uses_pipelining = connector->uses_pipelining,
        .under_way_max = UNDER_WAY_MAX,
        .mails_max = connector->messages_per_connection,
        .auth_user = bytes_text(connector->user),
        .auth_password = bytes_text(connector->password),
        .auth_mechanisms = connector->mechanisms,
        .auth_plain_text = connector->auth_without_tls,
        .logs_lines = connector->logs_protocol,
    };
}

static struct endpoint endpoint_of(const struct host *host, unsigned address_at)
{
    struct endpoint endpoint = { .is_unix = host->is_unix, .port = host->port };

    if (host->is_unix)
        snprintf(endpoint.path, sizeof endpoint.path, "%s", host->name);
    else
        endpoint.ip = host->addresses[address_at];
    return endpoint;
}

static void name_it(struct delivery *delivery, const struct endpoint *endpoint)
{
    char address[IP_TEXT_BYTES];

    endpoint_format(endpoint, delivery->protocol.peer);
    if (endpoint->is_unix) {
        snprintf(delivery->text, sizeof delivery->text, "%s", delivery->host->name);
        return;
    }
    ip_format(endpoint->ip, address);
    snprintf(delivery->text, sizeof delivery->text, "%s[%s]:%u", delivery->host->name, address,
        endpoint->port);
}

static void delivery_free(struct delivery *delivery)
{
    struct destination *destination = delivery->destination;
    struct deliver *deliver = destination->deliver;

    assert(list_is_empty(&delivery->sendings));
    report_protocol(&delivery->protocol, '-', BYTES_NONE);
    timer_stop(&delivery->timer);
    if (delivery->conn)
        conn_close(&delivery->conn, true);
    if (delivery->is_probe)
        destination->probe_count--;
    else if (!delivery->is_up)
        destination->opening_count--;
    if (!delivery->is_up)
        deliver_opened(deliver, delivery->prospect);
    delivery_uncount(delivery);
    delivery->host->delivery_count--;
    list_remove(&delivery->in_destination);
    list_remove(&delivery->in_ready);
    list_remove(&delivery->in_idle);
    if (--destination->connection_count == 0)
        deliver->served_count--;
    deliver->leaving_count -= delivery->is_leaving;
    delivery_login_end(delivery);
    smtp_client_free(delivery->engine);
    setup_free(delivery->setup);
    free(delivery->error);
    free(delivery);
    destination->users++;
    deliver_release(deliver);
    destination->users--;
}

/* The session is over: all results are given. */
static void end(struct delivery *delivery)
{
    struct destination *destination = delivery->destination;
    struct deliver *deliver = destination->deliver;
    struct host *host = delivery->host;
    bool was_up = delivery->is_up, was_tls_trouble = delivery->is_tls_trouble;
    /* Who says "slow down" is alive; the circuit breaker's question was not answered, though. */
    bool has_failed =
        (!was_up || delivery->has_failed) && (!delivery->is_slowed || host->is_down);
    unsigned address_at = delivery->address_at;
    char *error = delivery->error;

    connectivity_over(delivery);
    delivery->error = NULL;
    destination->users++;
    delivery_free(delivery);
    if (was_tls_trouble &&
        !host->is_gone) { /* TLS "may": rather in clear than not at all (RFC 7435) */
        host->no_tls_until.ms = loop_now(deliver->loop).ms + NO_TLS_MS;
        delivery_open(destination, host, address_at);
    } else if (has_failed && !deliver->is_stopping) {
        destination_attempt_failed(
            destination, host, address_at, was_up, error ? error : "451 4.4.2 connection lost");
    }
    free(error);
    destination->users--;
    if (!destination->is_forgotten && !has_failed)
        deliver_want(deliver, destination->hop);
    destination_free_if_done(destination);
}

/* WORD: " said" when the host itself did. */
static void set_error(struct delivery *delivery, const char *word, unsigned code,
    struct status status, const char *text)
{
    char line[CAUSE_BYTES];

    if (delivery->error)
        return; /* the first one says why */
    cause_format(delivery->text, word, code, status, text, line);
    delivery->error = mem_text(line);
}

/* --- The engine's turn ------------------------------------------------------------------- */

static void on_up(struct delivery *delivery)
{
    struct destination *destination = delivery->destination;

    delivery->is_up = true;
    deliver_opened(destination->deliver, delivery->prospect);
    connectivity_up(delivery);
    if (delivery->is_probe)
        destination->probe_count--;
    else
        destination->opening_count--;
    delivery->is_probe = false;
    if (loop_now(destination->deliver->loop).ms - delivery->opened.ms >= PATIENCE_MS)
        delivery->host->is_late = true;
    destination_host_up(destination, delivery->host);
}

static void on_ready(struct delivery *delivery)
{
    delivery->is_ready = true;
    if (list_is_linked(&delivery->in_ready))
        return;
    list_add_last(&delivery->destination->ready, &delivery->in_ready);
    list_add_last(&delivery->destination->deliver->idle, &delivery->in_idle);
}

/* That of a wrong password should be found at a glance. */
static const char *word_of_failure(
    const struct delivery *delivery, const struct smtp_reply *reply)
{
    bool is_login = reply->code == 535 || reply->code == 534 || reply->code == 530;

    if (reply->is_own)
        return "";
    if (delivery->config.auth_user.n && !delivery->is_up && is_login)
        return " refused our user and password and said";
    return " said";
}

static void do_action(struct delivery *delivery, const struct smtp_client_action *action)
{
    switch (action->type) {
    case SMTP_CLIENT_START_TLS:
        delivery_start_tls(delivery);
        return;
    case SMTP_CLIENT_AUTH:
        delivery_login(delivery, action);
        return;
    case SMTP_CLIENT_UP:
        on_up(delivery);
        return;
    case SMTP_CLIENT_READY:
        on_ready(delivery);
        return;
    case SMTP_CLIENT_SEND_CONTENT:
        delivery->asked = delivery_sending_of(action);
        sending_ask(delivery->asked, action->is_stuffed);
        return;
    case SMTP_CLIENT_RESULT:
        delivery_result(delivery, action);
        return;
    case SMTP_CLIENT_DONE:
        delivery_done(delivery, delivery_sending_of(action));
        return;
    case SMTP_CLIENT_RETURNED:
        delivery_returned(delivery, delivery_sending_of(action));
        return;
    case SMTP_CLIENT_FAILED:
        delivery->has_failed = true;
        set_error(delivery, word_of_failure(delivery, action->reply), action->reply->code,
            action->reply->status, action->reply->text);
        return;
    case SMTP_CLIENT_LINE_OUT:
        report_protocol(&delivery->protocol, '>', action->text);
        return;
    case SMTP_CLIENT_LINE_IN:
        report_protocol(&delivery->protocol, '<', action->text);
        return;
    case SMTP_CLIENT_CLOSE:
        delivery->is_closing = true;
        if (action->reply)
            delivery_ended_by(delivery, action->reply);
        return;
    }
}

/* Which message an event is about, for the case that this step is our last: what is offered or
 * was sent just now, else the one whose replies come next. */
static struct crash_work begin_work(
    const struct delivery *delivery, const struct smtp_client_event *event)
{
    bool is_of_last =
        event->type == SMTP_CLIENT_OFFER || event->type == SMTP_CLIENT_CONTENT_SENT;
    const struct list *sendings = &delivery->sendings;

    if (list_is_empty(sendings))
        return crash_work;
    return sending_begin(container_of(
        is_of_last ? sendings->prev : sendings->next, struct sending, in_delivery));
}

/* One event into the engine, and further steps while it has more actions than one list holds.
 */
static size_t run(struct delivery *delivery, const struct smtp_client_event *event)
{
    static const struct smtp_client_event nothing = { .type = SMTP_CLIENT_INPUT };
    struct crash_work before = begin_work(delivery, event);
    struct smtp_client_actions actions;
    size_t used = 0;

    delivery->depth++;
    delivery->had_more = false;
    do {
        size_t n =
            smtp_client_step(delivery->engine, event, &actions, conn_out(delivery->conn));
        used = event == &nothing ? used : n;
        for (unsigned i = 0; i < actions.count; i++)
            do_action(delivery, &actions.list[i]);
        event = &nothing;
        delivery->had_more |= actions.is_more;
    } while (actions.is_more);
    delivery->depth--;
    crash_end(before);
    return used;
}

/* The content that was asked for goes out after the step that asked for it is over. */
static void pump(struct delivery *delivery)
{
    while (delivery->asked && !delivery->is_closing) {
        struct sending *sending = delivery->asked;
        struct crash_work before = sending_begin(sending);
        sending_pump(sending);
        crash_end(before);
        if (delivery->asked == sending && !sending->is_all_out)
            return; /* waits for room, or for the disk */
        delivery->asked = NULL;
        run(delivery, &(struct smtp_client_event){ .type = SMTP_CLIENT_CONTENT_SENT });
    }
}

/* --- Serving ----------------------------------------------------------------------------- */

static void offer(struct delivery *delivery, struct sending *sending)
{
    delivery->active = loop_now(delivery->destination->deliver->loop);
    run(delivery,
        &(struct smtp_client_event){ .type = SMTP_CLIENT_OFFER, .message = &sending->offer });
}

static void not_ready(struct delivery *delivery)
{
    delivery->is_ready = false;
    list_remove(&delivery->in_ready);
    list_remove(&delivery->in_idle);
}

static bool may_serve(const struct delivery *delivery)
{
    return delivery->is_ready && !delivery->preparing && !delivery->is_closing &&
           !delivery->asked && !conn_out_is_high(delivery->conn);
}

/* The connector's limit, or the host's own (LIMITS RCPTMAX, RFC 9422). */
static uint32_t recipients_max(const struct delivery *delivery)
{
    uint32_t ours = delivery->connector->recipients_per_message;
    uint32_t theirs = smtp_client_peer(delivery->engine)->rcpt_max;

    if (ours && theirs)
        return ours < theirs ? ours : theirs;
    return ours ? ours : theirs;
}

/* The host lets us have fewer connections than there are: this is the one to go. */
static bool is_one_too_many(const struct delivery *delivery)
{
    const struct host_pace *pace = delivery->host->pace;

    return pace->pace.connections_max && pace->open_count > pace->pace.connections_max;
}

/* Takes one item, if the session would have one and there is one. */
static bool serve_one(struct delivery *delivery)
{
    struct destination *destination = delivery->destination;
    struct deliver *deliver = destination->deliver;
    struct crash_work before;
    struct sending *sending;
    struct item *item;

    if (!may_serve(delivery))
        return false;
    if (is_one_too_many(delivery))
        delivery->is_quitting = true;
    delivery_end_turn(delivery);
    if (delivery->is_quitting || destination->is_forgotten) {
        not_ready(delivery);
        delivery_uncount(delivery);
        run(delivery, &(struct smtp_client_event){ .type = SMTP_CLIENT_QUIT });
        return false;
    }
    if (!destination_has_turn(destination) || !host_has_turn(delivery->host))
        return false;
    item = deliver->take(deliver, destination->hop, recipients_max(delivery));
    if (!item) {
        deliver_spare(deliver);
        return false;
    }
    destination_took(destination, delivery->host);
    not_ready(delivery);
    delivery->offered++;
    before = crash_begin(item_message(item)->entry.by_mid.mid, "deliver");
    sending = sending_new(delivery, item);
    if (sending_is_prepared(sending)) {
        offer(delivery, sending);
    } else {
        delivery->preparing = sending;
        sending_prepare(sending);
    }
    crash_end(before);
    return true;
}

/* What goes out is of the message that came last, mostly. */
static void send_out(struct delivery *delivery)
{
    struct crash_work before = crash_work;

    if (!list_is_empty(&delivery->sendings))
        sending_begin(container_of(delivery->sendings.prev, struct sending, in_delivery));
    conn_send(delivery->conn);
    crash_end(before);
}

/* After every outermost step: content, further items, the output, the end.  The delivery may be
 * gone then. */
static void turn(struct delivery *delivery)
{
    if (delivery->depth)
        return;
    delivery->depth++;
    do
        pump(delivery);
    while (serve_one(delivery));
    delivery->depth--;
    if (!delivery->is_closing) {
        send_out(delivery);
        return;
    }
    if (delivery->preparing) { /* was never offered */
        struct sending *sending = delivery->preparing;
        delivery->preparing = NULL;
        delivery_returned(delivery, sending);
    }
    end(delivery);
}

void delivery_serve(struct delivery *delivery)
{
    turn(delivery);
}

void delivery_step(struct delivery *delivery, const struct smtp_client_event *event)
{
    delivery->active = loop_now(delivery->destination->deliver->loop);
    run(delivery, event);
    turn(delivery);
}

void delivery_pump(struct delivery *delivery)
{
    turn(delivery);
}

void delivery_prepared(struct delivery *delivery, struct sending *sending)
{
    assert(delivery->preparing == sending);
    delivery->preparing = NULL;
    if (sending->trouble != OK) { /* never sent in part */
        delivery_done(delivery, sending);
        on_ready(delivery);
    } else {
        offer(delivery, sending);
    }
    turn(delivery);
}

/* --- The connection ---------------------------------------------------------------------- */

void delivery_lose(struct delivery *delivery, struct verdict verdict)
{
    set_error(delivery, "", verdict.code, verdict.status, verdict.text);
    delivery->asked = NULL;
    run(delivery, &(struct smtp_client_event){ .type = SMTP_CLIENT_LOST, .verdict = &verdict });
    delivery->is_closing = true;
    turn(delivery);
}

static void on_connected(void *me, enum err err)
{
    struct delivery *delivery = me;

    if (err != OK) {
        delivery_lose(delivery, verdict_of(451, STATUS(4, 4, 1), "connect: %s", err_text(err)));
        return;
    }
    endpoint_format(conn_local(delivery->conn), delivery->protocol.local);
    report_protocol(&delivery->protocol, '+', BYTES_NONE);
    if (delivery->config.is_tls)
        delivery_start_tls(delivery);
    else
        delivery_step(delivery, &(struct smtp_client_event){ .type = SMTP_CLIENT_CONNECTED });
}

/* Replies are outstanding and nothing goes out that would carry the acknowledgement. */
static bool is_waiting_for_more(const struct delivery *delivery)
{
    return conn_out_is_empty(delivery->conn) &&
           smtp_client_waits(delivery->engine) != SMTP_CLIENT_WAITS_NOT;
}

static size_t on_input(void *me, struct bytes input)
{
    struct delivery *delivery = me;
    size_t used = 0;
    bool more;

    delivery->active = loop_now(delivery->destination->deliver->loop);
    while (used < input.n && !delivery->is_closing) {
        size_t n = run(delivery, &(struct smtp_client_event){ .type = SMTP_CLIENT_INPUT,
                                     .input = bytes_skip(input, used) });
        used += n;
        more = delivery->had_more;
        pump(delivery);
        if (n == 0 && !more)
            break; /* half a line */
    }
    if (delivery->is_closing)
        used = input.n;
    else if (is_waiting_for_more(delivery))
        conn_acknowledge(delivery->conn);
    turn(delivery);
    return used;
}

static void on_room(void *me)
{
    struct delivery *delivery = me;

    delivery->active = loop_now(delivery->destination->deliver->loop);
    turn(delivery);
}

static void on_tls(void *me, enum err err)
{
    struct delivery *delivery = me;

    if (err != OK) {
        delivery->is_tls_trouble =
            delivery->config.tls == SMTP_CLIENT_TLS_MAY && !delivery->config.is_tls;
        delivery_lose(delivery, delivery_tls_failure(delivery));
        return;
    }
    delivery_note_tls(delivery);
    delivery_login_choose(delivery);
    delivery_step(delivery, &(struct smtp_client_event){
                                .type = delivery->config.is_tls ? SMTP_CLIENT_CONNECTED
                                                                : SMTP_CLIENT_TLS_STARTED });
}

static void on_end(void *me, enum err err)
{
    delivery_lose(me, verdict_of(451, STATUS(4, 4, 2), "connection lost: %s",
                          err == OK ? "closed by the other side" : err_text(err)));
}

static const struct conn_handler handler = {
    .on_connected = on_connected,
    .on_input = on_input,
    .on_room = on_room,
    .on_tls = on_tls,
    .on_end = on_end,
};

/* --- Opening --------------------------------------------------------------------------------- */

void delivery_open(struct destination *destination, struct host *host, unsigned address_at)
{
    struct hop *hop = destination->hop;
    struct delivery *delivery;
    struct endpoint to;

    if (destination->is_forgotten || destination->deliver->is_stopping ||
        !deliver_claim(destination->deliver, hop, deliver_prospect(host))) {
        host->is_probed = false;
        return;
    }
    delivery = mem_new(sizeof *delivery);
    delivery->destination = destination;
    delivery->host = host;
    delivery->address_at = address_at;
    delivery->setup = setup_hold(hop->setup);
    delivery->connector = hop->connector;
    list_init(&delivery->sendings);
    list_init(&delivery->in_ready);
    list_init(&delivery->in_idle);
    delivery->prospect = deliver_prospect(host);
    destination->deliver->opening[delivery->prospect]++;
    list_init(&delivery->in_destination);
    list_add_last(&destination->deliveries, &delivery->in_destination);
    if (destination->connection_count++ == 0)
        destination->deliver->served_count++;
    delivery->is_probe = host->is_probed;
    if (delivery->is_probe)
        destination->probe_count++;
    else
        destination->opening_count++;
    delivery_count(delivery);
    host->delivery_count++;
    delivery->active = loop_now(destination->deliver->loop);
    configure(delivery);
    delivery->engine = smtp_client_new(&delivery->config);
    delivery->protocol.id = random_session_id();
    delivery->protocol.connector = delivery->connector->name;
    delivery_start_timer(delivery);
    to = endpoint_of(host, address_at);
    name_it(delivery, &to);
    delivery->opened = delivery->active;
    connectivity_begun(delivery);
    if (conn_connect(destination->deliver->loop, &to,
            delivery->connector->has_source_ip ? &delivery->connector->source_ip : NULL,
            &handler, delivery, &delivery->conn) != OK) {
        delivery->conn = NULL;
        set_error(delivery, "", 451, STATUS(4, 4, 1), "connect: no route or no socket");
        end(delivery);
    }
}

void delivery_quit(struct delivery *delivery)
{
    delivery->is_quitting = true;
    if (!delivery->is_up) {
        delivery_lose(delivery, verdict_of(451, STATUS(4, 3, 2), "given up"));
        return;
    }
    turn(delivery);
}

void delivery_break(struct delivery *delivery)
{
    delivery_lose(delivery, verdict_of(451, STATUS(4, 3, 2), "shutting down"));
}
