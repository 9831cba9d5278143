/* IP addresses and ranges of them.  Plain values; any thread. */
#ifndef BASE_IP_H
#define BASE_IP_H

#include "base/bytes.h"

/* IPv4 is kept as ::ffff:a.b.c.d, so that one comparison serves both. */
struct ip {
    uint8_t byte[16];
};

/* Both ends belong to it.  By number the IPv4 block lies among the IPv6 addresses, but a range
 * of IPv6 never has an IPv4 address: ask with the functions below, not by comparing ends. */
struct ip_range {
    struct ip first, last;
};

enum { IP_TEXT_BYTES = 46, IP_RANGE_TEXT_BYTES = 96 };

bool ip_parse(struct bytes text, struct ip *out); /* "192.0.2.1", "2001:db8::1" */
void ip_format(struct ip ip, char out[IP_TEXT_BYTES]);
bool ip_is_v4(struct ip ip);
bool ip_is_loopback(struct ip ip);
bool ip_is_unspecified(struct ip ip); /* "0.0.0.0", "::" */
int ip_compare(struct ip a, struct ip b);

/* The address behind IP by number; false: there is none. */
bool ip_next(struct ip ip, struct ip *out);

/* The first address of the network that IP is in: that with the same first BITS of its 128 bits.
 * An IPv4 address is of its own network, whatever BITS are. */
struct ip ip_network(struct ip ip, unsigned bits);

/* "192.0.2.1", "192.0.2.1-192.0.2.9", "192.0.2.0/24", "2001:db8::/32", "*" (all of both kinds),
 * "0.0.0.0/0" (all of IPv4), "::/0" (all of IPv6, IPv4 not among them).
 * A prefix with bits set behind it is refused: it is a typing error more often than not. */
bool ip_range_parse(struct bytes text, struct ip_range *out);
void ip_range_format(struct ip_range range, char out[IP_RANGE_TEXT_BYTES]);

bool ip_range_has(struct ip_range range, struct ip ip);
bool ip_range_contains(struct ip_range outer, struct ip_range inner);
bool ip_range_overlaps(struct ip_range a, struct ip_range b);
bool ip_range_equal(struct ip_range a, struct ip_range b);

#endif
