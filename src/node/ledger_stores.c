/* The ledger's stores: whose they are, which is present, which are retired; and the file that says
 * so after a restart. */
#include "node/ledger_inside.h"

#include "base/mem.h"

uint8_t ledger_find_store(const struct ledger *ledger, struct store_id id)
{
    for (uint8_t i = 0; i < LEDGER_STORES_MAX; i++)
        if (ledger->stores[i].in_use && store_id_equal(ledger->stores[i].known.id, id))
            return i;
    return NO_STORE;
}

static void mark_row(struct mid_node *node, void *me)
{
    const struct row *row = container_of(node, struct row, by_mid);
    uint64_t *used = me;

    *used |= store_bit(row->owner) | store_bit(row->from) | row->more->froms | row->holders;
}

static void mark_owners(struct mid_node *node, void *me)
{
    const struct row *row = container_of(node, struct row, by_mid);
    uint64_t *used = me;

    *used |= store_bit(row->owner) | store_bit(row->from);
}

struct clearing {
    struct ledger *ledger;
    uint64_t bit;
};

static void clear_row(struct mid_node *node, void *me)
{
    struct row *row = container_of(node, struct row, by_mid);
    const struct clearing *clearing = me;
    uint64_t rest = ~clearing->bit;
    struct row_more *more;

    row->holders &= rest;
    ledger_set_kept(clearing->ledger, row, row->kept & rest);
    if (row->more == &ledger_no_more)
        return;
    more = ledger_more(clearing->ledger, row);
    more->owing &= rest;
    more->froms &= rest;
    more->told &= rest;
}

/* Of so many stores one that is gone for good is given up: what was noted to tell it is lost,
 * and may be delivered again should it come back after all. */
static uint8_t give_up_slot(struct ledger *ledger)
{
    uint64_t used = 0, bit;

    mid_table_each(&ledger->rows, mark_owners, &used);
    for (uint8_t i = 0; i < LEDGER_STORES_MAX; i++) {
        const struct store *store = &ledger->stores[i];
        bit = store_bit(i);
        if (i == ledger->own || store->known.is_current || !store->known.is_retired ||
            (used & bit) || store->is_taking || store->is_asking || store->claiming)
            continue;
        mid_table_each(&ledger->rows, clear_row, &(struct clearing){ ledger, bit });
        return i;
    }
    return NO_STORE;
}

/* A slot that no row and no node needs, or NO_STORE. */
static uint8_t free_slot(struct ledger *ledger)
{
    uint64_t used = 0;

    for (uint8_t i = 0; i < LEDGER_STORES_MAX; i++)
        if (!ledger->stores[i].in_use)
            return i;
    mid_table_each(&ledger->rows, mark_row, &used);
    for (uint8_t i = 0; i < LEDGER_STORES_MAX; i++) {
        const struct store *store = &ledger->stores[i];
        if (i != ledger->own && !store->known.is_current && !(used & store_bit(i)) &&
            !store->is_taking && !store->is_asking && !(ledger->losing & store_bit(i)))
            return i;
    }
    return give_up_slot(ledger);
}

void ledger_name_store(struct store *store, const char *node)
{
    size_t n = strnlen(node, sizeof store->known.node - 1);

    memmove(store->known.node, node, n);
    store->known.node[n] = 0;
}

static void init_store(struct store *store, struct store_id id)
{
    *store = (struct store){ .in_use = true, .peer = LEDGER_NO_PEER };
    store->known.id = id;
    list_init(&store->held);
}

uint8_t ledger_intern_store(struct ledger *ledger, struct store_id id)
{
    uint8_t slot;

    if (store_id_is_zero(id))
        return NO_STORE;
    slot = ledger_find_store(ledger, id);
    if (slot != NO_STORE)
        return slot;
    slot = free_slot(ledger);
    if (slot == NO_STORE)
        return NO_STORE;
    init_store(&ledger->stores[slot], id);
    ledger->stores[slot].known.is_retired = ledger_is_retired(ledger, id);
    return slot;
}

uint8_t ledger_intern_owner(struct ledger *ledger, const struct shadow_node *node)
{
    uint8_t slot = ledger_intern_store(ledger, node->store);
    struct store *store = &ledger->stores[slot == NO_STORE ? 0 : slot];

    if (slot == NO_STORE || store->known.is_retired ||
        (store->known.is_own && slot != ledger->own))
        return NO_STORE;
    if (store->peer == LEDGER_NO_PEER && slot != ledger->own)
        store->peer = ledger_find_peer(ledger, node->name);
    return slot;
}

bool ledger_is_retired(const struct ledger *ledger, struct store_id id)
{
    for (uint32_t i = 0; i < ledger->retired_count; i++)
        if (store_id_equal(ledger->retired[i], id))
            return true;
    return false;
}

void ledger_retire_store(struct ledger *ledger, struct store_id id)
{
    uint8_t slot = ledger_find_store(ledger, id);

    if (ledger_is_retired(ledger, id))
        return;
    if (ledger->retired_count == ledger->retired_room) {
        ledger->retired_room = ledger->retired_room ? 2 * ledger->retired_room : 16;
        ledger->retired =
            mem_grow(ledger->retired, ledger->retired_room * sizeof *ledger->retired);
    }
    ledger->retired[ledger->retired_count++] = id;
    if (slot != NO_STORE)
        ledger->stores[slot].known.is_retired = true;
    ledger_stores_changed(ledger, true);
}

void ledger_stores_changed(struct ledger *ledger, bool is_urgent)
{
    ledger->stores_dirty = true;
    ledger->stores_urgent |= is_urgent;
    ledger_due_at(ledger, is_urgent
                              ? ledger->now.ms
                              : ledger->stores_ms + ledger->settings.heartbeat_frequency_ms);
}

void ledger_want_to_tell(struct ledger *ledger)
{
    struct ledger_store *own = &ledger->stores[ledger->own].known;

    if (ledger->may_tell || !own->position)
        return; /* or the file says so, or is about to */
    own->position = 0;
    ledger_stores_changed(ledger, true);
}

void ledger_write_stores(struct ledger *ledger, struct ledger_actions *actions)
{
    int64_t at = ledger->stores_ms + ledger->settings.heartbeat_frequency_ms;

    if (!ledger->stores_dirty || ledger->stores_writing)
        return;
    if (!ledger->stores_urgent && ledger->now.ms < at) {
        ledger_due_at(ledger, at);
        return;
    }
    ledger->stores_dirty = ledger->stores_urgent = false;
    ledger->stores_writing = true;
    ledger->stores_ms = ledger->now.ms;
    ledger->writes_told = !ledger->stores[ledger->own].known.position;
    ledger_act(actions, LEDGER_STORES, NULL)->tag = ledger->next_tag++;
}

void ledger_on_stores(
    struct ledger *ledger, struct moment now, uint64_t tag, struct ledger_actions *actions)
{
    (void)tag;
    ledger_enter(ledger, now);
    ledger->stores_writing = false;
    ledger->may_tell |= ledger->writes_told;
    ledger_write_stores(ledger, actions);
    if (ledger->renew_waits && !ledger->stores_writing) {
        ledger->renew_waits = false;
        ledger_act(actions, LEDGER_RENEW, NULL);
    }
}

uint8_t ledger_holder_peer(const struct ledger *ledger, uint8_t store)
{
    uint8_t peer = store == NO_STORE ? LEDGER_NO_PEER : ledger->stores[store].peer;

    if (peer == LEDGER_NO_PEER || ledger->peers[peer].store != store)
        return LEDGER_NO_PEER;
    return peer;
}

uint64_t ledger_current_stores(const struct ledger *ledger)
{
    uint64_t bits = 0;

    for (uint32_t i = 0; i < ledger->peer_count; i++)
        if (ledger->peers[i].is_configured)
            bits |= store_bit(ledger->peers[i].store);
    return bits;
}
