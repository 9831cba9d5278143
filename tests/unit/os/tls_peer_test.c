/* Who the other side is: clients' certificates, servers' fingerprints, DANE. */
#include "tls_kit.h"
#include "tls_paper.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>

static struct paper authority, stranger, server, client, foreigner, old;
static const char *authority_file, *server_file, *server_key_file;

static int make_papers(void **state)
{
    (void)state;
    authority = paper_make(NULL, "Partners", NULL, "EC", 100);
    stranger = paper_make(NULL, "Strangers", NULL, "EC", 100);
    server = paper_make(&authority, "mx.example", "DNS:mx.example", "EC", 100);
    client = paper_make(&authority, "Printer 7", "DNS:p.example,email:p7@example.com", "EC", 9);
    foreigner = paper_make(&stranger, "Printer 8", NULL, "EC", 9);
    old = paper_make(&authority, "Printer 6", NULL, "EC", -3);
    authority_file = paper_certificate_file(&authority);
    server_file = paper_certificate_file(&server);
    server_key_file = paper_key_file(&server);
    return 0;
}

static int free_papers(void **state)
{
    struct paper *const all[] = { &authority, &stranger, &server, &client, &foreigner, &old };

    (void)state;
    for (size_t i = 0; i < CASES(all); i++)
        paper_free(all[i]);
    papers_remove();
    return 0;
}

static struct tls_context *server_that_asks(
    bool has_ca, const char *const *fingerprints, size_t count)
{
    struct tls_certificate_files files = { server_file, server_key_file };
    struct tls_server_settings settings = { .certificates = &files,
        .certificate_count = 1,
        .version_min = TLS_1_2,
        .asks_client = true,
        .client_ca_file = has_ca ? authority_file : NULL,
        .client_fingerprints = fingerprints,
        .client_fingerprint_count = count };
    struct tls_context *context;
    char why[TLS_ERROR_BYTES];

    assert_int_equal(tls_server_context(&settings, &context, why), OK);
    return context;
}

static struct tls_context *client_of(const struct tls_client_settings *settings)
{
    struct tls_context *context;
    char why[TLS_ERROR_BYTES] = "";

    if (tls_client_context(settings, &context, why) != OK)
        fail_msg("%s", why);
    return context;
}

static struct tls_context *client_with(const struct paper *paper)
{
    struct tls_client_settings settings = { .version_min = TLS_1_2 };

    if (paper) {
        settings.certificate_file = paper_certificate_file(paper);
        settings.key_file = paper_key_file(paper);
    }
    return client_of(&settings);
}

/* The same on a full handshake and on a resumed one. */
static void clients_are_known(void **state)
{
    static char ours[72], theirs[72];
    static const char *const fingerprints[] = { ours, theirs };
    static const struct {
        const char *name;
        const struct paper *shown;
        bool has_ca;
        size_t fingerprint_count;
        bool is_known;
        const char *peer_name, *subject;
    } cases[] = {
        { "none", NULL, true, 2, false, "", "" },
        { "signed", &client, true, 0, true, "p7@example.com", "CN=Printer 7" },
        { "by another", &foreigner, true, 0, false, "Printer 8", "CN=Printer 8" },
        { "by another, but known", &foreigner, true, 2, true, "Printer 8", "CN=Printer 8" },
        { "expired", &old, true, 0, false, "Printer 6", "CN=Printer 6" },
        { "fingerprint alone", &client, false, 1, true, "p7@example.com", "CN=Printer 7" },
        { "another fingerprint", &foreigner, false, 1, false, "Printer 8", "CN=Printer 8" },
        { "nothing is known", &client, false, 0, false, "p7@example.com", "CN=Printer 7" },
    };

    (void)state;
    paper_fingerprint(&client, ours);
    paper_fingerprint(&foreigner, theirs);
    for (size_t i = 0; i < CASES(cases); i++) {
        struct tls_context *c = client_with(cases[i].shown);
        struct tls_context *s =
            server_that_asks(cases[i].has_ca, fingerprints, cases[i].fingerprint_count);
        for (int time = 0; time < 2; time++) {
            const struct tls_facts *facts;
            struct pipe pipe;
            open_pipe(&pipe, c, s, "mx.example", SIZE_MAX);
            pump(&pipe);
            check(cases[i].name, tls_stream_is_up(pipe.client.stream));
            check(cases[i].name, tls_stream_is_up(pipe.server.stream));
            facts = tls_stream_facts(pipe.server.stream);
            check(cases[i].name, facts->is_resumed == (time == 1));
            check(cases[i].name, facts->peer_is_known == cases[i].is_known);
            check(cases[i].name, !facts->peer_fingerprint[0] == !cases[i].shown);
            check_bytes(
                cases[i].name, bytes_text(facts->peer_name), bytes_text(cases[i].peer_name));
            check_bytes(
                cases[i].name, bytes_text(facts->peer_subject), bytes_text(cases[i].subject));
            close_pipe(&pipe);
        }
        tls_context_free(c);
        tls_context_free(s);
    }
}

/* Names that could pass for others are left out. */
static void odd_names_are_not_taken(void **state)
{
    static const struct {
        const char *name, *common_name, *names, *want;
    } cases[] = {
        { "control byte", "a\nb", NULL, "" },
        { "UTF-8", "B\303\274ro", NULL, "B\303\274ro" },
        { "e-mail first", "x", "email:a@b.example,email:c@d.example", "a@b.example" },
        { "no e-mail", "x", "DNS:a.example", "x" },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct paper paper =
            paper_make(&authority, cases[i].common_name, cases[i].names, "EC", 9);
        struct tls_context *c = client_with(&paper), *s = server_that_asks(true, NULL, 0);
        struct pipe pipe;
        open_pipe(&pipe, c, s, "mx.example", SIZE_MAX);
        pump(&pipe);
        check_bytes(cases[i].name, bytes_text(tls_stream_facts(pipe.server.stream)->peer_name),
            bytes_text(cases[i].want));
        close_pipe(&pipe);
        tls_context_free(c);
        tls_context_free(s);
        paper_free(&paper);
    }
}

static void servers_are_pinned(void **state)
{
    char good[72], bad[72];
    const char *const both[] = { bad, good };
    struct tls_client_settings pinned = {
        .fingerprints = both, .fingerprint_count = 2, .version_min = TLS_1_2
    };
    struct tls_context *s = server_that_asks(true, NULL, 0), *right, *wrong;
    struct pipe pipe;

    (void)state;
    paper_fingerprint(&server, good);
    paper_fingerprint(&stranger, bad);
    right = client_of(&pinned);
    pinned.fingerprint_count = 1;
    wrong = client_of(&pinned);
    for (int time = 0; time < 2; time++) { /* whatever it calls itself; resumed as well */
        open_pipe(&pipe, right, s, "other.example", SIZE_MAX);
        pump(&pipe);
        assert_true(tls_stream_is_up(pipe.client.stream));
        assert_true(tls_stream_facts(pipe.client.stream)->is_verified);
        assert_int_equal(tls_stream_facts(pipe.client.stream)->is_resumed, time == 1);
        close_pipe(&pipe);
    }
    open_pipe(&pipe, wrong, s, "mx.example", SIZE_MAX);
    pump(&pipe);
    assert_false(tls_stream_is_up(pipe.client.stream));
    assert_non_null(strstr(tls_stream_error(pipe.client.stream), "is not pinned here"));
    assert_non_null(strstr(tls_stream_error(pipe.client.stream), good));
    close_pipe(&pipe);
    tls_context_free(right);
    tls_context_free(wrong);
    tls_context_free(s);
}

/* --- DANE -------------------------------------------------------------------------------- */

enum kind { WHOLE, KEY };

/* The data of a record about PAPER; its digest by SHA-256, or all of it. */
static struct bytes association(
    const struct paper *paper, enum kind kind, bool is_digest, uint8_t room[2000])
{
    uint8_t der[2000], *at = der;
    int n = kind == WHOLE ? i2d_X509(paper->certificate, &at)
                          : i2d_X509_PUBKEY(X509_get_X509_PUBKEY(paper->certificate), &at);
    unsigned digest_n = 32;

    assert_true(n > 0 && (size_t)n <= sizeof der);
    if (!is_digest) {
        memcpy(room, der, (size_t)n);
        return bytes_of(room, (size_t)n);
    }
    EVP_Digest(der, (size_t)n, room, &digest_n, EVP_sha256(), NULL);
    return bytes_of(room, digest_n);
}

static void dane_goes_by_records(void **state)
{
    static const struct {
        const char *name;
        const char *host, *next_hop;
        uint8_t usage, selector, matching;
        const struct paper *about;
        bool is_up;
        const char *error;
    } cases[] = {
        { "key", "mx.example", NULL, 3, 1, 1, &server, true, NULL },
        { "key of another name", "mx.other", NULL, 3, 1, 1, &server, true, NULL },
        { "certificate", "mx.example", NULL, 3, 0, 1, &server, true, NULL },
        { "whole key", "mx.example", NULL, 3, 1, 0, &server, true, NULL },
        { "whole certificate", "mx.example", NULL, 3, 0, 0, &server, true, NULL },
        { "another key", "mx.example", NULL, 3, 1, 1, &stranger, false, "verify failed" },
        { "authority", "mx.example", NULL, 2, 0, 1, &authority, true, NULL },
        { "authority, whole", "mx.example", NULL, 2, 0, 0, &authority, true, NULL },
        { "authority, another name", "mx.other", NULL, 2, 0, 1, &authority, false,
            "ostname mismatch" },
        { "authority, the next hop's name", "mx.other", "mx.example", 2, 0, 1, &authority, true,
            NULL },
        { "another authority", "mx.example", NULL, 2, 0, 1, &stranger, false, "verify failed" },
        { "unusable", "mx.example", NULL, 1, 1, 1, &server, false, "no TLSA record is usable" },
    };
    struct tls_client_settings settings = { .uses_dane = true, .version_min = TLS_1_2 };
    struct tls_certificate_files files;
    struct tls_server_settings server_settings = {
        .certificates = &files, .certificate_count = 1, .version_min = TLS_1_2
    };
    struct tls_context *s, *c = client_of(&settings);
    char why[TLS_ERROR_BYTES];

    (void)state;
    files.certificate_file = paper_certificate_file(&server);
    files.key_file = server_key_file;
    { /* usage 2 looks for the authority in what the server sends */
        FILE *chain = fopen(files.certificate_file, "a");
        PEM_write_X509(chain, authority.certificate);
        fclose(chain);
    }
    assert_int_equal(tls_server_context(&server_settings, &s, why), OK);
    for (size_t i = 0; i < CASES(cases); i++) {
        uint8_t room[2000];
        struct tlsa records[2] = { { 3, 1, 1, BYTES("too short") },
            { cases[i].usage, cases[i].selector, cases[i].matching,
                association(cases[i].about, cases[i].selector ? KEY : WHOLE, cases[i].matching,
                    room) } };
        struct tls_dane dane = { records, 2, &cases[i].next_hop, cases[i].next_hop ? 1 : 0 };
        struct pipe pipe;
        open_pipe(&pipe, c, s, cases[i].host, SIZE_MAX);
        if (tls_stream_use_dane(pipe.client.stream, &dane) == OK)
            pump(&pipe);
        check(cases[i].name, tls_stream_is_up(pipe.client.stream) == cases[i].is_up);
        if (cases[i].is_up)
            check(cases[i].name, tls_stream_facts(pipe.client.stream)->is_verified &&
                                     !tls_stream_facts(pipe.client.stream)->is_resumed);
        else if (!strstr(tls_stream_error(pipe.client.stream), cases[i].error))
            fail_msg("%s: %s", cases[i].name, tls_stream_error(pipe.client.stream));
        close_pipe(&pipe);
    }
    tls_context_free(c);
    tls_context_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_are_known),
        cmocka_unit_test(odd_names_are_not_taken),
        cmocka_unit_test(servers_are_pinned),
        cmocka_unit_test(dane_goes_by_records),
    };

    return cmocka_run_group_tests(tests, make_papers, free_papers);
}
