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
    VALID_DAYS = 3650,          /* it lives as long as the process: nobody renews it */
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

enum err tls_self_signed_context(
    const char *fqdn, struct tls_context **out, char why[TLS_ERROR_BYTES])
{
    struct tls_context *context;
    EVP_PKEY *key;
    X509 *certificate = NULL;
    bool is_done = false;

    ERR_clear_error();
    context = tls_context_new_server(TLS_1_2);
    key = EVP_EC_gen("P-256");
    if (key)
        certificate = tls_make_certificate(key, fqdn, VALID_DAYS);
    if (context && certificate)
        is_done = SSL_CTX_use_certificate(context->ssl, certificate) == 1 &&
                  SSL_CTX_use_PrivateKey(context->ssl, key) == 1;
    X509_free(certificate); /* the context has its own hold of both */
    EVP_PKEY_free(key);
    if (!is_done) {
        tls_context_free(context);
        return tls_why("self-signed certificate", why);
    }
    *out = context;
    return OK;
}
