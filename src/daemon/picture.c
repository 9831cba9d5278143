#include "daemon/picture.h"

void picture_take(const struct path *path, struct picture *out)
{
    const struct settings *settings = path->routed_by->settings;
    const struct ledger *ledger = node_ledger(path->node);
    uint32_t count = ledger_peer_count(ledger);

    if (count > LEDGER_PEERS_MAX)
        count = LEDGER_PEERS_MAX;
    node_get_facts(path->node, &out->facts);
    for (uint32_t i = 0; i < count; i++)
        ledger_get_peer(ledger, (uint8_t)i, &out->peers[i]);
    out->what = (struct redundancy){
        .is_enabled = settings->transport.shadow_is_enabled,
        .node_count = (uint32_t)settings->node_count,
        .facts = &out->facts.ledger,
        .peers = out->peers,
        .peer_count = count,
        .now = loop_now(path->home),
    };
}
