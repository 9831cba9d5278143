#include "deliver_kit.h"

#include "base/mem.h"
#include "os/conn.h"

#include <stdio.h>
#include <stdlib.h>

/* --- DNS: instead of os/dns.c ------------------------------------------------------------ */

struct dns {
    struct bench *bench;
    struct list queries;
};

struct dns_query {
    struct list in_dns;
    struct dns *dns;
    char name[DNS_NAME_BYTES];
    bool is_mx;
    bool is_known;
    char says[RECORD_BYTES]; /* a record's, as of when it was asked or let go */
    struct timer answer;
    void (*on_answer)(void *me, const struct dns_result *result);
    void *me;
};

static struct dns_record *find_record(struct bench *bench, const char *name)
{
    for (size_t i = 0; i < bench->record_count; i++) {
        if (strcmp(bench->records[i].name, name) == 0)
            return &bench->records[i];
    }
    return NULL;
}

static void read_hosts(const char *says, struct dns_result *result)
{
    unsigned preference;
    char name[64];
    int n;

    while (sscanf(says, "%u %63s %n", &preference, name, &n) == 2) {
        struct dns_host *host = &result->hosts[result->host_count++];
        host->preference = (uint16_t)preference;
        snprintf(host->name, sizeof host->name, "%s", name);
        says += n;
    }
}

static void read_addresses(const char *says, struct dns_result *result)
{
    char address[64];
    int n;

    while (sscanf(says, "%63s %n", address, &n) == 1) {
        assert_true(ip_parse(bytes_text(address), &result->addresses[result->address_count++]));
        says += n;
    }
}

static void fill_result(const struct dns_query *query, struct dns_result *result)
{
    result->ttl_s = 1;
    if (!query->is_known) {
        result->answer = DNS_NO_NAME;
    } else if (!query->says[0]) {
        result->answer = DNS_FAILED;
        snprintf(result->why, sizeof result->why, "no server answers");
    } else if (query->is_mx) {
        read_hosts(query->says, result);
    } else {
        read_addresses(query->says, result);
    }
}

static void on_time(struct timer *timer)
{
    struct dns_query *query = container_of(timer, struct dns_query, answer);
    struct dns_result result = { .answer = DNS_FOUND };

    fill_result(query, &result);
    list_remove(&query->in_dns);
    query->on_answer(query->me, &result);
    free(query);
}

static void answer_soon(struct dns_query *query)
{
    const struct dns_record *record = find_record(query->dns->bench, query->name);
    const char *says = record ? record->says : NULL;
    struct ip literal;

    if (ip_parse(bytes_text(query->name), &literal))
        says = query->name;
    query->is_known = says;
    snprintf(query->says, sizeof query->says, "%s", says ? says : "");
    if (strcmp(query->says, DNS_HOLDS) == 0)
        timer_stop(&query->answer);
    else
        timer_start(&query->answer, 0);
}

static struct dns_query *ask(struct dns *dns, const char *name, bool is_mx,
    void (*on_answer)(void *me, const struct dns_result *result), void *me)
{
    struct dns_query *query = mem_new(sizeof *query);
    struct dns_record *record = find_record(dns->bench, name);

    if (record)
        record->asked_count++;
    query->dns = dns;
    snprintf(query->name, sizeof query->name, "%s", name);
    query->is_mx = is_mx;
    query->on_answer = on_answer;
    query->me = me;
    timer_init(&query->answer, dns->bench->world.loop, on_time);
    answer_soon(query);
    list_add_last(&dns->queries, &query->in_dns);
    return query;
}

struct dns_query *dns_mx(struct dns *dns, const char *domain,
    void (*on_answer)(void *me, const struct dns_result *result), void *me)
{
    return ask(dns, domain, true, on_answer, me);
}

struct dns_query *dns_mx_unless_own(struct dns *dns, const char *domain,
    void (*on_answer)(void *me, const struct dns_result *result), void *me)
{
    return ask(dns, domain, true, on_answer, me);
}

struct dns_query *dns_addresses(struct dns *dns, const char *host,
    void (*on_answer)(void *me, const struct dns_result *result), void *me)
{
    return ask(dns, host, false, on_answer, me);
}

struct dns_query *dns_tlsa(struct dns *dns, const char *name,
    void (*on_answer)(void *me, const struct dns_result *result), void *me)
{
    (void)dns;
    (void)on_answer;
    (void)me;
    fail_msg("nobody is to ask for TLSA records, and %s is", name);
    return NULL;
}

/* The whole of os/dns.h is here, or the linker would want the other one too. */
enum err dns_new(struct loop *loop, const struct dns_settings *settings, struct dns **out)
{
    (void)loop;
    (void)settings;
    *out = NULL;
    return ERR_SYSTEM;
}

enum err dns_change(struct dns *dns, const struct dns_settings *settings)
{
    (void)dns;
    (void)settings;
    return ERR_SYSTEM;
}

void dns_free(struct dns *dns)
{
    assert_true(list_is_empty(&dns->queries));
    free(dns);
}

void dns_cancel(struct dns_query *query)
{
    timer_stop(&query->answer);
    list_remove(&query->in_dns);
    free(query);
}

void bench_say(struct bench *bench, const char *name, const char *says)
{
    size_t i = 0;

    while (i < bench->record_count && strcmp(bench->records[i].name, name) != 0)
        i++;
    assert_true(i < RECORDS_MAX);
    bench->record_count += i == bench->record_count;
    snprintf(bench->records[i].name, sizeof bench->records[i].name, "%s", name);
    snprintf(bench->records[i].says, sizeof bench->records[i].says, "%s", says);
    list_each (node, &bench->dns->queries) {
        struct dns_query *query = container_of(node, struct dns_query, in_dns);
        if (strcmp(query->name, name) == 0 && !timer_is_running(&query->answer))
            answer_soon(query);
    }
}

unsigned bench_held(const struct bench *bench, const char *name)
{
    unsigned count = 0;

    list_each (node, &bench->dns->queries) {
        const struct dns_query *query = container_of(node, struct dns_query, in_dns);
        count += strcmp(query->name, name) == 0 && !timer_is_running(&query->answer);
    }
    return count;
}

unsigned bench_asked(struct bench *bench, const char *name)
{
    const struct dns_record *record = find_record(bench, name);
    return record ? record->asked_count : 0;
}

/* --- Hosts ------------------------------------------------------------------------------- */

struct session {
    struct list in_host;
    struct smtp_host *host;
    struct conn *conn;
    bool is_data;
};

static void end_session(struct session *session)
{
    list_remove(&session->in_host);
    conn_close(&session->conn, false);
    free(session);
}

static void say(struct session *session, const char *line)
{
    assert_int_equal(buf_add(conn_out(session->conn), bytes_text(line)), OK);
    assert_int_equal(buf_add(conn_out(session->conn), BYTES("\r\n")), OK);
    conn_send(session->conn);
}

/* False: the session is over. */
static bool on_line(struct session *session, struct bytes line)
{
    if (session->is_data && !bytes_equal(line, BYTES("."))) {
        return true;
    } else if (session->is_data) {
        session->is_data = false;
        session->host->mail_count++;
    } else if (bytes_equal_nocase(line, BYTES("DATA"))) {
        session->is_data = true;
        say(session, "354 go on");
        return true;
    } else if (bytes_equal_nocase(line, BYTES("QUIT"))) {
        say(session, "221 2.0.0 bye");
        end_session(session);
        return false;
    }
    say(session, "250 ok");
    return true;
}

static size_t on_input(void *me, struct bytes input)
{
    struct session *session = me;
    size_t used = 0, n;

    while ((n = bytes_find(bytes_skip(input, used), '\n')) != BYTES_NOT_FOUND) {
        struct bytes line = bytes_first(bytes_skip(input, used), n - 1);
        used += n + 1;
        if (!on_line(session, line))
            break;
    }
    return used;
}

static void on_room(void *me)
{
    (void)me;
}

static void on_session_end(void *me, enum err err)
{
    (void)err;
    end_session(me);
}

static void on_accept(
    void *me, int fd, const struct endpoint *peer, const struct endpoint *local)
{
    static const struct conn_handler handler = {
        .on_input = on_input, .on_room = on_room, .on_end = on_session_end
    };
    struct smtp_host *host = me;
    struct session *session = mem_new(sizeof *session);

    (void)peer;
    (void)local;
    host->connection_count++;
    session->host = host;
    list_add_last(&host->sessions, &session->in_host);
    assert_int_equal(
        conn_accept(host->bench->world.loop, fd, &handler, session, &session->conn), OK);
    if (!host->is_silent)
        say(session, "220 good");
}

struct smtp_host *bench_host(struct bench *bench, const char *ip)
{
    struct smtp_host *host = &bench->hosts[bench->host_count++];

    assert_true(bench->host_count <= HOSTS_MAX);
    host->bench = bench;
    assert_true(ip_parse(bytes_text(ip), &host->ip));
    list_init(&host->sessions);
    return host;
}

void smtp_host_listen(struct smtp_host *host)
{
    struct endpoint at = { .ip = host->ip, .port = host->bench->port };

    if (!host->listener)
        assert_int_equal(
            listener_open(host->bench->world.loop, &at, 0, on_accept, host, &host->listener),
            OK);
}

void smtp_host_refuse(struct smtp_host *host)
{
    listener_close(host->listener);
    host->listener = NULL;
    list_each (node, &host->sessions)
        end_session(container_of(node, struct session, in_host));
}

/* --- Deliver among the stages ------------------------------------------------------------ */

static struct bench *bench_of(void *world)
{
    return container_of((struct world *)world, struct bench, world);
}

static void on_want(struct queue *queue, struct hop *hop)
{
    deliver_want(&bench_of(queue->me)->deliver, hop);
}

static void on_probe(struct queue *queue, struct hop *hop)
{
    deliver_probe(&bench_of(queue->me)->deliver, hop);
}

static void on_forget_hop(struct queue *queue, struct hop *hop)
{
    (void)queue;
    deliver_forget(hop);
}

static struct item *on_take(struct deliver *deliver, struct hop *hop, uint32_t recipients_max)
{
    struct bench *bench = deliver->me;
    return deliver->is_stopping ? NULL : queue_take(&bench->world.queue, hop, recipients_max);
}

static void on_put_back(struct deliver *deliver, struct item *item)
{
    struct bench *bench = deliver->me;
    queue_put_back(&bench->world.queue, item);
}

static void on_finished(struct deliver *deliver, struct item *item,
    const struct result *results, const struct attempt *attempt)
{
    struct bench *bench = deliver->me;
    discard_item(&bench->world.discard, item, results, attempt);
}

static void on_hop_down(struct deliver *deliver, struct hop *hop, const char *error)
{
    struct bench *bench = deliver->me;
    queue_hop_down(&bench->world.queue, hop, error);
}

static void on_hop_up(struct deliver *deliver, struct hop *hop)
{
    struct bench *bench = deliver->me;
    queue_hop_up(&bench->world.queue, hop);
}

static void join_deliver(struct bench *bench)
{
    struct queue *queue = &bench->world.queue;

    queue->want = on_want;
    queue->probe = on_probe;
    queue->forget = on_forget_hop;
    bench->dns = mem_new(sizeof *bench->dns);
    bench->dns->bench = bench;
    list_init(&bench->dns->queries);
    deliver_init(&bench->deliver, bench->world.loop, bench->world.spool, bench->dns);
    bench->deliver.connections_max = 1000;
    bench->deliver.take = on_take;
    bench->deliver.put_back = on_put_back;
    bench->deliver.finished = on_finished;
    bench->deliver.hop_down = on_hop_down;
    bench->deliver.hop_up = on_hop_up;
    bench->deliver.me = bench;
}

/* A port that is free at US. */
static uint16_t choose_port(const char *us)
{
    struct endpoint at = { .port = 0 };
    struct listener *listener;
    struct loop *loop;
    uint16_t port;

    assert_true(ip_parse(bytes_text(us), &at.ip));
    assert_int_equal(loop_new(&loop), OK);
    assert_int_equal(listener_open(loop, &at, 0, on_accept, NULL, &listener), OK);
    port = listener_endpoint(listener)->port;
    listener_close(listener);
    loop_free(loop);
    return port;
}

static void bind_us(struct settings *settings, const char *us, uint16_t port)
{
    struct receive_connector *connector;

    settings->receive =
        mem_grow(settings->receive, (settings->receive_count + 1) * sizeof *settings->receive);
    connector = &settings->receive[settings->receive_count++];
    receive_connector_init(connector, "us");
    connector->tls = TLS_MODE_OFF;
    connector->bindings = mem_new(sizeof *connector->bindings);
    connector->bindings[0] = (struct binding){ .port = port };
    connector->binding_count = 1;
    assert_true(ip_parse(bytes_text(us), &connector->bindings[0].ip));
}

/* "a.example [b.example]": a name without brackets stands for the hosts of its MX records. */
static void set_smart_hosts(struct send_connector *connector, const char *hosts, uint16_t port)
{
    size_t count = 0;
    char word[64];
    int n;

    free(connector->hosts[0].host);
    for (; sscanf(hosts, "%63s %n", word, &n) == 1; hosts += n) {
        bool uses_mx = word[0] != '[';
        connector->hosts = mem_grow(connector->hosts, (count + 1) * sizeof *connector->hosts);
        word[strcspn(word, "]")] = 0;
        connector->hosts[count++] = (struct smart_host){
            .host = mem_text(word + !uses_mx), .port = port, .uses_mx = uses_mx
        };
    }
    connector->host_count = count;
}

void bench_open_to(struct bench *bench, const char *us, const char *hosts)
{
    struct settings *settings = world_settings();
    struct send_connector *connector = world_connector(settings, "out", "*", 1);

    memset(bench, 0, sizeof *bench);
    bench->port = choose_port(us);
    bind_us(settings, us, bench->port);
    if (hosts) {
        set_smart_hosts(connector, hosts, bench->port);
    } else {
        connector->delivery = DELIVERY_MX;
        connector->mx_port = bench->port;
    }
    connector->messages_per_connection = 1;
    world_init(&bench->world, settings);
    join_deliver(bench);
}

void bench_open(struct bench *bench, const char *us)
{
    bench_open_to(bench, us, NULL);
}

static bool is_unconnected(void *me)
{
    const struct bench *bench = me;
    return bench->deliver.connection_count == 0;
}

void bench_done(struct bench *bench)
{
    deliver_break(&bench->deliver);
    world_until(&bench->world, is_unconnected, bench);
    for (size_t i = 0; i < bench->host_count; i++)
        smtp_host_refuse(&bench->hosts[i]);
    list_each (node, &bench->world.queue.all_hops)
        deliver_forget(container_of(node, struct hop, in_hops));
    deliver_done(&bench->deliver);
    world_done(&bench->world);
    dns_free(bench->dns);
}

struct look {
    const char *name, *state, *error;
};

static void look_at(void *me, const struct host_view *view)
{
    struct look *look = me;

    if (strcmp(view->name, look->name) == 0)
        *look = (struct look){ look->name, view->state, view->error };
}

const char *bench_state(struct bench *bench, const char *hop, const char *name)
{
    struct look look = { name, "", "" };

    deliver_each_host(world_hop(&bench->world, hop), look_at, &look);
    return look.state;
}

const char *bench_error(struct bench *bench, const char *hop, const char *name)
{
    struct look look = { name, "", "" };

    deliver_each_host(world_hop(&bench->world, hop), look_at, &look);
    return look.error;
}
