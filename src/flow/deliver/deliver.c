#include "flow/deliver/internal.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

/* A further connection only for a backlog: few connections, reused, are faster than many. */
enum { BACKLOG_PER_CONNECTION = 4, FAIL_STEP = 200 };

/* --- Wants -------------------------------------------------------------------------------- */

/* Served in the loop's next step, never inside the call: what asks is often in the middle of a
 * message, an item or a connection that a delivery could bring to its end. */
void deliver_want(struct deliver *deliver, struct hop *hop)
{
    if (list_is_linked(&hop->in_wanted) || deliver->is_stopping)
        return;
    list_add_last(&deliver->wanted, &hop->in_wanted);
    loop_step_ask(deliver->loop, &deliver->step);
}

static bool wants_more(const struct destination *destination)
{
    const struct hop *hop = destination->hop;
    unsigned live = destination_live_count(destination);

    if (hop->ready_count == 0 || destination->opening_count)
        return false;
    if (live == 0)
        return true;
    /* A host that lets no more of us in is asked again by the circuit breaker alone. */
    return destination_any_up(destination) &&
           destination->connection_count - destination->probe_count <
               hop->connector->connections_max &&
           hop->ready_count > BACKLOG_PER_CONNECTION * live;
}

/* Gives what is ready to the connections that would have it. */
static void serve_ready(struct destination *destination)
{
    list_each (node, &destination->ready) {
        if (destination->hop->ready_count == 0)
            return;
        delivery_serve(container_of(node, struct delivery, in_ready)); /* ends itself at most */
    }
}

static void serve(struct deliver *deliver, struct hop *hop)
{
    struct destination *destination;

    if (hop->ready_count == 0 || !hop_may_go(hop))
        return;
    destination = destination_get(deliver, hop);
    if (!destination_has_turn(destination))
        return;
    if (hop->connector->delivery == DELIVERY_MAILDIR) {
        maildir_want(destination);
        return;
    }
    serve_ready(destination);
    if (wants_more(destination))
        destination_open(destination);
}

static void probe(struct deliver *deliver, struct hop *hop)
{
    struct destination *destination;

    if (hop->is_suspended || !hop->connector)
        return;
    destination = destination_get(deliver, hop);
    if (destination->connection_count == 0 && destination->opening_count == 0)
        destination_open(destination);
}

void deliver_probe(struct deliver *deliver, struct hop *hop)
{
    hop->wants_probe = true;
    deliver_want(deliver, hop);
}

/* A hop whose turn came may have nothing ready any more: then it is the next one's. */
static void serve_in_turn(struct deliver *deliver)
{
    struct hop *hop;

    while ((hop = deliver_next_in_turn(deliver)))
        serve(deliver, hop);
}

/* Those that are wanted until now; whom a full node could not serve waits for its turn. */
static void on_step(struct loop_step *step)
{
    struct deliver *deliver = container_of(step, struct deliver, step);
    struct list *node;

    serve_in_turn(deliver);
    while ((node = list_first(&deliver->wanted))) {
        list_remove(node);
        list_add_last(&deliver->serving, node);
    }
    while ((node = list_first(&deliver->serving))) {
        struct hop *hop = container_of(node, struct hop, in_wanted);
        list_remove(node);
        if (deliver->is_stopping)
            continue;
        if (hop->wants_probe)
            probe(deliver, hop);
        hop->wants_probe = false;
        serve(deliver, hop);
    }
    deliver_end_idle(deliver);
}

void deliver_init(
    struct deliver *deliver, struct loop *loop, struct spool *spool, struct dns *dns)
{
    deliver->loop = loop;
    deliver->spool = spool;
    deliver->dns = dns;
    list_init(&deliver->wanted);
    list_init(&deliver->serving);
    list_init(&deliver->idle);
    list_init(&deliver->in_turn_again);
    for (unsigned i = 0; i < PROSPECT_COUNT; i++)
        list_init(&deliver->in_turn[i]);
    list_init(&deliver->destinations);
    table_init(&deliver->paces);
    loop_step_init(&deliver->step, on_step);
}

void deliver_done(struct deliver *deliver)
{
    loop_step_cancel(&deliver->step);
    host_paces_end(deliver);
    own_addresses_done(&deliver->own_addresses);
}

static void each_delivery(struct deliver *deliver, void (*end)(struct delivery *delivery))
{
    list_each (d, &deliver->destinations) {
        struct destination *destination = container_of(d, struct destination, in_deliver);
        destination->users++; /* it may lose its last connection meanwhile */
        list_each (node, &destination->deliveries)
            end(container_of(node, struct delivery, in_destination));
        destination->users--;
        destination_free_if_done(destination);
    }
}

void deliver_stop(struct deliver *deliver)
{
    deliver->is_stopping = true;
    each_delivery(deliver, delivery_quit);
}

void deliver_break(struct deliver *deliver)
{
    deliver->is_stopping = true;
    each_delivery(deliver, delivery_break);
}

struct result deliver_unreadable(uint32_t recipient, enum err err)
{
    struct result result = { .recipient = recipient, .fate = FATE_DEFERRED, .is_own = true };

    if (err == ERR_CORRUPT) {
        result.fate = FATE_FAILED;
        result.verdict = verdict_of(554, STATUS(5, 3, 0), "Message is damaged in the spool");
    } else {
        result.verdict = verdict_of(
            451, STATUS(4, 3, 0), "Message cannot be read from the spool: %s", err_text(err));
    }
    return result;
}

void deliver_fail_hop(struct deliver *deliver, struct hop *hop, const struct verdict *verdict)
{
    struct item *item = NULL;

    for (int n = 0; n < FAIL_STEP && (item = deliver->take(deliver, hop, 0)); n++) {
        uint32_t count = item->recipient_count;
        struct result *results = mem_new(count * sizeof *results);
        for (uint32_t i = 0; i < count; i++)
            results[i] = (struct result){
                .recipient = item_recipient(item, i), .fate = FATE_FAILED, .verdict = *verdict
            };
        deliver->finished(deliver, item, results, &(struct attempt){ .host = "" });
        free(results);
    }
    if (item)
        deliver_want(deliver, hop); /* the others soon: each makes a notification */
}

void deliver_forget(struct hop *hop)
{
    if (hop->destination)
        destination_forget(hop->destination);
}

uint32_t deliver_connection_count(const struct hop *hop)
{
    return hop->destination ? hop->destination->connection_count + hop->destination->job_count
                            : 0;
}

bool deliver_has_session(const struct hop *hop)
{
    if (!hop->destination)
        return false;
    list_each (node, &hop->destination->deliveries) {
        if (container_of(node, struct delivery, in_destination)->is_up)
            return true;
    }
    return hop->destination->job_count > 0;
}

static const char *host_state(const struct host *host)
{
    if (host->is_down)
        return "down";
    if (pace_is_slow(&host->pace->pace))
        return "slow";
    return host->is_answering ? "up" : "unknown";
}

static void view_host(const struct host *host, int64_t now, struct host_view *out)
{
    const struct pace *pace = &host->pace->pace;

    *out = (struct host_view){
        .name = host->name,
        .error = host->error[0] ? host->error : host->pace->why,
        .port = host->is_unix ? 0 : host->port,
        .state = host_state(host),
        .connections = host->connection_count,
        .per_minute = pace_measured(pace, now),
        .connections_max = pace->connections_max,
        .per_minute_max = pace->per_minute_max,
        .hold_ms = pace->hold_ms > now ? pace->hold_ms - now : 0,
    };
    if (host->address_count)
        ip_format(host->addresses[0], out->address);
}

/* A name that gives no hosts stands for those it should. */
static void view_name(const struct mx_name *mx, struct host_view *out)
{
    *out = (struct host_view){
        .name = mx->name, .error = mx->error, .port = mx->port, .state = "down"
    };
}

void deliver_each_host(
    const struct hop *hop, void (*visit)(void *me, const struct host_view *view), void *me)
{
    const struct destination *destination = hop->destination;
    struct host_view view;

    if (!destination)
        return;
    for (size_t i = 0; i < destination->host_count; i++) {
        if (destination->hosts[i]->is_gone && destination->hosts[i]->delivery_count == 0)
            continue;
        view_host(destination->hosts[i], loop_now(destination->deliver->loop).ms, &view);
        visit(me, &view);
    }
    for (size_t i = 0; i < destination->mx_count; i++) {
        const struct mx_name *mx = &destination->mx_names[i];
        if (!mx->has_failed || lookup_has_hosts(mx) || hop->connector->delivery == DELIVERY_MX)
            continue;
        view_name(mx, &view);
        visit(me, &view);
    }
}
