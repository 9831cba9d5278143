#include "policy/blame.h"

enum {
    FORGET_MS = 3600000, /* a limit of so many an hour is over then */
    PAUSE_MS_MIN = 1000, /* what comes sooner was under way, or another connection's */
    ALONE_MAX = 4,       /* told so often in a row, after 1, 2 and 4 s, it waits like others */
    TOLD_MAX = 2,        /* so many others in a row are no few that are limited */
    CLEARED_MAX = 2,     /* one may be a limit that ended just then */
};

static uint64_t key_of(struct bytes address, uint64_t kind)
{
    uint64_t key = bytes_hash_nocase(address) ^ kind;

    return key ? key : 1;
}

uint64_t blame_sender(struct bytes address)
{
    return key_of(address, UINT64_C(0x9E3779B97F4A7C15));
}

uint64_t blame_recipient(struct bytes address)
{
    return key_of(address, 0);
}

/* --- Cases --------------------------------------------------------------------------------- */

static bool is_used(const struct blame_case *one)
{
    return one->sender || one->recipient;
}

static bool is_about(const struct blame_case *one, const struct blame_who *who)
{
    return (one->sender && one->sender == who->sender) ||
           (one->recipient && one->recipient == who->recipient);
}

/* The place for a case of WHO: that of the same two, a free one, or that of the oldest sign.
 * Who is forgotten for it is new with his next sign: the host never gets more for it. */
static struct blame_case *place_of(struct blame *blame, const struct blame_who *who)
{
    struct blame_case *oldest = &blame->cases[0], *unused = NULL;

    for (unsigned i = 0; i < BLAME_CASES; i++) {
        struct blame_case *one = &blame->cases[i];
        if (!is_used(one))
            unused = one;
        else if (one->sender == who->sender && one->recipient == who->recipient)
            return one;
        if (one->sign_ms < oldest->sign_ms)
            oldest = one;
    }
    return unused ? unused : oldest;
}

static void open_case(struct blame *blame, const struct blame_who *who, int64_t now_ms)
{
    struct blame_case *place = place_of(blame, who);
    bool is_same = place->sender == who->sender && place->recipient == who->recipient;

    if (!who->sender && !who->recipient)
        return;
    blame->case_count += !is_used(place);
    *place = (struct blame_case){ .sender = who->sender,
        .recipient = who->recipient,
        .sign_ms = now_ms,
        .cuts = is_same ? place->cuts : 0 };
}

/* Whether others got through since WHO was told so, and nothing of his. */
static bool confirm(struct blame *blame, const struct blame_who *who, int64_t now_ms)
{
    bool is_any = false;

    for (unsigned i = 0; blame->case_count && i < BLAME_CASES; i++) {
        struct blame_case *one = &blame->cases[i];
        if (!one->is_passed || now_ms - one->sign_ms >= FORGET_MS || !is_about(one, who))
            continue;
        one->is_confirmed = is_any = true;
        one->sign_ms = now_ms;
    }
    return is_any;
}

void blame_cut(struct blame *blame, const struct blame_who *who, bool is_first)
{
    struct blame_case *one = who ? place_of(blame, who) : NULL;

    for (unsigned i = 0; is_first && i < BLAME_CASES; i++)
        blame->cases[i].cuts = 0;
    if (one && is_used(one) && is_about(one, who) && one->cuts < UINT8_MAX)
        one->cuts++;
}

unsigned blame_take_cuts(struct blame *blame, const struct blame_who *who)
{
    unsigned cuts = 0;

    for (unsigned i = 0; i < BLAME_CASES; i++) {
        struct blame_case *one = &blame->cases[i];
        if (!one->is_confirmed || !is_about(one, who))
            continue;
        cuts += one->cuts;
        one->cuts = 0;
    }
    return cuts;
}

/* --- What got through ---------------------------------------------------------------------- */

static void pass(
    struct blame *blame, struct blame_case *one, uint64_t sender, uint64_t recipient)
{
    one->is_passed = true;
    if (one->sender == sender)
        one->sender = 0;
    if (one->recipient == recipient)
        one->recipient = 0;
    if (is_used(one))
        return;
    blame->cleared_count += !one->is_confirmed; /* else his limit is over */
    *one = (struct blame_case){ .sender = 0 };
    blame->case_count--;
}

void blame_accepted(struct blame *blame, uint64_t sender, uint64_t recipient)
{
    blame->last_count = 0;
    blame->told_count = 0;
    blame->is_taking = true;
    for (unsigned i = 0; blame->case_count && i < BLAME_CASES; i++) {
        if (is_used(&blame->cases[i]))
            pass(blame, &blame->cases[i], sender, recipient);
    }
}

/* --- Signs --------------------------------------------------------------------------------- */

/* Nobody else has been tried: whatever it is about, this one is not tried for ever. */
static enum blame_verdict of_same(struct blame *blame, int64_t now_ms)
{
    if (now_ms - blame->last_ms >= PAUSE_MS_MIN)
        blame->last_count++; /* else of its further recipients, or on another connection */
    blame->last_ms = now_ms;
    return blame->last_count >= ALONE_MAX ? BLAME_ONE : BLAME_PAUSE;
}

static enum blame_verdict of_another(struct blame *blame, bool is_slow)
{
    bool was_taking = blame->is_taking;

    blame->is_taking = false;
    if (blame->cleared_count >= CLEARED_MAX) {
        blame->cleared_count = 0;
        return BLAME_ALL;
    }
    if (was_taking)
        return is_slow ? BLAME_PAUSE : BLAME_OPEN;
    blame->told_count++;
    return blame->told_count < TOLD_MAX ? BLAME_PAUSE : BLAME_ALL;
}

enum blame_verdict blame_sign(
    struct blame *blame, const struct blame_who *who, bool is_slow, int64_t now_ms)
{
    if (!who) {
        blame->last_count = 0;
        blame->is_taking = false;
        return BLAME_ALL;
    }
    if (confirm(blame, who, now_ms)) {
        blame->cleared_count = 0;
        return BLAME_ONE;
    }
    open_case(blame, who, now_ms);
    if (blame->last_count && mid_equal(blame->last, who->message))
        return of_same(blame, now_ms);
    blame->last = who->message;
    blame->last_ms = now_ms;
    blame->last_count = 1;
    return of_another(blame, is_slow);
}
