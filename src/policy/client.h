/* Who is at the other end of a session, and what he may do there (PE-1, PE-2).  Pure; any
 * thread. */
#ifndef POLICY_CLIENT_H
#define POLICY_CLIENT_H

#include "policy/settings.h"

/* As the session knows him by now; the texts are its own. */
struct client {
    const char *user;              /* authenticated as; NULL: nobody */
    const struct account *account; /* of that user, in the snapshot; NULL: none is kept here */
    bool is_partner;               /* showed a certificate that the connector knows */
    bool is_server;                /* a node of the organisation */
    bool is_tls;
};

/* The groups that he is in and CONNECTOR takes: enum permission_group.  0: he may do nothing
 * (there); who could log in is told to. */
unsigned client_groups(const struct settings *settings,
    const struct receive_connector *connector, const struct client *client);

/* What these groups bring, and the connector's `allow`: enum right. */
unsigned client_rights(const struct settings *settings,
    const struct receive_connector *connector, const struct client *client);

/* What one group brings by itself. */
unsigned group_rights(enum permission_group group);

/* "any-recipient", "users": as the configuration spells them. */
const char *right_name(enum right right);
const char *group_name(enum permission_group group);

/* Where he has RIGHT from: "allow", "group users", "permission_group Scanners"; NULL: he has it
 * not. */
const char *client_right_source(const struct settings *settings,
    const struct receive_connector *connector, const struct client *client, enum right right,
    char room[100]);

#endif
