/* The first byte gives the size of the pieces.  Whole and in pieces give the same, and what is
 * kept has none of the fields: taken out again, nothing is. */
#include "mail/strip.h"

#include <assert.h>
#include <stdlib.h>

static size_t strip_all(struct bytes content, size_t piece, uint8_t *out, uint32_t *count)
{
    struct strip strip;
    struct bytes run, held;
    size_t n = 0;

    strip_init(&strip, true);
    for (size_t at = 0; at < content.n; at += piece) {
        struct bytes part = bytes_first(bytes_skip(content, at), piece);
        while (strip_next(&strip, &part, &run)) {
            assert(run.n > 0 && n + run.n <= content.n);
            memcpy(out + n, run.at, run.n);
            n += run.n;
        }
    }
    held = strip_end(&strip);
    if (held.n)
        memcpy(out + n, held.at, held.n);
    *count = strip.count;
    return n + held.n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes content = size > 1 ? bytes_of(data + 1, size - 1) : BYTES_NONE;
    uint8_t *whole = malloc(size + 1), *pieces = malloc(size + 1);
    uint32_t count, again;
    size_t n;

    if (!whole || !pieces)
        abort();
    n = strip_all(content, size + 1, whole, &count);
    assert(strip_all(content, size ? data[0] % 40 + 1u : 1, pieces, &again) == n);
    assert(memcmp(whole, pieces, n) == 0 && count == again);
    assert(count > 0 || n == content.n);
    assert(strip_all(bytes_of(whole, n), n + 1, pieces, &again) == n && again == 0);
    free(whole);
    free(pieces);
    return 0;
}
