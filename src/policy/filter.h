/* Filters of commands over the queue (QU-5), in both tongues:
 *
 *     FromAddress -like '*@example.com' -and Status -eq 'Retry' -and Size -gt 10KB
 *     from ~ *@example.com and status = retry and size > 10k and age >= 2h
 *
 * Terms joined by "and"; every one must hold.  Text compares without case, `like` knows "*" and
 * "?".  Pure; any thread. */
#ifndef POLICY_FILTER_H
#define POLICY_FILTER_H

#include "base/bytes.h"
#include "base/err.h"
#include "base/time.h"

enum { FILTER_TERMS_MAX = 16, FILTER_BYTES_MAX = 4000, FILTER_WHY_BYTES = 400 };

/* What is filtered: it says which fields there are. */
enum filter_over { FILTER_MESSAGES = 1, FILTER_QUEUES = 2 };

enum filter_field {
    FILTER_IDENTITY, /* a message's id; a queue's node\name or node\number */
    FILTER_FROM,
    FILTER_RECIPIENT, /* many */
    FILTER_SIZE,      /* bytes */
    FILTER_RECEIVED,  /* wall time, ms */
    FILTER_AGE,       /* ms */
    FILTER_ERROR,
    FILTER_QUEUE,  /* name, and node\number */
    FILTER_DOMAIN, /* of the next hop */
    FILTER_STATUS,
    FILTER_RETRIES,
    FILTER_IP,
    FILTER_PRIORITY,
    FILTER_COUNT,     /* messages of a queue */
    FILTER_CONNECTOR, /* of a queue */
    FILTER_KIND,      /* of a queue */
    FILTER_FIELD_COUNT
};

struct filter_value {
    struct bytes text; /* of a field that is text */
    int64_t number;    /* of the others */
};

struct filter; /* free() */

/* ERR_SYNTAX: WHY says at which character (from 1), and what was expected there. */
enum err filter_parse(struct bytes text, enum filter_over over, struct filter **out,
    char why[FILTER_WHY_BYTES]) MUST_USE;

/* The AT-th value of FIELD (from 0), borrowed until the next call; false: there are no more. */
typedef bool filter_get(
    void *me, enum filter_field field, unsigned at, struct filter_value *out);

/* A field with many values fits when one does; with -ne, when none is equal. */
bool filter_fits(const struct filter *filter, filter_get *get, void *me);

/* Likewise, as far as its terms over ASKED (1 << enum filter_field, each) go: what holds for
 * all messages of a next hop is asked once. */
bool filter_fits_part(const struct filter *filter, uint32_t asked, filter_get *get, void *me);

/* "*" and "?" in PATTERN; without case. */
bool filter_like(struct bytes pattern, struct bytes text);

#endif
