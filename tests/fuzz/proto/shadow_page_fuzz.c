/* Items and last lines of answers: what was read is written, and read as the same again. */
#include "shadow_fuzz.h"

static void check_same(const struct shadow_item *a, const struct shadow_item *b)
{
    assert(a->word == b->word && mid_equal(a->mid, b->mid));
    assert(a->generation == b->generation && a->is_firm == b->is_firm);
    assert(a->seconds == b->seconds && bytes_equal(a->list, b->list));
    assert(bytes_equal(a->node.name, b->node.name));
    assert(memcmp(&a->node.store, &b->node.store, sizeof a->node.store) == 0);
}

static void play_item(struct bytes in, enum shadow_ask_type type)
{
    struct shadow_item item, again;
    struct shadow_page page = { .type = type, .item_count = 1, .items = &item };
    struct bytes line;
    struct buf out;
    bool is_good;

    if (!shadow_parse_item(type, in, &item) || item.word == SHADOW_STRANGE)
        return;
    assert(item.word != SHADOW_PART || item.list.n > 0);
    buf_init(&out, 1 << 17);
    fuzz_must(shadow_add_page(&out, &page));
    line = bytes_first(buf_bytes(&out), bytes_find(buf_bytes(&out), '\r'));
    assert(bytes_starts(line, BYTES("250-")));
    is_good = shadow_parse_item(type, bytes_skip(line, 4), &again);
    assert(is_good);
    check_same(&item, &again);
    buf_done(&out);
}

static void play_end(struct bytes in, enum shadow_ask_type type)
{
    struct shadow_page page = { .type = type }, again = page;
    struct buf out;
    bool is_good;

    if (!shadow_parse_page_end(in, &page))
        return;
    buf_init(&out, 1 << 16);
    fuzz_must(shadow_add_page(&out, &page));
    is_good = shadow_parse_page_end(fuzz_line(&out, "250 "), &again);
    assert(is_good);
    assert(page.cursor == again.cursor && page.has_more == again.has_more);
    assert(page.position == again.position && page.retired_count == again.retired_count);
    assert(memcmp(page.retired, again.retired, page.retired_count * sizeof *page.retired) == 0);
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int type = SHADOW_ASK_DISCARD; type <= SHADOW_ASK_AUDIT; type++) {
        play_item(bytes_of(data, size), (enum shadow_ask_type)type);
        play_end(bytes_of(data, size), (enum shadow_ask_type)type);
    }
    return 0;
}
