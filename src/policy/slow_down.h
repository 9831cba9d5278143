/* What a host gets after it said "slow down" (SC-7): whom it means (policy/blame.h), and what
 * that does to its pace (policy/pace.h).  Pure, as these are. */
#ifndef POLICY_SLOW_DOWN_H
#define POLICY_SLOW_DOWN_H

#include "policy/blame.h"
#include "policy/pace.h"

struct slow_down {
    bool is_one;       /* it is about WHO alone, whose message is refused like any other */
    bool gets_less;    /* than before */
    bool gets_more;    /* than before: what it got less for was about WHO */
    bool is_recovered; /* and that was all */
};

/* It has said SIGN (not NONE) to WHO, when OPEN connections were there; NULL: to a session.
 * IS_AT_ONCE: as an answer to the connection itself. */
struct slow_down slow_down(struct pace *pace, struct blame *blame, enum pace_sign sign,
    const struct blame_who *who, uint32_t open, bool is_at_once, int64_t now_ms);

#endif
