/* The line cutter: SMTP's commands and replies, one line at a time.  Pure; any thread.
 *
 * A line ends with CRLF and nothing else (RFC 5321, 2.3.8).  A bare CR or LF never ends one: a
 * line with a fault is refused as soon as the fault is seen, and what stands behind it up to
 * the next CRLF belongs to it and is never taken for a line of its own. */
#ifndef PROTO_SMTP_LINE_H
#define PROTO_SMTP_LINE_H

#include "base/bytes.h"

enum smtp_line {
    SMTP_LINE_MORE, /* no end yet; *used is 0 */
    SMTP_LINE_DONE, /* *line is the text without CRLF; *used has the CRLF */
    SMTP_LINE_BARE, /* a bare CR or LF, or a NUL; *used is up to and with it.  The line is not
                       over: give the rest to smtp_line_skip() */
    SMTP_LINE_LONG, /* no end in the first LINE_BYTES_MAX bytes (CRLF counts); *used is about
                       that many.  The line is not over: give the rest to smtp_line_skip() */
};

/* Looks at the start of IN.  With TOLERATE_BARE_LF, LF alone ends a line too.
 * A CR as IN's last byte is no fault yet: MORE.  LINE_BYTES_MAX is at least 2.
 * However IN is split, the same lines and faults come out. *LINE is written on DONE alone. */
enum smtp_line smtp_line_cut(struct bytes in, size_t line_bytes_max, bool tolerate_bare_lf,
    struct bytes *line, size_t *used);

/* Drops the rest of a line that BARE or LONG was said of.
 * DONE: its CRLF was found; *used has it, and a line starts behind it.
 * BARE: one more bare LF, *used is up to and with it: the sender may wait for an answer.
 * MORE: not over yet; *used is what can be dropped (a CR as IN's last byte stays). */
enum smtp_line smtp_line_skip(struct bytes in, bool tolerate_bare_lf, size_t *used);

#endif
