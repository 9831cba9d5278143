/* Ranges that are so wide that nobody knows who is in them (OP-10, RC-9).  Pure; any thread. */
#ifndef POLICY_WIDE_H
#define POLICY_WIDE_H

#include "policy/settings.h"

enum {
    WIDE_V4_BITS = 16, /* more addresses than a /16 has: 192.168.0.0/16 is not wide */
    WIDE_V6_BITS = 80, /* more than a /48, which is one site */
};

/* How many bits would count its addresses: 8 for a /24 of IPv4, 0 for one address. */
unsigned range_bits(struct ip_range range);
bool range_is_wide(struct ip_range range);

/* No address of a private network, of this host or link, or of what is set aside for special use:
 * one that strangers on the Internet may have. */
bool ip_is_public(struct ip ip);
/* The range of those that IP is in; false: it is public, and OUT means nothing. */
bool ip_find_special(struct ip ip, struct ip_range *out);

/* Whether the ranges of CONNECTOR, which was indexed, have more public addresses among them than
 * one organisation can: a sixteenth of IPv4 or more (a /4), or as much of IPv6 as a /12, which is
 * what a registry hands out for a continent.  In how many pieces they are written does not count. */
bool receive_is_for_everybody(const struct receive_connector *connector);

/* Some public address in RANGE; false: it has none. */
bool range_find_public(struct ip_range range, struct ip *out);

#endif
