#include "daemon/control_tally.h"

#include "base/mem.h"
#include "os/clock.h"

#include <stdlib.h>

enum { STRETCH = 256, FIRST_AGE_MS = 5 * 60000 };

static uint64_t hash_of(uint32_t number)
{
    return number * UINT64_C(0x9E3779B97F4A7C15);
}

static unsigned age_of(int64_t ms)
{
    unsigned at = 0;

    for (int64_t limit = FIRST_AGE_MS; at + 1 < TALLY_AGES && ms >= limit; limit *= 2)
        at++;
    return at;
}

static struct hop_tally *find(const struct table *tallies, uint32_t number)
{
    struct table_node *n = table_first(tallies, hash_of(number));

    for (; n; n = table_next(n)) {
        struct hop_tally *tally = container_of(n, struct hop_tally, by_number);
        if (tally->number == number)
            return tally;
    }
    return NULL;
}

static struct hop_tally *find_or_make(struct table *tallies, uint32_t number)
{
    struct hop_tally *tally = find(tallies, number);

    if (tally)
        return tally;
    tally = mem_new(sizeof *tally);
    tally->number = number;
    table_add(tallies, &tally->by_number, hash_of(number));
    return tally;
}

static void count(struct hop_tally *tally, const struct message *message, int64_t now_ms)
{
    if (tally->messages++ == 0 || message->arrived.ms < tally->oldest_ms)
        tally->oldest_ms = message->arrived.ms;
    tally->ages[age_of(now_ms - message->arrived.ms)]++;
    tally->bytes += message->entry.content_bytes;
}

/* Once in each queue, however many items of it stand there. */
static void count_message(
    struct hop_tallies *tallies, const struct message *message, int64_t now_ms)
{
    tallies->met++;
    for (const struct item *item = &message->first; item; item = item->next) {
        struct hop_tally *tally;
        if (item->state == ITEM_DONE || !item->hop)
            continue;
        tally = find_or_make(&tallies->by_number, item->hop->number);
        if (tally->last == tallies->met)
            continue;
        tally->last = tallies->met;
        count(tally, message, now_ms);
    }
}

static void free_tally(struct table_node *node, void *me)
{
    table_remove(me, node);
    free(container_of(node, struct hop_tally, by_number));
}

void hop_tallies_begin(struct hop_tallies *tallies, struct queue *queue)
{
    tallies->queue = queue;
    tallies->met = 0;
    table_init(&tallies->by_number);
    queue_walk_begin(queue, &tallies->walk);
}

void hop_tallies_end(struct hop_tallies *tallies)
{
    queue_walk_end(&tallies->walk);
    table_each(&tallies->by_number, free_tally, &tallies->by_number);
    table_done(&tallies->by_number);
}

bool hop_tallies_count(struct hop_tallies *tallies, int64_t until_ms)
{
    int64_t now_ms = loop_wall(tallies->queue->loop).ms;

    do {
        for (int i = 0; i < STRETCH; i++) {
            struct message *message = queue_walk_next(tallies->queue, &tallies->walk);
            if (!message)
                return false;
            count_message(tallies, message, now_ms);
        }
    } while (clock_moment().ms < until_ms);
    return true;
}

const struct hop_tally *hop_tallies_find(const struct hop_tallies *tallies, uint32_t number)
{
    return find(&tallies->by_number, number);
}
