/* The audit (R11): a holder asks the primary about its copies, on every contact after silence
 * and now and then.  It never causes a take-over. */
#include "node/ledger_inside.h"

#include <assert.h>

/* --- Asking -------------------------------------------------------------------------------- */

static struct row *first_held(const struct ledger *ledger, uint8_t store)
{
    struct list *first = list_first(&ledger->stores[store].held);

    return first ? container_of(first, struct row, in_role) : NULL;
}

static struct row *next_held(const struct ledger *ledger, const struct row *row)
{
    struct list *next = row->in_role.next;

    return next == &ledger->stores[row->owner].held ? NULL
                                                    : container_of(next, struct row, in_role);
}

void ledger_begin_audit(
    struct ledger *ledger, uint8_t number, bool all, struct ledger_actions *actions)
{
    struct peer *peer = &ledger->peers[number];

    peer->audit_due_ms = ledger->now.ms + ledger->settings.audit_after_ms;
    ledger_due_at(ledger, peer->audit_due_ms);
    if (peer->store == NO_STORE)
        return;
    peer->is_auditing = true;
    peer->audits_all |= all;
    peer->audits_unheard = peer->has_unheard;
    peer->has_unheard = false;
    peer->audit_next = first_held(ledger, peer->store);
    ledger_next_question(ledger, number, actions);
}

void ledger_audit_soon(struct ledger *ledger, struct row *row)
{
    uint8_t number = ledger_holder_peer(ledger, row->owner);

    row->is_unheard = true;
    if (number == LEDGER_NO_PEER)
        return;
    ledger->peers[number].has_unheard = true;
    ledger_due_at(ledger, ledger->now.ms);
}

/* Is it asked about now?  IS_LAST: the rest of the list is not, nor is it. */
static bool is_to_be_audited(
    const struct ledger *ledger, const struct peer *peer, const struct row *row, bool *is_last)
{
    bool is_young = row->since_ms > ledger->now.ms - ledger->settings.audit_after_ms;

    *is_last =
        row->owner != peer->store || (is_young && !peer->audits_all && !peer->audits_unheard);
    return !*is_last && row->is_committed && (!is_young || peer->audits_all || row->is_unheard);
}

/* Fills peer->question with the next copies to be asked about; false: none is left. */
bool ledger_next_audit(struct ledger *ledger, uint8_t number, struct ledger_actions *actions)
{
    struct peer *peer = &ledger->peers[number];
    struct shadow_ask *ask = &peer->question.ask;
    bool is_last = false;

    (void)actions;
    if (!peer->is_auditing)
        return false;
    *ask = (struct shadow_ask){ .type = SHADOW_ASK_AUDIT };
    memset(peer->audited, 0, sizeof peer->audited);
    while (peer->audit_next && !is_last && ask->mid_count < SHADOW_AUDIT_MAX) {
        struct row *row = peer->audit_next;
        if (is_to_be_audited(ledger, peer, row, &is_last)) {
            row->is_unheard = false;
            peer->audited[ask->mid_count] = row;
            ask->mids[ask->mid_count++] = row->by_mid.mid;
        }
        peer->audit_next = is_last ? NULL : next_held(ledger, row);
    }
    if (!ask->mid_count) {
        peer->is_auditing = peer->audits_all = peer->audits_unheard = false;
        return false;
    }
    peer->question.kind = QUESTION_AUDIT;
    return true;
}

static void is_unknown_there(
    struct ledger *ledger, struct row *row, uint8_t number, struct ledger_actions *actions)
{
    ledger_tell(
        ledger, actions, LEDGER_AUDIT_DIFFERENCE, row, number, 0, "unknown to its primary");
    if (is_broken(ledger, BROKEN_AUDIT_TAKES_OVER)) {
        ledger_claim_row(ledger, row, actions);
        return;
    }
    ledger_answer_busy(row, actions);
    ledger_unlist_row(ledger, row);
    ledger_set_role(ledger, row, STANDING_UNCLAIMED);
    ledger_list_row(ledger, row, LIST_UNCLAIMED);
    ledger_due_at(ledger, ledger->now.ms + ledger->settings.unclaimed_hold_ms);
    ledger_tell(ledger, actions, LEDGER_UNCLAIMED_FOUND, row, number, 0, NULL);
    ledger_stand(ledger, row, actions);
}

static void is_moved_there(struct ledger *ledger, struct row *row, uint8_t number,
    const struct shadow_item *item, struct ledger_actions *actions)
{
    uint8_t owner = ledger_intern_owner(ledger, &item->node);

    if (owner == NO_STORE || owner == row->owner)
        return;
    if (owner == ledger->own) { /* it says that we own it: as with YOURS, somebody must */
        ledger_claim_row(ledger, row, actions);
        return;
    }
    (void)number;
    ledger_hold_for(ledger, row, owner, row->generation);
    ledger_stand(ledger, row, actions);
}

static void on_audit_item(struct ledger *ledger, struct row *row, uint8_t number,
    const struct shadow_item *item, struct ledger_actions *actions)
{
    if (!mid_equal(row->by_mid.mid, item->mid) || row->role != STANDING_HELD ||
        row->owner != ledger->peers[number].store)
        return; /* it changed while we asked */
    switch (item->word) {
    case SHADOW_IS_PENDING:
        row->is_confirmed = true;
        return;
    case SHADOW_IS_SETTLED:
        ledger_tell(ledger, actions, LEDGER_HADISCARD, row, number, 0, "audit");
        ledger_discard_row(ledger, row, actions);
        return;
    case SHADOW_IS_UNKNOWN:
        is_unknown_there(ledger, row, number, actions);
        return;
    case SHADOW_IS_YOURS: /* each holds it for the other: the smaller store id takes it */
        if (memcmp(ledger_own_store(ledger).byte, ledger->stores[row->owner].known.id.byte,
                16) < 0)
            ledger_claim_row(ledger, row, actions);
        return;
    case SHADOW_IS_MOVED:
        is_moved_there(ledger, row, number, item, actions);
        return;
    default:
        return;
    }
}

void ledger_on_audit_page(struct ledger *ledger, uint8_t number, const struct shadow_page *page,
    struct ledger_actions *actions)
{
    struct peer *peer = &ledger->peers[number];
    struct question *question = &peer->question;

    if (question->kind != QUESTION_AUDIT || !question->is_out)
        return;
    *question = (struct question){ 0 };
    for (uint32_t i = 0; i < page->item_count && i < SHADOW_AUDIT_MAX; i++)
        if (peer->audited[i])
            on_audit_item(ledger, peer->audited[i], number, &page->items[i], actions);
    memset(peer->audited, 0, sizeof peer->audited);
    ledger_next_question(ledger, number, actions);
}

void ledger_audit_pass(struct ledger *ledger, const struct row *row)
{
    for (uint32_t i = 0; i < ledger->peer_count; i++)
        if (ledger->peers[i].audit_next == row)
            ledger->peers[i].audit_next = next_held(ledger, row);
}

void ledger_audit_forget(struct ledger *ledger, const struct row *row)
{
    for (uint32_t i = 0; i < ledger->peer_count; i++) {
        struct peer *peer = &ledger->peers[i];
        if (peer->question.kind != QUESTION_AUDIT)
            continue;
        for (uint32_t n = 0; n < SHADOW_AUDIT_MAX; n++)
            if (peer->audited[n] == row)
                peer->audited[n] = NULL;
    }
}

void ledger_audit_time(struct ledger *ledger, struct ledger_actions *actions)
{
    for (uint8_t i = 0; i < ledger->peer_count; i++) {
        struct peer *peer = &ledger->peers[i];
        if (!peer->is_up || peer->is_auditing)
            continue;
        if (peer->has_unheard || ledger->now.ms >= peer->audit_due_ms)
            ledger_begin_audit(ledger, i, false, actions);
        else
            ledger_due_at(ledger, peer->audit_due_ms);
    }
}

void ledger_audit(
    struct ledger *ledger, struct moment now, uint8_t peer, struct ledger_actions *actions)
{
    ledger_enter(ledger, now);
    if (peer < ledger->peer_count)
        ledger_begin_audit(ledger, peer, true, actions);
}

/* --- Answering ----------------------------------------------------------------------------- */

/* It has a copy of what we are to deliver: it is a possible holder, and hears of the end. */
static void note_asker(
    struct ledger *ledger, struct row *row, uint8_t number, struct ledger_actions *actions)
{
    uint64_t bit = store_bit(ledger->peers[number].store);
    bool is_new = !(row->holders & bit);

    row->holders |= bit;
    if (is_new && row->is_committed)
        ledger_stand(ledger, row, actions);
    if (!(row->kept & bit))
        ledger_row_is_kept(ledger, row, number, actions);
}

static struct shadow_item answer_about(
    struct ledger *ledger, struct mid mid, uint8_t number, struct ledger_actions *actions)
{
    struct row *row = ledger_row(ledger, mid);
    struct shadow_item item = { .mid = mid, .word = SHADOW_IS_UNKNOWN };

    if (!row || row->is_receiving ||
        (row->is_accepting && is_broken(ledger, BROKEN_ACCEPTING_UNKNOWN)))
        return item;
    switch ((enum standing_role)row->role) {
    case STANDING_PRIMARY:
        item.word = SHADOW_IS_PENDING;
        note_asker(ledger, row, number, actions);
        break;
    case STANDING_ASIDE:
        item.word = SHADOW_IS_PENDING; /* until the administrator has decided */
        break;
    case STANDING_SETTLED:
        item.word = row->is_settled ? SHADOW_IS_SETTLED : SHADOW_IS_PENDING;
        break;
    case STANDING_HELD:
        if (ledger->stores[row->owner].peer == number) {
            item.word = SHADOW_IS_YOURS;
            break;
        }
        item.word = SHADOW_IS_MOVED;
        item.node.store = ledger->stores[row->owner].known.id;
        item.node.name = ledger->stores[row->owner].known.node[0]
                             ? bytes_text(ledger->stores[row->owner].known.node)
                             : BYTES("unknown");
        break;
    case STANDING_UNCLAIMED:
    case STANDING_ROLE_COUNT:
        break;
    }
    return item;
}

void ledger_ask_audit(struct ledger *ledger, uint8_t number, uint64_t tag,
    const struct shadow_ask *ask, struct ledger_actions *actions)
{
    struct peer *peer = &ledger->peers[number];
    struct shadow_item items[SHADOW_AUDIT_MAX];

    peer->has_audited = true;
    peer->audit_seen_ms = ledger->now.ms;
    /* Noting the asker may end acceptances; the page is made when that is done. */
    for (uint32_t i = 0; i < ask->mid_count; i++)
        items[i] = answer_about(ledger, ask->mids[i], number, actions);
    ledger_begin_page(ledger, SHADOW_ASK_AUDIT);
    memcpy(ledger->items, items, ask->mid_count * sizeof *items);
    ledger->page.item_count = ask->mid_count;
    ledger_answer_page(ledger, number, tag, actions);
}
