/* A file of tracking lines, comma-separated or JSON: every value lies in the line or in the room,
 * and recipients come to an end. */
#include "report/tracking.h"

#include <assert.h>
#include <stdlib.h>

static bool lies_in(struct bytes value, struct bytes whole)
{
    return value.n == 0 || (value.at >= whole.at && value.at + value.n <= whole.at + whole.n);
}

static void check_line(struct bytes text, struct tracking_layout *layout)
{
    uint8_t *room = malloc(text.n ? text.n : 1);
    struct tracking_line line;

    if (tracking_parse(text, layout, room, &line) == TRACKING_LINE) {
        struct bytes list = line.column[TRACKING_RECIPIENTS], one;
        for (unsigned i = 0; i < TRACKING_COLUMN_COUNT; i++)
            assert(lies_in(line.column[i], text) ||
                   lies_in(line.column[i], bytes_of(room, text.n)));
        while (tracking_next_recipient(&list, &one))
            assert(lies_in(one, line.column[TRACKING_RECIPIENTS]));
    }
    free(room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes rest = bytes_of(data, size);
    struct tracking_layout layout = { 0 };

    while (rest.n) {
        size_t lf = bytes_find(rest, '\n');
        check_line(bytes_first(rest, lf), &layout);
        rest = lf == BYTES_NOT_FOUND ? BYTES_NONE : bytes_skip(rest, lf + 1);
    }
    return 0;
}
