/* Distinguished names: which texts are one, and which name the same. */
#include "kit.h"

#include "base/dn.h"

#include <stdlib.h>

static const struct {
    const char *name, *a, *b;
    bool is_equal;
} pairs[] = {
    { "the same", "CN=a,O=b", "CN=a,O=b", true },
    { "spaces and case", "CN=Mail,O=B C", "cn = mail , o=b c ", true },
    { "as openssl prints it", "CN=R3,O=Let's Encrypt,C=US",
        "C = US, O = Let's Encrypt, CN = R3", true },
    { "another order", "CN=a,O=b,C=c", "CN=a,C=c,O=b", false },
    { "one part less", "CN=a,O=b", "CN=a", false },
    { "another value", "CN=a", "CN=b", false },
    { "another type", "CN=a", "OU=a", false },
    { "quoted and escaped", "O=\"Foo, Inc.\",C=US", "O=Foo\\, Inc.,C=US", true },
    { "hex digits", "CN=B\\C3\\BCcher", "CN=B\303\274cher", true },
    { "an escaped space", "CN=a\\ ", "CN=a", false },
    { "an escaped space, twice", "CN=a\\ ", "CN=\"a \"", true },
    { "Exchange's names", "E=a@b,S=Berlin", "emailAddress=a@b,ST=Berlin", true },
    { "several values in one", "CN=a+UID=1,C=x", "CN=a,UID=1,C=x", true },
    { "a plain type is no other", "SN=a", "serialNumber=a", false },
    { "empty value", "CN=,O=a", "CN=\"\",O=a", true },
};

static void names_are_compared(void **state)
{
    struct dn a, b;

    (void)state;
    for (size_t i = 0; i < CASES(pairs); i++) {
        check(pairs[i].name, dn_parse(bytes_text(pairs[i].a), &a));
        check(pairs[i].name, dn_parse(bytes_text(pairs[i].b), &b));
        check(pairs[i].name, dn_equal(&a, &b) == pairs[i].is_equal);
        check(pairs[i].name, dn_equal(&b, &a) == pairs[i].is_equal);
        check(pairs[i].name, dn_equal(&a, &a));
    }
}

static void what_is_no_name_is_refused(void **state)
{
    static const char *const wrong[] = { "", " ", "CN", "=a", "CN=a,", "CN=a,,O=b", "CN=\"a",
        "CN=\"a\"b", "CN=a\\", "C N=a", "CN=a,=b", "C\303\274=a" };
    struct dn dn;

    (void)state;
    for (size_t i = 0; i < CASES(wrong); i++)
        check(wrong[i], !dn_parse(bytes_text(wrong[i]), &dn));
}

static void ceilings_hold(void **state)
{
    static char text[DN_BYTES_MAX + 64];
    size_t n = 0;
    struct dn dn;

    (void)state;
    for (int i = 0; i < DN_PARTS_MAX; i++) {
        memcpy(text + n, "CN=a,", 5);
        n += 5;
    }
    check("as many as there is room for", dn_parse(bytes_of(text, n - 1), &dn));
    memcpy(text + n, "CN=a", 4);
    check("one more", !dn_parse(bytes_of(text, n + 4), &dn));
    memset(text, 'x', sizeof text);
    memcpy(text, "CN=", 3);
    check("just fits", dn_parse(bytes_of(text, DN_BYTES_MAX + 1), &dn));
    check("a byte more", !dn_parse(bytes_of(text, DN_BYTES_MAX + 2), &dn));
}

/* At no cut is a byte behind the end looked at: the copy ends there. */
static void cut_at_every_byte(void **state)
{
    static const char text[] = "CN=\"a, b\\\"\" + O=x\\2Cy\\,z ,C = US";
    struct dn dn;

    (void)state;
    for (size_t n = 0; n < sizeof text; n++) {
        char *copy = malloc(n + 1);
        memcpy(copy, text, n);
        (void)dn_parse(bytes_of(copy, n), &dn);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_compared),
        cmocka_unit_test(what_is_no_name_is_refused),
        cmocka_unit_test(ceilings_hold),
        cmocka_unit_test(cut_at_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
