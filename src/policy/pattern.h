/* Patterns of mail addresses, as administrators write them.  Pure; any thread; nothing is
 * allocated.
 *
 *     user@example.com      that one          *             every sender and recipient, <> too
 *     @example.com          all of a domain   <>            the null sender
 *     scan*@example.com     "*" stands for any bytes of a local part
 *     *@*.example.com       all domains below example.com, which itself is not one of them
 *     *@*                   every address, <> not
 *     @[192.0.2.1]          a domain may be an address literal
 *
 * Case does not count, in local parts neither; domains compare as A-labels, literals by their
 * address; quotes that a local part does not need make no difference. */
#ifndef POLICY_PATTERN_H
#define POLICY_PATTERN_H

#include "mail/address.h"
#include "mail/idna.h"
#include "policy/settings.h"

enum { PATTERN_BYTES_MAX = ADDRESS_LOCAL_BYTES_MAX + 1 + IDNA_BYTES_MAX };

/* TEXT in normal form, as settings keep it.  False: it is no pattern. */
bool pattern_parse(struct bytes text, char out[PATTERN_BYTES_MAX]);

/* An address in normal form, made once to be held against many patterns.  Not to be copied: the
 * bytes are its own. */
struct pattern_subject {
    struct bytes local, domain; /* both empty: the null sender */
    char local_room[ADDRESS_LOCAL_BYTES_MAX], domain_room[IDNA_BYTES_MAX];
};
void pattern_subject_init(struct pattern_subject *subject, const struct address *address);

bool pattern_fits(const char *pattern, const struct pattern_subject *subject);

/* Many patterns by what they fit, so that an address costs as many looks as its domain has labels;
 * only those with a "*" within a local part are looked at one by one, where the domain is theirs.
 * Made once, when the settings are read, for lists that are not short; it borrows the list. */
struct pattern_index;
void patterns_index(struct address_patterns *patterns);
void pattern_index_free(struct pattern_index *index); /* NULL too */
/* Whether the pattern of that number counts now. */
typedef bool pattern_counts(const void *me, size_t number);
/* The number of the first of LIST, which was indexed, that fits and COUNTS (NULL: each does);
 * SIZE_MAX: none. */
size_t pattern_index_find(const struct pattern_index *index, char *const *list,
    const struct pattern_subject *subject, pattern_counts *counts, const void *me);

/* The same of PATTERNS, indexed or not.  An empty list costs nothing. */
size_t patterns_find_at(const struct address_patterns *patterns,
    const struct pattern_subject *subject, pattern_counts *counts, const void *me);
/* The first of PATTERNS that fits; NULL: none. */
const char *patterns_find(
    const struct address_patterns *patterns, const struct pattern_subject *subject);

#endif
