/* The hosts behind a next hop: who they are (smart hosts, MX), which of them answer, and which
 * is tried next (SC-4, SC-5; RFC 5321, 5.1). */
#include "flow/deliver/internal.h"

#include "base/mem.h"
#include "os/clock.h"
#include "policy/retry.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    ADDRESS_TTL_MS_MIN = 30000,
    ADDRESS_TTL_MS_MAX = 3600000,
    MX_MAX = 20,
    PROBE_AGAIN_MS = 1000
};

/* --- Making and ending ------------------------------------------------------------------- */

static void on_probe(struct timer *timer);

static struct host *add_host(struct destination *destination, const char *name, uint16_t port)
{
    struct host *host = mem_new(sizeof *host);

    host->destination = destination;
    host->name = mem_text(name);
    host->port = port;
    host->weight = 1;
    host->pace = host_pace_hold(destination->deliver, name, port);
    timer_init(&host->probe, destination->deliver->loop, on_probe);
    destination->hosts = mem_grow(
        destination->hosts, (destination->host_count + 1) * sizeof *destination->hosts);
    destination->hosts[destination->host_count++] = host;
    return host;
}

static void host_free(struct host *host)
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

static void add_smart_hosts(struct destination *destination)
{
    const struct send_connector *connector = destination->hop->connector;

    for (size_t i = 0; i < connector->host_count; i++) {
        const struct smart_host *from = &connector->hosts[i];
        struct host *host = add_host(destination, from->host, from->port);
        host->is_unix = from->is_unix;
        host->priority = from->priority;
        host->weight = from->weight ? from->weight : 1;
    }
    destination->lookup = LOOKUP_DONE;
}

/* The domain is "[host]:port". */
static void add_redirection_host(struct destination *destination)
{
    const char *name = destination->hop->domain + 1, *end = strrchr(name, ']');
    char host[256];

    assert(end && end[1] == ':');
    snprintf(host, sizeof host, "%.*s", (int)(end - name), name);
    add_host(destination, host, (uint16_t)strtoul(end + 2, NULL, 10));
    destination->lookup = LOOKUP_DONE;
}

/* The name whose MX says who the hosts are; NULL: the connector lists them. */
static const char *mx_domain(const struct hop *hop)
{
    const struct send_connector *connector = hop->connector;

    if (connector->delivery == DELIVERY_MX)
        return hop->domain;
    if (connector->host_count == 1 && connector->hosts[0].uses_mx)
        return connector->hosts[0].host;
    return NULL;
}

const char *destination_mx_domain(const struct destination *destination)
{
    return mx_domain(destination->hop);
}

enum send_tls destination_tls(const struct destination *destination, const struct host *host)
{
    const char *name = mx_domain(destination->hop);
    const struct tls_policy *policy;

    if (host->is_unix)
        return SEND_TLS_NONE;
    return send_tls_level(
        destination->hop->connector, bytes_text(name ? name : host->name), &policy);
}

struct destination *destination_get(struct deliver *deliver, struct hop *hop)
{
    struct destination *destination = hop->destination;

    if (destination)
        return destination;
    destination = mem_new(sizeof *destination);
    destination->deliver = deliver;
    destination->hop = hop;
    destination->mx_is_secure = true; /* until an MX lookup says something else */
    list_init(&destination->deliveries);
    list_init(&destination->ready);
    destination_init_turn(destination);
    list_add_last(&deliver->destinations, &destination->in_deliver);
    if (hop->connector->is_redirection)
        add_redirection_host(destination);
    else if (hop->connector->delivery != DELIVERY_MAILDIR && !mx_domain(hop))
        add_smart_hosts(destination);
    hop->destination = destination;
    return destination;
}

void destination_free_if_done(struct destination *destination)
{
    if (!destination->is_forgotten || destination->users || destination->connection_count ||
        destination->job_count)
        return;
    for (size_t i = 0; i < destination->host_count; i++)
        host_free(destination->hosts[i]);
    free(destination->hosts);
    timer_stop(&destination->turn);
    list_remove(&destination->in_deliver);
    free(destination);
}

void destination_forget(struct destination *destination)
{
    destination->hop->destination = NULL;
    destination->is_forgotten = true;
    timer_stop(&destination->turn);
    if (destination->query) {
        dns_cancel(destination->query);
        destination->query = NULL;
    }
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

/* --- Who the hosts are ------------------------------------------------------------------- */

static void pick_and_connect(struct destination *destination);

int64_t destination_ttl_ms(uint32_t ttl_s)
{
    int64_t ms = (int64_t)ttl_s * 1000;

    if (ms < ADDRESS_TTL_MS_MIN)
        return ADDRESS_TTL_MS_MIN;
    return ms > ADDRESS_TTL_MS_MAX ? ADDRESS_TTL_MS_MAX : ms;
}

static void forget_hosts(struct destination *destination)
{
    for (size_t i = 0; i < destination->host_count; i++)
        host_free(destination->hosts[i]);
    destination->host_count = 0;
}

/* The MX records above ourselves: with them or with us at their head, mail would come back
 * (5.1). */
static unsigned hosts_before_us(
    const struct destination *destination, const struct dns_result *mx)
{
    const char *fqdn = destination->hop->setup->settings->fqdn;

    for (unsigned i = 0; i < mx->host_count; i++) {
        if (bytes_equal_nocase(bytes_text(mx->hosts[i].name), bytes_text(fqdn))) {
            unsigned first = i;
            while (first && mx->hosts[first - 1].preference == mx->hosts[i].preference)
                first--;
            return first;
        }
    }
    return mx->host_count;
}

/* What DNS says of a recipient's domain is final.  A smart host's name is ours: a mistake in it
 * must not send the mail back. */
static void fail_hop(struct destination *destination, struct verdict verdict)
{
    char error[HOST_ERROR_BYTES];

    destination->lookup = LOOKUP_NEEDED;
    if (destination->hop->connector->delivery == DELIVERY_MX) {
        if (destination->hop->is_down) /* no other connector is to stand in for it any more */
            destination->deliver->hop_up(destination->deliver, destination->hop);
        deliver_fail_hop(destination->deliver, destination->hop, &verdict);
        return;
    }
    snprintf(error, sizeof error, "451 4.4.4 %s", verdict.text);
    hop_down(destination, error);
}

static void use_mx(struct destination *destination, const struct dns_result *mx)
{
    const struct send_connector *connector = destination->hop->connector;
    unsigned count = hosts_before_us(destination, mx);

    if (count == 0) {
        fail_hop(
            destination, verdict_of(554, STATUS(5, 4, 6), "Mail for %s loops back to myself",
                             mx_domain(destination->hop)));
        return;
    }
    for (unsigned i = 0; i < count && i < MX_MAX; i++) {
        struct host *host = add_host(destination, mx->hosts[i].name, connector->mx_port);
        host->priority = mx->hosts[i].preference;
    }
    destination->lookup = LOOKUP_DONE;
    pick_and_connect(destination);
}

static void on_mx(void *me, const struct dns_result *result)
{
    struct destination *destination = me;
    struct deliver *deliver = destination->deliver;
    const char *domain = mx_domain(destination->hop);
    char error[HOST_ERROR_BYTES];

    destination->query = NULL;
    destination->opening_count--;
    if (destination->connection_count) { /* to a host of the old list: it is good enough */
        destination->lookup = LOOKUP_DONE;
        return;
    }
    destination->lookup = LOOKUP_NEEDED;
    forget_hosts(destination);
    destination->expires.ms = loop_now(deliver->loop).ms + destination_ttl_ms(result->ttl_s);
    destination->mx_is_secure = result->is_secure;
    switch (result->answer) {
    case DNS_FOUND:
        if (result->is_null_mx) {
            fail_hop(destination, verdict_of(556, STATUS(5, 1, 10),
                                      "Domain %s accepts no mail (null MX)", domain));
            return;
        }
        use_mx(destination, result);
        return;
    case DNS_NO_DATA: /* the domain itself is the host: RFC 5321, 5.1 */
        add_host(destination, domain, destination->hop->connector->mx_port);
        destination->lookup = LOOKUP_DONE;
        pick_and_connect(destination);
        return;
    case DNS_NO_NAME:
        if (destination->hop->connector->delivery == DELIVERY_MX) {
            fail_hop(destination,
                verdict_of(550, STATUS(5, 1, 2), "Domain %s does not exist", domain));
            return;
        }
        break; /* a smart host of ours: a mistake to be mended, not the recipient's fault */
    case DNS_FAILED:
    case DNS_BOGUS:
        break;
    }
    snprintf(error, sizeof error, "451 4.4.3 MX lookup of %s failed: %s", domain, result->why);
    hop_down(destination, error);
}

/* "[192.0.2.1]" or "[IPv6:2001:db8::1]". */
static bool parse_literal(struct bytes text, struct ip *out)
{
    if (text.n < 3 || text.at[0] != '[' || text.at[text.n - 1] != ']')
        return false;
    text = bytes_first(bytes_skip(text, 1), text.n - 2);
    if (bytes_starts_nocase(text, BYTES("IPv6:")))
        text = bytes_skip(text, 5);
    return ip_parse(text, out);
}

static void look_up_hosts(struct destination *destination)
{
    struct ip literal;
    const char *domain = mx_domain(destination->hop);
    struct bytes text = bytes_text(domain);

    /* user@[192.0.2.1]: the address itself, no MX */
    if (parse_literal(text, &literal)) {
        char address[IP_TEXT_BYTES];
        ip_format(literal, address);
        add_host(destination, address, destination->hop->connector->mx_port);
        destination->lookup = LOOKUP_DONE;
        pick_and_connect(destination);
        return;
    }
    destination->lookup = LOOKUP_RUNNING;
    destination->opening_count++;
    destination->query = dns_mx(destination->deliver->dns, domain, on_mx, destination);
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

/* The addresses are known. */
static void open_host(struct host *host)
{
    enum send_tls level;

    if (host->destination->is_forgotten)
        return;
    level = destination_tls(host->destination, host);
    if (level == SEND_TLS_DANE || level == SEND_TLS_DANE_ONLY)
        dane_connect(host);
    else
        delivery_open(host->destination, host, 0);
}

static void on_addresses(void *me, const struct dns_result *result)
{
    struct host *host = me;
    struct destination *destination = host->destination;
    char error[HOST_ERROR_BYTES];

    host->query = NULL;
    host_end_asking(host);
    host->expires.ms =
        loop_now(destination->deliver->loop).ms + destination_ttl_ms(result->ttl_s);
    host->address_count =
        result->address_count < HOST_ADDRESSES_MAX ? result->address_count : HOST_ADDRESSES_MAX;
    memcpy(host->addresses, result->addresses, host->address_count * sizeof *host->addresses);
    host->is_secure = result->is_secure;
    memcpy(host->dane.canonical, result->canonical, sizeof host->dane.canonical);
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

static void connect_host(struct destination *destination, struct host *host)
{
    struct loop *loop = destination->deliver->loop;

    host->was_tried = true;
    if (host->is_unix) {
        delivery_open(destination, host, 0);
        return;
    }
    if (host->address_count == 0 && ip_parse(bytes_text(host->name), &host->addresses[0])) {
        host->address_count = 1;
        host->expires.ms = INT64_MAX;
    }
    if (host->address_count && loop_now(loop).ms < host->expires.ms) {
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
    return !host->was_tried && !host->is_probed && (!host->is_down || down_too) &&
           host_may_connect(host);
}

/* Among the hosts that may be tried, those of the lowest priority; of them one by weight. */
static struct host *pick(const struct destination *destination, bool down_too)
{
    uint32_t best = UINT32_MAX, random;
    uint64_t weights = 0, at;

    for (size_t i = 0; i < destination->host_count; i++) {
        const struct host *host = destination->hosts[i];
        if (host->priority > best || !is_candidate(host, down_too))
            continue;
        if (host->priority < best)
            weights = 0;
        best = host->priority;
        weights += host->weight;
    }
    if (weights == 0)
        return NULL;
    random_fill(&random, sizeof random);
    at = random % weights;
    for (size_t i = 0; i < destination->host_count; i++) {
        struct host *host = destination->hosts[i];
        if (host->priority != best || !is_candidate(host, down_too))
            continue;
        if (at < host->weight)
            return host;
        at -= host->weight;
    }
    return NULL;
}

bool destination_any_up(const struct destination *destination)
{
    for (size_t i = 0; i < destination->host_count; i++) {
        if (!destination->hosts[i]->is_down)
            return true;
    }
    return false;
}

static const char *last_error(const struct destination *destination)
{
    const char *error = "451 4.4.1 no host";

    for (size_t i = 0; i < destination->host_count; i++) {
        if (destination->hosts[i]->error[0])
            error = destination->hosts[i]->error;
    }
    return error;
}

/* The next host of this round; none left: the hop is down until its retry plan says more. */
static void pick_and_connect(struct destination *destination)
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
        pick(destination, !destination_any_up(destination)))
        return true;
    return hop->connector->failover && !hop->is_down &&
           destination->connection_count == destination->probe_count + 1;
}

void destination_open(struct destination *destination)
{
    struct loop *loop = destination->deliver->loop;

    begin_round(destination);
    if (destination->lookup == LOOKUP_RUNNING)
        return;
    if (destination->lookup == LOOKUP_NEEDED ||
        (destination->expires.ms && loop_now(loop).ms >= destination->expires.ms &&
            destination->connection_count == 0)) {
        look_up_hosts(destination);
        return;
    }
    pick_and_connect(destination);
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
    if (destination->opening_count == 0 && !host->is_probed && !host->query &&
        (destination_live_count(destination) || destination_any_up(destination))) {
        host->is_probed = true;
        connect_host(destination, host);
    }
}

void destination_host_failed(struct host *host, const char *error)
{
    struct destination *destination = host->destination;
    const struct send_connector *connector;
    uint32_t random;

    if (destination->is_forgotten)
        return;
    connector = destination->hop->connector;
    if (!host->is_down) {
        report(REPORT_HOST_DOWN, R_CHARS("queue", destination->hop->name),
            R_CHARS("host", host->name), R_CHARS("error", error));
        connectivity_remark(destination->hop, host->name, error);
    }
    host->is_down = true;
    host->is_answering = host->is_late = false;
    host->failure_count++;
    snprintf(host->error, sizeof host->error, "%s", error);
    random_fill(&random, sizeof random);
    timer_start(&host->probe, retry_hop_ms(connector, host->failure_count, random));
    if (!host->is_probed)
        pick_and_connect(destination);
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
    if (!was_up && !host->is_unix && address_at + 1 < host->address_count) {
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
