#include "tls_kit.h"
#include "tls_paper.h"

#include "base/mem.h"
#include "os/file.h"

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* --- Certificates in files --------------------------------------------------------------- */

static char folder[64], certificate_file[96], key_file[96], other_key_file[96], junk_file[96],
    missing_file[96], locked_key_file[96];

static void write_key(const char *path, EVP_PKEY *key, const char *phrase)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(
        PEM_write_PrivateKey(file, key, phrase ? EVP_aes_128_cbc() : NULL,
            (const unsigned char *)phrase, phrase ? (int)strlen(phrase) : 0, NULL, NULL),
        1);
    fclose(file);
}

/* Its own authority, for "mx.example". */
static void write_certificate(const char *path, EVP_PKEY *key)
{
    X509 *x = X509_new();
    X509_NAME *name = X509_get_subject_name(x);
    X509_EXTENSION *names =
        X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:mx.example");
    FILE *file = fopen(path, "w");

    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400);
    X509_set_pubkey(x, key);
    X509_NAME_add_entry_by_txt(
        name, "CN", MBSTRING_ASC, (const unsigned char *)"mx.example", -1, -1, 0);
    X509_set_issuer_name(x, name);
    X509_add_ext(x, names, -1);
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, x), 1);
    fclose(file);
    X509_EXTENSION_free(names);
    X509_free(x);
}

static int make_files(void **state)
{
    EVP_PKEY *key = EVP_EC_gen("P-256"), *other = EVP_EC_gen("P-256");
    FILE *junk;

    (void)state;
    snprintf(folder, sizeof folder, "/tmp/relais-tls-test-%d", (int)getpid());
    assert_int_equal(folder_make(folder, 0700), OK);
    snprintf(certificate_file, sizeof certificate_file, "%s/cert.pem", folder);
    snprintf(key_file, sizeof key_file, "%s/key.pem", folder);
    snprintf(other_key_file, sizeof other_key_file, "%s/other.pem", folder);
    snprintf(junk_file, sizeof junk_file, "%s/junk.pem", folder);
    snprintf(missing_file, sizeof missing_file, "%s/missing.pem", folder);
    snprintf(locked_key_file, sizeof locked_key_file, "%s/locked.pem", folder);
    write_certificate(certificate_file, key);
    write_key(key_file, key, NULL);
    write_key(other_key_file, other, NULL);
    write_key(locked_key_file, key, "secret");
    junk = fopen(junk_file, "w");
    assert_non_null(junk);
    fputs("this is no certificate\n", junk);
    fclose(junk);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
    return 0;
}

static int remove_files(void **state)
{
    const char *const files[] = { certificate_file, key_file, other_key_file, junk_file,
        locked_key_file };

    (void)state;
    for (size_t i = 0; i < CASES(files); i++)
        assert_int_equal(file_remove(files[i]), OK);
    return rmdir(folder);
}

/* --- Contexts ---------------------------------------------------------------------------- */

static struct tls_context *file_server(enum tls_version version_min)
{
    struct tls_certificate_files files = { certificate_file, key_file };
    struct tls_server_settings settings = {
        .certificates = &files, .certificate_count = 1, .version_min = version_min
    };
    struct tls_context *context;
    char why[TLS_ERROR_BYTES];

    assert_int_equal(tls_server_context(&settings, &context, why), OK);
    return context;
}

static struct tls_context *client(const char *ca_file, bool verifies)
{
    struct tls_client_settings settings = {
        .ca_file = ca_file, .verifies = verifies, .version_min = TLS_1_2
    };
    struct tls_context *context;
    char why[TLS_ERROR_BYTES];

    assert_int_equal(tls_client_context(&settings, &context, why), OK);
    return context;
}

static struct tls_context *self_signed(const char *fqdn)
{
    struct tls_context *context;
    char why[TLS_ERROR_BYTES];

    assert_int_equal(tls_self_signed_context(fqdn, &context, why), OK);
    return context;
}

static void test_files(void **state)
{
    const struct {
        const char *name, *certificate, *key, *culprit;
        enum err err;
        const char *said;
    } cases[] = {
        { "both", certificate_file, key_file, NULL, OK },
        { "no certificate", missing_file, key_file, missing_file, ERR_NONE },
        { "no key", certificate_file, missing_file, missing_file, ERR_NONE },
        { "key not in the certificate's file", certificate_file, NULL, certificate_file,
            ERR_TLS, "no private key in it; another file with it is named by key" },
        { "another's key", certificate_file, other_key_file, other_key_file, ERR_TLS,
            "the key is not this certificate's" },
        { "key with a pass phrase", certificate_file, locked_key_file, locked_key_file, ERR_TLS,
            "the key has a pass phrase" },
        { "junk for a key", certificate_file, junk_file, junk_file, ERR_TLS,
            "no private key in it (PEM)" },
        { "junk", junk_file, key_file, junk_file, ERR_TLS, "no certificate in it (PEM)" },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct tls_certificate_files files = { cases[i].certificate, cases[i].key };
        struct tls_server_settings settings = {
            .certificates = &files, .certificate_count = 1, .version_min = TLS_1_2
        };
        struct tls_context *context = NULL;
        char why[TLS_ERROR_BYTES] = "";
        enum err err = tls_server_context(&settings, &context, why);
        check(cases[i].name, err == cases[i].err);
        check(cases[i].name, !context == (err != OK));
        if (cases[i].culprit && !strstr(why, cases[i].culprit))
            fail_msg("%s: %s", cases[i].name, why);
        check(cases[i].name, !cases[i].said || strstr(why, cases[i].said));
        tls_context_free(context);
    }
}

static void test_authority_file(void **state)
{
    struct tls_client_settings settings = { .ca_file = missing_file, .verifies = true };
    struct tls_context *context = NULL;
    char why[TLS_ERROR_BYTES] = "";

    (void)state;
    assert_int_equal(tls_client_context(&settings, &context, why), ERR_NONE);
    assert_null(context);
    assert_non_null(strstr(why, missing_file));
}

/* --- Two streams ------------------------------------------------------------------------- */

/* Any cut of the records gives the same bytes. */
static void test_every_cut(void **state)
{
    static const size_t steps[] = { 1, 2, 3, 5, 6, 17, 100, 1000, 16389, SIZE_MAX };
    struct tls_context *server_context = self_signed("mx.example");
    struct tls_context *client_context = client(NULL, false);
    uint8_t *much = mem_new(100000);

    (void)state;
    for (size_t i = 0; i < 100000; i++)
        much[i] = (uint8_t)(i * 7 + i / 251);
    for (size_t i = 0; i < CASES(steps); i++) {
        struct pipe pipe;
        open_pipe(&pipe, client_context, server_context, "mx.example", steps[i]);
        pump(&pipe);
        assert_true(tls_stream_is_up(pipe.client.stream));
        assert_true(tls_stream_is_up(pipe.server.stream));
        write_side(&pipe.client, BYTES("EHLO me\r\n"));
        write_side(&pipe.server, bytes_of(much, 100000));
        tls_stream_close(pipe.server.stream, &pipe.server.wire);
        pump(&pipe);
        check_bytes("command", buf_bytes(&pipe.server.plain), BYTES("EHLO me\r\n"));
        assert_true(bytes_equal(buf_bytes(&pipe.client.plain), bytes_of(much, 100000)));
        assert_int_equal(pipe.client.err, ERR_CLOSED);
        assert_int_equal(pipe.server.err, OK);
        assert_string_equal(tls_stream_facts(pipe.client.stream)->version, "TLSv1.3");
        assert_true(*tls_stream_facts(pipe.server.stream)->cipher);
        close_pipe(&pipe);
    }
    free(much);
    tls_context_free(client_context);
    tls_context_free(server_context);
}

static bool resumes(struct tls_context *c, struct tls_context *s, const char *host)
{
    struct pipe pipe;
    bool is_resumed;

    open_pipe(&pipe, c, s, host, SIZE_MAX);
    pump(&pipe);
    assert_true(tls_stream_is_up(pipe.client.stream));
    is_resumed = tls_stream_facts(pipe.client.stream)->is_resumed;
    assert_int_equal(is_resumed, tls_stream_facts(pipe.server.stream)->is_resumed);
    close_pipe(&pipe);
    return is_resumed;
}

static void test_resumption(void **state)
{
    struct tls_context *s = self_signed("mx.example"), *c = client(NULL, false),
                       *other = client(NULL, false);

    (void)state;
    assert_false(resumes(c, s, "mx.example"));
    assert_true(resumes(c, s, "mx.example"));
    assert_true(resumes(c, s, "MX.example.")); /* each connection brings the next ticket */
    assert_false(resumes(c, s, "mx2.example"));
    assert_false(resumes(other, s, "mx.example")); /* another policy, another cache */
    tls_context_free(c);
    tls_context_free(other);
    tls_context_free(s);
}

/* One context in the place of another: what clients have of the old one is good, unless another
 * certificate is shown, or clients are asked for theirs. */
static void test_sessions_are_kept(void **state)
{
    struct paper paper = paper_make(NULL, "mx.example", NULL, "EC", 9);
    const struct tls_certificate_files first = { certificate_file, key_file };
    const struct tls_certificate_files other = { paper_certificate_file(&paper),
        paper_key_file(&paper) };
    const struct tls_certificate_files both[] = { first, other }, turned[] = { other, first };
    const struct {
        const char *name;
        struct tls_server_settings before, now;
        bool is_kept;
    } cases[] = {
        { "the same", { .certificates = &first, .certificate_count = 1 },
            { .certificates = &first, .certificate_count = 1 }, true },
        { "another certificate", { .certificates = &first, .certificate_count = 1 },
            { .certificates = &other, .certificate_count = 1 }, false },
        { "the same two", { .certificates = both, .certificate_count = 2 },
            { .certificates = both, .certificate_count = 2 }, true },
        { "in another order", { .certificates = both, .certificate_count = 2 },
            { .certificates = turned, .certificate_count = 2 }, false },
        { "one of them", { .certificates = both, .certificate_count = 2 },
            { .certificates = &first, .certificate_count = 1 }, false },
        { "clients are asked now", { .certificates = &first, .certificate_count = 1 },
            { .certificates = &first, .certificate_count = 1, .asks_client = true }, false },
        { "clients were asked",
            { .certificates = &first, .certificate_count = 1, .asks_client = true },
            { .certificates = &first, .certificate_count = 1 }, false },
        { "a new self-signed one", { .fqdn = "mx.example" }, { .fqdn = "mx.example" }, false },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct tls_server_settings was = cases[i].before, is = cases[i].now;
        struct tls_context *c = client(NULL, false), *before, *now;
        char why[TLS_ERROR_BYTES];
        was.version_min = is.version_min = TLS_1_2;
        assert_int_equal(tls_server_context(&was, &before, why), OK);
        assert_int_equal(tls_server_context(&is, &now, why), OK);
        check(cases[i].name, tls_context_keep_sessions(now, before) == cases[i].is_kept);
        check(cases[i].name, !resumes(c, before, "mx.example"));
        check(cases[i].name, resumes(c, now, "mx.example") == cases[i].is_kept);
        tls_context_free(c);
        tls_context_free(before);
        tls_context_free(now);
    }
    paper_free(&paper);
    papers_remove();
}

static void test_verification(void **state)
{
    const struct {
        const char *name, *ca_file, *host;
        bool verifies, is_up, is_verified;
    } cases[] = {
        { "chain and name", certificate_file, "mx.example", true, true, true },
        { "final dot", certificate_file, "mx.example.", true, true, true },
        { "another name", certificate_file, "mx.evil", true, false, false },
        { "no name", certificate_file, "127.0.0.1", true, false, false },
        { "unknown authority", NULL, "mx.example", true, false, false },
        { "not asked for", NULL, "mx.example", false, true, false },
        { "not asked for, but so", certificate_file, "mx.example", false, true, true },
        { "not asked for, another name", certificate_file, "mx.evil", false, true, false },
    };
    struct tls_context *s = file_server(TLS_1_2);

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct tls_context *c = client(cases[i].ca_file, cases[i].verifies);
        struct pipe pipe;
        bool is_up;
        open_pipe(&pipe, c, s, cases[i].host, SIZE_MAX);
        pump(&pipe);
        is_up = tls_stream_is_up(pipe.client.stream);
        check(cases[i].name, is_up == cases[i].is_up);
        if (is_up)
            check(cases[i].name,
                tls_stream_facts(pipe.client.stream)->is_verified == cases[i].is_verified);
        else
            check(cases[i].name,
                pipe.client.err == ERR_TLS &&
                    strstr(tls_stream_error(pipe.client.stream), "certificate verify failed:"));
        if (!is_up) /* and the server was told */
            check(cases[i].name, pipe.server.err == ERR_TLS);
        close_pipe(&pipe);
        tls_context_free(c);
    }
    tls_context_free(s);
}

/* --- Wrong bytes ------------------------------------------------------------------------- */

static void test_no_tls(void **state)
{
    static const struct {
        const char *name;
        struct bytes bytes;
    } cases[] = {
        { "SMTP", BYTES("EHLO me\r\nMAIL FROM:<>\r\n") },
        { "HTTP", BYTES("GET / HTTP/1.1\r\n\r\n") },
        { "zeros", BYTES("\0\0\0\0\0\0\0\0\0\0\0\0") },
        { "an alert", BYTES("\x15\x03\x01\x00\x02\x02\x28") },
        { "a long record", BYTES("\x16\x03\x01\xff\xff\x01\x00\x00\x00\x00") },
    };
    struct tls_context *s = self_signed("mx.example");

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct side side = { NULL };
        open_side(&side, s, NULL);
        side.err = tls_stream_read(side.stream, cases[i].bytes, &side.wire, &side.plain);
        check(cases[i].name, side.err == ERR_TLS);
        check(cases[i].name, *tls_stream_error(side.stream));
        check(cases[i].name, side.plain.n == 0);
        /* And so it stays. */
        check(cases[i].name,
            tls_stream_read(side.stream, BYTES("x"), &side.wire, &side.plain) == ERR_TLS);
        tls_stream_close(side.stream, &side.wire);
        tls_stream_free(side.stream);
        buf_done(&side.wire);
        buf_done(&side.plain);
    }
    tls_context_free(s);
}

/* One wrong bit anywhere in a record is an error or waits for more, and is never data. */
static void test_wrong_bit(void **state)
{
    struct tls_context *s = self_signed("mx.example"), *c = client(NULL, false);
    size_t n = 1;

    (void)state;
    for (size_t at = 0; at < n; at++) {
        struct pipe pipe;
        open_pipe(&pipe, c, s, "mx.example", SIZE_MAX);
        pump(&pipe);
        write_side(&pipe.client, BYTES("EHLO me\r\n"));
        n = pipe.client.wire.n - pipe.client.sent;
        pipe.client.wire.at[pipe.client.sent + at] ^= 1;
        pump(&pipe);
        assert_int_equal(pipe.server.plain.n, 0);
        close_pipe(&pipe);
    }
    assert_true(n > 9);
    tls_context_free(c);
    tls_context_free(s);
}

/* --- Versions ---------------------------------------------------------------------------- */

/* A client of another make, that speaks one version alone. */
static bool speaks(struct tls_context *context, int version)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    struct side server = { NULL };
    SSL *ssl;
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    bool is_up;

    SSL_CTX_set_cipher_list(ctx, "DEFAULT@SECLEVEL=0");
    SSL_CTX_set_min_proto_version(ctx, version);
    SSL_CTX_set_max_proto_version(ctx, version);
    ssl = SSL_new(ctx);
    SSL_set_bio(ssl, in, out);
    SSL_set_connect_state(ssl);
    open_side(&server, context, NULL);
    for (int flight = 0; flight < 4; flight++) {
        char *at;
        long n;
        SSL_do_handshake(ssl);
        n = BIO_get_mem_data(out, &at);
        server.err = tls_stream_read(
            server.stream, bytes_of(at, (size_t)n), &server.wire, &server.plain);
        BIO_reset(out);
        BIO_write(in, server.wire.at, (int)server.wire.n);
        buf_clear(&server.wire);
    }
    is_up = SSL_is_init_finished(ssl) && tls_stream_is_up(server.stream);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    tls_stream_free(server.stream);
    buf_done(&server.wire);
    buf_done(&server.plain);
    return is_up;
}

static void test_floors(void **state)
{
    static const struct {
        const char *name;
        enum tls_version floor;
        int version;
        bool is_up;
    } cases[] = {
        { "1.0 at floor 1.0", TLS_1_0, TLS1_VERSION, true },
        { "1.1 at floor 1.0", TLS_1_0, TLS1_1_VERSION, true },
        { "1.0 at floor 1.1", TLS_1_1, TLS1_VERSION, false },
        { "1.1 at floor 1.1", TLS_1_1, TLS1_1_VERSION, true },
        { "1.3 at floor 1.0", TLS_1_0, TLS1_3_VERSION, true },
        { "1.1 at floor 1.2", TLS_1_2, TLS1_1_VERSION, false },
        { "1.2 at floor 1.2", TLS_1_2, TLS1_2_VERSION, true },
        { "1.2 at floor 1.3", TLS_1_3, TLS1_2_VERSION, false },
        { "1.3 at floor 1.3", TLS_1_3, TLS1_3_VERSION, true },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct tls_context *context = file_server(cases[i].floor);
        check(cases[i].name, speaks(context, cases[i].version) == cases[i].is_up);
        tls_context_free(context);
    }
}

static void test_long_name(void **state)
{
    char name[200];
    struct tls_context *s, *c = client(NULL, false);

    (void)state;
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = 0;
    name[60] = name[120] = name[180] = '.';
    s = self_signed(name); /* too long for a common name */
    assert_false(resumes(c, s, name));
    tls_context_free(c);
    tls_context_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_authority_file),
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_resumption),
        cmocka_unit_test(test_sessions_are_kept),
        cmocka_unit_test(test_verification),
        cmocka_unit_test(test_no_tls),
        cmocka_unit_test(test_wrong_bit),
        cmocka_unit_test(test_floors),
        cmocka_unit_test(test_long_name),
    };

    return cmocka_run_group_tests(tests, make_files, remove_files);
}
