/* The ledger's rows, its beginning, and its time. */
#include "node/ledger_inside.h"

#include "base/mem.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* --- Actions ------------------------------------------------------------------------------- */

struct ledger_action *ledger_act(
    struct ledger_actions *actions, enum ledger_action_type type, const struct row *row)
{
    struct ledger_action *action;

    if (actions->count == actions->room) {
        actions->room = actions->room ? 2 * actions->room : 64;
        actions->list = mem_grow(actions->list, actions->room * sizeof *actions->list);
    }
    action = &actions->list[actions->count++];
    *action = (struct ledger_action){ .type = type, .peer = LEDGER_NO_PEER };
    if (row)
        action->mid = row->by_mid.mid;
    return action;
}

void ledger_tell(struct ledger *ledger, struct ledger_actions *actions, enum ledger_event event,
    const struct row *row, uint8_t peer, uint64_t number, const char *text)
{
    struct ledger_action *action = ledger_act(actions, LEDGER_EVENT, row);
    bool is_sum = event == LEDGER_D1 || event == LEDGER_D3 || event == LEDGER_D4;

    action->peer = peer;
    action->event = event;
    action->number = number;
    action->text = text;
    ledger->counts[event] += is_sum ? number : 1;
}

/* --- Time ---------------------------------------------------------------------------------- */

/* Never in the past: a call that comes at once would look late, as after a gap of our clock. */
void ledger_due_at(struct ledger *ledger, int64_t ms)
{
    if (ms < ledger->now.ms)
        ms = ledger->now.ms;
    if (ms < ledger->due_ms)
        ledger->due_ms = ms;
}

void ledger_enter(struct ledger *ledger, struct moment now)
{
    if (now.ms > ledger->now.ms)
        ledger->now = now;
}

/* --- Standings ---------------------------------------------------------------------------------- */

void ledger_fill_standing(
    const struct ledger *ledger, const struct row *row, struct standing *standing)
{
    uint64_t current = ledger_current_stores(ledger);

    *standing = (struct standing){ .role = row->role,
        .single = row->single,
        .generation = row->generation,
        .owner = ledger->stores[row->owner].known.id };
    if (row->from != NO_STORE)
        standing->from = ledger->stores[row->from].known.id;
    /* Those of other nodes first: they ask; of a former life of ours a third node may. */
    for (int own = 0; own < 2; own++)
        for (uint8_t i = 0; i < LEDGER_STORES_MAX; i++)
            if ((row->more->froms & ~row->more->told & store_bit(i)) && i != row->from &&
                ledger->stores[i].known.is_own == own &&
                standing->earlier_count < STANDING_EARLIER_MAX)
                standing->earlier[standing->earlier_count++] = ledger->stores[i].known.id;
    /* Present stores first: of more than there is room for, the others are gone anyway. */
    for (int pass = 0; pass < 2; pass++) {
        uint64_t wanted = row->holders & (pass ? ~current : current);
        for (uint8_t i = 0; wanted && i < LEDGER_STORES_MAX; i++)
            if ((wanted & store_bit(i)) && standing->holder_count < STANDING_HOLDERS_MAX)
                standing->holders[standing->holder_count++] = ledger->stores[i].known.id;
    }
}

void ledger_stand(struct ledger *ledger, struct row *row, struct ledger_actions *actions)
{
    struct ledger_action *action = ledger_act(actions, LEDGER_STAND, row);

    ledger_fill_standing(ledger, row, &action->standing);
    action->tag = ++row->stand_tag;
}

/* What waited for the disk goes on, by what the row is now. */
void ledger_on_stood(struct ledger *ledger, struct moment now, struct mid mid, uint64_t tag,
    uint64_t at, struct ledger_actions *actions)
{
    struct row *row = ledger_row(ledger, mid);

    ledger_enter(ledger, now);
    if (!row || tag != row->stand_tag)
        return; /* it is over, or a later one says more */
    if (row->wants_part && row->role == STANDING_PRIMARY)
        ledger_part_stood(ledger, row, at, actions);
    switch ((enum standing_role)row->role) {
    case STANDING_PRIMARY:
        if (row->is_claimed && !row->more->taken_at)
            ledger_claim_stood(ledger, row, at, actions);
        else if (row->more->copy_to != LEDGER_NO_PEER && !row->is_copy_sent)
            ledger_copy_stood(ledger, row, actions);
        else if (row->is_accepting)
            ledger_accept_stood(ledger, row, actions);
        break;
    case STANDING_HELD:
        ledger_held_stood(ledger, row, at, actions);
        break;
    case STANDING_SETTLED:
        ledger_settle_stood(ledger, row, at, actions);
        break;
    case STANDING_UNCLAIMED:
    case STANDING_ASIDE:
    case STANDING_ROLE_COUNT:
        break;
    }
}

void ledger_set_position(struct ledger *ledger, uint64_t position)
{
    if (position > ledger->position)
        ledger->position = position;
}

/* --- Beginning ----------------------------------------------------------------------------- */

static void take_known(struct ledger *ledger, const struct ledger_store *known)
{
    uint8_t slot;

    if (known->is_retired)
        ledger_retire_store(ledger, known->id);
    if (!known->is_current && !known->is_own)
        return;
    slot = ledger_intern_store(ledger, known->id);
    if (slot == NO_STORE)
        return;
    ledger->stores[slot].known = *known;
    ledger->stores[slot].known.is_retired = ledger_is_retired(ledger, known->id);
}

struct ledger *ledger_new(struct bytes node, struct store_id own, uint64_t position,
    bool was_damaged, const struct ledger_store *stores, uint32_t store_count,
    const struct ledger_settings *settings)
{
    struct ledger *ledger = mem_new(sizeof *ledger);

    snprintf(ledger->name, sizeof ledger->name, "%.*s", BYTES_ARGS(node));
    ledger->settings = *settings;
    ledger->position = ledger->start_position = position;
    ledger->was_damaged = was_damaged;
    ledger->due_ms = INT64_MAX;
    ledger->sticky = LEDGER_NO_PEER;
    ledger->own = NO_STORE;
    ledger->next_tag = 1;
    mid_table_init(&ledger->rows);
    slab_init(&ledger->row_slab, sizeof(struct row));
    slab_init(&ledger->more_slab, sizeof(struct row_more));
    table_init(&ledger->remembered);
    for (int i = 0; i < LIST_HELD; i++)
        list_init(&ledger->lists[i]);
    list_init(&ledger->taken);
    for (uint32_t i = 0; i < store_count; i++)
        take_known(ledger, &stores[i]);
    ledger->own = ledger_intern_store(ledger, own);
    assert(ledger->own != NO_STORE);
    for (uint8_t i = 0; i < LEDGER_STORES_MAX; i++)
        if (ledger->stores[i].known.is_own && i != ledger->own)
            ledger->stores[i].known.is_current = false;
    ledger->stores[ledger->own].known.is_own = true;
    ledger->stores[ledger->own].known.is_current = true;
    ledger_name_store(&ledger->stores[ledger->own], ledger->name);
    if (!ledger->stores[ledger->own].known.position)
        ledger->stores[ledger->own].known.position = position;
    ledger->first_position = ledger->stores[ledger->own].known.position;
    ledger->stores_dirty = ledger->stores_urgent = true;
    ledger->items = mem_new((SHADOW_PAGE_MAX + 1) * sizeof *ledger->items);
    ledger->remembered_ring = mem_new(REMEMBERED_MAX * sizeof *ledger->remembered_ring);
    return ledger;
}

void ledger_free(struct ledger *ledger)
{
    if (!ledger)
        return;
    ledger_free_rows(ledger);
    table_done(&ledger->remembered);
    for (uint32_t i = 0; i < ledger->peer_count; i++)
        list_each (node, &ledger->peers[i].notices)
            free(container_of(node, struct notice, in_peer));
    free(ledger->remembered_ring);
    free(ledger->retired);
    free(ledger->stores_out);
    free(ledger->items);
    free(ledger);
}

static struct peer *add_peer(struct ledger *ledger, struct bytes name)
{
    struct peer *peer = &ledger->peers[ledger->peer_count++];

    *peer = (struct peer){ .store = NO_STORE,
        .contact_ms = -1,
        .unanswered_ms = -1,
        .up_ms = -1,
        .ask_sent_ms = INT64_MIN / 2 };
    snprintf(peer->name, sizeof peer->name, "%.*s", BYTES_ARGS(name));
    peer->self.name = bytes_text(peer->name);
    list_init(&peer->notices);
    peer->ask_next_ms = ledger->now.ms;
    return peer;
}

/* What the file knows of a node that is configured. */
static void join_store(struct ledger *ledger, uint8_t number)
{
    struct peer *peer = &ledger->peers[number];

    for (uint8_t i = 0; i < LEDGER_STORES_MAX; i++) {
        struct store *store = &ledger->stores[i];
        if (!store->in_use || i == ledger->own || strcmp(store->known.node, peer->name) != 0)
            continue;
        store->peer = number;
        if (store->known.is_current && !store->known.is_own) {
            peer->store = i;
            peer->self.store = store->known.id;
            peer->was_heard = true;
        }
    }
}

void ledger_set_peers(struct ledger *ledger, const struct ledger_peer_config *peers,
    uint32_t count, struct ledger_actions *actions)
{
    for (uint32_t i = 0; i < ledger->peer_count; i++)
        ledger->peers[i].is_configured = false;
    for (uint32_t i = 0; i < count; i++) {
        uint8_t number = ledger_find_peer(ledger, peers[i].name);
        if (number == LEDGER_NO_PEER) {
            if (ledger->peer_count == LEDGER_PEERS_MAX)
                continue; /* the driver has refused so many: peers_check() */
            number = (uint8_t)ledger->peer_count;
            add_peer(ledger, peers[i].name);
            join_store(ledger, number);
        }
        ledger->peers[number].is_configured = true;
        ledger->peers[number].is_remote = peers[i].is_remote;
    }
    for (uint8_t i = 0; i < ledger->peer_count; i++) {
        if (ledger->peers[i].is_configured || ledger->peers[i].store == NO_STORE)
            continue;
        ledger_lose_store(ledger, ledger->peers[i].store, actions);
        ledger_drop_notices(ledger, i, actions);
    }
    ledger_due_at(ledger, ledger->now.ms);
}

void ledger_set_settings(struct ledger *ledger, const struct ledger_settings *settings,
    struct ledger_actions *actions)
{
    uint32_t broken = ledger->settings.broken;

    ledger->settings = *settings;
    ledger->settings.broken |= broken;
    ledger_due_at(ledger, ledger->now.ms);
    ledger_copy_again(ledger, actions);
}

uint64_t ledger_froms_of(struct ledger *ledger, const struct standing *standing)
{
    uint64_t bits = store_bit(ledger_intern_store(ledger, standing->from));

    for (uint32_t i = 0; i < standing->earlier_count; i++)
        bits |= store_bit(ledger_intern_store(ledger, standing->earlier[i]));
    return bits &
           ~store_bit(ledger->own); /* nobody asks himself; others do, about a former life */
}

static uint64_t holders_of(struct ledger *ledger, const struct standing *standing)
{
    uint64_t bits = 0;

    for (uint32_t i = 0; i < standing->holder_count; i++)
        bits |= store_bit(ledger_intern_store(ledger, standing->holders[i]));
    return bits;
}

/* True: it may be queued at once. */
static bool recover_primary(struct ledger *ledger, struct row *row)
{
    row->is_committed = true;
    if (row->from != NO_STORE) { /* claimed, or more: nobody knows whether it was firm */
        row->is_claimed = true;
        ledger->stores[row->from].is_asking = ledger->stores[row->from].has_found_claims = true;
    }
    row->is_waiting =
        ledger_known_peers(ledger) || row->is_claimed || row->owner != ledger->own;
    if (row->holders && row->single == SINGLE_NOT) {
        ledger_list_row(ledger, row, LIST_DOUBTFUL);
    } else {
        if (row->single == SINGLE_NOT)
            ledger_set_single(ledger, row, SINGLE_ALONE);
        ledger_list_row(ledger, row, LIST_SINGLE);
    }
    return !row->is_waiting;
}

static void set_froms(struct ledger *ledger, struct row *row, uint64_t froms)
{
    if (froms)
        ledger_more(ledger, row)->froms = froms;
}

bool ledger_recover(struct ledger *ledger, struct mid mid, const struct standing *standing,
    uint64_t at, bool has_outcomes, bool is_done)
{
    struct row *row = ledger_add_row(ledger, mid, standing ? standing->role : STANDING_PRIMARY);

    if (standing) {
        uint8_t owner = ledger_intern_store(ledger, standing->owner);
        row->owner = owner == NO_STORE ? ledger->own : owner;
        row->generation = standing->generation;
        row->from = ledger_intern_store(ledger, standing->from);
        set_froms(ledger, row, ledger_froms_of(ledger, standing));
        if (row->role == STANDING_SETTLED && row->owner != ledger->own)
            set_froms(ledger, row,
                row->more->froms | store_bit(row->owner)); /* settled in a former life: R14 */
        row->holders = holders_of(ledger, standing);
        ledger->has_shared |= row->holders || row->from != NO_STORE;
        ledger_set_single(ledger, row, standing->single);
    }
    row->is_committed = true;
    if (row->role != STANDING_UNCLAIMED && row->role != STANDING_ASIDE && row->more->froms)
        ledger_add_taken(ledger, row, at);
    switch ((enum standing_role)row->role) {
    case STANDING_PRIMARY:
        row->wants_part = has_outcomes && row->holders;
        if (is_done) {
            ledger_set_role(ledger, row, STANDING_SETTLED);
            row->wants_part = true; /* here: its SETTLED is still to be written */
            return false;
        }
        return recover_primary(ledger, row);
    case STANDING_HELD:
        ledger_list_row(ledger, row, LIST_HELD);
        return false;
    case STANDING_UNCLAIMED:
        ledger_list_row(ledger, row, LIST_UNCLAIMED);
        return false;
    case STANDING_SETTLED:
        ledger_more(ledger, row)->owing = row->holders;
        ledger_more(ledger, row)->attempt_ms =
            (int64_t)at; /* for ledger_settle_start(): the notice's cursor */
        return false;
    case STANDING_ASIDE:
    case STANDING_ROLE_COUNT:
        return false;
    }
    return false;
}

/* A node that left the configuration, and left copies here, before this process began: it keeps
 * its name, so that they can be seen, and taken over by order. */
static void know_who_left(struct ledger *ledger)
{
    for (uint8_t i = 0; i < LEDGER_STORES_MAX; i++) {
        const struct store *store = &ledger->stores[i];
        if (!store->in_use || list_is_empty(&store->held) || store->peer != LEDGER_NO_PEER ||
            store->known.is_own || !store->known.is_current)
            continue;
        if (ledger->peer_count == LEDGER_PEERS_MAX)
            return;
        add_peer(ledger, bytes_text(store->known.node));
        join_store(ledger, (uint8_t)(ledger->peer_count - 1));
    }
}

static void start_row(struct mid_node *node, void *me)
{
    struct row *row = container_of(node, struct row, by_mid);
    struct ledger *ledger = ((void **)me)[0];
    struct ledger_actions *actions = ((void **)me)[1];

    row->since_ms = ledger->now.ms; /* nothing is old because this node was away */
    if (row->wants_part)
        ledger_stand(ledger, row, actions);
}

void ledger_start(struct ledger *ledger, struct moment now, struct ledger_actions *actions)
{
    void *both[2] = { ledger, actions };
    const struct ledger_store *own;

    ledger_enter(ledger, now);
    ledger->has_started = true;
    ledger->began_ms = now.ms;
    ledger->start_seq = ledger->recovered_seq = ledger->seq;
    know_who_left(ledger);
    for (uint32_t i = 0; i < ledger->peer_count; i++)
        ledger->peers[i].ask_next_ms = now.ms;
    mid_table_each(&ledger->rows, start_row, both);
    for (uint8_t i = 0; i < LEDGER_STORES_MAX; i++)
        if (ledger->stores[i].in_use && ledger->stores[i].known.is_retired &&
            !list_is_empty(&ledger->stores[i].held))
            ledger_take_store(ledger, i, false, "its store is gone", actions);
    ledger_settle_start(ledger, actions);
    if (ledger->was_damaged && !is_broken(ledger, BROKEN_KEEPS_STORE))
        ledger_begin_renewal(ledger, false, false, "the spool was damaged", actions);
    own = &ledger->stores[ledger->own].known;
    if (own->went_back || own->is_retired) /* it was to be left when we died */
        ledger_begin_renewal(
            ledger, own->went_back, own->is_retired, "the store was given up", actions);
    ledger_fence_start(ledger, actions);
    ledger->due_ms = now.ms; /* no gap: nobody has called before */
    ledger_on_time(ledger, now, actions);
}

/* --- Time ---------------------------------------------------------------------------------- */

void ledger_on_time(struct ledger *ledger, struct moment now, struct ledger_actions *actions)
{
    int64_t late = now.ms - ledger->due_ms;
    int64_t gap = ledger->settings.heartbeat_timeout_ms / 4;
    bool is_gap = ledger->due_ms != INT64_MAX && late > (gap < 1000 ? 1000 : gap);

    ledger_enter(ledger, now);
    if (!ledger->has_started || ledger->is_renewing) {
        ledger->due_ms = now.ms + 20;
        return;
    }
    if (now.ms < ledger->due_ms && !is_gap)
        return;
    ledger->due_ms = INT64_MAX;
    if (is_gap)
        ledger_fence_gap_passed(ledger, late);
    if (is_gap && late > ledger_takeover_ms(ledger) / 2)
        ledger_fence_gap(ledger, actions);
    ledger_peer_time(ledger, is_gap, actions);
    ledger_lose_some(ledger, actions);
    ledger_accept_time(ledger, actions);
    ledger_take_time(ledger, actions);
    ledger_fence_time(ledger, actions);
    ledger_settle_time(ledger, actions);
    ledger_unclaimed_time(ledger, actions);
    ledger_audit_time(ledger, actions);
    ledger_copy_again(ledger, actions);
    ledger_write_stores(ledger, actions);
}

struct moment ledger_due(const struct ledger *ledger)
{
    return (struct moment){ ledger->due_ms };
}

_Static_assert((int)SHADOW_EARLIER_MAX == (int)STANDING_EARLIER_MAX, "the same on the wire");

void ledger_set_lineage(struct shadow_copy *copy, const struct standing *standing)
{
    copy->generation = standing->generation;
    copy->from = standing->from;
    copy->earlier_count = standing->earlier_count;
    memcpy(copy->earlier, standing->earlier, sizeof copy->earlier);
}

struct standing ledger_lineage(const struct shadow_copy *copy)
{
    struct standing standing = {
        .generation = copy->generation, .from = copy->from, .earlier_count = copy->earlier_count
    };

    memcpy(standing.earlier, copy->earlier, sizeof standing.earlier);
    return standing;
}

void ledger_page_free(const struct shadow_page *page)
{
    if (!page)
        return;
    free((void *)(uintptr_t)page->items);
    free((void *)(uintptr_t)page);
}
