/* Any bytes as a standing: what is taken for one says the same when it is written again. */
#include "spool/standing.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct standing standing, again;
    uint8_t bytes[STANDING_BYTES_MAX];
    size_t n;

    if (!standing_decode(bytes_of(data, size), &standing))
        return 0;
    n = standing_encode(&standing, bytes);
    assert(n <= size);
    assert(standing_decode(bytes_of(bytes, n), &again));
    assert(memcmp(&standing, &again, sizeof again) == 0);
    return 0;
}
