/* How many messages each source, or user, has sent in this minute (PE-8).  Any thread.
 *
 * Asked for connectors with such a limit alone.  Memory has a ceiling: what was heard of longest
 * ago is forgotten first, and begins anew. */
#ifndef FLOW_RATES_H
#define FLOW_RATES_H

#include "base/bytes.h"
#include "base/ip.h"
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

/* Who is counted: a user, or the source of somebody who is none, at one connector. */
struct rates_who {
    uint8_t key[512];
    size_t n;
};
/* USER: NULL: SOURCE counts, of limits_source(). */
void rates_who(
    const char *connector, const char *user, struct ip source, struct rates_who *out);

/* Counts a message of WHO at NOW.  False: it is one too many, and was not counted. */
bool rates_take(
    struct rates *rates, const struct rates_who *who, uint32_t per_minute, struct moment now);
/* How many of his count at NOW. */
uint32_t rates_count(struct rates *rates, const struct rates_who *who, struct moment now);

#endif
