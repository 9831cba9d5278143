/* How fast a host takes mail that says "slow down" (SC-7), and the fixed rate of a connector.
 * Pure: the clock is the caller's, in milliseconds of any origin, never going back.
 *
 * A host that says so gets fewer connections, or fewer messages a minute, instead of a wait for
 * each message: half as many (what it had at that moment counts), and a pause that doubles with
 * each further sign until something gets through.  Without signs it gets more again step by
 * step, and is as any other host once it had as much as at first for a while. */
#ifndef POLICY_PACE_H
#define POLICY_PACE_H

#include "mail/status.h"

enum pace_sign {
    PACE_SIGN_NONE,
    PACE_SIGN_CONNECTIONS, /* too many at once */
    PACE_SIGN_RATE,        /* too much in too short a time */
};

/* What a host's reply says of our pace.  Greylisting, full disks and a mailbox that gets too
 * much are none: they are of one message, or of the host itself. */
enum pace_sign pace_sign_of(uint16_t code, struct status status, const char *text);

/* Messages spread over time.  Zeroed before the first use. */
struct pace_clock {
    int64_t next_us; /* a message may go from then on */
};

/* How long until a message may go; 0: now. */
int64_t pace_clock_wait_ms(const struct pace_clock *clock, int64_t now_ms);
/* One goes.  PER_MINUTE is at least 1.  There are never more than PER_MINUTE in any 60 seconds,
 * and up to a second's worth of them at once. */
void pace_clock_take(struct pace_clock *clock, uint32_t per_minute, int64_t now_ms);

/* One host.  Zeroed before the first use: as fast as it goes. */
struct pace {
    uint32_t connections_max; /* 0: no limit */
    uint32_t per_minute_max;  /* 0: no limit */
    struct pace_clock clock;
    int64_t hold_ms;  /* nothing at all before */
    int64_t sign_ms;  /* the last sign; while it is slow */
    int64_t step_ms;  /* the last step up */
    int64_t whole_ms; /* since then it has as much as at first; 0: it has not */
    uint32_t pauses;  /* in a row, nothing got through between them */
    uint32_t connections_first, per_minute_first; /* before the first sign */
    uint32_t per_minute_bad;                      /* the rate at the last sign */
    /* Messages accepted, for the rate that there was. */
    int64_t count_from_ms;
    uint32_t count, per_minute_before;
};

static inline bool pace_is_slow(const struct pace *pace)
{
    return pace->connections_max || pace->per_minute_max;
}

/* The host has said SIGN (not NONE) when OPEN connections to it were there, the one that was
 * told so among them.  IS_AT_ONCE: as an answer to the connection itself, so the others may be
 * all right.  False: of the same moment as the last one, and nothing has changed. */
bool pace_slow_down(
    struct pace *pace, enum pace_sign sign, uint32_t open, bool is_at_once, int64_t now_ms);

/* It says so again and nothing else is new: nothing goes for a while, twice as long each time. */
void pace_pause(struct pace *pace, int64_t now_ms);

/* One SIGN for which it got less did not mean us all: it has that again. */
void pace_take_back(struct pace *pace, enum pace_sign sign);

/* The host has accepted a message. */
void pace_accepted(struct pace *pace, int64_t now_ms);

/* While it is slow, every PACE_STEP_MS.  True: it is not any more. */
enum { PACE_STEP_MS = 10000 };
bool pace_step(struct pace *pace, int64_t now_ms);

/* How long until a message, or a connection for one, may go; 0: now. */
int64_t pace_wait_ms(const struct pace *pace, int64_t now_ms);
void pace_take(struct pace *pace, int64_t now_ms); /* one goes */

/* Whether there may be one connection more than OPEN. */
static inline bool pace_may_connect(const struct pace *pace, uint32_t open)
{
    return !pace->connections_max || open < pace->connections_max;
}

/* The rate that the host has now: what was accepted lately, for a whole minute. */
uint32_t pace_measured(const struct pace *pace, int64_t now_ms);

#endif
