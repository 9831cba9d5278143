#include "policy/slow_down.h"

static struct slow_down of_one(
    struct pace *pace, struct blame *blame, enum pace_sign sign, const struct blame_who *who)
{
    unsigned cuts = blame_take_cuts(blame, who);
    bool was_slow = pace_is_slow(pace);

    for (unsigned i = 0; i < cuts; i++)
        pace_take_back(pace, sign);
    return (struct slow_down){
        .is_one = true,
        .gets_more = cuts && was_slow,
        .is_recovered = was_slow && !pace_is_slow(pace),
    };
}

struct slow_down slow_down(struct pace *pace, struct blame *blame, enum pace_sign sign,
    const struct blame_who *who, uint32_t open, bool is_at_once, int64_t now_ms)
{
    struct slow_down did = { .is_one = false };
    bool was_slow = pace_is_slow(pace);

    switch (blame_sign(blame, who, was_slow, now_ms)) {
    case BLAME_ONE:
        return of_one(pace, blame, sign, who);
    case BLAME_OPEN:
        break;
    case BLAME_PAUSE:
        pace_pause(pace, now_ms);
        break;
    case BLAME_ALL:
        did.gets_less = pace_slow_down(pace, sign, open, is_at_once, now_ms);
        if (did.gets_less)
            blame_cut(blame, who, !was_slow);
    }
    return did;
}
