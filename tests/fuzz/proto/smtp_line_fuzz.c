/* Lines come out the same however their bytes arrive.  The first byte says how. */
#include "base/buf.h"
#include "proto/smtp/line.h"

#include <assert.h>

enum { LINE_BYTES = 24 };

struct reader {
    bool tolerates, skips;
    struct buf seen;
};

static void see(struct reader *reader, struct bytes text)
{
    enum err err = buf_add(&reader->seen, text);
    assert(err == OK);
}

static enum smtp_line take(struct reader *reader, struct bytes in, size_t *used)
{
    struct bytes line = BYTES_NONE;
    enum smtp_line got = reader->skips
                             ? smtp_line_skip(in, reader->tolerates, used)
                             : smtp_line_cut(in, LINE_BYTES, reader->tolerates, &line, used);

    assert(*used <= in.n);
    if (got == SMTP_LINE_MORE)
        return got;
    assert(*used > 0);
    if (got == SMTP_LINE_DONE && !reader->skips) {
        assert(line.n + 1 + !reader->tolerates <= LINE_BYTES);
        assert(bytes_find(line, '\n') == BYTES_NOT_FOUND);
        assert(bytes_find(line, '\r') == BYTES_NOT_FOUND);
        assert(bytes_find(line, 0) == BYTES_NOT_FOUND);
        see(reader, line);
    }
    see(reader, got == SMTP_LINE_DONE   ? BYTES("\n")
                : got == SMTP_LINE_BARE ? BYTES("\nB\n")
                                        : BYTES("\nL\n"));
    reader->skips = got != SMTP_LINE_DONE;
    return got;
}

static void read_by(struct reader *reader, struct bytes in, size_t step)
{
    size_t at = 0, end = 0;

    while (true) {
        size_t used;
        enum smtp_line got = take(reader, bytes_skip(bytes_first(in, end), at), &used);

        at += used;
        if (got == SMTP_LINE_MORE && end == in.n)
            return;
        if (got == SMTP_LINE_MORE)
            end = end + step < in.n ? end + step : in.n;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader whole = { 0 }, split = { 0 };
    struct bytes in;

    if (size == 0)
        return 0;
    in = bytes_of(data + 1, size - 1);
    whole.tolerates = split.tolerates = data[0] & 1;
    buf_init(&whole.seen, 16 << 20);
    buf_init(&split.seen, 16 << 20);
    read_by(&whole, in, in.n ? in.n : 1);
    read_by(&split, in, 1 + data[0] / 2 % 40);
    assert(bytes_equal(buf_bytes(&whole.seen), buf_bytes(&split.seen)));
    buf_done(&whole.seen);
    buf_done(&split.seen);
    return 0;
}
