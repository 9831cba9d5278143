/* The holder's side: copies held for others (R2), and the notices that let them go (R4). */
#include "node/ledger_inside.h"

#include <assert.h>

void ledger_hold_for(struct ledger *ledger, struct row *row, uint8_t owner, uint16_t generation)
{
    ledger_unlist_row(ledger, row);
    ledger_set_role(ledger, row, STANDING_HELD);
    row->owner = owner;
    row->generation = generation;
    ledger_set_kept(ledger, row, 0);
    ledger_end_claim(ledger, row);
    row->is_claimed = row->is_firm = row->is_first_copy = false;
    if (row->more->unasked)
        ledger_more(ledger, row)->unasked = 0;
    ledger_list_row(ledger, row, LIST_HELD);
    ledger_audit_soon(ledger, row);
}

void ledger_yield_row(struct ledger *ledger, struct row *row, uint8_t owner,
    uint16_t generation, struct ledger_actions *actions)
{
    bool was_waiting = row->is_waiting;

    /* Who holds it for a former life of ours asks us who has it (R14). */
    if (ledger->stores[row->owner].known.is_own)
        ledger_more(ledger, row)->froms |= store_bit(row->owner);
    ledger_tell(ledger, actions, LEDGER_FENCED_MID, row, ledger->stores[owner].peer, 0, NULL);
    ledger_stop_copying(ledger, row, actions);
    if (is_broken(ledger, BROKEN_FENCE_DROPS) && row->is_committed && !row->is_accepting) {
        ledger_act(actions, LEDGER_WITHDRAW, row);
        ledger_forget_row(ledger, row, actions);
        return;
    }
    ledger_hold_for(ledger, row, owner, generation);
    row->is_waiting = false;
    if (!row->is_committed)
        return; /* ledger_on_committed() goes on */
    if (!row->is_accepting) {
        struct ledger_action *action = ledger_act(actions, LEDGER_WITHDRAW, row);
        action->single = was_waiting; /* it was held back: no delivery was begun */
    }
    ledger_stand(ledger, row, actions);
}

void ledger_held_stood(
    struct ledger *ledger, struct row *row, uint64_t at, struct ledger_actions *actions)
{
    if (row->more->froms && !list_is_linked(&row->more->in_taken))
        ledger_add_taken(ledger, row, at);
    if (row->is_accepting) {
        ledger_act(actions, LEDGER_ACCEPTED, row)->verdict = LEDGER_OTHER;
        row->is_accepting = false;
    }
    if (row->answers_copy) {
        struct ledger_action *action = ledger_act(actions, LEDGER_HELD, row);
        action->peer = row->more->asker;
        action->tag = row->more->seen_tag;
        action->held.fate = SHADOW_DURABLE;
        row->answers_copy = false;
    }
    ledger_rest_row(ledger, row);
}

/* A copy that was offered waits for a standing that is not written any more. */
void ledger_answer_busy(struct row *row, struct ledger_actions *actions)
{
    struct ledger_action *action;

    if (!row->answers_copy)
        return;
    row->answers_copy = false;
    action = ledger_act(actions, LEDGER_HELD, row);
    action->peer = row->more->asker;
    action->tag = row->more->seen_tag;
    action->held.fate = SHADOW_BUSY;
    action->held.refusal = verdict_of(450, STATUS(4, 5, 0), "it changed meanwhile");
}

/* --- What was told of copies that are not here --------------------------------------------- */

static struct remembered *find_remembered(
    const struct ledger *ledger, uint8_t store, struct mid mid)
{
    struct table_node *node = table_first(&ledger->remembered, mid_hash(mid));

    for (; node; node = table_next(node)) {
        struct remembered *seen = container_of(node, struct remembered, by_mid);
        if (mid_equal(seen->mid, mid) && seen->store == store)
            return seen;
    }
    return NULL;
}

bool ledger_is_remembered(const struct ledger *ledger, uint8_t store, struct mid mid)
{
    return find_remembered(ledger, store, mid) != NULL;
}

void ledger_remember_done(struct ledger *ledger, uint8_t store, struct mid mid)
{
    struct remembered *slot = &ledger->remembered_ring[ledger->remembered_at];

    if (is_broken(ledger, BROKEN_FORGETS_NOTICES) || ledger_is_remembered(ledger, store, mid))
        return;
    if (ledger->remembered.count == REMEMBERED_MAX)
        table_remove(&ledger->remembered, &slot->by_mid);
    slot->mid = mid;
    slot->store = store;
    table_add(&ledger->remembered, &slot->by_mid, mid_hash(mid));
    ledger->remembered_at = (ledger->remembered_at + 1) % REMEMBERED_MAX;
}

/* --- A copy is offered --------------------------------------------------------------------- */

static enum ledger_offer answer(struct shadow_outcome *outcome, enum shadow_fate fate)
{
    *outcome = (struct shadow_outcome){ .fate = fate };
    return LEDGER_ANSWERED;
}

static enum ledger_offer busy(struct shadow_outcome *outcome, const char *why)
{
    *outcome = (struct shadow_outcome){ .fate = SHADOW_BUSY,
        .verdict = verdict_of(450, STATUS(4, 5, 0), "%s", why) };
    return LEDGER_ANSWERED;
}

static enum ledger_offer moved(
    struct ledger *ledger, uint8_t owner, struct shadow_outcome *outcome)
{
    const struct store *store = &ledger->stores[owner];

    *outcome = (struct shadow_outcome){ .fate = SHADOW_MOVED };
    outcome->node.store = store->known.id;
    outcome->node.name = owner == ledger->own   ? bytes_text(ledger->name)
                         : store->known.node[0] ? bytes_text(store->known.node)
                                                : BYTES("unknown");
    return LEDGER_ANSWERED;
}

/* It is here; its standing is written anew, and that is the answer. */
static enum ledger_offer answer_when_stood(struct ledger *ledger, struct row *row, uint8_t peer,
    uint64_t tag, struct ledger_actions *actions)
{
    row->answers_copy = true;
    row->is_unheard = false;
    ledger_more(ledger, row)->asker = peer;
    ledger_more(ledger, row)->seen_tag = tag;
    ledger_stand(ledger, row, actions);
    return LEDGER_ONLY_STAND;
}

/* A copy that is offered. */
struct offer {
    uint8_t peer, owner; /* who offers, and its store */
    uint16_t generation;
    uint64_t froms;
    uint8_t from;
    uint64_t tag;
};

/* What the offer says adds to what is known here: who has taken it over itself remembers that
 * until the store it took it from has heard of it, whatever becomes of the message (R6). */
static void set_from(struct ledger *ledger, struct row *row, const struct offer *offer)
{
    if (!offer->froms)
        return;
    ledger_leave_taken(ledger, row); /* listed anew, behind what was told */
    ledger_more(ledger, row)->froms |= offer->froms;
    ledger_more(ledger, row)->told &= ~offer->froms;
    if (offer->froms & store_bit(offer->from))
        row->from = offer->from;
}

static enum ledger_offer on_copy_of_held(struct ledger *ledger, struct row *row,
    const struct offer *offer, struct shadow_outcome *outcome, struct ledger_actions *actions)
{
    bool is_same_node =
        row->owner == offer->owner || ledger->stores[row->owner].peer == offer->peer;

    if (row->answers_copy)
        return busy(outcome, "the same copy is being answered");
    if (row->owner == offer->owner && offer->generation == row->generation &&
        row->role == STANDING_HELD && !(offer->froms & ~row->more->froms))
        return answer(outcome, SHADOW_DURABLE);
    if (offer->generation < row->generation ||
        (!is_same_node && offer->generation == row->generation))
        return moved(ledger, row->owner, outcome);
    ledger_hold_for(ledger, row, offer->owner, offer->generation);
    set_from(ledger, row, offer);
    return answer_when_stood(ledger, row, offer->peer, offer->tag, actions);
}

/* Of two claims the higher generation wins; of equal ones the one that is past its questions,
 * and who sends a copy is; else the smaller store id (R6). */
static bool is_ours_stronger(
    const struct ledger *ledger, const struct row *row, const struct offer *offer)
{
    if (row->generation != offer->generation)
        return row->generation > offer->generation;
    if (row->is_claimed)
        return false;
    return memcmp(ledger_own_store(ledger).byte, ledger->stores[offer->owner].known.id.byte,
               16) < 0;
}

static enum ledger_offer on_copy_of_primary(struct ledger *ledger, struct row *row,
    const struct offer *offer, struct shadow_outcome *outcome, struct ledger_actions *actions)
{
    struct mid mid = row->by_mid.mid;

    if (row->is_accepting)
        return busy(outcome, "acceptance in flight");
    if (is_ours_stronger(ledger, row, offer))
        return moved(ledger, ledger->own, outcome);
    ledger_yield_row(ledger, row, offer->owner, offer->generation, actions);
    if (!ledger_row(ledger, mid))
        return busy(outcome, "try again"); /* a rule is switched off: the row is gone */
    set_from(ledger, row, offer);
    return answer_when_stood(ledger, row, offer->peer, offer->tag, actions);
}

static enum ledger_offer on_new_copy(
    struct ledger *ledger, struct mid mid, const struct offer *offer, struct standing *standing)
{
    struct row *row = ledger_add_row(ledger, mid, STANDING_HELD);

    row->owner = offer->owner;
    row->generation = offer->generation;
    row->from = offer->from;
    ledger_more(ledger, row)->froms = offer->froms;
    row->is_receiving = true;
    ledger_more(ledger, row)->asker = offer->peer;
    ledger_more(ledger, row)->seen_tag = offer->tag;
    ledger_fill_standing(ledger, row, standing);
    return LEDGER_TAKE;
}

static enum ledger_offer on_known_copy(struct ledger *ledger, struct row *row, bool is_same,
    const struct offer *offer, struct shadow_outcome *outcome, struct ledger_actions *actions)
{
    if (row->is_receiving)
        return busy(outcome, "the same copy is being received");
    if (!is_same) {
        *outcome = (struct shadow_outcome){ .fate = SHADOW_REFUSED,
            .verdict = verdict_of(554, STATUS(5, 6, 0), "another envelope under this mid") };
        return LEDGER_ANSWERED;
    }
    switch ((enum standing_role)row->role) {
    case STANDING_PRIMARY:
        return on_copy_of_primary(ledger, row, offer, outcome, actions);
    case STANDING_HELD:
    case STANDING_UNCLAIMED:
        return on_copy_of_held(ledger, row, offer, outcome, actions);
    case STANDING_SETTLED:
        return row->is_settled ? answer(outcome, SHADOW_SETTLED)
                               : busy(outcome, "it is being settled");
    case STANDING_ASIDE:
    case STANDING_ROLE_COUNT:
        break;
    }
    return busy(outcome, "it is set aside for the administrator");
}

enum ledger_offer ledger_on_copy(struct ledger *ledger, struct moment now, uint8_t peer,
    struct mid mid, const struct standing *offered, bool is_same, uint64_t tag,
    struct standing *standing, struct shadow_outcome *outcome, struct ledger_actions *actions)
{
    struct row *row = ledger_row(ledger, mid);
    struct offer offer = { .peer = peer,
        .owner = ledger->peers[peer].store,
        .generation = offered->generation,
        .froms = ledger_froms_of(ledger, offered),
        .from = ledger_intern_store(ledger, offered->from),
        .tag = tag };

    ledger_enter(ledger, now);
    ledger_contact(ledger, peer, actions);
    if (offer.owner == NO_STORE)
        return busy(outcome, "introduce yourself first");
    if (row)
        return on_known_copy(ledger, row, is_same, &offer, outcome, actions);
    if (ledger_is_remembered(ledger, offer.owner, mid))
        return answer(outcome, SHADOW_SETTLED);
    return on_new_copy(ledger, mid, &offer, standing);
}

/* Its primary is gone already: nobody else would take it over. */
static bool is_orphan(const struct ledger *ledger, const struct row *row)
{
    uint8_t peer = ledger_holder_peer(ledger, row->owner);

    return peer == LEDGER_NO_PEER || ledger->peers[peer].is_gone;
}

void ledger_on_copy_stored(struct ledger *ledger, struct moment now, uint8_t peer,
    struct mid mid, uint64_t tag, bool is_ok, struct ledger_actions *actions)
{
    struct row *row = ledger_row(ledger, mid);
    struct ledger_action *action;

    ledger_enter(ledger, now);
    if (!row || !row->is_receiving || row->more->seen_tag != tag || row->more->asker != peer)
        return;
    if (!is_ok) {
        ledger_drop_row(ledger, row);
        return;
    }
    row->is_receiving = false;
    row->is_committed = true;
    action = ledger_act(actions, LEDGER_HELD, row);
    action->peer = peer;
    action->tag = tag;
    action->held.fate = row->is_doomed ? SHADOW_SETTLED : SHADOW_DURABLE;
    if (row->is_doomed) {
        ledger_forget_row(ledger, row, actions);
        return;
    }
    row->since_ms = now.ms;
    ledger_list_row(ledger, row, LIST_HELD);
    ledger_tell(ledger, actions, LEDGER_HARECEIVE, row, peer, 0, NULL);
    if (row->more->froms)
        ledger_add_taken(ledger, row, ledger->position);
    ledger_rest_row(ledger, row);
    if (is_orphan(ledger, row))
        ledger_claim_row(ledger, row, actions);
}

/* --- XQDISCARD's answer -------------------------------------------------------------------- */

/* The copy may go.  What is still to be told of it, here, stays as a word: to the store this node
 * took it from, or to nodes that have a copy of when it was this node's. */
void ledger_discard_row(struct ledger *ledger, struct row *row, struct ledger_actions *actions)
{
    bool was_unclaimed = row->role == STANDING_UNCLAIMED;

    if (was_unclaimed || (!(row->holders & ledger_current_stores(ledger)) &&
                             !ledger_is_taking_owed(ledger, row))) {
        ledger_forget_row(ledger, row, actions);
    } else {
        row->was_told_over = true;
        ledger_settle_row(ledger, row, actions);
    }
}

/* False: it must be told again, the copy is still on its way. */
static bool on_item(struct ledger *ledger, uint8_t number, const struct shadow_item *item,
    struct ledger_actions *actions)
{
    struct row *row = ledger_row(ledger, item->mid);
    uint8_t store = ledger->peers[number].store;
    bool is_for = row && (row->owner == store || is_broken(ledger, BROKEN_NOTICE_OF_ANY)) &&
                  (row->role == STANDING_HELD || row->role == STANDING_UNCLAIMED);

    if (item->word == SHADOW_PART) {
        if (is_for && row->is_receiving)
            return false;
        if (is_for) {
            struct ledger_action *action = ledger_act(actions, LEDGER_NOTE, row);
            action->list = item->list;
        }
        return true;
    }
    if (item->word != SHADOW_DONE)
        return true; /* advice, or a word of a later version (R21) */
    /* Whether a copy is here or not: one more may be on its way, by a link that is being cut. */
    ledger_remember_done(ledger, store, item->mid);
    if (!row)
        return true;
    if (row->role == STANDING_PRIMARY && row->is_claimed) {
        /* Taken over, and not delivered yet: its node, in a new life, or another taker that did
         * not wait for us, knows the end. */
        ledger_tell(ledger, actions, LEDGER_HADISCARD, row, number, 0, "in time");
        ledger_settle_row(ledger, row, actions);
    } else if (is_for && row->is_receiving) {
        row->is_doomed = true;
    } else if (is_for) {
        ledger_tell(ledger, actions, LEDGER_HADISCARD, row, number, 0, NULL);
        ledger_discard_row(ledger, row, actions);
    }
    return true;
}

void ledger_on_discard_page(struct ledger *ledger, uint8_t number,
    const struct shadow_page *page, struct ledger_actions *actions)
{
    struct peer *peer = &ledger->peers[number];
    struct ledger_action *action;
    bool is_all = true;

    for (uint32_t i = 0; i < page->item_count; i++)
        is_all &= on_item(ledger, number, &page->items[i], actions);
    if (page->item_count == 0) {
        ledger_ask_flushed(ledger, number, actions);
        return;
    }
    peer->got_all = is_all;
    peer->cursor_got = page->cursor;
    peer->is_flushing = true;
    if (is_broken(ledger, BROKEN_CONFIRMS_UNFLUSHED)) {
        ledger_ask_flushed(ledger, number, actions);
        return;
    }
    action = ledger_act(actions, LEDGER_FLUSH, NULL);
    action->tag = number;      /* below LEDGER_PEERS_MAX: a peer's page */
    action->is_patient = true; /* its copies are gone here already: only the primary waits */
}

void ledger_on_flushed(
    struct ledger *ledger, struct moment now, uint64_t tag, struct ledger_actions *actions)
{
    ledger_enter(ledger, now);
    if (tag < LEDGER_PEERS_MAX)
        ledger_ask_flushed(ledger, (uint8_t)tag, actions);
    else
        ledger_taken_flushed(ledger, (uint8_t)(tag - LEDGER_PEERS_MAX), actions);
}

/* --- Unclaimed ----------------------------------------------------------------------------- */

/* The rule R2 switched off, for the tests: copies go because of their age. */
static void drop_old_copies(struct ledger *ledger, struct ledger_actions *actions)
{
    for (uint8_t i = 0; i < LEDGER_STORES_MAX; i++) {
        if (!ledger->stores[i].in_use)
            continue;
        list_each (node, &ledger->stores[i].held) {
            struct row *row = container_of(node, struct row, in_role);
            if (ledger->now.ms - row->since_ms < ledger->settings.auto_discard_ms)
                break;
            ledger_forget_row(ledger, row, actions);
        }
    }
}

void ledger_unclaimed_time(struct ledger *ledger, struct ledger_actions *actions)
{
    if (is_broken(ledger, BROKEN_DROPS_OLD_COPIES))
        drop_old_copies(ledger, actions);
    list_each (node, &ledger->lists[LIST_UNCLAIMED]) {
        struct row *row = container_of(node, struct row, in_role);
        if (ledger->now.ms - row->since_ms < ledger->settings.unclaimed_hold_ms) {
            ledger_due_at(ledger, row->since_ms + ledger->settings.unclaimed_hold_ms);
            return;
        }
        ledger_tell(ledger, actions, LEDGER_UNCLAIMED_DROPPED, row,
            ledger->stores[row->owner].peer, 0, NULL);
        ledger_forget_row(ledger, row, actions);
    }
}
