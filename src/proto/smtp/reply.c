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

/* Appends what fits; TEXT_N is how much stands there already. */
static void append_text(struct smtp_reply *reply, size_t text_n, struct bytes text)
{
    for (size_t i = 0; i < text.n && text_n < SMTP_REPLY_TEXT_MAX - 1; i++)
        reply->text[text_n++] = (char)printable((char)text.at[i]);
    reply->text[text_n] = 0;
}

/* Removes "5.1.1 " from the start of TEXT, when it agrees with CODE (RFC 2034, 4). */
static struct bytes take_status(struct bytes text, uint16_t code, struct status *status)
{
    struct status found;
    size_t used;

    if (!status_parse(text, &found, &used) || found.class != code / 100)
        return text;
    if (used < text.n && text.at[used] != ' ')
        return text;
    *status = found;
    return bytes_skip(text, used < text.n ? used + 1 : used);
}

void smtp_reply_begin(struct smtp_reply *reply, uint16_t code, struct bytes text)
{
    reply->code = code;
    reply->status = STATUS(0, 0, 0);
    reply->is_own = false;
    append_text(reply, 0, take_status(text, code, &reply->status));
}

void smtp_reply_continue(struct smtp_reply *reply, struct bytes text)
{
    struct status again = { 0 };
    struct bytes rest = take_status(text, reply->code, &again);
    size_t text_n = strlen(reply->text);

    if (reply->status.class == 0)
        reply->status = again;
    append_text(reply, text_n, BYTES(" / "));
    append_text(reply, strlen(reply->text), rest);
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
