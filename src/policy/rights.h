/* What a client may do, command by command.  Pure; any thread. */
#ifndef POLICY_RIGHTS_H
#define POLICY_RIGHTS_H

#include "mail/address.h"
#include "policy/addresses.h"
#include "policy/client.h"
#include "policy/decision.h"

/* The accepted domain that DOMAIN belongs to: exact before "*.x" (the longest) before "*".  An
 * address literal of ours is not one.  NULL: none. */
const struct accepted_domain *accepted_domain_find(
    const struct settings *settings, struct bytes domain);

/* RCPT: 250, or `550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain` (PE-3), or
 * what the connector's patterns of recipients refuse (PE-5).  A bare <postmaster> is always ours
 * (RFC 5321, 4.5.1).
 * RESOLVED is what RECIPIENT is, for whoever goes on with a yes: it is looked up once. */
void rights_decide_recipient(const struct settings *settings,
    const struct receive_connector *connector, const struct client *client,
    const struct address *recipient, struct resolved *resolved, struct decision *out);

/* MAIL: 250, or why not: no TLS or nobody logged in where the connector wants it, `550 5.7.60
 * SMTP; Client does not have permissions to send as this sender` (PE-4), the connector's
 * patterns of senders (PE-5), the declared size. */
void rights_decide_sender(const struct settings *settings,
    const struct receive_connector *connector, const struct client *client,
    const struct address *sender, uint64_t size_bytes, struct decision *out);

/* Whether the address is the client's own: one of his account's.  Of an account without any, and
 * of a user who has no account here: his name when that is an address, else NAME at each accepted
 * domain that is not external-relay. */
bool client_owns(
    const struct settings *settings, const struct client *client, const struct address *sender);

#endif
