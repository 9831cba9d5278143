/* TLS by OpenSSL 3.  A context is made once per connector and shared by all loops (OpenSSL
 * counts); a stream belongs to one connection.  Session resumption is on, both ways (TL-5). */
#ifndef OS_TLS_H
#define OS_TLS_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/time.h"
#include "base/tlsa.h"

struct tls_context;
struct tls_stream;

enum tls_version { TLS_1_0 = 0, TLS_1_1, TLS_1_2, TLS_1_3 };

struct tls_certificate_files {
    const char *certificate_file; /* PEM, chain included */
    const char *key_file;         /* may be NULL: in the certificate's file */
};

struct tls_server_settings {
    /* Chosen by the name that the client asks for, the first when none has it. */
    const struct tls_certificate_files *certificates;
    size_t certificate_count; /* 0: a self-signed one for FQDN, made in memory, or kept in: */
    const char *kept_file, *kept_rsa_file; /* as of tls_keep_self_signed(); NULL: none */
    const char *fqdn;
    enum tls_version version_min; /* TLS_1_0 and TLS_1_1 lower the security level too */
    /* A client is asked for a certificate.  Whatever it shows, the handshake goes on: the facts
     * say whether it is known, by one of these two. */
    bool asks_client;
    const char *client_ca_file;             /* NULL: none */
    const char *const *client_fingerprints; /* "sha256:HEX" of certificates */
    size_t client_fingerprint_count;
};

struct tls_client_settings {
    const char *ca_file;          /* NULL: the system's */
    const char *certificate_file; /* NULL: none */
    const char *key_file;
    /* At most one of these three; none: encryption alone. */
    bool verifies;                   /* chain and name */
    const char *const *fingerprints; /* "sha256:HEX": the certificate is one of these, and
                                        nothing else is asked of it */
    size_t fingerprint_count;
    bool uses_dane; /* each stream is told of its TLSA records */
    enum tls_version version_min;
};

enum { TLS_ERROR_BYTES = 256 };

/* WHY gets a text on failure: the file and what is wrong with it. */
enum err tls_server_context(const struct tls_server_settings *settings,
    struct tls_context **out, char why[TLS_ERROR_BYTES]) MUST_USE;
enum err tls_client_context(const struct tls_client_settings *settings,
    struct tls_context **out, char why[TLS_ERROR_BYTES]) MUST_USE;
struct tls_context *tls_context_hold(struct tls_context *context); /* any thread */
void tls_context_free(struct tls_context *context);                /* any thread; NULL too */

/* The sessions that clients have of BEFORE are resumed by CONTEXT, which comes in its place: as far
 * as both show the same certificates, and ask for none, since what was known of a client may have
 * changed.  True: they are. */
bool tls_context_keep_sessions(struct tls_context *context, const struct tls_context *before);

/* What stands in a certificate's file. */
enum { TLS_NAME_BYTES = 256, TLS_FINGERPRINT_BYTES = 72 };
struct tls_certificate_facts {
    struct wall not_before, not_after;
    bool fits;                               /* is for the host that was asked about */
    char subject[TLS_NAME_BYTES];            /* "CN=Printer,O=Example" (RFC 4514); cut */
    char fingerprint[TLS_FINGERPRINT_BYTES]; /* "sha256:HEX" */
};
enum err tls_certificate_look(const char *file, const char *host,
    struct tls_certificate_facts *out, char why[TLS_ERROR_BYTES]) MUST_USE;

/* How near its end is: 30 days, 7 days. */
enum tls_expiry { TLS_EXPIRY_FAR, TLS_EXPIRY_MONTH, TLS_EXPIRY_WEEK, TLS_EXPIRY_OVER };
enum tls_expiry tls_expiry_of(const struct tls_certificate_facts *facts, struct wall now);

/* A self-signed certificate and key for FQDN, in memory: what a server without a configured one
 * offers (opportunistic TLS needs no more). */
enum err tls_self_signed_context(
    const char *fqdn, struct tls_context **out, char why[TLS_ERROR_BYTES]) MUST_USE;

/* A self-signed certificate that stays the same, so that it can be pinned: FILE keeps it with its
 * key, for its owner alone.  It is made where FILE is not there, or ends within 30 days; and where
 * it cannot be used: *damage says why not then, else it is "".  RSA is for devices that know no
 * elliptic curves. */
enum err tls_keep_self_signed(const char *fqdn, bool is_rsa, const char *file,
    char damage[TLS_ERROR_BYTES], char why[TLS_ERROR_BYTES]) MUST_USE;

/* --- Pinned keys: nodes of a cluster know one another by these, and by nothing else (TL-4) --- */

enum { TLS_PIN_BYTES = 32, TLS_PIN_TEXT_BYTES = 52 };

/* SHA-256 of a public key's SubjectPublicKeyInfo (DER). */
struct tls_pin {
    uint8_t byte[TLS_PIN_BYTES];
};

/* "sha256:" and 44 characters of base64. */
void tls_pin_format(struct tls_pin pin, char out[TLS_PIN_TEXT_BYTES]);
bool tls_pin_parse(struct bytes text, struct tls_pin *out);

/* Makes a node's key (EC P-256) and its certificate, signed by itself and valid for long, as two
 * new PEM files; the key's mode is 0600.  ERR_EXISTS: one is there already, nothing changed. */
enum err tls_node_key_make(const char *name, const char *certificate_file, const char *key_file,
    char why[TLS_ERROR_BYTES]) MUST_USE;
enum err tls_pin_of_file(
    const char *certificate_file, struct tls_pin *out, char why[TLS_ERROR_BYTES]) MUST_USE;

/* One context for both directions: TLS 1.3 alone, the other side must show a certificate whose
 * key is one of PINS (copied), else the handshake fails and nothing of the application is seen.
 * No session resumption: each link proves its key.  The host that tls_stream_new() is given says
 * only that it is a client. */
enum err tls_node_context(const char *certificate_file, const char *key_file,
    const struct tls_pin *pins, size_t pin_count, struct tls_context **out,
    char why[TLS_ERROR_BYTES]) MUST_USE;

struct tls_facts {
    char version[16]; /* "TLSv1.3" */
    char cipher[48];
    bool is_resumed;
    bool is_verified;   /* a client's: chain and name are good */
    bool peer_is_known; /* a server's: the certificate is one that the settings know */
    /* Of the certificate that the other side showed; all empty: it showed none.  The texts are
     * clean: a name with a byte that is no printable ASCII or UTF-8 is left out. */
    char peer_fingerprint[TLS_FINGERPRINT_BYTES]; /* "sha256:" and the DER's digest in hex */
    char peer_name[TLS_NAME_BYTES]; /* the first e-mail address among its names, else its CN */
    char peer_subject[TLS_NAME_BYTES]; /* "CN=Printer,O=Example" (RFC 4514); cut */
    bool has_pin;                      /* in a node's context, after a failed handshake too: */
    struct tls_pin pin;                /* the other side's key */
};

/* What binds an exchange above TLS to this very connection (RFC 9266, RFC 5929). */
struct tls_binding {
    bool is_exporter; /* tls-exporter, from TLS 1.3 on; else tls-unique */
    size_t n;         /* 0: there is none */
    uint8_t byte[64];
};

/* A stream turns bytes of the wire into bytes of the application and back; it does no I/O. */
enum err tls_stream_new(struct tls_context *context, bool is_server, const char *host,
    struct tls_stream **out) MUST_USE;
void tls_stream_free(struct tls_stream *stream);

/* What DNS says of a server's certificate; all borrowed for the call. */
struct tls_dane {
    const struct tlsa *records; /* secured by DNSSEC */
    size_t record_count;
    const char *const *names; /* that usage 2 takes besides the stream's host: RFC 7672, 3.2 */
    size_t name_count;
};

/* Before the first read, for a client's stream of a context that uses DANE; the stream's host is
 * the name the records were found at.  ERR_TLS: no record is usable. */
enum err tls_stream_use_dane(struct tls_stream *stream, const struct tls_dane *dane) MUST_USE;

/* Gives IN (from the wire) to the stream.  Handshake answers and alerts are appended to WIRE,
 * application bytes to PLAIN.  ERR_TLS: over, tls_stream_error() has the text.  ERR_CLOSED: the
 * other side said close_notify; PLAIN may have its last bytes. */
enum err tls_stream_read(
    struct tls_stream *stream, struct bytes in, struct buf *wire, struct buf *plain) MUST_USE;
enum err tls_stream_write(
    struct tls_stream *stream, struct bytes plain, struct buf *wire) MUST_USE;
void tls_stream_close(struct tls_stream *stream, struct buf *wire); /* appends close_notify */
bool tls_stream_is_up(const struct tls_stream *stream);             /* the handshake is done */
const struct tls_facts *tls_stream_facts(const struct tls_stream *stream);
void tls_stream_binding(const struct tls_stream *stream, struct tls_binding *out);
const char *tls_stream_error(const struct tls_stream *stream);

#endif
