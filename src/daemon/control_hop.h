/* What a queue is called and how it stands, for lists and filters.  Home loop. */
#ifndef DAEMON_CONTROL_HOP_H
#define DAEMON_CONTROL_HOP_H

#include "daemon/control_internal.h"
#include "policy/filter.h"

enum { CONTROL_HOP_BYTES = 400 };

const char *control_hop_kind(const struct hop *hop);
const char *control_hop_status(const struct hop *hop);
const char *control_hop_error(const struct hop *hop); /* NULL: none */
/* node\number */
void control_hop_identity(
    const struct path *path, const struct hop *hop, char out[CONTROL_HOP_BYTES]);
/* When the next attempt is; -1: nothing waits for one. */
int64_t control_hop_next_attempt_s(const struct path *path, const struct hop *hop);

/* A queue to hold filters against; for one turn. */
struct control_hop_subject {
    const struct path *path;
    const struct hop *hop;
    char text[CONTROL_HOP_BYTES];
};
filter_get control_hop_get;

#endif
