#include "kit.h"

#include "base/mem.h"
#include "policy/receive.h"
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

static void test_everybody(void **state)
{
    static const struct {
        const char *name;
        const char *ranges[20];
        bool is_for_everybody;
    } rows[] = {
        { "nobody", { NULL }, false },
        { "all", { "*" }, true },
        { "all of IPv4", { "10.0.0.1", "0.0.0.0/0" }, true },
        { "all of IPv6", { "::/0" }, true },
        { "two halves", { "0.0.0.0/1", "128.0.0.0/1" }, true },
        { "half of it", { "128.0.0.0/1" }, true },
        { "all but a few", { "1.0.0.0-255.255.255.255" }, true },
        { "two halves of IPv6", { "::/1", "8000::/1" }, true },
        { "what IPv6 has in use", { "2000::/3" }, true },
        { "a /4 in pieces",
            { "20.0.0.0/8", "22.0.0.0/8", "24.0.0.0/8", "26.0.0.0/8", "28.0.0.0/8",
                "30.0.0.0/8", "32.0.0.0/8", "34.0.0.0/8", "36.0.0.0/8", "38.0.0.0/8",
                "40.0.0.0/8", "42.0.0.0/8", "44.0.0.0/8", "46.0.0.0/8", "48.0.0.0/8",
                "50.0.0.0/8" },
            true },
        { "one address less than a /4", { "16.0.0.0-31.255.255.254" }, false },
        { "a /4", { "16.0.0.0/4" }, true },
        { "the same twice", { "16.0.0.0/5", "16.0.0.0-23.255.255.255", "17.0.0.0/8" }, false },
        { "overlapping", { "16.0.0.0-24.0.0.0", "20.0.0.0-30.0.0.0" }, false },
        { "IPv4 inside of IPv6, by number", { "::/8", "16.0.0.0/4" }, true },
        { "both kinds, each a little less", { "16.0.0.0/5", "2a00::/13" }, false },
        { "a registry's", { "2a00::/12" }, true },
        { "a provider's", { "2a01:4f8::/29", "2003::/19" }, false },
        { "one university", { "18.0.0.0/8" }, false },
        { "a public /16", { "8.8.0.0/16" }, false },
        { "what is private",
            { "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10" },
            false },
        { "multicast and beyond", { "224.0.0.0/3" }, false },
    };

    (void)state;
    for (size_t i = 0; i < CASES(rows); i++) {
        struct receive_connector connector;
        size_t n = 0;
        receive_connector_init(&connector, "In");
        connector.ranges = mem_new(CASES(rows[i].ranges) * sizeof *connector.ranges);
        for (; rows[i].ranges[n]; n++)
            connector.ranges[n] = range_of(rows[i].ranges[n]);
        connector.range_count = n;
        receive_index(&connector);
        check(rows[i].name, receive_is_for_everybody(&connector) == rows[i].is_for_everybody);
        receive_connector_done(&connector);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_everybody) };

    return cmocka_run_group_tests_name("policy_wide", tests, NULL, NULL);
}
