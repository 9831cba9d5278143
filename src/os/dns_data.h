/* What records say, read into a result: RFC 1035, 3.3; RFC 5321, 5.1; RFC 7505. */
#ifndef OS_DNS_DATA_H
#define OS_DNS_DATA_H

#include "base/bytes.h"
#include "os/dns.h"

/* Lower-cases NAME and drops its final dot.  False: it is no host's name (letters, digits,
 * hyphens, underscores, dots; labels of 1 to 63 bytes, 253 in all). */
bool dns_name_read(const char *name, char out[DNS_NAME_BYTES]);

/* Adds an address (4 or 16 bytes).  Each kind has half of the room; more are left out. */
void dns_add_address(struct dns_result *result, struct bytes rdata);

/* Adds an MX.  When there is no room left the ones with the lowest preferences stay.  A record
 * that is malformed or names no host is left out; "." is noted as a null MX. */
void dns_add_mx(struct dns_result *result, struct bytes rdata);

/* Adds a TLSA record; what is shorter than one, and those over DNS_TLSA_MAX, are left out. */
void dns_add_tlsa(struct dns_result *result, struct bytes rdata);
void dns_free_tlsa(struct dns_result *result);

/* Once all were added: IPv6 before IPv4; hosts by preference, equal ones in random order; a
 * null MX beside others counts for nothing (RFC 7505, 3). */
void dns_put_in_order(struct dns_result *result);

#endif
