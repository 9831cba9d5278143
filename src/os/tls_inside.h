/* The inside of a TLS context, for tls.c and the files beside it. */
#ifndef OS_TLS_INSIDE_H
#define OS_TLS_INSIDE_H

#include "os/tls.h"

#include <openssl/ssl.h>
#include <stdatomic.h>

struct tls_sessions;
struct tls_names;

struct tls_context {
    atomic_uint holders;
    SSL_CTX *ssl;
    struct tls_sessions *sessions; /* a client's; NULL: a server's, or a node's */
    bool is_node;                  /* for both sides; the other's key is one of: */
    struct tls_pin *pins;
    size_t pin_count;
    struct tls_names *names; /* a server's that has several certificates; else NULL */
    bool has_client_ca;      /* a server's: by whom the clients it knows are signed */
    bool uses_dane;          /* a client's */
    char **fingerprints;     /* of the clients, or of the servers, that are known */
    size_t fingerprint_count;
};

/* tls_context.c */
struct tls_context *tls_context_new(const SSL_METHOD *method, enum tls_version version_min);
struct tls_context *tls_context_new_server(enum tls_version version_min); /* both: or NULL */
enum err tls_use_certificate(
    SSL_CTX *ssl, const char *certificate, const char *key, char why[TLS_ERROR_BYTES]) MUST_USE;
/* WHAT and the first error of OpenSSL's queue to WHY; the queue is empty afterwards. */
enum err tls_why(const char *what, char why[TLS_ERROR_BYTES]);

/* tls_sessions.c: the sessions a client may resume, by host.  Any thread. */
struct tls_sessions *tls_sessions_new(void);
void tls_sessions_free(struct tls_sessions *sessions);
/* Keeps SESSION (takes it), in place of an older one. */
void tls_sessions_put(struct tls_sessions *sessions, const char *host, SSL_SESSION *session);
SSL_SESSION *tls_sessions_take(struct tls_sessions *sessions, const char *host); /* or NULL */

/* tls_self_signed.c: signed by KEY itself; NULL: the error is in OpenSSL's queue. */
X509 *tls_make_certificate(EVP_PKEY *key, const char *fqdn, int valid_days);
enum err tls_use_self_signed(SSL_CTX *ssl, const char *fqdn, enum tls_version version_min,
    char why[TLS_ERROR_BYTES]) MUST_USE;

/* tls_names.c: the certificates that are chosen by name. */
enum err tls_use_names(struct tls_context *context, const struct tls_server_settings *settings,
    char why[TLS_ERROR_BYTES]) MUST_USE;
void tls_names_free(struct tls_names *names); /* NULL too */
bool tls_names_are_equal(const struct tls_names *a, const struct tls_names *b);

/* tls_peer.c: a server asks for certificates; what was shown goes to the facts. */
enum err tls_ask_client(struct tls_context *context, const struct tls_server_settings *settings,
    char why[TLS_ERROR_BYTES]) MUST_USE;
void tls_note_peer(const struct tls_context *context, SSL *ssl, struct tls_facts *facts);
void tls_fingerprint(const X509 *certificate, char out[TLS_FINGERPRINT_BYTES]); /* or "" */
void tls_subject(const X509 *certificate, char out[TLS_NAME_BYTES]);

/* tls_verify.c: what a client asks of a server's certificate. */
void tls_pin_server(struct tls_context *context, const struct tls_client_settings *settings);
void tls_keep_fingerprints(
    struct tls_context *context, const char *const *fingerprints, size_t count);
bool tls_has_fingerprint(const struct tls_context *context, const char *fingerprint);
enum err tls_enable_dane(struct tls_context *context, char why[TLS_ERROR_BYTES]) MUST_USE;
bool tls_begin_dane(SSL *ssl, const char *base);
enum err tls_add_dane(SSL *ssl, const struct tls_dane *dane) MUST_USE;

/* tls.c: the host that SSL is connected to as a client, or NULL. */
const char *tls_host_of(const SSL *ssl);
/* tls.c: the other side's key, whether it is welcome or not. */
void tls_note_pin(const SSL *ssl, const struct tls_pin *pin);
void tls_note_fingerprint(const SSL *ssl, const char *fingerprint);

#endif
