/* What goes first, and who may say so. */
#include "kit.h"

#include "policy/priority.h"

static void levels(void **state)
{
    static const struct {
        const char *name;
        bool trusts;
        int8_t connector, mail, header, want;
    } cases[] = {
        { "says nothing", false, 0, 0, 0, 0 },
        { "the connector's", false, 3, 0, 0, 3 },
        { "asks for more, is not trusted", false, 0, 4, 4, 0 },
        { "asks for less", false, 0, -4, 0, -4 },
        { "asks for less by a field", false, 0, 0, -4, -4 },
        { "is trusted", true, 0, 9, 0, 9 },
        { "is trusted by a field", true, 0, 0, 4, 4 },
        { "MAIL counts more", true, 0, 2, -4, 2 },
        { "asks for as much as it has", false, 4, 4, 0, 4 },
        { "asks for less than it has", false, 4, 1, 0, 1 },
        { "low by default", false, -4, 0, 4, -4 },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct receive_connector connector = { .priority = cases[i].connector,
            .trusts_priority = cases[i].trusts };
        struct priority_wish wish = { .mail = cases[i].mail, .header = cases[i].header };
        check(cases[i].name, priority_level(&connector, &wish) == cases[i].want);
    }
}

static void lists(void **state)
{
    unsigned turns[PRIORITY_COUNT] = { 0 };

    (void)state;
    check("high", priority_of(1) == PRIORITY_HIGH && priority_of(9) == PRIORITY_HIGH);
    check("normal", priority_of(0) == PRIORITY_NORMAL);
    check("low", priority_of(-1) == PRIORITY_LOW && priority_of(-9) == PRIORITY_LOW);
    for (unsigned turn = 0; turn < 256; turn++)
        turns[priority_turn(turn)]++;
    check("a share for the normal", turns[PRIORITY_NORMAL] == 16);
    check("a share for the low", turns[PRIORITY_LOW] == 16);
    assert_string_equal(priority_name(PRIORITY_LOW), "low");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels),
        cmocka_unit_test(lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
