#include "base/bytes.h"

#include "base/mem.h"

#include <stdlib.h>

bool bytes_equal_nocase(struct bytes a, struct bytes b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++) {
        if (ascii_lower(a.at[i]) != ascii_lower(b.at[i]))
            return false;
    }
    return true;
}

bool bytes_starts(struct bytes b, struct bytes with)
{
    return b.n >= with.n && bytes_equal(bytes_first(b, with.n), with);
}

bool bytes_starts_nocase(struct bytes b, struct bytes with)
{
    return b.n >= with.n && bytes_equal_nocase(bytes_first(b, with.n), with);
}

bool bytes_ends_nocase(struct bytes b, struct bytes with)
{
    return b.n >= with.n && bytes_equal_nocase(bytes_skip(b, b.n - with.n), with);
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

struct bytes bytes_trim(struct bytes b)
{
    while (b.n && is_blank(b.at[0]))
        b = bytes_skip(b, 1);
    while (b.n && is_blank(b.at[b.n - 1]))
        b.n--;
    return b;
}

bool bytes_to_number(struct bytes b, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;

    if (b.n == 0)
        return false;
    for (size_t i = 0; i < b.n; i++) {
        unsigned digit = (unsigned)b.at[i] - '0';
        if (digit > 9 || value > (max - digit) / 10 || digit > max)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

char *bytes_to_text(struct bytes b)
{
    char *text = mem_new(b.n + 1);
    if (b.n)
        memcpy(text, b.at, b.n);
    return text;
}

uint64_t bytes_hash_nocase(struct bytes b)
{
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < b.n; i++)
        hash = (hash ^ ascii_lower(b.at[i])) * 1099511628211u;
    return hash;
}
