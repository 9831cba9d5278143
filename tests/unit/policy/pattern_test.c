/* Patterns of addresses. */
#include "kit.h"

#include "policy/domain_index.h"
#include "policy/pattern.h"

#include <stdio.h>

static void normal_forms(void **state)
{
    static const struct {
        const char *text, *want; /* NULL: it is no pattern */
    } cases[] = {
        { "user@example.com", "user@example.com" },
        { "User@EXAMPLE.com.", "user@example.com" },
        { "@Example.com", "@example.com" },
        { "*@example.com", "@example.com" },
        { "*@*", "@*" },
        { "*@*.Example.com", "@*.example.com" },
        { "scan*@*", "scan*@*" },
        { "*", "*" },
        { "<>", "<>" },
        { "a@b\303\274cher.example", "a@xn--bcher-kva.example" },
        { "@*.b\303\274cher.example", "@*.xn--bcher-kva.example" },
        { "\303\244@example.com", "\303\244@example.com" },
        { "\"a b\"@example.com", "a b@example.com" },
        { "\"a\\\"b@c\"@example.com", "a\"b@c@example.com" },
        { "\"plain\"@example.com", "plain@example.com" },
        { "@[192.0.2.1]", "@[192.0.2.1]" },
        { "@[IPv6:2001:DB8:0::1]", "@[2001:db8::1]" },
        { "", NULL },
        { "example.com", NULL },
        { "user", NULL },
        { "user@", NULL },
        { "@", NULL },
        { "@.", NULL },
        { "@*.", NULL },
        { "@**", NULL },
        { "@*example.com", NULL },
        { "@a.*.example.com", NULL },
        { "a b@example.com", NULL },
        { "<user@example.com>", NULL },
        { "\"\"@example.com", NULL },
        { "\"a@example.com", NULL },
        { "a..b@example.com", NULL },
        { "a@b@example.com", NULL },
        { "a@longer-than-a-local-part-may-be.longer-than-a-local-part-may-be.example@b", NULL },
        { "@[192.0.2.1", NULL },
        { "@[300.0.2.1]", NULL },
        { "@exa mple.com", NULL },
        { "\377@example.com", NULL },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        char got[PATTERN_BYTES_MAX] = "none";
        bool is_one = pattern_parse(bytes_text(cases[i].text), got);
        check(cases[i].text, is_one == (cases[i].want != NULL));
        check_bytes(
            cases[i].text, bytes_text(got), bytes_text(cases[i].want ? cases[i].want : "none"));
    }
}

static void longest_forms(void **state)
{
    char text[600], got[PATTERN_BYTES_MAX];
    size_t n = 0;

    (void)state;
    memset(text, 'a', 64);
    n = 64 + (size_t)snprintf(text + 64, sizeof text - 64, "@*.");
    for (int i = 0; i < 125; i++, n += 2)
        memcpy(text + n, "a.", 2);
    text[n] = 'b'; /* a domain of 251 bytes */
    check("longest", pattern_parse(bytes_of(text, n + 1), got));
    check("all of it", strlen(got) == n + 1);
    memcpy(text + n + 1, ".a", 2);
    check("one label too many", !pattern_parse(bytes_of(text, n + 3), got));
    check("a local part too long",
        !pattern_parse(BYTES("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                             "@example.com"),
            got));
}

static void fits(void **state)
{
    static const struct {
        const char *pattern, *address; /* "": the null sender */
        bool want;
    } cases[] = {
        { "user@example.com", "user@example.com", true },
        { "user@example.com", "USER@Example.COM", true },
        { "user@example.com", "\"user\"@example.com", true },
        { "user@example.com", "\"u\\ser\"@example.com", true },
        { "user@example.com", "user2@example.com", false },
        { "user@example.com", "auser@example.com", false },
        { "user@example.com", "user@sub.example.com", false },
        { "user@example.com", "", false },
        { "@example.com", "user@example.com", true },
        { "@example.com", "\"a@b\"@example.com", true },
        { "@example.com", "a@example.org", false },
        { "@example.com", "\"a@example.com\"@example.org", false },
        { "@example.com", "", false },
        { "*@*.example.com", "a@b.example.com", true },
        { "*@*.example.com", "a@c.b.example.com", true },
        { "*@*.example.com", "a@example.com", false },
        { "*@*.example.com", "a@xexample.com", false },
        { "*@*", "a@example.com", true },
        { "*@*", "a@[192.0.2.1]", true },
        { "*@*", "", false },
        { "*", "", true },
        { "*", "a@example.com", true },
        { "<>", "", true },
        { "<>", "a@example.com", false },
        { "scan*@example.com", "scanner-7@example.com", true },
        { "scan*@example.com", "scan@example.com", true },
        { "scan*@example.com", "sca@example.com", false },
        { "s*n*7@example.com", "scanner-1-7@example.com", true },
        { "s*n*7@example.com", "scanner-1-8@example.com", false },
        { "a*ab@example.com", "aaab@example.com", true },
        { "a*ab@example.com", "ab@example.com", false },
        { "@b\303\274cher.example", "a@xn--bcher-kva.example", true },
        { "@xn--bcher-kva.example", "a@B\303\234CHER.example", true },
        { "@[192.0.2.1]", "a@[192.0.2.1]", true },
        { "@[192.0.2.1]", "a@[192.0.2.2]", false },
        { "@[IPv6:2001:db8::1]", "a@[IPV6:2001:DB8:0:0::1]", true },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        char pattern[PATTERN_BYTES_MAX], name[200];
        struct pattern_subject subject;
        struct address address;

        snprintf(name, sizeof name, "%s and %s", cases[i].pattern, cases[i].address);
        check(name, pattern_parse(bytes_text(cases[i].pattern), pattern));
        check(name, address_parse(bytes_text(cases[i].address), ADDRESS_UTF8 | ADDRESS_NULL,
                        &address) == ADDRESS_OK);
        pattern_subject_init(&subject, &address);
        check(name, pattern_fits(pattern, &subject) == cases[i].want);
    }
}

static void first_that_fits_is_found(void **state)
{
    char *list[] = { (char *)(uintptr_t) "<>", (char *)(uintptr_t) "a@example.com",
        (char *)(uintptr_t) "@example.com" };
    struct address_patterns patterns = { list, 3 }, none = { NULL, 0 };
    struct address address;
    struct pattern_subject subject;

    (void)state;
    check("parses", address_parse(BYTES("A@example.com"), 0, &address) == ADDRESS_OK);
    pattern_subject_init(&subject, &address);
    check("the second", patterns_find(&patterns, &subject) == list[1]);
    check("none", patterns_find(&none, &subject) == NULL);
    address.local = BYTES("b");
    pattern_subject_init(&subject, &address);
    check("the third", patterns_find(&patterns, &subject) == list[2]);
}

/* Lists of some kinds of patterns only are searched in shorter ways. */
enum kinds { KIND_ADDRESS, KIND_ALL, KIND_DOMAINS, KIND_NO_STARS, KIND_STARRED, KINDS };

/* Words of few letters over few domains, so that much fits. */
static void random_text(uint32_t *seed, enum kinds kind, char out[80])
{
    static const struct {
        unsigned first, count;
        bool has_others;
    } locals_of[KINDS] = { [KIND_ADDRESS] = { 1, 3, true },
        [KIND_ALL] = { 0, 8, true },
        [KIND_DOMAINS] = { 0, 1, false },
        [KIND_NO_STARS] = { 0, 4, true },
        [KIND_STARRED] = { 4, 4, false } };
    bool is_pattern = kind != KIND_ADDRESS;
    static const char *const locals[] = { "", "a", "b", "ab", "*a", "a*b", "*b*", "*" };
    static const char *const domains[] = { "x", "b.x", "a.b.x", "c.a.b.x", "y", "b.y",
        "[192.0.2.1]", "*.x", "*.b.x", "*.a.b.x", "*.y", "*" };
    const char *local =
        locals[locals_of[kind].first + random_below(seed, locals_of[kind].count)];

    if (locals_of[kind].has_others && random_below(seed, 30) == 0)
        snprintf(out, 80, is_pattern && random_below(seed, 2) ? "*" : "<>");
    else
        snprintf(out, 80, "%s@%s", local, domains[random_below(seed, is_pattern ? 12 : 7)]);
}

static void index_agrees_with_looking_at_each(void **state)
{
    enum { ROUNDS = 300, PATTERNS_MAX = 60, ASKED = 50 };
    uint32_t seed = 1;

    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct address_patterns plain = { .count = 1 + random_below(&seed, PATTERNS_MAX) },
                                indexed;
        char room[PATTERNS_MAX][PATTERN_BYTES_MAX], text[80];
        char *list[PATTERNS_MAX];

        for (size_t i = 0; i < plain.count; i++) {
            random_text(&seed, KIND_ALL + round % (KINDS - KIND_ALL), text);
            check(text, pattern_parse(bytes_text(text), room[i]));
            list[i] = room[i];
        }
        plain.list = list;
        indexed = plain;
        patterns_index(&indexed);
        check("short lists have none",
            (indexed.index != NULL) == (plain.count >= DOMAIN_INDEX_MIN));
        for (unsigned i = 0; i < ASKED; i++) {
            struct pattern_subject subject;
            struct address address = { .text = BYTES_NONE };

            random_text(&seed, KIND_ADDRESS, text);
            if (strcmp(text, "<>") != 0)
                check(text, address_parse(bytes_text(text), 0, &address) == ADDRESS_OK);
            pattern_subject_init(&subject, &address);
            check(text, patterns_find(&plain, &subject) == patterns_find(&indexed, &subject));
        }
        pattern_index_free(indexed.index);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(normal_forms),
        cmocka_unit_test(longest_forms),
        cmocka_unit_test(fits),
        cmocka_unit_test(first_that_fits_is_found),
        cmocka_unit_test(index_agrees_with_looking_at_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
