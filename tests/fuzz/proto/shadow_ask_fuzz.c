/* XQDISCARD, XQTAKEN, XQAUDIT: what was read is written, and read as the same again. */
#include "shadow_fuzz.h"

static void check_same(const struct shadow_ask *a, const struct shadow_ask *b)
{
    assert(a->type == b->type && a->count_max == b->count_max && a->wait_ms == b->wait_ms);
    assert(a->has_cursor == b->has_cursor && a->cursor == b->cursor);
    assert(memcmp(&a->store, &b->store, sizeof a->store) == 0);
    assert(a->mid_count == b->mid_count && a->mid_count <= SHADOW_AUDIT_MAX);
    assert(memcmp(a->mids, b->mids, a->mid_count * sizeof *a->mids) == 0);
}

static void play(struct bytes in, enum shadow_ask_type type, const char *verb)
{
    struct shadow_ask ask, again;
    struct buf out;
    bool is_good;

    if (!shadow_parse_ask(type, in, &ask))
        return;
    buf_init(&out, 1 << 16);
    fuzz_must(shadow_add_ask(&out, &ask));
    is_good = shadow_parse_ask(type, fuzz_line(&out, verb), &again);
    assert(is_good);
    check_same(&ask, &again);
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes in = bytes_of(data, size);

    play(in, SHADOW_ASK_DISCARD, "XQDISCARD ");
    play(in, SHADOW_ASK_TAKEN, "XQTAKEN ");
    play(in, SHADOW_ASK_AUDIT, "XQAUDIT ");
    return 0;
}
