/* Bytes that grow up to a ceiling given when the buffer is made.  One thread. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/bytes.h"
#include "base/err.h"

#include <stdarg.h>

struct buf {
    uint8_t *at;
    size_t n;
    size_t room;
    size_t bytes_max;
};

/* Nothing is allocated before the first byte. */
void buf_init(struct buf *buf, size_t bytes_max);
void buf_done(struct buf *buf);

/* Adds a copy.  ERR_LIMIT: it would be over the ceiling; nothing was added. */
enum err buf_add(struct buf *buf, struct bytes bytes) MUST_USE;
enum err buf_add_text(struct buf *buf, const char *text) MUST_USE;
enum err buf_printf(struct buf *buf, const char *format, ...) PRINTF(2, 3) MUST_USE;
enum err buf_vprintf(struct buf *buf, const char *format, va_list args) PRINTF(2, 0) MUST_USE;

/* Room for N more bytes at the end, to be written by the caller and told by buf_wrote().
 * NULL over the ceiling. */
uint8_t *buf_room(struct buf *buf, size_t n);
void buf_wrote(struct buf *buf, size_t n);

/* Removes the first N bytes. */
void buf_drop(struct buf *buf, size_t n);

/* Empties it and keeps the memory, or gives the memory back. */
void buf_clear(struct buf *buf);
void buf_release(struct buf *buf);

static inline struct bytes buf_bytes(const struct buf *buf)
{
    return (struct bytes){ buf->at, buf->n };
}

/* The content as a text that free() takes; the buffer is empty afterwards. */
char *buf_take_text(struct buf *buf);

#endif
