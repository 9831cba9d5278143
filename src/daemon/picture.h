/* What the node knows now, as redundancy.h judges it.  Home loop. */
#ifndef DAEMON_PICTURE_H
#define DAEMON_PICTURE_H

#include "daemon/path.h"
#include "daemon/redundancy.h"
#include "node/node.h"

/* WHAT borrows from the rest. */
struct picture {
    struct node_facts facts;
    struct ledger_peer_facts peers[LEDGER_PEERS_MAX];
    struct redundancy what;
};

void picture_take(const struct path *path, struct picture *out);

#endif
