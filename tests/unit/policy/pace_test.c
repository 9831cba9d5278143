/* Hosts that say "slow down", and how they get faster again. */
#include "kit.h"

#include "policy/pace.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, START = 1000 * MINUTE };

static void test_signs(void **state)
{
    static const struct {
        const char *name;
        uint16_t code;
        struct status status;
        const char *text;
        enum pace_sign want;
    } cases[] = {
        { "Exchange Online", 432, { 4, 3, 2 }, "Concurrent connections limit exceeded",
            PACE_SIGN_CONNECTIONS },
        { "the same at the end of a message", 432, { 4, 3, 2 },
            "STOREDRV.ClientSubmit; sender thread limit exceeded", PACE_SIGN_CONNECTIONS },
        { "432 without a word", 432, { 0, 0, 0 }, "", PACE_SIGN_CONNECTIONS },
        { "a password that must change", 432, { 4, 7, 12 }, "A password transition is needed",
            PACE_SIGN_NONE },
        { "Exchange", 421, { 4, 3, 2 },
            "The maximum number of concurrent connections has exceeded a limit",
            PACE_SIGN_CONNECTIONS },
        { "Exchange, messages", 421, { 4, 4, 2 },
            "Message submission rate for this client has exceeded the configured limit",
            PACE_SIGN_RATE },
        { "ourselves", 421, { 4, 7, 0 },
            "Too many connections from your address, try again later", PACE_SIGN_CONNECTIONS },
        { "ourselves, messages", 450, { 4, 7, 1 },
            "Message submission rate for this client has exceeded the configured limit",
            PACE_SIGN_RATE },
        { "Postfix", 421, { 4, 7, 0 }, "mx.example Error: too many connections from 192.0.2.1",
            PACE_SIGN_CONNECTIONS },
        { "Postfix, messages", 450, { 4, 7, 1 }, "Error: too much mail from 192.0.2.1",
            PACE_SIGN_RATE },
        { "Sendmail", 452, { 4, 3, 2 }, "Connection rate limit exceeded.",
            PACE_SIGN_CONNECTIONS },
        { "Gmail", 421, { 4, 7, 28 }, "Our system has detected an unusual rate of mail",
            PACE_SIGN_RATE },
        { "Gmail, new words", 450, { 4, 7, 28 }, "xyz", PACE_SIGN_RATE },
        { "Gmail, a mailbox", 450, { 4, 2, 1 },
            "The user is receiving mail too fast, at a rate limit", PACE_SIGN_NONE },
        { "connections", 452, { 4, 5, 3 }, "too many connections", PACE_SIGN_CONNECTIONS },
        { "recipients", 452, { 4, 5, 3 }, "too many recipients", PACE_SIGN_NONE },
        { "recipients an hour", 452, { 0, 0, 0 }, "Too many recipients received this hour",
            PACE_SIGN_RATE },
        { "case", 451, { 4, 7, 1 }, "PLEASE SLOW DOWN", PACE_SIGN_RATE },
        { "greylisting", 450, { 4, 7, 1 }, "Greylisted, slow down, 5 per minute",
            PACE_SIGN_NONE },
        { "a disk", 452, { 4, 3, 1 }, "Insufficient system storage", PACE_SIGN_NONE },
        { "going down", 421, { 4, 3, 2 }, "Service not active", PACE_SIGN_NONE },
        { "later", 451, { 4, 3, 0 }, "Try again later", PACE_SIGN_NONE },
        { "for good", 550, { 5, 7, 1 }, "rate limit exceeded", PACE_SIGN_NONE },
        { "yes", 250, { 2, 0, 0 }, "rate limit 10 per minute", PACE_SIGN_NONE },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++)
        check(cases[i].name,
            pace_sign_of(cases[i].code, cases[i].status, cases[i].text) == cases[i].want);
}

/* Whoever takes whenever it may never gets more in a minute. */
static void test_fixed_rate(void **state)
{
    static const uint32_t rates[] = { 1, 2, 30, 59, 60, 61, 100, 600, 6000, 100000 };

    (void)state;
    for (size_t r = 0; r < CASES(rates); r++) {
        struct pace_clock clock = { 0 };
        int64_t now = START, end = START + MINUTE;
        uint32_t count = 0;
        for (; now < end; now += pace_clock_wait_ms(&clock, now)) {
            pace_clock_take(&clock, rates[r], now);
            count++;
        }
        check("not more", count <= rates[r]);
        check("nearly so many", count >= rates[r] - rates[r] / 20);
    }
}

static void test_fixed_rate_is_spread(void **state)
{
    struct pace_clock clock = { 0 };

    (void)state;
    pace_clock_take(&clock, 30, START);
    assert_in_range(pace_clock_wait_ms(&clock, START), 2000, 2034);
    assert_in_range(pace_clock_wait_ms(&clock, START + 2000), 0, 34);
    assert_int_equal(pace_clock_wait_ms(&clock, START + MINUTE), 0);
}

static void test_connections_at_once(void **state)
{
    struct pace pace = { 0 };

    (void)state;
    assert_true(pace_may_connect(&pace, 1000));
    assert_true(pace_slow_down(&pace, PACE_SIGN_CONNECTIONS, 4, true, START));
    assert_int_equal(pace.connections_max, 3);
    assert_int_equal(pace_wait_ms(&pace, START), 0); /* the three go on */
    assert_true(pace_may_connect(&pace, 2));
    assert_false(pace_may_connect(&pace, 3));
    /* The answers of the same moment do not count again. */
    assert_false(pace_slow_down(&pace, PACE_SIGN_CONNECTIONS, 3, true, START + 10));
    assert_int_equal(pace.connections_max, 3);
}

static void test_connections_of_messages(void **state)
{
    struct pace pace = { 0 };

    (void)state;
    assert_true(pace_slow_down(&pace, PACE_SIGN_CONNECTIONS, 8, false, START));
    assert_int_equal(pace.connections_max, 4);
    assert_true(pace_slow_down(&pace, PACE_SIGN_CONNECTIONS, 4, false, START + 2000));
    assert_int_equal(pace.connections_max, 2);
    assert_int_equal(pace_wait_ms(&pace, START + 2000), 0);
    /* The only one: others use the host, and it is left alone for a while. */
    assert_true(pace_slow_down(&pace, PACE_SIGN_CONNECTIONS, 1, false, START + 4000));
    assert_int_equal(pace.connections_max, 1);
    assert_int_equal(pace_wait_ms(&pace, START + 4000), 1000);
}

/* Though it is the same moment: nothing may make us ask again and again. */
static void test_the_last_connection_always_pauses(void **state)
{
    struct pace pace = { 0 };

    (void)state;
    pace_slow_down(&pace, PACE_SIGN_CONNECTIONS, 2, true, START);
    assert_int_equal(pace_wait_ms(&pace, START), 0);
    assert_false(pace_slow_down(&pace, PACE_SIGN_CONNECTIONS, 1, true, START + 1));
    assert_int_equal(pace_wait_ms(&pace, START + 1), 1000);
}

static void test_pauses_double(void **state)
{
    struct pace pace = { 0 };
    int64_t now = START;

    (void)state;
    for (int64_t want = 1; want <= 512; want *= 2) {
        pace_slow_down(&pace, PACE_SIGN_RATE, 1, false, now);
        assert_int_equal(pace_wait_ms(&pace, now), (want < 60 ? want : 60) * SECOND);
        now += pace_wait_ms(&pace, now);
    }
    pace_accepted(&pace, now);
    pace_slow_down(&pace, PACE_SIGN_RATE, 1, false, now);
    assert_int_equal(pace_wait_ms(&pace, now), SECOND);
    assert_true(pace.per_minute_max >= 1);
}

/* Told again without anything new: the pause doubles, and nothing else changes. */
static void test_pauses_alone(void **state)
{
    struct pace pace = { 0 };

    (void)state;
    pace_slow_down(&pace, PACE_SIGN_RATE, 1, false, START);
    pace_pause(&pace, START + 10); /* it was told before the first began */
    assert_int_equal(pace_wait_ms(&pace, START + 10), 990);
    pace_pause(&pace, START + SECOND);
    assert_int_equal(pace_wait_ms(&pace, START + SECOND), 2 * SECOND);
    assert_int_equal(pace.per_minute_max, 30);
}

/* They did not mean us: nothing of the signs is left but what was counted. */
static void test_taken_back(void **state)
{
    struct pace pace = { 0 };

    (void)state;
    for (int i = 0; i < 99; i++)
        pace_accepted(&pace, START - 99 + i);
    pace_slow_down(&pace, PACE_SIGN_RATE, 4, false, START);
    pace_slow_down(&pace, PACE_SIGN_RATE, 4, false, START + SECOND);
    pace_slow_down(&pace, PACE_SIGN_CONNECTIONS, 4, false, START + 5 * SECOND);
    assert_int_equal(pace.per_minute_max, 1485);
    assert_int_equal(pace.connections_max, 2);
    pace_take_back(&pace, PACE_SIGN_RATE);
    assert_int_equal(pace.per_minute_max, 2971);
    pace_take_back(&pace, PACE_SIGN_RATE);
    assert_int_equal(pace.per_minute_max, 0);
    pace_take_back(&pace, PACE_SIGN_RATE); /* no more than that */
    assert_true(pace_is_slow(&pace));
    pace_take_back(&pace, PACE_SIGN_CONNECTIONS);
    assert_false(pace_is_slow(&pace));
    assert_int_equal(pace_wait_ms(&pace, START + 5 * SECOND), 0);
    assert_int_equal(pace_measured(&pace, START), 5940);
}

/* A host that takes PER_MINUTE in each minute of its clock: what of it is used, how often it
 * has to say no. */
static void test_follows_a_host(void **state)
{
    static const uint32_t limits[] = { 30, 60, 600, 6000 };

    (void)state;
    for (size_t l = 0; l < CASES(limits); l++) {
        struct pace pace = { 0 };
        int64_t now = START, minute = 0, step = START;
        uint32_t used = 0, refused = 0, accepted = 0;
        while (now < START + 30 * MINUTE) {
            int64_t wait = pace_wait_ms(&pace, now);
            if (now / MINUTE != minute)
                used = 0;
            minute = now / MINUTE;
            if (now - step >= PACE_STEP_MS) {
                pace_step(&pace, now);
                step = now;
            }
            if (wait) {
                now += wait < SECOND ? wait : SECOND;
                continue;
            }
            pace_take(&pace, now);
            if (used < limits[l]) {
                used++;
                accepted++;
                pace_accepted(&pace, now);
            } else {
                refused++;
                pace_slow_down(&pace, PACE_SIGN_RATE, 1, false, now);
            }
            now++;
        }
        check("refusals are few", refused < 150);
        check("half of it is used", accepted > limits[l] * 30 / 2);
    }
}

static void test_recovers(void **state)
{
    struct pace pace = { 0 };
    int64_t now = START;

    (void)state;
    for (int i = 0; i < 100; i++)
        pace_accepted(&pace, START - 100 + i);
    assert_int_equal(pace_measured(&pace, START), 6000);
    pace_slow_down(&pace, PACE_SIGN_RATE, 2, false, START);
    pace_slow_down(&pace, PACE_SIGN_CONNECTIONS, 2, true, START + 2000);
    assert_int_equal(pace.per_minute_max, 3000);
    assert_int_equal(pace.connections_max, 1);
    do
        now += PACE_STEP_MS;
    while (!pace_step(&pace, now) && now < START + 60 * MINUTE);
    assert_false(pace_is_slow(&pace));
    assert_in_range(now - START, 5 * MINUTE, 10 * MINUTE);
    assert_false(pace_step(&pace, now + MINUTE));
}

static void test_an_hour_without_a_sign_is_enough(void **state)
{
    struct pace pace = { 0 };

    (void)state;
    pace_slow_down(&pace, PACE_SIGN_RATE, 1, false, START);
    assert_true(pace_step(&pace, START + 60 * MINUTE));
    assert_int_equal(pace_wait_ms(&pace, START + 60 * MINUTE), 0);
}

/* A wait that was set at a low rate does not outlast it. */
static void test_a_step_up_shortens_the_wait(void **state)
{
    struct pace pace = {
        .per_minute_max = 1, .per_minute_bad = 1, .per_minute_first = 100, .sign_ms = START
    };

    (void)state;
    pace_take(&pace, START);
    assert_int_equal(pace_wait_ms(&pace, START), 61 * SECOND);
    pace_step(&pace, START + PACE_STEP_MS);
    assert_int_equal(pace.per_minute_max, 2);
    assert_int_equal(pace_wait_ms(&pace, START + PACE_STEP_MS), 30500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signs),
        cmocka_unit_test(test_fixed_rate),
        cmocka_unit_test(test_fixed_rate_is_spread),
        cmocka_unit_test(test_connections_at_once),
        cmocka_unit_test(test_connections_of_messages),
        cmocka_unit_test(test_the_last_connection_always_pauses),
        cmocka_unit_test(test_pauses_double),
        cmocka_unit_test(test_pauses_alone),
        cmocka_unit_test(test_taken_back),
        cmocka_unit_test(test_follows_a_host),
        cmocka_unit_test(test_recovers),
        cmocka_unit_test(test_an_hour_without_a_sign_is_enough),
        cmocka_unit_test(test_a_step_up_shortens_the_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
