/* Domains as the settings and the wire have them, compared.  Pure; any thread. */
#ifndef POLICY_DOMAIN_H
#define POLICY_DOMAIN_H

#include "base/bytes.h"
#include "mail/address.h"
#include "mail/idna.h"

/* The form in which patterns are kept: lower case, A-labels, no final dot; a literal in lower
 * case.  What is no name at all comes back in lower case and fits no pattern but "*". */
struct bytes domain_normal(struct bytes domain, char room[IDNA_BYTES_MAX]);

/* Lower case, without quotes and the backslashes within: "j\.doe"@x is j.doe@x (RFC 5321,
 * 4.1.2).  ROOM has place for all of it. */
struct bytes local_normal(struct bytes local, char *room);

/* A mailbox as a key of tables: the local part in its normal form (with its quotes, if an "@" is in
 * it), and with a DOMAIN "@" and its normal form behind it. */
enum { MAILBOX_KEY_BYTES = ADDRESS_LOCAL_BYTES_MAX + 1 + IDNA_BYTES_MAX };
struct bytes mailbox_key(struct bytes local, struct bytes domain, char room[MAILBOX_KEY_BYTES]);

/* How well PATTERN fits a DOMAIN in normal form: 0 not at all; the more the closer: "*", then
 * "*.example" by its length (its own "example" is not among it), then the domain itself.  A
 * literal fits "*" and itself. */
enum { DOMAIN_FIT_ALL = 1, DOMAIN_FIT_EXACT = 1000 };
uint32_t domain_fit(const char *pattern, struct bytes domain);

#endif
