/* What `relais shadow status` says to people. */
#include "kit.h"

#include "ctl/shadow_print.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void test_spans(void **state)
{
    static const struct {
        int64_t ms;
        const char *want;
    } cases[] = { { -1, "-" }, { 0, "0.0s" }, { 430, "0.4s" }, { 9999, "10.0s" },
        { 10000, "10s" }, { 75000, "1m" }, { 7260000, "2h1m" } };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        char text[24];
        shadow_span(cases[i].ms, text);
        assert_string_equal(text, cases[i].want);
    }
}

static struct ctl_object *parse(const char *text)
{
    struct ctl_object *object;
    char why[160];

    assert_int_equal(ctl_parse(bytes_text(text), &object, why), OK);
    return object;
}

static void test_verdicts(void **state)
{
    static const struct {
        const char *status, *want;
    } cases[] = {
        { "{\"redundant\": true, \"redundancy_reason\": \"every message is on two nodes\"}",
            "redundant: every message is on two nodes" },
        { "{\"redundant\": false, \"redundancy_reason\": \"single node\"}",
            "NOT redundant: single node" },
        { "{}", "NOT redundant" },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct ctl_object *status = parse(cases[i].status);
        char text[512];
        shadow_verdict(status, text);
        assert_string_equal(text, cases[i].want);
        ctl_free(status);
    }
}

/* What a function prints. */
static void capture(const struct ctl_object *status, char *out, size_t room)
{
    FILE *file = tmpfile();
    int saved = dup(STDOUT_FILENO);
    size_t n;

    assert_non_null(file);
    fflush(stdout);
    dup2(fileno(file), STDOUT_FILENO);
    shadow_print_status(status);
    fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    rewind(file);
    n = fread(out, 1, room - 1, file);
    out[n] = 0;
    fclose(file);
}

static void test_status(void **state)
{
    static const char answer[] =
        "{\"redundant\": false, \"redundancy_reason\": \"3 messages have one copy, oldest 2m: "
        "ex02 silent for 1m15s\", \"node\": \"ex01\", \"store\": "
        "\"0c5e0c5e0c5e0c5e0c5e0c5e0c5e0c5e\","
        "\"position\": 81723, \"right_to_deliver\": true, \"alone\": 0, \"primary\": 43, "
        "\"on_two_nodes\": "
        "40,"
        "\"single\": 3, \"single_by\": {\"no-node\": 1, \"failed\": 0, \"lost\": 2},"
        "\"single_oldest_ms\": 120000, \"held\": 12, \"unclaimed\": 0, \"aside\": 1,"
        "\"copies_sent\": 1000, \"bytes_sent\": 10240, \"copies_in_flight\": 2,"
        "\"copies_received\": 7, \"bytes_received\": 700, \"copy_us_p50\": 412, "
        "\"copy_us_p99\": 2100,"
        "\"maybe_twice\": {\"d1\": 1, \"d2\": 2, \"d3\": 0, \"d4\": 0, \"d6\": 5},"
        "\"events\": {\"ha_receive\": 7, \"ha_discard\": 0, \"takeover\": 1},"
        "\"alarms\": [\"ex02 silent for 1m15s\", \"set aside: 1 message\"],"
        "\"nodes\": [{\"node\": \"ex02\", \"state\": \"silent\", \"up\": false, "
        "\"link_error\": \"refused\", \"contact_ms\": 75000,"
        "\"failures\": 7, \"copies_there\": 40, \"held\": 12, \"held_oldest_ms\": 130000,"
        "\"owed\": 3, \"lag_ms\": 400, \"store\": \"77aa77aa77aa77aa77aa77aa77aa77aa\"}]}";
    static const char want[] =
        "NOT redundant: 3 messages have one copy, oldest 2m: ex02 silent for 1m15s\n"
        "\n"
        "NODE  STATE   LINK  HEARD  FAILED  COPIES THERE  HELD FOR IT  OLDEST  OWED   LAG  "
        "STORE\n"
        "ex02  silent  down     1m       7            40           12      2m     3  0.4s  "
        "77aa77aa\n"
        "no link to ex02: refused\n"
        "\n"
        "this node          ex01, store 0c5e0c5e, position 81723\n"
        "right to deliver   yes\n"
        "messages           43 to deliver, 40 of them on two nodes\n"
        "one copy           3, oldest 2m\n"
        "                   1: no other node could be asked\n"
        "                   2: the other copy was lost\n"
        "copies held        12 for other nodes\n"
        "                   0 unclaimed, 1 set aside (relais shadow list)\n"
        "copies sent        1000 (10K), 2 under way; received 7 (700)\n"
        "a copy takes       0.4 ms (p50), 2.1 ms (p99)\n"
        "maybe twice        D1 1, D2 2, D3 0, D4 0, D6 5 since the start\n"
        "ALARM              ex02 silent for 1m15s\n"
        "                   set aside: 1 message\n"
        "since the start\n"
        "  ha_receive           7\n"
        "  takeover             1\n";
    struct ctl_object *status = parse(answer);
    char got[4000];

    (void)state;
    capture(status, got, sizeof got);
    ctl_free(status);
    check_bytes("status", bytes_text(got), bytes_text(want));
}

/* An answer of an older, or a newer, daemon. */
static void test_an_empty_answer(void **state)
{
    struct ctl_object *status = parse("{}");
    char got[4000];

    (void)state;
    capture(status, got, sizeof got);
    ctl_free(status);
    assert_non_null(strstr(got, "NOT redundant\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spans),
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_an_empty_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
