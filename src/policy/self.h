/* What this node is called and where it listens, so that no mail is given to itself (SC-5;
 * RFC 5321, 5.1).  Pure; any thread. */
#ifndef POLICY_SELF_H
#define POLICY_SELF_H

#include "policy/settings.h"

/* The node's FQDN or name, or the FQDN of a receive connector. */
bool self_is_name(const struct settings *settings, const char *name);

/* Some enabled receive connector is bound to PORT, at whatever address. */
bool self_has_port(const struct settings *settings, uint16_t port);

enum self { SELF_NOT, SELF_IF_LOCAL, SELF_SURELY };

/* Whether who connects to IP and PORT comes to one of our bindings.  IF_LOCAL: he does if IP is an
 * address of this machine; loopback is, and the unspecified one leads there. */
enum self self_at(const struct settings *settings, struct ip ip, uint16_t port);

#endif
