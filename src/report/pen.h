/* Writing bytes into a run of fixed length: what does not fit is left out.  One thread. */
#ifndef REPORT_PEN_H
#define REPORT_PEN_H

#include "base/bytes.h"

struct pen {
    char *at, *end;
};

static inline void pen_char(struct pen *pen, char c)
{
    if (pen->at < pen->end)
        *pen->at++ = c;
}

static inline void pen_bytes(struct pen *pen, const void *from, size_t n)
{
    size_t room = (size_t)(pen->end - pen->at);

    if (n > room)
        n = room;
    if (n) /* an empty text may be NULL, which memcpy() must not be given */
        memcpy(pen->at, from, n);
    pen->at += n;
}

#define pen_literal(pen, literal) pen_bytes(pen, literal, sizeof(literal) - 1)

static inline size_t pen_room(const struct pen *pen)
{
    return (size_t)(pen->end - pen->at);
}

void pen_number(struct pen *pen, int64_t number);
void pen_seconds(struct pen *pen, int64_t ms); /* 1200 as "1.2" */

/* How text is written so that it cannot be taken for anything else. */
enum pen_style {
    PEN_PLAIN,   /* escapes of control bytes alone: inside parentheses, between ", " */
    PEN_QUOTED,  /* inside double quotes */
    PEN_ADDRESS, /* inside angle brackets */
    PEN_CSV,     /* inside double quotes, a quote doubled: RFC 4180 */
    PEN_JSON,    /* inside a JSON string */
    PEN_STYLE_COUNT
};

/* Writes TEXT, cut before the pen's last RESERVE bytes; never half an escape. */
void pen_text(struct pen *pen, struct bytes text, enum pen_style style, size_t reserve);

/* TEXT as one column: in quotes where it must be. */
void pen_csv(struct pen *pen, struct bytes text, size_t reserve);

/* Would TEXT be a bare word: not empty, nothing in it to be escaped or quoted? */
bool pen_is_word(struct bytes text);

#endif
