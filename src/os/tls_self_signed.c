#include "os/clock.h"
#include "os/tls.h"
#include "os/tls_inside.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>

enum {
    DAY_S = 86400,
    VALID_DAYS = 3650, /* it lives as long as the process: nobody renews it */
    OLD_KEY_BITS = 2048,
    COMMON_NAME_BYTES_MAX = 64, /* RFC 5280, appendix A.1, ub-common-name */
};

static bool set_names(X509 *certificate, const char *fqdn)
{
    X509_NAME *subject = X509_get_subject_name(certificate);
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *text = ASN1_IA5STRING_new();
    bool is_set = names && name && text && ASN1_STRING_set(text, fqdn, -1);

    if (is_set && sk_GENERAL_NAME_push(names, name) > 0) {
        GENERAL_NAME_set0_value(name, GEN_DNS, text);
        is_set = X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, 0) == 1;
        name = NULL; /* names has it, and it has the text */
        text = NULL;
    }
    if (is_set && strlen(fqdn) <= COMMON_NAME_BYTES_MAX)
        is_set = X509_NAME_add_entry_by_txt(
                     subject, "CN", MBSTRING_UTF8, (const unsigned char *)fqdn, -1, -1, 0) == 1;
    GENERAL_NAME_free(name);
    ASN1_IA5STRING_free(text);
    GENERAL_NAMES_free(names);
    return is_set && X509_set_issuer_name(certificate, subject) == 1;
}

X509 *tls_make_certificate(EVP_PKEY *key, const char *fqdn, int valid_days)
{
    X509 *certificate = X509_new();
    uint64_t serial;

    if (!certificate)
        return NULL;
    random_fill(&serial, sizeof serial);
    if (X509_set_version(certificate, X509_VERSION_3) &&
        ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1 | 1) &&
        /* A day back: clocks differ. */
        X509_gmtime_adj(X509_getm_notBefore(certificate), -DAY_S) &&
        X509_time_adj_ex(X509_getm_notAfter(certificate), valid_days, 0, NULL) &&
        X509_set_pubkey(certificate, key) && set_names(certificate, fqdn) &&
        X509_sign(certificate, key, EVP_sha256()))
        return certificate;
    X509_free(certificate);
    return NULL;
}

static bool use_key(SSL_CTX *ssl, EVP_PKEY *key, const char *fqdn)
{
    X509 *certificate = key ? tls_make_certificate(key, fqdn, VALID_DAYS) : NULL;
    bool is_done = certificate && SSL_CTX_use_certificate(ssl, certificate) == 1 &&
                   SSL_CTX_use_PrivateKey(ssl, key) == 1;

    X509_free(certificate); /* SSL has its own hold of both */
    EVP_PKEY_free(key);
    return is_done;
}

enum err tls_use_self_signed(
    SSL_CTX *ssl, const char *fqdn, enum tls_version version_min, char why[TLS_ERROR_BYTES])
{
    bool is_done;

    ERR_clear_error();
    is_done = use_key(ssl, EVP_EC_gen("P-256"), fqdn);
    if (is_done && version_min < TLS_1_2) /* devices that old know no elliptic curves */
        is_done = use_key(ssl, EVP_RSA_gen(OLD_KEY_BITS), fqdn);
    return is_done ? OK : tls_why("self-signed certificate", why);
}

enum err tls_self_signed_context(
    const char *fqdn, struct tls_context **out, char why[TLS_ERROR_BYTES])
{
    struct tls_server_settings settings = { .fqdn = fqdn, .version_min = TLS_1_2 };

    return tls_server_context(&settings, out, why);
}
