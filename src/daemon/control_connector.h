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

/* Whether a row of that NAME is asked for; without a name, all are. */
bool row_is_wanted(const struct ctl_object *request, const char *name);
/* The end of the rows: an error when none was of the name that was asked for. */
void row_end(struct client *client, const struct ctl_object *request, const char *what,
    size_t row_count);

#endif
