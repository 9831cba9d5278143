/* How many messages each source, or user, has sent in this minute (PE-8).  Any thread.
 *
 * Asked for connectors with such a limit alone.  Memory has a ceiling: what was heard of longest
 * ago is forgotten first, and begins anew. */
#ifndef FLOW_RATES_H
#define FLOW_RATES_H

#include "base/bytes.h"
#include "base/time.h"

#include <pthread.h>

enum { RATES_SHARDS = 16, RATES_ROWS = 1024, RATES_WAYS = 4 };
enum { RATES_SOURCES_MAX = RATES_SHARDS * RATES_ROWS * RATES_WAYS };

struct rates {
    uint64_t seed; /* so that nobody can choose whose place he takes */
    struct rates_shard {
        pthread_mutex_t lock;
        struct rates_row *rows; /* NULL until somebody asks */
    } shards[RATES_SHARDS];
};

void rates_init(struct rates *rates);
void rates_done(struct rates *rates);

/* Counts a message of WHO ("connector", NUL, address or user) at NOW.  False: it is one too many,
 * and was not counted. */
bool rates_take(struct rates *rates, struct bytes who, uint32_t per_minute, struct moment now);

#endif
