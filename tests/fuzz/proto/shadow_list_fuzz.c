/* Lists of recipients: a good one is walked in order, and written as a list of the same ones. */
#include "shadow_fuzz.h"

enum { COUNT = 300 };

static bool is_in(const void *me, uint32_t recipient)
{
    return ((const bool *)me)[recipient];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct shadow_list_cursor cursor = { bytes_of(data, size) };
    bool in[COUNT] = { false }, again[COUNT] = { false };
    uint32_t first, last, next = 0;
    struct buf out;

    if (!shadow_list_check(cursor.rest, COUNT))
        return 0;
    while (shadow_list_next(&cursor, &first, &last)) {
        assert(first >= next && first <= last && last < COUNT);
        for (next = first; next <= last; next++)
            in[next] = true;
    }
    buf_init(&out, 1 << 16);
    fuzz_must(shadow_list_add(&out, COUNT, is_in, in));
    cursor.rest = buf_bytes(&out);
    assert(shadow_list_check(cursor.rest, COUNT));
    while (shadow_list_next(&cursor, &first, &last))
        for (uint32_t i = first; i <= last; i++)
            again[i] = true;
    assert(memcmp(in, again, sizeof in) == 0);
    buf_done(&out);
    return 0;
}
