#include "proto/smtp/line.h"

#include <assert.h>

/* How many bytes of TEXT, which has no LF in it, lead up to and with its first NUL or bare CR;
 * 0 when it has none.  A CR as its last byte may belong to a CRLF. */
static size_t fault_in(struct bytes text)
{
    size_t cr = bytes_find(text, '\r');
    size_t nul = bytes_find(text, 0);

    if (cr != BYTES_NOT_FOUND && cr + 1 == text.n)
        cr = BYTES_NOT_FOUND;
    if (cr == BYTES_NOT_FOUND && nul == BYTES_NOT_FOUND)
        return 0;
    return (cr < nul ? cr : nul) + 1;
}

static bool ends_with_cr(struct bytes text)
{
    return text.n && text.at[text.n - 1] == '\r';
}

enum smtp_line smtp_line_cut(struct bytes in, size_t line_bytes_max, bool tolerate_bare_lf,
    struct bytes *line, size_t *used)
{
    struct bytes head = bytes_first(in, line_bytes_max);
    size_t lf = bytes_find(head, '\n');
    bool has_end = lf != BYTES_NOT_FOUND;
    struct bytes text = has_end ? bytes_first(head, lf) : head;
    size_t fault = fault_in(text);

    assert(line_bytes_max >= 2);
    *used = fault;
    if (fault)
        return SMTP_LINE_BARE;
    if (has_end) {
        *used = lf + 1;
        if (!ends_with_cr(text) && !tolerate_bare_lf)
            return SMTP_LINE_BARE;
        *line = bytes_first(text, lf - ends_with_cr(text));
        return SMTP_LINE_DONE;
    }
    if (head.n < line_bytes_max)
        return SMTP_LINE_MORE;
    *used = head.n - ends_with_cr(head); /* the CR may begin the CRLF that ends the line */
    return SMTP_LINE_LONG;
}

enum smtp_line smtp_line_skip(struct bytes in, bool tolerate_bare_lf, size_t *used)
{
    size_t lf = bytes_find(in, '\n');

    if (lf == BYTES_NOT_FOUND) {
        *used = in.n - ends_with_cr(in);
        return SMTP_LINE_MORE;
    }
    *used = lf + 1;
    if (tolerate_bare_lf || ends_with_cr(bytes_first(in, lf)))
        return SMTP_LINE_DONE;
    return SMTP_LINE_BARE;
}
