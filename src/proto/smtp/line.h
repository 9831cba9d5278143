/* The line cutter: SMTP's commands and replies, one line at a time.  Pure; any thread.
 *
 * A line ends with CRLF and nothing else (RFC 5321, 2.3.8).  A bare CR or LF never ends one. */
#ifndef PROTO_SMTP_LINE_H
#define PROTO_SMTP_LINE_H

#include "base/bytes.h"

enum smtp_line {
    SMTP_LINE_MORE, /* no end yet; *used is 0 */
    SMTP_LINE_DONE, /* *line is the text without CRLF; *used has the CRLF */
    SMTP_LINE_BARE, /* a bare CR or LF, or a NUL, stands in it; *used is up to the next LF */
    SMTP_LINE_LONG, /* over LINE_BYTES_MAX (with CRLF) and no end in sight; *used is IN's length
                     */
};

/* Looks at the start of IN.  With TOLERATE_BARE_LF, LF alone ends a line too.
 * A CR as IN's last byte is no fault yet: MORE. */
enum smtp_line smtp_line_cut(struct bytes in, size_t line_bytes_max, bool tolerate_bare_lf,
    struct bytes *line, size_t *used);

#endif
