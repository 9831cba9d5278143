/* Patterns of domains, found by what fits a domain rather than by looking at each: as many looks
 * as the domain has labels, however many patterns there are.  Made once, when the settings are
 * read; then any thread.  Pure. */
#ifndef POLICY_DOMAIN_INDEX_H
#define POLICY_DOMAIN_INDEX_H

#include "base/bytes.h"
#include "mail/idna.h"

#include <stddef.h>

struct domain_index;

enum { DOMAIN_INDEX_MIN = 9 }; /* fewer patterns are looked at as quickly */
#define DOMAIN_INDEX_NONE SIZE_MAX

/* Room for COUNT patterns. */
struct domain_index *domain_index_new(size_t count);
void domain_index_free(struct domain_index *index); /* NULL too */

/* From now on PATTERN, borrowed and in normal form, has NUMBER.  Returns what it had before. */
size_t domain_index_set(struct domain_index *index, struct bytes pattern, size_t number);

/* The number of this very PATTERN, or DOMAIN_INDEX_NONE. */
size_t domain_index_find(const struct domain_index *index, struct bytes pattern);

/* The number of the pattern that fits DOMAIN, in normal form, best: domain_fit(). */
size_t domain_index_find_nearest(const struct domain_index *index, struct bytes domain);

/* The patterns that fit a domain, the nearest first: itself, "*.x" for what stands behind its
 * first label, and so on, then "*".  Not to be copied: the bytes are its own. */
struct domain_forms {
    size_t at; /* in the room: where the next one starts; 0 is itself */
    size_t n;
    bool is_literal, is_over;
    char room[IDNA_BYTES_MAX + 1]; /* the domain, from its second byte on */
};
void domain_forms_init(struct domain_forms *forms, struct bytes domain);
/* The bytes are valid until the next call.  False: that was all. */
bool domain_forms_next(struct domain_forms *forms, struct bytes *out);

#endif
