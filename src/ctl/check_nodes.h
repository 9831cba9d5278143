/* Nodes whose address is a name, for `relais check`: the name is looked up, as the daemon does, and
 * what follows from it is told (RC-9). */
#ifndef CTL_CHECK_NODES_H
#define CTL_CHECK_NODES_H

#include "directory/directory.h"

/* Adds warnings to COMPLAINTS.  Blocks for some seconds at most. */
void check_named_nodes(const struct settings *settings, struct complaints *complaints);

#endif
