/* Lines on their way from the one thread that makes them to the one that writes them: a run of
 * bytes that is used round and round, without a lock.
 *
 * One thread adds (ring_room, ring_wrote, ring_publish), one takes (ring_take, ring_taken); the
 * latter may be different threads behind a lock of theirs.  What is added is seen when it is
 * published.  A line never lies across the end: pieces that are taken are whole lines. */
#ifndef REPORT_RING_H
#define REPORT_RING_H

#include "base/bytes.h"

#include <stdatomic.h>

struct ring {
    char *at;
    size_t bytes;
    size_t wrote;             /* the adder's: up to here there are lines, published or not */
    size_t hidden;            /* the adder's: bytes that are not published yet */
    atomic_size_t head, tail; /* between them is what may be taken; equal: nothing */
    atomic_size_t
        turn; /* where the adder went back to the start, while the tail is behind it */
};

void ring_init(struct ring *ring, size_t bytes);
void ring_done(struct ring *ring); /* what is in it is lost */

/* Room for N bytes (less than half of the ring); NULL: it is full until some are taken. */
char *ring_room(struct ring *ring, size_t n);
void ring_wrote(struct ring *ring, size_t n); /* N of the room were used */
void ring_publish(struct ring *ring);

/* The next lines; none: it is empty.  There may be more behind them. */
struct bytes ring_take(const struct ring *ring);
void ring_taken(struct ring *ring, size_t n); /* as many as ring_take() gave */

/* The adder's view of how many bytes wait to be taken. */
size_t ring_waiting(const struct ring *ring);

#endif
