#include "proto/smtp/reply.h"

#include <assert.h>

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* "250-text", "250 text", and "250" alone, which clients should take (RFC 5321, 4.2).  The
 * second digit is not held to 0..5: there are servers that say 571. */
bool smtp_reply_parse_line(struct bytes line, uint16_t *code, bool *is_last, struct bytes *text)
{
    const uint8_t *at = line.at;

    if (line.n < 3 || at[0] < '2' || at[0] > '5' || !is_digit(at[1]) || !is_digit(at[2]))
        return false;
    if (line.n > 3 && at[3] != ' ' && at[3] != '-')
        return false;
    *code = (uint16_t)((at[0] - '0') * 100 + (at[1] - '0') * 10 + (at[2] - '0'));
    *is_last = line.n == 3 || at[3] == ' ';
    *text = bytes_skip(line, line.n > 3 ? 4 : 3);
    return true;
}

/* A line break in a text must never become a second reply. */
static uint8_t printable(char c)
{
    uint8_t byte = (uint8_t)c;

    return byte < 32 || byte == 127 ? '?' : byte;
}

enum err smtp_reply_add(struct buf *out, uint16_t code, struct status status, const char *text)
{
    enum { LINE_BYTES_MAX = 512 }; /* with CRLF: RFC 5321, 4.5.3.1.5 */
    char enhanced[STATUS_TEXT_BYTES] = "";
    size_t enhanced_n, n = 0;
    uint8_t *at;

    assert(code >= 200 && code <= 599);
    if (status.class != 0)
        status_format(status, enhanced);
    enhanced_n = strlen(enhanced);
    at = buf_room(out, LINE_BYTES_MAX);
    if (!at)
        return ERR_LIMIT;
    at[n++] = (uint8_t)('0' + code / 100);
    at[n++] = (uint8_t)('0' + code / 10 % 10);
    at[n++] = (uint8_t)('0' + code % 10);
    at[n++] = ' ';
    memcpy(at + n, enhanced, enhanced_n);
    n += enhanced_n;
    if (enhanced_n)
        at[n++] = ' ';
    while (*text && n < LINE_BYTES_MAX - 2)
        at[n++] = printable(*text++);
    at[n++] = '\r';
    at[n++] = '\n';
    buf_wrote(out, n);
    return OK;
}
