#include "policy/pace.h"

#include <assert.h>

enum {
    SECOND_MS = 1000,
    MINUTE_MS = 60000,
    SAME_MOMENT_MS = 1000, /* the answers to what was under way together */
    PAUSE_MS_MAX = 60000,  /* a host that takes nothing is asked once a minute */
    COUNT_MS = 10000,      /* what a rate is measured over */
    CONNECTION_STEPS = 3,  /* a connection more after so many steps without a sign */
    WHOLE_MS = 300000,     /* so long as much as at first, and it is as any other */
    FORGET_MS = 3600000,   /* no sign for so long: whatever it was is over */
    PER_MINUTE_START = 60,
    PER_MINUTE_MAX = 6000000,
};

/* --- What a reply says --------------------------------------------------------------------- */

static bool has(const char *text, const char *const *words)
{
    struct bytes all = bytes_text(text);

    for (; *words; words++) {
        struct bytes word = bytes_text(*words);
        for (size_t at = 0; at + word.n <= all.n; at++) {
            if (bytes_starts_nocase(bytes_skip(all, at), word))
                return true;
        }
    }
    return false;
}

/* Too many at once. */
static const char *const connection_words[] = { "too many connections", "too many concurrent",
    "too many simultaneous", "too many sessions", "too many smtp sessions",
    "concurrent connection", "concurrent smtp connection", "simultaneous connection",
    "connection limit", "connections limit", "number of connections", "thread limit",
    "connection rate", "connection frequency", "too many new connections",
    "maximum concurrency", "concurrency limit", "number of concurrent", NULL };

/* Too much in too short a time. */
static const char *const rate_words[] = { "rate limit", "ratelimit", "rate-limit", "slow down",
    "slowdown", "too fast", "throttl", "too many messages", "too many mails", "too many emails",
    "too much mail", "submission rate", "sending rate", "message rate", "mail rate",
    "unusual rate", "sending limit", "per minute", "per hour", "this hour", "try more slowly",
    "send more slowly", NULL };

/* Of this one message, whatever else is said. */
static const char *const other_words[] = { "greylist", "graylist", "grey-list", "gray-list",
    "greylisted", "mailbox full", "quota", NULL };

static bool is_busy_code(uint16_t code)
{
    return code == 421 || code == 432 || code == 450 || code == 451 || code == 452;
}

enum pace_sign pace_sign_of(uint16_t code, struct status status, const char *text)
{
    if (!is_busy_code(code) || has(text, other_words))
        return PACE_SIGN_NONE;
    if (status.subject == 1 || status.subject == 2 || status.subject == 6)
        return PACE_SIGN_NONE; /* of an address, a mailbox, a content: RFC 3463, 3 */
    if (has(text, connection_words))
        return PACE_SIGN_CONNECTIONS;
    if (has(text, rate_words))
        return PACE_SIGN_RATE;
    /* 4.7.12 is a password that must be changed (RFC 4954, 6); Exchange Online means
     * connections at the same time. */
    if (code == 432 && status.subject != 7)
        return PACE_SIGN_CONNECTIONS;
    if (status.subject == 7 && status.detail == 28) /* Gmail's: an unusual rate */
        return PACE_SIGN_RATE;
    return PACE_SIGN_NONE;
}

/* --- Messages spread over time ----------------------------------------------------------- */

/* A second's worth at once, and 61 seconds for the number of a minute: with these there never
 * are more than that in any 60 seconds. */
static int64_t interval_us(uint32_t per_minute)
{
    assert(per_minute);
    return (INT64_C(61000000) + per_minute - 1) / per_minute;
}

int64_t pace_clock_wait_ms(const struct pace_clock *clock, int64_t now_ms)
{
    int64_t us = clock->next_us - now_ms * 1000;

    return us <= 0 ? 0 : (us + 999) / 1000;
}

void pace_clock_take(struct pace_clock *clock, uint32_t per_minute, int64_t now_ms)
{
    int64_t from = (now_ms - SECOND_MS) * 1000, gap = interval_us(per_minute);

    if (gap > SECOND_MS * 1000)
        from = now_ms * 1000; /* none at once: each has its own time */
    if (clock->next_us > from)
        from = clock->next_us;
    clock->next_us = from + gap;
}

/* --- What was accepted ------------------------------------------------------------------- */

static uint32_t per_minute(uint32_t count, int64_t ms)
{
    uint64_t rate = (uint64_t)count * MINUTE_MS / (uint64_t)(ms < SECOND_MS ? SECOND_MS : ms);

    return rate > PER_MINUTE_MAX ? PER_MINUTE_MAX : (uint32_t)rate;
}

void pace_accepted(struct pace *pace, int64_t now_ms)
{
    int64_t ms = now_ms - pace->count_from_ms;

    if (ms >= COUNT_MS || pace->count == 0) {
        pace->per_minute_before =
            ms < 2 * COUNT_MS && pace->count ? per_minute(pace->count, ms) : 0;
        pace->count_from_ms = now_ms;
        pace->count = 0;
    }
    pace->count++;
    pace->pauses = 0;
}

uint32_t pace_measured(const struct pace *pace, int64_t now_ms)
{
    int64_t ms = now_ms - pace->count_from_ms;
    uint32_t now = pace->count ? per_minute(pace->count, ms) : 0;

    return ms < SECOND_MS && pace->per_minute_before > now ? pace->per_minute_before : now;
}

/* --- Down -------------------------------------------------------------------------------- */

void pace_pause(struct pace *pace, int64_t now_ms)
{
    int64_t ms = SECOND_MS;

    if (now_ms < pace->hold_ms)
        return; /* it was told before the last one began */
    for (uint32_t i = 0; i < pace->pauses && ms < PAUSE_MS_MAX; i++)
        ms *= 2;
    pace->hold_ms = now_ms + (ms < PAUSE_MS_MAX ? ms : PAUSE_MS_MAX);
    pace->pauses++;
}

/* The one that is told so at once is one too many; told later, who knows how many. */
static void cut_connections(struct pace *pace, uint32_t open, bool is_at_once)
{
    uint32_t left = is_at_once ? open - 1 : open / 2;

    if (!pace->connections_first)
        pace->connections_first = open;
    if (!pace->connections_max || left < pace->connections_max)
        pace->connections_max = left ? left : 1;
}

/* Of a host that was sent nothing yet one a second is expected, which is modest. */
static void cut_rate(struct pace *pace, int64_t now_ms)
{
    uint32_t now = pace->per_minute_max;

    if (!now) {
        now = pace_measured(pace, now_ms);
        if (now < PER_MINUTE_START)
            now = PER_MINUTE_START;
        pace->per_minute_first = now;
    }
    pace->per_minute_bad = now;
    pace->per_minute_max = now / 2 ? now / 2 : 1;
    pace->clock.next_us = 0;
}

bool pace_slow_down(
    struct pace *pace, enum pace_sign sign, uint32_t open, bool is_at_once, int64_t now_ms)
{
    bool is_same = pace_is_slow(pace) && now_ms - pace->sign_ms < SAME_MOMENT_MS;

    assert(sign != PACE_SIGN_NONE);
    if (open == 0)
        open = 1;
    if (now_ms < pace->hold_ms)
        return false; /* it was told before the pause began */
    if (sign == PACE_SIGN_RATE || open == 1 || pace->pauses)
        pace_pause(pace, now_ms); /* nobody else's connection goes on: it must be left alone */
    if (is_same)
        return false;
    if (sign == PACE_SIGN_RATE)
        cut_rate(pace, now_ms);
    else
        cut_connections(pace, open, is_at_once);
    pace->sign_ms = pace->step_ms = now_ms;
    pace->whole_ms = 0;
    return true;
}

/* --- Up again ---------------------------------------------------------------------------- */

/* By a tenth of the rate that was too much until that is reached; then faster and faster. */
static void raise_rate(struct pace *pace, int64_t now_ms)
{
    uint32_t more = pace->per_minute_bad / 10;
    int64_t next;

    if (!pace->per_minute_max)
        return;
    if (pace->per_minute_max >= pace->per_minute_bad)
        more = pace->per_minute_max / 4;
    pace->per_minute_max += more ? more : 1;
    if (pace->per_minute_max > PER_MINUTE_MAX)
        pace->per_minute_max = PER_MINUTE_MAX;
    next = now_ms * 1000 + interval_us(pace->per_minute_max);
    if (pace->clock.next_us > next) /* as it was before */
        pace->clock.next_us = next;
}

static bool is_whole(const struct pace *pace)
{
    return (!pace->connections_max || pace->connections_max >= pace->connections_first) &&
           (!pace->per_minute_max || pace->per_minute_max >= pace->per_minute_first);
}

static void forget(struct pace *pace)
{
    *pace = (struct pace){ .count_from_ms = pace->count_from_ms,
        .count = pace->count,
        .per_minute_before = pace->per_minute_before };
}

bool pace_step(struct pace *pace, int64_t now_ms)
{
    int64_t quiet = now_ms - pace->sign_ms;

    if (!pace_is_slow(pace))
        return false;
    if (now_ms < pace->hold_ms || now_ms - pace->step_ms < PACE_STEP_MS)
        return false;
    raise_rate(pace, now_ms);
    if (pace->connections_max && (quiet / PACE_STEP_MS) % CONNECTION_STEPS == 0)
        pace->connections_max++;
    pace->step_ms = now_ms;
    if (is_whole(pace) && !pace->whole_ms)
        pace->whole_ms = now_ms;
    if (quiet < FORGET_MS && (!pace->whole_ms || now_ms - pace->whole_ms < WHOLE_MS))
        return false;
    forget(pace);
    return true;
}

/* Twice as much and one, for half of an odd number was less. */
static void take_back_connections(struct pace *pace)
{
    pace->connections_max = 2 * pace->connections_max + 1;
    if (pace->connections_max >= pace->connections_first)
        pace->connections_max = pace->connections_first = 0;
}

static void take_back_rate(struct pace *pace)
{
    pace->per_minute_max = 2 * pace->per_minute_max + 1;
    pace->per_minute_bad = 2 * pace->per_minute_bad + 1;
    if (pace->per_minute_bad > pace->per_minute_first)
        pace->per_minute_bad = pace->per_minute_first;
    if (pace->per_minute_max >= pace->per_minute_first)
        pace->per_minute_max = pace->per_minute_bad = pace->per_minute_first = 0;
    pace->clock.next_us = 0;
}

void pace_take_back(struct pace *pace, enum pace_sign sign)
{
    if (sign == PACE_SIGN_RATE && pace->per_minute_max)
        take_back_rate(pace);
    if (sign == PACE_SIGN_CONNECTIONS && pace->connections_max)
        take_back_connections(pace);
    if (!pace_is_slow(pace))
        forget(pace);
}

/* --- Now --------------------------------------------------------------------------------- */

int64_t pace_wait_ms(const struct pace *pace, int64_t now_ms)
{
    int64_t hold = pace->hold_ms - now_ms;
    int64_t wait = pace->per_minute_max ? pace_clock_wait_ms(&pace->clock, now_ms) : 0;

    return hold > wait ? hold : wait;
}

void pace_take(struct pace *pace, int64_t now_ms)
{
    if (pace->per_minute_max)
        pace_clock_take(&pace->clock, pace->per_minute_max, now_ms);
}
