#include "flow/rates.h"

#include "base/hash.h"
#include "base/mem.h"
#include "os/clock.h"
#include "policy/limits.h"

#include <stdlib.h>

/* Who is told by 63 bits of a hash: two who share it share a limit, which nobody can bring
 * about without the seed. */
struct rates_row {
    struct {
        uint64_t who; /* 0: free */
        struct rate_window window;
    } ways[RATES_WAYS];
};

void rates_init(struct rates *rates)
{
    random_fill(&rates->seed, sizeof rates->seed);
    for (size_t i = 0; i < RATES_SHARDS; i++) {
        pthread_mutex_init(&rates->shards[i].lock, NULL);
        rates->shards[i].rows = NULL;
    }
}

void rates_done(struct rates *rates)
{
    for (size_t i = 0; i < RATES_SHARDS; i++) {
        pthread_mutex_destroy(&rates->shards[i].lock);
        free(rates->shards[i].rows);
    }
}

/* His window; a fresh one in the place of whoever was quiet for longest. */
static struct rate_window *find_window(struct rates_row *row, uint64_t who)
{
    size_t oldest = 0;

    for (size_t i = 0; i < RATES_WAYS; i++) {
        if (row->ways[i].who == who)
            return &row->ways[i].window;
        if (row->ways[i].window.minute < row->ways[oldest].window.minute)
            oldest = i;
    }
    row->ways[oldest].who = who;
    row->ways[oldest].window = (struct rate_window){ 0 };
    return &row->ways[oldest].window;
}

bool rates_take(struct rates *rates, struct bytes who, uint32_t per_minute, struct moment now)
{
    uint64_t hash = hash64(who, rates->seed);
    struct rates_shard *shard = &rates->shards[hash % RATES_SHARDS];
    size_t row = hash / RATES_SHARDS % RATES_ROWS;
    bool may;

    pthread_mutex_lock(&shard->lock);
    if (!shard->rows)
        shard->rows = mem_new(RATES_ROWS * sizeof *shard->rows);
    may = rate_take(find_window(&shard->rows[row], hash | 1), per_minute, now.ms);
    pthread_mutex_unlock(&shard->lock);
    return may;
}
