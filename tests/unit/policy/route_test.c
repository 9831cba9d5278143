/* Which send connector takes a recipient. */
#include "kit.h"

#include "base/mem.h"
#include "policy/route.h"
#include "policy/route_index.h"

#include <stdio.h>

static struct send_connector *add(
    struct settings *settings, const char *name, const char *pattern, uint32_t cost)
{
    struct send_connector *connector;

    settings->send =
        mem_grow(settings->send, (settings->send_count + 1) * sizeof *settings->send);
    connector = &settings->send[settings->send_count++];
    send_connector_init(connector, name);
    connector->spaces = mem_new(sizeof *connector->spaces);
    connector->spaces[0] = (struct address_space){ mem_text(pattern), cost };
    connector->space_count = 1;
    return connector;
}

static void add_space(struct send_connector *connector, const char *pattern, uint32_t cost)
{
    connector->spaces =
        mem_grow(connector->spaces, (connector->space_count + 1) * sizeof *connector->spaces);
    connector->spaces[connector->space_count++] =
        (struct address_space){ mem_text(pattern), cost };
}

static struct settings *settings_for_routes(void)
{
    struct settings *settings = settings_new("node.example");

    settings->domains = mem_new(sizeof *settings->domains);
    settings->domains[0].pattern = mem_text("ours.example");
    settings->domain_count = 1;
    add(settings, "World", "*", 1);
    add(settings, "WorldDear", "*", 50);
    add(settings, "WorldB", "*", 50);
    add(settings, "Ours", "--", 100);
    add(settings, "Subs", "*.example.com", 10);
    add(settings, "DeepSubs", "*.deep.example.com", 90);
    add(settings, "Exact", "example.com", 99);
    add_space(&settings->send[settings->send_count - 1], "two.example", 5);
    add_space(&settings->send[settings->send_count - 1], "two.example", 3);
    add(settings, "Two", "two.example", 4);
    add(settings, "Off", "example.com", 1)->enabled = false;
    add(settings, "Small", "example.com", 2)->size_bytes_max = 1000;
    return settings;
}

/* All of them in order, the best first. */
static void route_list(
    const struct settings *settings, const struct route_facts *facts, char out[400])
{
    const struct send_connector *connector = NULL;
    size_t n = 0;

    out[0] = '\0';
    while ((connector = route_choose(settings, facts, connector)))
        n += (size_t)snprintf(out + n, 400 - n, "%s%s", n ? " " : "", connector->name);
}

static void specificity_then_cost_then_name(void **state)
{
    static const struct {
        const char *domain;
        uint64_t size;
        const char *want;
    } cases[] = {
        { "other.example", 0, "World WorldB WorldDear" },
        { "OURS.example.", 0, "Ours World WorldB WorldDear" },
        { "example.com", 2000, "Exact World WorldB WorldDear" },
        { "example.com", 1000, "Small Exact World WorldB WorldDear" },
        { "a.example.com", 0, "Subs World WorldB WorldDear" },
        { "a.deep.example.com", 0, "DeepSubs Subs World WorldB WorldDear" },
        { "deep.example.com", 0, "Subs World WorldB WorldDear" },
        { "two.example", 0, "Exact Two World WorldB WorldDear" },
        { "[192.0.2.1]", 0, "World WorldB WorldDear" },
    };
    struct settings *settings = settings_for_routes();
    char got[400];

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct route_facts facts = { .domain = bytes_text(cases[i].domain),
            .size_bytes = cases[i].size };
        route_list(settings, &facts, got);
        check_bytes(cases[i].domain, bytes_text(got), bytes_text(cases[i].want));
    }
    settings_free(settings);
}

static void nothing_fits(void **state)
{
    struct settings *settings = settings_new("node.example");
    struct route_facts facts = { .domain = BYTES("example.com") };

    (void)state;
    check("no connectors", !route_choose(settings, &facts, NULL));
    add(settings, "One", "example.org", 1);
    check("no space", !route_choose(settings, &facts, NULL));
    settings_free(settings);
}

static char **texts(const char *text)
{
    char **list = mem_new(sizeof *list);

    list[0] = mem_text(text);
    return list;
}

/* SC-3: the tenants' mail leaves by ways of their own. */
static void senders_and_receive_connectors_choose(void **state)
{
    static const struct {
        const char *name, *sender, *received_by, *want;
    } cases[] = {
        { "everybody", "x@else.example", "In", "All" },
        { "a tenant", "x@a.example", "In", "TenantA All" },
        { "his subdomains are not his", "x@sub.a.example", "In", "All" },
        { "the null sender", "", "In", "All" },
        { "a connector", "x@else.example", "scanners", "Scans All" },
        { "both: by cost", "x@a.example", "Scanners", "TenantA Scans All" },
        { "made here", "", "", "All" },
    };
    struct settings *settings = settings_new("node.example");
    struct send_connector *connector;
    char got[400];

    (void)state;
    add(settings, "All", "*", 1);
    connector = add(settings, "TenantA", "*", 50);
    connector->senders = (struct address_patterns){ texts("@a.example"), 1 };
    connector = add(settings, "Scans", "*", 60);
    connector->came_by.list = texts("Scanners");
    connector->came_by.count = 1;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct route_facts facts = { .domain = BYTES("example.com"),
            .sender = bytes_text(cases[i].sender),
            .receive_name = bytes_text(cases[i].received_by) };
        route_list(settings, &facts, got);
        check_bytes(cases[i].name, bytes_text(got), bytes_text(cases[i].want));
    }
    settings_free(settings);
}

/* SC-1: one file for all nodes, and a connector for some of them. */
static void nodes_choose(void **state)
{
    static const struct {
        const char *name, *node, *want;
    } cases[] = {
        { "all", NULL, "Some All" },
        { "by its name", "node", "Some All" },
        { "case does not count", "NODE", "Some All" },
        { "by its FQDN", "node.example", "Some All" },
        { "another", "other", "All" },
    };
    struct route_facts facts = { .domain = BYTES("example.com") };
    char got[400], why[ROUTE_WHY_BYTES];

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct settings *settings = settings_new("node.example");
        struct send_connector *some;
        add(settings, "All", "*", 2);
        some = add(settings, "Some", "*", 1);
        if (cases[i].node) {
            some->source_nodes.list = texts(cases[i].node);
            some->source_nodes.count = 1;
        }
        route_list(settings, &facts, got);
        check_bytes(cases[i].name, bytes_text(got), bytes_text(cases[i].want));
        route_why(settings, some, NULL, &facts, why);
        if (strcmp(cases[i].want, "All") == 0)
            check_bytes(
                cases[i].name, bytes_text(why), BYTES("it is for other nodes than node"));
        settings_free(settings);
    }
}

/* SC-2: of the same space and cost the node's own first, behind cost and before names. */
static void local_node_first(void **state)
{
    static const struct {
        const char *name, *node;
        uint32_t cost;
        const char *want, *why_all;
    } cases[] = {
        { "no node: by name", NULL, 5, "All Some", "address space *, cost 5" },
        { "this node", "node", 5, "Some All", "Some is for this node by name" },
        { "by its FQDN", "NODE.example", 5, "Some All", "Some is for this node by name" },
        { "cost comes before", "node", 6, "All Some", "address space *, cost 5" },
        { "another node", "other", 5, "All", "address space *, cost 5" },
    };
    struct route_facts facts = { .domain = BYTES("example.com") };
    char got[400], why[ROUTE_WHY_BYTES];

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct settings *settings = settings_new("node.example");
        struct send_connector *some;
        add(settings, "All", "*", 5);
        some = add(settings, "Some", "*", cases[i].cost);
        if (cases[i].node) {
            some->source_nodes.list = texts(cases[i].node);
            some->source_nodes.count = 1;
        }
        route_list(settings, &facts, got);
        check_bytes(cases[i].name, bytes_text(got), bytes_text(cases[i].want));
        route_why(
            settings, &settings->send[0], route_choose(settings, &facts, NULL), &facts, why);
        check_bytes(cases[i].name, bytes_text(why), bytes_text(cases[i].why_all));
        settings_free(settings);
    }
}

static void reasons_are_given(void **state)
{
    static const struct {
        const char *connector, *domain, *want;
    } cases[] = {
        { "Exact", "example.com", "address space example.com, cost 99" },
        { "World", "example.com", "its address space * is less specific than example.com" },
        { "Off", "example.com", "it is not enabled" },
        { "Small", "example.com", "the message is larger than its size_max of 1000 bytes" },
        { "Two", "two.example", "its cost 4 is more than 3" },
        { "Subs", "example.com", "none of its address spaces has example.com" },
        { "WorldB", "x.example", "its cost 50 is more than 1" },
    };
    struct settings *settings = settings_for_routes();
    char got[ROUTE_WHY_BYTES];

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct route_facts facts = { .domain = bytes_text(cases[i].domain),
            .size_bytes = 2000 };
        const struct send_connector *chosen = route_choose(settings, &facts, NULL);
        for (size_t k = 0; k < settings->send_count; k++) {
            if (strcmp(settings->send[k].name, cases[i].connector) != 0)
                continue;
            route_why(settings, &settings->send[k], chosen, &facts, got);
            check_bytes(cases[i].connector, bytes_text(got), bytes_text(cases[i].want));
        }
    }
    settings_free(settings);
}

static void spaces_have_an_order(void **state)
{
    static const char *const from_far_to_near[] = { "example.org", "*", "--", "*.example",
        "*.ours.example", "a.ours.example" };
    struct settings *settings = settings_new("node.example");
    uint32_t before = 0;

    (void)state;
    settings->domains = mem_new(sizeof *settings->domains);
    settings->domains[0].pattern = mem_text("*.example");
    settings->domain_count = 1;
    for (size_t i = 0; i < CASES(from_far_to_near); i++) {
        uint32_t fit =
            address_space_fit(settings, from_far_to_near[i], BYTES("A.ours.example"));
        check(from_far_to_near[i], i == 0 ? fit == 0 : fit > before);
        before = fit;
    }
    settings_free(settings);
}

static struct settings *random_settings(uint32_t *seed, unsigned connectors_max)
{
    static const char *const patterns[] = { "*", "--", "x", "*.x", "b.x", "*.b.x", "a.b.x",
        "*.y", "y", "[192.0.2.1]" };
    struct settings *settings = settings_new("node.example");
    unsigned count = 1 + random_below(seed, connectors_max);

    settings->domains = mem_new(sizeof *settings->domains);
    settings->domains[0].pattern = mem_text("*.b.x");
    settings->domain_count = 1;
    for (unsigned i = 0; i < count; i++) {
        struct send_connector *connector;
        char name[20];

        snprintf(name, sizeof name, "C%u", random_below(seed, 1 << 20) * 64 + i);
        connector = add(settings, name, patterns[random_below(seed, CASES(patterns))],
            random_below(seed, 3));
        for (unsigned more = random_below(seed, 4); more; more--)
            add_space(connector, patterns[random_below(seed, CASES(patterns))],
                random_below(seed, 3));
        connector->enabled = random_below(seed, 8) != 0;
        connector->size_bytes_max = random_below(seed, 4) ? 0 : 1000;
        if (random_below(seed, 4) == 0)
            connector->senders = (struct address_patterns){ texts("@a.example"), 1 };
        if (random_below(seed, 4) == 0)
            connector->source_nodes =
                (struct name_list){ texts(random_below(seed, 2) ? "node" : "other"), 1 };
    }
    return settings;
}

static void index_agrees_with_looking_at_each(void **state)
{
    static const char *const domains[] = { "x", "b.x", "a.b.x", "c.a.b.x", "y", "z.y", "z",
        "[192.0.2.1]", "" };
    enum { ROUNDS = 400, CONNECTORS_MAX = 20 };
    uint32_t seed = 1;

    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct settings *settings = random_settings(&seed, CONNECTORS_MAX);
        struct route_index *index = route_index_new(settings);

        for (unsigned i = 0; i < CASES(domains) * 4; i++) {
            struct route_facts facts = { .domain = bytes_text(domains[i / 4]),
                .size_bytes = i & 1 ? 2000 : 10,
                .sender = i & 2 ? BYTES("s@a.example") : BYTES("s@b.example") };
            char want[400], got[400];

            settings->route_index = NULL;
            route_list(settings, &facts, want);
            settings->route_index = index;
            route_list(settings, &facts, got);
            check_bytes(domains[i / 4], bytes_text(got), bytes_text(want));
        }
        settings_free(settings);
    }
}

static void hops_have_names(void **state)
{
    struct settings *settings = settings_new("node.example");
    struct send_connector *connector = add(settings, "Out", "*", 1);
    char name[400];

    (void)state;
    route_hop_name(connector, BYTES("Example.COM"), name);
    check_bytes("smart hosts", bytes_text(name), BYTES("Out"));
    connector->delivery = DELIVERY_MX;
    route_hop_name(connector, BYTES("Example.COM."), name);
    check_bytes("MX", bytes_text(name), BYTES("Out/example.com"));
    settings_free(settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(specificity_then_cost_then_name),
        cmocka_unit_test(nothing_fits),
        cmocka_unit_test(senders_and_receive_connectors_choose),
        cmocka_unit_test(nodes_choose),
        cmocka_unit_test(local_node_first),
        cmocka_unit_test(reasons_are_given),
        cmocka_unit_test(spaces_have_an_order),
        cmocka_unit_test(index_agrees_with_looking_at_each),
        cmocka_unit_test(hops_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
