#include "kit.h"

#include "mail/idna.h"

#define A63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void converts_names(void **state)
{
    static const struct {
        const char *name, *ascii; /* NULL: no valid name */
    } cases[] = {
        { "Example.COM", "example.com" },
        { "example.com.", "example.com" },
        { "mail_server.local", "mail_server.local" },
        { "xn--bcher-kva.example", "xn--bcher-kva.example" },
        { "b\xC3\xBC"
          "cher.example",
            "xn--bcher-kva.example" },
        { "B\xC3\x9C"
          "CHER.Example.",
            "xn--bcher-kva.example" },
        { "bu\xCC\x88"
          "cher.example",
            "xn--bcher-kva.example" }, /* not yet composed */
        { "stra\xC3\x9F"
          "e.example",
            "xn--strae-oqa.example" }, /* non-transitional */
        { "\xE4\xBE\x8B\xE3\x80\x82\xE4\xBE\x8B",
            "xn--fsq.xn--fsq" }, /* ideographic full stop */
        { A63 ".x", A63 ".x" },
        { "", NULL },
        { ".", NULL },
        { "a..b", NULL },
        { ".a", NULL },
        { "-a.b", NULL },
        { "a-.b", NULL },
        { "a b", NULL },
        { "a@b", NULL },
        { "[192.0.2.1]", NULL },
        { A63 "a.x", NULL },
        { A63 "." A63 "." A63 "." A63, NULL },
        { "\xC3", NULL },
        { "\xC3\xA4 b", NULL },
        { "\xC3\xA4\xEF\xBC\xA0"
          "b",
            NULL },                                  /* a full-width at sign */
        { "\xC3\xA4\xEF\xBC\xA1.b", "xn--a-zfa.b" }, /* a full-width A */
        { "\xC3\xA4..b", NULL },
        { "\xE2\x98\x83\xEF\xBF\xBD", NULL },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        char out[IDNA_BYTES_MAX] = "before";
        enum err err = idna_to_ascii(bytes_text(cases[i].name), out);
        check(cases[i].name, err == (cases[i].ascii ? OK : ERR_SYNTAX));
        if (err == OK)
            check_bytes(cases[i].name, bytes_text(out), bytes_text(cases[i].ascii));
    }
}

static void a_nul_is_no_end(void **state)
{
    char out[IDNA_BYTES_MAX];

    (void)state;
    assert_int_equal(idna_to_ascii(BYTES("a\0b"), out), ERR_SYNTAX);
    assert_int_equal(idna_to_ascii(BYTES("\xC3\xA4\0b"), out), ERR_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(converts_names),
        cmocka_unit_test(a_nul_is_no_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
