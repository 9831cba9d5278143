/* An address that belongs to a range, and to no narrower one of another connector. */
#include "kit.h"

#include "base/mem.h"
#include "ctl/open_relay.h"
#include "policy/receive.h"

#include <stdlib.h>

enum { RANGES_MAX = 4, OTHERS_MAX = 3 };

static void fill(struct receive_connector *connector, const char *name,
    const char *const ranges[RANGES_MAX], struct binding binding)
{
    receive_connector_init(connector, name);
    connector->bindings = mem_copy(&binding, sizeof binding);
    connector->binding_count = 1;
    connector->ranges = mem_new(RANGES_MAX * sizeof *connector->ranges);
    for (; connector->range_count < RANGES_MAX && ranges[connector->range_count];
         connector->range_count++)
        assert_true(ip_range_parse(bytes_text(ranges[connector->range_count]),
            &connector->ranges[connector->range_count]));
    receive_index(connector);
}

static const struct {
    const char *name;
    const char *binding;         /* NULL: all addresses */
    const char *own[RANGES_MAX]; /* the first is what is asked about */
    const char *others[OTHERS_MAX][RANGES_MAX];
    const char *client; /* NULL: there is none */
    bool is_public;
} cases[] = {
    { "all of it", NULL, { "*" }, { { NULL } }, "1.1.1.1", true },
    { "another has the known one", NULL, { "*" }, { { "1.1.1.0/24" } }, "1.0.0.0", true },
    { "and what comes next", NULL, { "*" },
        { { "1.1.1.0/24", "0.0.0.0/8", "1.0.0.0/16" }, { "1.1.0.0-1.1.0.255" } }, "1.1.2.0",
        true },
    { "a second one inside of the first", NULL, { "8.0.0.0/8" },
        { { "8.0.0.0/16" }, { "8.0.0.0/24" }, { "8.1.0.0/16" } }, "8.2.0.0", true },
    { "a narrower one of its own counts as its own", NULL, { "8.0.0.0/8", "8.0.0.0/16" },
        { { "8.0.0.0/24" } }, "8.0.1.0", true },
    { "public behind private", NULL, { "10.255.255.0-11.0.0.9" }, { { NULL } }, "11.0.0.0",
        true },
    { "public behind private and another's", NULL, { "10.255.255.0-11.0.0.9" },
        { { "11.0.0.0/29" } }, "11.0.0.8", true },
    { "no public one is left", NULL, { "10.255.255.0-11.0.0.9" }, { { "11.0.0.0-11.0.0.9" } },
        "10.255.255.0", false },
    { "private", NULL, { "10.0.0.0/8" }, { { "10.0.0.0/16" } }, "10.1.0.0", false },
    { "all of it is others'", NULL, { "10.0.0.0/8" }, { { "10.0.0.0/9" }, { "10.128.0.0/9" } },
        NULL, false },
    { "the last address", NULL, { "10.0.0.0/8" }, { { "10.0.0.0-10.255.255.254" } },
        "10.255.255.255", false },
    { "all of IPv4 is others'", NULL, { "*" }, { { "0.0.0.0/0" } }, "2606:4700:4700::1111",
        true },
    { "all of it is another's, but the very last", NULL, { "*" },
        { { "0.0.0.0/0" }, { "::/0" } }, NULL, false },
    { "IPv6, around IPv4 by number", NULL, { "::/16" }, { { "::/96" } }, "::1:0:0", true },
    { "IPv6 up to where IPv4 lies", NULL, { "::/16" }, { { "::-::fffe:ffff:ffff" } },
        "::1:0:0:0", true },
    { "where only IPv4 comes", "192.0.2.1", { "*" }, { { "0.0.0.0/1" } }, "128.0.0.0", true },
    { "where only IPv6 comes", "2001:db8::1", { "*" }, { { NULL } }, "2606:4700:4700::1111",
        true },
    { "where the range never comes", "192.0.2.1", { "2001:db8::/32" }, { { NULL } }, NULL,
        false },
};

static void an_address_is_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct receive_connector list[1 + OTHERS_MAX];
        struct settings settings = { .receive = list };
        struct binding binding = { .is_any = !cases[i].binding, .port = 25 };
        struct open_relay_client found;
        char text[IP_TEXT_BYTES] = "none";
        if (cases[i].binding)
            assert_true(ip_parse(bytes_text(cases[i].binding), &binding.ip));
        fill(&list[settings.receive_count++], "In", cases[i].own, binding);
        for (size_t k = 0; k < OTHERS_MAX && cases[i].others[k][0]; k++)
            fill(&list[settings.receive_count++], "Other", cases[i].others[k], binding);
        if (open_relay_find_client(&settings, &list[0], &binding, list[0].ranges[0], &found)) {
            ip_format(found.ip, text);
            check(cases[i].name, found.is_public == cases[i].is_public);
            check(cases[i].name, ip_is_v4(found.ip) == ip_is_v4(found.local));
        }
        check_bytes(cases[i].name, bytes_text(text),
            bytes_text(cases[i].client ? cases[i].client : "none"));
        for (size_t k = 0; k < settings.receive_count; k++)
            receive_connector_done(&list[k]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(an_address_is_found) };

    return cmocka_run_group_tests_name("ctl_open_relay_client", tests, NULL, NULL);
}
