/* Enhanced status codes (RFC 3463) and replies as mail systems report them.  Pure. */
#ifndef MAIL_STATUS_H
#define MAIL_STATUS_H

#include "base/bytes.h"

struct status {
    uint8_t class;    /* 2, 4 or 5; 0: none was given */
    uint16_t subject; /* 0..999 */
    uint16_t detail;
};

#define STATUS(a, b, c) ((struct status){ a, b, c })

enum { STATUS_TEXT_BYTES = 12 };

/* "5.7.54", or "" when none was given. */
void status_format(struct status status, char out[STATUS_TEXT_BYTES]);

/* Reads a status at the start of TEXT; *USED is its length.  False: there is none. */
bool status_parse(struct bytes text, struct status *out, size_t *used);

/* What a verdict of ours says: the reply's code, its enhanced code and its text. */
struct verdict {
    uint16_t code; /* 250, 451, 550 ...; 0: not decided */
    struct status status;
    char text[200]; /* one line, printable, zero-ended */
};

static inline bool verdict_is_ok(const struct verdict *verdict)
{
    return verdict->code >= 200 && verdict->code < 300;
}

enum { VERDICT_TEXT_BYTES = 220 };

/* "550 5.1.1 no such user", without the enhanced code where none was given. */
void verdict_format(const struct verdict *verdict, char out[VERDICT_TEXT_BYTES]);

/* Its enhanced code, or "C.0.0" of its class where none was given (RFC 3463, 2). */
struct status verdict_status(const struct verdict *verdict);

/* Fills a verdict; the text is cut to its room. */
struct verdict verdict_of(uint16_t code, struct status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
