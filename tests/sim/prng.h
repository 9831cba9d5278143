/* Chance from a seed: the only source of it in a simulation.  xoshiro-like, splitmix64. */
#ifndef SIM_PRNG_H
#define SIM_PRNG_H

#include <stdbool.h>
#include <stdint.h>

struct prng {
    uint64_t state;
};

static inline uint64_t prng_next(struct prng *prng)
{
    uint64_t z = prng->state += 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

/* 0 to N - 1. */
static inline uint64_t prng_below(struct prng *prng, uint64_t n)
{
    return n ? prng_next(prng) % n : 0;
}

/* FROM to TO, both possible. */
static inline int64_t prng_between(struct prng *prng, int64_t from, int64_t to)
{
    return from + (int64_t)prng_below(prng, (uint64_t)(to - from + 1));
}

static inline bool prng_chance(struct prng *prng, unsigned percent)
{
    return prng_below(prng, 100) < percent;
}

/* Mostly short, now and then long: FROM to TO, spread over the powers of two between. */
static inline int64_t prng_spread(struct prng *prng, int64_t from, int64_t to)
{
    int64_t top = from;

    while (top < to && prng_chance(prng, 60))
        top = 2 * top + 1;
    return prng_between(prng, from, top < to ? top : to);
}

#endif
