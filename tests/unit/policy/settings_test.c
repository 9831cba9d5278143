/* The settings of an empty file. */
#include "kit.h"

#include "policy/receive.h"

static void empty_settings_are_a_safe_satellite(void **state)
{
    struct settings *settings = settings_new("box.example.com");
    const struct receive_connector *connector = settings->receive;
    struct arrival arrival = { .port = 25 };

    (void)state;
    check("one connector", settings->receive_count == 1);
    check("no way out", settings->send_count == 0 && settings->domain_count == 0);
    for (size_t i = 0; i < connector->binding_count; i++)
        check("loopback alone",
            !connector->bindings[i].is_any && ip_is_loopback(connector->bindings[i].ip));
    check("local", ip_parse(BYTES("127.0.0.1"), &arrival.local));
    check("peer", ip_parse(BYTES("127.3.2.1"), &arrival.peer));
    check("itself", receive_choose(settings, &arrival) == connector);
    check("peer", ip_parse(BYTES("192.0.2.1"), &arrival.peer));
    check("nobody else", receive_choose(settings, &arrival) == NULL);
    check_bytes("node", bytes_text(settings->node), BYTES("box"));
    settings_free(settings);
}

static void the_last_holder_frees(void **state)
{
    struct settings *settings = settings_new("localhost");

    (void)state;
    check("same", settings_hold(settings) == settings);
    settings_free(settings);
    check_bytes("still there", bytes_text(settings->fqdn), BYTES("localhost"));
    settings_free(settings);
    settings_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_settings_are_a_safe_satellite),
        cmocka_unit_test(the_last_holder_frees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
