/* Several certificates on one connector, of which the client's wish decides (SNI, RFC 6066, 3).
 * Of those for one name with keys of different kinds OpenSSL takes the one that the client can
 * deal with. */
#include "base/mem.h"
#include "os/tls_inside.h"

#include <assert.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

enum { KEY_KINDS_MAX = 8 };

/* One of them; OpenSSL reads the files into a context, and there it stays. */
struct choice {
    SSL_CTX *holder;
    bool is_like_first; /* has the first one's names */
};

struct tls_names {
    size_t count;
    struct choice *list;
};

void tls_names_free(struct tls_names *names)
{
    if (!names)
        return;
    for (size_t i = 0; i < names->count; i++)
        SSL_CTX_free(names->list[i].holder);
    free(names->list);
    free(names);
}

bool tls_names_are_equal(const struct tls_names *a, const struct tls_names *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        if (X509_cmp(SSL_CTX_get0_certificate(a->list[i].holder),
                SSL_CTX_get0_certificate(b->list[i].holder)) != 0)
            return false;
    }
    return true;
}

static bool have_same_names(const X509 *a, const X509 *b)
{
    int at_a = X509_get_ext_by_NID(a, NID_subject_alt_name, -1);
    int at_b = X509_get_ext_by_NID(b, NID_subject_alt_name, -1);

    if (at_a < 0 || at_b < 0)
        return at_a == at_b &&
               X509_NAME_cmp(X509_get_subject_name(a), X509_get_subject_name(b)) == 0;
    return ASN1_OCTET_STRING_cmp(X509_EXTENSION_get_data(X509_get_ext(a, at_a)),
               X509_EXTENSION_get_data(X509_get_ext(b, at_b))) == 0;
}

static bool fits(const struct choice *choice, const char *name)
{
    return X509_check_host(SSL_CTX_get0_certificate(choice->holder), name, 0,
               X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
}

static bool any_fits(const struct tls_names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (fits(&names->list[i], name))
            return true;
    }
    return false;
}

static bool use(SSL *ssl, SSL_CTX *holder)
{
    STACK_OF(X509) *chain = NULL;

    SSL_CTX_get0_chain_certs(holder, &chain);
    return SSL_use_cert_and_key(ssl, SSL_CTX_get0_certificate(holder),
               SSL_CTX_get0_privatekey(holder), chain, 1) == 1;
}

/* Called in each full handshake, after the client's extensions were read.  1: goes on. */
static int on_choice(SSL *ssl, void *me)
{
    const struct tls_names *names = me;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    int kinds[KEY_KINDS_MAX];
    size_t kind_count = 0;

    if (name && !any_fits(names, name))
        name = NULL;
    SSL_certs_clear(ssl);
    for (size_t i = 0; i < names->count && kind_count < KEY_KINDS_MAX; i++) {
        const struct choice *choice = &names->list[i];
        int kind = EVP_PKEY_get_base_id(SSL_CTX_get0_privatekey(choice->holder));
        bool is_there = false;
        if (name ? !fits(choice, name) : !choice->is_like_first)
            continue;
        for (size_t k = 0; k < kind_count; k++)
            is_there |= kinds[k] == kind;
        if (is_there)
            continue; /* the first of a kind counts */
        kinds[kind_count++] = kind;
        if (!use(ssl, choice->holder))
            return 0;
    }
    ERR_clear_error();
    return kind_count > 0;
}

enum err tls_use_names(struct tls_context *context, const struct tls_server_settings *settings,
    char why[TLS_ERROR_BYTES])
{
    struct tls_names *names = mem_new(sizeof *names);

    assert(settings->certificate_count > 1);
    context->names = names; /* it goes with the context, on failure too */
    names->list = mem_new(settings->certificate_count * sizeof *names->list);
    for (size_t i = 0; i < settings->certificate_count; i++) {
        const struct tls_certificate_files *files = &settings->certificates[i];
        struct tls_context *room = tls_context_new_server(settings->version_min);
        enum err err;
        if (!room)
            return tls_why("TLS", why);
        err = tls_use_certificate(room->ssl, files->certificate_file, files->key_file, why);
        if (err == OK)
            SSL_CTX_up_ref(room->ssl);
        if (err == OK)
            names->list[names->count++].holder = room->ssl;
        tls_context_free(room);
        if (err != OK)
            return err;
        names->list[i].is_like_first =
            have_same_names(SSL_CTX_get0_certificate(names->list[0].holder),
                SSL_CTX_get0_certificate(names->list[i].holder));
    }
    SSL_CTX_set_cert_cb(context->ssl, on_choice, names);
    return OK;
}
