/* Who the hosts behind a next hop are (SC-1, SC-5; RFC 5321, 5.1): those that the connector lists,
 * and those of MX records, which are read again when they have expired.
 *
 * 1. One question of a name is under way at a time.  Mail waits for the answer only when nothing
 *    is connected anyway; while it flows the old hosts serve.
 * 2. An answer is merged by name: what is known of a host stays, its preference may change.
 * 3. A host that is not in it any more gets no further connection; those it has quit after their
 *    present mail, and it is freed when nobody has it in hand: at the next answer or opening.
 * 4. When a name cannot be looked up its hosts serve on as long as one of them is connected. */
#include "flow/deliver/internal.h"

#include "base/mem.h"
#include "policy/self.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { TTL_MS_MIN = 5000, TTL_MS_MAX = 3600000, MX_MAX = 20 };

int64_t destination_ttl_ms(uint32_t ttl_s)
{
    int64_t ms = (int64_t)ttl_s * 1000;

    if (ms < TTL_MS_MIN)
        return TTL_MS_MIN;
    return ms > TTL_MS_MAX ? TTL_MS_MAX : ms;
}

/* What DNS says of a recipient's domain is final.  A smart host's name is ours: a mistake in it
 * must not send the mail back. */
static bool is_final(const struct destination *destination)
{
    return destination->hop->connector->delivery == DELIVERY_MX;
}

/* --- As configured ----------------------------------------------------------------------- */

static void add_name(struct destination *destination, const char *name, uint16_t port,
    const struct host_place *place)
{
    struct mx_name *mx = &destination->mx_names[destination->mx_count++];

    mx->destination = destination;
    mx->name = mem_text(name);
    mx->port = port;
    mx->place = *place;
    destination->expires.ms = 0;
}

static void add_smart_hosts(struct destination *destination)
{
    const struct send_connector *connector = destination->hop->connector;

    for (size_t i = 0; i < connector->host_count; i++) {
        const struct smart_host *from = &connector->hosts[i];
        struct host_place place = { .priority = from->priority,
            .weight = from->weight ? from->weight : 1,
            .entry = (uint32_t)i };
        if (from->uses_mx)
            add_name(destination, from->host, from->port, &place);
        else
            host_new(destination, from->host, from->port, &place)->is_unix = from->is_unix;
    }
}

/* The domain is "[host]:port". */
static void add_redirection_host(struct destination *destination)
{
    const char *name = destination->hop->domain + 1, *end = strrchr(name, ']');
    char host[256];

    assert(end && end[1] == ':');
    snprintf(host, sizeof host, "%.*s", (int)(end - name), name);
    host_new(destination, host, (uint16_t)strtoul(end + 2, NULL, 10),
        &(struct host_place){ .weight = 1 });
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

static void add_domain(struct destination *destination)
{
    const struct hop *hop = destination->hop;
    struct host_place place = { .weight = 1 };
    char address[IP_TEXT_BYTES];
    struct ip literal;

    if (!parse_literal(bytes_text(hop->domain), &literal)) {
        add_name(destination, hop->domain, hop->connector->mx_port, &place);
        return;
    }
    ip_format(literal, address); /* user@[192.0.2.1]: the address itself, no MX */
    host_new(destination, address, hop->connector->mx_port, &place);
}

void lookup_init(struct destination *destination)
{
    const struct send_connector *connector = destination->hop->connector;

    destination->expires.ms = INT64_MAX;
    destination->mx_names =
        mem_new((connector->host_count + 1) * sizeof *destination->mx_names);
    if (connector->is_redirection)
        add_redirection_host(destination);
    else if (connector->delivery == DELIVERY_MX)
        add_domain(destination);
    else if (connector->delivery != DELIVERY_MAILDIR)
        add_smart_hosts(destination);
}

static void end_question(struct mx_name *mx)
{
    mx->query = NULL;
    mx->destination->opening_count -= mx->is_awaited;
    mx->is_awaited = false;
}

void lookup_stop(struct destination *destination)
{
    for (size_t i = 0; i < destination->mx_count; i++) {
        struct mx_name *mx = &destination->mx_names[i];
        if (!mx->query)
            continue;
        dns_cancel(mx->query);
        end_question(mx);
    }
}

void lookup_done(struct destination *destination)
{
    lookup_stop(destination);
    for (size_t i = 0; i < destination->host_count; i++)
        host_free(destination->hosts[i]);
    for (size_t i = 0; i < destination->mx_count; i++)
        free(destination->mx_names[i].name);
    free(destination->hosts);
    free(destination->mx_names);
}

/* --- Hosts that go ----------------------------------------------------------------------- */

bool lookup_has_hosts(const struct mx_name *mx)
{
    const struct destination *destination = mx->destination;

    for (size_t i = 0; i < destination->host_count; i++) {
        if (destination->hosts[i]->mx == mx && !destination->hosts[i]->is_gone)
            return true;
    }
    return false;
}

static bool is_connected(const struct mx_name *mx)
{
    const struct destination *destination = mx->destination;

    for (size_t i = 0; i < destination->host_count; i++) {
        const struct host *host = destination->hosts[i];
        if (host->mx == mx && !host->is_gone && host->delivery_count)
            return true;
    }
    return false;
}

static void mark_gone(struct mx_name *mx)
{
    const struct destination *destination = mx->destination;

    for (size_t i = 0; i < destination->host_count; i++) {
        if (destination->hosts[i]->mx == mx)
            destination->hosts[i]->is_gone = true;
    }
}

void lookup_drop_gone(struct destination *destination)
{
    size_t left = 0;

    for (size_t i = 0; i < destination->host_count; i++) {
        struct host *host = destination->hosts[i];
        if (host->is_gone && host->delivery_count == 0)
            host_free(host);
        else
            destination->hosts[left++] = host;
    }
    destination->host_count = left;
}

/* True: mail waited for an answer about one of them. */
static bool stop_asking(struct destination *destination)
{
    bool was_awaited = false;

    for (size_t i = 0; i < destination->host_count; i++) {
        struct host *host = destination->hosts[i];
        if (!host->is_gone || !host->query)
            continue;
        was_awaited |= host->is_query_counted;
        dns_cancel(host->query);
        host->query = NULL;
        host_end_asking(host);
        host->is_probed = false;
    }
    return was_awaited;
}

static void end_deliveries(struct destination *destination)
{
    list_each (node, &destination->deliveries) {
        struct delivery *delivery = container_of(node, struct delivery, in_destination);
        if (delivery->host->is_gone && !delivery->is_quitting)
            delivery_quit(delivery);
    }
}

/* --- Answers ----------------------------------------------------------------------------- */

/* Of one name among several hosts nobody else would tell. */
static bool is_to_be_told(const struct mx_name *mx)
{
    return mx->destination->hop->connector->host_count > 1;
}

static void say_failed(struct mx_name *mx, const char *error)
{
    const struct hop *hop = mx->destination->hop;

    if (!mx->has_failed && is_to_be_told(mx)) {
        report(REPORT_HOST_DOWN, R_CHARS("queue", hop->name), R_CHARS("host", mx->name),
            R_CHARS("error", error));
        connectivity_remark(hop, mx->name, error);
    }
    mx->has_failed = true;
    snprintf(mx->error, sizeof mx->error, "%s", error);
}

static void say_found(struct mx_name *mx)
{
    const struct hop *hop = mx->destination->hop;

    if (mx->has_failed && is_to_be_told(mx)) {
        report(REPORT_HOST_UP, R_CHARS("queue", hop->name), R_CHARS("host", mx->name));
        connectivity_remark(hop, mx->name, "");
    }
    mx->has_failed = mx->is_us = false;
    mx->error[0] = 0;
}

/* A record names it. */
static void keep_host(struct mx_name *mx, const char *name, uint32_t preference)
{
    struct destination *destination = mx->destination;
    struct host_place place = mx->place;
    struct host *host;

    place.preference = preference;
    for (size_t i = 0; i < destination->host_count; i++) {
        host = destination->hosts[i];
        if (host->mx != mx || strcasecmp(host->name, name) != 0)
            continue;
        if (host->is_gone) /* else it is named twice, and the lower preference counts */
            host->place = place;
        host->is_gone = false;
        return;
    }
    host = host_new(destination, name, mx->port, &place);
    host->mx = mx;
    if (mx->is_us) /* as far as we know */
        snprintf(host->error, sizeof host->error, "%s", mx->error);
}

/* What a smart host's records call us is somebody else's, on a port that is not ours. */
static bool is_our_name(const struct mx_name *mx, const char *name)
{
    const struct settings *settings = mx->destination->hop->setup->settings;

    return self_is_name(settings, name) &&
           (is_final(mx->destination) || self_has_port(settings, mx->port));
}

/* The MX records above ourselves: with them or with us at their head, mail would come back
 * (5.1). */
static unsigned hosts_before_us(const struct mx_name *mx, const struct dns_result *records)
{
    for (unsigned i = 0; i < records->host_count; i++) {
        if (is_our_name(mx, records->hosts[i].name)) {
            unsigned first = i;
            while (
                first && records->hosts[first - 1].preference == records->hosts[i].preference)
                first--;
            return first;
        }
    }
    return records->host_count;
}

static struct verdict loops_back(const char *domain)
{
    return verdict_of(554, STATUS(5, 4, 6), "Mail for %s loops back to myself", domain);
}

static struct verdict use_records(struct mx_name *mx, const struct dns_result *records)
{
    unsigned count = hosts_before_us(mx, records);

    if (records->is_null_mx)
        return verdict_of(
            556, STATUS(5, 1, 10), "Domain %s accepts no mail (null MX)", mx->name);
    if (count == 0)
        return loops_back(mx->name);
    for (unsigned i = 0; i < count && i < MX_MAX; i++)
        keep_host(mx, records->hosts[i].name, records->hosts[i].preference);
    return (struct verdict){ .code = 0 };
}

/* The hosts are now as RESULT says.  What it refuses for good is the verdict; else its code is 0. */
static struct verdict take_answer(struct mx_name *mx, const struct dns_result *result)
{
    struct verdict refusal = { .code = 0 };
    char error[HOST_ERROR_BYTES];

    if (result->answer == DNS_FAILED || result->answer == DNS_BOGUS) {
        snprintf(
            error, sizeof error, "451 4.4.3 MX lookup of %s failed: %s", mx->name, result->why);
        if (!is_connected(mx))
            mark_gone(mx);
        say_failed(mx, error);
        return refusal;
    }
    mark_gone(mx);
    mx->is_secure = result->is_secure;
    if (result->answer == DNS_FOUND)
        refusal = use_records(mx, result);
    else if (result->answer == DNS_NO_NAME && is_final(mx->destination))
        refusal = verdict_of(550, STATUS(5, 1, 2), "Domain %s does not exist", mx->name);
    else if (is_final(mx->destination) && is_our_name(mx, mx->name))
        refusal = loops_back(mx->name);
    else /* it is the host itself: RFC 5321, 5.1; if no address has it either, that is said then */
        keep_host(mx, mx->name, 0);
    if (refusal.code == 0) {
        if (!mx->is_us) /* else that is to be seen by the addresses */
            say_found(mx);
        return refusal;
    }
    snprintf(error, sizeof error, "451 4.4.4 %s", refusal.text);
    say_failed(mx, error);
    return refusal;
}

static void fail_hop(struct destination *destination, const struct verdict *refusal)
{
    if (destination->hop->is_down) /* no other connector is to stand in for it any more */
        destination->deliver->hop_up(destination->deliver, destination->hop);
    deliver_fail_hop(destination->deliver, destination->hop, refusal);
}

static void note_expiry(struct destination *destination)
{
    destination->expires.ms = INT64_MAX;
    for (size_t i = 0; i < destination->mx_count; i++) {
        const struct mx_name *mx = &destination->mx_names[i];
        if (!mx->query && mx->expires.ms < destination->expires.ms)
            destination->expires = mx->expires;
    }
}

static void on_mx(void *me, const struct dns_result *result)
{
    struct mx_name *mx = me;
    struct destination *destination = mx->destination;
    bool was_awaited = mx->is_awaited;
    struct verdict refusal;

    end_question(mx);
    mx->expires.ms =
        loop_now(destination->deliver->loop).ms + destination_ttl_ms(result->ttl_s);
    destination->users++;
    refusal = take_answer(mx, result);
    note_expiry(destination);
    was_awaited |= stop_asking(destination);
    end_deliveries(destination);
    lookup_drop_gone(destination);
    if (refusal.code && is_final(destination))
        fail_hop(destination, &refusal);
    else if (was_awaited && !lookup_is_awaited(destination))
        destination_try_next(destination);
    destination->users--;
    destination_free_if_done(destination);
}

/* Those behind us in the MX records, with us: mail for them is ours to keep or to pass to who is
 * before us (5.1). */
static void mark_gone_from(const struct host *us)
{
    const struct destination *destination = us->destination;

    for (size_t i = 0; i < destination->host_count; i++) {
        struct host *host = destination->hosts[i];
        if (host->mx == us->mx && host->place.preference >= us->place.preference)
            host->is_gone = true;
    }
}

void lookup_found_us(struct host *host)
{
    struct destination *destination = host->destination;
    struct verdict refusal = loops_back(host_domain(host));
    struct mx_name *mx = host->mx;
    bool is_probe = host->is_probed, was_awaited, is_at_end;
    char error[HOST_ERROR_BYTES];

    snprintf(error, sizeof error, "451 4.4.6 %s, port %u, is this node itself", host->name,
        host->port);
    if (!mx && !is_final(destination)) {
        destination_host_failed(host, error);
        return;
    }
    host->is_probed = false;
    destination->users++;
    if (mx) /* else the recipient's domain is an address of ours */
        mark_gone_from(host);
    was_awaited = stop_asking(destination);
    end_deliveries(destination);
    lookup_drop_gone(destination);
    is_at_end = !mx || !lookup_has_hosts(mx);
    if (is_at_end && !is_final(destination)) {
        say_failed(mx, error);
        mx->is_us = true;
    }
    if (is_at_end && is_final(destination))
        fail_hop(destination, &refusal);
    else if (!is_probe || was_awaited)
        destination_try_next(destination);
    else if (destination->hop->ready_count) /* it waited for the end of the probe */
        deliver_want(destination->deliver, destination->hop);
    destination->users--;
    destination_free_if_done(destination);
}

void lookup_found_other(struct host *host)
{
    if (host->mx && host->mx->is_us)
        say_found(host->mx);
}

/* --- Questions --------------------------------------------------------------------------- */

static bool has_hosts(const struct destination *destination)
{
    for (size_t i = 0; i < destination->host_count; i++) {
        if (!destination->hosts[i]->is_gone)
            return true;
    }
    return false;
}

bool lookup_is_awaited(const struct destination *destination)
{
    for (size_t i = 0; i < destination->mx_count; i++) {
        if (destination->mx_names[i].is_awaited)
            return true;
    }
    return false;
}

/* A name that cannot be looked up is not waited for again where there are other hosts. */
static void ask(struct mx_name *mx, bool is_bare)
{
    struct destination *destination = mx->destination;
    struct dns *dns = destination->deliver->dns;

    mx->is_awaited = destination_live_count(destination) == 0 && (is_bare || !mx->has_failed);
    destination->opening_count += mx->is_awaited;
    mx->query = is_final(destination) ? dns_mx(dns, mx->name, on_mx, mx)
                                      : dns_mx_unless_own(dns, mx->name, on_mx, mx);
}

void lookup_refresh(struct destination *destination)
{
    int64_t now = loop_now(destination->deliver->loop).ms;
    bool is_bare = !has_hosts(destination);

    if (destination->is_forgotten || destination->deliver->is_stopping)
        return;
    for (size_t i = 0; i < destination->mx_count; i++) {
        struct mx_name *mx = &destination->mx_names[i];
        if (!mx->query && (is_bare || now >= mx->expires.ms))
            ask(mx, is_bare);
    }
    note_expiry(destination);
}
