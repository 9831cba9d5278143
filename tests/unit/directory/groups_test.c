/* Permission groups, rights and patterns of a connector, as a configuration has them. */
#include "directory_kit.h"

#include "policy/client.h"

#include <stdio.h>

static enum err read_text(const char *text, struct settings **out, char complaints_text[8000])
{
    struct complaints complaints = { 0 };
    enum err err = directory_read_text(bytes_text(text), "t.conf", out, &complaints);

    list_complaints(&complaints, true, complaints_text);
    complaints_done(&complaints);
    return err;
}

#define OUT "send_connector \"Out\" { address_spaces = {\"*\"} mx = true }\n"
#define IN "receive_connector \"In\" { bindings = {\"*:25\"} remote_ranges = {\"10.0.0.0/8\"}\n"
#define SCANNERS "permission_group \"Scanners\" { rights = {submit} users = {s1} }\n"

static void mistakes_are_found(void **state)
{
    static const struct {
        const char *name, *text;
        const char *want; /* what the complaints must have in them, in this order, ~ between */
    } cases[] = {
        { "group misspelt", IN "permission_groups = { anonymus } }\n" OUT,
            "2: there is no permission group 'anonymus' | did you mean 'anonymous'?" },
        { "own group misspelt", IN "permission_groups = { Scaners } }\n" SCANNERS OUT,
            "2: there is no permission group 'Scaners' | did you mean 'Scanners'?" },
        { "group of nobody", IN "permission_groups = { xyzzy } }\n" OUT,
            "2: there is no permission group 'xyzzy' | anonymous, users, partners, "
            "external-secured, or permission_group \"xyzzy\" {" },
        { "group in a second list",
            IN "permission_groups = { anonymous }\npermission_groups += { foo } }\n" OUT,
            "3: there is no permission group 'foo'" },
        { "servers", IN "permission_groups = { servers } }\n" OUT,
            "2: 'permission_groups' cannot be 'servers' | the other nodes come in by a "
            "connector with role = internal" },
        { "custom", IN "permission_groups = { Custom } }\n" OUT,
            "2: 'permission_groups' cannot be 'Custom' | write the name of a permission_group "
            "block" },
        { "no group", IN "permission_groups = { } }\n" OUT,
            "2: receive connector \"In\" would take nobody" },
        { "users who cannot log in", IN "permission_groups = { users } }\n" OUT,
            "2? receive connector \"In\" takes users, but nobody can log in" },
        { "scanners who cannot log in", IN "permission_groups = { Scanners } }\n" SCANNERS OUT,
            "2? receive connector \"In\" takes users, but nobody can log in" },
        { "partners without certificates", IN "permission_groups = { partners } }\n" OUT,
            "2? receive connector \"In\" takes partners, but knows no client certificate" },
        { "open to all by external-secured",
            "receive_connector \"In\" { bindings = {\"*:25\"} remote_ranges = {\"*\"} "
            "permission_groups = { external-secured } }\n" OUT,
            "1: receive connector \"In\" would be an open relay~drop external-secured" },
        { "right misspelt", IN "allow = { internal-header } }\n" OUT,
            "2: 'allow' cannot be 'internal-header' | did you mean 'internal-headers'?" },
        { "a right of nodes", IN "allow = { submit, accept-shadow } }\n" OUT,
            "2: 'allow' cannot be 'accept-shadow' | only the other nodes hand over copies" },
        { "a right of balancers", IN "allow = { Proxy } }\n" OUT,
            "2: 'allow' cannot be 'Proxy' | listener \"*:25\" { proxy_from = { 192.0.2.10 } "
            "}" },
        { "right of a group", "permission_group \"G\" { rights = { relay } users = {a} }\n" OUT,
            "1: 'rights' cannot be 'relay' | it is submit, any-recipient, any-sender, "
            "own-domain-sender, bypass-size-limit, bypass-rate-limit or internal-headers" },
        { "a group's name", "permission_group { }\n" OUT,
            "1: this permission_group has no name" },
        { "a name that is taken", "permission_group \"Users\" { }\n" OUT,
            "1: permission group \"Users\" is there already" },
        { "two groups of a name",
            SCANNERS "permission_group \"scanners\" { users = {a} }\n" OUT,
            "2: there are two permission groups \"scanners\" | the other one is on line 1" },
        { "a group of nobody", "permission_group \"G\" { rights = {submit} }\n" OUT,
            "1? nobody is in permission group \"G\"" },
        { "no user", "permission_group \"G\" {\n users = {a, \"\"} }\n" OUT,
            "2: '' is no name of a user" },
        { "a pattern", IN "allow_senders = { \"@example.com\",\n \"a b@x\" } }\n" OUT,
            "3: 'a b@x' is no pattern of addresses | \"user@example.com\"" },
        { "a domain for a pattern", IN "refuse_senders = { example.com } }\n" OUT,
            "2: 'example.com' is no pattern of addresses | did you mean \"@example.com\"" },
        { "nothing for a pattern", IN "refuse_recipients = { \"\" } }\n" OUT,
            "2: '' is no pattern of addresses | the null sender is \"<>\"" },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct settings *settings = NULL;
        char got[8000];
        enum err err = read_text(cases[i].text, &settings, got);
        bool is_warning = cases[i].want[1] == '?';

        if ((err == OK) != is_warning)
            fail_msg("%s: %s with\n%s", cases[i].name, err_text(err), got);
        check_parts(cases[i].name, got, cases[i].want);
        settings_free(settings);
    }
}

static void an_unknown_group_is_no_users(void **state)
{
    struct settings *settings = NULL;
    char got[8000];

    (void)state;
    check("refused",
        read_text(IN "permission_groups = { xyzzy } }\n" OUT, &settings, got) == ERR_SYNTAX);
    check(got, !strstr(got, "nobody can log in"));
}

static const char whole[] =
    IN "permission_groups = { anonymous, external-secured, scanners }\n"
       "permission_groups += { Users, \"Storage Boxes\", Scanners }\n"
       "allow = [any-recipient, accept-internal-headers, Bypass-Rate-Limit]\n"
       "allow_senders = { \"@Example.COM\", \"<>\" }\n"
       "allow_senders += \"scan*@*\"\n"
       "refuse_senders = { ceo@example.com }\n"
       "allow_recipients = { \"*@*.example.com\" }\n"
       "refuse_recipients = { \"all@B\303\274cher.example\" } }\n"
       "permission_group \"Other\" { users = { x } }\n" SCANNERS
       "permission_group \"Storage Boxes\" {\n"
       "    rights = { submit, accept-any-recipient, bypass-size-limit }\n"
       "    users = { \"nas1\", nas2 }\n"
       "}\n" OUT;

static void check_list(
    const char *name, const struct address_patterns *patterns, const char *want)
{
    char got[500] = "";
    size_t n = 0;

    for (size_t i = 0; i < patterns->count; i++)
        n += (size_t)snprintf(got + n, sizeof got - n, "%s ", patterns->list[i]);
    check_bytes(name, bytes_of(got, n), bytes_text(want));
}

static void all_is_read(void **state)
{
    struct settings *settings = NULL;
    char got[8000];
    const struct receive_connector *in;
    const struct user_group *boxes;

    (void)state;
    if (read_text(whole, &settings, got) != OK)
        fail_msg("%s", got);
    in = settings->receive;
    assert_int_equal(
        in->groups, GROUP_ANONYMOUS | GROUP_EXTERNAL_SECURED | GROUP_USERS | GROUP_CUSTOM);
    assert_int_equal(
        in->allow, RIGHT_ANY_RECIPIENT | RIGHT_INTERNAL_HEADERS | RIGHT_BYPASS_RATE_LIMIT);
    assert_int_equal(in->user_group_count, 2);
    check("first", in->user_groups[0] == 1 && in->user_groups[1] == 2);
    check_list("allowed senders", &in->senders_allowed, "@example.com <> scan*@* ");
    check_list("refused senders", &in->senders_refused, "ceo@example.com ");
    check_list("allowed recipients", &in->recipients_allowed, "@*.example.com ");
    check_list("refused recipients", &in->recipients_refused, "all@xn--bcher-kva.example ");
    assert_int_equal(settings->user_group_count, 3);
    assert_int_equal(settings->user_groups[0].rights, RIGHT_SUBMIT);
    boxes = &settings->user_groups[2];
    assert_string_equal(boxes->name, "Storage Boxes");
    assert_int_equal(boxes->source.line, 12);
    assert_int_equal(
        boxes->rights, RIGHT_SUBMIT | RIGHT_ANY_RECIPIENT | RIGHT_BYPASS_SIZE_LIMIT);
    assert_int_equal(boxes->user_count, 2);
    assert_string_equal(boxes->users[1], "nas2");
    settings_free(settings);
}

static void anonymous_stays_unless_others_are_named(void **state)
{
    static const struct {
        const char *text;
        unsigned want;
    } cases[] = {
        { IN "}\n" OUT, GROUP_ANONYMOUS },
        { IN "permission_groups = users }\n" OUT, GROUP_USERS },
        { IN "permission_groups += { users } }\n" OUT, GROUP_ANONYMOUS | GROUP_USERS },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct settings *settings = NULL;
        char got[8000];

        if (read_text(cases[i].text, &settings, got) != OK)
            fail_msg("%s: %s", cases[i].text, got);
        assert_int_equal(settings->receive->groups, cases[i].want);
        settings_free(settings);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes_are_found),
        cmocka_unit_test(an_unknown_group_is_no_users),
        cmocka_unit_test(all_is_read),
        cmocka_unit_test(anonymous_stays_unless_others_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
