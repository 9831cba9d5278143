/* A range that is read can be written, and what is written is read as the same range. */
#include "base/ip.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ip_range range, again;
    char text[IP_RANGE_TEXT_BYTES];

    if (!ip_range_parse(bytes_of(data, size), &range))
        return 0;
    ip_range_format(range, text);
    assert(ip_range_parse(bytes_text(text), &again));
    assert(ip_range_equal(range, again));
    assert(ip_range_contains(range, again) && ip_range_overlaps(range, again));
    /* A range of IPv6 may end among the IPv4 addresses, which it does not have: "::/80". */
    if (ip_is_v4(range.first) == ip_is_v4(range.last))
        assert(ip_range_has(range, range.first) && ip_range_has(range, range.last));
    return 0;
}
