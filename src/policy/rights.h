/* What a client may do, command by command.  Pure; any thread. */
#ifndef POLICY_RIGHTS_H
#define POLICY_RIGHTS_H

#include "mail/address.h"
#include "policy/client.h"
#include "policy/decision.h"

/* The accepted domain that DOMAIN belongs to: exact before "*.x" (the longest) before "*".  An
 * address literal of ours is not one.  NULL: none. */
const struct accepted_domain *accepted_domain_find(
    const struct settings *settings, struct bytes domain);

/* RCPT: 250, or `550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain` (PE-3).
 * A bare <postmaster> is always ours (RFC 5321, 4.5.1). */
void rights_decide_recipient(const struct settings *settings,
    const struct receive_connector *connector, const struct client *client,
    const struct address *recipient, struct decision *out);

/* MAIL: 250, or why not. */
void rights_decide_sender(const struct settings *settings,
    const struct receive_connector *connector, const struct client *client,
    const struct address *sender, uint64_t size_bytes, struct decision *out);

#endif
