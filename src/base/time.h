/* Times as numbers.  Nobody here reads a clock: os/clock.h does.  Any thread.
 *
 * `struct moment` is a monotonic time for waiting; `struct wall` is the time of day for people
 * and for what must survive a restart.  They are never mixed. */
#ifndef BASE_TIME_H
#define BASE_TIME_H

#include "base/bytes.h"

struct moment {
    int64_t ms; /* since some start that is the same for the whole process */
};

struct wall {
    int64_t ms; /* since 1970-01-01T00:00:00Z */
};

enum { DATE_RFC5322_BYTES = 32, DATE_ISO_BYTES = 25 };

/* "Sat, 21 Nov 2026 17:59:07 +0000" (RFC 5322, 3.3), always in UTC. */
void wall_format_rfc5322(struct wall wall, char out[DATE_RFC5322_BYTES]);

/* "2026-11-21T17:59:07.123Z" (RFC 3339). */
void wall_format_iso(struct wall wall, char out[DATE_ISO_BYTES]);

/* "2026-11-21", "2026-11-21T17:59", "2026-11-21 17:59:07", with "Z" or without: UTC. */
bool wall_parse_iso(struct bytes text, struct wall *out);

/* "90s", "30m", "2h", "5d", "250ms", "1h30m", or "hh:mm:ss" and "d.hh:mm:ss" as administrators
 * of Exchange write them.  A bare number is refused: a time needs its unit. */
bool duration_parse(struct bytes text, int64_t *out_ms);

/* The shortest of the forms above, as "4h" or "1m30s"; OUT has room for 32 bytes. */
void duration_format(int64_t ms, char out[32]);

#endif
