/* How much went where: counts by connector, next hop, TLS version, rule.  Made from the events of
 * report.h as they are reported; read for metrics and reports.  Any thread. */
#ifndef REPORT_TALLY_H
#define REPORT_TALLY_H

#include "report/report.h"

enum tally_kind {
    TALLY_CONNECTIONS, /* receive connector */
    TALLY_RECEIVED,    /* receive connector, TLS version or "none"; the amount is bytes */
    TALLY_REFUSED,     /* receive connector, rule */
    TALLY_LOGINS,      /* receive connector, "ok" or "failed" */
    TALLY_ATTEMPTS,    /* send connector, what became of a recipient: sent, deferred ... */
    TALLY_SENT,        /* next hop, TLS version or "none": recipients; the amount is bytes */
    TALLY_WEAK,        /* next hop, version and cipher that are weak: recipients */
    TALLY_KIND_COUNT
};

enum {
    TALLY_LABEL_BYTES = 256, /* longer ones are cut */
    TALLY_ROWS_MAX = 2000,   /* of a kind; further ones are counted as "other" */
};

struct tally_row {
    enum tally_kind kind;
    const char *first, *second; /* the labels */
    uint64_t count, amount;
};

void tally_event(
    enum report_event event, const struct report_field *fields, unsigned field_count);

/* Calls VISIT for each row of KIND, in the order of labels; it may call nothing of this. */
void tally_each(
    enum tally_kind kind, void (*visit)(void *me, const struct tally_row *row), void *me);

/* For tests: from zero. */
void tally_clear(void);

#endif
