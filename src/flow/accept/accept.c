#include "flow/accept/inside.h"

#include "os/conn.h"
#include "policy/limits.h"
#include "report/report.h"

#include <assert.h>

enum { REFUSED_LINGERING_MAX = 1000 };

/* --- Counts ------------------------------------------------------------------------------ */

static const struct ip all; /* of a connector's count */

void accept_gone(struct accept *accept, const char *connector, struct ip source)
{
    assert(accept->connection_count > 0);
    accept->connection_count--;
    count_remove(&accept->sources, connector, source);
    count_remove(&accept->connectors, connector, all);
}

/* The same path where the settings have it, which the session holds. */
static const char *receive_path(const struct receive_connector *connector, const char *path)
{
    for (size_t i = 0; i < connector->binding_count; i++) {
        const struct binding *binding = &connector->bindings[i];
        if (binding->is_unix && strcmp(binding->path, path) == 0)
            return binding->path;
    }
    return NULL; /* not reached: it was chosen by this path */
}

/* --- Turning away ------------------------------------------------------------------------ */

static size_t ignore_input(void *me, struct bytes input)
{
    (void)me;
    return input.n;
}

static void ignore_end(void *me, enum err err)
{
    (void)me;
    err_ignore(err);
}

static const struct conn_handler farewell = { .on_input = ignore_input, .on_end = ignore_end };

/* Who has said something before he hears us is given time to read our reply.  It is in no limit of
 * connections, so it has one of its own. */
static void turn_away(struct accept *accept, int fd, const char *reply)
{
    struct conn *conn;

    if (conn_accept(accept->loop, fd, &farewell, NULL, &conn) != OK)
        return;
    err_ignore(buf_add_text(conn_out(conn), reply)); /* there is room for a line */
    conn_close(&conn, conn_lingering_count(accept->loop) < accept->lingering_max);
}

static void client_format(const struct arrival *arrival, char out[ENDPOINT_TEXT_BYTES])
{
    struct endpoint client = {
        .is_unix = arrival->is_unix, .ip = arrival->peer, .port = arrival->peer_port
    };

    endpoint_format(&client, out);
}

/* `via` stands last in FIELDS, and is left out for those who come by themselves. */
static void report_arrival(enum report_event event, const struct arrival *arrival,
    struct report_field *fields, unsigned count)
{
    struct endpoint via = { .ip = arrival->balanced.balancer,
        .port = arrival->balanced.balancer_port };
    char text[ENDPOINT_TEXT_BYTES];

    endpoint_format(&via, text);
    fields[count - 1] = R_CHARS("via", text);
    report_fields(event, fields, count - !arrival->balanced.has_client);
}

void accept_refuse(struct accept *accept, int fd, const struct arrival *arrival,
    const struct receive_connector *connector, const struct decision *decision)
{
    char client[ENDPOINT_TEXT_BYTES], reply[VERDICT_TEXT_BYTES + 2];
    struct report_field fields[7] = { R_CHARS("connector", connector ? connector->name : ""),
        [2] = R_CHARS("stage", "CONNECT"), R_CHARS("rule", decision->rule) };
    unsigned count = 4;
    size_t n;

    client_format(arrival, client);
    verdict_format(&decision->verdict, reply);
    n = strlen(reply);
    fields[1] = R_CHARS("client", client);
    fields[count++] = R_TEXT("text", bytes_of(reply, n));
    if (!connector)
        fields[count++] = R_CHARS("why", decision->why);
    report_arrival(REPORT_REJECT, arrival, fields, count + 1);
    memcpy(reply + n, "\r\n", 3);
    turn_away(accept, fd, reply);
}

/* A balancer's health check that no connector takes comes every other second: told once. */
static void refuse_for_all(struct accept *accept, int fd, const struct arrival *arrival)
{
    struct endpoint local = {
        .is_unix = arrival->is_unix, .ip = arrival->local, .port = arrival->port
    };
    char from[ENDPOINT_TEXT_BYTES], to[ENDPOINT_TEXT_BYTES];

    client_format(arrival, from);
    endpoint_format(&local, to);
    if (!arrival->balanced.is_probe || !accept->has_told_probe)
        report_arrival(REPORT_NO_CONNECTOR, arrival,
            (struct report_field[]){ R_CHARS("client", from), R_CHARS("local", to),
                R_CHARS("text", arrival->balanced.is_probe
                                    ? "no receive connector takes the balancer's health checks"
                                    : "no receive connector's binding and remote_ranges match"),
                R_CHARS("via", "") },
            4);
    accept->has_told_probe |= arrival->balanced.is_probe;
    turn_away(accept, fd, RECEIVE_NOBODY_REPLY "\r\n");
}

static void report_would_refuse(
    const struct receive_connector *connector, const struct arrival *arrival, enum limit limit)
{
    struct decision decision;
    char text[ENDPOINT_TEXT_BYTES];

    limit_refuse(connector, limit, &decision);
    client_format(arrival, text);
    report(REPORT_WOULD_REFUSE, R_CHARS("connector", connector->name), R_CHARS("client", text),
        R_CHARS("stage", "CONNECT"), R_CHARS("limit", limit_name(limit)),
        R_NUMBER("code", decision.verdict.code), R_CHARS("text", decision.verdict.text));
}

void accept_count(const struct accept *accept, const struct receive_connector *connector,
    const struct arrival *arrival, struct accept_counts *out)
{
    *out = (struct accept_counts){
        .of_node = accept->connection_count + accept->waiting_count,
        .of_connector = count_get(&accept->connectors, connector->name, all),
        .of_source = count_get(&accept->sources, connector->name, arrival->source),
    };
}

/* Whether this connection may stay.  False: DECISION says why not. */
static bool is_within_limits(struct accept *accept, const struct settings *settings,
    const struct receive_connector *connector, const struct arrival *arrival,
    struct decision *decision)
{
    struct limits_connections facts;
    struct accept_counts counts;
    unsigned passed, reported;
    enum limit limit;

    accept_count(accept, connector, arrival, &counts);
    facts =
        (struct limits_connections){ counts.of_connector, counts.of_source, arrival->is_unix };
    passed = limits_of_connection(connector, &facts);
    reported = passed & connector->report_only;
    if (limits_is_full(settings, counts.of_node))
        limit_refuse(connector, LIMIT_CONNECTIONS, decision);
    else
        limits_decide(connector, passed, decision);
    if (!decision_is_yes(decision))
        return false;
    while (limit_next(&reported, &limit))
        report_would_refuse(connector, arrival, limit);
    return true;
}

void accept_admit(
    struct accept *accept, int fd, const struct arrival *arrival, struct setup *setup)
{
    const struct receive_connector *connector = receive_choose(setup->settings, arrival);
    struct arrival admitted = *arrival;
    struct decision decision;

    admitted.source = limits_source(setup->settings, arrival->peer);
    if (!connector) {
        refuse_for_all(accept, fd, arrival);
        setup_free(setup);
        return;
    }
    if (connector->is_internal) {
        accept->open_link(accept, fd); /* it counts its links itself */
        setup_free(setup);
        return;
    }
    if (!is_within_limits(accept, setup->settings, connector, &admitted, &decision)) {
        accept_refuse(accept, fd, arrival, connector, &decision);
        setup_free(setup);
        return;
    }
    if (arrival->is_unix) /* the binding may be closed on the way to the session's loop */
        admitted.path = receive_path(connector, arrival->path);
    accept->connection_count++;
    count_add(&accept->sources, connector->name, admitted.source);
    count_add(&accept->connectors, connector->name, all);
    accept->open_session(accept, fd, &admitted, setup, connector);
}

/* Behind a balancer it is not known yet whose connection it is (FE-5). */
void accept_begin(struct accept *accept, int fd, const struct arrival *arrival)
{
    struct setup *setup = setup_slot_hold(accept->setup);
    const struct settings *settings = setup->settings;
    struct decision decision;
    enum balancer_header header = settings->listener_count
                                      ? balancer_decide(settings, arrival, &decision)
                                      : BALANCER_HEADER_NONE;

    if (header == BALANCER_HEADER_NONE) {
        accept_admit(accept, fd, arrival, setup);
        return;
    }
    if (header == BALANCER_HEADER_NOBODY) {
        accept_refuse(accept, fd, arrival, NULL, &decision);
    } else if (limits_is_full(settings, accept->connection_count + accept->waiting_count)) {
        balancer_refuse_full(settings, arrival, &decision);
        accept_refuse(accept, fd, arrival, NULL, &decision);
    } else if (count_get(&accept->balancers, "", arrival->peer) >=
               balancer_waiting_max(settings)) {
        balancer_refuse_waiting(settings, arrival, &decision);
        accept_refuse(accept, fd, arrival, NULL, &decision);
    } else {
        header_expect(accept, fd, arrival, settings, header == BALANCER_HEADER_MAY);
    }
    setup_free(setup);
}

void accept_init(struct accept *accept, struct loop *loop, struct setup_slot *setup)
{
    accept->loop = loop;
    accept->setup = setup;
    accept->connection_count = 0;
    accept->waiting_count = 0;
    accept->lingering_max = REFUSED_LINGERING_MAX;
    accept->has_told_probe = false;
    list_init(&accept->waiting);
    table_init(&accept->sources);
    table_init(&accept->connectors);
    table_init(&accept->balancers);
    bindings_init(accept);
}

void accept_stop(struct accept *accept)
{
    header_stop(accept);
    bindings_stop(accept);
}

void accept_done(struct accept *accept)
{
    accept_stop(accept);
    table_done(&accept->balancers);
    if (accept->connection_count)
        return; /* sessions that did not end in time */
    table_done(&accept->sources);
    table_done(&accept->connectors);
}
