/* From the tail on there are lines: up to the head, or, when the head is before the tail, up to the
 * turn and then from the start up to the head.
 *
 * 1. The adder never lets its end reach the tail from below, so head == tail says "empty" alone.
 * 2. It sets the turn before it publishes a head before the tail (release), so whoever sees such a
 *    head (acquire) sees the turn that belongs to it.
 * 3. It turns only when its end is not before the tail: then nobody needs the last turn any more. */
#include "report/ring.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

void ring_init(struct ring *ring, size_t bytes)
{
    *ring = (struct ring){ .at = mem_new(bytes), .bytes = bytes };
}

void ring_done(struct ring *ring)
{
    free(ring->at);
    ring->at = NULL;
}

static size_t tail_of(const struct ring *ring)
{
    return atomic_load_explicit(&ring->tail, memory_order_acquire);
}

static size_t head_of(const struct ring *ring)
{
    return atomic_load_explicit(&ring->head, memory_order_acquire);
}

char *ring_room(struct ring *ring, size_t n)
{
    size_t tail = tail_of(ring);

    assert(n < ring->bytes / 2);
    if (ring->wrote < tail)
        return tail - ring->wrote > n ? ring->at + ring->wrote : NULL;
    if (ring->bytes - ring->wrote >= n)
        return ring->at + ring->wrote;
    if (tail <= n)
        return NULL;
    atomic_store_explicit(&ring->turn, ring->wrote, memory_order_relaxed);
    ring->wrote = 0;
    return ring->at;
}

void ring_wrote(struct ring *ring, size_t n)
{
    ring->wrote += n;
    ring->hidden += n;
    assert(ring->wrote <= ring->bytes);
}

void ring_publish(struct ring *ring)
{
    atomic_store_explicit(&ring->head, ring->wrote, memory_order_release);
    ring->hidden = 0;
}

struct bytes ring_take(const struct ring *ring)
{
    size_t head = head_of(ring);
    size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed); /* the taker's own */
    size_t turn;

    if (head >= tail)
        return bytes_of(ring->at + tail, head - tail);
    turn = atomic_load_explicit(&ring->turn, memory_order_relaxed);
    assert(tail <= turn);
    return tail < turn ? bytes_of(ring->at + tail, turn - tail) : bytes_of(ring->at, head);
}

void ring_taken(struct ring *ring, size_t n)
{
    size_t head = head_of(ring);
    size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

    if (head < tail && tail == atomic_load_explicit(&ring->turn, memory_order_relaxed))
        tail = 0; /* what was taken began there */
    atomic_store_explicit(&ring->tail, tail + n, memory_order_release);
}

size_t ring_waiting(const struct ring *ring)
{
    size_t tail = tail_of(ring);
    size_t turn = atomic_load_explicit(&ring->turn, memory_order_relaxed);

    return ring->wrote >= tail ? ring->wrote - tail : turn - tail + ring->wrote;
}
