/* What can be seen of the ledger. */
#include "node/ledger_inside.h"

#include "base/mem.h"

#include <assert.h>
#include <stdio.h>

uint32_t ledger_peer_count(const struct ledger *ledger)
{
    return ledger->peer_count;
}

uint8_t ledger_find_peer(const struct ledger *ledger, struct bytes name)
{
    for (uint32_t i = 0; i < ledger->peer_count; i++)
        if (bytes_equal_nocase(name, ledger->peers[i].self.name))
            return (uint8_t)i;
    return LEDGER_NO_PEER;
}

const char *ledger_peer_name(const struct ledger *ledger, uint8_t peer)
{
    assert(peer < ledger->peer_count);
    return ledger->peers[peer].name;
}

void ledger_get_peer(const struct ledger *ledger, uint8_t number, struct ledger_peer_facts *out)
{
    const struct peer *peer = &ledger->peers[number];

    *out = (struct ledger_peer_facts){ .state = ledger_peer_state(ledger, peer),
        .is_configured = peer->is_configured,
        .is_up = peer->is_up,
        .contact_ms = peer->contact_ms,
        .unanswered_ms = peer->unanswered_ms,
        .failures = peer->failures,
        .held_oldest_ms = -1,
        .owed = peer->notice_count,
        .owed_oldest_ms = -1 };
    snprintf(out->node, sizeof out->node, "%s", peer->name);
    if (!list_is_empty(&peer->notices))
        out->owed_oldest_ms =
            container_of(peer->notices.next, struct notice, in_peer)->since_ms;
    for (uint8_t i = 0; i < LEDGER_STORES_MAX; i++) {
        const struct store *store = &ledger->stores[i];
        if (!store->in_use || store->peer != number || list_is_empty(&store->held))
            continue;
        out->held += store->held_count;
        out->held_oldest_ms = container_of(store->held.next, struct row, in_role)->since_ms;
    }
    if (peer->store != NO_STORE) {
        out->store = ledger->stores[peer->store].known.id;
        out->position = ledger->stores[peer->store].known.position;
        out->copies_there = ledger->stores[peer->store].kept_count;
    }
}

static int64_t oldest_single_ms(const struct ledger *ledger)
{
    const struct list *lists[] = { &ledger->lists[LIST_SINGLE], &ledger->lists[LIST_COPYING] };

    int64_t oldest = -1;

    for (int i = 0; i < 2; i++) {
        list_each (node, lists[i]) {
            int64_t since = container_of(node, struct row, in_role)->since_ms;
            if (oldest < 0 || since < oldest)
                oldest = since;
            break; /* each list is in the order of age, but for what was put back */
        }
    }
    return oldest;
}

void ledger_get_facts(const struct ledger *ledger, struct ledger_facts *out)
{
    const uint64_t *roles = ledger->role_count;

    *out = (struct ledger_facts){ .own = ledger->stores[ledger->own].known.id,
        .primary = roles[STANDING_PRIMARY],
        .held = roles[STANDING_HELD],
        .unclaimed = roles[STANDING_UNCLAIMED],
        .aside = roles[STANDING_ASIDE],
        .words = roles[STANDING_SETTLED],
        .is_fencing = ledger->is_fencing,
        .has_right = !ledger->is_fencing && !ledger->is_renewing };
    out->single = ledger->list_count[LIST_SINGLE] + ledger->list_count[LIST_COPYING];
    out->single_oldest_ms = oldest_single_ms(ledger);
    out->redundant = out->primary > out->single ? out->primary - out->single : 0;
    memcpy(out->single_by, ledger->missing_by, sizeof out->single_by);
    memcpy(out->counts, ledger->counts, sizeof out->counts);
}

const char *ledger_node_of_store(const struct ledger *ledger, struct store_id store)
{
    uint8_t slot = ledger_find_store(ledger, store);

    return slot != NO_STORE ? ledger->stores[slot].known.node : "";
}

struct store_id ledger_own_store(const struct ledger *ledger)
{
    return ledger->stores[ledger->own].known.id;
}

/* The position is that of our beginning, or of an earlier one since which we told nobody, until the
 * peer has been told another in this life: an old image that grew since its start would have caught
 * up with what was heard of the lost one (R14). */
void ledger_get_hello(const struct ledger *ledger, uint8_t peer, struct shadow_hello *out)
{
    *out = (struct shadow_hello){
        .position = ledger->peers[peer].was_told ? ledger->position : ledger->first_position
    };
    for (unsigned version = SHADOW_VERSION_MIN; version <= SHADOW_VERSION_MAX; version++)
        out->versions |= 1u << version;
    out->node.name = bytes_text(ledger->name);
    out->node.store = ledger_own_store(ledger);
    for (uint32_t i = ledger->retired_count; i && out->retired_count < SHADOW_RETIRED_MAX; i--)
        out->retired[out->retired_count++] = ledger->retired[i - 1];
}

const struct ledger_store *ledger_stores(const struct ledger *ledger, uint32_t *count)
{
    struct ledger *mine = (struct ledger *)(uintptr_t)ledger; /* its scratch memory alone */
    uint32_t n = 0;

    mine->stores_out = mem_grow(mine->stores_out,
        (LEDGER_STORES_MAX + ledger->retired_count) * sizeof *mine->stores_out);
    for (uint8_t i = 0; i < LEDGER_STORES_MAX; i++) {
        const struct ledger_store *known = &ledger->stores[i].known;
        if (ledger->stores[i].in_use && (known->is_current || known->is_own))
            mine->stores_out[n++] = *known;
    }
    for (uint32_t i = 0; i < ledger->retired_count; i++) {
        uint8_t slot = ledger_find_store(ledger, ledger->retired[i]);
        if (slot != NO_STORE &&
            (ledger->stores[slot].known.is_current || ledger->stores[slot].known.is_own))
            continue;
        mine->stores_out[n] =
            (struct ledger_store){ .id = ledger->retired[i], .is_retired = true };
        snprintf(mine->stores_out[n].node, sizeof mine->stores_out[n].node, "%s",
            slot != NO_STORE && ledger->stores[slot].known.node[0]
                ? ledger->stores[slot].known.node
                : "unknown");
        n++;
    }
    *count = n;
    return mine->stores_out;
}

bool ledger_standing(const struct ledger *ledger, struct mid mid, struct standing *out)
{
    const struct row *row = ledger_row(ledger, mid);

    if (row)
        ledger_fill_standing(ledger, row, out);
    return row != NULL;
}

uint32_t ledger_holders(const struct ledger *ledger, struct mid mid)
{
    const struct row *row = ledger_row(ledger, mid);
    uint32_t bits = 0;

    for (uint8_t i = 0; row && i < LEDGER_STORES_MAX; i++)
        if ((row->kept & store_bit(i)) && ledger_holder_peer(ledger, i) != LEDGER_NO_PEER)
            bits |= 1u << ledger_holder_peer(ledger, i);
    return bits;
}

struct each {
    const struct ledger *ledger;
    enum standing_role role;
    void (*visit)(void *me, struct mid mid, uint8_t peer, int64_t since_ms);
    void *me;
};

static void visit_row(struct mid_node *node, void *me)
{
    const struct row *row = container_of(node, struct row, by_mid);
    const struct each *each = me;

    if (row->role == each->role)
        each->visit(
            each->me, row->by_mid.mid, each->ledger->stores[row->owner].peer, row->since_ms);
}

void ledger_each(const struct ledger *ledger, enum standing_role role,
    void (*visit)(void *me, struct mid mid, uint8_t peer, int64_t since_ms), void *me)
{
    struct each each = { ledger, role, visit, me };

    mid_table_each(&ledger->rows, visit_row, &each);
}
