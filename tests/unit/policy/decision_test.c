/* What a refusal says, and that it keeps its rule when it is too long. */
#include "kit.h"

#include "policy/decision.h"

static void a_refusal_ends_with_its_rule(void **state)
{
    struct decision decision;

    (void)state;
    decide_refusal(&decision, "size", "Scan ners",
        verdict_of(552, STATUS(5, 3, 4), "Too large"), "more than %d", 7);
    check_bytes("text", bytes_text(decision.verdict.text), BYTES("Too large [size@Scan ners]"));
    check_bytes("why", bytes_text(decision.why), BYTES("more than 7"));
    check_bytes("rule", bytes_text(decision.rule), BYTES("size"));
    check("no", !decision_is_yes(&decision) && decision.verdict.code == 552);
}

static void long_texts_are_cut_before_the_rule(void **state)
{
    static const char connector[] =
        "1234567890123456789012345678901234567890123456789012345678901234";
    char text[400];
    struct decision decision;
    struct bytes got,
        tag = BYTES(" [rule@1234567890123456789012345678901234567890123456789012345678901234]");

    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    decide_refusal(
        &decision, "rule", connector, verdict_of(550, STATUS(5, 7, 1), "%s", text), "%s", text);
    got = bytes_text(decision.verdict.text);
    assert_int_equal(got.n, sizeof decision.verdict.text - 1);
    check_bytes("tag", bytes_skip(got, got.n - tag.n), tag);
    assert_int_equal(strlen(decision.why), DECISION_WHY_BYTES - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refusal_ends_with_its_rule),
        cmocka_unit_test(long_texts_are_cut_before_the_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
