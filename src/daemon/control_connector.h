/* Inside the control socket: settings as rows, by the names that the configuration has for them. */
#ifndef DAEMON_CONTROL_CONNECTOR_H
#define DAEMON_CONTROL_CONNECTOR_H

#include "daemon/control_internal.h"

/* Each sets a member, or leaves it out where there is nothing to say. */
void row_text(struct ctl_object *row, const char *name, const char *text);
void row_time(struct ctl_object *row, const char *name, int64_t ms); /* "5m" */
void row_patterns(
    struct ctl_object *row, const char *name, const struct address_patterns *patterns);
void row_source(struct ctl_object *row, const struct settings *settings,
    const struct source_line *source); /* "relais.conf:12" */

/* One kind of thing in the settings; they are counted from 0. */
struct row_kind {
    const char *what; /* "receive connector" */
    size_t (*count)(const struct settings *settings);
    const char *(*name)(const struct settings *settings, size_t i);
    struct ctl_object *(*row)(const struct settings *settings, size_t i);
};

/* The row of the one whose name is asked for, or of each; an error when there is none of that name. */
void rows_answer(
    struct client *client, const struct ctl_object *request, const struct row_kind *kind);

#endif
