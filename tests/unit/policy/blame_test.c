/* Whom a host means that says "slow down". */
#include "kit.h"

#include "policy/blame.h"

#include <stdio.h>

enum { SECOND = 1000, START = 1000 * SECOND };

/* A story, a letter for what happens, then sender, recipient and the message's letter:
 * "-a1m" a sign (recipient 0: at MAIL), "+a1m" accepted, "!" a sign to a session.  After each one
 * a second goes by; "=" in front: it is the same moment.  What is said of each sign: o(pen),
 * p(ause), A(ll), 1 (one). */
static struct bytes letter(const char *c)
{
    return bytes_of((const uint8_t *)c, 1);
}

static struct blame_who who_of(const char *c)
{
    struct blame_who who = { .sender = blame_sender(letter(c)) };

    if (c[1] != '0')
        who.recipient = blame_recipient(letter(c + 1));
    who.message.byte[0] = (uint8_t)c[2];
    return who;
}

static void tell(const char *story, char *said)
{
    static const char verdicts[] = {
        [BLAME_OPEN] = 'o', [BLAME_PAUSE] = 'p', [BLAME_ALL] = 'A', [BLAME_ONE] = '1'
    };
    struct blame blame = { .case_count = 0 };
    int64_t now = START;
    bool is_slow = false;

    for (const char *c = story; *c; c += *c == '!' || *c == ' ' || *c == '=' ? 1 : 4) {
        struct blame_who who;
        enum blame_verdict verdict;
        if (*c == ' ') {
            now += SECOND;
            continue;
        }
        if (*c == '=')
            continue;
        who = *c == '!' ? (struct blame_who){ .sender = 0 } : who_of(c + 1);
        if (*c == '+') {
            blame_accepted(&blame, who.sender, who.recipient);
            continue;
        }
        verdict = blame_sign(&blame, *c == '!' ? NULL : &who, is_slow, now);
        is_slow |= verdict == BLAME_ALL;
        *said++ = verdicts[verdict];
    }
    *said = 0;
}

static void test_stories(void **state)
{
    static const struct {
        const char *name, *story, *want;
    } cases[] = {
        { "nothing was taken yet", "-a1m", "p" },
        { "others were", "+z9z -a1m", "o" },
        { "the next message, too", "-a1m -a1n -a1o", "pAA" },
        { "and another sender's", "-a1m -b2n -c3o -a1m", "pAAA" },
        { "several in a row", "+z9z -a1m -b2n -c3o -d4p", "opAA" },
        { "others in between", "+z9z -a1m +z9y -b2n +z9x -c3o -d4p", "ooop" },
        { "the host is slow: it is not tried further", "-a1m -b2n +z9z -c3o", "pAp" },
        { "a sender, at MAIL", "-a0m +b2n -a0m", "p1" },
        { "a sender, at the end", "-a1m +b2n -a1m", "p1" },
        { "all of his are meant", "-a0m +b2n -a0o -a0p -a0m", "p111" },
        { "the recipients of a sender may be others", "-a1m +b2n -a3o", "p1" },
        { "a recipient", "-a1m +a2n -b1o", "p1" },
        { "and this sender may go on", "-a1m +a2n -a3o", "po" },
        { "his mail gets through: it was about all", "-a1m +b2n +a1m -a1o", "po" },
        { "that twice", "+z9z -a1m +a1m -b2n +b2n -c3o", "ooA" },
        { "by other mail of the two", "+z9z -a1m +a2n +b1o -b2n +b2n -c3o", "ooA" },
        { "both count once", "+z9z -a1m +a1m -b2n +b2n -c3o +z9y -d4p", "ooAp" },
        { "not with one who is limited in between",
            "+z9z -a1m +a1m -d4p +z9y -d4p -b2n +b2n -c3o", "oo1oo" },
        { "a limit that ends", "-a1m +z9z -a1m +a1m -b2n +z9y -b2n +b2n -c3o", "p1o1o" },
        { "one sender and one recipient, now and then", "-a1m +a1n -a1o +a1p -a1m", "poA" },
        { "two senders", "-a0m -b0n +c3o -a0m -b0n", "pA11" },
        { "others, too", "-a0m -b0n +c3o -a0p", "pA1" },
        { "a session, too", "-a0m ! +b2n -a0m", "pA1" },
        { "a session alone", "! ! !", "AAA" },
        { "alone: four times, then like any other", "-a1m -a1m -a1m -a1m -a1m", "ppp11" },
        { "alone, others were taken", "+z9z -a1m=-a1m -a1m -a1m -a1m", "oppp1" },
        { "alone, until another is tried", "-a1m -a1m -b2n -a1m", "ppAA" },
        { "alone, until another gets through", "-a1m -a1m +b2n -b3o -b3o", "ppop" },
        { "its recipients at the same moment", "-a1m=-a2m=-a3m -b1n", "pppA" },
        { "each of them is suspected", "-a1m=-a2m +a4n -b2o", "pp1" },
        { "again, and its recipients", "-a1m -a1m=-a2m", "ppp" },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        char said[40];
        tell(cases[i].story, said);
        if (strcmp(said, cases[i].want) != 0)
            fail_msg("%s: %s, not %s", cases[i].name, said, cases[i].want);
    }
}

/* A sender of another letter case is the same; one that is a recipient is another thing. */
static void test_keys(void **state)
{
    (void)state;
    assert_int_equal(
        blame_sender(BYTES("A@Example.com")), blame_sender(BYTES("a@example.com")));
    assert_int_not_equal(blame_sender(BYTES("a")), blame_recipient(BYTES("a")));
    assert_int_not_equal(blame_sender(BYTES_NONE), 0); /* notifications have a sender, too */
    assert_int_not_equal(blame_recipient(BYTES_NONE), 0);
}

/* After an hour without a sign he is like any other. */
static void test_forgets(void **state)
{
    static const struct {
        const char *name;
        int64_t wait_ms;
        enum blame_verdict want;
    } cases[] = {
        { "soon", 300 * SECOND, BLAME_ONE },
        { "nearly an hour", 3599 * SECOND, BLAME_ONE },
        { "an hour", 3600 * SECOND, BLAME_OPEN },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct blame blame = { .case_count = 0 };
        struct blame_who who = who_of("a1m");
        assert_int_equal(blame_sign(&blame, &who, false, START), BLAME_PAUSE);
        blame_accepted(&blame, blame_sender(letter("b")), blame_recipient(letter("2")));
        check(cases[i].name,
            blame_sign(&blame, &who, false, START + cases[i].wait_ms) == cases[i].want);
    }
}

static struct blame_who who_number(int number)
{
    char name[8];
    struct blame_who who = { .message.byte[0] = (uint8_t)(number + 1) };

    snprintf(name, sizeof name, "%d", number);
    who.sender = blame_sender(bytes_text(name));
    who.recipient = blame_recipient(bytes_text(name));
    return who;
}

/* More than there is room for: the oldest is given up, and is like any other again.  That is the
 * safe side: he is not refused for it, and the host gets no more than of a stranger. */
static void test_room(void **state)
{
    struct blame blame = { .case_count = 0 };
    struct blame_who who;

    (void)state;
    for (int i = 0; i <= BLAME_CASES; i++) {
        who = who_number(i);
        blame_sign(&blame, &who, false, START + i);
        assert_true(blame.case_count <= BLAME_CASES);
    }
    assert_int_equal(blame.case_count, BLAME_CASES);
    blame_accepted(&blame, blame_sender(BYTES("other")), blame_recipient(BYTES("nobody")));
    who = who_number(0);
    assert_int_equal(blame_sign(&blame, &who, false, START + 100), BLAME_OPEN);
    who = who_number(1); /* whose place that was */
    assert_int_equal(blame_sign(&blame, &who, false, START + 101), BLAME_PAUSE);
    for (int i = 3; i <= BLAME_CASES; i++) {
        who = who_number(i);
        assert_int_equal(blame_sign(&blame, &who, false, START + 200), BLAME_ONE);
    }
    for (int i = 0; i <= BLAME_CASES; i++) {
        who = who_number(i);
        blame_accepted(&blame, who.sender, who.recipient);
    }
    assert_int_equal(blame.case_count, 0);
    assert_false(blame_is_open(&blame));
}

/* What the host got less for one is his, once, and only as long as the host is slow. */
static void test_cuts(void **state)
{
    struct blame blame = { .case_count = 0 };
    struct blame_who a = who_of("a1m"), a_too = who_of("a2n"), b = who_of("b3o");

    (void)state;
    blame_sign(&blame, &a, false, START);
    blame_cut(&blame, &a, true);
    blame_sign(&blame, &a_too, true, START + SECOND);
    blame_cut(&blame, &a_too, false);
    blame_sign(&blame, &b, true, START + 2 * SECOND);
    blame_cut(&blame, &b, false);
    blame_cut(&blame, NULL, false); /* a session's is nobody's */
    assert_int_equal(blame_take_cuts(&blame, &a), 0);
    blame_accepted(&blame, blame_sender(BYTES("other")), blame_recipient(BYTES("nobody")));
    assert_int_equal(blame_sign(&blame, &a, true, START + 3 * SECOND), BLAME_ONE);
    assert_int_equal(blame_take_cuts(&blame, &a), 2);
    assert_int_equal(blame_sign(&blame, &a_too, true, START + 4 * SECOND), BLAME_ONE);
    assert_int_equal(blame_take_cuts(&blame, &a_too), 0);
    blame_cut(&blame, NULL, true);
    assert_int_equal(blame_sign(&blame, &b, true, START + 5 * SECOND), BLAME_ONE);
    assert_int_equal(blame_take_cuts(&blame, &b), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stories),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_forgets),
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_cuts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
