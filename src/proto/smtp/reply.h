/* Replies: written by the server engine, read by the client engine.  RFC 5321 4.2.  Pure. */
#ifndef PROTO_SMTP_REPLY_H
#define PROTO_SMTP_REPLY_H

#include "base/buf.h"
#include "mail/status.h"

enum {
    SMTP_REPLY_TEXT_MAX = 512,
    SMTP_REPLY_LINES_MAX = 200,
    SMTP_REPLY_LINE_BYTES_MAX = 4096
};

/* A reply read from a server.  Multi-line texts are joined with " / " and cut to their room;
 * bytes below 32 and 127 become "?". */
struct smtp_reply {
    uint16_t code; /* 200..599 */
    struct status status;
    char text[SMTP_REPLY_TEXT_MAX]; /* after the codes; zero-ended */
    bool is_own;                    /* the client engine says it: no server did */
};

/* One line of a reply: "250-SIZE 1000".  False: not a reply line. */
bool smtp_reply_parse_line(
    struct bytes line, uint16_t *code, bool *is_last, struct bytes *text);

/* Takes the first line of a reply, and each further one.  An enhanced code that does not agree
 * with CODE is no enhanced code; on further lines the first one's is not repeated. */
void smtp_reply_begin(struct smtp_reply *reply, uint16_t code, struct bytes text);
void smtp_reply_continue(struct smtp_reply *reply, struct bytes text);

/* Appends "CODE STATUS TEXT\r\n", at most 512 bytes; a status of class 0 is left out and
 * control bytes become "?".  ERR_LIMIT: less than 512 bytes are free in OUT; nothing was added.
 */
enum err smtp_reply_add(
    struct buf *out, uint16_t code, struct status status, const char *text) MUST_USE;

#endif
