#include "base/base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

enum err base64_encode(struct bytes bytes, struct buf *out)
{
    size_t n = (bytes.n + 2) / 3 * 4;
    uint8_t *to;

    if (n == 0)
        return OK;
    to = buf_room(out, n);
    if (!to)
        return ERR_LIMIT;
    for (size_t i = 0; i < bytes.n; i += 3) {
        size_t left = bytes.n - i;
        uint32_t three = (uint32_t)bytes.at[i] << 16;
        three |= left > 1 ? (uint32_t)bytes.at[i + 1] << 8 : 0;
        three |= left > 2 ? bytes.at[i + 2] : 0;
        *to++ = (uint8_t)digits[three >> 18];
        *to++ = (uint8_t)digits[three >> 12 & 63];
        *to++ = left > 1 ? (uint8_t)digits[three >> 6 & 63] : '=';
        *to++ = left > 2 ? (uint8_t)digits[three & 63] : '=';
    }
    buf_wrote(out, n);
    return OK;
}

static int value_of(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Four digits, DIGITS of them before the padding, to DIGITS - 1 bytes. */
static bool decode_four(const uint8_t *from, size_t digit_count, uint8_t *to)
{
    uint32_t bits = 0;

    for (size_t i = 0; i < 4; i++) {
        int value = i < digit_count ? value_of(from[i]) : 0;
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
    }
    if (bits & (0xffffffu >> (8 * (digit_count - 1)) & 0xffffff))
        return false; /* two texts must not mean the same bytes */
    for (size_t i = 0; i + 1 < digit_count; i++)
        to[i] = (uint8_t)(bits >> (16 - 8 * i));
    return true;
}

enum err base64_decode(struct bytes text, struct buf *out)
{
    size_t padding = 0, n;
    uint8_t *to;

    if (text.n % 4)
        return ERR_SYNTAX;
    if (text.n == 0)
        return OK;
    while (padding < 2 && text.at[text.n - 1 - padding] == '=')
        padding++;
    n = text.n / 4 * 3 - padding;
    to = buf_room(out, n);
    if (!to)
        return ERR_LIMIT;
    for (size_t i = 0; i < text.n; i += 4) {
        size_t digit_count = i + 4 == text.n ? 4 - padding : 4;
        if (!decode_four(text.at + i, digit_count, to + i / 4 * 3))
            return ERR_SYNTAX;
    }
    buf_wrote(out, n);
    return OK;
}
