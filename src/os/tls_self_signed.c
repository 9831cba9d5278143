#include "os/clock.h"
#include "os/file.h"
#include "os/tls.h"
#include "os/tls_inside.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

enum {
    DAY_S = 86400,
    VALID_DAYS = 3650,      /* nobody but a restart, or a reload, renews it */
    RENEWED_S = 30 * DAY_S, /* so long before its end */
    PEM_BYTES_MAX = 64 << 10,
    OLD_KEY_BITS = 2048,
    COMMON_NAME_BYTES_MAX = 64, /* RFC 5280, appendix A.1, ub-common-name */
    FILE_MODE = 0600,
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

/* --- Kept ones --------------------------------------------------------------------------- */

static bool is_usable(X509 *certificate, EVP_PKEY *key)
{
    return certificate && key && X509_check_private_key(certificate, key) == 1;
}

static bool ends_soon(const X509 *certificate)
{
    time_t soon = (time_t)(clock_wall().ms / 1000) + RENEWED_S;

    return X509_cmp_time(X509_get0_notAfter(certificate), &soon) < 0;
}

/* Whether there is one in TEXT, to be gone on with.  DAMAGE: nothing can be done with it. */
static bool look(struct bytes text, const char *file, char damage[TLS_ERROR_BYTES])
{
    static char no_pass_phrase[] = ""; /* NULL would ask at the terminal */
    BIO *bio = BIO_new_mem_buf(text.at, (int)text.n);
    EVP_PKEY *key = NULL;
    X509 *certificate = NULL;
    bool is_good;

    ERR_clear_error();
    if (bio)
        key = PEM_read_bio_PrivateKey(bio, NULL, NULL, no_pass_phrase);
    if (key)
        certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    is_good = is_usable(certificate, key);
    if (!is_good)
        err_ignore(tls_why(file, damage));
    else
        is_good = !ends_soon(certificate);
    X509_free(certificate);
    EVP_PKEY_free(key);
    BIO_free(bio);
    return is_good;
}

/* An error: nobody knows what is in FILE, so it is left alone. */
static enum err look_at(const char *file, bool *is_good, char damage[TLS_ERROR_BYTES])
{
    struct buf text;
    enum err err;

    *is_good = false;
    *damage = 0;
    buf_init(&text, PEM_BYTES_MAX);
    err = file_read_all(file, PEM_BYTES_MAX, &text);
    if (err == OK)
        *is_good = look(buf_bytes(&text), file, damage);
    else if (err == ERR_DENIED || err == ERR_LIMIT)
        snprintf(damage, TLS_ERROR_BYTES, "%s: %s", file, err_text(err));
    if (text.n)
        OPENSSL_cleanse(text.at, text.n);
    buf_done(&text);
    return err == ERR_NONE || *damage ? OK : err;
}

static enum err fail(const char *file, enum err err, char why[TLS_ERROR_BYTES])
{
    snprintf(why, TLS_ERROR_BYTES, "%s: %s", file, err_text(err));
    return err;
}

static enum err write_kept(const char *file, BIO *memory, char why[TLS_ERROR_BYTES])
{
    char *text;
    long n = BIO_get_mem_data(memory, &text);
    enum err err = file_replace(file, bytes_of(text, (size_t)n), FILE_MODE);

    return err == OK ? OK : fail(file, err, why);
}

static enum err make_kept(
    const char *fqdn, bool is_rsa, const char *file, char why[TLS_ERROR_BYTES])
{
    BIO *memory = BIO_new(BIO_s_secmem());
    X509 *certificate;
    EVP_PKEY *key;
    enum err err;

    ERR_clear_error();
    key = is_rsa ? EVP_RSA_gen(OLD_KEY_BITS) : EVP_EC_gen("P-256");
    certificate = key ? tls_make_certificate(key, fqdn, VALID_DAYS) : NULL;
    if (memory && certificate &&
        PEM_write_bio_PrivateKey(memory, key, NULL, NULL, 0, NULL, NULL) == 1 &&
        PEM_write_bio_X509(memory, certificate) == 1)
        err = write_kept(file, memory, why);
    else
        err = tls_why(file, why);
    X509_free(certificate);
    EVP_PKEY_free(key);
    BIO_free(memory);
    return err;
}

enum err tls_keep_self_signed(const char *fqdn, bool is_rsa, const char *file,
    char damage[TLS_ERROR_BYTES], char why[TLS_ERROR_BYTES])
{
    bool is_good;
    enum err err = look_at(file, &is_good, damage);

    if (err != OK)
        return fail(file, err, why);
    if (is_good)
        return OK;
    /* Else the new key had the mode and the owner of the old file, whoever gave it these. */
    err_ignore(file_remove(file));
    return make_kept(fqdn, is_rsa, file, why);
}
