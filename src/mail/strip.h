/* Takes the organisation's own header fields out of a message while it streams in (SM-6).  Pure;
 * one thread per stripper.
 *
 * They are those whose names begin with "X-Relais-": what stands in one of them was written by a
 * node of the organisation, or by a client who may.  Fed with the content in any split; gives
 * back the runs to keep, which lie where they lay: nothing is copied, but for the beginning of a
 * name that is cut by the end of a piece.  A line of the header that begins so is taken for such a
 * field, whatever follows.  The header ends as mail/scan.h sees it. */
#ifndef MAIL_STRIP_H
#define MAIL_STRIP_H

#include "base/bytes.h"

enum { STRIP_HELD_BYTES = 9 };

struct strip {
    uint32_t count; /* fields taken out */

    /* Where it stands; its own business. */
    uint8_t state;
    bool has_field; /* a field came before, which a folded line goes on */
    uint8_t held_n;
    uint8_t held[STRIP_HELD_BYTES];
};

/* STRIPS false: all is kept. */
void strip_init(struct strip *strip, bool strips);

/* The next run of CONTENT to keep; CONTENT goes on behind it.  False: nothing more of it is kept
 * (now).  The run is valid until the next call, and as long as CONTENT. */
bool strip_next(struct strip *strip, struct bytes *content, struct bytes *run);

/* All content is there: what was held back, because it might have become a name.  May be empty. */
struct bytes strip_end(struct strip *strip);

#endif
