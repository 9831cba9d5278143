/* What a client of the control socket is still to be told: rows, and the last object of each answer,
 * in lines that are not with his connection yet.  Pure.
 *
 * An answer is whole or ends with an error: from the first row that is over the ceiling on none is
 * kept, and its last object says so whatever it was to be. */
#ifndef DAEMON_CONTROL_OUT_H
#define DAEMON_CONTROL_OUT_H

#include "proto/ctl/ctl.h"

struct control_out {
    struct buf lines; /* from `sent` on not with the connection yet */
    size_t sent, bytes_max;
    bool is_over; /* the present answer has lost a row */
};

/* BYTES_MAX: of what waits.  The next answer begins when that is empty. */
void control_out_init(struct control_out *out, size_t bytes_max);
void control_out_done(struct control_out *out);

/* A row, or the last object of an answer (taken). */
void control_out_row(struct control_out *out, struct ctl_object **row);
void control_out_end(struct control_out *out, struct ctl_object **end);

/* What is to be sent next, borrowed; then how much of it was. */
struct bytes control_out_next(const struct control_out *out, size_t bytes_max);
void control_out_sent(struct control_out *out, size_t n);

/* Nobody will read it. */
void control_out_drop(struct control_out *out);

static inline bool control_out_is_empty(const struct control_out *out)
{
    return out->sent == out->lines.n;
}

#endif
