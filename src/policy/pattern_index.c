#include "base/mem.h"
#include "policy/domain_index.h"
#include "policy/pattern.h"

#include <stdlib.h>

/* Patterns without a star in the local part are found as they stand: "user@example.com",
 * "@*.example.com", "*", "<>".  Those with one form a chain for each pattern of domains, in the
 * order of the list. */
struct pattern_index {
    struct domain_index *exact;
    struct domain_index
        *starred; /* by "@" and what stands behind it, to the first of a chain */
    size_t *next; /* for each pattern: the next one of its chain, or the same once more */
    /* What the list has: what it has not is not looked for, for each form of each address. */
    bool has_all, has_locals, has_starred;
};

/* What stands behind the local part, its "@" too; BYTES_NONE: no star is in the local part. */
static struct bytes starred_key(struct bytes pattern)
{
    size_t at = pattern.n;

    while (at && pattern.at[at - 1] != '@')
        at--;
    if (at < 2 || bytes_find(bytes_first(pattern, at - 1), '*') == BYTES_NOT_FOUND)
        return BYTES_NONE;
    return bytes_skip(pattern, at - 1);
}

static void note_kind(struct pattern_index *index, struct bytes pattern, bool is_starred)
{
    if (is_starred)
        index->has_starred = true;
    else if (pattern.n && pattern.at[0] != '@')
        *(bytes_equal(pattern, BYTES("*")) ? &index->has_all : &index->has_locals) = true;
}

void patterns_index(struct address_patterns *patterns)
{
    struct pattern_index *index;

    if (patterns->count < DOMAIN_INDEX_MIN)
        return;
    index = mem_new(sizeof *index);
    index->exact = domain_index_new(patterns->count);
    index->starred = domain_index_new(patterns->count);
    index->next = mem_new(patterns->count * sizeof *index->next);
    for (size_t i = patterns->count; i > 0; i--) { /* so that the first of a chain comes last */
        struct bytes pattern = bytes_text(patterns->list[i - 1]), key = starred_key(pattern);
        index->next[i - 1] = key.n ? domain_index_set(index->starred, key, i - 1)
                                   : domain_index_set(index->exact, pattern, i - 1);
        note_kind(index, pattern, key.n > 0);
    }
    patterns->index = index;
}

void pattern_index_free(struct pattern_index *index)
{
    if (!index)
        return;
    domain_index_free(index->exact);
    domain_index_free(index->starred);
    free(index->next);
    free(index);
}

/* The lowest number of all that fits is looked for; what is behind the best need not be asked. */
struct search {
    const struct pattern_index *index;
    char *const *list;
    const struct pattern_subject *subject;
    pattern_counts *counts;
    const void *me;
    size_t best;
};

static bool is_counted(const struct search *search, size_t at)
{
    return !search->counts || search->counts(search->me, at);
}

static void look_at(struct search *search, struct bytes pattern)
{
    size_t at = domain_index_find(search->index->exact, pattern);

    for (; at < search->best; at = search->index->next[at]) {
        if (is_counted(search, at))
            search->best = at;
    }
}

/* FORM: a pattern that fits the domain. */
static void look_at_form(struct search *search, struct bytes form)
{
    const struct pattern_subject *subject = search->subject;
    char room[PATTERN_BYTES_MAX + 1];
    size_t n = subject->local.n, at;

    if (n)
        memcpy(room, subject->local.at, n);
    room[n] = '@';
    memcpy(room + n + 1, form.at, form.n);
    if (n && search->index->has_locals)
        look_at(search, bytes_of(room, n + 1 + form.n));
    look_at(search, bytes_of(room + n, 1 + form.n));
    if (!search->index->has_starred)
        return;
    at = domain_index_find(search->index->starred, bytes_of(room + n, 1 + form.n));
    for (; at < search->best; at = search->index->next[at]) {
        if (is_counted(search, at) && pattern_fits(search->list[at], subject))
            search->best = at;
    }
}

size_t pattern_index_find(const struct pattern_index *index, char *const *list,
    const struct pattern_subject *subject, pattern_counts *counts, const void *me)
{
    struct search search = { index, list, subject, counts, me, DOMAIN_INDEX_NONE };
    struct domain_forms forms;
    struct bytes form;

    if (index->has_all)
        look_at(&search, BYTES("*"));
    if (subject->local.n == 0 && subject->domain.n == 0)
        look_at(&search, BYTES("<>"));
    if (subject->domain.n == 0)
        return search.best;
    domain_forms_init(&forms, subject->domain);
    while (domain_forms_next(&forms, &form))
        look_at_form(&search, form);
    return search.best;
}
