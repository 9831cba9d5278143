/* What goes first (QU-6).  Pure; any thread. */
#ifndef POLICY_PRIORITY_H
#define POLICY_PRIORITY_H

#include "policy/settings.h"

/* The lists of a next hop's queue. */
enum priority { PRIORITY_HIGH, PRIORITY_NORMAL, PRIORITY_LOW };
enum { PRIORITY_COUNT = 3 };

/* Of a level as MT-PRIORITY counts them (RFC 6710): -9..9, 0 is normal. */
enum priority priority_of(int level);
const char *priority_name(enum priority priority); /* "high" */

/* What a client says of its mail. */
struct priority_wish {
    int8_t mail; /* MT-PRIORITY= of MAIL; 0: it said nothing, or "normal" */
    int8_t
        header; /* of X-Priority, Importance or Priority (mail/scan.h); 0: nothing, or normal */
};

/* The level that a message gets.  Who is not trusted may ask for less, not for more than the
 * connector gives to all. */
int8_t priority_level(
    const struct receive_connector *connector, const struct priority_wish *wish);

/* Which list is looked at first for the TURN-th message of a next hop: the highest mostly.  Of 16
 * messages one is the low's, and one more the normal's, so that nothing starves. */
enum priority priority_turn(unsigned turn);

#endif
