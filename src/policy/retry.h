/* When a next hop, or a message, is tried again (QU-2).  Pure; any thread. */
#ifndef POLICY_RETRY_H
#define POLICY_RETRY_H

#include "policy/settings.h"

/* The wait after the FAILURES-th failure in a row (from 1), with jitter of up to a tenth taken
 * from RANDOM (any number). */
int64_t retry_hop_ms(
    const struct send_connector *connector, uint32_t failures, uint32_t random);
int64_t retry_message_ms(const struct send_connector *connector, uint32_t random);

#endif
