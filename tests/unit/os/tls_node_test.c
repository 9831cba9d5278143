/* Keys of nodes: files, pins, and who gets through a handshake. */
#include "tls_kit.h"

#include "base/mem.h"
#include "os/file.h"
#include "os/tls_inside.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum who { A, B, STRANGER, WHO_COUNT };

static char folder[64], certificate_files[WHO_COUNT][96], key_files[WHO_COUNT][96];
static struct tls_pin pins[WHO_COUNT];

static int make_keys(void **state)
{
    char why[TLS_ERROR_BYTES] = "";

    (void)state;
    snprintf(folder, sizeof folder, "/tmp/relais-tls-node-test-%d", (int)getpid());
    assert_int_equal(folder_make(folder, 0700), OK);
    for (int i = 0; i < WHO_COUNT; i++) {
        snprintf(certificate_files[i], 96, "%s/%d.pem", folder, i);
        snprintf(key_files[i], 96, "%s/%d.key", folder, i);
        if (tls_node_key_make("node.example", certificate_files[i], key_files[i], why) != OK ||
            tls_pin_of_file(certificate_files[i], &pins[i], why) != OK)
            fail_msg("%s", why);
    }
    return 0;
}

static int remove_keys(void **state)
{
    (void)state;
    for (int i = 0; i < WHO_COUNT; i++) {
        assert_int_equal(file_remove(certificate_files[i]), OK);
        assert_int_equal(file_remove(key_files[i]), OK);
    }
    return rmdir(folder);
}

static struct tls_context *node(enum who who, const struct tls_pin *others, size_t count)
{
    struct tls_context *context;
    char why[TLS_ERROR_BYTES] = "";

    if (tls_node_context(
            certificate_files[who], key_files[who], others, count, &context, why) != OK)
        fail_msg("%s", why);
    return context;
}

/* --- Pins and files ---------------------------------------------------------------------- */

static void test_pin_text(void **state)
{
    static const struct {
        const char *name, *text;
        bool is_pin;
    } cases[] = {
        { "a pin", "sha256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", true },
        { "capitals", "SHA256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", true },
        { "no prefix", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", false },
        { "another hash", "sha512:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", false },
        { "no padding", "sha256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", false },
        { "too short", "sha256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==", false },
        { "too long", "sha256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=AAAA", false },
        { "more behind", "sha256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8= ", false },
        { "bits behind the end", "sha256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=", false },
        { "a foreign byte", "sha256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBka-xwdHh8=", false },
        { "nothing", "", false },
    };
    char text[TLS_PIN_TEXT_BYTES];

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct tls_pin pin = { { 7 } };
        check(cases[i].name, tls_pin_parse(bytes_text(cases[i].text), &pin) == cases[i].is_pin);
        if (cases[i].is_pin) {
            for (int k = 0; k < TLS_PIN_BYTES; k++)
                check(cases[i].name, pin.byte[k] == k);
            tls_pin_format(pin, text);
            check_bytes(cases[i].name, bytes_text(text), bytes_text(cases[0].text));
        } else {
            check(cases[i].name, pin.byte[0] == 7); /* untouched */
        }
        for (size_t n = 0; n < strlen(cases[i].text); n++) {
            if (strcmp(cases[i].name, "too long") && strcmp(cases[i].name, "more behind"))
                check(cases[i].name,
                    !tls_pin_parse(bytes_first(bytes_text(cases[i].text), n), &pin));
        }
    }
}

static void test_files(void **state)
{
    char why[TLS_ERROR_BYTES] = "", missing[128];
    struct tls_pin pin = { { 0 } }, same;
    struct tls_context *context = NULL;
    struct stat about;

    (void)state;
    assert_int_equal(stat(key_files[A], &about), 0);
    assert_int_equal(about.st_mode & 07777, 0600);
    assert_memory_not_equal(&pins[A], &pins[B], sizeof pin);
    assert_int_equal(tls_pin_of_file(certificate_files[A], &same, why), OK);
    assert_memory_equal(&pins[A], &same, sizeof same);

    snprintf(missing, sizeof missing, "%s/missing.pem", folder);
    assert_int_equal(tls_pin_of_file(missing, &pin, why), ERR_NONE);
    assert_non_null(strstr(why, missing));
    assert_int_equal(tls_pin_of_file(key_files[A], &pin, why), ERR_TLS);
    assert_int_equal(tls_node_context(missing, key_files[A], pins, 1, &context, why), ERR_NONE);
    assert_int_equal(
        tls_node_context(certificate_files[A], key_files[B], pins, 1, &context, why), ERR_TLS);
    assert_null(context);

    assert_int_equal(
        tls_node_key_make("n.example", certificate_files[A], key_files[A], why), ERR_EXISTS);
    assert_non_null(strstr(why, key_files[A]));
    /* The certificate is there: the key that was made for it is taken away again. */
    assert_int_equal(
        tls_node_key_make("n.example", certificate_files[A], missing, why), ERR_EXISTS);
    assert_int_not_equal(access(missing, F_OK), 0);
    assert_int_equal(tls_pin_of_file(certificate_files[A], &same, why), OK);
    assert_memory_equal(&pins[A], &same, sizeof same);
    assert_int_equal(
        tls_node_key_make("n.example", "/nonexistent/x.pem", "/nonexistent/x.key", why),
        ERR_NONE);
}

/* --- Handshakes -------------------------------------------------------------------------- */

static void test_right_pins(void **state)
{
    static const size_t steps[] = { 1, 7, 100, SIZE_MAX };
    struct tls_context *a = node(A, &pins[B], 1),
                       *b = node(B, (struct tls_pin[]){ pins[STRANGER], pins[A] }, 2);

    (void)state;
    for (size_t i = 0; i < 2 * CASES(steps); i++) { /* either may be the client */
        const struct tls_facts *c, *s;
        struct pipe pipe;
        open_pipe(&pipe, i % 2 ? a : b, i % 2 ? b : a, "192.0.2.1", steps[i / 2]);
        pump(&pipe);
        assert_true(tls_stream_is_up(pipe.client.stream));
        assert_true(tls_stream_is_up(pipe.server.stream));
        write_side(&pipe.client, BYTES("EHLO me\r\n"));
        write_side(&pipe.server, BYTES("250 you\r\n"));
        pump(&pipe);
        check_bytes("to server", buf_bytes(&pipe.server.plain), BYTES("EHLO me\r\n"));
        check_bytes("to client", buf_bytes(&pipe.client.plain), BYTES("250 you\r\n"));
        c = tls_stream_facts(pipe.client.stream);
        s = tls_stream_facts(pipe.server.stream);
        assert_string_equal(c->version, "TLSv1.3");
        assert_true(c->is_verified && s->is_verified && c->has_pin && s->has_pin);
        assert_memory_equal(&c->pin, &pins[i % 2 ? B : A], sizeof c->pin);
        assert_memory_equal(&s->pin, &pins[i % 2 ? A : B], sizeof s->pin);
        assert_false(c->is_resumed || s->is_resumed); /* the next one neither */
        close_pipe(&pipe);
    }
    tls_context_free(a);
    tls_context_free(b);
}

/* Somebody who speaks TLS, but is no node. */
static struct tls_context *other_client(bool has_certificate, int version_max)
{
    struct tls_client_settings settings = {
        .certificate_file = has_certificate ? certificate_files[A] : NULL,
        .key_file = has_certificate ? key_files[A] : NULL,
        .version_min = TLS_1_2,
    };
    struct tls_context *context;
    char why[TLS_ERROR_BYTES];

    assert_int_equal(tls_client_context(&settings, &context, why), OK);
    SSL_CTX_set_max_proto_version(context->ssl, version_max);
    return context;
}

static struct tls_context *other_server(int version_max)
{
    struct tls_certificate_files files = { certificate_files[B], key_files[B] };
    struct tls_server_settings settings = {
        .certificates = &files, .certificate_count = 1, .version_min = TLS_1_2
    };
    struct tls_context *context;
    char why[TLS_ERROR_BYTES];

    assert_int_equal(tls_server_context(&settings, &context, why), OK);
    SSL_CTX_set_max_proto_version(context->ssl, version_max);
    return context;
}

/* Neither side may see a byte of the other's; who was cheated says why.  Both are taken. */
static void refuses(const char *name, struct tls_context *client, struct tls_context *server,
    bool by_server, const char *why)
{
    struct pipe pipe;
    struct side *wary;

    open_pipe(&pipe, client, server, "192.0.2.1", SIZE_MAX);
    wary = by_server ? &pipe.server : &pipe.client;
    pump(&pipe);
    if (by_server && tls_stream_is_up(pipe.client.stream) && pipe.client.err == OK)
        write_side(&pipe.client, BYTES("EHLO me\r\n")); /* TLS 1.3: it was done first */
    pump(&pipe);
    check(name, !tls_stream_is_up(wary->stream));
    check(name, wary->err == ERR_TLS);
    if (!strstr(tls_stream_error(wary->stream), why))
        fail_msg("%s: %s", name, tls_stream_error(wary->stream));
    check(name, pipe.client.err == ERR_TLS && pipe.server.err == ERR_TLS);
    check(name, pipe.client.plain.n == 0 && pipe.server.plain.n == 0);
    close_pipe(&pipe);
    tls_context_free(client);
    tls_context_free(server);
}

static void test_strangers(void **state)
{
    static const char foreign[] = "is not pinned here";
    char stranger[TLS_PIN_TEXT_BYTES];

    (void)state;
    tls_pin_format(pins[STRANGER], stranger);
    refuses("wrong client", node(STRANGER, &pins[B], 1), node(B, &pins[A], 1), true, stranger);
    refuses("wrong server", node(A, &pins[B], 1), node(STRANGER, &pins[A], 1), false, stranger);
    refuses("both wrong", node(A, &pins[B], 1), node(B, &pins[STRANGER], 1), true, foreign);
    refuses("no pins", node(A, &pins[B], 1), node(B, NULL, 0), true, foreign);
    refuses("itself", node(A, &pins[B], 1), node(A, &pins[B], 1), false, foreign);
    refuses("no certificate", other_client(false, TLS1_3_VERSION), node(B, &pins[A], 1), true,
        "peer did not return a certificate");
    refuses("TLS 1.2 client", other_client(true, TLS1_2_VERSION), node(B, &pins[A], 1), true,
        "unsupported protocol");
    refuses("TLS 1.2 server", node(A, &pins[B], 1), other_server(TLS1_2_VERSION), false,
        "alert protocol version");
}

/* A client that would resume is never given a ticket. */
static void test_no_tickets(void **state)
{
    struct tls_context *c = other_client(true, TLS1_3_VERSION), *s = node(B, &pins[A], 1);

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct pipe pipe;
        open_pipe(&pipe, c, s, "node.example", SIZE_MAX);
        pump(&pipe);
        assert_true(tls_stream_is_up(pipe.client.stream));
        assert_true(tls_stream_is_up(pipe.server.stream));
        assert_false(tls_stream_facts(pipe.server.stream)->is_resumed);
        close_pipe(&pipe);
    }
    tls_context_free(c);
    tls_context_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pin_text),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_right_pins),
        cmocka_unit_test(test_strangers),
        cmocka_unit_test(test_no_tickets),
    };

    return cmocka_run_group_tests(tests, make_keys, remove_keys);
}
