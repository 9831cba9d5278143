#include "policy/names.h"

/* The I-th of NAMES, or "?": a value of a later version is no reason to fall. */
#define NAME_AT(names, i)                                                                      \
    ((size_t)(i) < sizeof(names) / sizeof *(names) && (names)[i] ? (names)[i] : "?")

const char *tls_mode_name(enum tls_mode mode)
{
    static const char *const names[] = { [TLS_MODE_OFF] = "off",
        [TLS_MODE_OFFERED] = "offered",
        [TLS_MODE_REQUIRED] = "required",
        [TLS_MODE_IMPLICIT] = "implicit" };

    return NAME_AT(names, mode);
}

const char *tls_version_text(uint8_t version)
{
    static const char *const names[] = { "1.0", "1.1", "1.2", "1.3" };

    return NAME_AT(names, version);
}

/* Flags are single bits: their number is that of the zeros below them. */
const char *tolerance_name(enum tolerance tolerance)
{
    static const char *const names[TOLERANCE_COUNT] = { "bare-lf", "path-spaces", "no-brackets",
        "bad-helo", "no-helo" };

    return NAME_AT(names, __builtin_ctz((unsigned)tolerance));
}

const char *auth_mechanism_name(enum auth_mechanism method)
{
    static const char *const names[AUTH_MECHANISM_COUNT] = { "plain", "login", "scram-sha-256",
        "scram-sha-256-plus", "gssapi", "external" };

    return NAME_AT(names, __builtin_ctz((unsigned)method));
}

const char *shadow_failure_name(enum shadow_failure failure)
{
    static const char *const names[] = { [SHADOW_FAILURE_ACCEPT] = "accept",
        [SHADOW_FAILURE_REJECT] = "reject",
        [SHADOW_FAILURE_DELAY] = "delay" };

    return NAME_AT(names, failure);
}

const char *domain_type_name(enum domain_type type)
{
    static const char *const names[] = { [DOMAIN_AUTHORITATIVE] = "authoritative",
        [DOMAIN_INTERNAL_RELAY] = "internal-relay",
        [DOMAIN_EXTERNAL_RELAY] = "external-relay" };

    return NAME_AT(names, type);
}

const char *delivery_kind_name(enum delivery_kind kind)
{
    static const char *const names[] = { [DELIVERY_SMART_HOSTS] = "smart_hosts",
        [DELIVERY_MX] = "mx",
        [DELIVERY_LMTP] = "lmtp",
        [DELIVERY_MAILDIR] = "maildir" };

    return NAME_AT(names, kind);
}
