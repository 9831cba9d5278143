/* Whom a host means that says "slow down". */
#include "kit.h"

#include "policy/blame.h"

#include <stdio.h>

enum { SECOND = 1000, START = 1000 * SECOND };

/* A story, a letter for what happens, then sender, recipient and the message's letter:
 * "-a1m" a sign (recipient 0: at MAIL), "+a1m" accepted, "!" a sign to a session.  After each one
 * a second goes by; "=" in front: it is the same moment.  What is said of each sign: A(ll),
 * a(gain), o(ne), O(ne only). */
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
        [BLAME_ALL] = 'A', [BLAME_AGAIN] = 'a', [BLAME_ONE] = 'o', [BLAME_ONE_ONLY] = 'O'
    };
    struct blame blame = { .suspect_count = 0 };
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
        is_slow = verdict == BLAME_ALL || (is_slow && verdict != BLAME_ONE_ONLY);
        *said++ = verdicts[verdict];
    }
    *said = 0;
}

static void test_stories(void **state)
{
    static const struct {
        const char *name, *story, *want;
    } cases[] = {
        { "the first sign is about all", "-a1m", "A" },
        { "so is that of the next message", "-a1m -a1n -a1o", "AAA" },
        { "and of another sender's", "-a1m -b2n -c3o -a1m", "AAAA" },
        { "a sender, at MAIL", "-a0m +b2n -a0m", "AO" },
        { "a sender, at the end", "-a1m +b2n -a1m", "AO" },
        { "all of his are meant", "-a0m +b2n -a0o -a0p -a0m", "AOoo" },
        { "the recipients of a sender may be others", "-a1m +b2n -a3o", "AO" },
        { "a recipient", "-a1m +a2n -b1o", "AO" },
        { "and this sender may go on", "-a1m +a2n -a3o", "AA" },
        { "his mail gets through: it was about all", "-a1m +b2n +a1m -a1o", "AA" },
        { "one sender and one recipient, now and then", "-a1m +a1n -a1o +a1p -a1m", "AAA" },
        { "two senders", "-a0m -b0n +c3o -a0m -b0n", "AAoo" },
        { "others, too, and the host stays slow", "-a0m -b0n +c3o -a0p", "AAo" },
        { "a session, too", "-a0m ! +b2n -a0m", "AAo" },
        { "a session alone", "! ! !", "AAA" },
        { "alone: four times, then like any other", "-a1m -a1m -a1m -a1m -a1m", "Aaaoo" },
        { "alone, until another is tried", "-a1m -a1m -b2n -a1m", "AaAA" },
        { "alone, until another gets through", "-a1m -a1m +b2n -b3o -b3o", "AaAa" },
        { "its recipients at the same moment", "-a1m-a2m-a3m -b1n", "AAAA" },
        { "each of them is suspected", "-a1m-a2m +a4n -b2o", "AAo" },
        { "again, and its recipients", "-a1m -a1m-a2m", "Aaa" },
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

/* After an hour without a sign it is all of us again. */
static void test_forgets(void **state)
{
    static const struct {
        const char *name;
        int64_t wait_ms;
        enum blame_verdict want;
    } cases[] = {
        { "soon", 300 * SECOND, BLAME_ONE },
        { "nearly an hour", 3599 * SECOND, BLAME_ONE },
        { "an hour", 3600 * SECOND, BLAME_ALL },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct blame blame = { .suspect_count = 0 };
        struct blame_who who = who_of("a1m");
        blame_sign(&blame, &who, false, START);
        blame_accepted(&blame, blame_sender(letter("b")), blame_recipient(letter("2")));
        check(cases[i].name,
            blame_sign(&blame, &who, false, START + cases[i].wait_ms) == cases[i].want);
    }
}

/* More than there is room for: the oldest is given up. */
static void test_room(void **state)
{
    struct blame blame = { .suspect_count = 0 };
    uint64_t other = blame_sender(BYTES("other")), nobody = blame_recipient(BYTES("nobody"));

    (void)state;
    for (int i = 0; i <= BLAME_SUSPECTS; i++) {
        char name[8];
        struct blame_who who = { .sender = 0 };
        snprintf(name, sizeof name, "%d", i);
        who.sender = blame_sender(bytes_text(name));
        who.message.byte[0] = (uint8_t)(i + 1);
        assert_int_equal(blame_sign(&blame, &who, i > 0, START + i), BLAME_ALL);
    }
    assert_int_equal(blame.suspect_count, BLAME_SUSPECTS);
    blame_accepted(&blame, other, nobody);
    for (int i = 0; i <= BLAME_SUSPECTS; i += BLAME_SUSPECTS) {
        char name[8];
        struct blame_who who = { .sender = 0 };
        snprintf(name, sizeof name, "%d", i);
        who.sender = blame_sender(bytes_text(name));
        assert_int_equal(
            blame_sign(&blame, &who, true, START + 100 - i), i ? BLAME_ONE : BLAME_ALL);
    }
    for (int i = 0; i <= BLAME_SUSPECTS; i++) {
        char name[8];
        snprintf(name, sizeof name, "%d", i);
        blame_accepted(&blame, blame_sender(bytes_text(name)), nobody);
    }
    assert_int_equal(blame.suspect_count, 0);
    assert_false(blame_is_open(&blame));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stories),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_forgets),
        cmocka_unit_test(test_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
