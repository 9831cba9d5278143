/* Both directions look at line ends alone, by memchr, so that content costs little more than
 * the copy.
 *
 * Unstuffing holds back at most three bytes between two calls, those of "CR" and ". CR"; the
 * state says which.  They come out as constants once it is known that they are content:
 *
 *     LINE_START  at the start of the data, or CRLF was read (and given as content)
 *     DOT         a line's first byte was a dot: stuffed, or the end
 *     DOT_CR      dot and CR behind it: the end if LF follows, else the dot was stuffed and the
 *                 CR is a bare one
 *     TEXT        inside a line; after a bare CR or LF too, which begin no line of ours: so
 *                 neither LF . CRLF nor CR . CRLF is an end, normalised or not
 *     CR          inside a line, a CR is held back
 */
#include "proto/smtp/body.h"

enum { LINE_START, DOT, DOT_CR, TEXT, CR };

void smtp_unstuff_init(struct smtp_unstuff *unstuff, bool normalise_bare)
{
    *unstuff = (struct smtp_unstuff){ .state = LINE_START, .normalise_bare = normalise_bare };
}

static bool find(struct bytes in, size_t from, size_t to, uint8_t byte, size_t *at)
{
    const uint8_t *p = to > from ? memchr(in.at + from, byte, to - from) : NULL;

    if (!p)
        return false;
    *at = (size_t)(p - in.at);
    return true;
}

/* True when a bare LF in [FROM, TO), where no CR stands, ends the run: it is to be replaced. */
static bool stops_at_lf(
    struct smtp_unstuff *unstuff, struct bytes in, size_t from, size_t to, size_t *lf)
{
    if (unstuff->saw_bare && !unstuff->normalise_bare)
        return false; /* known already, and it changes nothing */
    if (!find(in, from, to, '\n', lf))
        return false;
    unstuff->saw_bare = true;
    return unstuff->normalise_bare;
}

/* Inside a line at FROM.  Returns where the run of content ends; *USED is behind it when a CR
 * is held back. */
static size_t scan_text(
    struct smtp_unstuff *unstuff, struct bytes in, size_t from, size_t *used)
{
    size_t at = from, cr, lf;

    for (;;) {
        bool has_cr = find(in, at, in.n, '\r', &cr);

        if (!has_cr)
            cr = in.n;
        unstuff->state = TEXT;
        if (stops_at_lf(unstuff, in, at, cr, &lf))
            return *used = lf;
        if (!has_cr)
            return *used = in.n;
        if (cr + 1 == in.n || (in.at[cr + 1] != '\n' && unstuff->normalise_bare)) {
            unstuff->state = CR;
            *used = cr + 1;
            return cr;
        }
        if (in.at[cr + 1] != '\n') {
            unstuff->saw_bare = true;
            at = cr + 1;
            continue;
        }
        at = cr + 2;
        if (at == in.n || (in.at[at] == '.' && !unstuff->is_counted)) {
            unstuff->state = LINE_START;
            return *used = at;
        }
    }
}

/* The held CR, now that the byte behind it is known.  A CRLF takes that byte too. */
static struct bytes release_cr(struct smtp_unstuff *unstuff, uint8_t next, size_t *used)
{
    if (next == '\n') {
        unstuff->state = LINE_START;
        ++*used;
        return BYTES("\r\n");
    }
    unstuff->state = TEXT;
    unstuff->saw_bare = true;
    return unstuff->normalise_bare ? BYTES("\r\n") : BYTES("\r");
}

/* A line's text at *USED, which is not its stuffed dot. */
static struct bytes take_text(struct smtp_unstuff *unstuff, struct bytes in, size_t *used)
{
    size_t from = *used, end;

    if (in.at[from] == '\n' && unstuff->normalise_bare) {
        unstuff->state = TEXT;
        unstuff->saw_bare = true;
        ++*used;
        return BYTES("\r\n");
    }
    end = scan_text(unstuff, in, from, used);
    if (!unstuff->saw_nul && memchr(in.at + from, 0, end - from))
        unstuff->saw_nul = true;
    return bytes_of(in.at + from, end - from);
}

enum smtp_unstuff_step smtp_unstuff_step(
    struct smtp_unstuff *unstuff, struct bytes in, struct bytes *run, size_t *used)
{
    *used = 0;
    *run = BYTES_NONE;
    while (*used < in.n) {
        uint8_t c = in.at[*used];

        if (unstuff->state == LINE_START && c == '.' && !unstuff->is_counted) {
            unstuff->state = DOT;
            ++*used;
        } else if (unstuff->state == DOT && c == '\r') {
            unstuff->state = DOT_CR;
            ++*used;
        } else if (unstuff->state == DOT_CR && c == '\n') {
            unstuff->state = LINE_START;
            ++*used;
            return SMTP_UNSTUFF_END;
        } else {
            *run = unstuff->state == CR || unstuff->state == DOT_CR
                       ? release_cr(unstuff, c, used)
                       : take_text(unstuff, in, used);
            if (run->n)
                return SMTP_UNSTUFF_CONTENT;
        }
    }
    return SMTP_UNSTUFF_MORE;
}

void smtp_unstuff_finish(struct smtp_unstuff *unstuff, struct bytes *run)
{
    *run = BYTES_NONE;
    if (unstuff->state != CR)
        return;
    unstuff->state = TEXT;
    unstuff->saw_bare = true;
    *run = unstuff->normalise_bare ? BYTES("\r\n") : BYTES("\r");
}

/* Stuffing: where the content stands between two calls. */
enum { STUFF_LINE_START, STUFF_TEXT, STUFF_CR };

static bool is_crlf_at(uint8_t state, struct bytes content, size_t lf)
{
    return lf > 0 ? content.at[lf - 1] == '\r' : state == STUFF_CR;
}

/* The next dot at the start of a line, at FROM or behind; content.n: none. */
static size_t find_dot(uint8_t state, struct bytes content, size_t from)
{
    size_t lf;

    if (from == 0 && state == STUFF_LINE_START && content.at[0] == '.')
        return 0;
    while (find(content, from, content.n, '\n', &lf)) {
        from = lf + 1;
        if (from < content.n && content.at[from] == '.' && is_crlf_at(state, content, lf))
            return from;
    }
    return content.n;
}

static uint8_t state_after(uint8_t state, struct bytes content)
{
    uint8_t last = content.at[content.n - 1];

    if (last == '\n' && is_crlf_at(state, content, content.n - 1))
        return STUFF_LINE_START;
    return last == '\r' ? STUFF_CR : STUFF_TEXT;
}

/* The whole piece with its first dot line at DOT; AT has room for each dot twice. */
static uint8_t *copy_stuffed(uint8_t state, struct bytes content, size_t dot, uint8_t *at)
{
    size_t from = 0;

    while (dot < content.n) {
        memcpy(at, content.at + from, dot - from);
        at += dot - from;
        *at++ = '.';
        from = dot;
        dot = find_dot(state, content, dot + 1);
    }
    memcpy(at, content.at + from, content.n - from);
    return at + (content.n - from);
}

enum err smtp_stuff_add(struct smtp_stuff *stuff, struct bytes content, struct buf *out)
{
    size_t dot, dot_count = 0;

    if (content.n == 0)
        return OK;
    dot = find_dot(stuff->state, content, 0);
    if (dot == content.n) {
        enum err err = buf_add(out, content);
        if (err != OK)
            return err;
    } else {
        uint8_t *at;

        for (size_t i = dot; i < content.n; i = find_dot(stuff->state, content, i + 1))
            dot_count++;
        at = buf_room(out, content.n + dot_count);
        if (!at)
            return ERR_LIMIT;
        buf_wrote(out, (size_t)(copy_stuffed(stuff->state, content, dot, at) - at));
    }
    stuff->state = state_after(stuff->state, content);
    return OK;
}

enum err smtp_stuff_end(struct smtp_stuff *stuff, struct buf *out)
{
    return buf_add(out, stuff->state == STUFF_LINE_START ? BYTES(".\r\n") : BYTES("\r\n.\r\n"));
}
