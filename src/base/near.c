#include "base/near.h"

#include <stdint.h>
#include <string.h>

enum { NAME_BYTES_MAX = 40 };

/* The number of letters to add, drop or change, a swap of two neighbours counting as one. */
static size_t distance(const char *a, const char *b)
{
    size_t rows[3][NAME_BYTES_MAX + 1];
    size_t a_n = strlen(a), b_n = strlen(b);

    if (a_n > NAME_BYTES_MAX || b_n > NAME_BYTES_MAX)
        return SIZE_MAX;
    for (size_t k = 0; k <= b_n; k++)
        rows[0][k] = k;
    for (size_t i = 1; i <= a_n; i++) {
        size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t k = 1; k <= b_n; k++) {
            size_t best = above[k - 1] + (a[i - 1] != b[k - 1]);
            if (above[k] + 1 < best)
                best = above[k] + 1;
            if (row[k - 1] + 1 < best)
                best = row[k - 1] + 1;
            if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1] &&
                above2[k - 2] + 1 < best)
                best = above2[k - 2] + 1;
            row[k] = best;
        }
    }
    return rows[a_n % 3][b_n];
}

const char *nearest_name(
    const char *wrong, const char *(*name_at)(const void *me, size_t i), const void *me)
{
    size_t near = strlen(wrong) / 3 + 1; /* further away it is another word */
    const char *best = NULL, *name;

    for (size_t i = 0; (name = name_at(me, i)) != NULL; i++) {
        size_t d = distance(wrong, name);
        if (d <= near && (!best || d < near)) {
            best = name;
            near = d;
        }
    }
    return best;
}
