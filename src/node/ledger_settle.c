/* The end of a message, and telling its holders (R3, R4): notices, in the order of the log. */
#include "node/ledger_inside.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>

/* --- Settling ------------------------------------------------------------------------------ */

/* Possible holders under stores that are gone: of what was held for one that is gone as well.  Their
 * nodes may have the copy all the same, and ask what became of it before they take it over (R14). */
static uint64_t gone_holders(const struct ledger *ledger, const struct row *row)
{
    uint64_t bits = 0;

    for (uint8_t i = 0; row->more->froms && i < LEDGER_STORES_MAX; i++)
        if (ledger->stores[i].in_use && ledger->stores[i].known.is_retired)
            bits |= row->more->owing & store_bit(i);
    return bits;
}

/* Whether somebody still has to hear of it. */
static bool is_owed(const struct ledger *ledger, const struct row *row)
{
    bool is_young = ledger->now.ms - row->since_ms < ledger->settings.auto_discard_ms;

    if (row->more->owing & ledger_current_stores(ledger))
        return true;
    if (is_young && gone_holders(ledger, row))
        return true;
    return ledger_is_taking_owed(ledger, row);
}

/* Who was not heard when it was taken over may have taken it over as well, and come back with that
 * claim when the store it was taken from has long confirmed: it hears of the end by a notice. */
static uint64_t other_claimers(const struct ledger *ledger, const struct row *row)
{
    uint64_t bits = 0;

    for (uint8_t i = 0; i < ledger->peer_count; i++)
        if (row->more->unasked >> i & 1)
            bits |= store_bit(ledger->peers[i].store);
    return bits;
}

void ledger_settle_row(struct ledger *ledger, struct row *row, struct ledger_actions *actions)
{
    ledger_answer_busy(row, actions);
    ledger_stop_copying(ledger, row, actions);
    ledger_unlist_row(ledger, row);
    ledger_set_role(ledger, row, STANDING_SETTLED);
    row->owner = ledger->own;
    row->holders |= other_claimers(ledger, row);
    ledger_more(ledger, row)->owing = row->holders;
    ledger_set_kept(ledger, row, 0);
    ledger_end_claim(ledger, row);
    row->is_claimed = row->is_first_copy = row->is_waiting = false;
    if (!row->is_committed)
        return; /* ledger_on_committed() goes on */
    if (!row->is_accepting && !is_owed(ledger, row)) {
        ledger_forget_row(ledger, row, actions);
        return;
    }
    ledger_stand(ledger, row, actions);
}

static void add_notice(struct ledger *ledger, struct row *row, uint8_t number, uint64_t cursor,
    bool is_part, struct ledger_actions *actions)
{
    struct peer *peer = &ledger->peers[number];
    struct notice *notice = mem_new(sizeof *notice);

    *notice = (struct notice){
        .mid = row->by_mid.mid, .cursor = cursor, .since_ms = ledger->now.ms, .is_part = is_part
    };
    list_add_last(&peer->notices, &notice->in_peer);
    peer->notice_count++;
    ledger_answer_waiting(ledger, number, actions);
}

static void add_notices(struct ledger *ledger, struct row *row, uint64_t to, uint64_t cursor,
    bool is_part, struct ledger_actions *actions)
{
    for (uint8_t i = 0; i < ledger->peer_count; i++)
        if (ledger->peers[i].is_configured && (to & store_bit(ledger->peers[i].store)))
            add_notice(ledger, row, i, cursor, is_part, actions);
}

void ledger_settle_look(struct ledger *ledger, struct row *row, struct ledger_actions *actions)
{
    if (!is_owed(ledger, row) && !row->is_accepting)
        ledger_forget_row(ledger, row, actions);
}

void ledger_settle_stood(
    struct ledger *ledger, struct row *row, uint64_t at, struct ledger_actions *actions)
{
    row->is_settled = true;
    if (row->more->froms &&
        !list_is_linked(&row->more->in_taken)) /* it was over before that was durable */
        ledger_add_taken(ledger, row, at);
    if (row->is_accepting) {
        struct ledger_action *action = ledger_act(actions, LEDGER_ACCEPTED, row);
        action->verdict = row->rejects ? LEDGER_REJECT : LEDGER_OTHER;
        action->single = row->single;
        row->is_accepting = false;
    }
    /* A node that left, and returns, asks (R11). */
    ledger_more(ledger, row)->owing &=
        ledger_current_stores(ledger) | gone_holders(ledger, row);
    if (!is_broken(ledger, BROKEN_TELLS_UNFLUSHED))
        add_notices(ledger, row, row->more->owing, at, false, actions);
    ledger_settle_look(ledger, row, actions);
}

void ledger_on_settled(
    struct ledger *ledger, struct moment now, struct mid mid, struct ledger_actions *actions)
{
    struct row *row = ledger_row(ledger, mid);

    ledger_enter(ledger, now);
    if (!row) {
        ledger_act(actions, LEDGER_FORGET, NULL)->mid = mid;
        return;
    }
    if (row->role != STANDING_PRIMARY) {
        /* It was being delivered when another turned out to own it.  The copy stays: whoever
         * owns it says when it goes. */
        ledger_tell(
            ledger, actions, LEDGER_D3, row, LEDGER_NO_PEER, 1, "delivered while taken over");
        return;
    }
    if (is_broken(ledger, BROKEN_TELLS_UNFLUSHED))
        add_notices(
            ledger, row, row->holders, ledger->position + ledger->next_tag++, false, actions);
    ledger_settle_row(ledger, row, actions);
}

/* --- PART ---------------------------------------------------------------------------------- */

void ledger_on_partly(struct ledger *ledger, struct mid mid, struct ledger_actions *actions)
{
    struct row *row = ledger_row(ledger, mid);

    if (!row || row->role != STANDING_PRIMARY || !row->holders || row->is_accepting ||
        is_broken(ledger, BROKEN_NO_PART))
        return;
    row->wants_part = true;
    ledger_stand(ledger, row, actions); /* behind the outcomes in the log: durable after them */
}

void ledger_part_stood(
    struct ledger *ledger, struct row *row, uint64_t at, struct ledger_actions *actions)
{
    row->wants_part = false;
    add_notices(ledger, row, row->holders, at, true, actions);
}

/* --- Pages --------------------------------------------------------------------------------- */

void ledger_begin_page(struct ledger *ledger, enum shadow_ask_type type)
{
    ledger->page = (struct shadow_page){
        .type = type,
        .items = ledger->items,
        .position = ledger->may_tell ? ledger->position : ledger->first_position,
    };
    for (uint32_t i = ledger->retired_count;
         i && ledger->page.retired_count < SHADOW_RETIRED_MAX; i--)
        ledger->page.retired[ledger->page.retired_count++] = ledger->retired[i - 1];
}

void ledger_answer_page(
    struct ledger *ledger, uint8_t peer, uint64_t tag, struct ledger_actions *actions)
{
    struct ledger_action *action = ledger_act(actions, LEDGER_ANSWER, NULL);
    struct shadow_item *items =
        mem_copy(ledger->items, (ledger->page.item_count + 1) * sizeof *ledger->items);
    struct shadow_page *page = mem_new(sizeof *page);

    /* One event may give several answers: each has its own page, freed with the action. */
    *page = ledger->page;
    page->items = items;
    ledger->peers[peer].was_told |= ledger->may_tell;
    ledger_want_to_tell(ledger);
    action->peer = peer;
    action->tag = tag;
    action->answer.page = page;
}

void ledger_refuse_ask(
    uint8_t peer, uint64_t tag, const char *text, struct ledger_actions *actions)
{
    struct ledger_action *action = ledger_act(actions, LEDGER_ANSWER, NULL);

    action->peer = peer;
    action->tag = tag;
    action->answer.refusal = verdict_of(501, STATUS(5, 5, 4), "%s", text);
}

/* --- XQDISCARD, answered ------------------------------------------------------------------- */

static void notice_confirmed(struct ledger *ledger, uint8_t number, struct notice *notice,
    struct ledger_actions *actions)
{
    struct peer *peer = &ledger->peers[number];
    struct row *row = ledger_row(ledger, notice->mid);
    bool is_part = notice->is_part;

    list_remove(&notice->in_peer);
    peer->notice_count--;
    free(notice);
    if (!row || is_part || row->role != STANDING_SETTLED)
        return;
    ledger_more(ledger, row)->owing &= ~store_bit(peer->store);
    ledger_settle_look(ledger, row, actions);
}

void ledger_drop_notices(struct ledger *ledger, uint8_t number, struct ledger_actions *actions)
{
    while (!list_is_empty(&ledger->peers[number].notices))
        notice_confirmed(ledger, number,
            container_of(ledger->peers[number].notices.next, struct notice, in_peer), actions);
}

static void give_page(struct ledger *ledger, uint8_t number, uint64_t tag, uint32_t max,
    uint64_t cursor, struct ledger_actions *actions)
{
    struct peer *peer = &ledger->peers[number];

    if (max > SHADOW_PAGE_MAX)
        max = SHADOW_PAGE_MAX;
    ledger_begin_page(ledger, SHADOW_ASK_DISCARD);
    ledger->page.cursor = cursor;
    list_each (node, &peer->notices) {
        const struct notice *notice = container_of(node, struct notice, in_peer);
        if (ledger->page.item_count == max) {
            ledger->page.has_more = true;
            break;
        }
        ledger->items[ledger->page.item_count++] = (struct shadow_item){ .mid = notice->mid,
            .word = notice->is_part ? SHADOW_PART : SHADOW_DONE };
        ledger->page.cursor = notice->cursor;
    }
    if (ledger->page.item_count && ledger->page.cursor > peer->told)
        peer->told = ledger->page.cursor;
    ledger_answer_page(ledger, number, tag, actions);
}

void ledger_answer_waiting(
    struct ledger *ledger, uint8_t number, struct ledger_actions *actions)
{
    struct peer *peer = &ledger->peers[number];

    if (!peer->is_waiting)
        return;
    peer->is_waiting = false;
    give_page(ledger, number, peer->wait_tag, peer->wait_max, peer->told, actions);
}

void ledger_ask_discard(struct ledger *ledger, uint8_t number, uint64_t tag,
    const struct shadow_ask *ask, struct ledger_actions *actions)
{
    struct peer *peer = &ledger->peers[number];
    uint64_t known = peer->told > ledger->start_position ? peer->told : ledger->start_position;

    if (ask->has_cursor && ask->cursor > known) {
        ledger_refuse_ask(number, tag, "no such cursor was given", actions);
        return;
    }
    ledger_answer_waiting(ledger, number, actions); /* an older link's */
    while (ask->has_cursor && !list_is_empty(&peer->notices)) {
        struct notice *first = container_of(peer->notices.next, struct notice, in_peer);
        if (first->cursor > ask->cursor)
            break;
        notice_confirmed(ledger, number, first, actions);
    }
    if (list_is_empty(&peer->notices) && ask->wait_ms) {
        peer->is_waiting = true;
        peer->wait_tag = tag;
        peer->wait_max = ask->count_max;
        peer->wait_until_ms = ledger->now.ms + ask->wait_ms;
        ledger_due_at(ledger, peer->wait_until_ms);
        return;
    }
    give_page(ledger, number, tag, ask->count_max, ask->has_cursor ? ask->cursor : 0, actions);
}

void ledger_on_ask(struct ledger *ledger, struct moment now, uint8_t peer, uint64_t tag,
    const struct shadow_ask *ask, struct ledger_actions *actions)
{
    ledger_enter(ledger, now);
    ledger_contact(ledger, peer, actions);
    if (ask->type == SHADOW_ASK_DISCARD)
        ledger_ask_discard(ledger, peer, tag, ask, actions);
    else if (ask->type == SHADOW_ASK_TAKEN)
        ledger_ask_taken(ledger, peer, tag, ask, actions);
    else
        ledger_ask_audit(ledger, peer, tag, ask, actions);
}

void ledger_on_asker_gone(struct ledger *ledger, uint8_t number, uint64_t tag)
{
    struct peer *peer = &ledger->peers[number];

    if (peer->is_waiting && peer->wait_tag == tag)
        peer->is_waiting = false;
    if (peer->has_taken_ask && peer->taken_tag == tag)
        peer->has_taken_ask = false;
}

/* --- Time ---------------------------------------------------------------------------------- */

static void expire_notices(
    struct ledger *ledger, uint8_t number, struct ledger_actions *actions)
{
    int64_t limit = ledger->settings.auto_discard_ms;

    list_each (node, &ledger->peers[number].notices) {
        struct notice *notice = container_of(node, struct notice, in_peer);
        if (ledger->now.ms - notice->since_ms < limit) {
            ledger_due_at(ledger, notice->since_ms + limit);
            return;
        }
        ledger_tell(ledger, actions, LEDGER_NOTICE_EXPIRED, ledger_row(ledger, notice->mid),
            number, 0, NULL);
        notice_confirmed(ledger, number, notice, actions);
    }
}

static void age_taken(struct ledger *ledger, struct ledger_actions *actions)
{
    if (ledger->now.ms < ledger->taken_due_ms) {
        ledger_due_at(ledger, ledger->taken_due_ms);
        return;
    }
    ledger->taken_due_ms = ledger->now.ms + ledger->settings.auto_discard_ms / 8;
    ledger_due_at(ledger, ledger->taken_due_ms);
    list_each (node, &ledger->taken) {
        struct row *row = taken_row(node);
        if (row->role == STANDING_SETTLED && row->is_settled)
            ledger_settle_look(ledger, row, actions);
    }
}

void ledger_settle_time(struct ledger *ledger, struct ledger_actions *actions)
{
    age_taken(ledger, actions);
    for (uint8_t i = 0; i < ledger->peer_count; i++) {
        struct peer *peer = &ledger->peers[i];
        expire_notices(ledger, i, actions);
        if (!peer->is_waiting)
            continue;
        if (ledger->now.ms >= peer->wait_until_ms)
            ledger_answer_waiting(ledger, i, actions);
        else
            ledger_due_at(ledger, peer->wait_until_ms);
    }
}

/* --- After a restart ----------------------------------------------------------------------- */

struct settled_rows {
    struct row **rows;
    size_t count, room;
};

static void find_settled(struct mid_node *node, void *me)
{
    struct row *row = container_of(node, struct row, by_mid);
    struct settled_rows *found = me;

    if (row->role != STANDING_SETTLED || row->wants_part)
        return;
    if (found->count == found->room) {
        found->room = found->room ? 2 * found->room : 256;
        found->rows = mem_grow(found->rows, found->room * sizeof *found->rows);
    }
    found->rows[found->count++] = row;
}

static int by_position(const void *a, const void *b)
{
    const struct row *x = *(struct row *const *)a, *y = *(struct row *const *)b;

    return (x->more->attempt_ms > y->more->attempt_ms) -
           (x->more->attempt_ms < y->more->attempt_ms);
}

/* The notices owed are those in the log, in its order. */
void ledger_settle_start(struct ledger *ledger, struct ledger_actions *actions)
{
    struct settled_rows found = { NULL, 0, 0 };

    mid_table_each(&ledger->rows, find_settled, &found);
    if (found.count)
        qsort(found.rows, found.count, sizeof *found.rows, by_position);
    for (size_t i = 0; i < found.count; i++) {
        struct row *row = found.rows[i];
        row->is_settled = true;
        ledger_more(ledger, row)->owing &=
            ledger_current_stores(ledger) | gone_holders(ledger, row);
        add_notices(
            ledger, row, row->more->owing, (uint64_t)row->more->attempt_ms, false, actions);
        ledger_settle_look(ledger, row, actions);
    }
    free(found.rows);
}
