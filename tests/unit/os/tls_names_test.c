/* Several certificates on one connector, and what stands in certificate files. */
#include "tls_kit.h"
#include "tls_paper.h"

#include "os/clock.h"

#include <openssl/ssl.h>
#include <stdio.h>

enum { DAY_MS = 24 * 3600 * 1000, FILES_MAX = 5 };

/* A server with the first COUNT of these papers. */
static struct tls_context *server_with(const struct paper *papers, size_t count)
{
    struct tls_certificate_files files[FILES_MAX];
    struct tls_server_settings settings = {
        .certificates = files, .certificate_count = count, .version_min = TLS_1_2
    };
    struct tls_context *context;
    char why[TLS_ERROR_BYTES] = "";

    for (size_t i = 0; i < count; i++)
        files[i] = (struct tls_certificate_files){ paper_certificate_file(&papers[i]),
            paper_key_file(&papers[i]) };
    if (tls_server_context(&settings, &context, why) != OK)
        fail_msg("%s", why);
    return context;
}

/* The number of the paper shown to a client that asks for NAME (NULL: for none) and takes these
 * kinds of signatures alone (NULL: any). */
static size_t shown(const struct paper *papers, struct tls_context *server, const char *name,
    const char *signatures)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    struct side side = { NULL };
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    SSL *ssl = SSL_new(ctx);
    X509 *certificate;
    size_t at = FILES_MAX;
    char text[256];

    /* OpenSSL's macros cast, so they get texts of our own. */
    snprintf(text, sizeof text, "%s", signatures ? signatures : "");
    if (signatures)
        assert_int_equal(SSL_set1_sigalgs_list(ssl, text), 1);
    snprintf(text, sizeof text, "%s", name ? name : "");
    if (name)
        SSL_set_tlsext_host_name(ssl, text);
    SSL_set_bio(ssl, in, out);
    SSL_set_connect_state(ssl);
    open_side(&side, server, NULL);
    for (int flight = 0; flight < 4; flight++) {
        char *bytes;
        long n;
        SSL_do_handshake(ssl);
        n = BIO_get_mem_data(out, &bytes);
        side.err =
            tls_stream_read(side.stream, bytes_of(bytes, (size_t)n), &side.wire, &side.plain);
        BIO_reset(out);
        BIO_write(in, side.wire.at, (int)side.wire.n);
        buf_clear(&side.wire);
    }
    assert_true(SSL_is_init_finished(ssl));
    certificate = SSL_get0_peer_certificate(ssl);
    for (size_t i = 0; i < FILES_MAX; i++) {
        if (papers[i].certificate && X509_cmp(papers[i].certificate, certificate) == 0)
            at = i;
    }
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    tls_stream_free(side.stream);
    buf_done(&side.wire);
    buf_done(&side.plain);
    return at;
}

static void the_name_decides(void **state)
{
    static const struct {
        const char *name, *asked, *signatures;
        size_t want;
    } cases[] = {
        { "none", NULL, NULL, 0 },
        { "first", "a.example", NULL, 0 },
        { "second", "b.example", NULL, 1 },
        { "in upper case", "B.EXAMPLE", NULL, 1 },
        { "second name of the second", "b2.example", NULL, 1 },
        { "wild", "x.c.example", NULL, 2 },
        { "deeper than wild", "x.y.c.example", NULL, 0 },
        { "unknown", "z.example", NULL, 0 },
        { "the other kind of key", "a.example", "rsa_pss_rsae_sha256", 3 },
        { "the other kind of key, no name", NULL, "rsa_pss_rsae_sha256", 3 },
        { "the other kind of key, unknown name", "z.example", "rsa_pss_rsae_sha256", 3 },
        { "its own kind", "a.example", "ecdsa_secp256r1_sha256", 0 },
    };
    struct paper papers[FILES_MAX] = { paper_make(NULL, "a", "DNS:a.example", "EC", 9),
        paper_make(NULL, "b", "DNS:b.example,DNS:b2.example", "EC", 9),
        paper_make(NULL, "c", "DNS:*.c.example", "EC", 9),
        paper_make(NULL, "a", "DNS:a.example", "RSA", 9),
        paper_make(NULL, "a again", "DNS:a.example", "EC", 9) };
    struct tls_context *server = server_with(papers, FILES_MAX);

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++)
        check(cases[i].name,
            shown(papers, server, cases[i].asked, cases[i].signatures) == cases[i].want);
    tls_context_free(server);
    for (size_t i = 0; i < FILES_MAX; i++)
        paper_free(&papers[i]);
}

static void one_bad_file_is_named(void **state)
{
    struct paper good = paper_make(NULL, "a", "DNS:a.example", "EC", 9);
    struct tls_certificate_files files[] = {
        { paper_certificate_file(&good), paper_key_file(&good) }, { "/nonexistent/b.pem", NULL }
    };
    struct tls_server_settings settings = {
        .certificates = files, .certificate_count = 2, .version_min = TLS_1_2
    };
    struct tls_context *context;
    char why[TLS_ERROR_BYTES] = "";

    (void)state;
    assert_int_equal(tls_server_context(&settings, &context, why), ERR_NONE);
    assert_non_null(strstr(why, "/nonexistent/b.pem"));
    paper_free(&good);
}

/* A context made before goes on as it was, whatever the file has now. */
static void a_context_keeps_what_it_read(void **state)
{
    struct paper papers[FILES_MAX] = { paper_make(NULL, "a", "DNS:a.example", "EC", 9),
        paper_make(NULL, "b", "DNS:a.example", "EC", 9) };
    struct tls_certificate_files files = { paper_certificate_file(&papers[0]),
        paper_key_file(&papers[0]) };
    struct tls_server_settings settings = {
        .certificates = &files, .certificate_count = 1, .version_min = TLS_1_2
    };
    struct tls_context *old, *new, *broken;
    char why[TLS_ERROR_BYTES];

    (void)state;
    assert_int_equal(tls_server_context(&settings, &old, why), OK);
    paper_replace(files.certificate_file, paper_certificate_file(&papers[1]));
    assert_int_equal(tls_server_context(&settings, &broken, why), ERR_TLS); /* the old key */
    paper_replace(files.key_file, paper_key_file(&papers[1]));
    assert_int_equal(tls_server_context(&settings, &new, why), OK);
    assert_int_equal(shown(papers, old, NULL, NULL), 0);
    assert_int_equal(shown(papers, new, NULL, NULL), 1);
    tls_context_free(old);
    tls_context_free(new);
    paper_free(&papers[0]);
    paper_free(&papers[1]);
}

static void files_are_looked_into(void **state)
{
    static const struct {
        const char *name, *names, *host;
        int days;
        bool fits;
        enum tls_expiry expiry;
    } cases[] = {
        { "far", "DNS:mx.example", "mx.example", 100, true, TLS_EXPIRY_FAR },
        { "31 days", "DNS:mx.example", "MX.example", 31, true, TLS_EXPIRY_FAR },
        { "29 days", "DNS:*.t.example", "mx.t.example", 29, true, TLS_EXPIRY_MONTH },
        { "a week and a day", "DNS:*.t.example", "a.mx.t.example", 8, false, TLS_EXPIRY_MONTH },
        { "six days", "DNS:a.example,DNS:b.example", "b.example", 6, true, TLS_EXPIRY_WEEK },
        { "yesterday", "DNS:m*.example", "mx.example", -1, false, TLS_EXPIRY_OVER },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct paper paper = paper_make(NULL, "mail", cases[i].names, "EC", cases[i].days);
        struct tls_certificate_facts facts;
        char why[TLS_ERROR_BYTES], fingerprint[72];
        struct wall now = clock_wall();
        int64_t off_ms;
        assert_int_equal(
            tls_certificate_look(paper_certificate_file(&paper), cases[i].host, &facts, why),
            OK);
        paper_fingerprint(&paper, fingerprint);
        off_ms = facts.not_after.ms - now.ms - (int64_t)cases[i].days * DAY_MS;
        check(cases[i].name, facts.fits == cases[i].fits);
        check(cases[i].name, tls_expiry_of(&facts, now) == cases[i].expiry);
        check(cases[i].name, off_ms > 30000 && off_ms < 90000); /* the kit adds a minute */
        check_bytes(cases[i].name, bytes_text(facts.subject), BYTES("CN=mail"));
        check_bytes(cases[i].name, bytes_text(facts.fingerprint), bytes_text(fingerprint));
        check(
            cases[i].name, tls_certificate_look(paper_key_file(&paper), "", &facts, why) != OK);
        paper_free(&paper);
    }
}

static int remove_papers(void **state)
{
    (void)state;
    papers_remove();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(the_name_decides, remove_papers),
        cmocka_unit_test_teardown(one_bad_file_is_named, remove_papers),
        cmocka_unit_test_teardown(a_context_keeps_what_it_read, remove_papers),
        cmocka_unit_test_teardown(files_are_looked_into, remove_papers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
