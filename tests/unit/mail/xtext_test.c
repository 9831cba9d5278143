#include "kit.h"

#include "mail/xtext.h"

static void decodes(void **state)
{
    static const struct {
        const char *text, *plain; /* NULL: not decoded */
        bool is_valid;
    } cases[] = {
        { "", "", true },
        { "rfc822;a+2Bb@example.com", "rfc822;a+b@example.com", true },
        { "+3D+20+2B", "= +", true },
        { "a=b", NULL, false },
        { "a b", NULL, false },
        { "a+", NULL, false },
        { "a+2", NULL, false },
        { "a+2g", NULL, false },
        { "a+2b", NULL, false },
        { "\xC3\xA4", NULL, false },
        { "a+0D+0Ab", NULL, true },
        { "a+00", NULL, true },
        { "a+E4", NULL, true },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        uint8_t plain[XTEXT_BYTES_MAX];
        size_t n = 0;
        bool ok = xtext_decode(bytes_text(cases[i].text), plain, &n);
        check(cases[i].text, xtext_is_valid(bytes_text(cases[i].text)) == cases[i].is_valid);
        check(cases[i].text, ok == (cases[i].plain != NULL));
        if (ok)
            check_bytes(cases[i].text, bytes_of(plain, n), bytes_text(cases[i].plain));
    }
}

static void a_long_text_is_left_as_it_is(void **state)
{
    uint8_t text[XTEXT_BYTES_MAX + 1], plain[XTEXT_BYTES_MAX];
    size_t n = 0;

    (void)state;
    memset(text, 'a', sizeof text);
    assert_true(xtext_decode(bytes_of(text, XTEXT_BYTES_MAX), plain, &n));
    assert_int_equal(n, XTEXT_BYTES_MAX);
    assert_false(xtext_decode(bytes_of(text, sizeof text), plain, &n));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes),
        cmocka_unit_test(a_long_text_is_left_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
