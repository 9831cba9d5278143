/* What DNS says of a host's certificate (RFC 7672, 2.2), asked once its addresses are known and
 * before it is connected to.  The records are looked up where aliases lead first, then at the
 * host's own name. */
#include "flow/deliver/internal.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

static void forget_records(struct host *host)
{
    struct host_dane *dane = &host->dane;

    for (size_t i = 0; i < dane->record_count; i++)
        free(dane->data[i]);
    free(dane->records);
    free(dane->data);
    dane->records = NULL;
    dane->data = NULL;
    dane->record_count = 0;
}

void dane_done(struct host *host)
{
    forget_records(host);
    free(host->dane.next_hop);
    host->dane.next_hop = NULL;
}

/* Copies; those that nobody can use are left out. */
static void keep_records(struct host *host, const struct dns_result *result)
{
    struct host_dane *dane = &host->dane;

    dane->records = mem_new((result->tlsa_count + 1) * sizeof *dane->records);
    dane->data = mem_new((result->tlsa_count + 1) * sizeof *dane->data);
    for (unsigned i = 0; i < result->tlsa_count; i++) {
        struct tlsa *record = &dane->records[dane->record_count];
        if (!tlsa_is_usable(&result->tlsa[i]))
            continue;
        *record = result->tlsa[i];
        dane->data[dane->record_count] = mem_copy(record->data.at, record->data.n);
        record->data.at = dane->data[dane->record_count++];
    }
}

static void decide_and_connect(struct host *host, const char *lookup_error)
{
    struct destination *destination = host->destination;
    struct host_dane *dane = &host->dane;
    enum send_tls level = destination_tls(destination, host);
    char error[HOST_ERROR_BYTES];
    const char *why;

    dane->facts.usable_count = (unsigned)dane->record_count;
    dane->plan = dane_decide(level, &dane->facts, &why);
    if (dane->plan != DANE_PLAN_DEFER) {
        delivery_open(destination, host, 0);
        return;
    }
    dane->expires.ms = 0; /* asked again at the next attempt */
    snprintf(error, sizeof error, "451 4.7.5 TLS level %s is not to be had with %s: %s%s%s",
        send_tls_name(level), host->name, why, *lookup_error ? ": " : "", lookup_error);
    destination_host_failed(host, error);
}

static void ask(struct host *host, const char *base);

static void on_tlsa(void *me, const struct dns_result *result)
{
    struct host *host = me;
    struct host_dane *dane = &host->dane;
    struct destination *destination = host->destination;
    bool has_failed = result->answer == DNS_FAILED || result->answer == DNS_BOGUS;

    host->query = NULL;
    host_end_asking(host);
    if (destination->is_forgotten)
        return;
    if (!has_failed && result->answer != DNS_FOUND && dane->is_at_alias) {
        dane->is_at_alias = false;
        ask(host, host->name);
        return;
    }
    forget_records(host);
    dane->facts.tlsa = TLSA_NONE;
    if (has_failed) {
        dane->facts.tlsa = TLSA_FAILED;
    } else if (result->answer == DNS_FOUND && result->is_secure) {
        dane->facts.tlsa = TLSA_SECURE;
        keep_records(host, result);
    }
    dane->expires.ms =
        loop_now(destination->deliver->loop).ms + destination_ttl_ms(result->ttl_s);
    decide_and_connect(host, has_failed ? result->why : "");
}

static void ask(struct host *host, const char *base)
{
    struct destination *destination = host->destination;
    char name[DNS_NAME_BYTES + 20];

    snprintf(host->dane.base, sizeof host->dane.base, "%s", base);
    snprintf(name, sizeof name, "_%u._tcp.%s", host->port, base);
    host_begin_asking(host);
    host->query = dns_tlsa(destination->deliver->dns, name, on_tlsa, host);
}

/* The name that a certificate of usage 2 may be for besides the base: where the MX records of
 * that domain, which are secure, lead here. */
static void keep_next_hop(struct host *host)
{
    free(host->dane.next_hop);
    host->dane.next_hop = mem_text(host_domain(host));
}

void dane_connect(struct host *host)
{
    struct destination *destination = host->destination;
    struct host_dane *dane = &host->dane;
    bool is_fresh = loop_now(destination->deliver->loop).ms < dane->expires.ms;

    if (host->query)
        return;
    dane->facts.mx_is_secure = !host->mx || host->mx->is_secure; /* else the configuration's */
    dane->facts.addresses_are_secure = host->is_secure;
    if (!dane_wants_tlsa(&dane->facts) || is_fresh) {
        decide_and_connect(host, "");
        return;
    }
    keep_next_hop(host);
    dane->is_at_alias = dane->canonical[0];
    ask(host, dane->is_at_alias ? dane->canonical : host->name);
}
