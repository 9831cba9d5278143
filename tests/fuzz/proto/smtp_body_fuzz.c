/* The first byte says how to cut and whether to normalise; the rest is the wire, and again the
 * content.  Whole and cut must agree, with each other and with a slow and simple reading of RFC
 * 5321, 4.5.2; stuffing, then unstuffing, gives the content back. */
#include "proto/smtp/body.h"

#include <assert.h>
#include <stdint.h>

struct outcome {
    struct buf content;
    size_t used;
    bool ended, saw_bare, saw_nul;
};

/* In pieces of STEP bytes, the first of FIRST. */
static struct outcome unstuff(struct bytes in, bool normalise, size_t first, size_t step)
{
    struct outcome outcome = { 0 };
    struct smtp_unstuff unstuff;
    size_t to = first < in.n ? first : in.n;

    buf_init(&outcome.content, 1 << 24);
    smtp_unstuff_init(&unstuff, normalise);
    for (;;) {
        struct bytes run;
        size_t used;
        enum smtp_unstuff_step what = smtp_unstuff_step(
            &unstuff, bytes_of(in.at + outcome.used, to - outcome.used), &run, &used);

        outcome.used += used;
        assert(outcome.used <= to);
        if (what == SMTP_UNSTUFF_CONTENT) {
            assert(run.n > 0 && buf_add(&outcome.content, run) == OK);
            continue;
        }
        outcome.ended = what == SMTP_UNSTUFF_END;
        if (outcome.ended || to == in.n)
            break;
        assert(outcome.used == to);
        to = in.n - to < step ? in.n : to + step;
    }
    outcome.saw_bare = unstuff.saw_bare;
    outcome.saw_nul = unstuff.saw_nul;
    return outcome;
}

static bool has_at(struct bytes in, size_t at, const char *what)
{
    return bytes_starts(bytes_skip(in, at), bytes_text(what));
}

/* Checks what was read against the plain rules, where nothing is normalised. */
static void check_slowly(struct bytes in, const struct outcome *outcome)
{
    size_t n = 0;

    if (!outcome->ended)
        return;
    for (size_t i = 0; i < in.n; i++) {
        bool is_line_start = i == 0 || (i >= 2 && has_at(in, i - 2, "\r\n"));

        if (is_line_start && has_at(in, i, ".\r\n")) {
            assert(outcome->used == i + 3 && outcome->content.n == n);
            return;
        }
        if (is_line_start && in.at[i] == '.')
            continue;
        assert(n < outcome->content.n && outcome->content.at[n++] == in.at[i]);
    }
    assert(!"an end was found where there is none");
}

static void check_lines(struct bytes content, bool saw_bare)
{
    for (size_t i = 0; !saw_bare && i < content.n; i++) {
        assert(content.at[i] != '\n' || (i && content.at[i - 1] == '\r'));
        assert(content.at[i] != '\r' || i + 1 == content.n || content.at[i + 1] == '\n');
    }
}

static void check_unstuff(struct bytes in, bool normalise, size_t first, size_t step)
{
    struct outcome whole = unstuff(in, normalise, in.n, in.n);
    struct outcome cut = unstuff(in, normalise, first, step);

    assert(bytes_equal(buf_bytes(&whole.content), buf_bytes(&cut.content)));
    assert(whole.used == cut.used && whole.ended == cut.ended);
    assert(whole.saw_bare == cut.saw_bare && whole.saw_nul == cut.saw_nul);
    if (!normalise)
        check_slowly(in, &whole);
    check_lines(buf_bytes(&whole.content), !normalise && whole.saw_bare);
    assert(whole.saw_nul == (bytes_find(buf_bytes(&whole.content), 0) != BYTES_NOT_FOUND));
    buf_done(&whole.content);
    buf_done(&cut.content);
}

static void check_identity(struct bytes content, size_t cut)
{
    struct smtp_stuff stuff = SMTP_STUFF_START;
    struct buf wire;
    struct outcome back;
    struct bytes got;

    if (cut > content.n)
        cut = content.n;
    buf_init(&wire, 1 << 24);
    assert(smtp_stuff_add(&stuff, bytes_first(content, cut), &wire) == OK);
    assert(smtp_stuff_add(&stuff, bytes_skip(content, cut), &wire) == OK);
    assert(smtp_stuff_end(&stuff, &wire) == OK);
    back = unstuff(buf_bytes(&wire), false, cut, 7);
    assert(back.ended && back.used == wire.n);
    got = buf_bytes(&back.content);
    assert(got.n == content.n || got.n == content.n + 2);
    assert(bytes_equal(bytes_first(got, content.n), content));
    assert(got.n == content.n || bytes_equal(bytes_skip(got, content.n), BYTES("\r\n")));
    buf_done(&wire);
    buf_done(&back.content);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes in;
    size_t first, step;

    if (size == 0)
        return 0;
    in = bytes_of(data + 1, size - 1);
    first = data[0] >> 4;
    step = 1 + (data[0] >> 1 & 7);
    check_unstuff(in, data[0] & 1, first, step);
    check_identity(in, first);
    return 0;
}
