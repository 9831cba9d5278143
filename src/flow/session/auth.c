/* AUTH: one exchange of a session, by the mechanism that the client chose (RFC 4954).
 *
 * A step that may block is done by a worker, and the engine waits meanwhile.  The exchange then
 * outlives a session that goes away: it holds the setup, and knows its session no more. */
#include "flow/session/internal.h"

#include "answer/answer.h"

#include "base/mem.h"
#include "os/pam.h"
#include "os/password.h"
#include "os/sasl.h"
#include "os/workers.h"
#include "policy/login.h"
#include "report/logins.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { MECHANISM_BYTES = 32 };

struct login {
    struct worker_job job;
    struct session *session; /* NULL: it is gone */
    struct setup *setup;     /* held */
    struct sasl *sasl;
    char mechanism[MECHANISM_BYTES];
    char from[IP_TEXT_BYTES]; /* the client's address, for PAM */
    struct buf in, out;
    bool has_in, is_running;
    atomic_bool is_given_up; /* while it runs: nobody waits for the answer any more */
    bool is_all_said;        /* the client has only to take note of our last word */
    enum sasl_result result;
};

/* --- What is offered --------------------------------------------------------------------- */

static const char *host_of(const struct session *session)
{
    const char *service = session->setup->settings->kerberos_service;
    const char *at = service ? strchr(service, '@') : NULL;

    if (at)
        return at + 1;
    return session->connector->fqdn ? session->connector->fqdn : session->setup->settings->fqdn;
}

/* What can be logged in with over this connection. */
static struct login_means means_of(const struct session *session)
{
    struct login_means means = { 0 };
    const struct tls_facts *tls = session->conn ? conn_tls(session->conn) : NULL;
    struct tls_binding binding;

    if (session->connector->mechanisms == 0)
        return means;
    if (tls) {
        conn_tls_binding(session->conn, &binding);
        means.has_binding = binding.n > 0;
        means.has_certificate = session->client.is_partner && tls->peer_name[0];
    }
    return means;
}

void auth_configure(struct session *session)
{
    struct login_means means = means_of(session);

    answer_offer_auth(&session->config, session->connector, &means, session->mechanisms);
}

/* --- Who is known: on a worker's thread, maybe ------------------------------------------------ */

static enum sasl_answer answer_of(enum pam_result result)
{
    switch (result) {
    case PAM_IS_RIGHT:
        return SASL_YES;
    case PAM_IS_WRONG:
        return SASL_NO;
    case PAM_IS_TROUBLE:
        break;
    }
    return SASL_UNKNOWN;
}

static enum sasl_answer check_password(void *me, const char *user, const char *password)
{
    const struct login *login = me;
    const struct settings *settings = login->setup->settings;
    const struct account *account = account_find(settings, user);

    if (login_asks_pam(settings, account))
        return answer_of(pam_check(settings->pam_service, user, password, login->from));
    return password_is_right(password, account ? account->hash : NULL) ? SASL_YES : SASL_NO;
}

static bool find_verifier(void *me, const char *user, char out[SASL_VERIFIER_BYTES])
{
    const struct login *login = me;
    const struct account *account = account_find(login->setup->settings, user);

    if (!account || !account->scram)
        return false;
    snprintf(out, SASL_VERIFIER_BYTES, "%s", account->scram);
    return true;
}

/* The Kerberos realm, or whoever signed the certificate, vouches for him. */
static enum sasl_answer check_name(void *me, const char *name)
{
    (void)me;
    return name[0] ? SASL_YES : SASL_NO;
}

/* --- The exchange ------------------------------------------------------------------------ */

static void free_login(struct login *login)
{
    sasl_free(login->sasl);
    setup_free(login->setup);
    if (login->in.at)
        explicit_bzero(login->in.at, login->in.room);
    buf_done(&login->in);
    buf_done(&login->out);
    free(login);
}

void auth_end(struct session *session)
{
    struct login *login = session->login;

    if (!login)
        return;
    session->login = NULL;
    if (!login->is_running) {
        free_login(login);
        return;
    }
    login->session = NULL; /* on_worked() frees it */
    atomic_store(&login->is_given_up, true);
}

static struct login *new_login(struct session *session, const char *mechanism)
{
    struct login *login = mem_new(sizeof *login);
    const struct tls_facts *tls = conn_tls(session->conn);
    struct login_means means = means_of(session);
    struct sasl_server server = { .mechanism = login->mechanism,
        .service = "smtp",
        .host = host_of(session),
        .offers_plus = login_mechanisms(session->connector, &means) & AUTH_SCRAM_SHA_256_PLUS,
        .me = login,
        .check_password = check_password,
        .find_verifier = find_verifier,
        .check_name = check_name };

    snprintf(login->mechanism, sizeof login->mechanism, "%s", mechanism);
    login->session = session;
    login->setup = setup_hold(session->setup);
    if (!session->arrival.is_unix)
        ip_format(session->arrival.peer, login->from);
    buf_init(&login->in, SMTP_SERVER_AUTH_LINE_BYTES_MAX);
    buf_init(&login->out, SASL_OUT_BYTES_MAX);
    if (tls && session->client.is_partner)
        server.external = tls->peer_name;
    conn_tls_binding(session->conn, &server.binding);
    login->sasl = sasl_server_new(&server);
    return login;
}

static void say_so(struct session *session, enum report_event event, const char *user,
    const struct decision *decision)
{
    report(event, R_SESSION(session->protocol.id),
        R_CHARS("connector", session->connector->name),
        R_CHARS("client", session->protocol.peer), R_CHARS("helo", session->client_name),
        R_CHARS("mechanism", session->login->mechanism), R_CHARS("user", user),
        R_CHARS("rule", decision->rule), R_NUMBER("code", decision->verdict.code),
        R_CHARS("why", decision->why));
}

/* PE-7: the password of one device that is used all over the house. */
static void note_login(struct session *session, const char *user)
{
    size_t addresses;

    if (!session->house->logins || session->arrival.is_unix)
        return;
    addresses = logins_note(session->house->logins, user, session->arrival.peer,
        loop_wall(session->house->loop), session->setup->settings->addresses_per_account_max);
    if (addresses)
        report(REPORT_LOGIN_SPREAD, R_SESSION(session->protocol.id),
            R_CHARS("connector", session->connector->name), R_CHARS("user", user),
            R_NUMBER("addresses", (int64_t)addresses),
            R_CHARS("client", session->protocol.peer));
}

static void succeed(struct session *session, const char *user, const struct decision *decision)
{
    say_so(session, REPORT_LOGIN, user, decision);
    free(session->user);
    session->user = mem_text(user);
    session->client.user = session->user;
    session->client.account = account_find(session->setup->settings, user);
    session->is_by_certificate = strcasecmp(session->login->mechanism, "EXTERNAL") == 0;
    session_know_client(session);
    note_login(session, user);
}

/* The answer waits in the tarpit; after the last one that the connector bears the session ends. */
static void fail(struct session *session, const char *user, struct decision *decision)
{
    const struct receive_connector *connector = session->connector;

    if (decision->verdict.code == 535 && sasl_why(session->login->sasl)[0])
        snprintf(decision->why, sizeof decision->why, "%s", sasl_why(session->login->sasl));
    say_so(session, REPORT_LOGIN_FAILED, user, decision);
    session->is_refused = true; /* 454 too */
    if (decision->verdict.code != 535 || !login_is_over(connector, ++session->failed_logins))
        return;
    if (connector->report_only & LIMIT_LOGINS)
        session_would_refuse(session, "AUTH", LIMIT_LOGINS);
    else
        session->is_locked_out = true;
}

static void finish(struct session *session, enum login_end end)
{
    struct login *login = session->login;
    const struct settings *settings = session->setup->settings;
    bool is_principal = strcasecmp(login->mechanism, "GSSAPI") == 0;
    struct decision decision;
    char user[LOGIN_NAME_BYTES];

    login_user(settings, sasl_user(login->sasl), is_principal, user);
    login_decide(settings, session->connector, user, end, &decision);
    if (decision_is_yes(&decision))
        succeed(session, user, &decision);
    else
        fail(session, user, &decision);
    auth_end(session);
    session_answer(session, SMTP_SERVER_AUTH_DONE, decision.verdict);
}

/* The bytes stay where they are until the engine has taken them. */
static void challenge(struct session *session)
{
    session_answer(session, SMTP_SERVER_AUTH_CHALLENGE, (struct verdict){ .code = 0 });
    session->answer.input = buf_bytes(&session->login->out);
}

static void on_result(struct session *session)
{
    struct login *login = session->login;

    switch (login->result) {
    case SASL_MORE:
        challenge(session);
        return;
    case SASL_DONE:
        /* SMTP has no room for a last word beside 235: it is said as a challenge (RFC 4954, 4). */
        login->is_all_said = true;
        if (login->out.n)
            challenge(session);
        else
            finish(session, LOGIN_RIGHT);
        return;
    case SASL_REFUSED:
        finish(session, LOGIN_WRONG);
        return;
    case SASL_TROUBLE:
        finish(session, LOGIN_TROUBLE);
        return;
    }
}

/* Whoever begins logins and hangs up keeps no thread busy for others. */
static void run_step(struct worker_job *job)
{
    struct login *login = container_of(job, struct login, job);

    if (atomic_load(&login->is_given_up))
        return;
    login->result = sasl_step(login->sasl, login->has_in, buf_bytes(&login->in), &login->out);
    if (login->in.at)
        explicit_bzero(login->in.at, login->in.n);
    buf_clear(&login->in);
}

static void on_worked(struct worker_job *job)
{
    struct login *login = container_of(job, struct login, job);
    struct session *session = login->session;

    login->is_running = false;
    if (!session) {
        free_login(login);
        return;
    }
    on_result(session);
    session_go_on(session);
}

static void step(struct session *session, bool has_in, struct bytes in)
{
    struct login *login = session->login;
    enum err err = buf_add(&login->in, in);

    assert(err == OK); /* a line is no longer than that */
    login->has_in = has_in;
    login->job = (struct worker_job){ .run = run_step, .done = on_worked };
    if (!sasl_may_block(login->mechanism)) {
        run_step(&login->job);
        on_result(session);
        return;
    }
    login->is_running = workers_run(session->house->workers, session->house->loop, &login->job);
    if (!login->is_running)
        finish(session, LOGIN_TROUBLE); /* too many wait already */
}

/* What the engine offered went by the settings before. */
static bool is_offered(const struct session *session, const char *mechanism)
{
    struct login_means means = means_of(session);

    return (session->client.is_tls || session->connector->auth_without_tls) &&
           login_has(login_mechanisms(session->connector, &means), mechanism);
}

/* By the settings as they are now: a password that was changed does not open a session that
 * waited for that. */
void auth_begin_login(struct session *session, const struct smtp_server_action *action)
{
    char *mechanism = bytes_to_text(action->text);
    bool may = session_refresh(session) && is_offered(session, mechanism);

    auth_end(session);
    if (may)
        session->login = new_login(session, mechanism);
    else
        session_answer_changed(session);
    free(mechanism);
    if (may)
        step(session, action->has_more, action->more);
}

void auth_respond(struct session *session, const struct smtp_server_action *action)
{
    struct login *login = session->login;

    assert(login && !login->is_running);
    if (login->is_all_said)
        finish(session, action->text.n ? LOGIN_WRONG : LOGIN_RIGHT);
    else
        step(session, true, action->text);
}

/* --- Who he is, later ---------------------------------------------------------------------- */

bool auth_renew(struct session *session)
{
    struct client *client = &session->client;
    bool had_account = client->account;

    if (!client->user)
        return true;
    if (session->is_by_certificate && !client->is_partner)
        return false;
    client->account = account_find(session->setup->settings, client->user);
    if (client->account)
        return !client->account->is_disabled;
    return !had_account;
}

void auth_forget(struct session *session)
{
    auth_end(session);
    free(session->user);
    session->user = NULL;
    session->client.user = NULL;
    session->client.account = NULL;
    session->is_by_certificate = false;
}
