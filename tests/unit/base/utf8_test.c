#include "kit.h"

#include "base/utf8.h"

static void test_first(void **state)
{
    static const struct {
        const char *name;
        struct bytes text;
        size_t want;
    } cases[] = {
        { "nothing", BYTES(""), 0 },
        { "ASCII", BYTES("a\xc3"), 1 },
        { "NUL", BYTES("\0"), 1 },
        { "two bytes", BYTES("\xc3\xa9x"), 2 },
        { "three bytes", BYTES("\xe2\x82\xac"), 3 },
        { "four bytes", BYTES("\xf0\x9f\x98\x80"), 4 },
        { "cut after one", BYTES("\xe2"), 0 },
        { "cut after two", BYTES("\xe2\x82"), 0 },
        { "a stray second byte", BYTES("\x80"), 0 },
        { "overlong slash", BYTES("\xc0\xaf"), 0 },
        { "overlong in three", BYTES("\xe0\x9f\xbf"), 0 },
        { "a surrogate", BYTES("\xed\xa0\x80"), 0 },
        { "last before the surrogates", BYTES("\xed\x9f\xbf"), 3 },
        { "beyond the last", BYTES("\xf4\x90\x80\x80"), 0 },
        { "never a byte", BYTES("\xff"), 0 },
        { "third byte wrong", BYTES("\xe2\x82z"), 0 },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++)
        check(cases[i].name, utf8_first(cases[i].text) == cases[i].want);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_first) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
