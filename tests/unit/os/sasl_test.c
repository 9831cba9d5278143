/* Mechanisms, both sides against each other, and the vectors of RFC 7677. */
#include "kit.h"

#include "os/password.h"
#include "os/sasl.h"

#include <gsasl.h>
#include <stdio.h>
#include <stdlib.h>

static struct {
    char verifier[SASL_VERIFIER_BYTES];
    enum sasl_answer trouble; /* SASL_UNKNOWN: nobody can say */
    const char *name;         /* GSSAPI, EXTERNAL */
} house;

static enum sasl_answer check_password(void *me, const char *user, const char *password)
{
    (void)me;
    if (house.trouble == SASL_UNKNOWN)
        return SASL_UNKNOWN;
    return strcmp(user, "user") == 0 && strcmp(password, "pencil") == 0 ? SASL_YES : SASL_NO;
}

static bool find_verifier(void *me, const char *user, char out[SASL_VERIFIER_BYTES])
{
    (void)me;
    snprintf(out, SASL_VERIFIER_BYTES, "%s", house.verifier);
    return strcmp(user, "user") == 0;
}

static enum sasl_answer check_name(void *me, const char *name)
{
    (void)me;
    return strcmp(name, house.name) == 0 ? SASL_YES : SASL_NO;
}

static struct sasl *server(const char *mechanism, const struct tls_binding *binding)
{
    return sasl_server_new(&(struct sasl_server){ .mechanism = mechanism,
        .service = "smtp",
        .host = "relay.test",
        .external = house.name,
        .binding = binding ? *binding : (struct tls_binding){ 0 },
        .offers_plus = binding != NULL,
        .check_password = check_password,
        .find_verifier = find_verifier,
        .check_name = check_name });
}

/* The RFC's example: the verifier of "pencil" with its salt. */
static void test_rfc_7677(void **state)
{
    static const uint8_t salt[] = { 0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12, 0x35, 0x8e, 0xec, 0xa0,
        0x4b, 0x14, 0x12, 0x36, 0xfa, 0x81 };
    char out[SASL_VERIFIER_BYTES];

    (void)state;
    check("made", sasl_verifier_make_with("pencil", 4096, bytes_of(salt, 16), out) == OK);
    assert_string_equal(out, "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
                             "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
                             "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=");
}

static void test_verifiers(void **state)
{
    char text[SASL_VERIFIER_BYTES], again[SASL_VERIFIER_BYTES];

    (void)state;
    check("made", sasl_verifier_make("secret", text) == OK && sasl_verifier_is_good(text));
    for (size_t n = 0; n < strlen(text); n++) {
        char *cut = bytes_to_text(bytes_of(text, n));
        check("cut", !sasl_verifier_is_good(cut));
        free(cut);
    }
    check("control bytes", sasl_verifier_make("a\x01", again) == ERR_SYNTAX);
    check("no UTF-8", sasl_verifier_make("\xff", again) == ERR_SYNTAX);
    sasl_verifier_of_nobody("x", text);
    sasl_verifier_of_nobody("x", again);
    check("nobody's is good", sasl_verifier_is_good(text));
    check("the same salt", strncmp(text, again, 40) == 0);
    sasl_verifier_of_nobody("y", again);
    check("another salt", strncmp(text, again, 40) != 0);
}

/* Talks until one of the two is done; the server's last word. */
static enum sasl_result talk(
    struct sasl *client, struct sasl *with, enum sasl_result *client_end)
{
    enum sasl_result said = SASL_MORE, heard;
    struct buf from_client, from_server;

    buf_init(&from_client, SASL_OUT_BYTES_MAX);
    buf_init(&from_server, SASL_OUT_BYTES_MAX);
    heard = sasl_step(client, false, BYTES_NONE, &from_client);
    for (int i = 0; i < 8 && said == SASL_MORE && heard != SASL_REFUSED; i++) {
        bool has_in = i > 0 || from_client.n > 0;
        said = sasl_step(with, has_in, buf_bytes(&from_client), &from_server);
        if (said == SASL_MORE || (said == SASL_DONE && from_server.n))
            heard = sasl_step(client, true, buf_bytes(&from_server), &from_client);
    }
    *client_end = heard;
    buf_done(&from_client);
    buf_done(&from_server);
    return said;
}

static const struct tls_binding exporter = { true, 32, "0123456789abcdef0123456789abcdef" };
static const struct tls_binding other = { true, 32, "0123456789abcdef0123456789abcdeX" };
static const struct tls_binding unique = { false, 12, "0123456789ab" };

static const struct {
    const char *name, *mechanism, *user, *password;
    const struct tls_binding *ours, *theirs;
    enum sasl_result want;
} dialogues[] = {
    { "plain", "PLAIN", "user", "pencil", NULL, NULL, SASL_DONE },
    { "plain, wrong", "PLAIN", "user", "pencils", NULL, NULL, SASL_REFUSED },
    { "plain, empty", "PLAIN", "user", "", NULL, NULL, SASL_REFUSED },
    { "plain, nobody", "PLAIN", "usher", "pencil", NULL, NULL, SASL_REFUSED },
    { "login", "LOGIN", "user", "pencil", NULL, NULL, SASL_DONE },
    { "login, wrong", "LOGIN", "user", "pen", NULL, NULL, SASL_REFUSED },
    { "small letters", "plain", "user", "pencil", NULL, NULL, SASL_DONE },
    { "scram", "SCRAM-SHA-256", "user", "pencil", NULL, NULL, SASL_DONE },
    { "scram, wrong", "SCRAM-SHA-256", "user", "pen", NULL, NULL, SASL_REFUSED },
    { "scram, nobody", "SCRAM-SHA-256", "usher", "pencil", NULL, NULL, SASL_REFUSED },
    { "plus, exporter", "SCRAM-SHA-256-PLUS", "user", "pencil", &exporter, &exporter,
        SASL_DONE },
    { "plus, unique", "SCRAM-SHA-256-PLUS", "user", "pencil", &unique, &unique, SASL_DONE },
    { "plus, somebody between", "SCRAM-SHA-256-PLUS", "user", "pencil", &exporter, &other,
        SASL_REFUSED },
    { "plus, wrong", "SCRAM-SHA-256-PLUS", "user", "pen", &exporter, &exporter, SASL_REFUSED },
    { "without binding", "SCRAM-SHA-256", "user", "pencil", &exporter, NULL, SASL_DONE },
    { "binding not offered", "SCRAM-SHA-256", "user", "pencil", NULL, &exporter, SASL_DONE },
};

static void test_dialogues(void **state)
{
    static const uint8_t salt[16] = "0123456789abcdef";

    (void)state;
    check("verifier",
        sasl_verifier_make_with("pencil", 4096, bytes_of(salt, 16), house.verifier) == OK);
    for (size_t i = 0; i < CASES(dialogues); i++) {
        struct sasl *client = sasl_client_new(dialogues[i].mechanism, dialogues[i].user,
            dialogues[i].password, dialogues[i].theirs);
        struct sasl *with = server(dialogues[i].mechanism, dialogues[i].ours);
        enum sasl_result client_end;
        enum sasl_result got = talk(client, with, &client_end);

        if (got != dialogues[i].want)
            fail_msg(
                "%s: got %d: %s; %s", dialogues[i].name, got, sasl_why(with), sasl_why(client));
        if (got == SASL_DONE)
            check(dialogues[i].name,
                client_end == SASL_DONE && strcmp(sasl_user(with), "user") == 0);
        else
            check(dialogues[i].name, sasl_why(with)[0] && !strstr(sasl_why(with), "pen"));
        sasl_free(client);
        sasl_free(with);
    }
}

/* To act as another user is nobody's right, by whatever mechanism. */
static const struct {
    const char *name, *mechanism, *as;
    enum sasl_result want;
} wishes[] = {
    { "plain, nobody else", "PLAIN", "", SASL_DONE },
    { "plain, himself", "PLAIN", "user", SASL_DONE },
    { "plain, another", "PLAIN", "admin", SASL_REFUSED },
    { "scram, nobody else", "SCRAM-SHA-256", "", SASL_DONE },
    { "scram, himself", "SCRAM-SHA-256", "user", SASL_DONE },
    { "scram, another", "SCRAM-SHA-256", "admin", SASL_REFUSED },
    { "scram, longer", "SCRAM-SHA-256", "users", SASL_REFUSED },
    { "plus, himself", "SCRAM-SHA-256-PLUS", "user", SASL_DONE },
    { "plus, another", "SCRAM-SHA-256-PLUS", "a,b=c", SASL_REFUSED },
};

/* Talks to WITH as a client of the library, which can say what ours never does. */
static enum sasl_result talk_as(Gsasl *library, size_t at, struct sasl *with, struct buf *out)
{
    enum sasl_result said = SASL_MORE;
    Gsasl_session *client;
    char *text = NULL;

    check("client", gsasl_client_start(library, wishes[at].mechanism, &client) == GSASL_OK);
    gsasl_property_set(client, GSASL_AUTHID, "user");
    gsasl_property_set(client, GSASL_PASSWORD, "pencil");
    if (wishes[at].as[0])
        gsasl_property_set(client, GSASL_AUTHZID, wishes[at].as);
    for (int i = 0; i < 4 && said == SASL_MORE; i++) {
        char *in = bytes_to_text(buf_bytes(out));
        size_t n = 0;
        int result = gsasl_step(client, in, out->n, &text, &n);
        check(wishes[at].name, result == GSASL_OK || result == GSASL_NEEDS_MORE);
        said = sasl_step(with, true, bytes_of(text, n), out);
        gsasl_free(text);
        free(in);
    }
    gsasl_finish(client);
    return said;
}

static int give_binding(Gsasl *library, Gsasl_session *client, Gsasl_property property)
{
    char *text = NULL;
    size_t n;
    int result;

    (void)library;
    if (property != GSASL_CB_TLS_EXPORTER)
        return GSASL_NO_CALLBACK;
    if (gsasl_base64_to((const char *)exporter.byte, exporter.n, &text, &n) != GSASL_OK)
        abort();
    result = gsasl_property_set(client, property, text);
    gsasl_free(text);
    return result;
}

static void test_acting_as_another(void **state)
{
    static const uint8_t salt[16] = "0123456789abcdef";
    Gsasl *library;

    (void)state;
    check("library", gsasl_init(&library) == GSASL_OK);
    check("verifier",
        sasl_verifier_make_with("pencil", 4096, bytes_of(salt, 16), house.verifier) == OK);
    for (size_t i = 0; i < CASES(wishes); i++) {
        bool is_plus = strstr(wishes[i].mechanism, "-PLUS") != NULL;
        struct sasl *with = server(wishes[i].mechanism, is_plus ? &exporter : NULL);
        struct buf out;
        buf_init(&out, SASL_OUT_BYTES_MAX);
        gsasl_callback_set(library, is_plus ? give_binding : NULL);
        check(wishes[i].name, talk_as(library, i, with, &out) == wishes[i].want);
        check(wishes[i].name, strcmp(sasl_user(with), "user") == 0);
        if (wishes[i].want == SASL_REFUSED) {
            assert_string_equal(sasl_why(with), "asked to act as another user");
            check("nothing is proved to him", out.n == 0);
        }
        buf_done(&out);
        sasl_free(with);
    }
    gsasl_done(library);
}

/* A client that could bind, and was told that we cannot: somebody stands between. */
static void test_deceived(void **state)
{
    struct sasl *with = server("SCRAM-SHA-256", &exporter);
    struct buf out;

    (void)state;
    buf_init(&out, SASL_OUT_BYTES_MAX);
    check("deceived", sasl_step(with, true, BYTES("y,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"),
                          &out) == SASL_REFUSED);
    sasl_free(with);
    with = server("SCRAM-SHA-256", NULL);
    check("not deceived", sasl_step(with, true, BYTES("y,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"),
                              &out) == SASL_MORE);
    sasl_free(with);
    buf_done(&out);
}

static void test_trouble(void **state)
{
    struct sasl *client = sasl_client_new("PLAIN", "user", "pencil", NULL);
    struct sasl *with = server("PLAIN", NULL);
    enum sasl_result client_end;

    (void)state;
    house.trouble = SASL_UNKNOWN;
    check("trouble", talk(client, with, &client_end) == SASL_TROUBLE);
    house.trouble = SASL_YES;
    sasl_free(client);
    sasl_free(with);
}

static const struct {
    const char *name, *certificate;
    bool has_in;
    const char *in;
    enum sasl_result want;
} externals[] = {
    { "nothing yet", "printer", false, "", SASL_MORE },
    { "himself", "printer", true, "", SASL_DONE },
    { "by name", "printer", true, "printer", SASL_DONE },
    { "another", "printer", true, "admin", SASL_REFUSED },
    { "no certificate", NULL, true, "", SASL_REFUSED },
};

static void test_external(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, SASL_OUT_BYTES_MAX);
    for (size_t i = 0; i < CASES(externals); i++) {
        struct sasl *with;
        house.name = externals[i].certificate;
        with = server("EXTERNAL", NULL);
        check(externals[i].name, sasl_step(with, externals[i].has_in,
                                     bytes_text(externals[i].in), &out) == externals[i].want);
        sasl_free(with);
    }
    buf_done(&out);
}

/* Whatever comes, at every length: an answer, and no more than that. */
static void test_garbage(void **state)
{
    static const char *const mechanisms[] = { "PLAIN", "LOGIN", "SCRAM-SHA-256",
        "SCRAM-SHA-256-PLUS", "EXTERNAL", "NTLM", "" };
    static const char garbage[] = "\0user\0pencil\0n,,n=user,r=x\0p=tls-exporter,,n=,r=\xff";
    struct buf out;

    (void)state;
    house.name = "printer";
    buf_init(&out, SASL_OUT_BYTES_MAX);
    for (size_t i = 0; i < CASES(mechanisms); i++) {
        for (size_t n = 0; n < sizeof garbage; n++) {
            struct sasl *with = server(mechanisms[i], &exporter);
            enum sasl_result result = SASL_MORE;
            char *copy = bytes_to_text(bytes_of(garbage, n));
            for (int step = 0; step < 4 && result == SASL_MORE; step++)
                result = sasl_step(with, true, bytes_of(copy, n), &out);
            free(copy);
            sasl_free(with);
        }
    }
    buf_done(&out);
}

static void test_asked_too_much(void **state)
{
    struct sasl *client = sasl_client_new("SCRAM-SHA-256", "user", "pencil", NULL);
    struct buf out;

    (void)state;
    buf_init(&out, SASL_OUT_BYTES_MAX);
    check("begun", sasl_step(client, false, BYTES_NONE, &out) == SASL_MORE && out.n);
    check("too much",
        sasl_step(client, true, BYTES("r=x,s=AAAA,i=2000000000"), &out) == SASL_REFUSED);
    sasl_free(client);
    check("unknown", !sasl_client_new("NO-SUCH", "user", "pencil", NULL));
    buf_done(&out);
}

static void test_hashes(void **state)
{
    char hash[PASSWORD_HASH_BYTES];

    (void)state;
    check("made", password_hash("pencil", hash) == OK && strncmp(hash, "$y$", 3) == 0);
    check("good", password_hash_is_good(hash));
    check("right", password_is_right("pencil", hash));
    check("wrong", !password_is_right("pencils", hash));
    check("nobody", !password_is_right("nobody", NULL));
    check("bcrypt", password_is_right(
                        "U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"));
    check("weak", !password_hash_is_good("aaQSqAReePlq6"));
    check("none", !password_hash_is_good("") && !password_hash_is_good("*"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc_7677),
        cmocka_unit_test(test_verifiers),
        cmocka_unit_test(test_dialogues),
        cmocka_unit_test(test_acting_as_another),
        cmocka_unit_test(test_deceived),
        cmocka_unit_test(test_trouble),
        cmocka_unit_test(test_external),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_asked_too_much),
        cmocka_unit_test(test_hashes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
