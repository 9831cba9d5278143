/* The table of events: name, level, order of fields.  Constant; any thread. */
#ifndef REPORT_EVENTS_H
#define REPORT_EVENTS_H

#include "report/report.h"

enum { EVENT_ORDER_MAX = 8 };

struct event_shape {
    const char *name;
    enum report_level level;
    /* Fields by these names come first, and last; all others stand between, as given. */
    const char *first[EVENT_ORDER_MAX], *last[EVENT_ORDER_MAX];
    bool is_tracked_only; /* it has no line in the log */
    /* Clients, next hops or strangers cause it, as often as they like: no loop waits until it is
     * written. */
    bool is_of_others;
};

const struct event_shape *event_shape(enum report_event event);

/* The numbers of the fields in the order they are to be written; returns how many: those for the
 * tracking log alone are left out.  COUNT is 0 to 64. */
unsigned event_order(const struct event_shape *shape, const struct report_field *fields,
    unsigned count, uint8_t *order);

/* The field called NAME; NULL: it has none. */
const struct report_field *event_field(
    const struct report_field *fields, unsigned count, const char *name);

#endif
