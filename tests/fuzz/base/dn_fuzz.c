/* A name that is read stays within its room, and is equal to itself. */
#include "base/dn.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct dn dn, again;

    if (!dn_parse(bytes_of(data, size), &dn))
        return 0;
    assert(dn.count > 0 && dn.count <= DN_PARTS_MAX && dn.n <= DN_BYTES_MAX);
    for (size_t i = 0; i < dn.count; i++) {
        assert(dn.parts[i].type_n > 0 && dn.parts[i].type_at + dn.parts[i].type_n <= dn.n);
        assert(dn.parts[i].at + dn.parts[i].n <= dn.n);
    }
    assert(dn_parse(bytes_of(data, size), &again) && dn_equal(&dn, &again));
    return 0;
}
