#include "kit.h"

#include "base/ip.h"

static struct ip ip_of(const char *text)
{
    struct ip ip;
    if (!ip_parse(bytes_text(text), &ip))
        fail_msg("%s is no address", text);
    return ip;
}

static struct ip_range range_of(const char *text)
{
    struct ip_range range;
    if (!ip_range_parse(bytes_text(text), &range))
        fail_msg("%s is no range", text);
    return range;
}

static void reads_and_writes_addresses(void **state)
{
    static const struct {
        const char *text, *again; /* NULL: refused */
    } cases[] = {
        { "192.0.2.1", "192.0.2.1" },
        { "0.0.0.0", "0.0.0.0" },
        { "255.255.255.255", "255.255.255.255" },
        { "2001:DB8:0:0:0:0:0:1", "2001:db8::1" },
        { "::", "::" },
        { "::1", "::1" },
        { "::ffff:192.0.2.1", "192.0.2.1" },
        { "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
        { "", NULL },
        { "192.0.2", NULL },
        { "192.0.2.256", NULL },
        { "192.0.2.01", NULL },
        { "192.0.2.1 ", NULL },
        { "192.0.2.1.1", NULL },
        { "fe80::1%eth0", NULL },
        { "2001:db8::1::2", NULL },
        { "2001:db8", NULL },
        { "00002:db8::1", NULL },
        { "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000", NULL },
    };
    char text[IP_TEXT_BYTES];
    struct ip ip;

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        bool ok = ip_parse(bytes_text(cases[i].text), &ip);
        check(cases[i].text, ok == (cases[i].again != NULL));
        if (!ok)
            continue;
        ip_format(ip, text);
        check_bytes(cases[i].text, bytes_text(text), bytes_text(cases[i].again));
    }
    assert_false(ip_parse(BYTES("192.0.2.1\0"), &ip));
}

static void knows_loopback_and_kind(void **state)
{
    (void)state;
    assert_true(ip_is_loopback(ip_of("127.0.0.1")));
    assert_true(ip_is_loopback(ip_of("127.255.0.9")));
    assert_true(ip_is_loopback(ip_of("::1")));
    assert_false(ip_is_loopback(ip_of("128.0.0.1")));
    assert_false(ip_is_loopback(ip_of("::2")));
    assert_true(ip_is_v4(ip_of("::ffff:1.2.3.4")));
    assert_false(ip_is_v4(ip_of("::1.2.3.4")));
    assert_true(ip_compare(ip_of("10.0.0.1"), ip_of("10.0.0.2")) < 0);
}

static void reads_and_writes_ranges(void **state)
{
    static const struct {
        const char *text, *again; /* NULL: refused */
    } cases[] = {
        { "*", "*" },
        { "0.0.0.0/0", "0.0.0.0/0" },
        { "0.0.0.0-255.255.255.255", "0.0.0.0/0" },
        { "::/0", "::/0" },
        { "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/0" },
        { "192.0.2.1", "192.0.2.1" },
        { "192.0.2.1/32", "192.0.2.1" },
        { "2001:db8::1/128", "2001:db8::1" },
        { "192.0.2.0/24", "192.0.2.0/24" },
        { "192.0.2.0-192.0.2.255", "192.0.2.0/24" },
        { "192.0.2.128/25", "192.0.2.128/25" },
        { "10.0.0.0/9", "10.0.0.0/9" },
        { "::ffff:192.0.2.0/120", "192.0.2.0/24" },
        { "192.0.2.1-192.0.2.9", "192.0.2.1-192.0.2.9" },
        { "192.0.2.1 - 192.0.2.9", "192.0.2.1-192.0.2.9" },
        { "192.0.2.7-192.0.2.7", "192.0.2.7" },
        { "2001:db8::/32", "2001:db8::/32" },
        { "2001:db8::1-2001:db8::f", "2001:db8::1-2001:db8::f" },
        { "192.0.2.1/24", NULL },
        { "2001:db8::1/64", NULL },
        { "192.0.2.0/33", NULL },
        { "2001:db8::/129", NULL },
        { "192.0.2.0/", NULL },
        { "192.0.2.0/+8", NULL },
        { "/8", NULL },
        { "192.0.2.9-192.0.2.1", NULL },
        { "192.0.2.1-2001:db8::1", NULL },
        { "192.0.2.1-", NULL },
        { "-192.0.2.1", NULL },
        { "192.0.2.1-192.0.2.9/24", NULL },
        { "**", NULL },
        { "", NULL },
    };
    char text[IP_RANGE_TEXT_BYTES];

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct ip_range range;
        bool ok = ip_range_parse(bytes_text(cases[i].text), &range);
        check(cases[i].text, ok == (cases[i].again != NULL));
        if (!ok)
            continue;
        ip_range_format(range, text);
        check_bytes(cases[i].text, bytes_text(text), bytes_text(cases[i].again));
        check(cases[i].text, ip_range_equal(range, range_of(text)));
    }
}

static void ranges_hold_addresses_of_their_kind(void **state)
{
    static const struct {
        const char *range, *ip;
        bool has;
    } cases[] = {
        { "*", "192.0.2.1", true },
        { "*", "2001:db8::1", true },
        { "*", "::", true },
        { "0.0.0.0/0", "255.255.255.255", true },
        { "0.0.0.0/0", "::1", false },
        { "::/0", "::1", true },
        { "::/0", "2001:db8::1", true },
        { "::/0", "192.0.2.1", false },
        { "::/64", "192.0.2.1", false },
        { "192.0.2.1-192.0.2.9", "192.0.2.1", true },
        { "192.0.2.1-192.0.2.9", "192.0.2.9", true },
        { "192.0.2.1-192.0.2.9", "192.0.2.10", false },
        { "192.0.2.1-192.0.2.9", "192.0.2.0", false },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++)
        check(cases[i].range,
            ip_range_has(range_of(cases[i].range), ip_of(cases[i].ip)) == cases[i].has);
}

static void networks_have_a_first_address(void **state)
{
    static const struct {
        const char *ip, *want;
        unsigned bits;
    } cases[] = {
        { "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::", 64 },
        { "2001:db8:1:2:3:4:5:6", "2001:db8:1::", 56 },
        { "2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6", 128 },
        { "2001:db8:1:2:3:4:5:7", "2001:db8:1:2:3:4:5:6", 127 },
        { "ff00::1", "8000::", 1 },
        { "ff00::1", "::", 0 },
        { "::1", "::", 64 },
        { "192.0.2.1", "192.0.2.1", 64 },
        { "255.255.255.255", "255.255.255.255", 0 },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++)
        check(cases[i].ip, ip_compare(ip_network(ip_of(cases[i].ip), cases[i].bits),
                               ip_of(cases[i].want)) == 0);
}

static void ranges_know_each_other(void **state)
{
    static const struct {
        const char *a, *b;
        bool a_contains_b, b_contains_a, overlap;
    } cases[] = {
        { "*", "::/0", true, false, true },
        { "*", "0.0.0.0/0", true, false, true },
        { "*", "*", true, true, true },
        { "::/0", "0.0.0.0/0", false, false, false },
        { "0.0.0.0/0", "192.0.2.0/24", true, false, true },
        { "192.0.2.0/24", "192.0.2.0-192.0.2.255", true, true, true },
        { "192.0.2.0/24", "192.0.2.250-192.0.3.5", false, false, true },
        { "192.0.2.0/24", "192.0.3.0/24", false, false, false },
        { "192.0.2.0/24", "192.0.2.255", true, false, true },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct ip_range a = range_of(cases[i].a), b = range_of(cases[i].b);
        check(cases[i].b, ip_range_contains(a, b) == cases[i].a_contains_b);
        check(cases[i].b, ip_range_contains(b, a) == cases[i].b_contains_a);
        check(cases[i].b, ip_range_overlaps(a, b) == cases[i].overlap);
        check(cases[i].b, ip_range_overlaps(b, a) == cases[i].overlap);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_and_writes_addresses),
        cmocka_unit_test(knows_loopback_and_kind),
        cmocka_unit_test(reads_and_writes_ranges),
        cmocka_unit_test(ranges_hold_addresses_of_their_kind),
        cmocka_unit_test(networks_have_a_first_address),
        cmocka_unit_test(ranges_know_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
