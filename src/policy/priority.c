#include "policy/priority.h"

#include <assert.h>

enum { TURNS = 16, LOW_TURN = 15, NORMAL_TURN = 7 };

enum priority priority_of(int level)
{
    if (level == 0)
        return PRIORITY_NORMAL;
    return level > 0 ? PRIORITY_HIGH : PRIORITY_LOW;
}

const char *priority_name(enum priority priority)
{
    static const char *const names[PRIORITY_COUNT] = { "high", "normal", "low" };

    assert((unsigned)priority < PRIORITY_COUNT);
    return names[priority];
}

/* RFC 6710, 5.1: a server may change what it does not trust.  The parameter, which was made for
 * this, counts more than a field that a mail program has set. */
int8_t priority_level(
    const struct receive_connector *connector, const struct priority_wish *wish)
{
    int8_t asked = wish->mail ? wish->mail : wish->header;

    if (asked == 0)
        return connector->priority;
    if (connector->trusts_priority || asked < connector->priority)
        return asked;
    return connector->priority;
}

enum priority priority_turn(unsigned turn)
{
    switch (turn % TURNS) {
    case LOW_TURN:
        return PRIORITY_LOW;
    case NORMAL_TURN:
        return PRIORITY_NORMAL;
    default:
        return PRIORITY_HIGH;
    }
}
