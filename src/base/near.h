/* "Did you mean ...?": the name that somebody meant who misspelt it.  Pure; any thread. */
#ifndef BASE_NEAR_H
#define BASE_NEAR_H

#include <stddef.h>

/* The nearest of the names to a misspelt one by edit distance; NULL: none is near.  Names are
 * asked for by number until name_at() gives NULL. */
const char *nearest_name(
    const char *wrong, const char *(*name_at)(const void *me, size_t i), const void *me);

#endif
