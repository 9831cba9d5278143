/* The end of DATA, and dot stuffing: RFC 5321, 4.5.2.  Pure; any thread.
 *
 * CRLF . CRLF alone ends the data.  Bare CR, bare LF and NUL are found and said, so that
 * nothing that another server might take for an end is ever passed on (smuggling). */
#ifndef PROTO_SMTP_BODY_H
#define PROTO_SMTP_BODY_H

#include "base/buf.h"
#include "base/bytes.h"

struct smtp_unstuff {
    uint8_t state;
    bool saw_bare; /* a bare CR or LF was seen */
    bool saw_nul;
    bool normalise_bare; /* tolerance: a bare LF or CR becomes CRLF in the output */
    bool is_counted;     /* set behind init for BDAT, whose end is counted: dots are content */
};

enum smtp_unstuff_step {
    SMTP_UNSTUFF_CONTENT, /* *run is content (a part of IN, or a constant); go on */
    SMTP_UNSTUFF_MORE,    /* IN is used up */
    SMTP_UNSTUFF_END,     /* the final dot was read; bytes behind *used are commands */
};

/* Starts before the first byte of the data. */
void smtp_unstuff_init(struct smtp_unstuff *unstuff, bool normalise_bare);

/* Looks at the start of IN and gives the next run of content.  *USED is how far IN was read. */
enum smtp_unstuff_step smtp_unstuff_step(
    struct smtp_unstuff *unstuff, struct bytes in, struct bytes *run, size_t *used);

/* The end of counted content.  *RUN is what was held back: empty, or what a bare CR becomes. */
void smtp_unstuff_finish(struct smtp_unstuff *unstuff, struct bytes *run);

/* The other way: content out, with dots doubled.  STATE keeps "at the start of a line" between
 * calls; start with SMTP_STUFF_START. */
struct smtp_stuff {
    uint8_t state;
};
#define SMTP_STUFF_START ((struct smtp_stuff){ 0 })

/* Appends CONTENT to OUT with its dots doubled.  ERR_LIMIT: over OUT's ceiling; nothing was
 * added. */
enum err smtp_stuff_add(
    struct smtp_stuff *stuff, struct bytes content, struct buf *out) MUST_USE;

/* The final dot, after a CRLF where the content did not end with one. */
enum err smtp_stuff_end(struct smtp_stuff *stuff, struct buf *out) MUST_USE;

#endif
