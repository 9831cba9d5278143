#include "ctl/histogram.h"

/* Values below 2 * STEPS have a bucket each; above, the upper 8 bits of the value choose. */
static unsigned bucket_of(uint64_t value)
{
    unsigned shift = 0, bucket;

    if (value >= 2 * HISTOGRAM_STEPS)
        shift = 63u - (unsigned)__builtin_clzll(value) - 7u;
    bucket = shift * HISTOGRAM_STEPS + (unsigned)(value >> shift);
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

/* The largest value of a bucket. */
static uint64_t end_of(unsigned bucket)
{
    unsigned shift = bucket < 2 * HISTOGRAM_STEPS ? 0 : bucket / HISTOGRAM_STEPS - 1;
    uint64_t upper = bucket - shift * HISTOGRAM_STEPS;

    return ((upper + 1) << shift) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
    histogram->buckets[bucket_of(value)]++;
    histogram->count++;
    if (value > histogram->max)
        histogram->max = value;
}

uint64_t histogram_at(const struct histogram *histogram, double part)
{
    double wanted = part * (double)histogram->count;
    uint64_t seen = 0, end;

    if (part >= 1)
        return histogram->max;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen && (double)seen >= wanted) {
            end = end_of(i);
            return end < histogram->max ? end : histogram->max;
        }
    }
    return histogram->max;
}
