/* Limits: where each begins, what it says, and what report mode leaves of it. */
#include "kit.h"

#include "policy/limits.h"

#include <stdlib.h>

static struct receive_connector connector(void)
{
    struct receive_connector made;

    receive_connector_init(&made, "In");
    return made;
}

static void connections(void **state)
{
    static const struct {
        const char *name;
        struct limits_connections facts;
        uint32_t all, source, share;
        unsigned want;
    } cases[] = {
        { "below", { 99, 19 }, 100, 20, 0, 0 },
        { "the connector is full", { 100, 0 }, 100, 20, 0, LIMIT_CONNECTIONS },
        { "the source is", { 20, 20 }, 100, 20, 0, LIMIT_CONNECTIONS_PER_SOURCE },
        { "both", { 100, 20 }, 100, 20, 0, LIMIT_CONNECTIONS | LIMIT_CONNECTIONS_PER_SOURCE },
        { "below the share", { 50, 9 }, 100, 20, 10, 0 },
        { "the share", { 50, 10 }, 100, 20, 10, LIMIT_SOURCE_SHARE },
        { "less than one", { 0, 0 }, 10, 20, 2, 0 },
        { "one, of less than one", { 1, 1 }, 10, 20, 2, LIMIT_SOURCE_SHARE },
        { "no source", { 5, 500, true }, 100, 20, 2, 0 },
        { "no source, full", { 100, 500, true }, 100, 20, 2, LIMIT_CONNECTIONS },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct receive_connector in = connector();
        in.connections_max = cases[i].all;
        in.connections_per_source_max = cases[i].source;
        in.source_share_percent = cases[i].share;
        check(cases[i].name, limits_of_connection(&in, &cases[i].facts) == cases[i].want);
        check(cases[i].name, (limits_share_max(&in) == 0) == (cases[i].share == 0));
        receive_connector_done(&in);
    }
}

/* The networks themselves: tests/unit/base/ip_test.c. */
static void sources(void **state)
{
    struct settings *settings = settings_new("node.example");
    struct ip one, other;

    (void)state;
    check("parses", ip_parse(BYTES("2001:db8::1:2:3:4"), &one));
    check("parses", ip_parse(BYTES("2001:db8::4:3:2:1"), &other));
    check("one /64",
        ip_compare(limits_source(settings, one), limits_source(settings, other)) == 0);
    settings->ipv6_prefix = 128;
    check(
        "each", ip_compare(limits_source(settings, one), limits_source(settings, other)) != 0);
    settings_free(settings);
}

static void headers(void **state)
{
    static const struct {
        const char *name;
        struct limits_header facts;
        unsigned want;
    } cases[] = {
        { "all that is allowed", { 60, 8, 256 * 1024 }, 0 },
        { "one hop more", { 61, 0, 10 }, LIMIT_HOPS },
        { "one of our own more", { 9, 9, 10 }, LIMIT_LOCAL_HOPS },
        { "a byte more", { 0, 0, 256 * 1024 + 1 }, LIMIT_HEADER_SIZE },
        { "everything", { 100, 100, 1 << 20 },
            LIMIT_HOPS | LIMIT_LOCAL_HOPS | LIMIT_HEADER_SIZE },
    };
    struct receive_connector in = connector();

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++)
        check(cases[i].name, limits_of_header(&in, &cases[i].facts) == cases[i].want);
    receive_connector_done(&in);
}

/* The replies that SPEC and people know; each is a rule's name as well. */
static void replies(void **state)
{
    static const struct {
        enum limit limit;
        const char *name, *reply;
    } cases[LIMIT_COUNT] = {
        { LIMIT_CONNECTIONS, "connections",
            "421 4.3.2 Too many connections, try again later [connections@In]" },
        { LIMIT_CONNECTIONS_PER_SOURCE, "connections-per-source",
            "421 4.7.0 Too many connections from your address, try again later "
            "[connections-per-source@In]" },
        { LIMIT_SOURCE_SHARE, "source-share",
            "421 4.7.0 Too large a share of connections from your address [source-share@In]" },
        { LIMIT_MESSAGE_RATE, "message-rate",
            "450 4.7.1 Message submission rate for this client has exceeded the configured "
            "limit [message-rate@In]" },
        { LIMIT_RECIPIENTS, "recipients", "452 4.5.3 too many recipients" },
        { LIMIT_MESSAGE_SIZE, "size",
            "552 5.3.4 Message size exceeds fixed maximum message size [size@In]" },
        { LIMIT_HEADER_SIZE, "header-size",
            "552 5.3.4 Header size exceeds fixed maximum [header-size@In]" },
        { LIMIT_HOPS, "hops", "554 5.4.14 Hop count exceeded - possible mail loop" },
        { LIMIT_LOCAL_HOPS, "local-hops",
            "554 5.4.14 Hop count exceeded - the message was here before [local-hops@In]" },
        { LIMIT_ERRORS, "errors", "421 4.7.0 Too many errors" },
        { LIMIT_LOGINS, "logins", "421 4.7.0 Too many failed logins [logins@In]" },
        { LIMIT_MESSAGES, "messages", "421 4.7.0 Too many messages in this session" },
    };
    struct receive_connector in = connector();

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct decision decision;
        char text[VERDICT_TEXT_BYTES];
        in.report_only = 0;
        limits_decide(&in, cases[i].limit, &decision);
        verdict_format(&decision.verdict, text);
        assert_string_equal(text, cases[i].reply);
        assert_string_equal(decision.rule, cases[i].name);
        assert_string_equal(limit_name(cases[i].limit), cases[i].name);
        in.report_only = cases[i].limit;
        limits_decide(&in, cases[i].limit, &decision);
        check(cases[i].name, decision_is_yes(&decision));
        /* What is not in report mode refuses all the same. */
        limits_decide(&in, (1u << LIMIT_COUNT) - 1, &decision);
        check(cases[i].name, !decision_is_yes(&decision));
    }
    receive_connector_done(&in);
}

static void rights_bypass_them(void **state)
{
    struct settings *settings = settings_new("relay.test");
    struct receive_connector *in = &settings->receive[0];
    struct client client = { 0 };

    (void)state;
    in->messages_per_minute_max = 7;
    in->size_bytes_max = 1000;
    assert_int_equal(limits_rate_max(settings, in, &client), 7);
    assert_int_equal(limits_size_max(settings, in, &client), 1000);
    in->allow |= RIGHT_BYPASS_RATE_LIMIT;
    assert_int_equal(limits_rate_max(settings, in, &client), 0);
    assert_int_equal(limits_size_max(settings, in, &client), 1000);
    in->allow |= RIGHT_BYPASS_SIZE_LIMIT;
    assert_int_equal(limits_size_max(settings, in, &client), 0);
    in->allow = 0;
    in->messages_per_session_max = 9;
    in->report_only = LIMIT_MESSAGE_SIZE | LIMIT_RECIPIENTS | LIMIT_MESSAGES;
    assert_int_equal(limits_size_max(settings, in, &client), 0);
    assert_int_equal(limits_recipients_max(in), 0);
    assert_int_equal(limits_messages_max(in), 0);
    in->report_only = 0;
    assert_int_equal(limits_recipients_max(in), 200);
    assert_int_equal(limits_messages_max(in), 9);
    settings_free(settings);
}

/* Attempts at these times, of which so many pass. */
static void rates(void **state)
{
    static const struct {
        const char *name;
        struct {
            int64_t at_ms;
            unsigned tries, pass;
        } steps[5];
    } cases[] = {
        { "at once", { { 60000, 30, 10 } } },
        { "the minute turns and forgets little",
            { { 119000, 30, 10 }, { 120000, 30, 0 }, { 126000, 30, 1 }, { 132000, 30, 1 } } },
        { "half a minute later half is back", { { 60000, 30, 10 }, { 150000, 30, 5 } } },
        { "two minutes later all is", { { 60000, 30, 10 }, { 180000, 30, 10 } } },
        { "a long time later", { { 60000, 30, 10 }, { 86400000, 30, 10 } } },
        { "what was refused does not count", { { 60000, 10000, 10 }, { 180000, 10, 10 } } },
        { "evenly, for ever", { { 60000, 5, 5 }, { 90000, 5, 5 }, { 126000, 2, 1 } } },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct rate_window window = { 0 };
        for (size_t k = 0; k < CASES(cases[i].steps); k++) {
            int64_t at_ms = cases[i].steps[k].at_ms;
            unsigned passed = 0, before = rate_count(&window, at_ms);
            for (unsigned n = 0; n < cases[i].steps[k].tries; n++)
                passed += rate_take(&window, 10, at_ms);
            check(cases[i].name, rate_count(&window, at_ms) == before + passed);
            if (passed != cases[i].steps[k].pass)
                fail_msg("%s: step %zu: %u", cases[i].name, k, passed);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections),
        cmocka_unit_test(headers),
        cmocka_unit_test(sources),
        cmocka_unit_test(replies),
        cmocka_unit_test(rights_bypass_them),
        cmocka_unit_test(rates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
