#include "policy/retry.h"

#include <assert.h>

/* Up to a tenth less, so that what failed together is not tried together for ever. */
static int64_t jittered(int64_t wait_ms, uint32_t random)
{
    uint64_t tenth = (uint64_t)wait_ms / 10;

    return wait_ms - (int64_t)((tenth * (random >> 16)) >> 16);
}

int64_t retry_hop_ms(const struct send_connector *connector, uint32_t failures, uint32_t random)
{
    size_t last = connector->retry_count - 1;
    size_t at;

    assert(connector->retry_count > 0);
    at = failures ? failures - 1 : 0;
    return jittered(connector->retry_ms[at < last ? at : last], random);
}

int64_t retry_message_ms(const struct send_connector *connector, uint32_t random)
{
    return jittered(connector->message_retry_ms, random);
}
