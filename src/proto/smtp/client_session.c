/* From the banner to UP: EHLO, STARTTLS and EHLO again, AUTH. */
#include "proto/smtp/client_engine.h"

#include <assert.h>

static bool is_class(const struct smtp_reply *reply, unsigned class)
{
    return reply->code / 100 == class;
}

/* The driver starts with an empty OUT, and session commands wait for each other's replies. */
static void begin(struct smtp_client *client, struct client_line *line)
{
    bool has_room = client_line_begin(client, line);

    assert(has_room);
}

static void say(struct smtp_client *client, struct bytes command)
{
    struct client_line line;

    begin(client, &line);
    client_line_add(&line, command);
    client_line_end(client, &line, BYTES_NONE);
}

static void say_hello(struct smtp_client *client, struct bytes verb, enum client_state next)
{
    struct client_line line;

    client_peer_forget(client); /* what was said before TLS counts no more: RFC 3207, 4.2 */
    begin(client, &line);
    client_line_add(&line, verb);
    client_line_add(&line, client->config->fqdn);
    client_line_end(client, &line, BYTES_NONE);
    client_enter(client, next);
}

static void say_first_hello(struct smtp_client *client)
{
    say_hello(client, client->config->is_lmtp ? BYTES("LHLO ") : BYTES("EHLO "), CLIENT_EHLO);
}

void client_session_be_up(struct smtp_client *client)
{
    client_enter(client, CLIENT_UP);
    client_act(client, SMTP_CLIENT_UP);
}

static void authenticate(struct smtp_client *client)
{
    if (client->config->auth_user.n)
        client_auth_begin(client);
    else
        client_session_be_up(client);
}

static void after_hello(struct smtp_client *client)
{
    enum smtp_client_tls tls = client->config->tls;

    if (client->is_tls || tls == SMTP_CLIENT_TLS_NONE) {
        authenticate(client);
    } else if (client->peer.starttls) {
        say(client, BYTES("STARTTLS"));
        client_enter(client, CLIENT_STARTTLS);
    } else if (tls == SMTP_CLIENT_TLS_MUST) {
        client_end_refused(client, &client_own_no_tls);
    } else {
        authenticate(client);
    }
}

static void on_hello_reply(struct smtp_client *client, const struct smtp_reply *reply)
{
    bool is_unknown = reply->code == 500 || reply->code == 502 || reply->code == 504;

    if (is_class(reply, 2))
        after_hello(client);
    else if (is_unknown && client->state == CLIENT_EHLO && !client->config->is_lmtp)
        say_hello(client, BYTES("HELO "), CLIENT_HELO);
    else
        client_end_refused(client, reply);
}

/* TLS that is merely welcome may be refused (454): the session goes on without. */
static void on_starttls_reply(struct smtp_client *client, const struct smtp_reply *reply)
{
    if (is_class(reply, 2)) {
        client_act(client, SMTP_CLIENT_START_TLS);
        client_enter(client, CLIENT_STARTING_TLS);
    } else if (client->config->tls == SMTP_CLIENT_TLS_MUST) {
        client_end_refused(client, &client_own_no_tls);
    } else {
        authenticate(client);
    }
}

void client_session_tls_started(struct smtp_client *client)
{
    client->is_tls = true;
    say_first_hello(client);
}

void client_session_reply(struct smtp_client *client, const struct smtp_reply *reply)
{
    if (client_is_in_auth(client))
        client_auth_reply(client, reply);
    else if (is_class(reply, 3))
        client_end_lost(client, &client_own_protocol);
    else if (client->state == CLIENT_STARTTLS)
        on_starttls_reply(client, reply);
    else if (client->state == CLIENT_EHLO || client->state == CLIENT_HELO)
        on_hello_reply(client, reply);
    else if (is_class(reply, 2))
        say_first_hello(client); /* the banner */
    else
        client_end_refused(client, reply);
}
