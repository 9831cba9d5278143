#include "kit.h"

#include "mail/status.h"

static void reads_and_writes_status(void **state)
{
    static const struct {
        const char *text, *again; /* NULL: there is none */
        size_t used;
    } cases[] = {
        { "5.7.54 SMTP; Unable to relay", "5.7.54", 6 },
        { "2.0.0", "2.0.0", 5 },
        { "4.999.999 x", "4.999.999", 9 },
        { "5.1.10\r\n", "5.1.10", 6 },
        { "3.0.0", NULL, 0 },
        { "5.1", NULL, 0 },
        { "5.1.", NULL, 0 },
        { "5..1", NULL, 0 },
        { "5.1.1.3", NULL, 0 },
        { "5.1.1000", NULL, 0 },
        { "5.1.1x", NULL, 0 },
        { "5", NULL, 0 },
        { "", NULL, 0 },
        { "hello", NULL, 0 },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct status status;
        char text[STATUS_TEXT_BYTES];
        size_t used = 0;
        bool ok = status_parse(bytes_text(cases[i].text), &status, &used);
        check(cases[i].text, ok == (cases[i].again != NULL));
        check(cases[i].text, used == cases[i].used);
        if (!ok)
            continue;
        status_format(status, text);
        check_bytes(cases[i].text, bytes_text(text), bytes_text(cases[i].again));
    }
}

static void no_status_is_no_text(void **state)
{
    char text[STATUS_TEXT_BYTES] = "x";

    (void)state;
    status_format(STATUS(0, 0, 0), text);
    assert_string_equal(text, "");
}

static void a_verdict_stays_one_printable_line(void **state)
{
    char long_text[400];
    struct verdict verdict;

    (void)state;
    verdict = verdict_of(550, STATUS(5, 7, 54), "no %s", "a\r\nb\xC3\x80\x7F");
    assert_string_equal(verdict.text, "no a??b???");
    assert_int_equal(verdict.code, 550);
    assert_false(verdict_is_ok(&verdict));

    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = 0;
    verdict = verdict_of(250, STATUS(2, 0, 0), "%s", long_text);
    assert_int_equal(strlen(verdict.text), sizeof verdict.text - 1);
    assert_true(verdict_is_ok(&verdict));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_and_writes_status),
        cmocka_unit_test(no_status_is_no_text),
        cmocka_unit_test(a_verdict_stays_one_printable_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
