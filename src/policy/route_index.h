/* The send connectors by the patterns of their address spaces, so that a message costs as many
 * looks as its domain has labels, however many connectors and spaces there are.  Made once, when
 * the settings are read, unless there are few; then any thread.  Pure. */
#ifndef POLICY_ROUTE_INDEX_H
#define POLICY_ROUTE_INDEX_H

#include "policy/settings.h"

struct route_entry {
    const struct send_connector *connector; /* each once for a pattern */
    const char *pattern;                    /* in its spaces */
    uint32_t cost;                          /* the lowest it has for it */
    bool is_local;                          /* route_is_local() */
};

/* It borrows the settings' connectors.  NULL: there are so few that each is looked at. */
struct route_index *route_index_new(const struct settings *settings);
void route_index_free(struct route_index *index); /* NULL too */

/* Those with this very PATTERN: first those for some senders or receive connectors alone, then by
 * cost, then those for this node by name, then by name. */
struct route_entries {
    const struct route_entry *list;
    size_t count;
};
struct route_entries route_index_find(const struct route_index *index, struct bytes pattern);

/* SC-3: it is for some senders or some receive connectors alone. */
bool route_is_scoped(const struct send_connector *connector);

/* SC-2: its source_nodes name this node. */
bool route_is_local(const struct settings *settings, const struct send_connector *connector);

#endif
