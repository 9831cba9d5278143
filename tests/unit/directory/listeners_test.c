/* Listeners: what they say, and what is wrong with them alone and beside the connectors. */
#include "directory_kit.h"

#include "policy/balancer.h"

#define OUT "send_connector \"Out\" { address_spaces = {\"*\"} mx = true }\n"
#define IN "receive_connector \"In\" { bindings = {\"*:25\"} remote_ranges = {10.1.0.0/16} }\n"

static enum err read_text(const char *text, struct settings **out, char told[8000])
{
    struct complaints complaints = { 0 };
    enum err err = directory_read_text(bytes_text(text), "t.conf", out, &complaints);

    list_complaints(&complaints, true, told);
    complaints_done(&complaints);
    return err;
}

static void every_option_is_read(void **state)
{
    struct settings *settings = NULL;
    const struct listener_options *made;
    char told[8000];
    enum err err = read_text("address_list \"B\" { ranges = {10.0.0.5, 10.0.0.6} }\n" IN OUT
                             "listener \"*:25\" { proxy_from = {\"@b\", 2001:db8::/64} }\n"
                             "listener \"[::1]:25\" { proxy_from = 10.0.0.7 proxy = required "
                             "proxy_timeout = 3s }\n"
                             "listener \"127.0.0.1:25\" { proxy = optional proxy_from = {} "
                             "proxy_from += { 10.0.0.8 } }\n",
        &settings, told);

    (void)state;
    if (err != OK || *told)
        fail_msg("%s", told);
    assert_int_equal(settings->listener_count, 3);
    made = settings->listeners;
    assert_true(made[0].binding.is_any && made[0].binding.port == 25);
    assert_int_equal(made[0].balancer_count, 3);
    assert_int_equal(made[0].proxy, PROXY_MODE_LISTED);
    assert_int_equal(made[0].proxy_timeout_ms, 10000);
    assert_int_equal(made[1].balancer_count, 1);
    assert_int_equal(made[1].proxy, PROXY_MODE_REQUIRED);
    assert_int_equal(made[1].proxy_timeout_ms, 3000);
    assert_int_equal(made[2].proxy, PROXY_MODE_OPTIONAL);
    assert_int_equal(made[2].balancer_count, 1);
    settings_free(settings);
}

static void mistakes_and_warnings(void **state)
{
    static const struct {
        const char *name, *text, *want; /* as list_complaints() has them */
    } cases[] = {
        { "no title", IN "listener { proxy_from = 10.0.0.5 }\n" OUT,
            "2: '' is no binding | listener \"192.0.2.1:25\" { ... }" },
        { "no binding", IN "listener \"Front\" { proxy_from = 10.0.0.5 }\n" OUT,
            "2: 'Front' is no binding" },
        { "a UNIX socket", IN "listener \"unix:/run/x\" { proxy_from = 10.0.0.5 }\n" OUT,
            "2: a listener block is for TCP, not for 'unix:/run/x'" },
        { "no balancers", IN "listener \"*:25\" { proxy = required }\n" OUT,
            "2: the listener has no proxy_from" },
        { "an empty list", IN "listener \"*:25\" { proxy_from = {} }\n" OUT,
            "2? proxy_from of the listener is empty: it takes no PROXY header" },
        { "a list that is not there", IN "listener \"*:25\" { proxy_from = \"@Lost\" }\n" OUT,
            "2: there is no address_list \"Lost\"" },
        { "no range", IN "listener \"*:25\" { proxy_from = 10.0.0.5/8 }\n" OUT,
            "2: '10.0.0.5/8' is no range of addresses | bits are set behind" },
        { "no mode", IN "listener \"*:25\" { proxy_from = 10.0.0.5 proxy = require }\n" OUT,
            "2: 'proxy' cannot be 'require' | did you mean 'required'?" },
        { "no time", IN "listener \"*:25\" { proxy_from = 10.0.0.5 proxy_timeout = 1h }\n" OUT,
            "2: 'proxy_timeout' cannot be '1h'" },
        { "an unknown option", IN "listener \"*:25\" { proxy_for = 10.0.0.5 }\n" OUT,
            "2: unknown option 'proxy_for' in listener | did you mean 'proxy_from'?~2: the "
            "listener has no proxy_from" },
        { "twice",
            IN "listener \"*:25\" { proxy_from = 10.0.0.5 }\n"
               "listener \"*:25\" { proxy_from = 10.0.0.5 }\n" OUT,
            "3: there are two listeners \"*:25\" | the other one is on line 2" },
        { "nobody listens", IN "listener \"*:26\" { proxy_from = 10.0.0.5 }\n" OUT,
            "2: no enabled receive connector listens on \"*:26\" | it is a binding" },
        { "all listen, one of them is meant",
            "receive_connector \"In\" { bindings = {\"192.0.2.1:25\"} remote_ranges = "
            "{10.1.0.0/16} }\nlistener \"192.0.2.2:25\" { proxy_from = 10.0.0.5 }\n" OUT,
            "2: no enabled receive connector listens on \"192.0.2.2:25\"" },
        { "nodes come without one",
            "cluster_node \"b.example\" { address = \"192.0.2.2:2525\" pin = "
            "\"sha256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\" }\n"
            "receive_connector \"Nodes\" { usage = internal }\n"
            "listener \"*:2525\" { proxy_from = 10.0.0.5 }\n" OUT,
            "3: listener \"*:2525\" is in front of the internal connector \"Nodes\" | the "
            "other "
            "nodes come without a balancer" },
        { "everybody is a balancer", IN "listener \"*:25\" { proxy_from = 0.0.0.0/0 }\n" OUT,
            "2? everybody may say by a PROXY header that he is somebody else" },
        { "ranges as of sockets",
            "receive_connector \"In\" { bindings = {\"*:25\"} remote_ranges = {10.0.0.5} }\n"
            "listener \"*:25\" { proxy_from = {10.0.0.0/24} }\n" OUT,
            "1? receive connector \"In\" takes the balancers of listener \"*:25\" and nobody "
            "else | remote_ranges are of the true clients there" },
        { "one for health checks, one for clients",
            IN
            "receive_connector \"Checks\" { bindings = {\"*:25\"} remote_ranges = {10.0.0.5} "
            "}\nlistener \"*:25\" { proxy_from = {10.0.0.5} }\n" OUT,
            "" },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct settings *settings = NULL;
        char got[8000];
        enum err err = read_text(cases[i].text, &settings, got);

        check(cases[i].name, (err == OK) == (!*cases[i].want || cases[i].want[1] == '?'));
        if (!*cases[i].want)
            check_bytes(cases[i].name, bytes_text(got), BYTES(""));
        check_parts(cases[i].name, got, cases[i].want);
        settings_free(settings);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_is_read),
        cmocka_unit_test(mistakes_and_warnings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
