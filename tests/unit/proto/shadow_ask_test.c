#include "shadow_kit.h"

#define DISCARD SHADOW_ASK_DISCARD
#define TAKEN SHADOW_ASK_TAKEN
#define AUDIT SHADOW_ASK_AUDIT

static const struct bytes verbs[] = {
    [DISCARD] = BYTES("XQDISCARD "), [TAKEN] = BYTES("XQTAKEN "), [AUDIT] = BYTES("XQAUDIT ")
};

static const struct {
    enum shadow_ask_type type;
    const char *text;
    bool is_good;
    const char *again;
} cases[] = {
    { DISCARD, "500", true, NULL },
    { DISCARD, "1 0", true, NULL },
    { DISCARD, "500 1041", true, NULL },
    { DISCARD, "500 1041 WAIT=10", true, NULL },
    { DISCARD, "500 WAIT=0.25", true, NULL },
    { DISCARD, "500 wait=10.500", true, "500 WAIT=10.5" },
    { DISCARD, "500 WAIT=0", true, "500" },
    { DISCARD, "1000 18446744073709551615 WAIT=600", true, NULL },
    { DISCARD, "500 WAIT=0.001", true, NULL },
    { DISCARD, "500 WAIT=599.999", true, NULL },
    { DISCARD, "500 WAIT=600.001", false, NULL },
    { DISCARD, "500 WAIT=601", false, NULL },
    { DISCARD, "500 WAIT=1.0001", false, NULL },
    { DISCARD, "500 WAIT=1.", false, NULL },
    { DISCARD, "500 WAIT=.5", false, NULL },
    { DISCARD, "500 WAIT=-1", false, NULL },
    { DISCARD, "500 WAIT=", false, NULL },
    { DISCARD, "500 WAIT=1 2", false, NULL },
    { DISCARD, "500 1 2", false, NULL },
    { DISCARD, "500 1 FAST", false, NULL },
    { DISCARD, "500 18446744073709551616", false, NULL },
    { DISCARD, "0", false, NULL },
    { DISCARD, "1001", false, NULL },
    { DISCARD, "", false, NULL },
    { DISCARD, "500 ", false, NULL },
    { DISCARD, "500  1", false, NULL },
    { TAKEN, "500 " STORE_A, true, NULL },
    { TAKEN, "500 " STORE_A " 77", true, NULL },
    { TAKEN, "500 " STORE_A " 77 78", false, NULL },
    { TAKEN, "500 " STORE_A " x", false, NULL },
    { TAKEN, STORE_A, false, NULL },
    { TAKEN, "500 77", false, NULL },
    { TAKEN, "500", false, NULL },
    { TAKEN, "500 " STORE_A " WAIT=1", false, NULL },
    { AUDIT, MID_5F, true, NULL },
    { AUDIT, MID_5F " " MID_60, true, NULL },
    { AUDIT, "", false, NULL },
    { AUDIT, MID_5F " x", false, NULL },
    { AUDIT, MID_5F " ", false, NULL },
    { AUDIT, "5f", false, NULL },
};

static void check_again(
    enum shadow_ask_type type, const struct shadow_ask *ask, const char *want)
{
    struct buf out;

    buf_init(&out, 4096);
    check(want, shadow_add_ask(&out, ask) == OK);
    check(want, bytes_starts(buf_bytes(&out), verbs[type]));
    check_bytes(
        want, bytes_of(out.at + verbs[type].n, out.n - verbs[type].n - 2), bytes_text(want));
    buf_done(&out);
}

static void reads(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct shadow_ask ask;
        bool is_good = shadow_parse_ask(cases[i].type, bytes_text(cases[i].text), &ask);

        check(cases[i].text, is_good == cases[i].is_good);
        if (is_good)
            check_again(cases[i].type, &ask, cases[i].again ? cases[i].again : cases[i].text);
    }
}

static void keeps_the_values(void **state)
{
    struct shadow_ask ask;

    (void)state;
    assert_true(shadow_parse_ask(SHADOW_ASK_DISCARD, BYTES("500 1041 WAIT=0.5"), &ask));
    assert_int_equal(ask.count_max, 500);
    assert_true(ask.has_cursor && ask.cursor == 1041);
    assert_int_equal(ask.wait_ms, 500);
    assert_true(shadow_parse_ask(SHADOW_ASK_TAKEN, BYTES("9 " STORE_A), &ask));
    assert_int_equal(ask.count_max, 9);
    assert_false(ask.has_cursor);
    assert_memory_equal(ask.store.byte, store_of(STORE_A).byte, 16);
}

static void audits_so_many(void **state)
{
    struct shadow_ask ask = { .type = SHADOW_ASK_AUDIT, .mid_count = SHADOW_AUDIT_MAX }, again;
    struct buf out;

    (void)state;
    buf_init(&out, 4096);
    for (int i = 0; i < SHADOW_AUDIT_MAX; i++)
        ask.mids[i].byte[15] = (uint8_t)i;
    assert_int_equal(shadow_add_ask(&out, &ask), OK);
    assert_true(shadow_parse_ask(SHADOW_ASK_AUDIT, bytes_of(out.at + 8, out.n - 10), &again));
    assert_int_equal(again.mid_count, SHADOW_AUDIT_MAX);
    assert_memory_equal(again.mids, ask.mids, sizeof ask.mids);
    out.n -= 2;
    assert_int_equal(buf_add(&out, BYTES(" " MID_5F)), OK);
    assert_false(shadow_parse_ask(SHADOW_ASK_AUDIT, bytes_of(out.at + 8, out.n - 8), &again));
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads),
        cmocka_unit_test(keeps_the_values),
        cmocka_unit_test(audits_so_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
