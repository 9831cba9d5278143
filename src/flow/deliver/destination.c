/* The hosts behind a next hop: who they are (smart hosts, MX), which of them answer, and which
 * is tried next (SC-4, SC-5; RFC 5321, 5.1). */
#include "flow/deliver/internal.h"

#include "base/mem.h"
#include "os/clock.h"
#include "policy/retry.h"
#include "policy/self.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { PROBE_AGAIN_MS = 1000 };

/* --- Making and ending ------------------------------------------------------------------- */

static void on_probe(struct timer *timer);

struct host *host_new(struct destination *destination, const char *name, uint16_t port,
    const struct host_place *place)
{
    struct host *host = mem_new(sizeof *host);

    host->destination = destination;
    host->name = mem_text(name);
    host->port = port;
    host->place = *place;
    host->pace = host_pace_hold(destination->deliver, name, port);
    timer_init(&host->probe, destination->deliver->loop, on_probe);
    destination->hosts = mem_grow(
        destination->hosts, (destination->host_count + 1) * sizeof *destination->hosts);
    destination->hosts[destination->host_count++] = host;
    return host;
}

void host_free(struct host *host)
{
    if (host->query) {
        dns_cancel(host->query);
        host_end_asking(host);
    }
    host_pace_let_go(host->pace);
    timer_stop(&host->probe);
    dane_done(host);
    free(host->name);
    free(host);
}

const char *host_domain(const struct host *host)
{
    const struct hop *hop = host->destination->hop;

    if (hop->connector->delivery == DELIVERY_MX)
        return hop->domain;
    return host->mx ? host->mx->name : host->name;
}

enum send_tls destination_tls(const struct destination *destination, const struct host *host)
{
    const struct tls_policy *policy;

    if (host->is_unix)
        return SEND_TLS_NONE;
    return send_tls_level(destination->hop->connector, bytes_text(host_domain(host)), &policy);
}

struct destination *destination_get(struct deliver *deliver, struct hop *hop)
{
    struct destination *destination = hop->destination;

    if (destination)
        return destination;
    destination = mem_new(sizeof *destination);
    destination->deliver = deliver;
    destination->hop = hop;
    list_init(&destination->deliveries);
    list_init(&destination->ready);
    destination_init_turn(destination);
    list_add_last(&deliver->destinations, &destination->in_deliver);
    lookup_init(destination);
    hop->destination = destination;
    return destination;
}

void destination_free_if_done(struct destination *destination)
{
    if (!destination->is_forgotten || destination->users || destination->connection_count ||
        destination->job_count)
        return;
    lookup_done(destination);
    timer_stop(&destination->turn);
    list_remove(&destination->in_deliver);
    free(destination);
}

void destination_forget(struct destination *destination)
{
    destination->hop->destination = NULL;
    destination->is_forgotten = true;
    timer_stop(&destination->turn);
    lookup_stop(destination);
    destination->users++;
    list_each (node, &destination->deliveries)
        delivery_quit(container_of(node, struct delivery, in_destination));
    destination->users--;
    destination_free_if_done(destination);
}

/* --- Whole next hop ---------------------------------------------------------------------- */

static void hop_down(struct destination *destination, const char *error)
{
    struct deliver *deliver = destination->deliver;

    if (destination->is_forgotten)
        return;
    if (!destination->hop->is_down)
        connectivity_remark(destination->hop, "", error);
    deliver->hop_down(deliver, destination->hop, error);
}

/* --- A host's addresses ------------------------------------------------------------------ */

void host_begin_asking(struct host *host)
{
    host->is_query_counted = !host->is_probed;
    host->destination->opening_count += host->is_query_counted;
}

void host_end_asking(struct host *host)
{
    host->destination->opening_count -= host->is_query_counted;
}

/* The addresses are known, and none of them is ours. */
static void open_host(struct host *host)
{
    enum send_tls level = destination_tls(host->destination, host);

    lookup_found_other(host);
    if (level == SEND_TLS_DANE || level == SEND_TLS_DANE_ONLY)
        dane_connect(host);
    else
        delivery_open(host->destination, host, 0);
}

static bool is_ours(const struct host *host, struct ip address)
{
    struct deliver *deliver = host->destination->deliver;
    const struct settings *settings = host->destination->hop->setup->settings;
    enum self self = self_at(settings, address, host->port);

    return self == SELF_SURELY ||
           (self == SELF_IF_LOCAL &&
               own_addresses_have(&deliver->own_addresses, address, loop_now(deliver->loop)));
}

/* An address may become ours while it is known: it moves here, or a reload binds it. */
static bool leads_to_us(const struct host *host)
{
    for (unsigned i = 0; i < host->address_count; i++) {
        if (is_ours(host, host->addresses[i]))
            return true;
    }
    return false;
}

/* Those that are not ours.  False: there are some, and the host is this node itself; of an MX a
 * single address of ours says so (RFC 5321, 5.1). */
static bool keep_addresses(struct host *host, const struct dns_result *result)
{
    bool has_ours = false;

    host->address_count = 0;
    for (unsigned i = 0; i < result->address_count; i++) {
        if (is_ours(host, result->addresses[i]))
            has_ours = true;
        else if (host->address_count < HOST_ADDRESSES_MAX)
            host->addresses[host->address_count++] = result->addresses[i];
    }
    if (has_ours && host->mx)
        host->address_count = 0;
    return host->address_count || !has_ours;
}

static void on_addresses(void *me, const struct dns_result *result)
{
    struct host *host = me;
    struct destination *destination = host->destination;
    char error[HOST_ERROR_BYTES];

    host->query = NULL;
    host_end_asking(host);
    if (destination->is_forgotten)
        return;
    host->expires.ms =
        loop_now(destination->deliver->loop).ms + destination_ttl_ms(result->ttl_s);
    host->is_secure = result->is_secure;
    memcpy(host->dane.canonical, result->canonical, sizeof host->dane.canonical);
    if (!keep_addresses(host, result)) {
        lookup_found_us(host);
        return;
    }
    if (host->address_count) {
        open_host(host);
        return;
    }
    snprintf(error, sizeof error, "451 4.4.3 no address of %s: %s", host->name,
        result->answer == DNS_NO_NAME ? "no such name"
        : result->answer == DNS_FOUND ? "none usable"
                                      : result->why);
    destination_host_failed(host, error);
}

/* Whom DNS's answer finds to be ourselves is not connected to; so who has become that is asked
 * about anew. */
static void connect_host(struct destination *destination, struct host *host)
{
    struct loop *loop = destination->deliver->loop;

    host->was_tried = true;
    if (destination->is_forgotten)
        return;
    if (host->is_unix) {
        delivery_open(destination, host, 0);
        return;
    }
    if (host->address_count && loop_now(loop).ms < host->expires.ms && !leads_to_us(host)) {
        open_host(host);
        return;
    }
    if (host->query)
        return;
    host_begin_asking(host);
    host->query = dns_addresses(destination->deliver->dns, host->name, on_addresses, host);
}

/* --- Choice ------------------------------------------------------------------------------ */

static bool is_candidate(const struct host *host, bool down_too)
{
    return !host->was_tried && !host->is_gone && !host->is_probed &&
           (!host->is_down || down_too) && host_may_connect(host);
}

static bool has_candidate(const struct destination *destination, bool down_too)
{
    for (size_t i = 0; i < destination->host_count; i++) {
        if (is_candidate(destination->hosts[i], down_too))
            return true;
    }
    return false;
}

/* One of the hosts that may be tried; NULL: there is none. */
static struct host *pick(const struct destination *destination, bool down_too)
{
    size_t room = destination->host_count + 1, count = 0;
    const struct host_place **places = mem_new(room * sizeof *places);
    struct host **hosts = mem_new(room * sizeof *hosts), *host = NULL;
    uint64_t random;

    for (size_t i = 0; i < destination->host_count; i++) {
        if (!is_candidate(destination->hosts[i], down_too))
            continue;
        hosts[count] = destination->hosts[i];
        places[count++] = &destination->hosts[i]->place;
    }
    if (count) {
        random_fill(&random, sizeof random);
        host = hosts[host_choose(places, count, random)];
    }
    free(places);
    free(hosts);
    return host;
}

bool destination_any_up(const struct destination *destination)
{
    for (size_t i = 0; i < destination->host_count; i++) {
        if (!destination->hosts[i]->is_down && !destination->hosts[i]->is_gone)
            return true;
    }
    return false;
}

static const char *last_error(const struct destination *destination)
{
    const char *error = "451 4.4.1 no host";

    for (size_t i = 0; i < destination->mx_count; i++) {
        if (destination->mx_names[i].has_failed)
            error = destination->mx_names[i].error;
    }
    for (size_t i = 0; i < destination->host_count; i++) {
        if (destination->hosts[i]->error[0] && !destination->hosts[i]->is_gone)
            error = destination->hosts[i]->error;
    }
    return error;
}

void destination_try_next(struct destination *destination)
{
    struct host *host = pick(destination, !destination_any_up(destination));

    if (destination->deliver->is_stopping)
        return;
    if (host)
        connect_host(destination, host);
    else if (destination->connection_count == destination->probe_count &&
             destination->opening_count == 0 && !destination_is_held_up(destination))
        hop_down(destination, last_error(destination));
}

static void begin_round(struct destination *destination)
{
    for (size_t i = 0; i < destination->host_count; i++)
        destination->hosts[i]->was_tried = false;
}

bool destination_has_other(
    struct destination *destination, const struct host *host, unsigned address_at)
{
    const struct hop *hop = destination->hop;

    if (destination->is_forgotten)
        return false;
    if (address_at + 1 < host->address_count ||
        has_candidate(destination, !destination_any_up(destination)))
        return true;
    return hop->connector->failover && !hop->is_down &&
           destination->connection_count == destination->probe_count + 1;
}

void destination_open(struct destination *destination)
{
    lookup_drop_gone(destination);
    begin_round(destination);
    lookup_refresh(destination);
    if (!lookup_is_awaited(destination))
        destination_try_next(destination);
}

/* --- The circuit breaker ----------------------------------------------------------------- */

/* A dead host is probed in the background while others carry the mail: a session with nothing
 * to send.  (When all are dead the retry plan of the hop does it.) */
static void on_probe(struct timer *timer)
{
    struct host *host = container_of(timer, struct host, probe);
    struct destination *destination = host->destination;

    if (destination->is_forgotten || destination->deliver->is_stopping || !host->is_down)
        return;
    timer_start(timer, PROBE_AGAIN_MS); /* an attempt is under way, or none can be made now */
    if (destination->opening_count == 0 && !host->is_gone && !host->is_probed && !host->query &&
        (destination_live_count(destination) || destination_any_up(destination))) {
        host->is_probed = true;
        connect_host(destination, host);
    }
}

static void note_failure(struct host *host, const char *error)
{
    const struct hop *hop = host->destination->hop;
    uint32_t random;

    if (!host->is_down) {
        report(REPORT_HOST_DOWN, R_CHARS("queue", hop->name), R_CHARS("host", host->name),
            R_CHARS("error", error));
        connectivity_remark(hop, host->name, error);
    }
    host->is_down = true;
    host->is_answering = host->is_late = false;
    host->failure_count++;
    snprintf(host->error, sizeof host->error, "%s", error);
    random_fill(&random, sizeof random);
    timer_start(&host->probe, retry_hop_ms(hop->connector, host->failure_count, random));
}

void destination_host_failed(struct host *host, const char *error)
{
    struct destination *destination = host->destination;

    if (destination->is_forgotten)
        return;
    if (!host->is_gone)
        note_failure(host, error);
    if (!host->is_probed)
        destination_try_next(destination);
    else if (destination->hop->ready_count) /* it waited for the end of the probe */
        deliver_want(destination->deliver, destination->hop);
    host->is_probed = false;
}

void destination_attempt_failed(struct destination *destination, struct host *host,
    unsigned address_at, bool was_up, const char *error)
{
    if (destination->is_forgotten)
        return;
    if (was_up) { /* its round is long over: another one, of the other hosts */
        begin_round(destination);
        host->was_tried = true;
    }
    if (!was_up && !host->is_unix && !host->is_gone && address_at + 1 < host->address_count &&
        !leads_to_us(host)) {
        snprintf(host->error, sizeof host->error, "%s", error);
        delivery_open(destination, host, address_at + 1); /* v6, then v4, at once (SM-8) */
        return;
    }
    destination_host_failed(host, error);
}

void destination_host_up(struct destination *destination, struct host *host)
{
    struct deliver *deliver = destination->deliver;

    if (destination->is_forgotten)
        return;
    if (host->is_down) {
        report(REPORT_HOST_UP, R_CHARS("queue", destination->hop->name),
            R_CHARS("host", host->name));
        connectivity_remark(destination->hop, host->name, "");
    }
    host->is_down = false;
    host->is_probed = false;
    host->is_answering = true;
    host->failure_count = 0;
    host->error[0] = 0;
    timer_stop(&host->probe);
    deliver->hop_up(deliver, destination->hop);
    deliver_want(deliver, destination->hop); /* a backlog may want more than this one */
}
