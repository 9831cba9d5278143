/* Who is at the other end of a session, and what he may do there (PE-1, PE-2).  Pure; any
 * thread. */
#ifndef POLICY_CLIENT_H
#define POLICY_CLIENT_H

#include "policy/names.h"
#include "policy/settings.h"

/* As the session knows him by now; the texts are its own. */
struct client {
    const char *user;              /* authenticated as; NULL: nobody */
    const struct account *account; /* of that user, in the snapshot; NULL: none is kept here */
    bool has_certificate;          /* showed one, whoever he is */
    bool is_partner;               /* showed a certificate that the connector knows */
    bool is_server;                /* a node of the organisation */
    bool is_tls;

    /* As of client_know(): what follows from the facts above on that connector.  NULL: it is
     * worked out at each question. */
    const struct receive_connector *known_on;
    unsigned groups, rights;
};

/* The account of that name; NULL: none is kept here. */
const struct account *account_find(const struct settings *settings, const char *name);

/* Works out once what the questions below answer.  A session calls it when one of the facts has
 * changed, and when its connector has: no command costs more than a look then. */
void client_know(const struct settings *settings, const struct receive_connector *connector,
    struct client *client);

/* The groups that he is in and CONNECTOR takes: enum permission_group.  Whoever is known by a
 * name, a certificate or a key is not anonymous where that counts, so that a user may do what
 * users may and not what strangers may.  0: he may do nothing (there). */
unsigned client_groups(const struct settings *settings,
    const struct receive_connector *connector, const struct client *client);

/* What these groups bring, and the connector's `allow`: enum right. */
unsigned client_rights(const struct settings *settings,
    const struct receive_connector *connector, const struct client *client);

/* Whether CONNECTOR asks for certificates and lists FINGERPRINT among those it knows. */
bool client_is_listed(const struct receive_connector *connector, const char *fingerprint);

/* Whether a partner whose certificate has FINGERPRINT, and whom BEFORE knew, is one on NOW, as far
 * as can be said without asking for the certificate again. */
bool client_is_still_partner(const struct receive_connector *before,
    const struct receive_connector *now, const char *fingerprint);

/* Whether a client who logs in may get more here: 530 rather than 550. */
bool client_could_log_in(
    const struct receive_connector *connector, const struct client *client);

/* Where he has RIGHT from: "allow", "group users", "permission_group Scanners"; NULL: he has it
 * not. */
const char *client_right_source(const struct settings *settings,
    const struct receive_connector *connector, const struct client *client, enum right right,
    char room[100]);

#endif
