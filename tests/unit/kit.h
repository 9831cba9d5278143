/* What every unit test needs: cmocka and its own includes, and tables of named cases. */
#ifndef TESTS_KIT_H
#define TESTS_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"

/* Fails with both texts when the bytes differ; NAME is the case's name. */
static inline void check_bytes(const char *name, struct bytes got, struct bytes want)
{
    if (!bytes_equal(got, want))
        fail_msg("%s: got \"%.*s\", want \"%.*s\"", name, BYTES_ARGS(got), BYTES_ARGS(want));
}

#define check(name, condition)                                                                 \
    do {                                                                                       \
        if (!(condition))                                                                      \
            fail_msg("%s: %s", name, #condition);                                              \
    } while (0)

#define CASES(table) (sizeof(table) / sizeof *(table))

/* Numbers in no order, the same in every run. */
static inline uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static inline uint32_t random_below(uint32_t *seed, uint32_t end)
{
    return next_random(seed) % end;
}

#endif
