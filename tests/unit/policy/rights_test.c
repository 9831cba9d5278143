/* What a client may do. */
#include "kit.h"

#include "base/mem.h"
#include "policy/domain_index.h"
#include "policy/rights.h"

#include <stdio.h>

static struct settings *settings_with(const char *const *patterns)
{
    struct settings *settings = settings_new("node.example");

    for (; *patterns; patterns++) {
        settings->domains = mem_grow(
            settings->domains, (settings->domain_count + 1) * sizeof *settings->domains);
        settings->domains[settings->domain_count++] =
            (struct accepted_domain){ .pattern = mem_text(*patterns) };
    }
    return settings;
}

static void nearest_accepted_domain_is_found(void **state)
{
    static const char *const patterns[] = { "example.com", "*.example.com", "*.b.example.com",
        "xn--bcher-kva.example", NULL };
    static const struct {
        const char *domain, *want;
    } cases[] = {
        { "example.com", "example.com" },
        { "EXAMPLE.Com", "example.com" },
        { "example.com.", "example.com" },
        { "a.example.com", "*.example.com" },
        { "a.b.example.com", "*.b.example.com" },
        { "b.example.com", "*.example.com" },
        { "xexample.com", NULL },
        { "example.org", NULL },
        { "b\303\274cher.example", "xn--bcher-kva.example" },
        { "B\303\234CHER.example", "xn--bcher-kva.example" },
        { "[192.0.2.1]", NULL },
        { "", NULL },
    };
    struct settings *settings = settings_with(patterns);

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        for (int is_indexed = 0; is_indexed < 2; is_indexed++) {
            const struct accepted_domain *domain;
            if (is_indexed)
                settings_index(settings);
            domain = accepted_domain_find(settings, bytes_text(cases[i].domain));
            check_bytes(cases[i].domain, bytes_text(domain ? domain->pattern : "none"),
                bytes_text(cases[i].want ? cases[i].want : "none"));
        }
        domain_index_free(settings->domain_index);
        settings->domain_index = NULL;
    }
    settings_free(settings);
}

static void star_accepts_all_names_and_no_literal(void **state)
{
    static const char *const patterns[] = { "*", "example.com", NULL };
    struct settings *settings = settings_with(patterns);

    (void)state;
    check("exact first",
        accepted_domain_find(settings, BYTES("example.com")) == &settings->domains[1]);
    check("any", accepted_domain_find(settings, BYTES("example.org")) == &settings->domains[0]);
    check("literal", !accepted_domain_find(settings, BYTES("[192.0.2.1]")));
    settings_index(settings);
    check("any, by the index",
        accepted_domain_find(settings, BYTES("example.org")) == &settings->domains[0]);
    check("exact, by the index",
        accepted_domain_find(settings, BYTES("example.com")) == &settings->domains[1]);
    settings_free(settings);
}

/* What a client reads. */
static void format(const struct verdict *verdict, char out[300])
{
    char status[STATUS_TEXT_BYTES];

    status_format(verdict->status, status);
    snprintf(out, 300, "%u %s %s", verdict->code, status, verdict->text);
}

static struct address address_known(const char *text)
{
    struct address address;

    check(text, address_parse(bytes_text(text), ADDRESS_UTF8, &address) == ADDRESS_OK);
    return address;
}

static const char relay_refused[] =
    "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain";
static const char sender_refused[] =
    "550 5.7.60 SMTP; Client does not have permissions to send as this sender";
static const char submit_refused[] =
    "550 5.7.1 SMTP; Client has no right to submit mail [submit@Name]";

/* A connector that takes one group of users, whose rights a test sets as it likes. */
static void connector_of_custom_rights(
    struct settings *settings, struct receive_connector *connector)
{
    receive_connector_init(connector, "Name");
    connector->groups = GROUP_CUSTOM;
    connector->user_groups = mem_new(sizeof *connector->user_groups);
    connector->user_group_count = 1;
    settings->user_groups = mem_new(sizeof *settings->user_groups);
    settings->user_group_count = 1;
    settings->user_groups->name = mem_text("Some");
    settings->user_groups->users = mem_new(sizeof *settings->user_groups->users);
    settings->user_groups->users[0] = mem_text("someone");
    settings->user_groups->user_count = 1;
}

static void recipients(void **state)
{
    static const char *const patterns[] = { "example.com", NULL };
    enum { DEFAULT = RIGHT_SUBMIT | RIGHT_ANY_SENDER | RIGHT_OWN_DOMAIN_SENDER };
    static const struct {
        unsigned rights;
        const char *recipient, *want;
    } cases[] = {
        { DEFAULT, "a@example.com", "250 2.1.5 Recipient OK" },
        { DEFAULT, "a@example.org", relay_refused },
        { DEFAULT, "a@sub.example.com", relay_refused },
        { DEFAULT, "a@[192.0.2.1]", relay_refused },
        { DEFAULT, "\"a@example.com\"@example.org", relay_refused },
        { DEFAULT, "a%example.com@example.org", relay_refused },
        { DEFAULT | RIGHT_ANY_RECIPIENT, "a@example.org", "250 2.1.5 Recipient OK" },
        { DEFAULT | RIGHT_ANY_RECIPIENT, "a@[192.0.2.1]", "250 2.1.5 Recipient OK" },
        { RIGHT_ANY_RECIPIENT, "a@example.com", submit_refused },
        { 0, "a@example.com", submit_refused },
    };
    struct settings *settings = settings_with(patterns);
    struct receive_connector connector;
    struct address postmaster = { .text = BYTES("Postmaster"), .local = BYTES("Postmaster") };
    struct resolved resolved;
    struct client client = { .user = "someone" };
    struct decision decision;
    char got[300];

    (void)state;
    connector_of_custom_rights(settings, &connector);
    for (size_t i = 0; i < CASES(cases); i++) {
        struct address address = address_known(cases[i].recipient);
        settings->user_groups->rights = cases[i].rights;
        rights_decide_recipient(settings, &connector, &client, &address, &resolved, &decision);
        format(&decision.verdict, got);
        check_bytes(cases[i].recipient, bytes_text(got), bytes_text(cases[i].want));
    }
    settings->user_groups->rights = DEFAULT;
    rights_decide_recipient(settings, &connector, &client, &postmaster, &resolved, &decision);
    check("postmaster is ours", decision_is_yes(&decision));
    receive_connector_done(&connector);
    settings_free(settings);
}

static void senders(void **state)
{
    static const char *const patterns[] = { "example.com", NULL };
    static const char sender_ok[] = "250 2.1.0 Sender OK";
    enum { MIB = 1 << 20 };
    static const struct {
        unsigned rights;
        const char *sender; /* "": the null sender */
        uint64_t size;
        const char *want;
    } cases[] = {
        { RIGHT_SUBMIT | RIGHT_ANY_SENDER, "a@example.org", 0, sender_ok },
        { RIGHT_SUBMIT | RIGHT_ANY_SENDER, "a@example.com", 0, sender_refused },
        { RIGHT_SUBMIT | RIGHT_OWN_DOMAIN_SENDER, "a@example.com", 0, sender_ok },
        { RIGHT_SUBMIT | RIGHT_OWN_DOMAIN_SENDER, "a@example.org", 0, sender_refused },
        { RIGHT_SUBMIT, "", 0, sender_ok },
        { RIGHT_ANY_SENDER, "a@example.org", 0, submit_refused },
        { RIGHT_SUBMIT | RIGHT_ANY_SENDER, "a@example.org", 36 * MIB, sender_ok },
        { RIGHT_SUBMIT | RIGHT_ANY_SENDER, "a@example.org", 36 * MIB + 1,
            "552 5.3.4 Message size exceeds the limit of 37748736 bytes [size@Name]" },
        { RIGHT_SUBMIT | RIGHT_ANY_SENDER | RIGHT_BYPASS_SIZE_LIMIT, "a@example.org",
            36 * MIB + 1, sender_ok },
    };
    struct settings *settings = settings_with(patterns);
    struct receive_connector connector;
    struct client client = { .user = "someone" };
    char got[300];

    (void)state;
    connector_of_custom_rights(settings, &connector);
    for (size_t i = 0; i < CASES(cases); i++) {
        struct address address = { .text = BYTES_NONE };
        struct decision decision;

        if (*cases[i].sender)
            address = address_known(cases[i].sender);
        settings->user_groups->rights = cases[i].rights;
        rights_decide_sender(settings, &connector, &client, &address, cases[i].size, &decision);
        format(&decision.verdict, got);
        check_bytes(cases[i].sender, bytes_text(got), bytes_text(cases[i].want));
    }
    receive_connector_done(&connector);
    settings_free(settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nearest_accepted_domain_is_found),
        cmocka_unit_test(star_accepts_all_names_and_no_literal),
        cmocka_unit_test(recipients),
        cmocka_unit_test(senders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
