/* Where PROXY headers are taken, where they must come, and what is said to whom they are not. */
#include "kit.h"

#include "policy/balancer.h"

#include <stdio.h>

static struct ip_range balancers[2], others[1];
static struct listener_options listeners[3];
static struct settings settings = { .listeners = listeners, .connections_max = 7 };

static struct ip ip_of(const char *text)
{
    struct ip ip = { { 0 } };

    assert_true(ip_parse(bytes_text(text), &ip));
    return ip;
}

static int setup(void **state)
{
    (void)state;
    assert_true(ip_range_parse(BYTES("10.0.0.5"), &balancers[0]));
    assert_true(ip_range_parse(BYTES("2001:db8::/64"), &balancers[1]));
    assert_true(ip_range_parse(BYTES("10.0.0.6"), &others[0]));
    listeners[0] = (struct listener_options){
        .binding = { .is_any = true, .port = 25 }, .balancers = balancers, .balancer_count = 2
    };
    listeners[1] = (struct listener_options){ .binding = { .ip = ip_of("0.0.0.0"), .port = 25 },
        .proxy = PROXY_MODE_OPTIONAL,
        .balancers = balancers,
        .balancer_count = 2 };
    listeners[2] =
        (struct listener_options){ .binding = { .ip = ip_of("192.0.2.1"), .port = 25 },
            .proxy = PROXY_MODE_REQUIRED,
            .balancers = others,
            .balancer_count = 1 };
    settings.listener_count = 3;
    return 0;
}

static const struct balancer_case {
    const char *name, *local, *peer;
    uint16_t port;
    enum balancer_header want;
    const char *without, *with; /* the rule that refuses; NULL: it is taken */
    const char *why;            /* of the decision */
} cases[] = {
    { "no listener", "192.0.2.9", "10.0.0.5", 26, BALANCER_HEADER_NONE, NULL, "proxy-unlisted",
        "no listener block covers it" },
    { "listed", "2001:db8:1::1", "10.0.0.5", 25, BALANCER_HEADER_MUST, "proxy-header", NULL,
        "10.0.0.5 is in proxy_from of listener \"*:25\", proxy = listed" },
    { "listed, by a prefix", "2001:db8:1::1", "2001:db8::77", 25, BALANCER_HEADER_MUST,
        "proxy-header", NULL,
        "2001:db8::77 is in proxy_from of listener \"*:25\", proxy = listed" },
    { "not listed", "2001:db8:1::1", "10.0.0.7", 25, BALANCER_HEADER_NONE, NULL,
        "proxy-unlisted", "10.0.0.7 is not in proxy_from of listener \"*:25\"" },
    { "all of IPv4 is nearer than all", "192.0.2.9", "10.0.0.5", 25, BALANCER_HEADER_MAY, NULL,
        NULL, "10.0.0.5 is in proxy_from of listener \"0.0.0.0:25\", proxy = optional" },
    { "optional, not listed", "192.0.2.9", "10.0.0.7", 25, BALANCER_HEADER_NONE, NULL,
        "proxy-unlisted", "10.0.0.7 is not in proxy_from of listener \"0.0.0.0:25\"" },
    { "the address itself is nearest", "192.0.2.1", "10.0.0.6", 25, BALANCER_HEADER_MUST,
        "proxy-header", NULL,
        "10.0.0.6 is in proxy_from of listener \"192.0.2.1:25\", proxy = required" },
    { "required, another's balancer", "192.0.2.1", "10.0.0.5", 25, BALANCER_HEADER_NOBODY,
        "proxy-required", "proxy-required",
        "10.0.0.5 is not in proxy_from of listener \"192.0.2.1:25\", proxy = required" },
};

static void check_rule(const struct balancer_case *c, const struct arrival *arrival,
    bool has_header, const char *rule)
{
    struct decision decision;
    bool is_taken = balancer_takes(&settings, arrival, has_header, "In", &decision);

    check(c->name, is_taken == !rule);
    check(c->name, decision_is_yes(&decision) == is_taken);
    check(c->name, !rule || strcmp(decision.rule, rule) == 0);
}

static void it_is_decided(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        const struct balancer_case *c = &cases[i];
        struct arrival arrival = {
            .local = ip_of(c->local), .peer = ip_of(c->peer), .port = c->port
        };
        struct decision decision;

        check(c->name, balancer_decide(&settings, &arrival, &decision) == c->want);
        check_bytes(c->name, bytes_text(decision.why), bytes_text(c->why));
        check(c->name, decision_is_yes(&decision) == (c->want != BALANCER_HEADER_NOBODY));
        check_rule(c, &arrival, false, c->without);
        check_rule(c, &arrival, true, c->with);
    }
}

static void a_unix_socket_has_none(void **state)
{
    struct arrival arrival = { .is_unix = true, .path = "/run/x" };
    struct decision decision;

    (void)state;
    assert_int_equal(balancer_decide(&settings, &arrival, &decision), BALANCER_HEADER_NONE);
}

static void replies_name_the_listener(void **state)
{
    struct arrival arrival = {
        .local = ip_of("192.0.2.1"), .peer = ip_of("10.0.0.6"), .port = 25
    };
    char reply[VERDICT_TEXT_BYTES];
    struct decision decision;

    (void)state;
    balancer_refuse_bad(&settings, &arrival, "nothing", &decision);
    verdict_format(&decision.verdict, reply);
    assert_string_equal(
        reply, "421 4.7.0 No PROXY header that can be understood [proxy-header@192.0.2.1:25]");
    assert_string_equal(decision.why, "nothing from the balancer 10.0.0.6");
    balancer_refuse_full(&settings, &arrival, &decision);
    verdict_format(&decision.verdict, reply);
    assert_string_equal(
        reply, "421 4.3.2 Too many connections, try again later [connections@192.0.2.1:25]");
    assert_string_equal(decision.why, "limits { connections = 7 }");
    balancer_refuse_waiting(&settings, &arrival, &decision);
    verdict_format(&decision.verdict, reply);
    assert_string_equal(reply,
        "421 4.7.0 Too many connections without a PROXY header [proxy-waiting@192.0.2.1:25]");
    assert_string_equal(decision.why,
        "the balancer 10.0.0.6 has 1 connections whose PROXY header is not there yet");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_decided),
        cmocka_unit_test(a_unix_socket_has_none),
        cmocka_unit_test(replies_name_the_listener),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
