/* Names that are numbers.  Plain values; any thread. */
#ifndef BASE_ID_H
#define BASE_ID_H

#include "base/bytes.h"

/* A message, on every node and hop: 128 bits, given by the first node that accepts it. */
struct mid {
    uint8_t byte[16];
};

/* One life of a node's spool. */
struct store_id {
    uint8_t byte[16];
};

/* A session, accepted or made by us: unique on this node for longer than any log is kept. */
struct session_id {
    uint64_t n;
};

enum { ID_TEXT_BYTES = 33, SESSION_ID_TEXT_BYTES = 17 };

/* 32 lower-case hexadecimal digits and a zero byte. */
void mid_format(struct mid mid, char out[ID_TEXT_BYTES]);
bool mid_parse(struct bytes text, struct mid *out);
bool mid_equal(struct mid a, struct mid b);
uint64_t mid_hash(struct mid mid);

void store_id_format(struct store_id id, char out[ID_TEXT_BYTES]);

/* 16 hexadecimal digits and a zero byte. */
void session_id_format(struct session_id id, char out[SESSION_ID_TEXT_BYTES]);

/* Lower-case hexadecimal of BYTES: 2 * n digits and a zero byte. */
void hex_format(struct bytes bytes, char *out);
/* Exactly N bytes from 2 * N digits of either case; false for anything else. */
bool hex_parse(struct bytes text, uint8_t *out, size_t n);

#endif
