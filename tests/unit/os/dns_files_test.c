#include "kit.h"

#include "os/dns_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char path[] = "/tmp/relais-dns-files-XXXXXX";

static int make_file(void **state)
{
    int fd = mkstemp(path);

    (void)state;
    if (fd < 0)
        return -1;
    close(fd);
    return 0;
}

static int remove_file(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

static void write_file(const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void check_host(
    const struct dns_hosts_file *hosts, const char *name, const char *const *ips)
{
    struct dns_result *result = calloc(1, sizeof *result);
    unsigned n = 0;

    check(name, hosts_file_find(hosts, name, result) == (ips[0] != NULL));
    for (; ips[n]; n++) {
        bool found = false;
        for (unsigned i = 0; i < result->address_count; i++) {
            char text[IP_TEXT_BYTES];
            ip_format(result->addresses[i], text);
            found |= strcmp(text, ips[n]) == 0;
        }
        check(ips[n], found);
    }
    check(name, result->address_count == n);
    free(result);
}

static void reads_hosts(void **state)
{
    static const struct {
        const char *name;
        const char *ips[4];
    } cases[] = {
        { "localhost", { "127.0.0.1", "::1" } },
        { "mail.example.com", { "192.0.2.1" } },
        { "mail", { "192.0.2.1" } },
        { "under_score", { "192.0.2.2" } },
        { "comment", { NULL } },
        { "bad", { NULL } },
        { "last", { "192.0.2.9" } },
        { "other", { NULL } },
    };
    struct dns_hosts_file *hosts;

    (void)state;
    write_file("127.0.0.1 localhost\n::1\tlocalhost ip6-localhost\n"
               "\n  192.0.2.1   Mail.Example.COM. mail # comment\r\n"
               "192.0.2.2 under_score\n"
               "not-an-ip bad\n192.0.2.3\n192.0.2.4 b\\ad\n"
               "192.0.2.9 last");
    hosts = hosts_file_new(path);
    for (size_t i = 0; i < CASES(cases); i++)
        check_host(hosts, cases[i].name, cases[i].ips);
    hosts_file_free(hosts);
}

static void no_hosts_file_knows_no_name(void **state)
{
    struct dns_hosts_file *hosts = hosts_file_new("/nonexistent/hosts");
    struct dns_result *result = calloc(1, sizeof *result);

    (void)state;
    assert_false(hosts_file_find(hosts, "localhost", result));
    hosts_file_free(hosts);
    free(result);
}

static void reads_resolv_conf(void **state)
{
    static const struct {
        const char *text, *servers;
    } cases[] = {
        { "nameserver 192.0.2.53\n", "192.0.2.53 " },
        { "# x\nsearch a.b\nnameserver\t2001:db8::53 \r\nnameserver 192.0.2.1#c\n; y",
            "2001:db8::53 192.0.2.1 " },
        { "nameserver fe80::1%eth0", "fe80::1%eth0 " },
        { "nameservers 192.0.2.1\nnameserver\n", "127.0.0.1 " },
        { "", "127.0.0.1 " },
        { "nameserver 1\nnameserver 2\nnameserver 3\nnameserver 4\nnameserver 5\n"
          "nameserver 6\nnameserver 7\nnameserver 8\nnameserver 9\n",
            "1 2 3 4 5 6 7 8 " },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        char servers[DNS_SERVERS_MAX][DNS_SERVER_BYTES], all[1000] = "";
        size_t n;
        write_file(cases[i].text);
        n = resolv_file_servers(path, servers);
        for (size_t at = 0; at < n; at++)
            strcat(strcat(all, servers[at]), " ");
        check_bytes(cases[i].text, bytes_text(all), bytes_text(cases[i].servers));
    }
}

static void sees_a_file_change(void **state)
{
    struct watched_file file = { .path = path }, none = { .path = NULL };

    (void)state;
    write_file("one");
    assert_true(watched_file_changed(&file));
    assert_false(watched_file_changed(&file));
    write_file("three");
    assert_true(watched_file_changed(&file));
    assert_false(watched_file_changed(&file));
    unlink(path);
    assert_true(watched_file_changed(&file));
    assert_false(watched_file_changed(&file));
    write_file("");
    assert_true(watched_file_changed(&file));
    assert_true(watched_file_changed(&none));
    assert_false(watched_file_changed(&none));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_hosts),
        cmocka_unit_test(no_hosts_file_knows_no_name),
        cmocka_unit_test(reads_resolv_conf),
        cmocka_unit_test(sees_a_file_change),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
