/* Which TLS a next hop gets (TL-3).  Pure; any thread. */
#ifndef POLICY_SEND_TLS_H
#define POLICY_SEND_TLS_H

#include "base/tlsa.h"
#include "policy/settings.h"

enum { SEND_TLS_COUNT = SEND_TLS_DANE_ONLY + 1 };

/* "dane-only": as the configuration spells it. */
const char *send_tls_name(enum send_tls level);

/* The level for NAME: the recipients' domain where MX records lead, else the smart host's name
 * as configured.  The closest tls_policy decides, else the connector.  With TLS from the first
 * byte MAY is ENCRYPT: there is no other way to talk.  POLICY: which it was, NULL: none. */
enum send_tls send_tls_level(const struct send_connector *connector, struct bytes name,
    const struct tls_policy **policy);

/* Never in clear, whatever the domain. */
bool send_tls_is_sure(const struct send_connector *connector);

/* --- DANE (RFC 6698, RFC 7671, RFC 7672) ------------------------------------------------- */

/* Usages 2 and 3 with known parameters and a digest of the right length; 0 and 1 mean nothing
 * for mail (RFC 7672, 3.1.3). */
bool tlsa_is_usable(const struct tlsa *tlsa);

enum tlsa_answer {
    TLSA_NONE,   /* there is none, or none that DNSSEC vouches for */
    TLSA_SECURE, /* there are some */
    TLSA_FAILED, /* no answer, or a forged one */
};

/* What DNS said.  What is not known yet does not matter if what stands before it is bad. */
struct dane_facts {
    bool mx_is_secure; /* or no MX was asked for */
    bool addresses_are_secure;
    enum tlsa_answer tlsa;
    unsigned usable_count;
};

/* What becomes of a host of which DANE was asked. */
enum dane_plan {
    DANE_PLAN_MATCH,   /* the certificate must match the records */
    DANE_PLAN_ENCRYPT, /* records that nobody can use: TLS, whoever it is (RFC 7672, 2.2) */
    DANE_PLAN_MAY,     /* as without DANE */
    DANE_PLAN_DEFER,
};

/* LEVEL is DANE or DANE_ONLY.  WHY: of a MAY or DEFER, without the host's name. */
enum dane_plan dane_decide(
    enum send_tls level, const struct dane_facts *facts, const char **why);

/* Whether the TLSA records matter at all, so far. */
bool dane_wants_tlsa(const struct dane_facts *facts);

#endif
