#include "mail/text.h"

#include "base/utf8.h"

size_t text_printable(struct bytes text)
{
    size_t n = utf8_first(text);

    if (n == 1 && (text.at[0] < ' ' || text.at[0] == 127))
        return 0;
    if (n == 2 && text.at[0] == 0xC2 && text.at[1] < 0xA0) /* C1: U+0080 to U+009F */
        return 0;
    return n;
}

bool text_has_8bit(struct bytes text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (text.at[i] > 127)
            return true;
    }
    return false;
}
