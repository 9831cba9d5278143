/* A TLSA record: what DNS says of a host's certificate (RFC 6698, 2.1).  Plain value. */
#ifndef BASE_TLSA_H
#define BASE_TLSA_H

#include "base/bytes.h"

struct tlsa {
    uint8_t usage, selector, matching;
    struct bytes data; /* whoever's had it */
};

#endif
