#include "report/pen.h"

#include "base/utf8.h"

void pen_number(struct pen *pen, int64_t number)
{
    char digits[20];
    unsigned n = 0;
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;

    if (number < 0)
        pen_char(pen, '-');
    do {
        digits[sizeof digits - ++n] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    pen_bytes(pen, digits + sizeof digits - n, n);
}

void pen_seconds(struct pen *pen, int64_t ms)
{
    char part[4] = { '.' };
    uint64_t size = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    unsigned n = 4, left = (unsigned)(size % 1000);

    if (ms < 0)
        pen_char(pen, '-');
    pen_number(pen, (int64_t)(size / 1000));
    part[1] = (char)('0' + left / 100);
    part[2] = (char)('0' + left / 10 % 10);
    part[3] = (char)('0' + left % 10);
    while (n > 1 && part[n - 1] == '0')
        n--;
    if (n > 1)
        pen_bytes(pen, part, n);
}

/* --- Which bytes are written as they are ------------------------------------------------- */

/* Bytes 32 to 126 that need an escape in some style; all others of them are written as they
 * are, in any style.  A style that has one alone has it twice. */
static const uint8_t special[PEN_STYLE_COUNT][2] = {
    [PEN_PLAIN] = { 0x7f, 0x7f }, /* which never is */
    [PEN_QUOTED] = { '"', '\\' },
    [PEN_ADDRESS] = { '<', '>' },
    [PEN_CSV] = { '"', '"' },
    [PEN_JSON] = { '"', '\\' },
};

#define EACH_BYTE(c) (0x0101010101010101u * (uint8_t)(c))

/* Sets the top bit of some byte when one of the eight is 0, and of none otherwise. */
static inline uint64_t has_zero(uint64_t eight)
{
    return (eight - EACH_BYTE(1)) & ~eight & EACH_BYTE(0x80);
}

/* How many bytes at the start of TEXT are from 32 to 126 and neither A nor B, rounded down to
 * eights: nearly all text is nothing else, and eight bytes are looked at together. */
static inline size_t eights_without(struct bytes text, uint8_t a, uint8_t b)
{
    size_t n = 0;

    for (; n + 8 <= text.n; n += 8) {
        uint64_t eight, bad;
        memcpy(&eight, text.at + n, sizeof eight);
        bad = (eight - EACH_BYTE(0x20)) & ~eight & EACH_BYTE(0x80); /* one is below 32 */
        bad |= (eight | (eight + EACH_BYTE(1))) & EACH_BYTE(0x80);  /* above 126 */
        bad |= has_zero(eight ^ EACH_BYTE(a)) | has_zero(eight ^ EACH_BYTE(b));
        if (bad)
            break;
    }
    return n;
}

/* How many bytes at the start of TEXT are written as they are. */
static size_t plain_run(struct bytes text, enum pen_style style)
{
    const uint8_t a = special[style][0], b = special[style][1];
    size_t n = eights_without(text, a, b);

    while (n < text.n) {
        uint8_t c = text.at[n];
        if (c >= 0x20 && c < 0x7f) {
            if (c == a || c == b)
                return n;
            n++;
        } else {
            size_t bytes = c < 0x80 ? 0 : utf8_first(bytes_skip(text, n));
            if (bytes == 0 || (c == 0xc2 && text.at[n + 1] < 0xa0))
                return n; /* U+0080 to U+009F are control characters too */
            n += bytes;
        }
    }
    return n;
}

/* --- Texts ------------------------------------------------------------------------------- */

static size_t hex_escape(const char *before, uint8_t c, char out[8])
{
    static const char digits[] = "0123456789abcdef";
    size_t n = strlen(before);

    memcpy(out, before, n);
    out[n] = digits[c >> 4];
    out[n + 1] = digits[c & 15];
    return n + 2;
}

/* Writes the escape of the byte at the start of TEXT; returns its length.  *USED: how many
 * bytes it stands for. */
static size_t escape(struct bytes text, enum pen_style style, char out[8], size_t *used)
{
    uint8_t c = text.at[0];

    *used = 1;
    if (style == PEN_JSON && c >= 0x80) {
        if (utf8_first(text) == 2) { /* a control character of two bytes */
            *used = 2;
            return hex_escape("\\u00", text.at[1], out);
        }
        memcpy(out, "\\ufffd", 6);
        return 6;
    }
    if (c == '"' || c == '\\') {
        out[0] = style == PEN_CSV ? '"' : '\\';
        out[1] = (char)c;
        return 2;
    }
    return hex_escape(style == PEN_JSON ? "\\u00" : "\\x", c, out);
}

/* Not more than ROOM bytes of TEXT, and no half of a character. */
static size_t cut(struct bytes text, size_t n, size_t room)
{
    if (n <= room)
        return n;
    n = room;
    while (n && (text.at[n] & 0xc0) == 0x80)
        n--;
    return n;
}

void pen_text(struct pen *pen, struct bytes text, enum pen_style style, size_t reserve)
{
    while (text.n) {
        size_t room = pen_room(pen), used, n, all;
        char coded[8];
        room = room > reserve ? room - reserve : 0;
        all = plain_run(text, style);
        n = cut(text, all, room);
        pen_bytes(pen, text.at, n);
        text = bytes_skip(text, n);
        if (n < all || text.n == 0)
            return;
        room -= n;
        n = escape(text, style, coded, &used);
        if (n > room)
            return;
        pen_bytes(pen, coded, n);
        text = bytes_skip(text, used);
    }
}

/* Whether TEXT is from 32 to 126 alone, without commas and quotes: then it is its own column. */
static bool is_bare_column(struct bytes text)
{
    size_t n = eights_without(text, ',', '"');

    while (n < text.n && text.at[n] >= 0x20 && text.at[n] < 0x7f && text.at[n] != ',' &&
           text.at[n] != '"')
        n++;
    return n == text.n;
}

void pen_csv(struct pen *pen, struct bytes text, size_t reserve)
{
    bool is_quoted;

    if (text.n + reserve <= pen_room(pen) && is_bare_column(text)) {
        pen_bytes(pen, text.at, text.n);
        return;
    }
    is_quoted = text.n && (memchr(text.at, ',', text.n) || memchr(text.at, '"', text.n));
    if (is_quoted)
        pen_char(pen, '"');
    pen_text(pen, text, PEN_CSV, reserve);
    if (is_quoted)
        pen_char(pen, '"');
}

bool pen_is_word(struct bytes text)
{
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.at[i];
        if (c <= 0x20 || c == '"' || c == '=' || c == '\\' || c == 0x7f)
            return false;
        if (c >= 0x80)
            return plain_run(text, PEN_QUOTED) == text.n && !memchr(text.at, ' ', text.n) &&
                   !memchr(text.at, '=', text.n);
    }
    return text.n > 0;
}
