/* A stream's BIO is of our own: OpenSSL reads from the bytes that are given to the call, and
 * writes to the caller's buffer, without copies in between.  Both are there during a call
 * only. */
#include "os/tls.h"

#include "base/ip.h"
#include "base/mem.h"
#include "os/tls_inside.h"

#include <assert.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    PLAIN_ROOM_BYTES = 16 << 10, /* the content of a record: RFC 8446, 5.1 */
    HOST_BYTES_MAX = 255,
};

struct tls_stream {
    struct tls_context *context;
    SSL *ssl;
    char *host;       /* a client's */
    struct bytes in;  /* of the call */
    struct buf *wire; /* of the call */
    enum err over;    /* ERR_TLS, ERR_CLOSED: nothing more is read */
    bool is_up;
    bool is_closed; /* we said close_notify */
    struct tls_facts facts;
    char *error;
};

/* --- The BIO ----------------------------------------------------------------------------- */

static int on_bio_read(BIO *bio, char *to, int n)
{
    struct tls_stream *stream = BIO_get_data(bio);
    struct bytes part = bytes_first(stream->in, (size_t)n);

    BIO_clear_retry_flags(bio);
    if (part.n == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(to, part.at, part.n);
    stream->in = bytes_skip(stream->in, part.n);
    return (int)part.n;
}

static int on_bio_write(BIO *bio, const char *from, int n)
{
    struct tls_stream *stream = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (!stream->wire || buf_add(stream->wire, bytes_of(from, (size_t)n)) != OK)
        return -1; /* over the ceiling: the stream cannot go on */
    return n;
}

static long on_bio_control(BIO *bio, int command, long number, void *at)
{
    (void)bio, (void)number, (void)at;
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *method;
static pthread_once_t method_once = PTHREAD_ONCE_INIT;

static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "relais");
    assert(method);
    BIO_meth_set_read(method, on_bio_read);
    BIO_meth_set_write(method, on_bio_write);
    BIO_meth_set_ctrl(method, on_bio_control);
}

static BIO *new_bio(struct tls_stream *stream)
{
    BIO *bio;

    pthread_once(&method_once, make_method);
    bio = BIO_new(method);
    if (!bio)
        return NULL;
    BIO_set_data(bio, stream);
    BIO_set_init(bio, 1);
    return bio;
}

/* --- Making ------------------------------------------------------------------------------ */

/* The name to ask for and to look for in the certificate.  An address is no name of SNI (RFC
 * 6066, 3).  HOST is only read; OpenSSL's macro casts const away. */
static bool set_host(SSL *ssl, char *host)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    struct ip ip;

    if (ip_parse(bytes_text(host), &ip))
        return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

static bool set_up_client(struct tls_stream *stream, const char *host)
{
    struct bytes name = bytes_text(host);
    SSL_SESSION *session;

    if (name.n && name.at[name.n - 1] == '.') /* as in DNS; certificates have no final dot */
        name.n--;
    SSL_set_connect_state(stream->ssl);
    if (stream->context->is_node)
        return true; /* it goes by the key: there is no name to ask for, or to look for */
    if (name.n == 0) /* nothing to look for; who wants to verify cannot */
        return SSL_get_verify_mode(stream->ssl) == SSL_VERIFY_NONE;
    if (name.n > HOST_BYTES_MAX)
        return false;
    stream->host = bytes_to_text(name);
    /* Nothing is resumed under DANE: the records may have changed meanwhile. */
    if (stream->context->uses_dane)
        return tls_begin_dane(stream->ssl, stream->host);
    session = tls_sessions_take(stream->context->sessions, stream->host);
    if (session) {
        SSL_set_session(stream->ssl, session);
        SSL_SESSION_free(session);
    }
    return set_host(stream->ssl, stream->host);
}

enum err tls_stream_new(
    struct tls_context *context, bool is_server, const char *host, struct tls_stream **out)
{
    struct tls_stream *stream = mem_new(sizeof *stream);
    BIO *bio = new_bio(stream);

    assert(context->is_node || is_server == !context->sessions);
    ERR_clear_error();
    stream->context = tls_context_hold(context);
    stream->ssl = SSL_new(context->ssl);
    if (!stream->ssl || !bio) {
        BIO_free(bio);
        goto fail;
    }
    SSL_set_bio(stream->ssl, bio, bio); /* takes it */
    SSL_set_app_data(stream->ssl, stream);
    if (is_server)
        SSL_set_accept_state(stream->ssl);
    else if (!set_up_client(stream, host ? host : ""))
        goto fail;
    *out = stream;
    return OK;

fail:
    tls_stream_free(stream);
    return ERR_TLS;
}

void tls_stream_free(struct tls_stream *stream)
{
    if (!stream)
        return;
    /* A connection that ended without a word does not make its session worthless. */
    if (stream->ssl && stream->over != ERR_TLS)
        SSL_set_shutdown(stream->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(stream->ssl);
    tls_context_free(stream->context);
    free(stream->host);
    free(stream->error);
    free(stream);
}

const char *tls_host_of(const SSL *ssl)
{
    const struct tls_stream *stream = SSL_get_app_data(ssl);

    return stream->host;
}

void tls_note_pin(const SSL *ssl, const struct tls_pin *pin)
{
    struct tls_stream *stream = SSL_get_app_data(ssl);

    stream->facts.has_pin = true;
    stream->facts.pin = *pin;
}

void tls_note_fingerprint(const SSL *ssl, const char *fingerprint)
{
    struct tls_stream *stream = SSL_get_app_data(ssl);

    snprintf(stream->facts.peer_fingerprint, TLS_FINGERPRINT_BYTES, "%s", fingerprint);
}

enum err tls_stream_use_dane(struct tls_stream *stream, const struct tls_dane *dane)
{
    assert(stream->context->uses_dane && !stream->is_up);
    ERR_clear_error();
    if (tls_add_dane(stream->ssl, dane) == OK)
        return OK;
    stream->over = ERR_TLS;
    stream->error = bytes_to_text(BYTES("no TLSA record is usable"));
    return ERR_TLS;
}

/* --- Reading ----------------------------------------------------------------------------- */

/* A node's handshake: so that the administrator can compare. */
static void add_foreign_pin(const struct tls_stream *stream, struct buf *error)
{
    char pin[TLS_PIN_TEXT_BYTES];

    tls_pin_format(stream->facts.pin, pin);
    err_ignore(buf_printf(error, ": its key %s is not pinned here", pin));
}

static enum err fail(struct tls_stream *stream)
{
    long verify = SSL_get_verify_result(stream->ssl);
    unsigned long code = ERR_get_error();
    const char *text = code ? ERR_reason_error_string(code) : NULL;
    struct buf error;

    stream->over = ERR_TLS;
    if (stream->error)
        return ERR_TLS;
    buf_init(&error, TLS_ERROR_BYTES);
    err_ignore(buf_add_text(&error, text ? text : "protocol error"));
    if (ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED && stream->facts.has_pin)
        add_foreign_pin(stream, &error);
    else if (ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED &&
             verify == X509_V_ERR_APPLICATION_VERIFICATION)
        err_ignore(buf_printf(&error, ": %s is not pinned here",
            stream->facts.peer_fingerprint[0] ? stream->facts.peer_fingerprint : "it"));
    else if (ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED && verify != X509_V_OK)
        err_ignore(buf_printf(&error, ": %s", X509_verify_cert_error_string(verify)));
    stream->error = buf_take_text(&error);
    ERR_clear_error();
    return ERR_TLS;
}

static void copy_text(char *to, size_t room, const char *text)
{
    snprintf(to, room, "%s", text ? text : "");
}

static void on_up(struct tls_stream *stream)
{
    SSL *ssl = stream->ssl;
    struct tls_facts *facts = &stream->facts;

    stream->is_up = true;
    copy_text(facts->version, sizeof facts->version, SSL_get_version(ssl));
    copy_text(facts->cipher, sizeof facts->cipher, SSL_get_cipher_name(ssl));
    facts->is_resumed = SSL_session_reused(ssl) == 1;
    facts->is_verified = (stream->host || stream->context->is_node) &&
                         SSL_get0_peer_certificate(ssl) &&
                         SSL_get_verify_result(ssl) == X509_V_OK;
    if (!stream->context->is_node) /* nodes go by their pins */
        tls_note_peer(stream->context, ssl, facts);
}

/* What a call that gave RESULT says of the stream; OK: it wants more input. */
static enum err answer(struct tls_stream *stream, int result)
{
    switch (SSL_get_error(stream->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        assert(stream->in.n == 0);
        return OK;
    case SSL_ERROR_ZERO_RETURN:
        stream->over = ERR_CLOSED;
        return ERR_CLOSED;
    default:
        return fail(stream);
    }
}

static enum err read_records(struct tls_stream *stream, struct buf *plain)
{
    for (;;) {
        uint8_t *to = buf_room(plain, PLAIN_ROOM_BYTES);
        size_t got;
        int result;
        if (!to)
            return ERR_LIMIT;
        result = SSL_read_ex(stream->ssl, to, PLAIN_ROOM_BYTES, &got);
        if (result != 1)
            return answer(stream, result);
        buf_wrote(plain, got);
    }
}

static enum err read_all(struct tls_stream *stream, struct buf *plain)
{
    ERR_clear_error();
    if (!stream->is_up) {
        int result = SSL_do_handshake(stream->ssl);
        if (result != 1)
            return answer(stream, result);
        on_up(stream);
    }
    return read_records(stream, plain);
}

enum err tls_stream_read(
    struct tls_stream *stream, struct bytes in, struct buf *wire, struct buf *plain)
{
    enum err err;

    if (stream->over != OK)
        return stream->over;
    stream->in = in;
    stream->wire = wire;
    err = read_all(stream, plain);
    stream->in = BYTES_NONE;
    stream->wire = NULL;
    return err;
}

/* --- Writing ----------------------------------------------------------------------------- */

enum err tls_stream_write(struct tls_stream *stream, struct bytes plain, struct buf *wire)
{
    enum err err = OK;

    assert(stream->is_up && !stream->is_closed);
    if (stream->over == ERR_TLS)
        return ERR_TLS;
    ERR_clear_error();
    stream->wire = wire;
    while (plain.n && err == OK) {
        size_t done;
        if (SSL_write_ex(stream->ssl, plain.at, plain.n, &done) == 1)
            plain = bytes_skip(plain, done);
        else
            err = fail(stream); /* the wire takes all, so it is never a matter of waiting */
    }
    stream->wire = NULL;
    return err;
}

void tls_stream_close(struct tls_stream *stream, struct buf *wire)
{
    if (!stream->is_up || stream->is_closed || stream->over == ERR_TLS)
        return;
    stream->is_closed = true;
    ERR_clear_error();
    stream->wire = wire;
    SSL_shutdown(stream->ssl); /* 0 or 1: sent; the answer is not waited for (RFC 8446, 6.1) */
    stream->wire = NULL;
    ERR_clear_error();
}

bool tls_stream_is_up(const struct tls_stream *stream)
{
    return stream->is_up;
}

const struct tls_facts *tls_stream_facts(const struct tls_stream *stream)
{
    return &stream->facts;
}

/* Of the Finished messages the first is meant: the server's when the session was resumed.  TLS
 * 1.2 without the extended master secret binds nothing (RFC 7627, 1). */
static size_t unique(const struct tls_stream *stream, uint8_t *out, size_t room)
{
    SSL *ssl = stream->ssl;
    bool is_ours = !SSL_is_server(ssl) == !stream->facts.is_resumed;

    if (SSL_get_extms_support(ssl) != 1)
        return 0;
    return is_ours ? SSL_get_finished(ssl, out, room) : SSL_get_peer_finished(ssl, out, room);
}

void tls_stream_binding(const struct tls_stream *stream, struct tls_binding *out)
{
    static const char label[] = "EXPORTER-Channel-Binding"; /* RFC 9266, 2 */
    enum { EXPORTED_BYTES = 32 };

    *out = (struct tls_binding){ .is_exporter = SSL_version(stream->ssl) >= TLS1_3_VERSION };
    if (!stream->is_up)
        return;
    if (!out->is_exporter)
        out->n = unique(stream, out->byte, sizeof out->byte);
    else if (SSL_export_keying_material(stream->ssl, out->byte, EXPORTED_BYTES, label,
                 sizeof label - 1, NULL, 0, 1) == 1)
        out->n = EXPORTED_BYTES;
}

const char *tls_stream_error(const struct tls_stream *stream)
{
    return stream->error ? stream->error : "";
}
