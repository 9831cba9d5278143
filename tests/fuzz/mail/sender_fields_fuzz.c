/* The first byte gives the size of the pieces.  Whole and in pieces give the same; when no address
 * has another name all is as it was; and no line is longer than one may be, unless it was. */
#include "base/mem.h"
#include "mail/sender_fields.h"

#include <assert.h>
#include <stdlib.h>

static char *rename_one(void *me, const struct address *address)
{
    const bool *renames = me;

    return *renames && address->domain.n % 2 ? mem_text("somebody.else@example.com") : NULL;
}

static uint32_t pass(struct bytes content, size_t piece, bool renames, struct buf *out)
{
    struct sender_fields fields;
    struct bytes run;
    uint32_t count;

    buf_init(out, 1 << 24);
    sender_fields_init(&fields, rename_one, &renames);
    for (size_t at = 0; at < content.n; at += piece) {
        struct bytes part = bytes_first(bytes_skip(content, at), piece);
        while (sender_fields_next(&fields, &part, &run)) {
            assert(run.n > 0);
            if (buf_add(out, run) != OK)
                abort();
        }
    }
    run = sender_fields_end(&fields);
    if (run.n && buf_add(out, run) != OK)
        abort();
    count = fields.count;
    sender_fields_done(&fields);
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes content = size > 1 ? bytes_of(data + 1, size - 1) : BYTES_NONE;
    struct buf whole, pieces, same;
    uint32_t count = pass(content, size + 1, true, &whole);

    assert(pass(content, size ? data[0] % 40 + 1u : 1, true, &pieces) == count);
    assert(bytes_equal(buf_bytes(&whole), buf_bytes(&pieces)));
    assert(pass(content, size + 1, false, &same) == 0);
    assert(bytes_equal(buf_bytes(&same), content));
    assert(count > 0 || bytes_equal(buf_bytes(&whole), content));
    buf_done(&whole);
    buf_done(&pieces);
    buf_done(&same);
    return 0;
}
