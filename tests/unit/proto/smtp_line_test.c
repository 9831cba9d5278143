#include "kit.h"

#include "proto/smtp/line.h"

enum { LINE_MAX_HERE = 16 };

/* What a reader of INPUT sees, in letters: a line in <>, B for a bare byte, L for too long. The
 * bytes arrive STEP at a time, after a first piece of FIRST bytes. */
struct reader {
    bool tolerates, skips;
    size_t n;
    char seen[256];
};

static void see(struct reader *reader, struct bytes text)
{
    assert_true(reader->n + text.n < sizeof reader->seen);
    memcpy(reader->seen + reader->n, text.at, text.n);
    reader->n += text.n;
}

static enum smtp_line take(struct reader *reader, struct bytes in, size_t *used)
{
    struct bytes line = BYTES_NONE;
    enum smtp_line step;

    if (reader->skips)
        step = smtp_line_skip(in, reader->tolerates, used);
    else
        step = smtp_line_cut(in, LINE_MAX_HERE, reader->tolerates, &line, used);
    if (step == SMTP_LINE_DONE && !reader->skips) {
        see(reader, BYTES("<"));
        see(reader, line);
        see(reader, BYTES(">"));
    }
    if (step == SMTP_LINE_BARE)
        see(reader, BYTES("B"));
    if (step == SMTP_LINE_LONG)
        see(reader, BYTES("L"));
    if (step == SMTP_LINE_DONE)
        reader->skips = false;
    if (step == SMTP_LINE_BARE || step == SMTP_LINE_LONG)
        reader->skips = true;
    return step;
}

static struct bytes read_all(
    struct reader *reader, bool tolerates, struct bytes in, size_t first, size_t step)
{
    size_t start = 0, end = first;

    *reader = (struct reader){ .tolerates = tolerates };
    for (;;) {
        size_t used;
        enum smtp_line got = take(reader, bytes_skip(bytes_first(in, end), start), &used);
        assert_true(used <= end - start);
        assert_true(got == SMTP_LINE_MORE || used > 0);
        start += used;
        if (got != SMTP_LINE_MORE)
            continue;
        if (end == in.n)
            return bytes_of(reader->seen, reader->n);
        end = end + step < in.n ? end + step : in.n;
    }
}

static const struct {
    const char *name;
    struct bytes in;
    const char *strict, *tolerant;
} cases[] = {
    { "a command", BYTES("NOOP\r\n"), "<NOOP>", "<NOOP>" },
    { "two", BYTES("NOOP\r\nQUIT\r\n"), "<NOOP><QUIT>", "<NOOP><QUIT>" },
    { "an empty line", BYTES("\r\n"), "<>", "<>" },
    { "no end yet", BYTES("NOOP\r"), "", "" },
    { "nothing", BYTES(""), "", "" },
    { "bare LF ends nothing", BYTES("NOOP\nQUIT\r\nRSET\r\n"), "B<RSET>",
        "<NOOP><QUIT><RSET>" },
    { "only bare LF", BYTES("NOOP\nQUIT\n"), "BB", "<NOOP><QUIT>" },
    { "LF first", BYTES("\nQUIT\r\nRSET\r\n"), "B<RSET>", "<><QUIT><RSET>" },
    { "bare CR ends nothing", BYTES("NOOP\rQUIT\r\nRSET\r\n"), "B<RSET>", "B<RSET>" },
    { "CR CR LF", BYTES("NOOP\r\r\nRSET\r\n"), "B<RSET>", "B<RSET>" },
    { "LF CR", BYTES("NOOP\n\rQUIT\r\nRSET\r\n"), "B<RSET>", "<NOOP>B<RSET>" },
    { "NUL", BYTES("NO\0OP\r\nRSET\r\n"), "B<RSET>", "B<RSET>" },
    { "CR NUL", BYTES("NO\r\0OP\r\nRSET\r\n"), "B<RSET>", "B<RSET>" },
    { "bare CR, then bare LF", BYTES("NO\rOP\nA\r\nRSET\r\n"), "BB<RSET>", "B<A><RSET>" },
    { "as long as may be", BYTES("12345678901234\r\nRSET\r\n"), "<12345678901234><RSET>",
        "<12345678901234><RSET>" },
    { "one too long", BYTES("123456789012345\r\nRSET\r\n"), "L<RSET>", "L<RSET>" },
    { "two too long", BYTES("1234567890123456\r\nRSET\r\n"), "L<RSET>", "L<RSET>" },
    { "much too long", BYTES("123456789012345678901234567890\r\nRSET\r\n"), "L<RSET>",
        "L<RSET>" },
    { "long with a bare LF", BYTES("12345678901234567890\nQUIT\r\nRSET\r\n"), "LB<RSET>",
        "L<QUIT><RSET>" },
    { "long, a CR at the limit", BYTES("123456789012345\rX\r\nRSET\r\n"), "L<RSET>",
        "L<RSET>" },
    { "bytes above 127", BYTES("N\xc3\xa4\r\n"), "<N\xc3\xa4>", "<N\xc3\xa4>" },
};

static void cuts_lines_alike_at_any_split(void **state)
{
    struct reader reader;

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct bytes in = cases[i].in;
        for (size_t cut = 0; cut <= in.n; cut++) {
            check_bytes(cases[i].name, read_all(&reader, false, in, cut, in.n),
                bytes_text(cases[i].strict));
            check_bytes(cases[i].name, read_all(&reader, true, in, cut, in.n),
                bytes_text(cases[i].tolerant));
        }
        check_bytes(
            cases[i].name, read_all(&reader, false, in, 0, 1), bytes_text(cases[i].strict));
        check_bytes(
            cases[i].name, read_all(&reader, true, in, 0, 1), bytes_text(cases[i].tolerant));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_lines_alike_at_any_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
