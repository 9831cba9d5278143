/* Questions to a daemon that is a thread with the answer in its hand. */
#include "daemon_kit.h"

#include "ctl/link.h"

#include <sysexits.h>

static bool add_number(void *me, const struct ctl_object *row)
{
    int64_t *sum = me;

    *sum += ctl_number(row, "n", 0);
    return *sum < 100;
}

#define ROWS "{\"row\":{\"n\":1}}\n{\"progress\":0.5}\n{\"row\":{\"n\":2}}\n"

static void test_answers(void **state)
{
    static const struct {
        const char *name, *answer;
        int code;
        int64_t sum;
        bool has_answer;
    } cases[] = {
        { "rows", ROWS "{\"ok\":true,\"count\":2}\n", EX_OK, 3, true },
        { "no rows", "{\"ok\":true}\n", EX_OK, 0, true },
        { "refused", "{\"ok\":false,\"error\":\"no\",\"code\":66}\n", EX_NOINPUT, 0, false },
        { "refused without a code", "{\"ok\":false}\n", EX_UNAVAILABLE, 0, false },
        { "refused after rows", ROWS "{\"ok\":false,\"code\":70}\n", EX_SOFTWARE, 3, false },
        { "complaints", "{\"ok\":false,\"complaints\":[\"a\",\"b\"],\"code\":78}\n", EX_CONFIG,
            0, false },
        { "enough", "{\"row\":{\"n\":100}}\n{\"row\":{\"n\":1}}\n", EX_OK, 100, false },
        { "no end", ROWS, EX_UNAVAILABLE, 3, false },
        { "half a line", ROWS "{\"ok\":tr", EX_UNAVAILABLE, 3, false },
        { "garbage", "250 ok\n", EX_PROTOCOL, 0, false },
        { "nothing", "", EX_UNAVAILABLE, 0, false },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        for (size_t piece = 1; piece < 1000; piece *= 7) {
            struct fake_daemon daemon;
            struct tool tool = { 0 };
            int64_t sum = 0;
            struct link_reader reader = { add_number, &sum };
            struct ctl_object *request = link_request("test"), *answer = NULL;
            daemon_start(&daemon, cases[i].answer, piece);
            tool.socket = daemon.path;
            check(cases[i].name, link_ask(&tool, &request, &reader, &answer) == cases[i].code);
            check(cases[i].name, sum == cases[i].sum && request == NULL);
            check(cases[i].name, (answer != NULL) == cases[i].has_answer);
            ctl_free(answer);
            daemon_stop(&daemon);
            assert_string_equal(daemon.question, "{\"command\":\"test\"}\n");
        }
    }
}

static void test_down(void **state)
{
    struct tool tool = { .socket = "/nowhere/at/all" };
    struct ctl_object *request = link_request("test");

    (void)state;
    assert_int_equal(link_ask(&tool, &request, NULL, NULL), LINK_DOWN);
    assert_null(request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
