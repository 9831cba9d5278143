/* A line of the control socket: any bytes; what is taken must be written and read again as the
 * same object. */
#include "proto/ctl/ctl.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ctl_object *object, *again;
    struct buf once, twice;
    char why[160];

    if (ctl_parse(bytes_of(data, size), &object, why) != OK)
        return 0;
    buf_init(&once, 64 << 20);
    buf_init(&twice, 64 << 20);
    if (ctl_format(object, &once) == OK && once.n <= CTL_LINE_BYTES_MAX) {
        assert(ctl_parse(bytes_of(once.at, once.n - 1), &again, why) == OK);
        assert(ctl_format(again, &twice) == OK);
        assert(bytes_equal(buf_bytes(&once), buf_bytes(&twice)));
        ctl_free(again);
    }
    err_ignore(ctl_data(object, "data", &twice));
    buf_done(&once);
    buf_done(&twice);
    ctl_free(object);
    return 0;
}
