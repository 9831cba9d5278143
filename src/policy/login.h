/* Logging in (PE-6): what is offered, who is known, and what is answered.  Pure; any thread. */
#ifndef POLICY_LOGIN_H
#define POLICY_LOGIN_H

#include "policy/client.h"
#include "policy/decision.h"

enum { LOGIN_WORDS_BYTES = 96, LOGIN_NAME_BYTES = 256 };

/* What of the connection decides which mechanisms can work. */
struct login_means {
    bool has_binding;     /* SCRAM-...-PLUS can bind to this TLS connection */
    bool has_certificate; /* a client certificate that the connector knows */
};

/* Those of the connector that can work with this client: enum auth_mechanism.  That it is too
 * early for them, without TLS, is the engine's to say. */
unsigned login_mechanisms(
    const struct receive_connector *connector, const struct login_means *means);

/* Whether the mechanism of that name is among them. */
bool login_has(unsigned mechanisms, const char *name);

/* "SCRAM-SHA-256 PLAIN LOGIN": the strongest first, as clients choose. */
void login_words(unsigned mechanisms, char out[LOGIN_WORDS_BYTES]);

/* The user that NAME, as it was proved, stands for: in small letters, and a principal of the
 * kerberos_realm by its first part. */
void login_user(const struct settings *settings, const char *name, bool is_principal,
    char out[LOGIN_NAME_BYTES]);

/* May NAME's password be asked of PAM?  Not when one is kept here. */
bool login_asks_pam(const struct settings *settings, const struct account *account);

enum login_end { LOGIN_RIGHT, LOGIN_WRONG, LOGIN_TROUBLE };

/* The answer to an exchange.  USER may be empty. */
void login_decide(const struct settings *settings, const struct receive_connector *connector,
    const char *user, enum login_end end, struct decision *out);

/* Whether FAILED logins in a session are what the connector bears, report mode or not. */
bool login_is_over(const struct receive_connector *connector, uint32_t failed);

#endif
