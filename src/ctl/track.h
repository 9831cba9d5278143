/* Where is my mail (OP-5): reads the message tracking logs, for `relais track`.  Blocking; the
 * daemon need not run. */
#ifndef CTL_TRACK_H
#define CTL_TRACK_H

#include "base/id.h"
#include "base/table.h"
#include "base/time.h"
#include "policy/pattern.h"
#include "report/tracking.h"

enum { TRACK_PATTERNS_MAX = 16, TRACK_EVENTS_MAX = 10000 };

/* What is looked for.  A line fits when event, recipient and time do; a message when a line of it
 * fits and it has the id, the sender and the subject. */
struct track_query {
    bool has_mid;
    struct mid mid;
    const char *message_id;         /* with brackets or without; NULL: any */
    const char *subject;            /* "*" and "?" in it, or else a part of one; NULL */
    const char *event;              /* NULL: any */
    char sender[PATTERN_BYTES_MAX]; /* "": any */
    char recipients[TRACK_PATTERNS_MAX][PATTERN_BYTES_MAX];
    unsigned recipient_count;                          /* one of these; 0: any */
    char since[DATE_ISO_BYTES], until[DATE_ISO_BYTES]; /* "": any */
    size_t limit;                                      /* of messages, the latest; 0: all */
};

/* One line, kept. */
struct track_event {
    size_t number; /* in the order the logs have them */
    struct tracking_line line;
    uint8_t bytes[]; /* what the line's columns are */
};

/* A message, with all that is known of it. */
struct track_message {
    struct table_node by_mid;
    struct mid mid;
    size_t number;   /* in the order the logs have them */
    bool is_related; /* a notification of one that fits, or the one that such tells of */
    bool is_asked;   /* the daemon was asked: */
    struct ctl_object **queued; /* its rows */
    size_t queued_count;
    struct track_event **events; /* in the order of time; free() each */
    size_t event_count, event_room;
};

struct track {
    struct table table;
    struct track_message **list; /* in the order of their first lines */
    size_t count;
    bool is_cut; /* more fit than the limit */
};

/* --- track_log.c ------------------------------------------------------------------------- */

/* The lines of the log at PATH and of its rotated ones, the oldest first. */
struct track_log;
struct track_log *track_log_open(const char *path, unsigned files_max);
void track_log_each(
    struct track_log *log, void (*each)(void *me, const struct tracking_line *line), void *me);
/* As log_files_missing(). */
const char *track_log_missing(const struct track_log *log, int *failure);
void track_log_close(struct track_log *log); /* NULL too */

/* --- track_find.c ------------------------------------------------------------------------ */

void track_find(struct track_log *log, const struct track_query *query, struct track *out);
void track_done(struct track *track);
struct track_message *track_message(const struct track *track, struct mid mid); /* or NULL */

/* --- track_print.c ----------------------------------------------------------------------- */

void track_print(const struct track_message *message);
void track_print_json(const struct track_message *message);

#endif
