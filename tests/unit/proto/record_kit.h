/* What the drivers of the engines keep of what was done and said. */
#ifndef RECORD_KIT_H
#define RECORD_KIT_H

#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>

static inline void record_note(struct buf *done, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static inline void record_note(struct buf *done, const char *format, ...)
{
    va_list args;
    enum err err;

    va_start(args, format);
    err = buf_vprintf(done, format, args);
    va_end(args);
    assert(err == OK);
}

/* Takes MOST bytes (0: all) of what is written in OUT to what was SAID.  True: there was some. */
static inline bool record_drain(struct buf *out, size_t most, struct buf *said)
{
    size_t n = most && most < out->n ? most : out->n;
    enum err err = buf_add(said, bytes_first(buf_bytes(out), n));

    assert(err == OK);
    buf_drop(out, n);
    return n > 0;
}

#endif
