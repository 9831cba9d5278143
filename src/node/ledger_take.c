/* Take-over (R5): a holder becomes primary.
 *
 * A claim is one standing a row: PRIMARY, generation + 1, FROM the lost store.  When those are
 * durable the other nodes are asked what they have taken from it (R6); what nobody has a better
 * claim to is firm, is copied to another node if there is one (R9), and delivered. */
#include "node/ledger_inside.h"

#include <assert.h>

/* --- Claims -------------------------------------------------------------------------------- */

/* A copy of an old image (R14), which its primary has not called pending since: what became of the
 * message after the image was made, this node has forgotten. */
static bool is_stale(const struct ledger *ledger, const struct row *row)
{
    return ledger->has_gone_back && row->seq <= ledger->recovered_seq && !row->is_confirmed;
}

static void set_aside(struct ledger *ledger, struct row *row, struct ledger_actions *actions)
{
    ledger_unlist_row(ledger, row);
    ledger_set_role(ledger, row, STANDING_ASIDE);
    ledger_stand(ledger, row, actions);
    ledger_tell(ledger, actions, LEDGER_SET_ASIDE, row, ledger->stores[row->owner].peer, 0,
        "a copy of an old image");
}

void ledger_claim_row(struct ledger *ledger, struct row *row, struct ledger_actions *actions)
{
    struct store *store = &ledger->stores[row->owner];
    uint8_t from = row->owner;

    ledger_answer_busy(row, actions);
    if (is_stale(ledger, row)) {
        set_aside(ledger, row, actions);
        return;
    }

    ledger_unlist_row(ledger, row);
    ledger_leave_taken(ledger, row);
    ledger_set_role(ledger, row, STANDING_PRIMARY);
    row->from = from;
    ledger_more(ledger, row)->froms |= store_bit(from);
    ledger_more(ledger, row)->told &= ~store_bit(from);
    row->owner = ledger->own;
    row->generation++;
    row->holders = 0;
    ledger_set_kept(ledger, row, 0);
    row->is_claimed = true;
    row->is_firm = false;
    ledger_set_single(ledger, row, SINGLE_LOST);
    row->is_claiming = row->is_taken_now = true;
    store->claiming++;
    ledger_stand(ledger, row, actions);
    ledger_tell(
        ledger, actions, LEDGER_RESUBMIT, row, store->peer, row->generation, store->taking_why);
}

static void take_some(struct ledger *ledger, uint8_t number, struct ledger_actions *actions)
{
    struct store *store = &ledger->stores[number];
    uint32_t count = 0;

    list_each (node, &store->held) {
        if (count++ == TAKEOVER_STEP) {
            ledger_due_at(ledger, ledger->now.ms);
            return;
        }
        ledger_claim_row(ledger, container_of(node, struct row, in_role), actions);
    }
    store->is_taking = false;
    ledger_claims_look(ledger, number, actions);
}

void ledger_take_store(struct ledger *ledger, uint8_t number, bool is_forced, const char *why,
    struct ledger_actions *actions)
{
    struct store *store = &ledger->stores[number];

    if (store->is_taking)
        return;
    store->taking_why = why;
    store->is_taking = true;
    ledger_tell(ledger, actions, LEDGER_TAKEOVER, NULL, store->peer, store->held_count, why);
    if (is_forced)
        ledger_tell(ledger, actions, LEDGER_D4, NULL, store->peer, store->held_count, why);
    take_some(ledger, number, actions);
}

/* --- Questions ----------------------------------------------------------------------------- */

/* Nodes that could have taken it too, and can be asked: the lost one as well, when it has a new
 * store and may know what became of the old one's (R14).  One that was out of contact for as long
 * as it takes is not waited for (D3). */
static uint16_t other_takers(const struct ledger *ledger, uint8_t number, bool is_gone)
{
    uint16_t bits = 0;

    for (uint8_t i = 0; i < ledger->peer_count; i++) {
        const struct peer *peer = &ledger->peers[i];
        if (peer->is_configured && (peer->was_heard || ledger->has_shared) &&
            peer->is_gone == is_gone &&
            (i != ledger->stores[number].peer || peer->store != number ||
                ledger->stores[number].known.is_retired))
            bits |= (uint16_t)(1u << i);
    }
    return bits;
}

/* Those who asked about the same store, and are there. */
static uint16_t asked_again(const struct ledger *ledger, const struct store *store)
{
    uint16_t bits = 0;

    for (uint8_t i = 0; i < ledger->peer_count; i++)
        if (ledger->peers[i].is_up)
            bits |= (uint16_t)(store->again_peers & 1u << i);
    return bits;
}

static void begin_questions(
    struct ledger *ledger, uint8_t number, struct ledger_actions *actions)
{
    struct store *store = &ledger->stores[number];

    store->is_asking = true;
    store->again_peers = 0;
    store->ask_peers |=
        is_broken(ledger, BROKEN_TAKER_ASKS_NOBODY) ? 0 : other_takers(ledger, number, false);
    store->ask_until_ms = ledger->now.ms + ledger->settings.fence_wait_ms;
    ledger_due_at(ledger, store->ask_until_ms);
    for (uint8_t i = 0; i < ledger->peer_count; i++)
        if (store->ask_peers >> i & 1)
            ledger_next_question(ledger, i, actions);
}

void ledger_end_claim(struct ledger *ledger, struct row *row)
{
    struct store *store;

    if (!row->is_claiming)
        return;
    row->is_claiming = false;
    store = &ledger->stores[row->from];
    assert(store->claiming > 0);
    store->claiming--;
    store->has_ended_claims = true;
    ledger_due_at(ledger, ledger->now.ms);
}

void ledger_claim_stood(
    struct ledger *ledger, struct row *row, uint64_t at, struct ledger_actions *actions)
{
    struct store *store = &ledger->stores[row->from];

    ledger_add_taken(ledger, row, at);
    ledger_end_claim(ledger, row);
    ledger_claims_look(ledger, (uint8_t)(store - ledger->stores), actions);
}

static void row_is_firm(struct ledger *ledger, struct row *row, struct ledger_actions *actions)
{
    row->is_firm = true;
    row->is_waiting = false;
    row->is_first_copy = true;
    ledger_unlist_row(ledger, row);
    row->since_ms = ledger->now.ms;
    if (row->kept) { /* its holder has asked about it meanwhile */
        ledger_set_single(ledger, row, SINGLE_NOT);
        ledger_taken_copied(ledger, row, actions);
        return;
    }
    if (ledger_pick_peer(ledger, 0, true, true) == LEDGER_NO_PEER ||
        is_broken(ledger, BROKEN_NEVER_AGAIN)) {
        ledger_list_row(ledger, row, LIST_SINGLE);
        ledger_taken_copied(
            ledger, row, actions); /* there is no other node: recorded in the claim */
        return;
    }
    ledger_list_row(ledger, row, LIST_SINGLE);
}

/* All questions about STORE are answered, or will not be. */
static void claims_are_firm(
    struct ledger *ledger, uint8_t number, struct ledger_actions *actions)
{
    struct store *store = &ledger->stores[number];
    uint16_t unasked = store->ask_peers | other_takers(ledger, number, true);

    store->is_asking = store->has_found_claims = false;
    store->ask_peers = 0;
    list_each (node, &ledger->taken) {
        struct row *row = taken_row(node);
        if (row->from == number && row->role == STANDING_PRIMARY && row->is_claimed &&
            !row->is_firm) {
            ledger_more(ledger, row)->unasked = unasked;
            row_is_firm(ledger, row, actions);
        }
    }
    ledger_copy_again(ledger, actions);
}

void ledger_claims_look(struct ledger *ledger, uint8_t number, struct ledger_actions *actions)
{
    struct store *store = &ledger->stores[number];

    if (store->is_taking || store->claiming)
        return;
    for (uint8_t i = 0; i < ledger->peer_count; i++)
        if (ledger->peers[i].has_taken_ask)
            ledger_answer_taken(ledger, i, actions);
    if (!store->is_asking)
        begin_questions(ledger, number, actions);
    store->ask_peers &= other_takers(ledger, number, false) | asked_again(ledger, store);
    /* A claim that a start found may have been taken from this node in its turn, since. */
    if (store->ask_peers == 0 && !(store->has_found_claims && ledger->is_fencing))
        claims_are_firm(ledger, number, actions);
}

void ledger_taken_copied(struct ledger *ledger, struct row *row, struct ledger_actions *actions)
{
    struct ledger_action *action;

    if (!row->is_first_copy)
        return;
    row->is_first_copy = row->is_claimed = false;
    action = ledger_act(actions, LEDGER_DELIVER, row);
    ledger_fill_standing(ledger, row, &action->standing);
    action->peer = row->from == NO_STORE ? LEDGER_NO_PEER : ledger->stores[row->from].peer;
}

static uint64_t count_claimed(const struct ledger *ledger, uint8_t number)
{
    uint64_t count = 0;

    list_each (node, &ledger->taken) {
        const struct row *row = taken_row(node);
        count += row->from == number && row->is_claimed;
    }
    return count;
}

/* A store whose node nobody knows: this one died with a copy of it before it had written whose it
 * is.  When all nodes are there, with other stores, it is gone. */
static bool is_nobodys(struct ledger *ledger, int64_t since_ms, int64_t wait_ms)
{
    bool has_others = false;

    for (uint8_t i = 0; i < ledger->peer_count; i++) {
        const struct peer *peer = &ledger->peers[i];
        if (peer->is_configured && (!peer->is_up || peer->contact_ms - since_ms < wait_ms)) {
            ledger_due_at(ledger, ledger->now.ms + wait_ms);
            return false;
        }
        has_others |= peer->is_configured;
    }
    return has_others;
}

/* What is held for a store that is gone, and that no introduction has shown to be: another node
 * told of it, and its own has been in contact with another store since. */
static void take_orphans(struct ledger *ledger, uint8_t number, struct ledger_actions *actions)
{
    struct store *store = &ledger->stores[number];
    const struct peer *peer =
        store->peer == LEDGER_NO_PEER ? NULL : &ledger->peers[store->peer];
    int64_t since_ms, wait_ms = 2 * ledger->settings.heartbeat_timeout_ms;

    if (list_is_empty(&store->held) || store->is_taking || ledger->is_renewing)
        return;
    since_ms = container_of(store->held.prev, struct row, in_role)->since_ms;
    if (!store->known.is_retired && !peer) {
        if (store->known.node[0] || !is_nobodys(ledger, since_ms, wait_ms))
            return;
    } else if (!store->known.is_retired) {
        if (peer->store == number || peer->store == NO_STORE)
            return;
        if (!peer->is_up || peer->contact_ms - since_ms < wait_ms) {
            ledger_due_at(ledger, ledger->now.ms + wait_ms);
            return;
        }
    }
    ledger_take_store(ledger, number, false, "its store is gone", actions);
}

void ledger_take_time(struct ledger *ledger, struct ledger_actions *actions)
{
    for (uint8_t i = 0; i < LEDGER_STORES_MAX; i++) {
        struct store *store = &ledger->stores[i];
        if (!store->in_use)
            continue;
        take_orphans(ledger, i, actions);
        if (store->is_taking)
            take_some(ledger, i, actions);
        if (store->has_ended_claims && !store->claiming && !store->is_taking) {
            store->has_ended_claims = false;
            ledger_claims_look(ledger, i, actions);
        }
        if (!store->is_asking || store->claiming || store->is_taking)
            continue;
        if (ledger->now.ms < store->ask_until_ms) {
            ledger_due_at(ledger, store->ask_until_ms);
            ledger_claims_look(ledger, i, actions);
            continue;
        }
        if (count_claimed(ledger, i))
            ledger_tell(ledger, actions, LEDGER_D4, NULL, store->peer, count_claimed(ledger, i),
                "other takers did not answer");
        claims_are_firm(ledger, i, actions);
    }
}

/* --- Orders -------------------------------------------------------------------------------- */

static enum ledger_order order(struct ledger *ledger, uint8_t number, bool with_force,
    const char *why, struct ledger_actions *actions)
{
    struct peer *peer;
    bool is_silent;

    if (number >= ledger->peer_count || ledger->peers[number].store == NO_STORE)
        return LEDGER_NO_SUCH_NODE;
    peer = &ledger->peers[number];
    is_silent = peer->is_gone || ledger_is_lost(ledger, peer);
    if (!is_silent && !with_force)
        return LEDGER_NOT_SILENT;
    peer->is_gone = true;
    ledger_lose_store(ledger, peer->store, actions);
    ledger_take_store(ledger, peer->store, !is_silent, why, actions);
    ledger_tell_state(ledger, number, actions);
    if (!is_silent) /* when it is back it asks what was taken from it */
        ledger_act(actions, LEDGER_CUT, NULL)->peer = number;
    return LEDGER_ORDERED;
}

enum ledger_order ledger_take_over(struct ledger *ledger, struct moment now, uint8_t number,
    bool with_force, struct ledger_actions *actions)
{
    ledger_enter(ledger, now);
    return order(ledger, number, with_force, "ordered", actions);
}

enum ledger_order ledger_evict(struct ledger *ledger, struct moment now, uint8_t number,
    bool with_force, struct ledger_actions *actions)
{
    enum ledger_order done;

    ledger_enter(ledger, now);
    done = order(ledger, number, with_force, "evicted", actions);
    if (done != LEDGER_ORDERED)
        return done;
    ledger->peers[number].is_retired = true;
    ledger_retire_store(ledger, ledger->stores[ledger->peers[number].store].known.id);
    ledger_tell(ledger, actions, LEDGER_PEER_RETIRED, NULL, number, 0, "evicted");
    ledger_act(actions, LEDGER_CUT, NULL)->peer = number;
    ledger_on_time(ledger, now, actions);
    return LEDGER_ORDERED;
}
