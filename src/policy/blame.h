/* Whom a host means that says "slow down": all of us, or one sender, or one recipient (SC-7,
 * QU-2).  Pure: the clock is the caller's, in milliseconds of any origin, never going back.
 *
 * "450 4.7.1 sending limit exceeded, 100 per hour" is said of either in the same words.  What
 * becomes of others tells: when a sender (or a recipient) is told so, another message gets
 * through, and he is told so again though nothing of his got through, then it is about him.  All
 * he has is deferred like any other refused message, and the host is as fast as it was.  It is
 * about all of us as long as that is not so. */
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

/* Told so, and nothing of it got through since. */
struct blame_suspect {
    uint64_t key; /* 0: nobody */
    int64_t sign_ms;
    bool is_passed; /* something else did */
};

enum { BLAME_SUSPECTS = 16 };

/* Of one host.  Zeroed before the first use. */
struct blame {
    struct blame_suspect suspects[BLAME_SUSPECTS];
    unsigned suspect_count;
    /* What all signs have in common since the host is slow; 0: nothing. */
    uint64_t sender, recipient;
    /* The message that was told so last, if nothing got through since; and how often in a row. */
    struct mid last;
    int64_t last_ms;
    unsigned last_count;
};

enum blame_verdict {
    BLAME_ALL,
    BLAME_AGAIN,    /* the same message after its pause: nothing new, but the next is longer */
    BLAME_ONE,      /* its sender, its recipient, or it: the others may go on */
    BLAME_ONE_ONLY, /* and there was no sign but such since the host is slow: it need not be */
};

/* The host says so to WHO; NULL: to a session without a message.  IS_SLOW: it has been before. */
enum blame_verdict blame_sign(
    struct blame *blame, const struct blame_who *who, bool is_slow, int64_t now_ms);

/* A message got through, to that recipient. */
void blame_accepted(struct blame *blame, uint64_t sender, uint64_t recipient);

/* Whether blame_accepted() has anything to note. */
static inline bool blame_is_open(const struct blame *blame)
{
    return blame->suspect_count || blame->last_count;
}

#endif
