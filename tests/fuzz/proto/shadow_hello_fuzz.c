/* XSHADOW and its answer: what was read is written, and read as the same again. */
#include "shadow_fuzz.h"

static void check_same(const struct shadow_hello *a, const struct shadow_hello *b)
{
    assert(a->versions == b->versions && a->position == b->position);
    assert(bytes_equal(a->node.name, b->node.name));
    assert(memcmp(&a->node.store, &b->node.store, sizeof a->node.store) == 0);
    assert(a->retired_count == b->retired_count && a->retired_count <= SHADOW_RETIRED_MAX);
    assert(memcmp(a->retired, b->retired, a->retired_count * sizeof *a->retired) == 0);
}

static void play(struct bytes in, bool is_reply)
{
    struct shadow_hello hello, again;
    bool is_good =
        is_reply ? shadow_parse_hello_reply(in, &hello) : shadow_parse_hello(in, &hello);
    struct buf out;
    struct bytes text;

    if (!is_good || hello.versions == 0)
        return;
    buf_init(&out, 1 << 16);
    fuzz_must(is_reply ? shadow_add_hello_reply(&out, &hello)
                       : shadow_add_hello_command(&out, &hello));
    text = fuzz_line(&out, is_reply ? "250 2.0.0 " : "XSHADOW ");
    is_good =
        is_reply ? shadow_parse_hello_reply(text, &again) : shadow_parse_hello(text, &again);
    assert(is_good);
    check_same(&hello, &again);
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    play(bytes_of(data, size), false);
    play(bytes_of(data, size), true);
    return 0;
}
