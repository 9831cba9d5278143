#include "kit.h"

#include "policy/wide.h"

static struct ip_range range_of(const char *text)
{
    struct ip_range range;

    assert_true(ip_range_parse(bytes_text(text), &range));
    return range;
}

static const struct {
    const char *range;
    unsigned bits;
    bool is_wide;
    const char *public; /* NULL: none */
} cases[] = {
    { "192.0.2.1", 0, false, NULL },
    { "8.8.8.8", 0, false, "8.8.8.8" },
    { "10.1.0.0/16", 16, false, NULL },
    { "10.0.0.0/8", 24, true, NULL },
    { "10.0.0.0-10.1.0.0", 17, true, NULL },
    { "0.0.0.0/0", 32, true, "1.1.1.1" },
    { "*", 128, true, "1.1.1.1" },
    { "::/0", 128, true, "2606:4700:4700::1111" },
    { "2001:db8::/48", 80, false, NULL },
    { "2001:4860::/32", 96, true, "2001:4860::" },
    { "fd00::/8", 120, true, NULL },
    { "9.255.255.255-10.0.0.5", 3, false, "9.255.255.255" },
    { "10.255.255.255-11.0.0.5", 3, false, "11.0.0.0" },
    { "203.0.113.0-203.0.114.9", 9, false, "203.0.114.0" },
};

static void test_ranges(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        char text[IP_TEXT_BYTES];
        struct ip ip;
        struct ip_range range = range_of(cases[i].range);
        check(cases[i].range, range_bits(range) == cases[i].bits);
        check(cases[i].range, range_is_wide(range) == cases[i].is_wide);
        check(cases[i].range, range_find_public(range, &ip) == (cases[i].public != NULL));
        if (!cases[i].public)
            continue;
        ip_format(ip, text);
        check_bytes(cases[i].range, bytes_text(text), bytes_text(cases[i].public));
        check(cases[i].range, ip_is_public(ip) && ip_range_has(range, ip));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_ranges) };

    return cmocka_run_group_tests_name("policy_wide", tests, NULL, NULL);
}
