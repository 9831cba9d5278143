/* Recipients of one message who are one mailbox: named twice, or by two aliases.  Pure; any
 * thread.
 *
 * He gets one copy.  RFC 3461 has no word for it; so that nothing that was asked for is lost,
 *
 * 1. the one named first stays where it stands;
 * 2. whatever one of them wants to be told (NOTIFY) is told, once; NEVER is asked for by all;
 * 3. ORCPT is that of the first who wants to be told anything.
 *
 * Case does not count in a local part, as it does not elsewhere (policy/aliases.h). */
#ifndef POLICY_DUPLICATES_H
#define POLICY_DUPLICATES_H

#include "mail/envelope.h"

/* Takes the others out of LIST, in place and in its order, and returns how many there are then.
 * HOME is the domain of addresses without one.  SEED is one that clients cannot know, so that
 * nobody can choose addresses that are slow to tell apart.  An alias that was expanded is not the
 * mailbox of that name. */
uint32_t recipients_merge(
    struct recipient *list, uint32_t count, struct bytes home, uint64_t seed);

#endif
