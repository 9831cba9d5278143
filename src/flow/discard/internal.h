/* Inside flow/discard. */
#ifndef FLOW_DISCARD_INTERNAL_H
#define FLOW_DISCARD_INTERNAL_H

#include "flow/discard/discard.h"

/* Commits one notification for some recipients of a message; then the outcomes are true.  Holds
 * the message (delivering_count) until it is done.  RESULTS (COUNT of them, ascending by
 * recipient) is copied.  What cannot be stored now is tried again. */
void notice_send(struct discard *discard, struct message *message, const struct result *results,
    uint32_t count, const char *host);

/* Notes the outcome in the spool and in the message. */
void discard_note(struct discard *discard, struct message *message,
    const struct result *results, uint32_t count);

/* Ends the message when it is over; it may be gone then. */
void discard_check_over(struct discard *discard, struct message *message);

/* --- reason.c ---------------------------------------------------------------------------- */

struct reason {
    bool is_error;            /* something went wrong; else it was not tried at all */
    struct shared_text *host; /* who said so; NULL: we do */
    struct verdict verdict;
};

/* Why ITEM (NULL: it is nowhere) was not delivered so far.  reason_done() lets go of it. */
void reason_find(const struct discard *discard, const struct item *item, struct reason *out);
void reason_done(struct reason *reason);
/* What its sender is told when it is too old (QU-3). */
struct verdict reason_of_expiry(const struct reason *reason);

#endif
