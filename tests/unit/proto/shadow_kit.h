/* Ids for tests of the peer link. */
#ifndef TESTS_SHADOW_KIT_H
#define TESTS_SHADOW_KIT_H

#include "kit.h"

#include "proto/shadow/shadow.h"

#define MID_5F "5f000000000000000000000000000001"
#define MID_60 "60000000000000000000000000000002"
#define STORE_A "0c5e0000000000000000000000000001"
#define STORE_B "77aa0000000000000000000000000002"

static inline struct mid mid_of(const char *text)
{
    struct mid mid = { { 0 } };

    check(text, mid_parse(bytes_text(text), &mid));
    return mid;
}

static inline struct store_id store_of(const char *text)
{
    struct store_id store = { { 0 } };

    check(text, hex_parse(bytes_text(text), store.byte, sizeof store.byte));
    return store;
}

#endif
