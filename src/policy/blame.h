/* Whom a host means that says "slow down": all of us, or one sender, or one recipient (SC-7,
 * QU-2).  Pure: the clock is the caller's, in milliseconds of any origin, never going back.
 *
 * "450 4.7.1 sending limit exceeded, 100 per hour" is said of either in the same words.  What
 * becomes of others tells: when a sender (or a recipient) is told so, another message gets
 * through, and he is told so again though nothing of his got through, then it is about him.  All
 * he has is deferred like any other refused message, and what the host got less for it is given
 * back.
 *
 * It is about all of us when several are told so in a row, and when messages that were told so
 * get through soon after.  Until then one sign among many that are taken changes nothing. */
#ifndef POLICY_BLAME_H
#define POLICY_BLAME_H

#include "base/id.h"

/* Of what the host has heard when it says so; 0: not yet, or it is several. */
struct blame_who {
    struct mid message;
    uint64_t sender, recipient; /* blame_sender(), blame_recipient() */
};
uint64_t blame_sender(struct bytes address);
uint64_t blame_recipient(struct bytes address);

/* A sign, and whom it may be about: of whom nothing got through since.  Both 0: no case. */
struct blame_case {
    uint64_t sender, recipient;
    int64_t sign_ms;
    uint8_t cuts;      /* so often the host got less for it */
    bool is_passed;    /* something else got through */
    bool is_confirmed; /* and he was told so again */
};

enum { BLAME_CASES = 32 };

/* Of one host.  Zeroed before the first use. */
struct blame {
    struct blame_case cases[BLAME_CASES];
    unsigned case_count;
    unsigned cleared_count; /* since one was confirmed: of whom it was neither's */
    bool is_taking;         /* something got through since the last sign */
    unsigned told_count; /* messages that were told so since, without the one that ended it */
    /* The message that was told so last, if nothing got through since; and how often in a row. */
    struct mid last;
    int64_t last_ms;
    unsigned last_count;
};

enum blame_verdict {
    BLAME_OPEN,  /* it may be his: others go first, and nothing else changes */
    BLAME_PAUSE, /* it looks like all, or nobody else is there: nothing goes for a while */
    BLAME_ALL,   /* the host gets less */
    BLAME_ONE,   /* its sender, its recipient, or it: the others may go on */
};

/* The host says so to WHO; NULL: to a session without a message.  IS_SLOW: it gets less
 * already, and is not tried further. */
enum blame_verdict blame_sign(
    struct blame *blame, const struct blame_who *who, bool is_slow, int64_t now_ms);

/* After BLAME_ALL: the host got less for it indeed.  IS_FIRST: it was as any other before, and
 * what it ever got less is over. */
void blame_cut(struct blame *blame, const struct blame_who *who, bool is_first);

/* After BLAME_ONE: how often it got less for what was his.  They count once. */
unsigned blame_take_cuts(struct blame *blame, const struct blame_who *who);

/* A message got through, to that recipient. */
void blame_accepted(struct blame *blame, uint64_t sender, uint64_t recipient);

/* Whether blame_accepted() has anything to note. */
static inline bool blame_is_open(const struct blame *blame)
{
    return blame->case_count || blame->last_count || !blame->is_taking;
}

#endif
