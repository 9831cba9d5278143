/* The first byte gives the flags, the rest is the path.  What is read has no control byte, is
 * made of its parts, and is read again as the same. */
#include "mail/address.h"

#include <assert.h>

static void check_address(const struct address *address, unsigned flags)
{
    struct address again;

    for (size_t i = 0; i < address->text.n; i++)
        assert(address->text.at[i] >= ' ' && address->text.at[i] != 127);
    assert(address->text.n <= ADDRESS_BYTES_MAX);
    assert(address->text.n ==
           address->local.n + address->domain.n + (address->domain.n > 0 ? 1 : 0));
    assert(!address->is_utf8 || (flags & ADDRESS_UTF8));
    assert(!address->domain.n || address->is_literal == domain_is_literal(address->domain));
    assert(!address->domain.n || address->is_literal != domain_is_name(address->domain));
    assert(address_parse(address->text, flags, &again) == ADDRESS_OK);
    assert(bytes_equal(again.local, address->local));
    assert(bytes_equal(again.domain, address->domain));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct address address;
    struct bytes text = size ? bytes_of(data + 1, size - 1) : BYTES_NONE;
    unsigned flags = size ? data[0] & 31u : 0;
    size_t used;

    if (address_parse_path(text, flags, &address, &used) == ADDRESS_OK) {
        assert(used <= text.n && used > 0);
        check_address(&address, flags);
    }
    if (address_parse(text, flags, &address) == ADDRESS_OK)
        check_address(&address, flags);
    return 0;
}
