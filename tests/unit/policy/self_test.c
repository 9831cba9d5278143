/* Whether a name or a place is this node itself. */
#include "kit.h"

#include "base/mem.h"
#include "policy/self.h"

static struct receive_connector *add(struct settings *settings, const char *name)
{
    struct receive_connector *connector;

    settings->receive =
        mem_grow(settings->receive, (settings->receive_count + 1) * sizeof *settings->receive);
    connector = &settings->receive[settings->receive_count++];
    receive_connector_init(connector, name);
    return connector;
}

static void bind_to(struct receive_connector *connector, const char *ip, uint16_t port)
{
    struct binding *binding;

    connector->bindings = mem_grow(
        connector->bindings, (connector->binding_count + 1) * sizeof *connector->bindings);
    binding = &connector->bindings[connector->binding_count++];
    *binding = (struct binding){ .port = port, .is_any = !ip };
    if (ip)
        assert_true(ip_parse(bytes_text(ip), &binding->ip));
}

static struct settings *settings_with_connectors(void)
{
    struct settings *settings = settings_new("node.example");
    struct receive_connector *connector = add(settings, "In");

    connector->fqdn = mem_text("mail.example");
    bind_to(connector, "192.0.2.1", 25);
    bind_to(connector, "0.0.0.0", 587);
    bind_to(connector, "::", 465);
    bind_to(connector, NULL, 2525);
    connector->bindings = mem_grow(
        connector->bindings, (connector->binding_count + 1) * sizeof *connector->bindings);
    connector->bindings[connector->binding_count++] =
        (struct binding){ .is_unix = true, .path = mem_text("/run/x") };
    connector = add(settings, "Off");
    connector->enabled = false;
    connector->fqdn = mem_text("off.example");
    bind_to(connector, "192.0.2.1", 26);
    connector = add(settings, "Nodes");
    connector->is_internal = true;
    connector->fqdn = mem_text("inner.example");
    return settings;
}

static void names(void **state)
{
    static const struct {
        const char *name;
        bool is_ours;
    } cases[] = {
        { "node.example", true },
        { "NODE.Example", true },
        { "node", true },
        { "mail.example", true },
        { "MAIL.example", true },
        { "off.example", false },
        { "inner.example", false },
        { "a.mail.example", false },
        { "example", false },
        { "", false },
    };
    struct settings *settings = settings_with_connectors();

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++)
        check(cases[i].name, self_is_name(settings, cases[i].name) == cases[i].is_ours);
    settings_free(settings);
}

static void places(void **state)
{
    static const struct {
        const char *ip;
        uint16_t port;
        enum self is;
    } cases[] = {
        { "192.0.2.1", 25, SELF_SURELY },
        { "192.0.2.2", 25, SELF_NOT },
        { "192.0.2.1", 26, SELF_NOT },    /* not enabled */
        { "127.0.0.1", 25, SELF_SURELY }, /* the connector that is there by default */
        { "127.0.0.2", 25, SELF_NOT },    /* another program's */
        { "192.0.2.9", 587, SELF_IF_LOCAL },
        { "127.0.0.1", 587, SELF_SURELY },
        { "127.9.9.9", 587, SELF_SURELY },
        { "::1", 587, SELF_NOT },
        { "2001:db8::1", 587, SELF_NOT },
        { "::1", 465, SELF_SURELY },
        { "2001:db8::1", 465, SELF_IF_LOCAL },
        { "127.0.0.1", 465, SELF_NOT },
        { "127.0.0.1", 2525, SELF_SURELY },
        { "::1", 2525, SELF_SURELY },
        { "192.0.2.1", 2525, SELF_IF_LOCAL },
        { "2001:db8::1", 2525, SELF_IF_LOCAL },
        { "0.0.0.0", 587, SELF_SURELY },
        { "::", 465, SELF_SURELY },
        { "0.0.0.0", 25, SELF_SURELY },
        { "0.0.0.0", 24, SELF_NOT },
        { "127.0.0.1", 24, SELF_NOT },
    };
    struct settings *settings = settings_with_connectors();

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct ip ip;
        assert_true(ip_parse(bytes_text(cases[i].ip), &ip));
        check(cases[i].ip, self_at(settings, ip, cases[i].port) == cases[i].is);
    }
    check("25", self_has_port(settings, 25) && self_has_port(settings, 2525));
    check("26", !self_has_port(settings, 26) && !self_has_port(settings, 0));
    settings_free(settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(names), cmocka_unit_test(places) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
