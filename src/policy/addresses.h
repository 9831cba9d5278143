/* What addresses that clients give stand for: aliases, catch-all, and what devices call
 * themselves (AD-3, AD-4).  Pure; any thread. */
#ifndef POLICY_ADDRESSES_H
#define POLICY_ADDRESSES_H

#include "mail/address.h"
#include "policy/settings.h"

/* The domain of names that have none: the accepted domain marked as default, else the node's. */
const char *default_domain(const struct settings *settings);

enum resolution {
    RESOLVED_ITSELF,    /* the address is what it is */
    RESOLVED_ALIAS,     /* it stands for others */
    RESOLVED_CATCH_ALL, /* nobody is called that; the domain has somebody for it */
    RESOLVED_NOBODY,    /* nobody is called that: 550 5.1.1 */
};

/* What one look at the settings says of an address.  It points into them. */
struct resolved {
    enum resolution kind;
    const struct accepted_domain *domain; /* that it is of; NULL: of none of ours */
    const struct alias *alias;            /* that it is; NULL: none */
};
struct resolved recipient_resolve(
    const struct settings *settings, const struct address *recipient);

/* Calls EACH for every address that RECIPIENT, which was RESOLVED by SETTINGS, stands for, unless
 * for itself; the text is valid inside the call. */
void resolved_each(const struct settings *settings, const struct resolved *resolved,
    const struct address *recipient, void (*each)(void *me, struct bytes address), void *me);

/* What SENDER becomes at that connector; NULL: it stays.  free() it. */
char *sender_rewritten(const struct settings *settings,
    const struct receive_connector *connector, const struct address *sender);

/* Whether senders in the header of what comes by that connector may be called differently; and
 * what such a one becomes, which is an address; NULL: it stays.  free() it. */
bool rewrites_header(
    const struct settings *settings, const struct receive_connector *connector);
char *header_sender_rewritten(const struct settings *settings,
    const struct receive_connector *connector, const struct address *sender);

#endif
