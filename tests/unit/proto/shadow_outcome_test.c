#include "shadow_kit.h"

static const struct {
    uint16_t code;
    const char *text;
    bool is_good;
    enum shadow_fate fate;
    const char *again; /* where it is not the same */
} cases[] = {
    { 250, "2.6.0 " MID_5F " durable", true, SHADOW_DURABLE, NULL },
    { 250, MID_5F " durable", true, SHADOW_DURABLE, "2.6.0 " MID_5F " durable" },
    { 250, "2.6.0 " MID_5F " settled", true, SHADOW_SETTLED, NULL },
    { 250, "2.6.0 " MID_5F " moved ex03.example.com " STORE_A, true, SHADOW_MOVED, NULL },
    { 250, "2.6.0 " MID_60 " durable", false, 0, NULL },
    { 250, "2.6.0 " MID_5F " moved ex03.example.com", false, 0, NULL },
    { 250, "2.6.0 " MID_5F " moved", false, 0, NULL },
    { 250, "2.6.0 " MID_5F " durable too", false, 0, NULL },
    { 250, "2.6.0 " MID_5F " kept", false, 0, NULL },
    { 250, "2.6.0 " MID_5F, false, 0, NULL },
    { 250, "2.6.0 durable", false, 0, NULL },
    { 250, "2.6.0", false, 0, NULL },
    { 250, "", false, 0, NULL },
    { 251, "2.6.0 " MID_5F " durable", false, 0, NULL },
    { 354, "go on", false, 0, NULL },
    { 450, "4.5.0 " MID_5F " busy", true, SHADOW_BUSY, NULL },
    { 450, "4.5.0 " MID_5F " busy in acceptance", true, SHADOW_BUSY, NULL },
    { 450, "4.5.0 " MID_60 " busy", true, SHADOW_REFUSED, NULL },
    { 450, "4.5.0 not now", true, SHADOW_REFUSED, NULL },
    { 451, "4.5.0 " MID_5F " busy", true, SHADOW_REFUSED, NULL },
    { 452, "4.3.1 full", true, SHADOW_REFUSED, NULL },
    { 554, "5.6.0 another envelope under this mid", true, SHADOW_REFUSED, NULL },
    { 554, "no status", true, SHADOW_REFUSED, "5.0.0 no status" },
    { 554, "4.6.0 another class", true, SHADOW_REFUSED, "5.0.0 4.6.0 another class" },
    { 554, "5.6.0", true, SHADOW_REFUSED, NULL },
    { 554, "", true, SHADOW_REFUSED, "5.0.0" },
    { 554, "5.6.0 a\x01z", true, SHADOW_REFUSED, "5.6.0 a?z" },
};

static void reads(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        const char *again = cases[i].again ? cases[i].again : cases[i].text;
        struct shadow_outcome outcome = { .fate = SHADOW_LOST };
        bool is_good = shadow_parse_outcome(
            cases[i].code, bytes_text(cases[i].text), mid_of(MID_5F), &outcome);
        struct buf out;

        check(cases[i].text, is_good == cases[i].is_good);
        check(cases[i].text, outcome.fate == (is_good ? cases[i].fate : SHADOW_LOST));
        if (!is_good)
            continue;
        buf_init(&out, 1000);
        check(cases[i].text, shadow_add_outcome(&out, mid_of(MID_5F), &outcome) == OK);
        check_bytes(again, bytes_of(out.at + 4, out.n - 6), bytes_text(again));
        buf_done(&out);
    }
}

static void keeps_the_values(void **state)
{
    struct shadow_outcome outcome;
    char text[VERDICT_TEXT_BYTES];

    (void)state;
    assert_true(shadow_parse_outcome(
        250, BYTES("2.6.0 " MID_5F " moved ex03 " STORE_B), mid_of(MID_5F), &outcome));
    check_bytes("node", outcome.node.name, BYTES("ex03"));
    assert_memory_equal(outcome.node.store.byte, store_of(STORE_B).byte, 16);
    assert_true(shadow_parse_outcome(452, BYTES("4.3.1 full up"), mid_of(MID_5F), &outcome));
    verdict_format(&outcome.verdict, text);
    assert_string_equal(text, "452 4.3.1 full up");
}

static void cuts_a_long_text(void **state)
{
    char text[600];
    struct shadow_outcome outcome;

    (void)state;
    memset(text, 'x', sizeof text);
    assert_true(
        shadow_parse_outcome(554, bytes_of(text, sizeof text), mid_of(MID_5F), &outcome));
    assert_int_equal(strlen(outcome.verdict.text), sizeof outcome.verdict.text - 1);
}

static void adds_all_or_nothing(void **state)
{
    const struct bytes want = BYTES("250 2.6.0 " MID_5F " durable\r\n");
    const struct shadow_outcome outcome = { .fate = SHADOW_DURABLE };
    struct buf out;

    (void)state;
    for (size_t max = 0; max <= want.n; max++) {
        buf_init(&out, max);
        assert_int_equal(
            shadow_add_outcome(&out, mid_of(MID_5F), &outcome), max < want.n ? ERR_LIMIT : OK);
        check_bytes("outcome", buf_bytes(&out), max < want.n ? BYTES_NONE : want);
        buf_done(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads),
        cmocka_unit_test(keeps_the_values),
        cmocka_unit_test(cuts_a_long_text),
        cmocka_unit_test(adds_all_or_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
