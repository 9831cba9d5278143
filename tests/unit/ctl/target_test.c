#include "kit.h"

#include "ctl/target.h"

static void test_targets(void **state)
{
    static const struct {
        const char *text, *want; /* NULL: refused */
    } cases[] = {
        { "127.0.0.1:25", "127.0.0.1:25" },
        { "localhost:2525", "127.0.0.1:2525" },
        { "[::1]:0", "[::1]:0" },
        { "unix:/run/x", "unix:/run/x" },
        { "unix:", NULL },
        { "127.0.0.1", NULL },
        { "127.0.0.1:", NULL },
        { ":25", NULL },
        { "", NULL },
        { "127.0.0.1:65536", NULL },
        { "127.0.0.1:25x", NULL },
        { "example.com:25", NULL },
        { "[]:25", NULL },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct endpoint endpoint;
        char text[ENDPOINT_TEXT_BYTES];
        bool good = target_parse(cases[i].text, &endpoint);
        check(cases[i].text, good == (cases[i].want != NULL));
        if (!good)
            continue;
        endpoint_format(&endpoint, text);
        assert_string_equal(text, cases[i].want);
    }
}

static void test_replies(void **state)
{
    static const char *const bad[] = { "", "45", "451x", "600 no", "199 no", "354 go on",
        "450 a\r\n250 b", "abc" };
    struct verdict verdict;

    (void)state;
    assert_true(reply_parse("451 4.3.0 try later", &verdict));
    assert_int_equal(verdict.code, 451);
    assert_int_equal(verdict.status.subject, 3);
    assert_string_equal(verdict.text, "try later");
    assert_true(reply_parse("550 no", &verdict));
    assert_int_equal(verdict.status.class, 0);
    assert_string_equal(verdict.text, "no");
    assert_true(reply_parse("421", &verdict));
    for (size_t i = 0; i < CASES(bad); i++)
        check(bad[i], !reply_parse(bad[i], &verdict));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_replies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
