/* Fencing with heartbeats alone (R6), the side that asks: "what of this store have you taken?"
 *
 * A node asks about its own store when it starts, when its clock had a gap, and whenever it is
 * again in contact with a node; about stores it was in a former life (R14, R20); a taker about the
 * store it took from (R5).  Until the answers are in, what may be another's is not delivered, and
 * not copied (R8); what is another's is held for that one.  The side that answers is in
 * ledger_tell_taken.c. */
#include "node/ledger_inside.h"

/* --- What is held back --------------------------------------------------------------------- */

bool ledger_is_former(const struct ledger *ledger, const struct row *row)
{
    return row->owner != ledger->own && row->role == STANDING_PRIMARY;
}

/* Of a former life: a node that may have a copy, be it under a new store, has not said yet what
 * it took from that store. */
static bool is_former_asked(const struct ledger *ledger, const struct row *row)
{
    uint16_t asked = ledger->stores[row->owner].ask_peers;

    /* At a start the damage may have been in the very record that named its holders. */
    if (asked && ledger->is_fencing)
        return true;
    for (uint8_t i = 0; asked && i < LEDGER_STORES_MAX; i++) {
        uint8_t peer = (row->holders & store_bit(i)) ? ledger->stores[i].peer : LEDGER_NO_PEER;
        if (peer != LEDGER_NO_PEER && (asked >> peer & 1))
            return true;
    }
    return false;
}

bool ledger_is_fenced(const struct ledger *ledger, const struct row *row)
{
    uint16_t asked = ledger->stores[ledger->own].ask_peers;

    if (row->is_waiting)
        return true;
    if (!row->holders || is_broken(ledger, BROKEN_NO_FENCE))
        return false;
    if (ledger_is_former(ledger, row))
        return is_former_asked(ledger, row);
    if (ledger->is_fencing && row->seq <= ledger->start_seq && !row->is_taken_now)
        return true;
    for (uint8_t i = 0; asked; i++, asked >>= 1)
        if ((asked & 1) && row->seq <= ledger->peers[i].fence_seq &&
            (row->holders & store_bit(ledger->peers[i].store)))
            return true;
    return false;
}

bool ledger_may_deliver(const struct ledger *ledger, struct mid mid)
{
    const struct row *row;

    if (!ledger->is_fencing && !ledger->stores[ledger->own].ask_peers && !ledger->is_renewing &&
        !ledger->has_former)
        return true; /* what is another's has been withdrawn */
    row = ledger_row(ledger, mid);
    return !row || (row->role == STANDING_PRIMARY && !ledger_is_fenced(ledger, row));
}

/* --- Beginning and end --------------------------------------------------------------------- */

uint16_t ledger_known_peers(const struct ledger *ledger)
{
    uint16_t bits = 0;

    for (uint8_t i = 0; i < ledger->peer_count; i++)
        if (ledger->peers[i].is_configured && !ledger->peers[i].is_retired &&
            (ledger->peers[i].was_heard || ledger->has_shared))
            bits |= (uint16_t)(1u << i);
    return bits;
}

struct release {
    struct ledger *ledger;
    struct ledger_actions *actions;
    uint64_t count;
    bool is_counting;
};

static void release_row(struct mid_node *node, void *me)
{
    struct row *row = container_of(node, struct row, by_mid);
    struct release *release = me;
    struct ledger_action *action;

    if (!row->is_waiting || row->role != STANDING_PRIMARY || row->is_claimed ||
        ledger_is_former(release->ledger, row))
        return;
    release->count++;
    if (release->is_counting)
        return;
    row->is_waiting = false;
    action = ledger_act(release->actions, LEDGER_DELIVER, row);
    ledger_fill_standing(release->ledger, row, &action->standing);
    if (row->from != NO_STORE)
        action->peer = release->ledger->stores[row->from].peer;
}

static void release_fenced(struct ledger *ledger, struct ledger_actions *actions)
{
    struct release release = { ledger, actions, 0, false };

    ledger->is_fencing = false;
    ledger->fence_peers = 0;
    mid_table_each(&ledger->rows, release_row, &release);
    ledger_former_look(ledger, actions);
    for (uint8_t i = 0; i < LEDGER_STORES_MAX; i++)
        if (ledger->stores[i].in_use && ledger->stores[i].is_asking)
            ledger_claims_look(ledger, i, actions);
    ledger_copy_again(ledger, actions);
}

static void end_fence(struct ledger *ledger, struct ledger_actions *actions)
{
    ledger_tell(
        ledger, actions, LEDGER_FENCE_OVER, NULL, LEDGER_NO_PEER, ledger->fence_found, NULL);
    release_fenced(ledger, actions);
}

/* A node without others has nobody to ask, and nothing to tell of. */
static void begin_fence(struct ledger *ledger, uint16_t peers, struct ledger_actions *actions)
{
    ledger->is_fencing = true;
    ledger->fence_found = 0;
    ledger->fence_peers = is_broken(ledger, BROKEN_NO_FENCE) ? 0 : peers;
    ledger->fence_until_ms = ledger->now.ms + ledger->settings.fence_wait_ms;
    ledger_due_at(ledger, ledger->fence_until_ms);
    if (!ledger->fence_peers) {
        release_fenced(ledger, actions);
        return;
    }
    ledger_tell(ledger, actions, LEDGER_FENCE_BEGUN, NULL, LEDGER_NO_PEER, 0, NULL);
    for (uint8_t i = 0; i < ledger->peer_count; i++) {
        if (!(peers >> i & 1))
            continue;
        ledger->stores[ledger->own].ask_peers |= (uint16_t)(1u << i);
        ledger->peers[i].fence_seq = ledger->seq;
        ledger_next_question(ledger, i, actions);
    }
}

void ledger_fence_start(struct ledger *ledger, struct ledger_actions *actions)
{
    uint64_t claimed = 0;

    for (uint8_t i = 0; i < LEDGER_STORES_MAX; i++) {
        struct store *store = &ledger->stores[i];
        if (store->in_use && store->known.is_own && i != ledger->own)
            store->ask_peers = ledger_known_peers(ledger);
        if (store->in_use && store->is_asking)
            claimed |= store_bit(i);
        store->is_asking = false; /* claims found in the spool: their questions begin anew */
    }
    begin_fence(ledger, ledger_known_peers(ledger), actions);
    for (uint8_t i = 0; i < LEDGER_STORES_MAX; i++)
        if (claimed & store_bit(i))
            ledger_claims_look(ledger, i, actions);
}

/* This process stood still for long: others may have taken over what it has. */
void ledger_fence_gap(struct ledger *ledger, struct ledger_actions *actions)
{
    uint16_t peers = 0;

    for (uint8_t i = 0; i < ledger->peer_count; i++)
        if ((ledger_known_peers(ledger) >> i & 1) && !ledger->peers[i].is_gone)
            peers |= (uint16_t)(1u << i);
    if (ledger->is_fencing || !peers)
        return;
    ledger->start_seq = ledger->seq;
    begin_fence(ledger, peers, actions);
}

/* Our own clock stood still, or jumped, for LATE_MS: nobody had that time to answer, and it is
 * no part of anybody's silence (R5). */
void ledger_fence_gap_passed(struct ledger *ledger, int64_t late_ms)
{
    ledger->fence_until_ms += late_ms;
    ledger->began_ms += late_ms;
    for (uint8_t i = 0; i < LEDGER_STORES_MAX; i++)
        ledger->stores[i].ask_until_ms += late_ms;
    for (uint8_t i = 0; i < ledger->peer_count; i++) {
        struct peer *peer = &ledger->peers[i];
        if (peer->contact_ms >= 0 && !is_broken(ledger, BROKEN_SILENCE_BY_CLOCK)) {
            peer->contact_ms += late_ms;
            if (peer->contact_ms > ledger->now.ms)
                peer->contact_ms = ledger->now.ms;
        }
        peer->up_ms += late_ms;
        peer->question.sent_ms += late_ms;
    }
}

static void count_unanswered(struct ledger *ledger, struct ledger_actions *actions)
{
    struct release release = { ledger, actions, 0, true };

    mid_table_each(&ledger->rows, release_row, &release);
    if (release.count)
        ledger_tell(ledger, actions, LEDGER_D4, NULL, LEDGER_NO_PEER, release.count,
            "the fence was not answered in time");
}

void ledger_fence_time(struct ledger *ledger, struct ledger_actions *actions)
{
    struct store *own = &ledger->stores[ledger->own];

    for (uint8_t i = 0; i < ledger->peer_count; i++) {
        struct peer *peer = &ledger->peers[i];
        int64_t until = peer->up_ms + ledger->settings.fence_wait_ms;
        if (!(own->ask_peers >> i & 1) ||
            (ledger->is_fencing && ledger->fence_peers >> i & 1) || !peer->is_up)
            continue;
        if (ledger->now.ms < until) {
            ledger_due_at(ledger, until);
            continue;
        }
        own->ask_peers &= (uint16_t) ~(1u << i);
        ledger_tell(
            ledger, actions, LEDGER_D4, NULL, i, 1, "it does not say what it has taken");
    }
    if (!ledger->is_fencing)
        return;
    if (ledger->now.ms < ledger->fence_until_ms) {
        ledger_due_at(ledger, ledger->fence_until_ms);
        return;
    }
    count_unanswered(ledger, actions);
    own->ask_peers &= (uint16_t)~ledger->fence_peers;
    end_fence(ledger, actions);
}

/* In contact again, after it was not. */
void ledger_fence_peer_up(struct ledger *ledger, uint8_t number, struct ledger_actions *actions)
{
    struct peer *peer = &ledger->peers[number];

    peer->question = (struct question){ 0 };
    peer->fence_seq = ledger->seq;
    if (!is_broken(ledger, BROKEN_NO_FENCE))
        ledger->stores[ledger->own].ask_peers |= (uint16_t)(1u << number);
    for (uint8_t i = 0; i < LEDGER_STORES_MAX; i++) {
        struct store *store = &ledger->stores[i];
        if (store->in_use && store->known.is_own && i != ledger->own)
            store->ask_peers |= (uint16_t)(1u << number);
    }
    ledger_next_question(ledger, number, actions);
}

/* Between nodes that see one another no more, deliveries go on (D3): but what a start waits for
 * stays asked. */
void ledger_fence_peer_down(
    struct ledger *ledger, uint8_t number, struct ledger_actions *actions)
{
    (void)actions;
    ledger->peers[number].question = (struct question){ 0 };
    if (!(ledger->is_fencing && ledger->fence_peers >> number & 1))
        ledger->stores[ledger->own].ask_peers &= (uint16_t) ~(1u << number);
}

static void has_answered(
    struct ledger *ledger, uint8_t number, uint8_t store, struct ledger_actions *actions)
{
    ledger->stores[store].ask_peers &= (uint16_t) ~(1u << number);
    if (store == ledger->own) {
        /* A node with a new store has forgotten what it took: that is no answer. */
        if (!ledger->is_fencing || ledger->peers[number].has_forgotten)
            return;
        ledger->fence_peers &= (uint16_t) ~(1u << number);
        if (!ledger->fence_peers)
            end_fence(ledger, actions);
    } else if (ledger->stores[store].known.is_own) {
        ledger_former_look(ledger, actions);
    } else {
        ledger_claims_look(ledger, store, actions);
    }
}

/* --- Former lives (R14, R20) --------------------------------------------------------------- */

static void settle_former(
    struct ledger *ledger, struct row *row, struct ledger_actions *actions)
{
    const struct ledger_store *former = &ledger->stores[row->owner].known;
    bool was_shared = row->holders != 0;
    bool is_retired = former->is_retired;
    struct ledger_action *action;

    /* Went back: what it alone had may be long delivered.  Retired: what others had is theirs. */
    if (former->went_back && (is_retired ? was_shared : true) &&
        row->seq <= ledger->recovered_seq) {
        ledger_stop_copying(ledger, row, actions);
        ledger_unlist_row(ledger, row);
        ledger_act(actions, LEDGER_WITHDRAW, row)->single = row->is_waiting;
        ledger_end_claim(ledger, row);
        ledger_set_role(ledger, row, STANDING_ASIDE);
        row->is_waiting = false;
        ledger_stand(ledger, row, actions);
        ledger_tell(ledger, actions, LEDGER_SET_ASIDE, row, LEDGER_NO_PEER, 0, NULL);
        return;
    }
    row->owner = ledger->own;
    if (row->seq <= ledger->recovered_seq) {
        row->holders = 0;
        ledger_set_kept(ledger, row, 0);
    }
    if (!row->kept && row->more->copy_to == LEDGER_NO_PEER) {
        ledger_set_single(ledger, row, SINGLE_LOST);
        ledger_list_row(ledger, row, LIST_SINGLE);
    }
    ledger_stand(ledger, row, actions);
    if (!row->is_waiting || row->is_claimed)
        return;
    row->is_waiting = false;
    action = ledger_act(actions, LEDGER_DELIVER, row);
    ledger_fill_standing(ledger, row, &action->standing);
}

static void former_row(struct mid_node *node, void *me)
{
    struct row *row = container_of(node, struct row, by_mid);
    struct release *release = me;
    struct ledger *ledger = release->ledger;

    if (!ledger_is_former(ledger, row) || row->is_accepting || !row->is_committed)
        return;
    if (is_former_asked(ledger, row))
        return;
    release->count++;
    settle_former(ledger, row, release->actions);
}

/* What no possible holder has taken was this node's alone. */
void ledger_former_look(struct ledger *ledger, struct ledger_actions *actions)
{
    struct release release = { ledger, actions, 0, false };

    if (ledger->is_renewing)
        return;
    ledger->has_former = false;
    for (uint8_t i = 0; i < LEDGER_STORES_MAX; i++)
        ledger->has_former |= ledger->stores[i].in_use && ledger->stores[i].known.is_own &&
                              i != ledger->own && ledger->stores[i].ask_peers;
    mid_table_each(&ledger->rows, former_row, &release);
}

void ledger_former_accepted(
    struct ledger *ledger, struct row *row, struct ledger_actions *actions)
{
    if (ledger_is_former(ledger, row) && !is_former_asked(ledger, row))
        settle_former(ledger, row, actions);
}

/* --- Asking -------------------------------------------------------------------------------- */

static void ask(struct ledger *ledger, uint8_t number, struct ledger_actions *actions)
{
    struct peer *peer = &ledger->peers[number];
    struct ledger_action *action = ledger_act(actions, LEDGER_ASK, NULL);

    peer->question.is_out = true;
    peer->question.sent_ms = ledger->now.ms;
    action->peer = number;
    action->ask = &peer->question.ask;
}

void ledger_next_question(struct ledger *ledger, uint8_t number, struct ledger_actions *actions)
{
    struct peer *peer = &ledger->peers[number];
    struct question *question = &peer->question;

    if (!peer->is_up || question->kind != QUESTION_NONE || ledger->is_renewing)
        return;
    for (uint8_t i = 0; i < LEDGER_STORES_MAX; i++) {
        if (!ledger->stores[i].in_use || !(ledger->stores[i].ask_peers >> number & 1))
            continue;
        question->kind = QUESTION_TAKEN;
        question->store = i;
        question->ask = (struct shadow_ask){
            .type = SHADOW_ASK_TAKEN, .count_max = 500, .store = ledger->stores[i].known.id
        };
        ask(ledger, number, actions);
        return;
    }
    if (ledger_next_audit(ledger, number, actions))
        ask(ledger, number, actions);
}

/* OWNER has a claim to ROW, as TELLER says: (generation, firm, store) decide.  A firm claim may
 * have been delivered already: a claim of ours that is not firm yet yields to it, whatever its
 * generation; but not to what a third node says of the one that we took it over from since. */
static bool is_theirs_stronger(const struct ledger *ledger, const struct row *row,
    uint8_t teller, uint8_t owner, const struct shadow_item *item)
{
    bool is_known = ledger->peers[teller].store != owner && row->more->froms & store_bit(owner);

    if (is_known && item->generation < row->generation)
        return false;
    if (item->is_firm && row->is_claimed && !row->is_firm)
        return true;
    if (item->generation != row->generation)
        return item->generation > row->generation;
    if (item->is_firm != row->is_firm)
        return item->is_firm;
    return memcmp(item->node.store.byte, ledger_own_store(ledger).byte, 16) < 0;
}

static void on_taken_item(struct ledger *ledger, uint8_t number, uint8_t store,
    const struct shadow_item *item, struct ledger_actions *actions)
{
    struct row *row = ledger_row(ledger, item->mid);
    uint8_t owner = ledger_intern_owner(ledger, &item->node);

    if (!row || owner == NO_STORE || owner == ledger->own || item->word != SHADOW_TAKEN)
        return;
    switch ((enum standing_role)row->role) {
    case STANDING_PRIMARY:
        if (row->is_accepting && is_broken(ledger, BROKEN_FENCE_SKIPS_ACCEPTING))
            return;
        if (!is_theirs_stronger(ledger, row, number, owner, item))
            return;
        ledger->fence_found++;
        ledger_yield_row(ledger, row, owner, item->generation, actions);
        return;
    case STANDING_SETTLED: /* handed over before, or beside */
        if (ledger->stores[store].known.is_own && !row->was_told_over)
            ledger_tell(ledger, actions, ledger->is_fencing ? LEDGER_D1 : LEDGER_D3, row,
                ledger->stores[owner].peer, 1, "settled here too");
        return;
    case STANDING_HELD:
        if (row->is_receiving || item->generation <= row->generation || row->owner == owner)
            return;
        /* The store it was held for asks who has it; and we may have to take it over in our turn. */
        ledger_leave_taken(ledger, row);
        ledger_more(ledger, row)->froms |= store_bit(row->owner);
        ledger_more(ledger, row)->told &= ~store_bit(row->owner);
        ledger_hold_for(ledger, row, owner, item->generation);
        ledger_stand(ledger, row, actions);
        return;
    case STANDING_UNCLAIMED:
    case STANDING_ASIDE:
    case STANDING_ROLE_COUNT:
        return;
    }
}

void ledger_on_taken_page(struct ledger *ledger, uint8_t number, const struct shadow_page *page,
    struct ledger_actions *actions)
{
    struct question *question = &ledger->peers[number].question;
    uint8_t store = question->store;

    if (question->kind != QUESTION_TAKEN || !question->is_out)
        return;
    question->is_out = false;
    for (uint32_t i = 0; i < page->item_count; i++)
        on_taken_item(ledger, number, store, &page->items[i], actions);
    if (page->item_count == 0 && !page->has_more) {
        question->kind = QUESTION_NONE;
        has_answered(ledger, number, store, actions);
        ledger_next_question(ledger, number, actions);
        return;
    }
    /* What was learned is confirmed when it is on our disk. */
    question->ask.has_cursor = true;
    question->ask.cursor = page->cursor;
    question->is_flushing = true;
    ledger_act(actions, LEDGER_FLUSH, NULL)->tag = LEDGER_PEERS_MAX + number;
}

void ledger_taken_flushed(struct ledger *ledger, uint8_t number, struct ledger_actions *actions)
{
    struct question *question = &ledger->peers[number].question;

    if (question->kind != QUESTION_TAKEN || !question->is_flushing)
        return;
    question->is_flushing = false;
    ask(ledger, number, actions);
}
