/* Nodes know one another by their keys alone.  The certificate is the envelope that TLS wants a
 * key in; of its names, dates and signatures nothing is asked, since nobody vouches for it but
 * the administrator who typed the pin. */
#include "base/base64.h"
#include "base/mem.h"
#include "os/file.h"
#include "os/tls.h"
#include "os/tls_inside.h"

#include <assert.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NODE_VALID_DAYS = 36500, BASE64_BYTES = 44 };

/* --- Pins -------------------------------------------------------------------------------- */

static const char pin_prefix[] = "sha256:";

void tls_pin_format(struct tls_pin pin, char out[TLS_PIN_TEXT_BYTES])
{
    struct buf text;

    buf_init(&text, BASE64_BYTES);
    err_ignore(base64_encode(bytes_of(pin.byte, sizeof pin.byte), &text));
    assert(text.n == BASE64_BYTES);
    snprintf(out, TLS_PIN_TEXT_BYTES, "%s%.*s", pin_prefix, BYTES_ARGS(buf_bytes(&text)));
    buf_done(&text);
}

bool tls_pin_parse(struct bytes text, struct tls_pin *out)
{
    struct buf pin;
    bool is_pin;

    if (!bytes_starts_nocase(text, bytes_text(pin_prefix)))
        return false;
    text = bytes_skip(text, strlen(pin_prefix));
    buf_init(&pin, TLS_PIN_BYTES);
    is_pin =
        text.n == BASE64_BYTES && base64_decode(text, &pin) == OK && pin.n == TLS_PIN_BYTES;
    if (is_pin)
        memcpy(out->byte, buf_bytes(&pin).at, TLS_PIN_BYTES);
    buf_done(&pin);
    return is_pin;
}

static bool pin_of(X509 *certificate, struct tls_pin *out)
{
    unsigned char *spki = NULL;
    int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &spki);
    bool is_done;

    if (n <= 0)
        return false;
    is_done = EVP_Digest(spki, (size_t)n, out->byte, NULL, EVP_sha256(), NULL) == 1;
    OPENSSL_free(spki);
    return is_done;
}

static enum err read_certificate(const char *file, X509 **out, char why[TLS_ERROR_BYTES])
{
    BIO *bio;

    ERR_clear_error();
    bio = BIO_new_file(file, "r");
    if (!bio)
        return tls_why(file, why);
    *out = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    return *out ? OK : tls_why(file, why);
}

enum err tls_pin_of_file(
    const char *certificate_file, struct tls_pin *out, char why[TLS_ERROR_BYTES])
{
    X509 *certificate;
    enum err err = read_certificate(certificate_file, &certificate, why);

    if (err != OK)
        return err;
    if (!pin_of(certificate, out))
        err = tls_why(certificate_file, why);
    X509_free(certificate);
    return err;
}

/* --- The key of this node ---------------------------------------------------------------- */

static enum err fail(const char *file, enum err err, char why[TLS_ERROR_BYTES])
{
    snprintf(why, TLS_ERROR_BYTES, "%s: %s", file, err_text(err));
    return err;
}

static enum err sync_folder_of(const char *file)
{
    const char *slash = strrchr(file, '/');
    char *folder;
    enum err err;

    if (!slash)
        return folder_sync(".");
    folder = bytes_to_text(bytes_of(file, slash == file ? 1 : (size_t)(slash - file)));
    err = folder_sync(folder);
    free(folder);
    return err;
}

/* A new file with what MEMORY holds; it is removed again when that cannot be made durable. */
static enum err write_new(const char *path, BIO *memory, char why[TLS_ERROR_BYTES])
{
    struct file file;
    char *text;
    long n = BIO_get_mem_data(memory, &text);
    enum err err = file_open(path, FILE_WRITE | FILE_CREATE, &file);

    if (err != OK)
        return fail(path, err, why);
    err = file_write_at(file, bytes_of(text, (size_t)n), 0);
    if (err == OK)
        err = file_sync(file);
    file_close(&file);
    if (err == OK)
        err = sync_folder_of(path);
    if (err == OK)
        return OK;
    err_ignore(file_remove(path));
    return fail(path, err, why);
}

static enum err write_pair(const char *certificate_file, BIO *certificate, const char *key_file,
    BIO *key, char why[TLS_ERROR_BYTES])
{
    enum err err = write_new(key_file, key, why);

    if (err != OK)
        return err;
    err = write_new(certificate_file, certificate, why);
    if (err != OK)
        err_ignore(file_remove(key_file)); /* nobody knows it yet */
    return err;
}

enum err tls_node_key_make(const char *name, const char *certificate_file, const char *key_file,
    char why[TLS_ERROR_BYTES])
{
    BIO *key_text = BIO_new(BIO_s_secmem()), *certificate_text = BIO_new(BIO_s_mem());
    X509 *certificate = NULL;
    EVP_PKEY *key;
    enum err err;

    ERR_clear_error();
    key = EVP_EC_gen("P-256");
    if (key)
        certificate = tls_make_certificate(key, name, NODE_VALID_DAYS);
    if (key_text && certificate_text && certificate &&
        PEM_write_bio_PrivateKey(key_text, key, NULL, NULL, 0, NULL, NULL) == 1 &&
        PEM_write_bio_X509(certificate_text, certificate) == 1)
        err = write_pair(certificate_file, certificate_text, key_file, key_text, why);
    else
        err = tls_why("key of this node", why);
    X509_free(certificate);
    EVP_PKEY_free(key);
    BIO_free(key_text);
    BIO_free(certificate_text);
    return err;
}

/* --- Handshakes -------------------------------------------------------------------------- */

/* In place of OpenSSL's own verification.  OpenSSL has seen to it that the other side has the
 * certificate's key: it signed the handshake with it (RFC 8446, 4.4.3). */
static int on_verify(X509_STORE_CTX *store, void *me)
{
    const struct tls_context *context = me;
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    X509 *certificate = X509_STORE_CTX_get0_cert(store);
    struct tls_pin pin;

    if (certificate && pin_of(certificate, &pin)) {
        tls_note_pin(ssl, &pin);
        for (size_t i = 0; i < context->pin_count; i++) {
            if (memcmp(&context->pins[i], &pin, sizeof pin) == 0) /* pins are no secret */
                return 1;
        }
    }
    X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    return 0;
}

enum err tls_node_context(const char *certificate_file, const char *key_file,
    const struct tls_pin *pins, size_t pin_count, struct tls_context **out,
    char why[TLS_ERROR_BYTES])
{
    struct tls_context *context = tls_context_new(TLS_method(), TLS_1_3);
    enum err err;

    if (!context)
        return tls_why("TLS", why);
    context->is_node = true;
    context->pins = mem_copy(pins, pin_count * sizeof *pins);
    context->pin_count = pin_count;
    SSL_CTX_set_session_cache_mode(context->ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(context->ssl, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(context->ssl, 0);
    SSL_CTX_set_verify(context->ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(context->ssl, on_verify, context);
    err = tls_use_certificate(context->ssl, certificate_file, key_file, why);
    if (err != OK) {
        tls_context_free(context);
        return err;
    }
    *out = context;
    return OK;
}
