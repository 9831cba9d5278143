/* The certificate that the other side showed, and which clients a server knows by theirs.
 *
 * A client's certificate never ends a handshake: a device with an expired one shall get an
 * answer that says so (policy/rights.h), not an alert that it does not show.  The chain's
 * verdict stays in the TLS session, so that a resumed one says the same. */
#include "base/utf8.h"
#include "os/tls_inside.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdio.h>

/* --- Asking ------------------------------------------------------------------------------ */

/* In place of OpenSSL's own verification, which would end the handshake. */
static int on_client_certificate(X509_STORE_CTX *store, void *me)
{
    const struct tls_context *context = me;

    if (!context->has_client_ca)
        X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    else if (X509_verify_cert(store) != 1 && X509_STORE_CTX_get_error(store) == X509_V_OK)
        X509_STORE_CTX_set_error(store, X509_V_ERR_UNSPECIFIED);
    ERR_clear_error();
    return 1;
}

enum err tls_ask_client(struct tls_context *context, const struct tls_server_settings *settings,
    char why[TLS_ERROR_BYTES])
{
    const char *ca = settings->client_ca_file;

    ERR_clear_error();
    tls_keep_fingerprints(
        context, settings->client_fingerprints, settings->client_fingerprint_count);
    if (ca) {
        STACK_OF(X509_NAME) * names;
        if (SSL_CTX_load_verify_file(context->ssl, ca) != 1)
            return tls_why(ca, why);
        names = SSL_load_client_CA_file(ca);
        if (!names)
            return tls_why(ca, why);
        /* A client shows nothing when none of the names fits: where fingerprints count too,
         * no names are sent. */
        if (settings->client_fingerprint_count == 0)
            SSL_CTX_set_client_CA_list(context->ssl, names); /* takes them */
        else
            sk_X509_NAME_pop_free(names, X509_NAME_free);
        context->has_client_ca = true;
    }
    SSL_CTX_set_verify(context->ssl, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(context->ssl, on_client_certificate, context);
    return OK;
}

/* --- What was shown ---------------------------------------------------------------------- */

void tls_fingerprint(const X509 *certificate, char out[TLS_FINGERPRINT_BYTES])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    int at;

    out[0] = 0;
    if (X509_digest(certificate, EVP_sha256(), digest, &n) != 1)
        return;
    at = snprintf(out, TLS_FINGERPRINT_BYTES, "sha256:");
    for (unsigned i = 0; i < n; i++)
        at += snprintf(out + at, TLS_FINGERPRINT_BYTES - (size_t)at, "%02x", digest[i]);
}

/* A name with a zero byte in it, or another that no name has, could pass for another one. */
static bool copy_clean(struct bytes name, char out[TLS_NAME_BYTES])
{
    if (name.n == 0 || name.n >= TLS_NAME_BYTES)
        return false;
    for (struct bytes rest = name; rest.n;) {
        size_t n = utf8_first(rest);
        if (n == 0 || rest.at[0] < ' ' || rest.at[0] == 0x7f)
            return false;
        rest = bytes_skip(rest, n);
    }
    memcpy(out, name.at, name.n);
    out[name.n] = 0;
    return true;
}

static bool find_email(X509 *certificate, char out[TLS_NAME_BYTES])
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    bool is_found = false;

    for (int i = 0; i < sk_GENERAL_NAME_num(names) && !is_found; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_EMAIL)
            is_found = copy_clean(bytes_of(ASN1_STRING_get0_data(name->d.rfc822Name),
                                      (size_t)ASN1_STRING_length(name->d.rfc822Name)),
                out);
    }
    GENERAL_NAMES_free(names);
    return is_found;
}

/* The last CN, which is the most specific one. */
static void find_common_name(X509 *certificate, char out[TLS_NAME_BYTES])
{
    const X509_NAME *subject = X509_get_subject_name(certificate);
    int at = -1, last = -1, n;
    unsigned char *text;

    while ((at = X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0)
        last = at;
    if (last < 0)
        return;
    n = ASN1_STRING_to_UTF8(
        &text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, last)));
    if (n < 0)
        return;
    (void)copy_clean(bytes_of(text, (size_t)n), out);
    OPENSSL_free(text);
}

void tls_subject(const X509 *certificate, char out[TLS_NAME_BYTES])
{
    BIO *text = BIO_new(BIO_s_mem());
    char *at;
    long n;

    /* RFC 2253's form escapes control bytes, and here all that is no ASCII. */
    if (text &&
        X509_NAME_print_ex(text, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) >= 0) {
        n = BIO_get_mem_data(text, &at);
        snprintf(out, TLS_NAME_BYTES, "%.*s", (int)n, at);
    }
    BIO_free(text);
}

void tls_note_peer(const struct tls_context *context, SSL *ssl, struct tls_facts *facts)
{
    X509 *certificate = SSL_get0_peer_certificate(ssl);

    if (!certificate)
        return;
    tls_fingerprint(certificate, facts->peer_fingerprint);
    tls_subject(certificate, facts->peer_subject);
    if (!find_email(certificate, facts->peer_name))
        find_common_name(certificate, facts->peer_name);
    facts->peer_is_known =
        SSL_is_server(ssl) &&
        ((context->has_client_ca && SSL_get_verify_result(ssl) == X509_V_OK) ||
            tls_has_fingerprint(context, facts->peer_fingerprint));
    ERR_clear_error();
}
