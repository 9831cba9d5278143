/* Which connector a connection belongs to, and which connectors dispute clients. */
#include "kit.h"

#include "base/mem.h"
#include "policy/receive.h"

#include <stdio.h>
#include <stdlib.h>

enum { PORT = 25 };

static struct ip ip_known(const char *text)
{
    struct ip ip;

    check(text, ip_parse(bytes_text(text), &ip));
    return ip;
}

/* "*", an address, or a path. */
static struct binding binding_known(const char *text, uint16_t port)
{
    struct binding binding = { .port = port };

    if (text[0] == '/') {
        binding.is_unix = true;
        binding.path = mem_text(text);
    } else if (strcmp(text, "*") == 0) {
        binding.is_any = true;
    } else {
        binding.ip = ip_known(text);
    }
    return binding;
}

static void add_range(struct receive_connector *connector, const char *text)
{
    connector->ranges =
        mem_grow(connector->ranges, (connector->range_count + 1) * sizeof *connector->ranges);
    check(text, ip_range_parse(bytes_text(text), &connector->ranges[connector->range_count]));
    connector->range_count++;
}

/* RANGES with blanks between them. */
static void add_ranges(struct receive_connector *connector, const char *ranges)
{
    char text[400], *rest = text, *range;

    snprintf(text, sizeof text, "%s", ranges);
    while ((range = strsep(&rest, " ")))
        add_range(connector, range);
    receive_index(connector);
}

static struct receive_connector *add_connector(
    struct settings *settings, const char *name, const char *binding, const char *ranges)
{
    struct receive_connector *connector;

    settings->receive =
        mem_grow(settings->receive, (settings->receive_count + 1) * sizeof *settings->receive);
    connector = &settings->receive[settings->receive_count++];
    receive_connector_init(connector, name);
    connector->bindings = mem_new(sizeof *connector->bindings);
    connector->bindings[0] = binding_known(binding, PORT);
    connector->binding_count = 1;
    add_ranges(connector, ranges);
    return connector;
}

static struct settings *settings_bare(void)
{
    struct settings *settings = settings_new("node.example");

    receive_connector_done(&settings->receive[0]);
    settings->receive_count = 0;
    return settings;
}

static const char *chosen(
    const struct settings *settings, const char *local, const char *peer, uint16_t port)
{
    struct arrival arrival = { .port = port };
    const struct receive_connector *connector;

    if (local[0] == '/') {
        arrival.is_unix = true;
        arrival.path = local;
    } else {
        arrival.local = ip_known(local);
        arrival.peer = ip_known(peer);
    }
    connector = receive_choose(settings, &arrival);
    return connector ? connector->name : "none";
}

static void most_specific_range_wins(void **state)
{
    static const struct {
        const char *local, *peer;
        uint16_t port;
        const char *want;
    } cases[] = {
        { "10.0.0.1", "192.168.0.30", PORT, "Host" },
        { "10.0.0.1", "192.168.0.29", PORT, "Net" },
        { "10.0.0.1", "192.168.0.31", PORT, "Net" },
        { "10.0.0.1", "192.168.1.0", PORT, "World" },
        { "10.0.0.1", "255.255.255.255", PORT, "World" },
        { "10.0.0.1", "192.168.0.30", 26, "none" },
        { "10.0.0.2", "192.168.0.30", PORT, "Net" }, /* Host is bound to 10.0.0.1 */
        { "fd00::1", "2001:db8::1", PORT, "Six" },
        { "fd00::1", "2001:db8:1::1", PORT, "SixNet" },
        { "10.0.0.1", "10.9.9.9", PORT, "World" }, /* the one for it is switched off */
        { "/run/a", "", 0, "Unix" },
        { "/run/b", "", 0, "none" },
    };
    struct settings *settings = settings_bare();

    (void)state;
    add_connector(settings, "World", "*", "0.0.0.0/0");
    add_connector(settings, "Net", "0.0.0.0", "172.16.0.0/12 192.168.0.0/24");
    add_connector(settings, "Host", "10.0.0.1", "192.168.0.30");
    add_connector(settings, "Six", "*", "::/0");
    add_connector(settings, "SixNet", "::", "2001:db8:1::/48 fd00::/8");
    add_connector(settings, "Off", "*", "10.0.0.0/8")->enabled = false;
    add_connector(settings, "Unix", "/run/a", "127.0.0.0/8");
    for (size_t i = 0; i < CASES(cases); i++) {
        const char *got = chosen(settings, cases[i].local, cases[i].peer, cases[i].port);
        check_bytes(cases[i].peer, bytes_text(got), bytes_text(cases[i].want));
    }
    settings_free(settings);
}

static void disputes_are_found(void **state)
{
    static const struct {
        const char *name;
        const char *binding_a, *ranges_a, *binding_b, *ranges_b;
        const char *why; /* NULL: none; else what must stand in it */
    } cases[] = {
        { "nested", "*", "10.0.0.0/8", "*", "10.1.0.0/16", NULL },
        { "apart", "*", "10.0.0.0/8", "*", "11.0.0.0/8", NULL },
        { "the same", "*", "10.0.0.0/8", "*", "1.1.1.1 10.0.0.0/8", "range 10.0.0.0/8 on" },
        { "crossing", "*", "10.0.0.1-10.0.0.9", "*", "10.0.0.5-10.0.0.20",
            "10.0.0.1-10.0.0.9 and 10.0.0.5-10.0.0.20" },
        { "crossing the other way", "*", "10.0.0.5-10.0.0.20", "*", "10.0.0.1-10.0.0.9",
            "10.0.0.5-10.0.0.20 and 10.0.0.1-10.0.0.9" },
        { "crossing behind a nested one", "*", "10.0.0.0/24 10.0.0.3", "*",
            "10.0.0.128-10.0.1.5", "10.0.0.0/24 and 10.0.0.128-10.0.1.5" },
        { "same beginning nests", "*", "10.0.0.0/24", "*", "10.0.0.0-10.0.0.7", NULL },
        { "same end nests", "*", "10.0.0.0/24", "*", "10.0.0.9-10.0.0.255", NULL },
        { "adjacent", "*", "10.0.0.0-10.0.0.7", "*", "10.0.0.8-10.0.0.9", NULL },
        { "different addresses", "127.0.0.1", "*", "127.0.0.2", "*", NULL },
        { "all of IPv4 meets one address", "0.0.0.0", "*", "127.0.0.2", "*", "range *" },
        { "all of IPv6 does not", "::", "*", "127.0.0.2", "*", NULL },
        { "everybody around all of IPv6", "*", "*", "*", "::/0", NULL },
        { "one socket", "/run/a", "1.1.1.1", "/run/a", "2.2.2.2", "both have \"unix:/run/a\"" },
        { "two sockets", "/run/a", "1.1.1.1", "/run/b", "1.1.1.1", NULL },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct settings *settings = settings_bare();
        const struct receive_connector *a, *b;
        char why[512];
        bool found;

        add_connector(settings, "One", cases[i].binding_a, cases[i].ranges_a);
        add_connector(settings, "Two", cases[i].binding_b, cases[i].ranges_b);
        found = receive_conflict(settings, &a, &b, why);
        check(cases[i].name, found == (cases[i].why != NULL));
        if (found) {
            check(why, strstr(why, cases[i].why) != NULL);
            check(why, strstr(why, "\"One\"") && strstr(why, "\"Two\""));
            settings->receive[0].enabled = false;
            check(cases[i].name, !receive_conflict(settings, &a, &b, why));
        }
        settings_free(settings);
    }
}

/* Another connector's peer to compare with: each range looked at, the smallest that has it. */
static const struct ip_range *find_slowly(
    const struct receive_connector *connector, struct ip ip)
{
    const struct ip_range *best = NULL;

    for (size_t i = 0; i < connector->range_count; i++) {
        const struct ip_range *range = &connector->ranges[i];
        if (ip_range_has(*range, ip) && (!best || ip_range_contains(*best, *range)))
            best = range;
    }
    return best;
}

static void index_agrees_with_looking_at_each(void **state)
{
    uint32_t seed = 1;

    (void)state;
    for (int round = 0; round < 50; round++) {
        struct settings *settings = settings_bare();
        struct receive_connector *connector = add_connector(settings, "A", "*", "::1");
        char text[64];

        for (int i = 0; i < 200; i++) { /* prefixes nest or stand apart */
            unsigned bits = 16 + next_random(&seed) % 17;
            unsigned host = bits < 32 ? next_random(&seed) % (1u << 16) : next_random(&seed);
            host = (host & 0xffff) & ~((1u << (32 - bits)) - 1);
            snprintf(text, sizeof text, "10.0.%u.%u/%u", host >> 8, host & 255, bits);
            add_range(connector, text);
        }
        receive_index(connector);
        for (int i = 0; i < 500; i++) {
            const struct ip_range *got, *want;
            struct ip ip;

            snprintf(text, sizeof text, "10.0.%u.%u", next_random(&seed) % 256,
                next_random(&seed) % 256);
            ip = ip_known(text);
            got = receive_range_find(connector, ip);
            want = find_slowly(connector, ip);
            check(text, !got == !want && (!got || ip_range_equal(*got, *want)));
        }
        settings_free(settings);
    }
}

static bool crosses(struct ip_range a, struct ip_range b)
{
    return ip_range_overlaps(a, b) && !ip_range_contains(a, b) && !ip_range_contains(b, a);
}

/* From one address to another, of both kinds, nested and apart; some are all of a kind. */
static bool add_random(struct receive_connector *connector, uint32_t *seed)
{
    static const char *const all[] = { "*", "::/0", "0.0.0.0/0", "2001:db8::/32" };
    unsigned from = random_below(seed, 2000), to = from + random_below(seed, 2000 - from);
    char text[80];

    if (random_below(seed, 40) == 0)
        snprintf(text, sizeof text, "%s", all[random_below(seed, CASES(all))]);
    else if (random_below(seed, 2))
        snprintf(text, sizeof text, "10.0.%u.%u-10.0.%u.%u", from >> 8, from & 255, to >> 8,
            to & 255);
    else
        snprintf(text, sizeof text, "2001:db8::%x-2001:db8::%x", from, to);
    add_range(connector, text);
    for (size_t i = 0; i + 1 < connector->range_count; i++) {
        if (!crosses(connector->ranges[i], connector->ranges[connector->range_count - 1]))
            continue;
        connector->range_count--; /* it would be joined */
        return false;
    }
    return true;
}

static void nested_ranges_of_both_kinds_agree_too(void **state)
{
    uint32_t seed = 1;

    (void)state;
    for (int round = 0; round < 30; round++) {
        struct settings *settings = settings_bare();
        struct receive_connector *connector = add_connector(settings, "A", "*", "::1");
        unsigned added = 0;

        for (int i = 0; i < 2000 && added < 150; i++)
            added += add_random(connector, &seed);
        receive_index(connector);
        for (int i = 0; i < 500; i++) {
            unsigned host = random_below(&seed, 2100);
            const struct ip_range *got, *want;
            char text[64];

            if (i & 1)
                snprintf(text, sizeof text, "10.0.%u.%u", host >> 8, host & 255);
            else
                snprintf(text, sizeof text, "2001:db8::%x", host);
            got = receive_range_find(connector, ip_known(text));
            want = find_slowly(connector, ip_known(text));
            check(text, !got == !want && (!got || ip_range_equal(*got, *want)));
        }
        settings_free(settings);
    }
}

static void crossing_ranges_of_one_connector_join(void **state)
{
    static const struct {
        const char *ranges, *peer, *want; /* NULL: none */
    } cases[] = {
        { "10.0.0.1-10.0.0.9 10.0.0.5-10.0.0.20", "10.0.0.15", "10.0.0.1-10.0.0.20" },
        { "10.0.0.5-10.0.0.20 10.0.0.1-10.0.0.9", "10.0.0.1", "10.0.0.1-10.0.0.20" },
        { "10.0.0.1-10.0.0.9 10.0.0.5-10.0.0.20 10.0.0.7", "10.0.0.7", "10.0.0.7" },
        { "10.0.0.1-10.0.0.10 10.0.0.3-10.0.0.8 10.0.0.7-10.0.0.12", "10.0.0.12",
            "10.0.0.3-10.0.0.12" },
        { "10.0.0.1-10.0.0.10 10.0.0.3-10.0.0.8 10.0.0.7-10.0.0.12", "10.0.0.2",
            "10.0.0.1-10.0.0.12" },
        { "10.0.0.1-10.0.0.9", "10.0.0.10", NULL },
        { "10.0.0.1-10.0.0.9", "10.0.0.0", NULL },
        { "::/0 192.0.2.0/24", "10.0.0.0", NULL },
        { "::/0 192.0.2.0/24", "192.0.2.1", "192.0.2.0/24" },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct settings *settings = settings_bare();
        struct receive_connector *c = add_connector(settings, "A", "*", cases[i].ranges);
        const struct ip_range *range = receive_range_find(c, ip_known(cases[i].peer));
        char got[IP_RANGE_TEXT_BYTES] = "none";

        if (range)
            ip_range_format(*range, got);
        check_bytes(cases[i].ranges, bytes_text(got),
            bytes_text(cases[i].want ? cases[i].want : "none"));
        settings_free(settings);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(most_specific_range_wins),
        cmocka_unit_test(disputes_are_found),
        cmocka_unit_test(index_agrees_with_looking_at_each),
        cmocka_unit_test(nested_ranges_of_both_kinds_agree_too),
        cmocka_unit_test(crossing_ranges_of_one_connector_join),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
