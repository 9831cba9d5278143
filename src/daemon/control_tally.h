/* What waits in each queue: counted by going through all messages, a stretch at a time.  Home loop. */
#ifndef DAEMON_CONTROL_TALLY_H
#define DAEMON_CONTROL_TALLY_H

#include "flow/queue/queue.h"

/* Under 5, 10, 20 ... 1280 minutes, and above. */
enum { TALLY_AGES = 10 };

/* Of one hop. */
struct hop_tally {
    struct table_node by_number;
    uint32_t number; /* of the hop */
    uint64_t last;   /* which of the messages met was counted last */
    uint32_t messages, ages[TALLY_AGES];
    int64_t oldest_ms; /* wall */
    uint64_t bytes;
};

struct hop_tallies {
    struct queue *queue;
    struct queue_walk walk;
    uint64_t met; /* messages */
    struct table by_number;
};

void hop_tallies_begin(struct hop_tallies *tallies, struct queue *queue);
void hop_tallies_end(struct hop_tallies *tallies);

/* Counts until the moment UNTIL_MS, some messages at the least; true: there are more.  What comes
 * meanwhile is counted too, what goes may have been. */
bool hop_tallies_count(struct hop_tallies *tallies, int64_t until_ms);

/* NULL: nothing was met there. */
const struct hop_tally *hop_tallies_find(const struct hop_tallies *tallies, uint32_t number);

#endif
