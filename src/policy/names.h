/* What the configuration calls the values of settings, for those who show them.  Literals.  Pure;
 * any thread. */
#ifndef POLICY_NAMES_H
#define POLICY_NAMES_H

#include "policy/settings.h"

/* Defined where their tables are, in client.c and limits.c. */
const char *right_name(enum right right);            /* "any-recipient" */
const char *group_name(enum permission_group group); /* "users" */
unsigned group_rights(enum permission_group group);  /* what one group brings by itself */
const char *limit_name(enum limit limit);            /* "message-rate"; the rule's name too */

const char *tls_mode_name(enum tls_mode mode);               /* "required" */
const char *tls_version_text(uint8_t version);               /* "1.2"; enum tls_version */
const char *tolerance_name(enum tolerance tolerance);        /* "bare-lf" */
const char *auth_mechanism_name(enum auth_mechanism method); /* "scram-sha-256" */
const char *shadow_failure_name(enum shadow_failure failure);
const char *domain_type_name(enum domain_type type);     /* "internal-relay" */
const char *delivery_kind_name(enum delivery_kind kind); /* "smart_hosts" */

#endif
