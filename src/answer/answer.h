/* What a client is told: the SMTP server engine, given the settings.  Live sessions (flow/session)
 * and `relais explain` call these very functions.  Pure; any thread. */
#ifndef ANSWER_ANSWER_H
#define ANSWER_ANSWER_H

#include "policy/client.h"
#include "policy/decision.h"
#include "policy/login.h"
#include "proto/smtp/server.h"

/* What the engine needs to know of the connector and of the client as he is now.  BANNER borrows
 * for as long as the engine runs: see answer_banner(). */
struct smtp_server_config answer_config(const struct settings *settings,
    const struct receive_connector *connector, const struct client *client, const char *banner);

/* Which mechanisms the client is offered by what his connection has (MEANS); their names stand in
 * WORDS, which the engine borrows. */
void answer_offer_auth(struct smtp_server_config *config,
    const struct receive_connector *connector, const struct login_means *means,
    char words[LOGIN_WORDS_BYTES]);

/* The connector's banner with its names filled in (RC-6), without "220 "; free() it. */
char *answer_banner(const struct settings *settings, const struct receive_connector *connector);

/* MAIL.  What a device calls itself becomes what the configuration says before anything is asked
 * of it (AD-4). */
struct answer_mail {
    struct smtp_mail mail; /* the sender as it is from now on */
    char *rewritten;       /* where its bytes are; NULL: as the client gave it; free() */
    struct decision decision;
};
void answer_mail(const struct settings *settings, const struct receive_connector *connector,
    const struct client *client, const struct smtp_mail *mail, struct answer_mail *out);

#endif
