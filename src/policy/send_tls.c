#include "policy/send_tls.h"

#include "policy/domain.h"

static const char *const names[SEND_TLS_COUNT] = {
    [SEND_TLS_NONE] = "none",
    [SEND_TLS_MAY] = "may",
    [SEND_TLS_ENCRYPT] = "encrypt",
    [SEND_TLS_VERIFY] = "verify",
    [SEND_TLS_SECURE] = "secure",
    [SEND_TLS_DANE] = "dane",
    [SEND_TLS_DANE_ONLY] = "dane-only",
};

const char *send_tls_name(enum send_tls level)
{
    return (unsigned)level < SEND_TLS_COUNT ? names[level] : "";
}

enum send_tls send_tls_level(
    const struct send_connector *connector, struct bytes name, const struct tls_policy **policy)
{
    char room[IDNA_BYTES_MAX];
    struct bytes normal = domain_normal(name, room);
    enum send_tls level = connector->tls;
    uint32_t best = 0;

    *policy = NULL;
    for (size_t i = 0; i < connector->tls_policy_count; i++) {
        uint32_t fit = domain_fit(connector->tls_policies[i].pattern, normal);
        if (fit > best) {
            best = fit;
            *policy = &connector->tls_policies[i];
            level = (*policy)->tls;
        }
    }
    return connector->is_implicit_tls && level == SEND_TLS_MAY ? SEND_TLS_ENCRYPT : level;
}

static bool may_be_clear(enum send_tls level)
{
    return level == SEND_TLS_NONE || level == SEND_TLS_MAY || level == SEND_TLS_DANE;
}

bool send_tls_is_sure(const struct send_connector *connector)
{
    if (connector->is_implicit_tls)
        return true;
    for (size_t i = 0; i < connector->tls_policy_count; i++) {
        if (may_be_clear(connector->tls_policies[i].tls))
            return false;
    }
    return !may_be_clear(connector->tls);
}

/* --- DANE -------------------------------------------------------------------------------- */

bool tlsa_is_usable(const struct tlsa *tlsa)
{
    enum { USAGE_TA = 2, USAGE_EE = 3, SELECTOR_MAX = 1 };
    static const size_t lengths[] = { 0, 32, 64 }; /* whole, SHA-256, SHA-512 */
    enum { MATCHING_MAX = sizeof lengths / sizeof *lengths - 1 };

    if (tlsa->usage != USAGE_TA && tlsa->usage != USAGE_EE)
        return false;
    if (tlsa->selector > SELECTOR_MAX || tlsa->matching > MATCHING_MAX)
        return false;
    return tlsa->matching == 0 ? tlsa->data.n > 0 : tlsa->data.n == lengths[tlsa->matching];
}

bool dane_wants_tlsa(const struct dane_facts *facts)
{
    return facts->mx_is_secure && facts->addresses_are_secure;
}

enum dane_plan dane_decide(
    enum send_tls level, const struct dane_facts *facts, const char **why)
{
    bool is_only = level == SEND_TLS_DANE_ONLY;

    *why = "";
    if (!facts->mx_is_secure)
        *why = "DNSSEC does not secure the MX records";
    else if (!facts->addresses_are_secure)
        *why = "DNSSEC does not secure the addresses";
    else if (facts->tlsa == TLSA_FAILED)
        *why = "the TLSA lookup failed";
    else if (facts->tlsa == TLSA_NONE)
        *why = "there are no TLSA records";
    else if (facts->usable_count == 0)
        *why = "no TLSA record is usable";
    else
        return DANE_PLAN_MATCH;
    /* Whoever can break the lookup must not get the mail: RFC 7672, 2.1.1. */
    if (is_only || (dane_wants_tlsa(facts) && facts->tlsa == TLSA_FAILED))
        return DANE_PLAN_DEFER;
    return dane_wants_tlsa(facts) && facts->tlsa == TLSA_SECURE ? DANE_PLAN_ENCRYPT
                                                                : DANE_PLAN_MAY;
}
