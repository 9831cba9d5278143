#include "flow/deliver/internal.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

/* A further connection only for a backlog: few connections, reused, are faster than many. */
enum { BACKLOG_PER_CONNECTION = 4 };

void deliver_init(
    struct deliver *deliver, struct loop *loop, struct spool *spool, struct dns *dns)
{
    deliver->loop = loop;
    deliver->spool = spool;
    deliver->dns = dns;
    list_init(&deliver->in_turn);
    list_init(&deliver->destinations);
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

bool deliver_claim(struct deliver *deliver, struct hop *hop)
{
    if (deliver->connection_count < deliver->connections_max) {
        deliver->connection_count++;
        return true;
    }
    if (!list_is_linked(&hop->in_turn))
        list_add_last(&deliver->in_turn, &hop->in_turn);
    return false;
}

void deliver_release(struct deliver *deliver)
{
    struct list *node;

    assert(deliver->connection_count > 0);
    deliver->connection_count--;
    node = list_first(&deliver->in_turn);
    if (node) {
        struct hop *hop = container_of(node, struct hop, in_turn);
        list_remove(node);
        deliver_want(deliver, hop);
    }
}

static bool wants_more(const struct destination *destination)
{
    const struct hop *hop = destination->hop;

    if (hop->ready_count == 0 || destination->opening_count)
        return false;
    if (destination->connection_count == 0)
        return true;
    return destination->connection_count < hop->connector->connections_max &&
           hop->ready_count > BACKLOG_PER_CONNECTION * destination->connection_count;
}

/* Gives what is ready to the connections that would have it. */
static void serve_ready(struct destination *destination)
{
    struct list *before = NULL, *node;

    while (
        destination->hop->ready_count && (node = list_first(&destination->ready)) != before) {
        before = node; /* still the first afterwards: it takes none just now */
        delivery_serve(container_of(node, struct delivery, in_ready));
    }
}

void deliver_want(struct deliver *deliver, struct hop *hop)
{
    struct destination *destination;

    if (!hop->connector || hop->ready_count == 0 || deliver->is_stopping)
        return;
    destination = destination_get(deliver, hop);
    if (hop->connector->delivery == DELIVERY_MAILDIR) {
        maildir_want(destination);
        return;
    }
    serve_ready(destination);
    if (wants_more(destination))
        destination_open(destination);
}

void deliver_fail_hop(struct deliver *deliver, struct hop *hop, const struct verdict *verdict)
{
    struct item *item;

    while ((item = deliver->take(deliver, hop, 0))) {
        uint32_t count = item->recipient_count;
        struct result *results = mem_new(count * sizeof *results);
        for (uint32_t i = 0; i < count; i++)
            results[i] = (struct result){
                .recipient = item_recipient(item, i), .fate = FATE_FAILED, .verdict = *verdict
            };
        deliver->finished(deliver, item, results, "");
        free(results);
    }
}

void deliver_reset(struct deliver *deliver, struct hop *hop)
{
    (void)deliver;
    if (!hop->destination)
        return;
    deliver_forget(deliver, hop);
}

void deliver_forget(struct deliver *deliver, struct hop *hop)
{
    struct destination *destination = hop->destination;

    (void)deliver;
    if (!destination)
        return;
    hop->destination = NULL;
    destination->is_forgotten = true;
    destination->users++;
    list_each (node, &destination->deliveries)
        delivery_quit(container_of(node, struct delivery, in_destination));
    destination->users--;
    destination_free_if_done(destination);
}

uint32_t deliver_connection_count(const struct hop *hop)
{
    return hop->destination ? hop->destination->connection_count + hop->destination->job_count
                            : 0;
}

static const char *host_state(const struct host *host)
{
    if (host->is_down)
        return "down";
    return host->is_answering ? "up" : "unknown";
}

void deliver_each_host(const struct hop *hop,
    void (*visit)(
        void *me, const char *name, const char *address, const char *state, const char *error),
    void *me)
{
    if (!hop->destination)
        return;
    for (size_t i = 0; i < hop->destination->host_count; i++) {
        const struct host *host = hop->destination->hosts[i];
        char address[IP_TEXT_BYTES] = "";
        if (host->address_count)
            ip_format(host->addresses[0], address);
        visit(me, host->name, address, host_state(host), host->error);
    }
}
