/* Any text as a filter: parsed or refused, and then held against a message. */
#include "policy/filter.h"

#include <assert.h>
#include <stdlib.h>

static bool get(void *me, enum filter_field field, unsigned at, struct filter_value *out)
{
    (void)me;
    if (at > (field == FILTER_RECIPIENT))
        return false;
    out->text = at ? BYTES("c@example.net") : BYTES("a*b?@example.com");
    out->number = (int64_t)field * 1000;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum filter_over over[] = { FILTER_MESSAGES, FILTER_QUEUES };

    for (size_t i = 0; i < 2; i++) {
        char why[FILTER_WHY_BYTES] = "";
        struct filter *filter;
        if (filter_parse(bytes_of(data, size), over[i], &filter, why) != OK) {
            assert(why[0]);
            continue;
        }
        filter_fits(filter, get, NULL);
        free(filter);
    }
    return 0;
}
