/* Receive connectors: usages, presets, address lists, limits, and what is wrong with them. */
#include "directory_kit.h"

#include "policy/receive.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define OUT "send_connector \"Out\" { address_spaces = {\"*\"} mx = true }\n"
#define AT_PORT(port) "bindings = {\"127.0.0.1:" port "\"} "

static struct settings *read_good(const char *text)
{
    struct complaints complaints = { 0 };
    struct settings *settings = NULL;
    char told[8000];
    enum err err = directory_read_text(bytes_text(text), "t.conf", &settings, &complaints);

    list_complaints(&complaints, true, told);
    complaints_done(&complaints);
    if (err != OK)
        fail_msg("%s\n%s", text, told);
    return settings;
}

static const struct receive_connector *find(const struct settings *settings, const char *name)
{
    for (size_t i = 0; i < settings->receive_count; i++) {
        if (strcmp(settings->receive[i].name, name) == 0)
            return &settings->receive[i];
    }
    fail_msg("no connector %s", name);
    return NULL;
}

/* The connector "In" with these OPTIONS; settings_free() what it is in. */
static const struct receive_connector *read_in(const char *options, struct settings **out)
{
    char text[1000];

    snprintf(text, sizeof text, "receive_connector \"In\" { %s }\n" OUT, options);
    *out = read_good(text);
    return find(*out, "In");
}

static void a_usage_sets_what_the_block_does_not(void **state)
{
    static const struct {
        const char *name, *text;
        uint16_t port;
        size_t ranges;
        unsigned groups, allow;
        enum tls_mode tls;
        bool requires_auth, is_internal;
        uint32_t rate;
    } cases[] = {
        { "client", "usage = client", 587, 1, GROUP_USERS, 0, TLS_MODE_REQUIRED, true, false,
            600 },
        { "client, its own way",
            "tls = implicit messages_per_minute = unlimited usage = client remote_ranges = "
            "{10.0.0.0/8, 10.1.1.1} " AT_PORT("465"),
            465, 2, GROUP_USERS, 0, TLS_MODE_IMPLICIT, true, false, 0 },
        { "client, also anonymous", "usage = client permission_groups = {anonymous, users}",
            587, 1, GROUP_ANONYMOUS | GROUP_USERS, 0, TLS_MODE_REQUIRED, true, false, 600 },
        { "client, without TLS: a warning", "usage = client tls = off", 587, 1, GROUP_USERS, 0,
            TLS_MODE_OFF, true, false, 600 },
        { "client, by other means", "usage = client auth = {scram-sha-256}", 587, 1,
            GROUP_USERS, 0, TLS_MODE_REQUIRED, true, false, 600 },
        { "internal", "usage = internal", 2525, 1, GROUP_SERVERS, 0, TLS_MODE_OFF, false, true,
            0 },
        { "internet", "usage = internet", 25, 1, GROUP_ANONYMOUS, 0, TLS_MODE_OFFERED },
        { "partner", "usage = partner remote_ranges = {10.0.0.1}", 25, 1, GROUP_PARTNERS, 0,
            TLS_MODE_REQUIRED },
        { "relay", "usage = relay remote_ranges = {10.0.0.1}", 25, 1, GROUP_ANONYMOUS,
            RIGHT_ANY_RECIPIENT, TLS_MODE_OFFERED },
        { "relay, with less", "usage = relay remote_ranges = {10.0.0.1} allow = {any-sender}",
            25, 1, GROUP_ANONYMOUS, RIGHT_ANY_SENDER, TLS_MODE_OFFERED },
        { "custom", "usage = custom remote_ranges = {10.0.0.1} " AT_PORT("26"), 26, 1,
            GROUP_ANONYMOUS, 0, TLS_MODE_OFFERED },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct settings *settings;
        const struct receive_connector *made = read_in(cases[i].text, &settings);

        check(cases[i].name, made->binding_count == 1);
        check(cases[i].name, made->bindings[0].port == cases[i].port);
        check(cases[i].name, made->range_count == cases[i].ranges);
        check(cases[i].name, made->groups == cases[i].groups);
        check(cases[i].name, made->allow == cases[i].allow);
        check(cases[i].name, made->tls == cases[i].tls);
        check(cases[i].name, made->requires_auth == cases[i].requires_auth);
        check(cases[i].name, (made->mechanisms != 0) == cases[i].requires_auth);
        check(cases[i].name, made->is_internal == cases[i].is_internal);
        check(cases[i].name, made->messages_per_minute_max == cases[i].rate);
        settings_free(settings);
    }
}

/* += adds to what the usage has; = takes its place. */
static void lists_add_to_a_usage(void **state)
{
    enum { LOGINS = AUTH_PLAIN | AUTH_LOGIN | AUTH_SCRAM_SHA_256 | AUTH_SCRAM_SHA_256_PLUS };
    static const struct {
        const char *name, *text;
        unsigned allow, mechanisms;
        size_t bindings, ranges;
    } cases[] = {
        { "a right", "usage = relay remote_ranges = {10.0.0.1} allow += {bypass-size-limit}",
            RIGHT_ANY_RECIPIENT | RIGHT_BYPASS_SIZE_LIMIT, 0, 1, 1 },
        { "a right, twice",
            "usage = relay remote_ranges = {10.0.0.1} allow = {submit} allow += "
            "{bypass-size-limit}",
            RIGHT_SUBMIT | RIGHT_BYPASS_SIZE_LIMIT, 0, 1, 1 },
        { "a mechanism", "usage = client auth += {gssapi}", 0, LOGINS | AUTH_GSSAPI, 1, 1 },
        { "a mechanism instead", "usage = client auth = {gssapi}", 0, AUTH_GSSAPI, 1, 1 },
        { "a binding", "usage = internet bindings += {\"*:2500\"}", 0, 0, 2, 1 },
        { "a binding instead", "usage = internet bindings = {\"*:2500\"}", 0, 0, 1, 1 },
        { "ranges", "usage = internet remote_ranges += {10.0.0.1, 10.0.0.2}", 0, 0, 1, 3 },
        { "ranges instead", "usage = internet remote_ranges = {10.0.0.1, 10.0.0.2}", 0, 0, 1,
            2 },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct settings *settings;
        const struct receive_connector *made = read_in(cases[i].text, &settings);

        check(cases[i].name, made->allow == cases[i].allow);
        check(cases[i].name, made->mechanisms == cases[i].mechanisms);
        check(cases[i].name, made->binding_count == cases[i].bindings);
        check(cases[i].name, made->range_count == cases[i].ranges);
        settings_free(settings);
    }
}

/* The same of a group of one's own, which may submit where nothing else is said. */
static void rights_add_to_a_group(void **state)
{
    struct settings *settings =
        read_good("permission_group \"A\" { users = {a} rights += {any-sender} }\n"
                  "permission_group \"B\" { users = {b} rights = {any-sender} }\n" OUT);

    (void)state;
    assert_int_equal(settings->user_groups[0].rights, RIGHT_SUBMIT | RIGHT_ANY_SENDER);
    assert_int_equal(settings->user_groups[1].rights, RIGHT_ANY_SENDER);
    settings_free(settings);
}

#define NODE                                                                                   \
    "fqdn = a.example\ncluster_node \"b.example\" { address = \"192.0.2.2:2525\" pin = "       \
    "\"sha256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\" }\n"

static void a_preset_adds_connectors(void **state)
{
    static const struct {
        const char *name, *text, *want; /* "name port" of each, in order */
    } cases[] = {
        { "exchange", "preset = exchange\n" OUT, "Default Frontend 25, Client Frontend 587, " },
        { "default", "preset = default\n" OUT,
            "Inbound 25, Submission 587, Submissions 465, " },
        { "beside others",
            "receive_connector \"Mine\" { " AT_PORT(
                "26") "remote_ranges = {10.0.0.1} }\npreset = "
                      "Exchange\n" OUT,
            "Mine 26, Default Frontend 25, Client Frontend 587, " },
        { "one of them changed",
            "receive_connector \"client frontend\" { " AT_PORT(
                "1587") "}\npreset = exchange\n" OUT,
            "client frontend 1587, Default Frontend 25, " },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct settings *settings = read_good(cases[i].text);
        char got[300] = "";
        for (size_t k = 0; k < settings->receive_count; k++) {
            const struct receive_connector *in = &settings->receive[k];
            snprintf(got + strlen(got), sizeof got - strlen(got), "%s %u, ", in->name,
                in->bindings[0].port);
            if (in->bindings[0].port % 1000 == 587)
                check(cases[i].name, in->requires_auth && in->groups == GROUP_USERS);
            if (in->bindings[0].port == 465)
                check(cases[i].name, in->tls == TLS_MODE_IMPLICIT);
            check(cases[i].name, in->source.file && strcmp(in->source.file, "t.conf") == 0);
        }
        check_bytes(cases[i].name, bytes_text(got), bytes_text(cases[i].want));
        settings_free(settings);
    }
}

/* With other nodes there is a way in for them; without, nobody could come by it. */
static void a_preset_has_a_way_in_for_nodes(void **state)
{
    struct complaints complaints = { 0 };
    struct directory_query query = { .file = "/tmp/relais-connectors-test.conf",
        .may_lack_key = true };
    struct settings *settings = NULL;

    (void)state;
    write_file("/tmp", "relais-connectors-test.conf", NODE "preset = exchange\n" OUT);
    assert_int_equal(directory_read(&query, &settings, &complaints), OK);
    assert_int_equal(settings->receive_count, 3);
    assert_true(find(settings, "Default")->is_internal);
    assert_int_equal(find(settings, "Default")->bindings[0].port, 2525);
    settings_free(settings);
    complaints_done(&complaints);
    remove_file("/tmp", "relais-connectors-test.conf");
}

static void limits_are_read(void **state)
{
    struct settings *settings = read_good("receive_connector \"In\" { " AT_PORT(
        "25") "remote_ranges = {10.0.0.1}\n"
              "messages_per_minute = 30 local_hops_max = 3 logins_max = 7 source_share_percent "
              "= 9\n"
              "report_only = { message-rate, recipients, size }\n"
              "tolerate = { bare-lf, path-spaces, no-brackets, bad-helo, no-helo } }\n"
              "receive_connector \"Share\" { " AT_PORT(
                  "26") "remote_ranges = {10.0.0.1} }\n"
                        "receive_connector \"Source\" { " AT_PORT(
                            "27") "remote_ranges = {10.0.0.1}\n"
                                  "connections_per_source = 100 }\n" OUT);
    const struct receive_connector *in = find(settings, "In");

    (void)state;
    assert_int_equal(in->messages_per_minute_max, 30);
    assert_int_equal(in->local_hops_max, 3);
    assert_int_equal(in->logins_max, 7);
    assert_int_equal(in->source_share_percent, 9);
    assert_int_equal(
        in->report_only, LIMIT_MESSAGE_RATE | LIMIT_RECIPIENTS | LIMIT_MESSAGE_SIZE);
    assert_int_equal(in->tolerances, (1 << TOLERANCE_COUNT) - 1);
    assert_int_equal(find(settings, "Share")->source_share_percent, 2);
    assert_int_equal(find(settings, "Source")->source_share_percent, 0);
    settings_free(settings);
}

static void lists_are_shared(void **state)
{
    struct settings *settings = read_good("receive_connector \"A\" { " AT_PORT(
        "25") "remote_ranges = {\"@Floor two\", 10.9.9.9} }\n"
              "receive_connector \"B\" { " AT_PORT(
                  "26") "remote_ranges = {\"@floor TWO\"} }\n"
                        "address_list \"Floor two\" { ranges = {10.0.0.0/24, "
                        "10.0.2.1-10.0.2.9} }\n" OUT);

    (void)state;
    assert_int_equal(settings->address_list_count, 1);
    assert_int_equal(find(settings, "A")->range_count, 3);
    assert_int_equal(find(settings, "B")->range_count, 2);
    settings_free(settings);
}

static void mistakes_are_found(void **state)
{
    static const struct {
        const char *name, *text, *want;
    } cases[] = {
        { "usage", "receive_connector \"A\" { usage = clients }\n" OUT,
            "1: 'usage' cannot be 'clients' | did you mean 'client'?" },
        { "AUTH taken away, but required",
            "receive_connector \"A\" { usage = client\nauth = {} }\n" OUT,
            "2: AUTH is required, and not offered" },
        { "preset", "preset = exchang\n" OUT,
            "1: 'preset' cannot be 'exchang' | did you mean 'exchange'?" },
        { "a relay for whom", "receive_connector \"A\" { usage = relay }\n" OUT,
            "1: receive_connector \"A\" has no remote_ranges" },
        { "a relay for all",
            "receive_connector \"A\" { usage = relay remote_ranges = {\"*\"} }\n" OUT,
            "1: receive connector \"A\" would be an open relay" },
        { "a relay for all, in two halves",
            "receive_connector \"A\" { usage = relay remote_ranges = {0.0.0.0/1, 128.0.0.0/1} "
            "}\n" OUT,
            "1: receive connector \"A\" would be an open relay" },
        { "a relay for all but 0.0.0.0/8",
            "receive_connector \"A\" { usage = relay remote_ranges = "
            "{1.0.0.0-255.255.255.255} }\n" OUT,
            "1: receive connector \"A\" would be an open relay" },
        { "a relay for all by a list",
            "address_list \"L\" { ranges = {\"::/1\", \"8000::/1\"} }\n"
            "receive_connector \"A\" { usage = relay remote_ranges = {\"@L\"} }\n" OUT,
            "2: receive connector \"A\" would be an open relay" },
        { "external-secured for all",
            "receive_connector \"A\" { usage = internet permission_groups = {external-secured} "
            "}\n" OUT,
            "1: receive connector \"A\" would be an open relay" },
        { "no such list",
            "address_list \"Scanners\" { }\nreceive_connector \"A\" { " AT_PORT(
                "25") "remote_ranges = {\"@scaners\"} }\n" OUT,
            "2: there is no address_list \"scaners\" | did you mean \"@Scanners\"?" },
        { "a list twice", "address_list \"A\" { }\n\naddress_list \"a\" { }\n" OUT,
            "3: there are two address lists \"a\" | the other one is on line 1" },
        { "a list without a name", "address_list { }\n" OUT,
            "1: this address_list has no name" },
        { "no range", "address_list \"A\" {\n ranges = {10.1.2.3/8} }\n" OUT,
            "2: '10.1.2.3/8' is no range of addresses | bits are set behind" },
        { "no file", "address_list \"A\" {\n file = \"/nonexistent/list\" }\n" OUT,
            "2: cannot read \"/nonexistent/list\"" },
        { "report mode",
            "receive_connector \"A\" { usage = internet report_only = {sizes} }\n" OUT,
            "1: 'report_only' cannot be 'sizes' | did you mean 'size'?" },
        { "share",
            "receive_connector \"A\" { usage = internet source_share_percent = 101 }\n" OUT,
            "1: 'source_share_percent' cannot be '101'" },
        { "lists that overlap",
            "address_list \"L\" { ranges = {10.0.0.1} }\n"
            "receive_connector \"A\" { " AT_PORT(
                "25") "remote_ranges = {\"@L\"} }\n"
                      "receive_connector \"B\" { " AT_PORT(
                          "25") "remote_ranges = {10.0.0.1} }\n" OUT,
            "\"A\" and \"B\" both have the range 10.0.0.1" },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct complaints complaints = { 0 };
        struct settings *settings = NULL;
        char got[8000];
        enum err err =
            directory_read_text(bytes_text(cases[i].text), "t.conf", &settings, &complaints);

        list_complaints(&complaints, true, got);
        complaints_done(&complaints);
        check(cases[i].name, err == ERR_SYNTAX && !settings);
        check_parts(cases[i].name, got, cases[i].want);
    }
}

static void nodes_in_ranges_are_told(void **state)
{
    static const struct {
        const char *name, *ranges;
        bool warns;
    } cases[] = {
        { "its network", "{192.0.2.0/24}", true },
        { "itself, among others", "{192.0.0.0/8, 192.0.2.2}", true },
        { "another one", "{192.0.3.0/24}", false },
        { "all but it, as the hint says", "{192.0.2.0-192.0.2.1, 192.0.2.3-192.0.2.255}",
            false },
        { "everybody", "{0.0.0.0/0}", false },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct complaints complaints = { 0 };
        struct directory_query query = { .file = "/tmp/relais-connectors-test2.conf",
            .may_lack_key = true };
        struct settings *settings = NULL;
        char text[1000], got[8000];

        snprintf(text, sizeof text,
            NODE "receive_connector \"Nodes\" { usage = internal }\nreceive_connector \"In\" "
                 "{ " AT_PORT("25") "remote_ranges = %s }\n" OUT,
            cases[i].ranges);
        write_file("/tmp", "relais-connectors-test2.conf", text);
        check(cases[i].name, directory_read(&query, &settings, &complaints) == OK);
        list_complaints(&complaints, true, got);
        check(cases[i].name,
            (strstr(got, "has node \"b.example\" in it") != NULL) == cases[i].warns);
        check(
            got, (strstr(got, "one that ends before 192.0.2.2 and") != NULL) == cases[i].warns);
        settings_free(settings);
        complaints_done(&complaints);
    }
    remove_file("/tmp", "relais-connectors-test2.conf");
}

/* What nobody is hindered from, but told of. */
static void wide_relays_are_told(void **state)
{
    static const struct {
        const char *name, *text, *range; /* NULL: nothing is said */
    } cases[] = {
        { "a public /16", "remote_ranges = {8.8.0.0/16} allow = {any-recipient}", NULL },
        { "a public /15", "remote_ranges = {8.8.0.0/15} allow = {any-recipient}",
            "8.8.0.0/15" },
        { "one of several", "remote_ranges = {10.0.0.0/8, 18.0.0.0/8} allow = {any-recipient}",
            "18.0.0.0/8" },
        { "IPv6", "remote_ranges = {\"2a01:4f8::/32\"} permission_groups = {external-secured}",
            "2a01:4f8::/32" },
        { "meant",
            "remote_ranges = {18.0.0.0/8} allow = {any-recipient} open_relay_i_mean_it = yes",
            NULL },
        { "without the right", "remote_ranges = {18.0.0.0/8}", NULL },
        { "all of it private", "remote_ranges = {10.0.0.0/8} allow = {any-recipient}", NULL },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct complaints complaints = { 0 };
        struct settings *settings = NULL;
        char text[1000], got[8000], want[200];

        snprintf(text, sizeof text, "receive_connector \"In\" { " AT_PORT("25") "%s }\n" OUT,
            cases[i].text);
        check(cases[i].name,
            directory_read_text(bytes_text(text), "t.conf", &settings, &complaints) == OK);
        list_complaints(&complaints, false, got);
        snprintf(want, sizeof want,
            "1? receive connector \"In\" lets everybody in %s send to everybody",
            cases[i].range);
        check(cases[i].name, cases[i].range ? strstr(got, want) != NULL : !*got);
        settings_free(settings);
        complaints_done(&complaints);
    }
}

/* AD-5: where every domain is ours, nobody needs a right to reach them all. */
static void a_domain_of_all_needs_a_word(void **state)
{
#define ALL(more) "accepted_domain \"*\" { " more " }\n"
    static const struct {
        const char *name, *text;
        bool is_mistake;
    } cases[] = {
        { "for everybody", ALL("") "receive_connector \"In\" { usage = internet }\n", true },
        { "in front or behind",
            "receive_connector \"In\" { usage = internet }\n" ALL("type = external-relay"),
            true },
        { "in two halves",
            ALL("") "receive_connector \"In\" { " AT_PORT(
                "25") "remote_ranges = {0.0.0.0/1, 128.0.0.0/1} }\n",
            true },
        { "meant",
            ALL("") "receive_connector \"In\" { usage = internet open_relay_i_mean_it = yes "
                    "}\n",
            false },
        { "meant by one of two",
            ALL("") "receive_connector \"In\" { usage = internet open_relay_i_mean_it = yes }\n"
                    "receive_connector \"B\" { usage = internet " AT_PORT("26") "}\n",
            true },
        { "a network",
            ALL("") "receive_connector \"In\" { " AT_PORT(
                "25") "remote_ranges = {10.0.0.0/8} }\n",
            false },
        { "who has logged in", ALL("") "receive_connector \"In\" { usage = client }\n", false },
        { "who must log in",
            ALL("") "receive_connector \"In\" { usage = client permission_groups = {anonymous, "
                    "users} "
                    "}\n",
            false },
        { "not enabled", ALL("") "receive_connector \"In\" { usage = internet enabled = no }\n",
            false },
        { "some recipients",
            ALL("") "receive_connector \"In\" { usage = internet allow_recipients = "
                    "{\"@example.com\"} }\n",
            false },
        { "another pattern",
            "accepted_domain \"*.example.com\" { }\n"
            "receive_connector \"In\" { usage = internet }\n",
            false },
        { "the empty file's", ALL(""), false },
    };
#undef ALL

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct complaints complaints = { 0 };
        struct settings *settings = NULL;
        char text[1000], got[8000];
        enum err err;

        snprintf(text, sizeof text, "%s" OUT, cases[i].text);
        err = directory_read_text(bytes_text(text), "t.conf", &settings, &complaints);
        list_complaints(&complaints, false, got);
        check(cases[i].name, err == (cases[i].is_mistake ? ERR_SYNTAX : OK));
        check(cases[i].name,
            cases[i].is_mistake == (strstr(got, "an open relay: everybody may send") != NULL));
        settings_free(settings);
        complaints_done(&complaints);
    }
}

static void a_list_is_edited(void **state)
{
    static const struct {
        const char *name, *old, *range, *comment;
        bool is_removal;
        const char *want; /* NULL: refused */
    } cases[] = {
        { "added", "# x\n10.0.0.1\n", "10.0.0.2", NULL, false, "# x\n10.0.0.1\n10.0.0.2\n" },
        { "added in its own form, with a comment", "", "10.0.0.0-10.0.0.255", "floor 2", false,
            "10.0.0.0/24  # floor 2\n" },
        { "behind a line without an end", "10.0.0.1", "10.0.0.2", NULL, false,
            "10.0.0.1\n10.0.0.2\n" },
        { "there already", "10.0.0.0/24 # x\n", "10.0.0.0-10.0.0.255", NULL, false, NULL },
        { "inside another, by itself", "10.0.0.0/24\n", "10.0.0.1", NULL, false,
            "10.0.0.0/24\n10.0.0.1\n" },
        { "removed, twice", "10.0.0.1\n# y\n10.0.0.1 # again\n10.0.0.2\n", "10.0.0.1", NULL,
            true, "# y\n10.0.0.2\n" },
        { "removed at the end", "10.0.0.2\n10.0.0.1", "10.0.0.1", NULL, true, "10.0.0.2\n" },
        { "part of a range", "10.0.0.0/24\n", "10.0.0.1", NULL, true, NULL },
        { "no range", "", "10.0.0", NULL, false, NULL },
        { "a comment that is two lines", "", "10.0.0.1", "a\n10.0.0.0/8", false, NULL },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        char file[] = "/tmp/relais-connectors-list", name[] = "L";
        struct address_list list = { .name = name, .file = file };
        struct address_change change = { &list, cases[i].range, cases[i].comment,
            cases[i].is_removal };
        char why[512] = "";
        struct buf out;
        enum err err;

        write_file("/tmp", "relais-connectors-list", cases[i].old);
        buf_init(&out, 10000);
        err = directory_address_edit(&change, &out, why);
        check(cases[i].name, (err == OK) == (cases[i].want != NULL));
        check(cases[i].name, (err == OK) == (why[0] == '\0'));
        if (cases[i].want)
            check_bytes(cases[i].name, buf_bytes(&out), bytes_text(cases[i].want));
        buf_done(&out);
    }
    remove_file("/tmp", "relais-connectors-list");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_usage_sets_what_the_block_does_not),
        cmocka_unit_test(lists_add_to_a_usage),
        cmocka_unit_test(rights_add_to_a_group),
        cmocka_unit_test(a_preset_adds_connectors),
        cmocka_unit_test(a_preset_has_a_way_in_for_nodes),
        cmocka_unit_test(limits_are_read),
        cmocka_unit_test(lists_are_shared),
        cmocka_unit_test(mistakes_are_found),
        cmocka_unit_test(nodes_in_ranges_are_told),
        cmocka_unit_test(wide_relays_are_told),
        cmocka_unit_test(a_domain_of_all_needs_a_word),
        cmocka_unit_test(a_list_is_edited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
