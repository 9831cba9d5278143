/* Who stands for whom, and who exists. */
#include "kit.h"

#include "base/mem.h"
#include "policy/addresses.h"
#include "policy/aliases.h"
#include "policy/pattern.h"
#include "policy/recipients.h"

#include <stdio.h>
#include <stdlib.h>

static void add_all(struct alias_table *table, const char *const *pairs)
{
    for (size_t i = 0; pairs[i]; i += 2)
        check(pairs[i],
            alias_table_add(table, bytes_text(pairs[i]), bytes_text(pairs[i + 1]), i));
}

static void append(void *me, struct bytes address)
{
    char *out = me;

    snprintf(
        out + strlen(out), 2000 - strlen(out), "%s%.*s", *out ? " " : "", BYTES_ARGS(address));
}

static const char *const names[] = { "root", "admin@example.com", "root", "backup", "Backup",
    "b@example.org", "postmaster", "root", "team@example.com", "a", "team@example.com",
    "b@example.com", "team@example.com", "A@EXAMPLE.com", "self", "self", "self",
    "other@example.net", "chain", "team@example.com", "x@other.example", "y@other.example",
    "quoted", "\"a b\"@example.com", NULL };

static void aliases_stand_for_others(void **state)
{
    static const struct {
        const char *local, *domain;
        bool is_local;
        const char *want;
    } cases[] = {
        { "root", "example.com", true, "admin@example.com b@example.org" },
        { "ROOT", "example.com", true, "admin@example.com b@example.org" },
        { "root", "example.org", false, "" },
        { "postmaster", "sub.example.com", true, "admin@example.com b@example.org" },
        { "team", "example.com", true, "a@example.com b@example.com" },
        { "team", "EXAMPLE.COM", false, "a@EXAMPLE.COM b@example.com" },
        { "team", "example.org", true, "" },
        { "self", "example.com", true, "self@example.com other@example.net" },
        { "chain", "sub.example.com", true, "a@sub.example.com b@example.com A@EXAMPLE.com" },
        { "x", "other.example", false, "y@other.example" },
        { "y", "other.example", true, "" },
        { "quoted", "example.com", true, "\"a b\"@example.com" },
        { "nobody", "example.com", true, "" },
    };
    struct alias_table *table = alias_table_new();
    char got[2000];

    (void)state;
    add_all(table, names);
    for (size_t i = 0; i < CASES(cases); i++) {
        const struct alias *alias;
        got[0] = '\0';
        alias = alias_table_find(
            table, bytes_text(cases[i].local), bytes_text(cases[i].domain), cases[i].is_local);
        if (alias)
            alias_expand(table, alias, bytes_text(cases[i].domain), append, got);
        check_bytes(cases[i].local, bytes_text(got), bytes_text(cases[i].want));
        check(cases[i].local, !alias == (*cases[i].want == '\0'));
    }
    check("no address", !alias_table_add(table, BYTES("a b"), BYTES("c"), 0));
    check("no target", !alias_table_add(table, BYTES("a"), BYTES("@"), 0));
    alias_table_free(table);
}

static void note_fault(void *me, const struct alias_fault *fault)
{
    char *out = me;

    snprintf(out + strlen(out), 2000 - strlen(out), "%zu: %s\n", fault->source, fault->text);
}

static void circles_are_found(void **state)
{
    static const char *const circle[] = { "a", "b", "b", "c", "c", "a", "fine", "x@y.example",
        "self", "self", NULL };
    struct alias_table *table = alias_table_new();
    char got[2000] = "", name[20], target[20];

    (void)state;
    add_all(table, circle);
    alias_table_check(table, note_fault, got);
    check_bytes("circle", bytes_text(got),
        BYTES("0: the alias \"a\" leads back to itself, by \"c\"\n"
              "2: the alias \"b\" leads back to itself, by \"a\"\n"
              "4: the alias \"c\" leads back to itself, by \"b\"\n"));
    got[0] = '\0'; /* and yet it ends */
    alias_expand(table, alias_table_find(table, BYTES("a"), BYTES_NONE, true),
        BYTES("example.com"), append, got);
    check_bytes("ends", bytes_text(got), BYTES("a@example.com"));
    alias_table_free(table);

    table = alias_table_new();
    for (int i = 0; i < ALIAS_DEPTH_MAX + 1; i++) {
        snprintf(name, sizeof name, "n%d", i);
        snprintf(target, sizeof target, "n%d", i + 1);
        alias_table_add(table, bytes_text(name), bytes_text(target), 0);
    }
    got[0] = '\0';
    alias_table_check(table, note_fault, got);
    check("too deep", strstr(got, "nested deeper than 20") != NULL);
    alias_table_free(table);

    table = alias_table_new();
    for (int i = 0; i <= ALIAS_ADDRESSES_MAX; i++) {
        snprintf(target, sizeof target, "n%d@x.example", i);
        alias_table_add(table, BYTES("all"), bytes_text(target), 0);
    }
    got[0] = '\0';
    alias_table_check(table, note_fault, got);
    check("too many", strstr(got, "stands for more than 5000") != NULL);
    alias_table_free(table);
}

static struct accepted_domain *add_domain(
    struct settings *settings, const char *pattern, enum domain_type type)
{
    settings->domains =
        mem_grow(settings->domains, (settings->domain_count + 1) * sizeof *settings->domains);
    settings->domains[settings->domain_count] =
        (struct accepted_domain){ .pattern = mem_text(pattern), .type = type };
    return &settings->domains[settings->domain_count++];
}

static struct accepted_domain *add_catch_all(
    struct settings *settings, const char *pattern, const char *target)
{
    struct accepted_domain *domain = add_domain(settings, pattern, DOMAIN_AUTHORITATIVE);

    domain->recipients = recipient_table_new();
    domain->catch_all = mem_text(target);
    return domain;
}

static struct address address_known(const char *text)
{
    struct address address;
    unsigned flags = ADDRESS_UTF8 | ADDRESS_LOCAL_ONLY;

    check(text, address_parse(bytes_text(text), flags, &address) == ADDRESS_OK);
    return address;
}

static void recipients_are_resolved(void **state)
{
    static const struct {
        const char *recipient;
        enum resolution want;
        const char *others;
    } cases[] = {
        { "known@example.com", RESOLVED_ITSELF, "" },
        { "KNOWN@Example.COM", RESOLVED_ITSELF, "" },
        { "nobody@example.com", RESOLVED_NOBODY, "" },
        { "root@example.com", RESOLVED_ALIAS, "admin@example.com b@example.org" },
        { "here@example.com", RESOLVED_ITSELF, "" },
        { "here@catch.example", RESOLVED_CATCH_ALL, "lost@example.com" },
        { "known@catch.example", RESOLVED_ITSELF, "" },
        { "nobody@catch.example", RESOLVED_CATCH_ALL, "lost@example.com" },
        { "nobody@root.example", RESOLVED_CATCH_ALL, "admin@example.com b@example.org" },
        { "nobody@relayed.example", RESOLVED_CATCH_ALL, "root@relay.example" },
        { "nobody@itself.example", RESOLVED_CATCH_ALL, "y@other.example" },
        { "root@relay.example", RESOLVED_ITSELF, "" },
        { "x@other.example", RESOLVED_ALIAS, "y@other.example" },
        { "anybody@elsewhere.example", RESOLVED_ITSELF, "" },
        { "postmaster", RESOLVED_ALIAS, "admin@example.com b@example.org" },
    };
    struct settings *settings = settings_new("node.example");
    struct accepted_domain *domain;

    (void)state;
    settings->aliases = alias_table_new();
    add_all(settings->aliases, names);
    domain = add_domain(settings, "example.com", DOMAIN_AUTHORITATIVE);
    domain->recipients = recipient_table_new();
    recipient_table_add(domain->recipients, BYTES("known"), BYTES_NONE);
    recipient_table_add(domain->recipients, BYTES("known"), BYTES_NONE);
    recipient_table_add(domain->recipients, BYTES("here"), BYTES("example.com"));
    check("twice is once", recipient_table_count(domain->recipients) == 2);
    domain = add_catch_all(settings, "catch.example", "lost@example.com");
    recipient_table_add(domain->recipients, BYTES("known"), BYTES_NONE);
    recipient_table_add(domain->recipients, BYTES("here"), BYTES("example.com"));
    add_domain(settings, "relay.example", DOMAIN_INTERNAL_RELAY);
    add_catch_all(settings, "root.example", "root@example.com");
    add_catch_all(settings, "relayed.example", "root@relay.example");
    add_catch_all(settings, "itself.example", "x@other.example");
    for (size_t i = 0; i < CASES(cases); i++) {
        struct address address = address_known(cases[i].recipient);
        struct resolved resolved = recipient_resolve(settings, &address);
        char got[2000] = "";
        check(cases[i].recipient, resolved.kind == cases[i].want);
        resolved_each(settings, &resolved, &address, append, got);
        check_bytes(cases[i].recipient, bytes_text(got), bytes_text(cases[i].others));
    }
    settings_free(settings);
}

static void senders_are_rewritten(void **state)
{
    static const struct {
        const char *connector, *sender, *want;
        bool in_header;
    } cases[] = {
        { "In", "root@printer.local", "root.printer.local@example.com", true },
        { "In", "ROOT@Printer.Local", "ROOT.Printer.Local@example.com", true },
        { "In", "scan@[192.0.2.7]", "scanner@example.com", false },
        { "Out", "scan@[192.0.2.7]", NULL, false },
        { "In", "a@example.com", NULL, false },
        { "In", "", NULL, false },
    };
    struct settings *settings = settings_new("node.example");
    struct receive_connector connector;

    (void)state;
    settings->rewrites = mem_new(2 * sizeof *settings->rewrites);
    settings->rewrite_count = 2;
    settings->rewrites[0].pattern = mem_text("*@*.local");
    settings->rewrites[0].to = mem_text("%u.%d@example.com");
    settings->rewrites[0].with_header = true;
    settings->rewrites[1].pattern = mem_text("scan@[192.0.2.7]");
    settings->rewrites[1].to = mem_text("scanner@example.com");
    settings->rewrites[1].came_by.list = mem_new(sizeof(char *));
    settings->rewrites[1].came_by.list[0] = mem_text("in");
    settings->rewrites[1].came_by.count = 1;
    settings_index(settings);
    for (size_t i = 0; i < CASES(cases); i++) {
        struct address sender = { .text = BYTES_NONE };
        char *got;

        receive_connector_init(&connector, cases[i].connector);
        if (*cases[i].sender)
            sender = address_known(cases[i].sender);
        got = sender_rewritten(settings, &connector, &sender);
        check_bytes(cases[i].sender, bytes_text(got ? got : "none"),
            bytes_text(cases[i].want ? cases[i].want : "none"));
        free(got);
        got = header_sender_rewritten(settings, &connector, &sender);
        check_bytes(cases[i].sender, bytes_text(got ? got : "none"),
            bytes_text(cases[i].in_header ? cases[i].want : "none"));
        free(got);
        check("in some header", rewrites_header(settings, &connector));
        receive_connector_done(&connector);
    }
    settings->rewrites[0].with_header = false;
    receive_connector_init(&connector, "In");
    check("in no header", !rewrites_header(settings, &connector));
    receive_connector_done(&connector);
    settings_free(settings);
}

struct rewrite_line {
    const char *pattern, *to, *came_by;
};

static struct settings *rewriting(const struct rewrite_line *lines, size_t count)
{
    struct settings *settings = settings_new("node.example");

    settings->rewrites = mem_new(count * sizeof *settings->rewrites);
    settings->rewrite_count = count;
    for (size_t i = 0; i < count; i++) {
        struct sender_rewrite *rewrite = &settings->rewrites[i];
        rewrite->pattern = mem_text(lines[i].pattern);
        rewrite->to = mem_text(lines[i].to);
        if (lines[i].came_by) {
            rewrite->came_by.list = mem_new(sizeof(char *));
            rewrite->came_by.list[0] = mem_text(lines[i].came_by);
            rewrite->came_by.count = 1;
        }
    }
    return settings;
}

/* The first that fits and is for the connector, found in the index as by looking at each. */
static void one_of_many_rewrites_counts(void **state)
{
    static const struct rewrite_line lines[] = {
        { "root@a.test", "x1@b.test", "Other" },
        { "root@a.test", "x2@b.test", "In" },
        { "root@a.test", "x3@b.test", NULL },
        { "r*@a.test", "x4@b.test", "Other" },
        { "r*@a.test", "x5@b.test", NULL },
        { "@a.test", "x6@b.test", NULL },
        { "s*@*.c.test", "x7@b.test", "Third" },
        { "@*.c.test", "x8@b.test", "Other" },
        { "*@*.c.test", "x9@b.test", "In" },
        { "@d.test", "x10@b.test", "Other" },
        { "*@*", "x11@b.test", "Third" },
    };
    static const struct {
        const char *connector, *sender, *want;
    } cases[] = {
        { "Other", "root@a.test", "x1@b.test" },
        { "In", "root@a.test", "x2@b.test" },
        { "Third", "root@a.test", "x3@b.test" },
        { "Other", "ro@a.test", "x4@b.test" },
        { "In", "ro@a.test", "x5@b.test" },
        { "In", "who@a.test", "x6@b.test" },
        { "Third", "s1@k.c.test", "x7@b.test" },
        { "Other", "s1@k.c.test", "x8@b.test" },
        { "In", "s1@k.c.test", "x9@b.test" },
        { "In", "s1@d.test", "none" },
        { "Third", "s1@d.test", "x11@b.test" },
        { "Other", "s1@d.test", "x10@b.test" },
    };
    struct settings *settings = rewriting(lines, CASES(lines));

    (void)state;
    settings_index(settings);
    assert_non_null(settings->rewrite_patterns.index);
    for (unsigned round = 0; round < 2; round++) {
        for (size_t i = 0; i < CASES(cases); i++) {
            struct receive_connector connector;
            struct address sender = address_known(cases[i].sender);
            char *got;
            receive_connector_init(&connector, cases[i].connector);
            got = sender_rewritten(settings, &connector, &sender);
            check_bytes(
                cases[i].sender, bytes_text(got ? got : "none"), bytes_text(cases[i].want));
            free(got);
            receive_connector_done(&connector);
        }
        pattern_index_free(settings->rewrite_patterns.index);
        settings->rewrite_patterns.index = NULL;
    }
    settings_free(settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aliases_stand_for_others),
        cmocka_unit_test(circles_are_found),
        cmocka_unit_test(recipients_are_resolved),
        cmocka_unit_test(senders_are_rewritten),
        cmocka_unit_test(one_of_many_rewrites_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
