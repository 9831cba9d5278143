/* Accept: who may stay, over real sockets. */
#include "kit.h"

#include "base/mem.h"
#include "flow/accept/accept.h"
#include "os/clock.h"
#include "os/conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TOO_LONG_MS = 60000, CLIENTS = 6 };

struct bench {
    struct loop *loop;
    struct setup_slot slot;
    struct accept accept;
    uint16_t port;
    int clients[CLIENTS], kept[CLIENTS];
    char heard[CLIENTS][128];
    struct arrival arrivals[CLIENTS]; /* of those that were kept */
    char connectors[CLIENTS][8];
    unsigned client_count, kept_count;
    uint32_t waiting_wanted;
    struct timer look;
    struct moment deadline;
};

static void open_session(struct accept *accept, int fd, const struct arrival *arrival,
    struct setup *setup, const struct receive_connector *connector)
{
    struct bench *bench = accept->me;

    snprintf(bench->connectors[bench->kept_count], sizeof bench->connectors[0], "%s",
        connector->name);
    setup_free(setup);
    bench->arrivals[bench->kept_count] = *arrival;
    bench->kept[bench->kept_count++] = fd;
}

static uint16_t free_port(void)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t n = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&at, n), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
    close(fd);
    return ntohs(at.sin_port);
}

static void add_connector(
    struct settings *settings, const char *name, const char *range, uint16_t port)
{
    struct receive_connector *connector;

    settings->receive =
        mem_grow(settings->receive, (settings->receive_count + 1) * sizeof *settings->receive);
    connector = &settings->receive[settings->receive_count++];
    receive_connector_init(connector, name);
    connector->tls = TLS_MODE_OFF;
    connector->bindings = mem_new(sizeof *connector->bindings);
    connector->binding_count = 1;
    connector->bindings[0].port = port;
    assert_true(ip_parse(BYTES("127.0.0.1"), &connector->bindings[0].ip));
    connector->ranges = mem_new(sizeof *connector->ranges);
    connector->range_count = 1;
    assert_true(ip_range_parse(bytes_text(range), &connector->ranges[0]));
    receive_index(connector);
}

static struct settings *settings_with(const char *range, uint16_t port)
{
    struct settings *settings = settings_new("relay.example.com");

    while (settings->receive_count)
        receive_connector_done(&settings->receive[--settings->receive_count]);
    add_connector(settings, "in", range, port);
    return settings;
}

static void bench_init(struct bench *bench, struct settings *settings)
{
    struct setup *setup;
    char why[512];

    memset(bench, 0, sizeof *bench);
    bench->port = settings->receive[0].bindings[0].port;
    assert_int_equal(loop_new(&bench->loop), OK);
    assert_int_equal(setup_new(&settings, NULL, &setup, why), OK);
    setup_slot_init(&bench->slot, &setup);
    accept_init(&bench->accept, bench->loop, &bench->slot);
    bench->accept.open_session = open_session;
    bench->accept.me = bench;
    accept_apply(&bench->accept);
}

static void bench_done(struct bench *bench)
{
    for (unsigned i = 0; i < bench->kept_count; i++) {
        close(bench->kept[i]);
        accept_gone(&bench->accept, bench->connectors[i], bench->arrivals[i].source);
    }
    for (unsigned i = 0; i < bench->client_count; i++)
        close(bench->clients[i]);
    assert_int_equal(bench->accept.connection_count, 0);
    assert_int_equal(bench->accept.sources.count, 0);
    assert_int_equal(bench->accept.connectors.count, 0);
    accept_stop(&bench->accept);
    accept_done(&bench->accept);
    setup_slot_done(&bench->slot);
    loop_free(bench->loop);
}

static void dial_port(struct bench *bench, uint16_t port)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) }, .sin_port = htons(port)
    };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    bench->clients[bench->client_count++] = fd;
}

static void dial(struct bench *bench)
{
    dial_port(bench, bench->port);
}

static void dial_and_say(struct bench *bench, const char *text)
{
    dial(bench);
    assert_int_equal(send(bench->clients[bench->client_count - 1], text, strlen(text), 0),
        (ssize_t)strlen(text));
}

/* Each client is kept, or has heard a reply. */
static bool is_all_answered(struct bench *bench)
{
    unsigned answered = bench->kept_count;

    for (unsigned i = 0; i < bench->client_count; i++) {
        if (!bench->heard[i][0] &&
            recv(bench->clients[i], bench->heard[i], sizeof bench->heard[i] - 1, 0) < 0)
            bench->heard[i][0] = 0;
        answered += bench->heard[i][0] != 0;
    }
    return answered == bench->client_count;
}

static void on_look_for_wait(struct timer *timer)
{
    struct bench *bench = container_of(timer, struct bench, look);

    if (bench->accept.waiting_count == bench->waiting_wanted)
        loop_stop(bench->loop);
    else
        timer_start(timer, 1);
}

static void wait_until_waiting(struct bench *bench, uint32_t count)
{
    bench->waiting_wanted = count;
    timer_init(&bench->look, bench->loop, on_look_for_wait);
    timer_start(&bench->look, 0);
    loop_run(bench->loop);
}

static void on_look(struct timer *timer)
{
    struct bench *bench = container_of(timer, struct bench, look);

    if (is_all_answered(bench)) {
        loop_stop(bench->loop);
        return;
    }
    if (clock_moment().ms > bench->deadline.ms)
        fail_msg("waited for a minute");
    timer_start(timer, 1);
}

static void wait_for_answers(struct bench *bench)
{
    bench->deadline.ms = clock_moment().ms + TOO_LONG_MS;
    timer_init(&bench->look, bench->loop, on_look);
    timer_start(&bench->look, 0);
    loop_run(bench->loop);
}

static const struct limit_case {
    const char *name, *range;
    uint32_t all, connector, source;
    unsigned kept;     /* of four */
    const char *reply; /* to the others */
    uint32_t share;    /* percent */
    unsigned report_only;
} limit_cases[] = {
    { "no limit", "127.0.0.0/8", 100, 100, 100, 4, NULL },
    { "per source", "127.0.0.0/8", 100, 100, 2, 2,
        "421 4.7.0 Too many connections from your address, try again later "
        "[connections-per-source@in]\r\n" },
    { "per connector", "127.0.0.0/8", 100, 3, 100, 3,
        "421 4.3.2 Too many connections, try again later [connections@in]\r\n" },
    { "of all", "127.0.0.0/8", 1, 100, 100, 1,
        "421 4.3.2 Too many connections, try again later [connections@in]\r\n" },
    { "a share of a connector", "127.0.0.0/8", 100, 20, 100, 2,
        "421 4.7.0 Too large a share of connections from your address [source-share@in]\r\n",
        10 },
    { "one may always come", "127.0.0.0/8", 100, 20, 100, 1,
        "421 4.7.0 Too large a share of connections from your address [source-share@in]\r\n",
        2 },
    { "told, not refused", "127.0.0.0/8", 100, 1, 1, 4, NULL, 2,
        LIMIT_CONNECTIONS | LIMIT_CONNECTIONS_PER_SOURCE | LIMIT_SOURCE_SHARE },
    { "one of two is told", "127.0.0.0/8", 100, 2, 1, 2,
        "421 4.3.2 Too many connections, try again later [connections@in]\r\n", 0,
        LIMIT_CONNECTIONS_PER_SOURCE },
    { "of all, whatever the connector reports", "127.0.0.0/8", 1, 100, 100, 1,
        "421 4.3.2 Too many connections, try again later [connections@in]\r\n", 0,
        LIMIT_CONNECTIONS },
    { "nobody's range", "10.0.0.0/8", 100, 100, 100, 0,
        "554 5.7.1 No service for your address here\r\n" },
};

static void test_limits(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(limit_cases); i++) {
        const struct limit_case *c = &limit_cases[i];
        struct settings *settings = settings_with(c->range, free_port());
        struct bench bench;

        settings->connections_max = c->all;
        settings->receive[0].connections_max = c->connector;
        settings->receive[0].connections_per_source_max = c->source;
        settings->receive[0].source_share_percent = c->share;
        settings->receive[0].report_only = c->report_only;
        bench_init(&bench, settings);
        for (int n = 0; n < 4; n++) {
            dial(&bench);
            wait_for_answers(&bench);
        }
        check(c->name, bench.kept_count == c->kept);
        check(c->name, bench.accept.connection_count == c->kept);
        for (unsigned n = c->kept; n < 4; n++)
            check_bytes(c->name, bytes_text(bench.heard[n]), bytes_text(c->reply));
        bench_done(&bench);
    }
}

/* Who goes makes room. */
static void test_room_comes_back(void **state)
{
    struct settings *settings = settings_with("127.0.0.0/8", free_port());
    struct bench bench;
    struct ip peer;

    (void)state;
    settings->receive[0].connections_per_source_max = 1;
    bench_init(&bench, settings);
    dial(&bench);
    wait_for_answers(&bench);
    assert_int_equal(bench.kept_count, 1);
    assert_true(ip_parse(BYTES("127.0.0.1"), &peer));
    accept_gone(&bench.accept, "in", peer);
    close(bench.kept[--bench.kept_count]);
    close(bench.clients[--bench.client_count]);
    dial(&bench);
    wait_for_answers(&bench);
    assert_int_equal(bench.kept_count, 1);
    bench_done(&bench);
}

static void change_settings(struct bench *bench, struct settings *settings)
{
    struct setup *setup;
    char why[512];

    assert_int_equal(setup_new(&settings, NULL, &setup, why), OK);
    setup_slot_change(&bench->slot, &setup);
    accept_apply(&bench->accept);
}

static struct settings *settings_with_two(uint16_t port, uint16_t tight)
{
    struct settings *settings = settings_with("127.0.0.0/8", port);

    add_connector(settings, "tight", "127.0.0.0/8", tight);
    settings->receive[1].connections_per_source_max = 1;
    settings->receive[1].source_share_percent = 50;
    settings->receive[1].connections_max = 10;
    return settings;
}

/* PE-8: what an address has at one connector says nothing of another; new settings forget none. */
static void test_a_source_at_two_connectors(void **state)
{
    uint16_t port = free_port(), tight = free_port();
    struct bench bench;

    (void)state;
    bench_init(&bench, settings_with_two(port, tight));
    for (int i = 0; i < 3; i++) {
        dial_port(&bench, port);
        wait_for_answers(&bench);
    }
    dial_port(&bench, tight);
    wait_for_answers(&bench);
    assert_int_equal(bench.kept_count, 4);
    assert_string_equal(bench.connectors[3], "tight");
    change_settings(&bench, settings_with_two(port, tight));
    dial_port(&bench, tight);
    wait_for_answers(&bench);
    assert_int_equal(bench.kept_count, 4);
    assert_string_equal(bench.heard[4],
        "421 4.7.0 Too many connections from your address, try again later "
        "[connections-per-source@tight]\r\n");
    dial_port(&bench, port);
    wait_for_answers(&bench);
    assert_int_equal(bench.kept_count, 5);
    bench_done(&bench);
}

/* Of those that are turned away and had said something, so many get the time to read why. */
static void test_few_linger(void **state)
{
    struct bench bench;
    char more[8];

    (void)state;
    bench_init(&bench, settings_with("10.0.0.0/8", free_port()));
    bench.accept.lingering_max = 2;
    for (unsigned i = 0; i < 4; i++) {
        dial_and_say(&bench, "EHLO x\r\n");
        wait_for_answers(&bench);
        check_bytes("told all the same", bytes_text(bench.heard[i]),
            BYTES("554 5.7.1 No service for your address here\r\n"));
        assert_int_equal(conn_lingering_count(bench.loop), i < 2 ? i + 1 : 2);
    }
    for (unsigned i = 0; i < 4; i++) {
        bool is_reset = recv(bench.clients[i], more, sizeof more, 0) < 0 && errno == ECONNRESET;
        assert_int_equal(is_reset, i >= 2);
    }
    bench_done(&bench);
}

/* --- Balancers --------------------------------------------------------------------------- */

#define CLIENT(last) "PROXY TCP4 10.1.0." last " 192.0.2.1 1234 25\r\n"

static struct settings *settings_behind(enum proxy_mode mode, const char *balancer)
{
    struct settings *settings = settings_with("10.1.0.0/16", free_port());

    settings->listeners = mem_new(sizeof *settings->listeners);
    settings->listener_count = 1;
    settings->listeners[0] =
        (struct listener_options){ .binding = settings->receive[0].bindings[0],
            .proxy = mode,
            .balancers = mem_new(sizeof(struct ip_range)),
            .balancer_count = 1,
            .proxy_timeout_ms = 200 };
    assert_true(ip_range_parse(bytes_text(balancer), settings->listeners[0].balancers));
    return settings;
}

static const struct header_case {
    const char *name;
    enum proxy_mode mode;
    const char *balancer, *says;
    const char *client; /* who is kept; NULL: nobody */
    const char *left;   /* behind the header, in the socket; or the reply */
} header_cases[] = {
    { "a header", PROXY_MODE_LISTED, "127.0.0.1", CLIENT("7") "EHLO x\r\n", "10.1.0.7",
        "EHLO x\r\n" },
    { "in two parts", PROXY_MODE_LISTED, "127.0.0.1", "PROXY TCP4 10.1.0.|7 10.1.0.9 1 2\r\n!",
        "10.1.0.7", "!" },
    { "none in time", PROXY_MODE_LISTED, "127.0.0.1", "", NULL,
        "421 4.7.0 No PROXY header that can be understood [proxy-header@" },
    { "half of one", PROXY_MODE_LISTED, "127.0.0.1", "PROXY TCP4 10", NULL, "421 4.7.0 No" },
    { "SMTP", PROXY_MODE_LISTED, "127.0.0.1", "EHLO x\r\n", NULL, "421 4.7.0 No PROXY" },
    { "a bad one", PROXY_MODE_OPTIONAL, "127.0.0.1", "PROXY TCP7\r\n", NULL, "421 4.7.0 No" },
    { "a client of nobody", PROXY_MODE_REQUIRED, "127.0.0.1",
        "PROXY TCP4 10.2.0.1 10.1.0.9 1 2\r\n", NULL, "554 5.7.1 No service for your" },
    { "its own", PROXY_MODE_REQUIRED, "127.0.0.1", "PROXY UNKNOWN\r\n", NULL,
        "554 5.7.1 No service for your address here\r\n" },
    { "nobody else", PROXY_MODE_REQUIRED, "127.0.0.2", CLIENT("7"), NULL,
        "554 5.7.1 Connections come through a balancer here [proxy-required@" },
    { "who is not listed is the client", PROXY_MODE_LISTED, "127.0.0.2", CLIENT("7"), NULL,
        "554 5.7.1 No service for your" },
    { "optional, and it says something", PROXY_MODE_OPTIONAL, "127.0.0.1", "EHLO x\r\n", NULL,
        "554 5.7.1 No service for your" },
    { "optional, and it waits", PROXY_MODE_OPTIONAL, "127.0.0.1", "", NULL,
        "554 5.7.1 No service for your" },
    { "optional, and a header", PROXY_MODE_OPTIONAL, "127.0.0.1", CLIENT("9"), "10.1.0.9", "" },
};

/* The first part up to "|" is read before the second one comes, and MEANWHILE (NULL: nothing) is
 * what the administrator has changed his mind to. */
static void say_while(struct bench *bench, const char *text, struct settings *meanwhile)
{
    const char *cut = strchr(text, '|');
    size_t n = cut ? (size_t)(cut - text) : strlen(text);

    dial(bench);
    assert_int_equal(send(bench->clients[0], text, n, 0), (ssize_t)n);
    if (!cut)
        return;
    wait_until_waiting(bench, 1); /* what was there when it was accepted was read then */
    if (meanwhile)
        change_settings(bench, meanwhile);
    n = strlen(cut + 1);
    assert_int_equal(send(bench->clients[0], cut + 1, n, 0), (ssize_t)n);
}

static void say(struct bench *bench, const char *text)
{
    say_while(bench, text, NULL);
}

static void check_kept(const struct header_case *c, const struct bench *bench)
{
    char room[100], peer[IP_TEXT_BYTES], balancer[IP_TEXT_BYTES];
    const struct arrival *arrival = &bench->arrivals[0];
    ssize_t n = recv(bench->kept[0], room, sizeof room, MSG_DONTWAIT);

    ip_format(arrival->peer, peer);
    ip_format(arrival->balanced.balancer, balancer);
    check_bytes(c->name, bytes_text(peer), bytes_text(c->client));
    check(c->name, arrival->balanced.has_client && !arrival->balanced.is_probe);
    check_bytes(c->name, bytes_text(balancer), BYTES("127.0.0.1"));
    check_bytes(c->name, bytes_of(room, n > 0 ? (size_t)n : 0), bytes_text(c->left));
}

static void test_headers(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(header_cases); i++) {
        const struct header_case *c = &header_cases[i];
        struct bench bench;

        bench_init(&bench, settings_behind(c->mode, c->balancer));
        say(&bench, c->says);
        wait_for_answers(&bench);
        check(c->name, (bench.kept_count == 1) == (c->client != NULL));
        check(c->name, bench.accept.waiting_count == 0);
        if (c->client)
            check_kept(c, &bench);
        else
            check(c->name, strncmp(bench.heard[0], c->left, strlen(c->left)) == 0);
        bench_done(&bench);
    }
}

/* New settings count at once: who is no balancer any more names nobody. */
static void test_struck_off_while_it_is_waited(void **state)
{
    struct bench bench;

    (void)state;
    bench_init(&bench, settings_behind(PROXY_MODE_LISTED, "127.0.0.1"));
    say_while(&bench, "PROXY TCP4 10.1.0.|7 10.1.0.9 1 2\r\n",
        settings_behind(PROXY_MODE_LISTED, "127.0.0.2"));
    wait_for_answers(&bench);
    check("nobody is let in", bench.kept_count == 0);
    check("why", strncmp(bench.heard[0], "554 5.7.1 No PROXY header is taken from your address",
                     52) == 0);
    bench_done(&bench);
}

/* Those that have not said yet for whom they come take room, and give it back at the end. */
static void test_who_waits_counts(void **state)
{
    struct settings *settings = settings_behind(PROXY_MODE_LISTED, "127.0.0.1");
    struct bench bench;

    (void)state;
    settings->connections_max = 1;
    settings->listeners[0].proxy_timeout_ms = TOO_LONG_MS;
    bench_init(&bench, settings);
    dial(&bench);
    dial(&bench);
    bench.kept_count = 1; /* the first one is not answered */
    wait_for_answers(&bench);
    bench.kept_count = 0;
    assert_int_equal(bench.accept.waiting_count, 1);
    check("the second",
        strncmp(bench.heard[1], "421 4.3.2 Too many connections, try again later [connections@",
            61) == 0);
    accept_stop(&bench.accept);
    assert_int_equal(bench.accept.waiting_count, 0);
    bench_done(&bench);
}

/* One balancer that sends none leaves room for others. */
static void test_one_balancer_waits_for_few(void **state)
{
    struct settings *settings = settings_behind(PROXY_MODE_LISTED, "127.0.0.1");
    struct bench bench;

    (void)state;
    settings->connections_max = 11;
    settings->listeners[0].proxy_timeout_ms = TOO_LONG_MS;
    bench_init(&bench, settings);
    for (int i = 0; i < 3; i++)
        dial(&bench);
    bench.kept_count = 2; /* these are not answered */
    wait_for_answers(&bench);
    assert_int_equal(bench.accept.waiting_count, 2);
    check("the third", strncmp(bench.heard[2],
                           "421 4.7.0 Too many connections without a PROXY header "
                           "[proxy-waiting@127.0.0.1:",
                           78) == 0);
    bench.kept_count = 0;
    assert_int_equal(shutdown(bench.clients[0], SHUT_WR), 0); /* makes room */
    wait_until_waiting(&bench, 1);
    dial_and_say(&bench, CLIENT("7"));
    bench.heard[0][0] = bench.heard[1][0] = '-'; /* these are not answered either */
    wait_for_answers(&bench);
    assert_int_equal(bench.kept_count, 1);
    bench_done(&bench);
    assert_int_equal(bench.accept.balancers.count, 0);
}

/* A binding that somebody else has: the connector is without it, and says so. */
static void test_binding_in_use(void **state)
{
    struct settings *settings = settings_with("127.0.0.0/8", free_port());
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    const struct accept_binding *binding;
    struct bench bench;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    (void)state;
    at.sin_port = htons(settings->receive[0].bindings[0].port);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 1), 0);
    bench_init(&bench, settings);
    binding =
        container_of(list_first(&bench.accept.bindings), struct accept_binding, in_accept);
    assert_null(binding->listener);
    assert_string_not_equal(binding->error, "");
    assert_true(timer_is_running(&bench.accept.again));
    close(fd);
    accept_apply(&bench.accept);
    assert_non_null(binding->listener);
    assert_string_equal(binding->error, "");
    bench_done(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_room_comes_back),
        cmocka_unit_test(test_a_source_at_two_connectors),
        cmocka_unit_test(test_few_linger),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_struck_off_while_it_is_waited),
        cmocka_unit_test(test_who_waits_counts),
        cmocka_unit_test(test_one_balancer_waits_for_few),
        cmocka_unit_test(test_binding_in_use),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
