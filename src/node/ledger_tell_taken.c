/* Fencing with heartbeats alone (R6), the side that answers: what was taken over, and is told to
 * those who ask.  The side that asks is in ledger_fence.c.
 *
 * 1. What was taken over, by this node or by the one that it is held for, is listed in the order of
 *    its records, and `froms` names the stores.  A place in that order is the cursor of an answer.
 * 2. Each ask confirms what is up to its cursor: the asker has that on its disk, and holds for this
 *    node what is this node's.  Taken from whom is remembered until a node that had that store has
 *    confirmed it, whatever becomes of the message (R6.6); for a store that is gone, as long as
 *    a node in a new life may ask (R14, R20).
 * 3. A take-over in progress is finished before it is answered (R6.3).
 * 4. Who asks about a store while this node asks about it, too, is asked once more (R6.4). */
#include "node/ledger_inside.h"

/* --- What was taken, in the order it was --------------------------------------------------- */

/* Who was told of what is in front of MORE's row is told of what is behind it next. */
static void pass_marks(struct ledger *ledger, const struct row_more *more)
{
    struct list *before = more->in_taken.prev;

    for (uint32_t i = 0; i < ledger->peer_count; i++)
        if (ledger->peers[i].taken_mark == &more->in_taken)
            ledger->peers[i].taken_mark = before == &ledger->taken ? NULL : before;
}

void ledger_leave_taken(struct ledger *ledger, struct row *row)
{
    struct row_more *more;

    if (!list_is_linked(&row->more->in_taken))
        return;
    more = ledger_more(ledger, row);
    pass_marks(ledger, more);
    list_remove(&more->in_taken);
    more->taken_at = 0;
}

void ledger_add_taken(struct ledger *ledger, struct row *row, uint64_t at)
{
    struct row_more *more = ledger_more(ledger, row);
    uint64_t last = 0;

    ledger_leave_taken(ledger, row);
    /* Cursors count up, whatever record says it: they hold for one run of questions alone. */
    if (!list_is_empty(&ledger->taken))
        last = taken_row(ledger->taken.prev)->more->taken_at;
    more->taken_at = at > last ? at : last + 1;
    list_add_last(&ledger->taken, &more->in_taken);
}

/* Other holders of it may be away, and the list of them went with the store: whoever it was has
 * confirmed, and cannot tell them. */
static bool may_have_others(const struct ledger *ledger, uint8_t number)
{
    for (uint8_t i = 0; i < ledger->peer_count; i++)
        if (ledger->peers[i].is_configured && i != ledger->stores[number].peer)
            return ledger->stores[number].known.is_retired;
    return false;
}

bool ledger_is_taking_owed(const struct ledger *ledger, const struct row *row)
{
    uint64_t owed = row->more->froms & ~row->more->told;
    bool is_young = ledger->now.ms - row->since_ms < ledger->settings.auto_discard_ms;

    /* A store that is gone is asked about all the same: by the node it was, in a new life (R14,
     * R20).  When that node has lost it, nobody asks, and the fact ages.  So it does when the
     * node is in contact: it has asked, and learned of it elsewhere since. */
    for (uint8_t i = 0; i < LEDGER_STORES_MAX; i++) {
        uint8_t peer = ledger_holder_peer(ledger, i);
        bool is_away = peer == LEDGER_NO_PEER || !ledger->peers[peer].is_up;
        if ((row->more->froms & store_bit(i)) && !ledger->stores[i].known.is_own && is_young &&
            may_have_others(ledger, i))
            return true;
        if ((owed & store_bit(i)) && !ledger->stores[i].known.is_own &&
            (is_young || (!ledger->stores[i].known.is_retired && is_away)))
            return true;
    }
    return false;
}

/* A node that has another store now may have lost what it had confirmed. */
void ledger_taken_unlearned(struct ledger *ledger, uint8_t number)
{
    uint64_t theirs = 0;

    for (uint8_t i = 0; i < LEDGER_STORES_MAX; i++)
        if (ledger->stores[i].in_use && ledger->stores[i].peer == number)
            theirs |= store_bit(i);
    list_each (node, &ledger->taken)
        container_of(node, struct row_more, in_taken)->told &= ~theirs;
}

/* --- Answering ----------------------------------------------------------------------------- */

static bool is_unfinished(const struct ledger *ledger, struct store_id id)
{
    uint8_t store = ledger_find_store(ledger, id);

    return store != NO_STORE &&
           (ledger->stores[store].is_taking || ledger->stores[store].claiming);
}

static void confirm_row(
    struct ledger *ledger, struct row *row, uint64_t asker, struct ledger_actions *actions)
{
    /* It holds the message for us from now on, and hears that it may go.  Whether it still
     * has the content is not said here: that makes it a possible holder, and no second
     * copy. */
    if (row->role == STANDING_SETTLED)
        ledger_more(ledger, row)->owing |= asker;
    else if (row->role != STANDING_PRIMARY)
        return; /* held for a third: that one is asked, too */
    row->holders |= asker;
    ledger_stand(ledger, row, actions);
}

/* The first that PEER has not confirmed in this run of questions; NULL: none. */
static struct list *first_untold(struct ledger *ledger, const struct peer *peer)
{
    struct list *next = peer->taken_mark ? peer->taken_mark->next : ledger->taken.next;

    return next == &ledger->taken ? NULL : next;
}

/* Those up to the confirmed cursor are told for good. */
static void confirm_taken(struct ledger *ledger, uint8_t number, const struct store *store,
    uint64_t cursor, struct ledger_actions *actions)
{
    struct peer *peer = &ledger->peers[number];
    uint64_t bit = store_bit((uint8_t)(store - ledger->stores));
    struct list *at;

    while ((at = first_untold(ledger, peer))) {
        struct row *row = taken_row(at);
        if (row->more->taken_at > cursor)
            return;
        peer->taken_mark = at;
        if (store->peer != number || !(row->more->froms & ~row->more->told & bit))
            continue; /* another taker has asked; or it is not about this store */
        ledger_more(ledger, row)->told |= bit;
        confirm_row(ledger, row, store_bit(peer->store), actions);
    }
}

/* A former life's is nobody's before the questions about it are answered. */
static bool is_firm_here(const struct ledger *ledger, const struct row *row)
{
    if (row->role != STANDING_PRIMARY)
        return true;
    return !ledger_is_former(ledger, row) && (row->is_firm || !row->is_claimed);
}

static void fill_taken(struct ledger *ledger, struct peer *peer, const struct store *store)
{
    const struct shadow_ask *ask = &peer->taken_ask;
    uint32_t max = ask->count_max < SHADOW_PAGE_MAX ? ask->count_max : SHADOW_PAGE_MAX;
    uint64_t bit = store_bit((uint8_t)(store - ledger->stores));
    struct list *at = first_untold(ledger, peer);

    for (; at && at != &ledger->taken; at = at->next) {
        const struct row *row = taken_row(at);
        const struct store *owner = &ledger->stores[row->owner];
        bool is_own = owner->known.is_own; /* taken in a former life: ours all the same */
        if (!(row->more->froms & bit) || row->role == STANDING_UNCLAIMED ||
            row->role == STANDING_ASIDE ||
            (ask->has_cursor && row->more->taken_at <= ask->cursor))
            continue;
        if (ledger->page.item_count == max) {
            ledger->page.has_more = true;
            return;
        }
        ledger->items[ledger->page.item_count++] = (struct shadow_item){
            .mid = row->by_mid.mid,
            .word = SHADOW_TAKEN,
            .generation = row->generation,
            .is_firm = is_firm_here(ledger, row),
            .node = { is_own                 ? bytes_text(ledger->name)
                      : owner->known.node[0] ? bytes_text(owner->known.node)
                                             : BYTES("unknown"),
                is_own ? ledger_own_store(ledger) : owner->known.id },
        };
        ledger->page.cursor = peer->taken_told = row->more->taken_at;
    }
}

void ledger_answer_taken(struct ledger *ledger, uint8_t number, struct ledger_actions *actions)
{
    struct peer *peer = &ledger->peers[number];
    uint8_t store = ledger_find_store(ledger, peer->taken_ask.store);

    if (is_unfinished(ledger, peer->taken_ask.store))
        return; /* a take-over in progress is finished before it is answered */
    peer->has_taken_ask = false;
    ledger_begin_page(ledger, SHADOW_ASK_TAKEN);
    ledger->page.cursor = peer->taken_ask.has_cursor ? peer->taken_ask.cursor : 0;
    if (store != NO_STORE)
        fill_taken(ledger, peer, &ledger->stores[store]);
    ledger_answer_page(ledger, number, peer->taken_tag, actions);
}

void ledger_ask_taken(struct ledger *ledger, uint8_t number, uint64_t tag,
    const struct shadow_ask *ask, struct ledger_actions *actions)
{
    struct peer *peer = &ledger->peers[number];
    uint8_t store = ledger_find_store(ledger, ask->store);

    if (ask->has_cursor && ask->cursor > peer->taken_told) {
        ledger_refuse_ask(number, tag, "no such cursor was given", actions);
        return;
    }
    if (!ask->has_cursor) {
        peer->taken_told = 0;
        peer->taken_mark = NULL;
    }
    if (store != NO_STORE && ask->has_cursor)
        confirm_taken(ledger, number, &ledger->stores[store], ask->cursor, actions);
    /* Somebody asks while we ask: it may have claimed since it answered us. */
    if (store != NO_STORE && ledger->stores[store].is_asking && !ask->has_cursor &&
        !(ledger->stores[store].again_peers >> number & 1)) {
        ledger->stores[store].again_peers |= (uint16_t)(1u << number);
        ledger->stores[store].ask_peers |= (uint16_t)(1u << number);
    }
    peer->has_taken_ask = true;
    peer->taken_tag = tag;
    peer->taken_ask = *ask;
    ledger_answer_taken(ledger, number, actions);
    ledger_next_question(ledger, number, actions);
}
