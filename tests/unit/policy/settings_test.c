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

/* SHADOW.md 6. */
static void redundancy_is_on_and_alone(void **state)
{
    struct settings *settings = settings_new("box.example.com");
    const struct transport_settings *t = &settings->transport;

    (void)state;
    check("nobody else", settings->node_count == 0 && !settings->site);
    check("enabled", t->shadow_is_enabled && !t->rejects_on_shadow_failure);
    check("take-over after a minute",
        t->heartbeat_timeout_ms * t->heartbeat_retry_count == 60000 && t->resubmit_ms == 0);
    check("kept for two days", t->auto_discard_ms == 2 * 86400000);
    check("accepted in the end", settings->receive->shadow_failure == SHADOW_FAILURE_ACCEPT &&
                                     settings->receive->acknowledgement_delay_ms == 30000);
    check("a copy has time", t->copy_timeout_ms < t->accept_timeout_ms);
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
        cmocka_unit_test(redundancy_is_on_and_alone),
        cmocka_unit_test(the_last_holder_frees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
