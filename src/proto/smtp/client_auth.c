/* AUTH as a client: RFC 4954.  PLAIN and LOGIN are done here; of the others here are the lines,
 * and the driver has the words. */
#include "proto/smtp/client_engine.h"

#include "base/base64.h"

#include <assert.h>

enum { CHALLENGE_BYTES_MAX = SMTP_REPLY_TEXT_MAX };

/* The strongest first. */
static const struct {
    enum smtp_client_auth auth;
    struct bytes name;
    bool is_clear; /* the password goes over the wire as it is */
} mechanisms[] = {
    { SMTP_CLIENT_AUTH_SCRAM_SHA_256_PLUS, BYTES("SCRAM-SHA-256-PLUS"), false },
    { SMTP_CLIENT_AUTH_SCRAM_SHA_256, BYTES("SCRAM-SHA-256"), false },
    { SMTP_CLIENT_AUTH_PLAIN, BYTES("PLAIN"), true },
    { SMTP_CLIENT_AUTH_LOGIN, BYTES("LOGIN"), true },
};
enum { MECHANISM_COUNT = sizeof mechanisms / sizeof *mechanisms };

unsigned client_auth_find(struct bytes name)
{
    for (size_t i = 0; i < MECHANISM_COUNT; i++) {
        if (bytes_equal_nocase(name, mechanisms[i].name))
            return mechanisms[i].auth;
    }
    return 0;
}

static struct bytes name_of(enum smtp_client_auth auth)
{
    size_t i = 0;

    while (mechanisms[i].auth != auth)
        i++;
    return mechanisms[i].name;
}

/* 0: none. */
static enum smtp_client_auth choose(const struct smtp_client *client)
{
    const struct smtp_client_config *config = client->config;
    unsigned may = config->auth_mechanisms ? config->auth_mechanisms
                                           : SMTP_CLIENT_AUTH_PLAIN | SMTP_CLIENT_AUTH_LOGIN;

    may &= client->peer_auth;
    if (!client->is_tls)
        may &= ~(unsigned)SMTP_CLIENT_AUTH_SCRAM_SHA_256_PLUS;
    for (size_t i = 0; i < MECHANISM_COUNT; i++) {
        bool is_safe = client->is_tls || config->auth_plain_text || !mechanisms[i].is_clear;
        if (may & mechanisms[i].auth && is_safe)
            return mechanisms[i].auth;
    }
    return 0;
}

/* The driver starts with an empty OUT, and session commands wait for each other's replies. */
static void begin_line(struct smtp_client *client, struct client_line *line)
{
    bool has_room = client_line_begin(client, line);

    assert(has_room);
}

/* RFC 4616, with an initial response (RFC 4954, 4). */
static void say_plain(struct smtp_client *client)
{
    const struct smtp_client_config *config = client->config;
    uint8_t secret[SMTP_CLIENT_CREDENTIALS_BYTES_MAX + 2];
    size_t n = 0;
    struct client_line line;

    secret[n++] = 0;
    memcpy(secret + n, config->auth_user.at, config->auth_user.n);
    n += config->auth_user.n;
    secret[n++] = 0;
    if (config->auth_password.n)
        memcpy(secret + n, config->auth_password.at, config->auth_password.n);
    n += config->auth_password.n;
    begin_line(client, &line);
    client_line_add(&line, BYTES("AUTH PLAIN "));
    client_line_add_base64(&line, bytes_of(secret, n));
    client_line_end(client, &line, BYTES("AUTH PLAIN ***"));
    explicit_bzero(secret, sizeof secret);
    client_enter(client, CLIENT_AUTH_PLAIN);
}

static void say_login(struct smtp_client *client)
{
    struct client_line line;

    begin_line(client, &line);
    client_line_add(&line, BYTES("AUTH LOGIN"));
    client_line_end(client, &line, BYTES_NONE);
    client_enter(client, CLIENT_AUTH_LOGIN);
}

static void say_secret(struct smtp_client *client, struct bytes secret, enum client_state next)
{
    struct client_line line;

    begin_line(client, &line);
    client_line_add_base64(&line, secret);
    client_line_end(client, &line, BYTES("***"));
    client_enter(client, next);
}

/* --- What the driver has the words for ------------------------------------------------------- */

static struct smtp_client_action *ask_driver(struct smtp_client *client)
{
    struct smtp_client_action *action = client_act(client, SMTP_CLIENT_AUTH);

    action->text = name_of(client->auth);
    client_enter(client, CLIENT_AUTH_ASKING);
    return action;
}

void client_auth_response(struct smtp_client *client, struct bytes response, bool is_last)
{
    struct client_line line;

    if (client->state != CLIENT_AUTH_ASKING)
        return; /* too late: the session has ended */
    assert(response.n <= SMTP_CLIENT_CREDENTIALS_BYTES_MAX);
    begin_line(client, &line);
    if (client->challenge.bytes_max == 0) { /* the first */
        client_line_add(&line, BYTES("AUTH "));
        client_line_add(&line, name_of(client->auth));
        client_line_add(&line, BYTES(" "));
        if (response.n == 0)
            client_line_add(&line, BYTES("="));
        buf_init(&client->challenge, CHALLENGE_BYTES_MAX);
    }
    client_line_add_base64(&line, response);
    client_line_end(client, &line, BYTES("AUTH ***"));
    client->is_auth_last = is_last;
    client_enter(client, CLIENT_AUTH_TALKING);
}

static void on_challenge(struct smtp_client *client, const struct smtp_reply *reply)
{
    struct bytes text = bytes_text(reply->text);

    buf_clear(&client->challenge);
    if (base64_decode(text, &client->challenge) != OK)
        client_end_lost(client, &client_own_protocol);
    else
        ask_driver(client)->more = buf_bytes(&client->challenge);
}

/* --- Beginning, and replies ------------------------------------------------------------------ */

void client_auth_begin(struct smtp_client *client)
{
    const struct smtp_client_config *config = client->config;

    client->auth = choose(client);
    if (!client->auth ||
        config->auth_user.n + config->auth_password.n > SMTP_CLIENT_CREDENTIALS_BYTES_MAX)
        client_end_refused(client, &client_own_no_auth);
    else if (client->auth == SMTP_CLIENT_AUTH_PLAIN)
        say_plain(client);
    else if (client->auth == SMTP_CLIENT_AUTH_LOGIN)
        say_login(client);
    else
        ask_driver(client)->is_first = true;
}

/* That the server proves itself is half of what SCRAM is for (RFC 5802, 9). */
static void on_success(struct smtp_client *client)
{
    if (client->state == CLIENT_AUTH_TALKING && !client->is_auth_last) {
        client_end_refused(client, &client_own_unproved);
        return;
    }
    client->is_authenticated = true;
    client_session_be_up(client);
}

void client_auth_reply(struct smtp_client *client, const struct smtp_reply *reply)
{
    const struct smtp_client_config *config = client->config;
    enum client_state state = client->state;
    unsigned class = reply->code / 100;

    if (class == 4 || class == 5)
        client_end_refused(client, reply);
    else if (class == 3 && state == CLIENT_AUTH_LOGIN)
        say_secret(client, config->auth_user, CLIENT_AUTH_USER);
    else if (class == 3 && state == CLIENT_AUTH_USER)
        say_secret(client, config->auth_password, CLIENT_AUTH_PASSWORD);
    else if (class == 3 && state == CLIENT_AUTH_TALKING)
        on_challenge(client, reply);
    else if (class == 2 && (state == CLIENT_AUTH_PLAIN || state == CLIENT_AUTH_PASSWORD ||
                               state == CLIENT_AUTH_TALKING))
        on_success(client);
    else
        client_end_lost(client, &client_own_protocol);
}
