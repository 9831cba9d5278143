/* Whole, in two parts (the first two bytes say where), and byte by byte: the facts agree. */
#include "mail/scan.h"

#include <assert.h>

static struct scan scan_in_steps(struct bytes content, size_t step)
{
    struct scan scan;

    scan_init(&scan);
    while (content.n) {
        struct bytes part = bytes_first(content, step ? step : content.n);
        scan_feed(&scan, part);
        content = bytes_skip(content, part.n);
    }
    scan_end(&scan);
    return scan;
}

static void check_same(const struct scan *a, const struct scan *b)
{
    assert(a->has_date == b->has_date && a->has_from == b->has_from);
    assert(a->has_message_id == b->has_message_id && a->has_nul == b->has_nul);
    assert(a->has_dot_line == b->has_dot_line && a->has_8bit == b->has_8bit);
    assert(a->has_utf8_header == b->has_utf8_header && a->header_ended == b->header_ended);
    assert(a->received_count == b->received_count);
    assert(a->delivered_to_count == b->delivered_to_count);
    assert(a->header_bytes == b->header_bytes && a->bytes == b->bytes);
    assert(a->line_bytes_longest == b->line_bytes_longest);
    assert(strcmp(a->message_id, b->message_id) == 0 && strcmp(a->subject, b->subject) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes content;
    struct scan whole, cut, slow;

    if (size < 2)
        return 0;
    content = bytes_of(data + 2, size - 2);
    whole = scan_in_steps(content, 0);
    cut = scan_in_steps(content, (size_t)data[0] << 8 | data[1]);
    slow = scan_in_steps(content, 1);
    check_same(&whole, &cut);
    check_same(&whole, &slow);
    assert(whole.bytes == content.n && whole.header_bytes <= content.n && whole.header_ended);
    return 0;
}
