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

void rates_who(const char *connector, const char *user, struct ip source, struct rates_who *out)
{
    struct bytes who = user ? bytes_text(user) : bytes_of(source.byte, sizeof source.byte);

    out->n = strlen(connector) + 1;
    memcpy(out->key, connector, out->n);
    out->key[out->n++] = user != NULL; /* no name is taken for an address */
    who = bytes_first(who, sizeof out->key - out->n);
    memcpy(out->key + out->n, who.at, who.n);
    out->n += who.n;
}

/* His place in the row; RATES_WAYS: he has none. */
static size_t find_way(const struct rates_row *row, uint64_t who)
{
    size_t i = 0;

    while (i < RATES_WAYS && row->ways[i].who != who)
        i++;
    return i;
}

/* His window; a fresh one in the place of whoever was quiet for longest. */
static struct rate_window *take_window(struct rates_row *row, uint64_t who)
{
    size_t at = find_way(row, who);

    if (at < RATES_WAYS)
        return &row->ways[at].window;
    at = 0;
    for (size_t i = 1; i < RATES_WAYS; i++) {
        if (row->ways[i].window.minute < row->ways[at].window.minute)
            at = i;
    }
    row->ways[at].who = who;
    row->ways[at].window = (struct rate_window){ 0 };
    return &row->ways[at].window;
}

/* Where he is looked for. */
struct place {
    struct rates_shard *shard;
    size_t row;
    uint64_t who; /* never 0 */
};

static struct place place_of(struct rates *rates, const struct rates_who *who)
{
    uint64_t hash = hash64(bytes_of(who->key, who->n), rates->seed);

    return (struct place){ &rates->shards[hash % RATES_SHARDS],
        hash / RATES_SHARDS % RATES_ROWS, hash | 1 };
}

bool rates_take(
    struct rates *rates, const struct rates_who *who, uint32_t per_minute, struct moment now)
{
    struct place at = place_of(rates, who);
    bool may;

    pthread_mutex_lock(&at.shard->lock);
    if (!at.shard->rows)
        at.shard->rows = mem_new(RATES_ROWS * sizeof *at.shard->rows);
    may = rate_take(take_window(&at.shard->rows[at.row], at.who), per_minute, now.ms);
    pthread_mutex_unlock(&at.shard->lock);
    return may;
}

uint32_t rates_count(struct rates *rates, const struct rates_who *who, struct moment now)
{
    struct place at = place_of(rates, who);
    uint32_t count = 0;
    size_t way;

    pthread_mutex_lock(&at.shard->lock);
    way = at.shard->rows ? find_way(&at.shard->rows[at.row], at.who) : RATES_WAYS;
    if (way < RATES_WAYS)
        count = rate_count(&at.shard->rows[at.row].ways[way].window, now.ms);
    pthread_mutex_unlock(&at.shard->lock);
    return count;
}
