#include "os/dns.h"

#include "base/list.h"
#include "base/mem.h"
#include "os/dns_data.h"
#include "os/dns_files.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unbound.h>

/* How a question runs
 *
 * 1. libunbound works on a thread of its own.  When its descriptor can be read, ub_process()
 *    calls our on_records() for each answer, on the loop's thread.
 * 2. on_records() only keeps what was said.  The asker is told by the question's timer: at once
 *    when all its records are there, or when its time is up.  So nothing an asker does (another
 *    question, a cancel, dns_free()) can happen inside libunbound.
 * 3. An answer from the hosts file, and a refusal of a bad name, take the same timer: the asker
 *    is never called from inside dns_mx() or dns_addresses().
 * 4. libunbound's servers cannot be changed once it works.  When resolv.conf changes a new
 *    context is made; the old one goes when its last question is answered. */
enum { FILES_LOOKED_AT_MS = 5000, TIMEOUT_MS = 30000 };

enum {
    TYPE_A = 1,
    TYPE_MX = 15,
    TYPE_AAAA = 28,
    TYPE_TLSA = 52,
    CLASS_IN = 1,
    RCODE_NXDOMAIN = 3
};

/* One libunbound context. */
struct resolver {
    struct list node;
    struct dns *dns;
    struct ub_ctx *ctx;
    struct loop_watch *watch;
    unsigned open_count; /* records asked for */
};

struct dns {
    struct loop *loop;
    int64_t timeout_ms;
    char **servers;
    size_t server_count;
    char *hosts_path, *resolv_path, *anchor_path;
    struct watched_file hosts_file, resolv_file;
    struct moment looked_at; /* when the files were last looked at */
    struct dns_hosts_file *hosts;
    struct list resolvers; /* the first is the one that is asked */
    struct list queries;
};

/* One kind of record, of a question that may need two. */
struct records {
    struct dns_query *query;
    int id;
    bool is_open;
    enum dns_answer answer;
    bool is_secure;
};

enum { RECORDS_MAX = 2 };

struct dns_query {
    struct list node;
    struct dns *dns;
    struct resolver *resolver;
    struct timer timer;
    struct records records[RECORDS_MAX];
    unsigned records_count, open_count;
    bool is_answered; /* RESULT needs no more */
    void (*on_answer)(void *me, const struct dns_result *result);
    void *me;
    struct dns_result result;
};

/* --- Contexts ---------------------------------------------------------------------------- */

static void on_readable(void *me);

/* Things libunbound takes for granted on a public resolver and not on a company's network. */
static bool set_options(struct ub_ctx *ctx, const char *anchor_path)
{
    static const char *const options[][2] = {
        { "do-not-query-localhost:", "no" }, /* the server may be on this machine */
        { "unblock-lan-zones:", "yes" }, { "local-zone:", "test. nodefault" },
        { "local-zone:", "home.arpa. nodefault" }, { "num-queries-per-thread:", "4096" },
        /* A name that was just entered, a server that is back: be told within minutes. */
        { "cache-max-negative-ttl:", "300" }, { "infra-host-ttl:", "60" },
        { "infra-keep-probing:", "yes" },
        { "insecure-lan-zones:", "yes" }, /* private addresses' names are nobody's to sign */
    };

    ub_ctx_debugout(ctx, NULL); /* it must not write to our standard error */
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (ub_ctx_set_option(ctx, options[i][0], options[i][1]))
            return false;
    }
    if (!anchor_path)
        return ub_ctx_set_option(ctx, "module-config:", "iterator") == 0;
    return ub_ctx_add_ta_file(ctx, anchor_path) == 0;
}

static enum err set_servers(const struct dns *dns, struct ub_ctx *ctx)
{
    char from_file[DNS_SERVERS_MAX][DNS_SERVER_BYTES];
    size_t n, good = 0;

    for (size_t i = 0; i < dns->server_count; i++) {
        if (ub_ctx_set_fwd(ctx, dns->servers[i]))
            return ERR_SYNTAX;
    }
    if (dns->server_count > 0)
        return OK;
    n = resolv_file_servers(dns->resolv_path, from_file);
    for (size_t i = 0; i < n; i++) /* a line it cannot read is passed over, as elsewhere */
        good += ub_ctx_set_fwd(ctx, from_file[i]) == 0;
    if (good == 0 && ub_ctx_set_fwd(ctx, "127.0.0.1"))
        return ERR_SYSTEM;
    return OK;
}

static void resolver_free(struct resolver *resolver)
{
    list_remove(&resolver->node);
    loop_watch_free(resolver->watch);
    ub_ctx_delete(resolver->ctx);
    free(resolver);
}

/* Makes a context and puts it first.  ERR_SYNTAX: a server's address is none. */
static enum err resolver_new(struct dns *dns)
{
    struct resolver *resolver = mem_new(sizeof *resolver);
    enum err err = ERR_SYSTEM;

    list_init(&resolver->node);
    resolver->dns = dns;
    resolver->ctx = ub_ctx_create();
    if (!resolver->ctx || !set_options(resolver->ctx, dns->anchor_path))
        goto fail;
    err = set_servers(dns, resolver->ctx);
    if (err != OK)
        goto fail;
    err = ERR_SYSTEM;
    if (ub_ctx_async(resolver->ctx, 1))
        goto fail;
    err = loop_watch_new(
        dns->loop, ub_fd(resolver->ctx), on_readable, resolver, &resolver->watch);
    if (err != OK)
        goto fail;
    list_add_first(&dns->resolvers, &resolver->node);
    return OK;

fail:
    resolver_free(resolver);
    return err;
}

static struct resolver *resolver_now(const struct dns *dns)
{
    return container_of(list_first(&dns->resolvers), struct resolver, node);
}

/* An old context goes with its last question.  Not to be called inside libunbound. */
static void resolver_release(struct resolver *resolver)
{
    if (resolver->open_count == 0 && resolver != resolver_now(resolver->dns))
        resolver_free(resolver);
}

static void look_at_files(struct dns *dns)
{
    struct moment now = loop_now(dns->loop);
    struct resolver *old;

    if (dns->hosts && now.ms - dns->looked_at.ms < FILES_LOOKED_AT_MS)
        return;
    dns->looked_at = now;
    if (watched_file_changed(&dns->hosts_file) || !dns->hosts) {
        hosts_file_free(dns->hosts);
        dns->hosts = hosts_file_new(dns->hosts_path);
    }
    if (!watched_file_changed(&dns->resolv_file) || dns->server_count > 0)
        return;
    old = resolver_now(dns);
    if (resolver_new(dns) == OK) /* else the old one goes on, and the next change is seen */
        resolver_release(old);
}

/* --- Making and freeing ------------------------------------------------------------------ */

static char *copy_or_null(const char *text)
{
    return text ? mem_text(text) : NULL;
}

/* Each text is a copy. */
static void keep_settings(struct dns *dns, const struct dns_settings *settings)
{
    dns->timeout_ms = settings->timeout_ms > 0 ? settings->timeout_ms : TIMEOUT_MS;
    dns->server_count = settings->server_count;
    dns->servers = mem_new((settings->server_count + 1) * sizeof *dns->servers);
    for (size_t i = 0; i < settings->server_count; i++)
        dns->servers[i] = mem_text(settings->servers[i]);
    dns->hosts_path = copy_or_null(settings->hosts_file);
    dns->anchor_path = copy_or_null(settings->trust_anchor_file);
    dns->resolv_path =
        mem_text(settings->resolv_file ? settings->resolv_file : "/etc/resolv.conf");
    dns->hosts_file = (struct watched_file){ .path = dns->hosts_path };
    dns->resolv_file = (struct watched_file){ .path = dns->resolv_path };
    (void)watched_file_changed(&dns->resolv_file); /* the context made now reads it as it is */
}

static void drop_settings(struct dns *dns)
{
    for (size_t i = 0; i < dns->server_count; i++)
        free(dns->servers[i]);
    free(dns->servers);
    free(dns->hosts_path);
    free(dns->resolv_path);
    free(dns->anchor_path);
}

enum err dns_new(struct loop *loop, const struct dns_settings *settings, struct dns **out)
{
    struct dns *dns = mem_new(sizeof *dns);
    enum err err;

    dns->loop = loop;
    keep_settings(dns, settings);
    list_init(&dns->resolvers);
    list_init(&dns->queries);
    err = resolver_new(dns);
    if (err != OK) {
        dns_free(dns);
        return err;
    }
    *out = dns;
    return OK;
}

enum err dns_change(struct dns *dns, const struct dns_settings *settings)
{
    struct dns before = *dns;
    struct resolver *old = resolver_now(dns);
    enum err err;

    keep_settings(dns, settings);
    err = resolver_new(dns);
    if (err != OK) {
        drop_settings(dns);
        dns->timeout_ms = before.timeout_ms;
        dns->servers = before.servers;
        dns->server_count = before.server_count;
        dns->hosts_path = before.hosts_path;
        dns->anchor_path = before.anchor_path;
        dns->resolv_path = before.resolv_path;
        dns->hosts_file = before.hosts_file;
        dns->resolv_file = before.resolv_file;
        return err;
    }
    drop_settings(&before);
    hosts_file_free(dns->hosts); /* read again at the next question */
    dns->hosts = NULL;
    resolver_release(old);
    return OK;
}

void dns_free(struct dns *dns)
{
    if (!dns)
        return;
    list_each (node, &dns->queries)
        dns_cancel(container_of(node, struct dns_query, node));
    list_each (node, &dns->resolvers)
        resolver_free(container_of(node, struct resolver, node));
    hosts_file_free(dns->hosts);
    drop_settings(dns);
    free(dns);
}

/* --- Answers ----------------------------------------------------------------------------- */

static void answer_now(struct dns_query *query)
{
    query->is_answered = true;
    timer_start(&query->timer, 0);
}

static void say_why(struct dns_result *result, const char *why)
{
    if (result->why[0] == 0)
        snprintf(result->why, sizeof result->why, "%s", why);
}

static enum dns_answer answer_of(int failed, const struct ub_result *ub, const char **why)
{
    *why = "";
    if (failed || !ub) {
        *why = ub_strerror(failed);
        return DNS_FAILED;
    }
    if (ub->bogus) {
        *why = ub->why_bogus ? ub->why_bogus : "DNSSEC validation failed";
        return DNS_BOGUS;
    }
    if (ub->havedata)
        return DNS_FOUND;
    if (ub->nxdomain || ub->rcode == RCODE_NXDOMAIN)
        return DNS_NO_NAME;
    if (ub->rcode == 0)
        return DNS_NO_DATA;
    *why = "the name servers failed to answer";
    return DNS_FAILED;
}

static void keep_data(struct dns_result *result, const struct ub_result *ub)
{
    uint32_t ttl_s = ub->ttl > 0 ? (uint32_t)ub->ttl : 0;

    for (size_t i = 0; ub->data[i]; i++) {
        struct bytes rdata = bytes_of(ub->data[i], (size_t)ub->len[i]);
        if (ub->qtype == TYPE_MX)
            dns_add_mx(result, rdata);
        else if (ub->qtype == TYPE_TLSA)
            dns_add_tlsa(result, rdata);
        else
            dns_add_address(result, rdata);
    }
    if (ub->canonname && strcasecmp(ub->canonname, ub->qname) != 0 &&
        !dns_name_read(ub->canonname, result->canonical))
        result->canonical[0] = 0;
    if (result->ttl_s == 0 || ttl_s < result->ttl_s)
        result->ttl_s = ttl_s;
}

/* The answer of the whole: what was found counts most, then what may change by itself. */
static enum dns_answer answer_of_all(const struct dns_query *query)
{
    static const enum dns_answer order[] = { DNS_FOUND, DNS_BOGUS, DNS_FAILED, DNS_NO_DATA,
        DNS_NO_NAME };

    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        for (unsigned j = 0; j < query->records_count; j++) {
            if (query->records[j].answer == order[i])
                return order[i];
        }
    }
    return DNS_FAILED;
}

/* Secure when all that stands in the result is. */
static bool all_is_secure(const struct dns_query *query)
{
    for (unsigned i = 0; i < query->records_count; i++) {
        const struct records *records = &query->records[i];
        if (records->answer == query->result.answer && !records->is_secure)
            return false;
    }
    return query->records_count > 0;
}

static void conclude(struct dns_query *query)
{
    struct dns_result *result = &query->result;
    bool is_empty;

    result->answer = answer_of_all(query);
    result->is_secure = all_is_secure(query);
    if (result->answer == DNS_FOUND)
        result->why[0] = 0;
    dns_put_in_order(result);
    is_empty = result->address_count == 0 && result->host_count == 0 && !result->is_null_mx &&
               result->tlsa_count == 0;
    if (result->answer == DNS_FOUND && is_empty) {
        /* Records that name no host: the domain's owner must mend them. */
        result->answer = DNS_FAILED;
        say_why(result, "the records are malformed");
    }
}

static void on_records(void *me, int failed, struct ub_result *ub)
{
    struct records *records = me;
    struct dns_query *query = records->query;
    const char *why;

    records->is_open = false;
    query->open_count--;
    query->resolver->open_count--;
    records->answer = answer_of(failed, ub, &why);
    records->is_secure = ub && ub->secure;
    say_why(&query->result, why);
    if (records->answer == DNS_FOUND)
        keep_data(&query->result, ub);
    ub_resolve_free(ub);
    if (query->open_count == 0) {
        conclude(query);
        answer_now(query);
    }
}

static void on_readable(void *me)
{
    struct resolver *resolver = me;

    ub_process(resolver->ctx);
    resolver_release(resolver);
}

/* Stops what is still asked for.  Without that the context may be gone already: see 4. */
static void stop_asking(struct dns_query *query)
{
    struct resolver *resolver = query->resolver;

    if (query->open_count == 0)
        return;
    for (unsigned i = 0; i < query->records_count; i++) {
        struct records *records = &query->records[i];
        if (!records->is_open)
            continue;
        ub_cancel(resolver->ctx, records->id);
        records->is_open = false;
        query->open_count--;
        resolver->open_count--;
    }
    resolver_release(resolver);
}

static void on_due(struct timer *timer)
{
    struct dns_query *query = container_of(timer, struct dns_query, timer);
    char why[64];

    if (!query->is_answered) {
        snprintf(why, sizeof why, "no name server answered within %lld ms",
            (long long)query->dns->timeout_ms);
        say_why(&query->result, why);
        stop_asking(query);
        conclude(query); /* an address of one kind may be there */
    }
    list_remove(&query->node);
    query->on_answer(query->me, &query->result); /* may do anything, dns_free() too */
    dns_free_tlsa(&query->result);
    free(query);
}

/* --- Questions --------------------------------------------------------------------------- */

static struct dns_query *query_new(
    struct dns *dns, void (*on_answer)(void *me, const struct dns_result *result), void *me)
{
    struct dns_query *query = mem_new(sizeof *query);

    look_at_files(dns);
    query->dns = dns;
    query->on_answer = on_answer;
    query->me = me;
    timer_init(&query->timer, dns->loop, on_due);
    list_add_last(&dns->queries, &query->node);
    return query;
}

static void ask(struct dns_query *query, const char *name, int type)
{
    struct records *records = &query->records[query->records_count++];
    int failed;

    assert(query->records_count <= RECORDS_MAX);
    query->resolver = resolver_now(query->dns);
    records->query = query;
    records->answer = DNS_FAILED; /* until something else is said */
    failed = ub_resolve_async(
        query->resolver->ctx, name, type, CLASS_IN, records, on_records, &records->id);
    if (failed) {
        say_why(&query->result, ub_strerror(failed));
        return;
    }
    records->is_open = true;
    query->open_count++;
    query->resolver->open_count++;
}

static void wait_for_records(struct dns_query *query)
{
    if (query->open_count > 0) {
        timer_start(&query->timer, query->dns->timeout_ms);
    } else {
        conclude(query);
        answer_now(query);
    }
}

/* True: the name is no name, and that is the answer. */
static bool refuses_name(struct dns_query *query, const char *text, char name[DNS_NAME_BYTES])
{
    if (dns_name_read(text, name))
        return false;
    query->result.answer = DNS_NO_NAME;
    say_why(&query->result, "this is no host's name");
    answer_now(query);
    return true;
}

static struct dns_query *ask_mx(struct dns_query *query, const char *domain, bool may_be_own)
{
    char name[DNS_NAME_BYTES];

    if (refuses_name(query, domain, name))
        return query;
    if (may_be_own && hosts_file_find(query->dns->hosts, name, &query->result)) {
        query->result = (struct dns_result){ .answer = DNS_NO_DATA };
        answer_now(query);
        return query;
    }
    ask(query, name, TYPE_MX);
    wait_for_records(query);
    return query;
}

struct dns_query *dns_mx(struct dns *dns, const char *domain,
    void (*on_answer)(void *me, const struct dns_result *result), void *me)
{
    return ask_mx(query_new(dns, on_answer, me), domain, false);
}

struct dns_query *dns_mx_unless_own(struct dns *dns, const char *domain,
    void (*on_answer)(void *me, const struct dns_result *result), void *me)
{
    return ask_mx(query_new(dns, on_answer, me), domain, true);
}

struct dns_query *dns_addresses(struct dns *dns, const char *host,
    void (*on_answer)(void *me, const struct dns_result *result), void *me)
{
    struct dns_query *query = query_new(dns, on_answer, me);
    char name[DNS_NAME_BYTES];

    if (ip_parse(bytes_text(host), &query->result.addresses[0])) {
        query->result.address_count = 1;
        answer_now(query);
        return query;
    }
    if (refuses_name(query, host, name))
        return query;
    if (hosts_file_find(dns->hosts, name, &query->result)) {
        dns_put_in_order(&query->result);
        answer_now(query);
        return query;
    }
    ask(query, name, TYPE_AAAA);
    ask(query, name, TYPE_A);
    wait_for_records(query);
    return query;
}

struct dns_query *dns_tlsa(struct dns *dns, const char *tlsa_name,
    void (*on_answer)(void *me, const struct dns_result *result), void *me)
{
    struct dns_query *query = query_new(dns, on_answer, me);
    char name[DNS_NAME_BYTES];

    if (refuses_name(query, tlsa_name, name))
        return query;
    ask(query, name, TYPE_TLSA);
    wait_for_records(query);
    return query;
}

void dns_cancel(struct dns_query *query)
{
    if (!query)
        return;
    stop_asking(query);
    timer_stop(&query->timer);
    list_remove(&query->node);
    dns_free_tlsa(&query->result);
    free(query);
}
