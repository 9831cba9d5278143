#include "kit.h"

#include "os/dns_data.h"

#include <stdio.h>
#include <stdlib.h>

#define A63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void reads_names(void **state)
{
    static const struct {
        const char *text, *name; /* NULL: it is none */
    } cases[] = {
        { "Example.COM.", "example.com" },
        { "a", "a" },
        { "_dmarc.x-1.y", "_dmarc.x-1.y" },
        { A63 ".x", A63 ".x" },
        { "", NULL },
        { ".", NULL },
        { "a..b", NULL },
        { ".a", NULL },
        { "a..", NULL },
        { "a b", NULL },
        { "a\\046b", NULL },
        { "\xC3\xA4", NULL },
        { A63 "a", NULL },
        { A63 "." A63 "." A63 "." A63, NULL },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        char name[DNS_NAME_BYTES];
        bool ok = dns_name_read(cases[i].text, name);
        check(cases[i].text, ok == (cases[i].name != NULL));
        if (ok)
            check_bytes(cases[i].text, bytes_text(name), bytes_text(cases[i].name));
    }
}

static void reads_mx_records(void **state)
{
    static const struct {
        const char *name;
        struct bytes rdata;
        const char *host; /* NULL: left out */
        unsigned preference;
        bool is_null;
    } cases[] = {
        { "plain", BYTES("\x01\x02\x02MX\x01x\x00"), "mx.x", 258, false },
        { "null", BYTES("\x00\x00\x00"), NULL, 0, true },
        { "a dot in a label",
            BYTES("\x00\x0A\x03"
                  "a.b\x00"),
            NULL, 0, false },
        { "a NUL in a label",
            BYTES("\x00\x0A\x03"
                  "a\0b\x00"),
            NULL, 0, false },
        { "a space in a label",
            BYTES("\x00\x0A\x03"
                  "a b\x00"),
            NULL, 0, false },
        { "no end",
            BYTES("\x00\x0A\x01"
                  "a"),
            NULL, 0, false },
        { "a label over the end",
            BYTES("\x00\x0A\x05"
                  "a\x00"),
            NULL, 0, false },
        { "a pointer", BYTES("\x00\x0A\xC0\x0C"), NULL, 0, false },
        { "more behind the end",
            BYTES("\x00\x0A\x01"
                  "a\x00\x00"),
            NULL, 0, false },
        { "no name", BYTES("\x00\x0A"), NULL, 0, false },
        { "nothing", { NULL, 0 }, NULL, 0, false },
    };
    struct dns_result *result = calloc(1, sizeof *result);

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        uint8_t *copy = test_malloc(cases[i].rdata.n + 1);
        if (cases[i].rdata.n)
            memcpy(copy, cases[i].rdata.at, cases[i].rdata.n);
        memset(result, 0, sizeof *result);
        dns_add_mx(result, bytes_of(copy, cases[i].rdata.n));
        check(cases[i].name, result->host_count == (cases[i].host != NULL));
        check(cases[i].name, result->is_null_mx == cases[i].is_null);
        if (cases[i].host) {
            check_bytes(
                cases[i].name, bytes_text(result->hosts[0].name), bytes_text(cases[i].host));
            check(cases[i].name, result->hosts[0].preference == cases[i].preference);
        }
        test_free(copy);
    }
    free(result);
}

static void the_best_hosts_stay(void **state)
{
    struct dns_result *result = calloc(1, sizeof *result);

    (void)state;
    dns_add_mx(result, BYTES("\x00\x00\x00")); /* "." beside others is nothing */
    for (unsigned i = 0; i < 3 * DNS_HOSTS_MAX; i++) {
        uint8_t rdata[] = { 0, (uint8_t)(200 - i), 1, (uint8_t)('a' + i % 26), 0 };
        dns_add_mx(result, bytes_of(rdata, sizeof rdata));
    }
    dns_put_in_order(result);
    assert_false(result->is_null_mx);
    assert_int_equal(result->host_count, DNS_HOSTS_MAX);
    for (unsigned i = 0; i < DNS_HOSTS_MAX; i++)
        assert_int_equal(result->hosts[i].preference, 200 - 3 * DNS_HOSTS_MAX + 1 + i);
    free(result);
}

/* Of 8 equal hosts each is first now and then: 1 in 10^11 that it fails by chance. */
static void equal_hosts_come_in_any_order(void **state)
{
    struct dns_result *result = calloc(1, sizeof *result);
    unsigned first[8] = { 0 };

    (void)state;
    for (unsigned round = 0; round < 200; round++) {
        memset(result, 0, sizeof *result);
        for (unsigned i = 0; i < 8; i++) {
            uint8_t rdata[] = { 0, 10, 1, (uint8_t)('a' + i), 0 };
            dns_add_mx(result, bytes_of(rdata, sizeof rdata));
        }
        dns_put_in_order(result);
        first[result->hosts[0].name[0] - 'a']++;
    }
    for (unsigned i = 0; i < 8; i++)
        assert_true(first[i] > 0);
    free(result);
}

static void ipv6_comes_first(void **state)
{
    struct dns_result *result = calloc(1, sizeof *result);
    uint8_t v6[16] = { 0x20, 0x01 };

    (void)state;
    for (unsigned i = 0; i < DNS_HOSTS_MAX; i++) {
        uint8_t v4[] = { 192, 0, 2, (uint8_t)i };
        dns_add_address(result, bytes_of(v4, sizeof v4));
    }
    dns_add_address(result, bytes_of(v6, sizeof v6));
    dns_add_address(result, BYTES("12345"));
    dns_put_in_order(result);
    assert_int_equal(result->address_count, DNS_HOSTS_MAX / 2 + 1);
    assert_false(ip_is_v4(result->addresses[0]));
    assert_true(ip_is_v4(result->addresses[1]));
    assert_int_equal(result->addresses[1].byte[15], 0);
    free(result);
}

static void reads_tlsa_records(void **state)
{
    static const struct {
        const char *name;
        struct bytes rdata;
        unsigned count;
        struct bytes data;
    } cases[] = {
        { "plain", BYTES("\x03\x01\x01xyz"), 1, BYTES("xyz") },
        { "no data", BYTES("\x03\x01\x01"), 1, BYTES("") },
        { "cut", BYTES("\x03\x01"), 0, BYTES("") },
        { "empty", BYTES(""), 0, BYTES("") },
    };
    struct dns_result many = { 0 };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct dns_result result = { 0 };
        dns_add_tlsa(&result, cases[i].rdata);
        check(cases[i].name, result.tlsa_count == cases[i].count);
        if (cases[i].count) {
            check(cases[i].name, result.tlsa[0].usage == 3 && result.tlsa[0].selector == 1 &&
                                     result.tlsa[0].matching == 1);
            check_bytes(cases[i].name, result.tlsa[0].data, cases[i].data);
        }
        dns_free_tlsa(&result);
        check(cases[i].name, result.tlsa_count == 0);
    }
    for (int i = 0; i < DNS_TLSA_MAX + 1; i++)
        dns_add_tlsa(&many, cases[0].rdata);
    assert_int_equal(many.tlsa_count, DNS_TLSA_MAX);
    dns_free_tlsa(&many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_names),
        cmocka_unit_test(reads_mx_records),
        cmocka_unit_test(reads_tlsa_records),
        cmocka_unit_test(the_best_hosts_stay),
        cmocka_unit_test(equal_hosts_come_in_any_order),
        cmocka_unit_test(ipv6_comes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
