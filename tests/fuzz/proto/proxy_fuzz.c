/* PROXY headers.  The first byte chooses how the rest is split: whole and split must come out the same, and
 * take the same from the front. */
#include "proto/proxy/proxy.h"

#include <assert.h>
#include <stdlib.h>

struct outcome {
    enum proxy_progress progress;
    struct proxy_header header;
    const char *why;
    size_t used;
};

static void play(struct bytes in, size_t step, struct outcome *out)
{
    struct proxy_reader *reader = calloc(1, sizeof *reader);

    assert(reader);
    *out = (struct outcome){ .progress = PROXY_MORE };
    while (out->used < in.n && out->progress == PROXY_MORE) {
        struct bytes part = bytes_first(bytes_skip(in, out->used), step);
        size_t used;
        out->progress = proxy_read(reader, part, &used, &out->header, &out->why);
        assert(used <= part.n && (used == part.n || out->progress != PROXY_MORE));
        out->used += used;
    }
    assert(out->used <= PROXY_BYTES_MAX);
    free(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outcome whole, split;
    struct bytes in;

    if (size < 1)
        return 0;
    in = bytes_of(data + 1, size - 1);
    play(in, in.n ? in.n : 1, &whole);
    play(in, 1 + data[0] % 32, &split);
    assert(whole.progress == split.progress && whole.used == split.used);
    assert(whole.why == split.why);
    if (whole.progress == PROXY_DONE) {
        assert(whole.header.kind == split.header.kind);
        assert(whole.header.source_port == split.header.source_port);
        assert(ip_compare(whole.header.source, split.header.source) == 0);
        assert(proxy_look(in) == PROXY_LOOKS_SO);
    }
    return 0;
}
