#include "base/id.h"

static const char digits[] = "0123456789abcdef";

void hex_format(struct bytes bytes, char *out)
{
    for (size_t i = 0; i < bytes.n; i++) {
        *out++ = digits[bytes.at[i] >> 4];
        *out++ = digits[bytes.at[i] & 15];
    }
    *out = 0;
}

static int digit_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool hex_parse(struct bytes text, uint8_t *out, size_t n)
{
    if (text.n != 2 * n)
        return false;
    for (size_t i = 0; i < n; i++) {
        int high = digit_value(text.at[2 * i]), low = digit_value(text.at[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

void mid_format(struct mid mid, char out[ID_TEXT_BYTES])
{
    hex_format(bytes_of(mid.byte, sizeof mid.byte), out);
}

bool mid_parse(struct bytes text, struct mid *out)
{
    struct mid mid;
    if (!hex_parse(text, mid.byte, sizeof mid.byte))
        return false;
    *out = mid;
    return true;
}

bool mid_equal(struct mid a, struct mid b)
{
    return memcmp(a.byte, b.byte, sizeof a.byte) == 0;
}

uint64_t mid_hash(struct mid mid)
{
    uint64_t hash;
    memcpy(&hash, mid.byte, sizeof hash); /* random, or a hash, already */
    return hash;
}

void store_id_format(struct store_id id, char out[ID_TEXT_BYTES])
{
    hex_format(bytes_of(id.byte, sizeof id.byte), out);
}

void session_id_format(struct session_id id, char out[SESSION_ID_TEXT_BYTES])
{
    for (int i = 0; i < 16; i++)
        out[i] = digits[id.n >> (60 - 4 * i) & 15];
    out[16] = 0;
}
