#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t hash64(struct bytes bytes, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes.at, bytes.n, seed);
}

uint64_t hash64_runs(const struct bytes *runs, size_t run_count, uint64_t seed)
{
    XXH3_state_t state;

    if (run_count == 1)
        return hash64(runs[0], seed);
    XXH3_INITSTATE(&state);
    XXH3_64bits_reset_withSeed(&state, seed);
    for (size_t i = 0; i < run_count; i++)
        XXH3_64bits_update(&state, runs[i].at, runs[i].n);
    return XXH3_64bits_digest(&state);
}

struct mid hash_mid(struct bytes bytes)
{
    XXH128_canonical_t canonical;
    struct mid mid;

    XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes.at, bytes.n));
    memcpy(mid.byte, canonical.digest, sizeof mid.byte);
    return mid;
}
