/* Counts of values with a relative error below 1 %: each power of two has 128 buckets.  Adding
 * costs a few instructions, whatever the value.  One thread. */
#ifndef CTL_HISTOGRAM_H
#define CTL_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_STEPS = 128, HISTOGRAM_BUCKETS = HISTOGRAM_STEPS * 40 };

/* Zeroed before its first use. */
struct histogram {
    uint64_t count, max;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t value);

/* The value that PART (0..1) of all are not above; 0 when there are none.  The part 1 is the
 * exact maximum. */
uint64_t histogram_at(const struct histogram *histogram, double part);

#endif
