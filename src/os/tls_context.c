#include "base/mem.h"
#include "os/errno.h"
#include "os/tls.h"
#include "os/tls_inside.h"

#include <assert.h>
#include <openssl/decodererr.h>
#include <openssl/err.h>
#include <openssl/pemerr.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TICKET_KEY_BYTES = 80 }; /* their name, and a key for HMAC and one for AES */

static bool is_reason(unsigned long code, int library, int reason)
{
    return ERR_GET_LIB(code) == library && ERR_GET_REASON(code) == reason;
}

/* What OpenSSL says of the mistakes that are made with files, in words of who made them.  NULL: its
 * own have to do. */
static const char *plain_text(unsigned long code)
{
    if (is_reason(code, ERR_LIB_PEM, PEM_R_NO_START_LINE))
        return "there is no certificate in it (PEM)";
    if (is_reason(code, ERR_LIB_X509, X509_R_KEY_VALUES_MISMATCH) ||
        is_reason(code, ERR_LIB_X509, X509_R_KEY_TYPE_MISMATCH) ||
        is_reason(code, ERR_LIB_SSL, SSL_R_NO_CERTIFICATE_ASSIGNED)) /* of the key's kind */
        return "the key is not this certificate's";
    if (ERR_GET_REASON(code) == ERR_R_INTERRUPTED_OR_CANCELLED) /* by no_pass_phrase() */
        return "the key has a pass phrase; openssl pkey -in KEY -out NEW writes it without";
    return NULL;
}

enum err tls_why(const char *what, char why[TLS_ERROR_BYTES])
{
    unsigned long code = ERR_get_error();
    const char *text = plain_text(code);
    enum err err = ERR_TLS;

    if (!text && code)
        text = ERR_reason_error_string(code);
    if (ERR_SYSTEM_ERROR(code)) {
        err = err_of_errno(ERR_GET_REASON(code));
        text = strerror(ERR_GET_REASON(code));
    }
    snprintf(why, TLS_ERROR_BYTES, "%s: %s", what, text ? text : "OpenSSL does not say why");
    ERR_clear_error();
    return err;
}

/* --- Both sides -------------------------------------------------------------------------- */

static int version_number(enum tls_version version)
{
    static const int numbers[] = { [TLS_1_0] = TLS1_VERSION,
        [TLS_1_1] = TLS1_1_VERSION,
        [TLS_1_2] = TLS1_2_VERSION,
        [TLS_1_3] = TLS1_3_VERSION };

    assert((unsigned)version <= TLS_1_3);
    return numbers[version];
}

/* A key with a pass phrase is an error: without this OpenSSL would ask at the terminal. */
static int no_pass_phrase(char *to, int n, int is_writing, void *me)
{
    (void)to, (void)n, (void)is_writing, (void)me;
    return -1;
}

struct tls_context *tls_context_new(const SSL_METHOD *method, enum tls_version version_min)
{
    struct tls_context *context = mem_new(sizeof *context);

    context->ssl = SSL_CTX_new(method);
    if (!context->ssl) {
        free(context);
        return NULL;
    }
    atomic_init(&context->holders, 1);
    SSL_CTX_set_min_proto_version(context->ssl, version_number(version_min));
    if (version_min < TLS_1_2) /* OpenSSL 3 has their digests at no higher level */
        SSL_CTX_set_cipher_list(context->ssl, "DEFAULT@SECLEVEL=0");
    SSL_CTX_set_options(context->ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(context->ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                       SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_default_passwd_cb(context->ssl, no_pass_phrase);
    return context;
}

struct tls_context *tls_context_hold(struct tls_context *context)
{
    atomic_fetch_add(&context->holders, 1);
    return context;
}

void tls_context_free(struct tls_context *context)
{
    if (!context || atomic_fetch_sub(&context->holders, 1) != 1)
        return;
    SSL_CTX_free(context->ssl);
    tls_sessions_free(context->sessions);
    tls_names_free(context->names); /* after the context, which asks it */
    free(context->pins);
    for (size_t i = 0; i < context->fingerprint_count; i++)
        free(context->fingerprints[i]);
    free(context->fingerprints);
    free(context);
}

/* One under a pass phrase is another matter: that is said as OpenSSL does. */
static bool is_no_key(unsigned long code)
{
    return is_reason(code, ERR_LIB_PEM, PEM_R_NO_START_LINE) ||
           is_reason(code, ERR_LIB_OSSL_DECODER, ERR_R_UNSUPPORTED);
}

static enum err why_no_key(const char *certificate, const char *key, char why[TLS_ERROR_BYTES])
{
    if (!is_no_key(ERR_peek_error()))
        return tls_why(key ? key : certificate, why);
    if (key)
        snprintf(why, TLS_ERROR_BYTES, "%s: there is no private key in it (PEM)", key);
    else
        snprintf(why, TLS_ERROR_BYTES,
            "%s: there is no private key in it; another file with it is named by key = ...",
            certificate);
    ERR_clear_error();
    return ERR_TLS;
}

enum err tls_use_certificate(
    SSL_CTX *ssl, const char *certificate, const char *key, char why[TLS_ERROR_BYTES])
{
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(ssl, certificate) != 1)
        return tls_why(certificate, why);
    if (SSL_CTX_use_PrivateKey_file(ssl, key ? key : certificate, SSL_FILETYPE_PEM) != 1)
        return why_no_key(certificate, key, why);
    if (SSL_CTX_check_private_key(ssl) != 1)
        return tls_why(key ? key : certificate, why);
    return OK;
}

/* --- Servers ----------------------------------------------------------------------------- */

struct tls_context *tls_context_new_server(enum tls_version version_min)
{
    static const unsigned char name[] = "relais";
    struct tls_context *context = tls_context_new(TLS_server_method(), version_min);

    if (!context)
        return NULL;
    SSL_CTX_set_session_id_context(context->ssl, name, sizeof name - 1);
    SSL_CTX_set_session_cache_mode(context->ssl, SSL_SESS_CACHE_SERVER);
    SSL_CTX_set_num_tickets(context->ssl, 1); /* clients come one connection after another */
    SSL_CTX_set_dh_auto(context->ssl, 1);
    return context;
}

static enum err use_kept(
    SSL_CTX *ssl, const struct tls_server_settings *settings, char why[TLS_ERROR_BYTES])
{
    enum err err = tls_use_certificate(ssl, settings->kept_file, NULL, why);

    if (err == OK && settings->kept_rsa_file)
        err = tls_use_certificate(ssl, settings->kept_rsa_file, NULL, why);
    return err;
}

static enum err use_own_certificate(struct tls_context *context,
    const struct tls_server_settings *settings, char why[TLS_ERROR_BYTES])
{
    const struct tls_certificate_files *files = settings->certificates;

    if (settings->certificate_count > 1)
        return tls_use_names(context, settings, why);
    if (settings->certificate_count == 0 && settings->kept_file)
        return use_kept(context->ssl, settings, why);
    if (settings->certificate_count == 0)
        return tls_use_self_signed(context->ssl, settings->fqdn, settings->version_min, why);
    return tls_use_certificate(context->ssl, files->certificate_file, files->key_file, why);
}

enum err tls_server_context(const struct tls_server_settings *settings,
    struct tls_context **out, char why[TLS_ERROR_BYTES])
{
    struct tls_context *context = tls_context_new_server(settings->version_min);
    enum err err;

    if (!context)
        return tls_why("TLS", why);
    err = use_own_certificate(context, settings, why);
    if (err == OK && settings->asks_client)
        err = tls_ask_client(context, settings, why);
    if (err != OK) {
        tls_context_free(context);
        return err;
    }
    *out = context;
    return OK;
}

static bool show_the_same(const struct tls_context *a, const struct tls_context *b)
{
    const X509 *one = SSL_CTX_get0_certificate(a->ssl),
               *other = SSL_CTX_get0_certificate(b->ssl);

    if (a->names || b->names)
        return a->names && b->names && tls_names_are_equal(a->names, b->names);
    return one && other && X509_cmp(one, other) == 0;
}

static bool asks_client(const struct tls_context *context)
{
    return SSL_CTX_get_verify_mode(context->ssl) != SSL_VERIFY_NONE;
}

/* What a client has is a ticket: the session itself, under keys of the context, which nobody
 * changes once it is made (RFC 5077, 4). */
bool tls_context_keep_sessions(struct tls_context *context, const struct tls_context *before)
{
    uint8_t keys[TICKET_KEY_BYTES];
    bool is_done;

    if (asks_client(context) || asks_client(before) || !show_the_same(context, before))
        return false;
    is_done = SSL_CTX_get_tlsext_ticket_keys(before->ssl, keys, sizeof keys) == 1 &&
              SSL_CTX_set_tlsext_ticket_keys(context->ssl, keys, sizeof keys) == 1;
    OPENSSL_cleanse(keys, sizeof keys);
    ERR_clear_error();
    return is_done;
}

/* --- Clients ----------------------------------------------------------------------------- */

/* Returns 1 when it takes SESSION. */
static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
    struct tls_context *context = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    const char *host = tls_host_of(ssl);

    if (!host || !SSL_SESSION_is_resumable(session))
        return 0;
    tls_sessions_put(context->sessions, host, session);
    return 1;
}

static void set_up_client(struct tls_context *context)
{
    context->sessions = tls_sessions_new();
    SSL_CTX_set_app_data(context->ssl, context);
    SSL_CTX_set_session_cache_mode(
        context->ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context->ssl, on_new_session);
}

/* The system's authorities are left alone by those who do not verify: looking them up costs
 * reads of files with each handshake. */
static enum err use_authorities(
    SSL_CTX *ssl, const struct tls_client_settings *settings, char why[TLS_ERROR_BYTES])
{
    ERR_clear_error();
    if (settings->ca_file) {
        if (SSL_CTX_load_verify_file(ssl, settings->ca_file) != 1)
            return tls_why(settings->ca_file, why);
    } else if (settings->verifies) {
        if (SSL_CTX_set_default_verify_paths(ssl) != 1)
            return tls_why("the system's certificate authorities", why);
    }
    SSL_CTX_set_verify(ssl, settings->verifies ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    return OK;
}

static enum err trust(struct tls_context *context, const struct tls_client_settings *settings,
    char why[TLS_ERROR_BYTES])
{
    if (settings->uses_dane)
        return tls_enable_dane(context, why);
    if (settings->fingerprint_count == 0)
        return use_authorities(context->ssl, settings, why);
    tls_pin_server(context, settings);
    return OK;
}

enum err tls_client_context(const struct tls_client_settings *settings,
    struct tls_context **out, char why[TLS_ERROR_BYTES])
{
    struct tls_context *context = tls_context_new(TLS_client_method(), settings->version_min);
    enum err err;

    if (!context)
        return tls_why("TLS", why);
    set_up_client(context);
    err = trust(context, settings, why);
    if (err == OK && settings->certificate_file)
        err = tls_use_certificate(
            context->ssl, settings->certificate_file, settings->key_file, why);
    if (err != OK) {
        tls_context_free(context);
        return err;
    }
    *out = context;
    return OK;
}
