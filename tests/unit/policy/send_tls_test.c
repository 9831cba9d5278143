/* Which TLS a next hop gets, and what DANE makes of DNS's answers. */
#include "kit.h"

#include "base/mem.h"
#include "policy/rights.h"
#include "policy/send_tls.h"

static void the_closest_policy_decides(void **state)
{
    struct tls_policy policies[] = {
        { (char[]){ "*" }, SEND_TLS_ENCRYPT },
        { (char[]){ "*.example" }, SEND_TLS_VERIFY },
        { (char[]){ "a.example" }, SEND_TLS_NONE },
        { (char[]){ "may.example" }, SEND_TLS_MAY },
    };
    static const struct {
        const char *name;
        size_t policies;
        bool is_implicit;
        const char *domain;
        enum send_tls want;
        int policy; /* -1: the connector's */
    } cases[] = {
        { "connector", 0, false, "a.example", SEND_TLS_MAY, -1 },
        { "connector from the first byte", 0, true, "a.example", SEND_TLS_ENCRYPT, -1 },
        { "all", 4, false, "b.test", SEND_TLS_ENCRYPT, 0 },
        { "all below", 4, false, "B.Example.", SEND_TLS_VERIFY, 1 },
        { "exact", 4, false, "A.example", SEND_TLS_NONE, 2 },
        { "may", 4, false, "may.example", SEND_TLS_MAY, 3 },
        { "may from the first byte", 4, true, "may.example", SEND_TLS_ENCRYPT, 3 },
        { "an address", 4, false, "192.0.2.1", SEND_TLS_ENCRYPT, 0 },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct send_connector connector = { .tls = SEND_TLS_MAY,
            .tls_policies = policies,
            .tls_policy_count = cases[i].policies,
            .is_implicit_tls = cases[i].is_implicit };
        const struct tls_policy *policy;
        enum send_tls got = send_tls_level(&connector, bytes_text(cases[i].domain), &policy);
        check(cases[i].name, got == cases[i].want);
        check(
            cases[i].name, policy == (cases[i].policy < 0 ? NULL : &policies[cases[i].policy]));
    }
}

static void usable_records_are_known(void **state)
{
    static uint8_t bytes[64];
    static const struct {
        const char *name;
        uint8_t usage, selector, matching;
        size_t n;
        bool want;
    } cases[] = {
        { "3 1 1", 3, 1, 1, 32, true },
        { "2 0 1", 2, 0, 1, 32, true },
        { "3 1 2", 3, 1, 2, 64, true },
        { "3 0 0", 3, 0, 0, 50, true },
        { "empty", 3, 0, 0, 0, false },
        { "short digest", 3, 1, 1, 31, false },
        { "long digest", 3, 1, 1, 33, false },
        { "digest of another length", 3, 1, 2, 32, false },
        { "PKIX-TA", 0, 1, 1, 32, false },
        { "PKIX-EE", 1, 1, 1, 32, false },
        { "unknown usage", 4, 1, 1, 32, false },
        { "private usage", 255, 1, 1, 32, false },
        { "unknown selector", 3, 2, 1, 32, false },
        { "unknown matching", 3, 1, 3, 48, false },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct tlsa tlsa = { cases[i].usage, cases[i].selector, cases[i].matching,
            bytes_of(bytes, cases[i].n) };
        check(cases[i].name, tlsa_is_usable(&tlsa) == cases[i].want);
    }
}

static void dane_is_decided(void **state)
{
    static const struct {
        const char *name;
        struct dane_facts facts;
        enum dane_plan dane, only;
        const char *why;
    } cases[] = {
        { "records", { true, true, TLSA_SECURE, 1 }, DANE_PLAN_MATCH, DANE_PLAN_MATCH, "" },
        { "no usable record", { true, true, TLSA_SECURE, 0 }, DANE_PLAN_ENCRYPT,
            DANE_PLAN_DEFER, "no TLSA record is usable" },
        { "no record", { true, true, TLSA_NONE, 0 }, DANE_PLAN_MAY, DANE_PLAN_DEFER,
            "there are no TLSA records" },
        { "lookup failed", { true, true, TLSA_FAILED, 0 }, DANE_PLAN_DEFER, DANE_PLAN_DEFER,
            "the TLSA lookup failed" },
        { "unsigned MX", { false, true, TLSA_SECURE, 1 }, DANE_PLAN_MAY, DANE_PLAN_DEFER,
            "DNSSEC does not secure the MX records" },
        { "unsigned MX, lookup failed", { false, true, TLSA_FAILED, 0 }, DANE_PLAN_MAY,
            DANE_PLAN_DEFER, "DNSSEC does not secure the MX records" },
        { "unsigned addresses", { true, false, TLSA_SECURE, 1 }, DANE_PLAN_MAY, DANE_PLAN_DEFER,
            "DNSSEC does not secure the addresses" },
        { "unsigned addresses, no usable record", { true, false, TLSA_SECURE, 0 },
            DANE_PLAN_MAY, DANE_PLAN_DEFER, "DNSSEC does not secure the addresses" },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        const char *why, *why_only;
        check(
            cases[i].name, dane_decide(SEND_TLS_DANE, &cases[i].facts, &why) == cases[i].dane);
        check(cases[i].name,
            dane_decide(SEND_TLS_DANE_ONLY, &cases[i].facts, &why_only) == cases[i].only);
        check_bytes(cases[i].name, bytes_text(why), bytes_text(cases[i].why));
        check_bytes(cases[i].name, bytes_text(why_only), bytes_text(cases[i].why));
    }
}

/* TL-2: it is asked for at MAIL. */
static void a_client_certificate_is_required(void **state)
{
    static const struct {
        const char *name;
        bool requires, is_tls, has, is_known;
        uint16_t code;
    } cases[] = {
        { "not required", false, true, false, false, 250 },
        { "not required, in clear", false, false, false, false, 250 },
        { "not required, another", false, true, true, false, 250 },
        { "known", true, true, true, true, 250 },
        { "in clear", true, false, false, false, 530 },
        { "none", true, true, false, false, 530 },
        { "another", true, true, true, false, 550 },
    };
    struct settings *settings = settings_new("node.example");
    struct address sender = {
        .text = BYTES("a@b.example"), .local = BYTES("a"), .domain = BYTES("b.example")
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct receive_connector connector = { 0 };
        struct client client = { .is_tls = cases[i].is_tls,
            .has_certificate = cases[i].has,
            .is_partner = cases[i].is_known };
        struct decision decision;
        receive_connector_init(&connector, "In");
        connector.groups |= GROUP_PARTNERS;
        connector.asks_client_certificate = connector.requires_client_certificate =
            cases[i].requires;
        rights_decide_sender(settings, &connector, &client, &sender, 0, &decision);
        check(cases[i].name, decision.verdict.code == cases[i].code);
        if (cases[i].code != 250)
            check_bytes(cases[i].name, bytes_text(decision.rule),
                cases[i].is_tls ? BYTES("client-certificate") : BYTES("tls"));
        receive_connector_done(&connector);
    }
    settings_free(settings);
}

/* New settings in the middle of a session. */
static void a_partner_may_cease_to_be_one(void **state)
{
    char *a[] = { (char[]){ "sha256:aa" } };
    char ca[] = "/ca", other[] = "/other";
    const struct {
        const char *name;
        struct receive_connector before, now;
        bool want;
    } cases[] = {
        { "same list", { .client_fingerprints = a, .client_fingerprint_count = 1 },
            { .asks_client_certificate = true,
                .client_fingerprints = a,
                .client_fingerprint_count = 1 },
            true },
        { "off the list",
            { .client_ca_file = ca, .client_fingerprints = a, .client_fingerprint_count = 1 },
            { .asks_client_certificate = true, .client_ca_file = ca }, false },
        { "same authority", { .client_ca_file = ca },
            { .asks_client_certificate = true, .client_ca_file = ca }, true },
        { "another authority", { .client_ca_file = ca },
            { .asks_client_certificate = true, .client_ca_file = other }, false },
        { "not asked any more", { .client_ca_file = ca }, { .client_ca_file = ca }, false },
        { "listed now", { .client_ca_file = ca },
            { .asks_client_certificate = true,
                .client_fingerprints = a,
                .client_fingerprint_count = 1 },
            true },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++)
        check(cases[i].name, client_is_still_partner(&cases[i].before, &cases[i].now,
                                 "SHA256:AA") == cases[i].want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_closest_policy_decides),
        cmocka_unit_test(usable_records_are_known),
        cmocka_unit_test(dane_is_decided),
        cmocka_unit_test(a_client_certificate_is_required),
        cmocka_unit_test(a_partner_may_cease_to_be_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
