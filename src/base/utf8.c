#include "base/utf8.h"

/* The leading bytes, and the range of the second byte that keeps overlong forms, surrogates
 * and numbers above U+10FFFF out (RFC 3629, 4); the bytes behind it are 80..BF. */
static const struct form {
    uint8_t first, last;
    uint8_t second_min, second_max;
    uint8_t bytes;
} forms[] = {
    { 0x00, 0x7f, 0, 0, 1 },
    { 0xc2, 0xdf, 0x80, 0xbf, 2 },
    { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
    { 0xe1, 0xec, 0x80, 0xbf, 3 },
    { 0xed, 0xed, 0x80, 0x9f, 3 },
    { 0xee, 0xef, 0x80, 0xbf, 3 },
    { 0xf0, 0xf0, 0x90, 0xbf, 4 },
    { 0xf1, 0xf3, 0x80, 0xbf, 4 },
    { 0xf4, 0xf4, 0x80, 0x8f, 4 },
};

static bool follows(struct bytes text, const struct form *form)
{
    if (text.n < form->bytes)
        return false;
    if (form->bytes > 1 && (text.at[1] < form->second_min || text.at[1] > form->second_max))
        return false;
    for (size_t i = 2; i < form->bytes; i++) {
        if ((text.at[i] & 0xc0) != 0x80)
            return false;
    }
    return true;
}

size_t utf8_first(struct bytes text)
{
    if (text.n == 0)
        return 0;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (text.at[0] >= forms[i].first && text.at[0] <= forms[i].last)
            return follows(text, &forms[i]) ? forms[i].bytes : 0;
    }
    return 0;
}
