/* Distinguished names as text: "CN=R3, O=Let's Encrypt, C=US".  Pure; any thread.
 *
 * Written as RFC 4514 has them, as Exchange shows them, or as openssl(1) prints them: with spaces
 * around commas and equals signs, quoted, with other names of attributes (E, S), and in either
 * order of their parts. */
#ifndef BASE_DN_H
#define BASE_DN_H

#include "base/bytes.h"

enum { DN_PARTS_MAX = 32, DN_BYTES_MAX = 2048 };

struct dn_part {
    uint16_t type_at, type_n; /* of the text: "cn", in small letters */
    uint16_t at, n;           /* the value, its escapes resolved */
};

struct dn {
    size_t count;
    struct dn_part parts[DN_PARTS_MAX];
    size_t n;
    uint8_t text[DN_BYTES_MAX];
};

/* False: TEXT is none, or has more parts or bytes than there is room for. */
bool dn_parse(struct bytes text, struct dn *out);

/* The same parts in the same or in the opposite order; ASCII letters without case. */
bool dn_equal(const struct dn *a, const struct dn *b);

#endif
