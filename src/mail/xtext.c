#include "mail/xtext.h"

static int digit_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Reads the character at the start of TEXT; its length is 0 when there is none. */
static size_t read_char(struct bytes text, uint8_t *out)
{
    int high, low;

    if (text.n == 0 || text.at[0] <= ' ' || text.at[0] >= 127 || text.at[0] == '=')
        return 0;
    *out = text.at[0];
    if (text.at[0] != '+')
        return 1;
    if (text.n < 3)
        return 0;
    high = digit_value(text.at[1]);
    low = digit_value(text.at[2]);
    if (high < 0 || low < 0)
        return 0;
    *out = (uint8_t)(high << 4 | low);
    return 3;
}

bool xtext_is_valid(struct bytes text)
{
    uint8_t c;

    while (text.n) {
        size_t step = read_char(text, &c);
        if (step == 0)
            return false;
        text = bytes_skip(text, step);
    }
    return true;
}

bool xtext_decode(struct bytes text, uint8_t out[XTEXT_BYTES_MAX], size_t *n)
{
    size_t done = 0;

    if (text.n > XTEXT_BYTES_MAX)
        return false;
    while (text.n) {
        size_t step = read_char(text, &out[done]);
        if (step == 0 || out[done] < ' ' || out[done] >= 127)
            return false;
        done++;
        text = bytes_skip(text, step);
    }
    *n = done;
    return true;
}
