/* What a client asks of a server's certificate beside the authorities' word: to be one of some
 * fingerprints, or to match TLSA records (DANE). */
#include "base/mem.h"
#include "os/tls_inside.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <strings.h>

/* --- Fingerprints ------------------------------------------------------------------------ */

static bool is_fingerprint(const struct tls_context *context, const char *fingerprint)
{
    for (size_t i = 0; i < context->fingerprint_count; i++) {
        if (strcasecmp(context->fingerprints[i], fingerprint) == 0)
            return true;
    }
    return false;
}

/* In place of OpenSSL's own verification: names, dates and authorities do not matter, since the
 * certificate itself is known. */
static int on_pinned(X509_STORE_CTX *store, void *me)
{
    const struct tls_context *context = me;
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    X509 *certificate = X509_STORE_CTX_get0_cert(store);
    char fingerprint[TLS_FINGERPRINT_BYTES] = "";

    if (certificate)
        tls_fingerprint(certificate, fingerprint);
    tls_note_fingerprint(ssl, fingerprint);
    if (is_fingerprint(context, fingerprint)) {
        X509_STORE_CTX_set_error(store, X509_V_OK);
        return 1;
    }
    X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    return 0;
}

void tls_keep_fingerprints(
    struct tls_context *context, const char *const *fingerprints, size_t count)
{
    context->fingerprints = mem_new((count + 1) * sizeof *context->fingerprints);
    for (size_t i = 0; i < count; i++)
        context->fingerprints[i] = mem_text(fingerprints[i]);
    context->fingerprint_count = count;
}

bool tls_has_fingerprint(const struct tls_context *context, const char *fingerprint)
{
    return is_fingerprint(context, fingerprint);
}

void tls_pin_server(struct tls_context *context, const struct tls_client_settings *settings)
{
    tls_keep_fingerprints(context, settings->fingerprints, settings->fingerprint_count);
    SSL_CTX_set_verify(context->ssl, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(context->ssl, on_pinned, context);
}

/* --- DANE (RFC 7671, RFC 7672) ----------------------------------------------------------- */

enum err tls_enable_dane(struct tls_context *context, char why[TLS_ERROR_BYTES])
{
    ERR_clear_error();
    if (SSL_CTX_dane_enable(context->ssl) != 1)
        return tls_why("DANE", why);
    /* Usage 3 is about the key alone: names and dates do not matter (RFC 7672, 3.1.1). */
    SSL_CTX_dane_set_flags(context->ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
    SSL_CTX_set_verify(context->ssl, SSL_VERIFY_PEER, NULL);
    context->uses_dane = true;
    return OK;
}

bool tls_begin_dane(SSL *ssl, const char *base)
{
    X509_VERIFY_PARAM_set_hostflags(SSL_get0_param(ssl), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_dane_enable(ssl, base) == 1;
}

enum err tls_add_dane(SSL *ssl, const struct tls_dane *dane)
{
    enum { USAGE_TA = 2, USAGE_EE = 3 };
    unsigned usable = 0;

    for (size_t i = 0; i < dane->name_count; i++) {
        if (SSL_add1_host(ssl, dane->names[i]) != 1)
            return ERR_TLS;
    }
    for (size_t i = 0; i < dane->record_count; i++) {
        const struct tlsa *record = &dane->records[i];
        if (record->usage != USAGE_TA && record->usage != USAGE_EE)
            continue; /* the others want public authorities: RFC 7672, 3.1.3 */
        /* 0: unusable, for which another may be there; less than 0: no memory. */
        usable += SSL_dane_tlsa_add(ssl, record->usage, record->selector, record->matching,
                      record->data.at, record->data.n) > 0;
    }
    ERR_clear_error();
    return usable ? OK : ERR_TLS; /* without records OpenSSL would ask the authorities */
}
