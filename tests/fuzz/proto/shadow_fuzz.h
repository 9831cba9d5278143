/* What the fuzzers of the peer link's words share. */
#ifndef SHADOW_FUZZ_H
#define SHADOW_FUZZ_H

#include "proto/shadow/shadow.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void fuzz_must(enum err err)
{
    assert(err == OK);
}

/* OUT is one whole line of printable bytes, or UTF-8: what stands in it behind BEFORE. */
static inline struct bytes fuzz_line(const struct buf *out, const char *before)
{
    struct bytes line = buf_bytes(out);
    size_t n = strlen(before);

    assert(line.n >= n + 2 && bytes_starts(line, bytes_text(before)));
    assert(line.at[line.n - 2] == '\r' && line.at[line.n - 1] == '\n');
    for (size_t i = 0; i < line.n - 2; i++)
        assert(line.at[i] >= ' ' && line.at[i] != 127);
    return bytes_of(line.at + n, line.n - n - 2);
}

#endif
