#include "base/buf.h"

#include "base/mem.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROOM_MIN = 256 };

void buf_init(struct buf *buf, size_t bytes_max)
{
    *buf = (struct buf){ .bytes_max = bytes_max };
}

void buf_done(struct buf *buf)
{
    buf_release(buf);
}

uint8_t *buf_room(struct buf *buf, size_t n)
{
    if (n > buf->bytes_max - buf->n)
        return NULL;
    if (n > buf->room - buf->n) {
        size_t room = buf->room ? buf->room * 2 : ROOM_MIN;
        while (room < buf->n + n)
            room *= 2;
        if (room > buf->bytes_max)
            room = buf->bytes_max;
        buf->at = mem_grow(buf->at, room);
        buf->room = room;
    }
    return buf->at + buf->n;
}

void buf_wrote(struct buf *buf, size_t n)
{
    assert(n <= buf->room - buf->n);
    buf->n += n;
}

enum err buf_add(struct buf *buf, struct bytes bytes)
{
    uint8_t *to;

    if (bytes.n == 0)
        return OK;
    to = buf_room(buf, bytes.n);
    if (!to)
        return ERR_LIMIT;
    memcpy(to, bytes.at, bytes.n);
    buf->n += bytes.n;
    return OK;
}

enum err buf_add_text(struct buf *buf, const char *text)
{
    return buf_add(buf, bytes_text(text));
}

enum err buf_vprintf(struct buf *buf, const char *format, va_list args)
{
    char small[512];
    va_list again;
    int n;
    enum err err;

    va_copy(again, args);
    n = vsnprintf(small, sizeof small, format, args);
    assert(n >= 0);
    if ((size_t)n < sizeof small) {
        err = buf_add(buf, bytes_of(small, (size_t)n));
    } else {
        char *large = mem_new((size_t)n + 1);
        vsnprintf(large, (size_t)n + 1, format, again);
        err = buf_add(buf, bytes_of(large, (size_t)n));
        free(large);
    }
    va_end(again);
    return err;
}

enum err buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    enum err err;

    va_start(args, format);
    err = buf_vprintf(buf, format, args);
    va_end(args);
    return err;
}

void buf_drop(struct buf *buf, size_t n)
{
    assert(n <= buf->n);
    if (n == 0)
        return;
    buf->n -= n;
    memmove(buf->at, buf->at + n, buf->n);
}

void buf_clear(struct buf *buf)
{
    buf->n = 0;
}

void buf_release(struct buf *buf)
{
    free(buf->at);
    buf->at = NULL;
    buf->n = buf->room = 0;
}

char *buf_take_text(struct buf *buf)
{
    char *text = bytes_to_text(buf_bytes(buf));
    buf_release(buf);
    return text;
}
