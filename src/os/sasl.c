#include "os/sasl.h"

#include "base/mem.h"

#include <assert.h>
#include <gsasl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { BINDING_TEXT_BYTES = 128, WHY_BYTES = 160, ITERATIONS_MAX = 2000000 };

/* LOGIN is done here: libgsasl's prompts are not the ones that devices look for, and it takes no
 * initial response. */
enum login { LOGIN_NONE, LOGIN_BEGIN, LOGIN_NAME, LOGIN_PASSWORD };

struct sasl {
    char mechanism[GSASL_MAX_MECHANISM_SIZE + 4];
    bool is_server, offers_plus;
    enum login login;
    struct sasl_server server; /* its functions; the texts are these: */
    char *service, *host, *external;
    char *user_given, *password; /* a client's */
    char binding[BINDING_TEXT_BYTES];
    bool is_exporter;
    Gsasl_session *session;
    char user[SASL_NAME_BYTES];
    char verifier_text[SASL_VERIFIER_BYTES];
    struct sasl_verifier verifier;
    bool has_verifier, is_nobody, is_trouble;
    char why[WHY_BYTES];
};

static Gsasl *library;
static pthread_once_t library_once = PTHREAD_ONCE_INIT;

static int on_question(Gsasl *gsasl, Gsasl_session *session, Gsasl_property property);

static void start_library(void)
{
    if (gsasl_init(&library) != GSASL_OK)
        abort(); /* no memory */
    gsasl_callback_set(library, on_question);
}

void sasl_use_keytab(const char *file)
{
    if (file)
        setenv("KRB5_KTNAME", file, 1);
}

bool sasl_may_block(const char *mechanism)
{
    static const char *const blocking[] = { "PLAIN", "LOGIN", "GSSAPI" };

    for (size_t i = 0; i < sizeof blocking / sizeof *blocking; i++) {
        if (strcasecmp(mechanism, blocking[i]) == 0)
            return true;
    }
    return false;
}

/* --- Making ------------------------------------------------------------------------------ */

static char *copy(const char *text)
{
    return text ? mem_text(text) : NULL;
}

static void take_binding(struct sasl *sasl, const struct tls_binding *binding)
{
    char *text = NULL;
    size_t n;

    if (!binding || binding->n == 0)
        return;
    sasl->is_exporter = binding->is_exporter;
    if (gsasl_base64_to((const char *)binding->byte, binding->n, &text, &n) == GSASL_OK)
        snprintf(sasl->binding, sizeof sasl->binding, "%s", text);
    gsasl_free(text);
}

static struct sasl *new_sasl(const char *mechanism)
{
    struct sasl *sasl = mem_new(sizeof *sasl);

    pthread_once(&library_once, start_library);
    for (size_t i = 0; i < sizeof sasl->mechanism - 1 && mechanism[i]; i++)
        sasl->mechanism[i] = mechanism[i] >= 'a' && mechanism[i] <= 'z'
                                 ? (char)(mechanism[i] - 'a' + 'A')
                                 : mechanism[i];
    if (strcmp(sasl->mechanism, "LOGIN") == 0)
        sasl->login = LOGIN_BEGIN;
    return sasl;
}

struct sasl *sasl_server_new(const struct sasl_server *server)
{
    struct sasl *sasl = new_sasl(server->mechanism);

    sasl->is_server = true;
    sasl->server = *server;
    sasl->service = copy(server->service);
    sasl->host = copy(server->host);
    sasl->external = copy(server->external);
    sasl->offers_plus = server->offers_plus;
    take_binding(sasl, &server->binding);
    return sasl;
}

struct sasl *sasl_client_new(const char *mechanism, const char *user, const char *password,
    const struct tls_binding *binding)
{
    struct sasl *sasl = new_sasl(mechanism);

    if (sasl->login == LOGIN_NONE && !gsasl_client_support_p(library, sasl->mechanism)) {
        sasl_free(sasl);
        return NULL;
    }
    sasl->user_given = mem_text(user);
    sasl->password = mem_text(password);
    take_binding(sasl, binding);
    return sasl;
}

void sasl_free(struct sasl *sasl)
{
    if (!sasl)
        return;
    if (sasl->session)
        gsasl_finish(sasl->session);
    if (sasl->password)
        explicit_bzero(sasl->password, strlen(sasl->password));
    free(sasl->password);
    free(sasl->user_given);
    free(sasl->service);
    free(sasl->host);
    free(sasl->external);
    explicit_bzero(sasl, sizeof *sasl);
    free(sasl);
}

/* A mechanism asks for what it needs (a host's name, a binding) while its session is made, which
 * has no hook yet. */
static _Thread_local struct sasl *beginning;

/* --- What the library asks ----------------------------------------------------------------- */

static void note_user(struct sasl *sasl, const char *user)
{
    if (user != sasl->user)
        snprintf(sasl->user, sizeof sasl->user, "%s", user ? user : "");
}

static void say_why(struct sasl *sasl, const char *why)
{
    if (!sasl->why[0])
        snprintf(sasl->why, sizeof sasl->why, "%s", why);
}

/* To act as somebody else is nobody's right. */
static bool is_for_himself(struct sasl *sasl, const char *user, const char *as)
{
    if (!as || !*as || strcmp(user, as) == 0)
        return true;
    say_why(sasl, "asked to act as another user");
    return false;
}

static int of_answer(struct sasl *sasl, enum sasl_answer answer, const char *why_not)
{
    if (answer == SASL_YES)
        return GSASL_OK;
    sasl->is_trouble = answer == SASL_UNKNOWN;
    say_why(sasl, sasl->is_trouble ? "passwords cannot be checked now" : why_not);
    return GSASL_AUTHENTICATION_ERROR;
}

static int check_password(struct sasl *sasl, const char *user, const char *password)
{
    if (!user || !password || strlen(user) >= SASL_NAME_BYTES)
        return GSASL_AUTHENTICATION_ERROR;
    note_user(sasl, user);
    return of_answer(sasl, sasl->server.check_password(sasl->server.me, user, password),
        "wrong name or password");
}

static int check_simple(struct sasl *sasl, Gsasl_session *session)
{
    const char *user = gsasl_property_fast(session, GSASL_AUTHID);

    note_user(sasl, user);
    if (!user || !is_for_himself(sasl, user, gsasl_property_fast(session, GSASL_AUTHZID)))
        return GSASL_AUTHENTICATION_ERROR;
    return check_password(sasl, user, gsasl_property_fast(session, GSASL_PASSWORD));
}

static int check_name(struct sasl *sasl, const char *name)
{
    note_user(sasl, name);
    return of_answer(sasl, sasl->server.check_name(sasl->server.me, name), "not a user here");
}

/* RFC 4422, A: whom the certificate names may ask to be himself, and nobody else. */
static int check_external(struct sasl *sasl, Gsasl_session *session)
{
    const char *as = gsasl_property_fast(session, GSASL_AUTHZID);

    if (!sasl->external || !*sasl->external) {
        say_why(sasl, "no client certificate that is known here");
        return GSASL_AUTHENTICATION_ERROR;
    }
    note_user(sasl, sasl->external);
    if (as && *as && strcasecmp(as, sasl->external) != 0 &&
        !is_for_himself(sasl, sasl->external, as))
        return GSASL_AUTHENTICATION_ERROR;
    return check_name(sasl, sasl->external);
}

/* AUTHZID is what GSSAPI calls it: the client says it inside of the exchange. */
static int check_kerberos(struct sasl *sasl, Gsasl_session *session)
{
    const char *name = gsasl_property_fast(session, GSASL_GSSAPI_DISPLAY_NAME);
    const char *as = gsasl_property_fast(session, GSASL_AUTHZID);
    size_t n = name ? strcspn(name, "@") : 0;

    if (!name || strlen(name) >= SASL_NAME_BYTES)
        return GSASL_AUTHENTICATION_ERROR;
    note_user(sasl, name);
    /* Clients say "user", or "user@REALM". */
    if (as && *as && strcmp(as, name) != 0 && !(strlen(as) == n && strncmp(as, name, n) == 0)) {
        say_why(sasl, "asked to act as another user");
        return GSASL_AUTHENTICATION_ERROR;
    }
    return check_name(sasl, name);
}

/* A user that is not there gets a salt too, so that nobody learns who is. */
static void find_verifier(struct sasl *sasl, Gsasl_session *session)
{
    const char *user = gsasl_property_fast(session, GSASL_AUTHID);

    if (sasl->has_verifier)
        return;
    sasl->has_verifier = true;
    note_user(sasl, user);
    if (!user || strlen(user) >= SASL_NAME_BYTES ||
        !sasl->server.find_verifier(sasl->server.me, user, sasl->verifier_text) ||
        !sasl_verifier_cut(sasl->verifier_text, &sasl->verifier)) {
        sasl->is_nobody = true;
        sasl_verifier_of_nobody(user ? user : "", sasl->verifier_text);
        if (!sasl_verifier_cut(sasl->verifier_text, &sasl->verifier))
            abort(); /* it is our own */
    }
}

static int give_verifier(struct sasl *sasl, Gsasl_session *session, Gsasl_property property)
{
    char iterations[16];

    find_verifier(sasl, session);
    snprintf(iterations, sizeof iterations, "%u", sasl->verifier.iterations);
    gsasl_property_set(session, GSASL_SCRAM_ITER, iterations);
    gsasl_property_set(session, GSASL_SCRAM_SALT, sasl->verifier.salt);
    gsasl_property_set(session, GSASL_SCRAM_STOREDKEY, sasl->verifier.stored_key);
    gsasl_property_set(session, GSASL_SCRAM_SERVERKEY, sasl->verifier.server_key);
    (void)property;
    return GSASL_OK;
}

/* In SCRAM the client says whom he wants to be inside of the exchange ("a=", RFC 5802, 5.1), and
 * the library asks nobody about it. */
static int check_scram(struct sasl *sasl)
{
    const char *as = gsasl_property_fast(sasl->session, GSASL_AUTHZID);

    return is_for_himself(sasl, sasl->user, as) ? GSASL_OK : GSASL_AUTHENTICATION_ERROR;
}

static int give(Gsasl_session *session, Gsasl_property property, const char *text)
{
    if (!text || !*text)
        return GSASL_NO_CALLBACK;
    return gsasl_property_set(session, property, text);
}

static int give_binding(struct sasl *sasl, Gsasl_session *session, Gsasl_property property)
{
    bool is_asked = (property == GSASL_CB_TLS_EXPORTER) == sasl->is_exporter;
    size_t n = strlen(sasl->mechanism);
    bool is_plus = n > 5 && strcmp(sasl->mechanism + n - 5, "-PLUS") == 0;

    /* A server that has it to give, and does not offer it, would call every client deceived; the
     * library's client without -PLUS does not go on when there is one. */
    if (!is_asked || !(is_plus || (sasl->is_server && sasl->offers_plus)))
        return GSASL_NO_CALLBACK;
    return give(session, property, sasl->binding);
}

static int on_server_question(
    struct sasl *sasl, Gsasl_session *session, Gsasl_property property)
{
    switch (property) {
    case GSASL_VALIDATE_SIMPLE:
        return check_simple(sasl, session);
    case GSASL_VALIDATE_EXTERNAL:
        return check_external(sasl, session);
    case GSASL_VALIDATE_GSSAPI:
        return check_kerberos(sasl, session);
    case GSASL_SCRAM_ITER:
    case GSASL_SCRAM_SALT:
    case GSASL_SCRAM_STOREDKEY:
    case GSASL_SCRAM_SERVERKEY:
        return give_verifier(sasl, session, property);
    case GSASL_SERVICE:
        return give(session, property, sasl->service);
    case GSASL_HOSTNAME:
        return give(session, property, sasl->host);
    case GSASL_CB_TLS_UNIQUE:
    case GSASL_CB_TLS_EXPORTER:
        return give_binding(sasl, session, property);
    default:
        return GSASL_NO_CALLBACK;
    }
}

static int on_client_question(
    struct sasl *sasl, Gsasl_session *session, Gsasl_property property)
{
    switch (property) {
    case GSASL_AUTHID:
        return give(session, property, sasl->user_given);
    case GSASL_PASSWORD:
        return gsasl_property_set(session, property, sasl->password);
    case GSASL_CB_TLS_UNIQUE:
    case GSASL_CB_TLS_EXPORTER:
        return give_binding(sasl, session, property);
    default:
        return GSASL_NO_CALLBACK;
    }
}

static int on_question(Gsasl *gsasl, Gsasl_session *session, Gsasl_property property)
{
    struct sasl *sasl = gsasl_session_hook_get(session);

    (void)gsasl;
    if (!sasl)
        sasl = beginning;
    if (!sasl)
        return GSASL_NO_CALLBACK;
    return sasl->is_server ? on_server_question(sasl, session, property)
                           : on_client_question(sasl, session, property);
}

/* --- LOGIN ------------------------------------------------------------------------------- */

/* The name and the password come alone, without a zero byte in them. */
static bool take_text(struct bytes in, char *out, size_t room)
{
    if (in.n >= room || bytes_find(in, '\0') != BYTES_NOT_FOUND)
        return false;
    memcpy(out, in.n ? (const char *)in.at : "", in.n);
    out[in.n] = '\0';
    return true;
}

static enum sasl_result ask(
    struct sasl *sasl, enum login next, const char *prompt, struct buf *out)
{
    enum err err = buf_add_text(out, prompt);

    assert(err == OK);
    sasl->login = next;
    return SASL_MORE;
}

static enum sasl_result refuse(struct sasl *sasl, const char *why)
{
    say_why(sasl, why);
    return sasl->is_trouble ? SASL_TROUBLE : SASL_REFUSED;
}

static enum sasl_result login_server(
    struct sasl *sasl, bool has_in, struct bytes in, struct buf *out)
{
    char password[1024];
    int result;

    if (sasl->login == LOGIN_BEGIN && !has_in)
        return ask(sasl, LOGIN_NAME, "Username:", out);
    if (sasl->login != LOGIN_PASSWORD) {
        if (in.n == 0 || !take_text(in, sasl->user, sizeof sasl->user))
            return refuse(sasl, "no name that could be one");
        return ask(sasl, LOGIN_PASSWORD, "Password:", out);
    }
    if (!take_text(in, password, sizeof password))
        return refuse(sasl, "no password that could be one");
    result = check_password(sasl, sasl->user, password);
    explicit_bzero(password, sizeof password);
    return result == GSASL_OK ? SASL_DONE : refuse(sasl, "wrong name or password");
}

static enum sasl_result login_client(struct sasl *sasl, bool has_in, struct buf *out)
{
    if (!has_in)
        return SASL_MORE; /* the server begins */
    if (sasl->login == LOGIN_BEGIN)
        return ask(sasl, LOGIN_PASSWORD, sasl->user_given, out);
    ask(sasl, LOGIN_NAME, sasl->password, out);
    return SASL_DONE;
}

/* --- Steps ------------------------------------------------------------------------------- */

static int begin(struct sasl *sasl)
{
    int result;

    beginning = sasl;
    result = sasl->is_server ? gsasl_server_start(library, sasl->mechanism, &sasl->session)
                             : gsasl_client_start(library, sasl->mechanism, &sasl->session);
    beginning = NULL;
    if (result == GSASL_OK)
        gsasl_session_hook_set(sasl->session, sasl);
    return result;
}

/* A server may ask a client for years of work (RFC 5802, 9). */
static bool asks_too_much(const struct sasl *sasl, struct bytes in)
{
    struct bytes rest = in;
    uint64_t iterations = 0;

    if (sasl->is_server || strncmp(sasl->mechanism, "SCRAM-", 6) != 0)
        return false;
    while (rest.n) {
        size_t end = bytes_find(rest, ',');
        struct bytes part = bytes_first(rest, end);
        if (bytes_starts(part, BYTES("i=")) &&
            !bytes_to_number(bytes_skip(part, 2), ITERATIONS_MAX, &iterations))
            return true;
        rest = bytes_skip(rest, end == BYTES_NOT_FOUND ? rest.n : end + 1);
    }
    return false;
}

static bool is_trouble(const struct sasl *sasl, int result)
{
    return sasl->is_trouble || result == GSASL_MALLOC_ERROR || result == GSASL_CRYPTO_ERROR ||
           result == GSASL_NO_SERVICE || result == GSASL_NO_HOSTNAME ||
           result == GSASL_GSSAPI_ACQUIRE_CRED_ERROR ||
           result == GSASL_GSSAPI_IMPORT_NAME_ERROR || result == GSASL_UNKNOWN_MECHANISM;
}

static enum sasl_result result_of(struct sasl *sasl, int result)
{
    if (result == GSASL_NEEDS_MORE)
        return SASL_MORE;
    if (result == GSASL_OK && !sasl->is_nobody)
        return SASL_DONE;
    if (!sasl->is_server && !sasl->why[0] && result == GSASL_AUTHENTICATION_ERROR)
        say_why(sasl, "the server could not prove that it knows the password");
    if (sasl->is_server && result == GSASL_AUTHENTICATION_ERROR)
        say_why(sasl, "wrong name or password");
    say_why(sasl, gsasl_strerror(result));
    return is_trouble(sasl, result) ? SASL_TROUBLE : SASL_REFUSED;
}

static enum sasl_result step(struct sasl *sasl, bool has_in, struct bytes in, struct buf *out)
{
    char *said = NULL;
    size_t n = 0;
    int result = sasl->session ? GSASL_OK : begin(sasl);

    if (result != GSASL_OK)
        return result_of(sasl, result);
    /* EXTERNAL knows "nothing was said" from "nothing" by the pointer alone. */
    result = gsasl_step(sasl->session, has_in ? (in.n ? (const char *)in.at : "") : NULL,
        has_in ? in.n : 0, &said, &n);
    if (result == GSASL_OK && sasl->has_verifier)
        result = check_scram(sasl);
    if ((result == GSASL_OK || result == GSASL_NEEDS_MORE) && n &&
        buf_add(out, bytes_of(said, n)) != OK)
        result = GSASL_MECHANISM_PARSE_ERROR;
    if (said)
        explicit_bzero(said, n);
    gsasl_free(said);
    return result_of(sasl, result);
}

enum sasl_result sasl_step(struct sasl *sasl, bool has_in, struct bytes in, struct buf *out)
{
    buf_clear(out);
    if (sasl->login && sasl->is_server)
        return login_server(sasl, has_in, in, out);
    if (sasl->login)
        return login_client(sasl, has_in, out);
    if (asks_too_much(sasl, in))
        return refuse(sasl, "the server asks for too many iterations");
    return step(sasl, has_in, in, out);
}

const char *sasl_user(const struct sasl *sasl)
{
    return sasl->user;
}

const char *sasl_why(const struct sasl *sasl)
{
    return sasl->why;
}
