/* What the operator sees and orders. */
#include "node/inside.h"

/* --- The operator ---------------------------------------------------------------------------- */

void node_get_facts(const struct node *node, struct node_facts *out)
{
    *out = (struct node_facts){
        .links_in = links_in_count(node),
        .copies_sent = node->copies_sent,
        .copies_received = node->copies_received,
        .bytes_sent = node->bytes_sent,
        .bytes_received = node->bytes_received,
    };
    ledger_get_facts(node->ledger, &out->ledger);
    memcpy(out->latency, node->latency, sizeof out->latency);
    for (uint8_t i = 0; i < LEDGER_PEERS_MAX; i++) {
        const struct peer *peer = node->peers[i];
        for (unsigned role = 0; peer && role < LINK_ROLES; role++) {
            const struct link *link = peer->links[role];
            out->links_out += link && link->is_up;
            out->copies_in_flight += link ? shadow_client_in_flight(link->engine) : 0;
        }
    }
}

const struct ledger *node_ledger(const struct node *node)
{
    return node->ledger;
}

struct spool_entry *node_find_entry(struct node *node, struct mid mid)
{
    struct keep *keep = keep_find(node, mid);

    return keep ? &keep->entry : NULL;
}

typedef enum ledger_order order_function(struct ledger *ledger, struct moment now, uint8_t peer,
    bool with_force, struct ledger_actions *actions);

static enum ledger_order order(
    struct node *node, order_function *give, const char *name, bool with_force)
{
    uint8_t peer = ledger_find_peer(node->ledger, bytes_text(name));
    enum ledger_order done;

    if (peer == LEDGER_NO_PEER)
        return LEDGER_NO_SUCH_NODE;
    done = give(node->ledger, node_now(node), peer, with_force, &node->actions);
    node_did(node);
    return done;
}

enum ledger_order node_take_over(struct node *node, const char *name, bool with_force)
{
    return order(node, ledger_take_over, name, with_force);
}

enum ledger_order node_evict(struct node *node, const char *name, bool with_force)
{
    return order(node, ledger_evict, name, with_force);
}

enum ledger_order node_audit(struct node *node, const char *name)
{
    uint8_t only = name ? ledger_find_peer(node->ledger, bytes_text(name)) : LEDGER_NO_PEER;

    if (name && only == LEDGER_NO_PEER)
        return LEDGER_NO_SUCH_NODE;
    for (uint8_t i = 0; i < LEDGER_PEERS_MAX; i++) {
        if (!node->peers[i] || (name && i != only))
            continue;
        ledger_audit(node->ledger, node_now(node), i, &node->actions);
        node_did(node);
    }
    return LEDGER_ORDERED;
}

bool node_resume_copy(struct node *node, struct mid mid)
{
    bool is_there = ledger_resume(node->ledger, node_now(node), mid, &node->actions);

    node_did(node);
    return is_there;
}

bool node_drop_copy(struct node *node, struct mid mid)
{
    bool is_there = ledger_drop(node->ledger, node_now(node), mid, &node->actions);

    node_did(node);
    return is_there;
}
