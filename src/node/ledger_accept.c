/* Acceptance (R1), and copying again what has one copy (R8). */
#include "node/ledger_inside.h"

#include <assert.h>

/* --- Choosing a holder --------------------------------------------------------------------- */

static bool is_candidate(const struct ledger *ledger, uint8_t number, uint16_t tried)
{
    const struct peer *peer = &ledger->peers[number];

    return peer->is_configured && peer->is_up && !peer->is_retired && !peer->went_back &&
           peer->refusing_until_ms <= ledger->now.ms && !(tried >> number & 1);
}

static bool is_wanted_site(
    const struct ledger *ledger, const struct peer *peer, bool local, bool remote)
{
    if (ledger->settings.preference == SHADOW_REMOTE_ONLY)
        local = false;
    if (ledger->settings.preference == SHADOW_LOCAL_ONLY)
        remote = false;
    return peer->is_remote ? remote : local;
}

/* Prefers another site, then the node in use, then the one with the least under way. */
uint8_t ledger_pick_peer(const struct ledger *ledger, uint16_t tried, bool local, bool remote)
{
    uint8_t best = LEDGER_NO_PEER;
    int64_t best_cost = INT64_MAX;

    for (uint8_t i = 0; i < ledger->peer_count; i++) {
        const struct peer *peer = &ledger->peers[i];
        int64_t cost = peer->copies_in_flight;
        if (!is_candidate(ledger, i, tried) || !is_wanted_site(ledger, peer, local, remote))
            continue;
        if (ledger->settings.preference == SHADOW_PREFER_REMOTE && !peer->is_remote)
            cost += 1 << 20;
        if (i != ledger->sticky)
            cost +=
                64; /* a link in use is warm; one that is much busier is left all the same */
        if (cost < best_cost) {
            best = i;
            best_cost = cost;
        }
    }
    return best;
}

/* The lists of copies under way are in the order of this time: late_copies() goes by it. */
static void begin_attempt(struct ledger *ledger, struct row *row)
{
    ledger_more(ledger, row)->attempt_ms = ledger->now.ms;
    ledger_list_row(ledger, row, row->is_accepting ? LIST_ACCEPTING : LIST_COPYING);
}

/* Adds the peer's store to the possible holders; true: it was among them. */
static bool aim_at(struct ledger *ledger, struct row *row, uint8_t number)
{
    struct peer *peer = &ledger->peers[number];
    uint64_t bit = store_bit(peer->store);
    bool was_there = (row->holders & bit) != 0;

    row->holders |= bit;
    ledger_more(ledger, row)->copy_to = number;
    row->is_copy_sent = false;
    begin_attempt(ledger, row);
    ledger_more(ledger, row)->tried |= (uint16_t)(1u << number);
    return was_there;
}

static void send_copy(struct ledger *ledger, struct row *row, struct ledger_actions *actions)
{
    struct ledger_action *action = ledger_act(actions, LEDGER_COPY, row);

    action->peer = row->more->copy_to;
    ledger_fill_standing(ledger, row, &action->standing);
    row->is_copy_sent = true;
    begin_attempt(ledger, row);
    ledger->peers[row->more->copy_to].copies_in_flight++;
    if (row->is_accepting)
        ledger_due_at(ledger, ledger->now.ms + ledger->settings.copy_timeout_ms);
}

/* The place of a further copy is durable. */
void ledger_copy_stood(struct ledger *ledger, struct row *row, struct ledger_actions *actions)
{
    const struct peer *peer = &ledger->peers[row->more->copy_to];

    if (!peer->is_up || !(row->holders & store_bit(peer->store))) {
        ledger_copy_failed(ledger, row, "the link is down", actions);
        return;
    }
    send_copy(ledger, row, actions);
}

/* --- Acceptance ---------------------------------------------------------------------------- */

bool ledger_accept(struct ledger *ledger, struct moment now, struct mid mid,
    enum shadow_failure failure, struct standing *standing, struct ledger_actions *actions)
{
    struct row *row;
    uint8_t peer;

    ledger_enter(ledger, now);
    peer = ledger_pick_peer(ledger, 0, true, true);
    if (peer == LEDGER_NO_PEER && failure == SHADOW_FAILURE_REJECT)
        return false;
    row = ledger_add_row(ledger, mid, STANDING_PRIMARY);
    row->is_accepting = true;
    ledger_more(ledger, row)->failure = (uint8_t)failure;
    if (peer == LEDGER_NO_PEER) {
        ledger_set_single(ledger, row, SINGLE_NO_NODE);
        ledger_fill_standing(ledger, row, standing);
        return true;
    }
    ledger->sticky = peer;
    aim_at(ledger, row, peer);
    if (ledger->peers[peer].is_remote)
        ledger_more(ledger, row)->attempts_remote = 1;
    else
        ledger_more(ledger, row)->attempts_local = 1;
    ledger_fill_standing(ledger, row, standing);
    send_copy(ledger, row, actions);
    return true;
}

static void end_acceptance(struct ledger *ledger, struct row *row, enum ledger_verdict verdict,
    struct ledger_actions *actions)
{
    struct ledger_action *action = ledger_act(actions, LEDGER_ACCEPTED, row);

    action->verdict = verdict;
    action->single = row->single;
    row->is_accepting = false;
    ledger_former_accepted(ledger, row, actions);
    ledger_rest_row(ledger, row);
}

static void accept_single(
    struct ledger *ledger, struct row *row, struct ledger_actions *actions)
{
    bool delays = row->more->failure == SHADOW_FAILURE_DELAY;

    end_acceptance(ledger, row, delays ? LEDGER_DELAY : LEDGER_SINGLE, actions);
    ledger_row_is_single(ledger, row, row->single, actions);
}

/* Another node for it, with the numbers of attempts that are set; or NO_PEER. */
static uint8_t next_holder(const struct ledger *ledger, const struct row *row)
{
    bool local = row->more->attempts_local <= ledger->settings.attempts_local_max;
    bool remote = row->more->attempts_remote <= ledger->settings.attempts_remote_max;
    uint8_t peer;

    if (ledger->now.ms - row->since_ms >= ledger->settings.accept_timeout_ms)
        return LEDGER_NO_PEER;
    peer = ledger_pick_peer(ledger, row->more->tried, local, remote);
    /* All were tried: the same again, if its link is back. */
    return peer != LEDGER_NO_PEER ? peer : ledger_pick_peer(ledger, 0, local, remote);
}

static void give_up(struct ledger *ledger, struct row *row, struct ledger_actions *actions)
{
    ledger_unlist_row(ledger, row);
    if (row->more->failure == SHADOW_FAILURE_REJECT) { /* 451, once that is durable */
        row->rejects = true;
        ledger_settle_row(ledger, row, actions);
        return;
    }
    ledger_set_single(ledger, row, SINGLE_FAILED);
    ledger_stand(ledger, row, actions); /* the recorded reason why one copy was enough (R1) */
}

void ledger_accept_look(struct ledger *ledger, struct row *row, struct ledger_actions *actions)
{
    uint8_t peer;

    if (!row->is_committed && !(is_broken(ledger, BROKEN_EARLY_250) && row->kept))
        return;
    if (row->kept ||
        (is_broken(ledger, BROKEN_EARLY_250) && row->more->copy_to != LEDGER_NO_PEER)) {
        ledger_stop_copying(ledger, row, actions);
        ledger_unlist_row(ledger, row);
        ledger_set_single(ledger, row, SINGLE_NOT);
        end_acceptance(ledger, row, LEDGER_REDUNDANT, actions);
        return;
    }
    if (row->more->copy_to != LEDGER_NO_PEER)
        return;                          /* its answer will come, or its time run out */
    if (row->single == SINGLE_NO_NODE) { /* said in the commit record already */
        accept_single(ledger, row, actions);
        return;
    }
    peer = next_holder(ledger, row);
    if (peer == LEDGER_NO_PEER) {
        give_up(ledger, row, actions);
        return;
    }
    if (ledger->peers[peer].is_remote)
        ledger_more(ledger, row)->attempts_remote++;
    else
        ledger_more(ledger, row)->attempts_local++;
    if (aim_at(ledger, row, peer))
        send_copy(ledger, row, actions);
    else
        ledger_stand(
            ledger, row, actions); /* a further node is added durably before it is sent to */
}

void ledger_accept_stood(struct ledger *ledger, struct row *row, struct ledger_actions *actions)
{
    if (row->single == SINGLE_FAILED)
        accept_single(ledger, row, actions);
    else
        ledger_accept_look(ledger, row, actions);
}

void ledger_on_committed(struct ledger *ledger, struct moment now, struct mid mid, bool is_ok,
    struct ledger_actions *actions)
{
    struct row *row = ledger_row(ledger, mid);

    ledger_enter(ledger, now);
    if (!row)
        return;
    if (!is_ok) {
        /* A copy may be on its way: its holder asks, hears UNKNOWN, and drops it. */
        ledger_stop_copying(ledger, row, actions);
        ledger_drop_row(ledger, row);
        return;
    }
    row->is_committed = true;
    if (row->role != STANDING_PRIMARY) { /* taken over, or settled elsewhere, meanwhile (R1) */
        if (row->role == STANDING_HELD)
            ledger_audit_soon(ledger, row);
        ledger_stand(ledger, row, actions);
    } else if (row->is_accepting) {
        ledger_accept_look(ledger, row, actions);
    }
}

/* --- Answers ------------------------------------------------------------------------------- */

static void end_copying(struct ledger *ledger, struct row *row)
{
    if (row->more->copy_to == LEDGER_NO_PEER)
        return;
    if (row->is_copy_sent)
        ledger->peers[row->more->copy_to].copies_in_flight--;
    if (row->listed == LIST_COPYING)
        ledger_unlist_row(ledger, row);
    ledger_more(ledger, row)->copy_to = LEDGER_NO_PEER;
    row->is_copy_sent = false;
}

void ledger_stop_copying(struct ledger *ledger, struct row *row, struct ledger_actions *actions)
{
    if (row->more->copy_to != LEDGER_NO_PEER && row->is_copy_sent)
        ledger_act(actions, LEDGER_COPY_CANCEL, row)->peer = row->more->copy_to;
    end_copying(ledger, row);
}

void ledger_row_is_kept(
    struct ledger *ledger, struct row *row, uint8_t number, struct ledger_actions *actions)
{
    uint64_t bit = store_bit(ledger->peers[number].store);
    bool was_single = !row->kept && row->single != SINGLE_NOT;

    ledger_set_kept(ledger, row, row->kept | bit);
    if (row->is_accepting) {
        ledger_accept_look(ledger, row, actions);
        return;
    }
    ledger_stop_copying(ledger, row, actions);
    ledger_unlist_row(ledger, row);
    if (row->more->refusals)
        ledger_more(ledger, row)->refusals = 0;
    ledger_set_single(ledger, row, SINGLE_NOT);
    if (was_single)
        ledger_tell(ledger, actions, LEDGER_COPIED_AGAIN, row, number, 0, NULL);
    ledger_taken_copied(ledger, row, actions);
    ledger_rest_row(ledger, row);
}

/* An answer that is about this message, not about the node: all of its content went over the link
 * for it.  It is left alone for a while, and longer each time. */
static void leave_alone(struct ledger *ledger, struct row *row)
{
    struct row_more *more = ledger_more(ledger, row);

    if (row->is_accepting)
        return; /* acceptance counts its attempts */
    more->again_ms = ledger->now.ms + ((int64_t)AGAIN_MS << more->refusals);
    if (more->refusals < AGAIN_DOUBLINGS_MAX)
        more->refusals++;
}

void ledger_copy_failed(
    struct ledger *ledger, struct row *row, const char *why, struct ledger_actions *actions)
{
    uint8_t number = row->more->copy_to;

    ledger_tell(ledger, actions, LEDGER_HAREDIRECTFAIL, row, number, 0, why);
    ledger_stop_copying(ledger, row, actions);
    if (row->is_accepting) {
        ledger_accept_look(ledger, row, actions);
        return;
    }
    ledger_list_row(ledger, row, LIST_SINGLE);
    if (row->is_first_copy) { /* recorded that it could not (R9) */
        ledger_set_single(ledger, row, SINGLE_FAILED);
        ledger_stand(ledger, row, actions);
        ledger_taken_copied(ledger, row, actions);
    }
}

/* The copy's sender has given it up: what the row is says what follows. */
static void on_settled_elsewhere(
    struct ledger *ledger, struct row *row, struct ledger_actions *actions)
{
    if (!row->is_accepting && !row->is_waiting)
        ledger_act(actions, LEDGER_WITHDRAW, row);
    ledger_settle_row(ledger, row, actions);
}

/* An answer that comes when its attempt was given up says nothing of how long it took. */
static uint64_t copied_in_ms(const struct ledger *ledger, const struct row *row)
{
    int64_t began_ms = row->more->attempt_ms;

    return began_ms ? (uint64_t)(ledger->now.ms - began_ms) : 0;
}

void ledger_on_outcome(struct ledger *ledger, struct moment now, uint8_t number, struct mid mid,
    const struct shadow_outcome *outcome, struct ledger_actions *actions)
{
    struct row *row = ledger_row(ledger, mid);
    bool is_present;

    ledger_enter(ledger, now);
    if (outcome->fate != SHADOW_LOST)
        ledger_contact(ledger, number, actions);
    if (!row || row->role != STANDING_PRIMARY)
        return;
    is_present = row->more->copy_to == number && row->is_copy_sent;
    switch (outcome->fate) {
    case SHADOW_DURABLE:
        if (!(row->holders & store_bit(ledger->peers[number].store)))
            return; /* of a store that is gone */
        ledger_tell(
            ledger, actions, LEDGER_HAREDIRECT, row, number, copied_in_ms(ledger, row), NULL);
        if (is_present)
            end_copying(ledger, row);
        ledger_row_is_kept(ledger, row, number, actions);
        return;
    case SHADOW_SETTLED:
        on_settled_elsewhere(ledger, row, actions);
        return;
    case SHADOW_MOVED: {
        uint8_t owner = ledger_intern_owner(ledger, &outcome->node);
        if (owner == NO_STORE || owner == ledger->own)
            break;
        ledger_yield_row(ledger, row, owner, (uint16_t)(row->generation + 1), actions);
        return;
    }
    case SHADOW_REFUSED:
        if (outcome->verdict.code / 100 == 4 && is_present)
            ledger->peers[number].refusing_until_ms = now.ms + REFUSING_MS;
        if (outcome->verdict.code / 100 == 5 && is_present)
            leave_alone(ledger, row);
        if (is_present)
            ledger_copy_failed(ledger, row, "it was refused", actions);
        return;
    case SHADOW_BUSY:
    case SHADOW_LOST:
        break;
    }
    if (is_present && outcome->fate != SHADOW_LOST)
        leave_alone(ledger, row);
    if (is_present)
        ledger_copy_failed(
            ledger, row, outcome->fate == SHADOW_LOST ? "the link is down" : "busy", actions);
}

/* --- One copy ------------------------------------------------------------------------------ */

void ledger_row_is_single(struct ledger *ledger, struct row *row, enum standing_single why,
    struct ledger_actions *actions)
{
    ledger_set_single(ledger, row, why);
    row->since_ms = ledger->now.ms;
    ledger_tell(ledger, actions, LEDGER_SINGLE_MADE, row, LEDGER_NO_PEER, why, NULL);
    ledger_list_row(ledger, row, LIST_SINGLE);
    ledger_copy_again(ledger, actions);
}

static uint32_t rows_a_turn(const struct ledger *ledger)
{
    return ledger->settings.rows_max ? ledger->settings.rows_max : LOSE_STEP;
}

struct lose {
    struct ledger *ledger;
    struct ledger_actions *actions;
};

static void lose_row(struct mid_node *node, void *me)
{
    struct row *row = container_of(node, struct row, by_mid);
    struct lose *lose = me;
    struct ledger *ledger = lose->ledger;
    bool was_kept = (row->kept & ledger->losing) != 0;
    /* What was in doubt has its answer: it is not there. */
    bool was_doubtful = row->listed == LIST_DOUBTFUL && (row->holders & ledger->losing);

    if (row->seq > ledger->losing_seq)
        return;
    ledger_set_kept(ledger, row, row->kept & ~ledger->losing);
    if (!was_doubtful &&
        (row->role != STANDING_PRIMARY || row->is_accepting || row->kept || !was_kept))
        return;
    ledger_set_single(ledger, row, SINGLE_LOST);
    row->since_ms = ledger->now.ms;
    if (!was_doubtful)
        ledger_tell(
            ledger, lose->actions, LEDGER_SINGLE_MADE, row, LEDGER_NO_PEER, SINGLE_LOST, NULL);
    if (was_doubtful || row->more->copy_to == LEDGER_NO_PEER)
        ledger_list_row(ledger, row, LIST_SINGLE);
}

void ledger_lose_some(struct ledger *ledger, struct ledger_actions *actions)
{
    struct lose lose = { ledger, actions };

    if (!ledger->losing)
        return;
    if (!mid_table_some(
            &ledger->rows, &ledger->losing_at, rows_a_turn(ledger), lose_row, &lose))
        ledger->losing = 0;
    ledger_due_at(ledger, ledger->now.ms);
}

void ledger_lose_store(struct ledger *ledger, uint8_t store, struct ledger_actions *actions)
{
    struct lose lose = { ledger, actions };

    ledger->losing |= store_bit(store);
    ledger->losing_at = 0; /* of another, rows that were met hear nothing new */
    ledger->losing_seq = ledger->seq;
    /* No 250 because of it from now on: those are few. */
    list_each (node, &ledger->lists[LIST_ACCEPTING])
        lose_row(&container_of(node, struct row, in_role)->by_mid, &lose);
    ledger_lose_some(ledger, actions);
}

/* --- Copying again (R8) -------------------------------------------------------------------- */

static bool has_said(const struct ledger *ledger, const struct peer *peer)
{
    int64_t silent = ledger->now.ms - peer->audit_seen_ms;

    if (!peer->is_configured || peer->is_gone)
        return true;
    return peer->is_up && silent >= (peer->has_audited ? AUDIT_QUIET_MS : AUDIT_WAIT_MS);
}

/* After a restart nobody knows what the holders have.  They ask about it when they are back
 * (R11); what none of them asked about is not there. */
static void end_doubts(struct ledger *ledger)
{
    struct list *doubtful = &ledger->lists[LIST_DOUBTFUL];
    uint64_t said = 0;

    if (list_is_empty(doubtful))
        return;
    if (!ledger->doubts_left && ledger->now.ms < ledger->doubts_ms) {
        ledger_due_at(ledger, ledger->doubts_ms);
        return;
    }
    if (!ledger->doubts_left)
        ledger->doubts_left = ledger->list_count[LIST_DOUBTFUL];
    for (uint32_t i = 0; i < ledger->peer_count; i++)
        if (has_said(ledger, &ledger->peers[i]))
            said |= store_bit(ledger->peers[i].store);
    for (uint32_t i = 0;
         i < rows_a_turn(ledger) && ledger->doubts_left && !list_is_empty(doubtful); i++) {
        struct row *row = container_of(doubtful->next, struct row, in_role);
        uint64_t asked = row->holders & ledger_current_stores(ledger);
        ledger->doubts_left--;
        if (asked & ~said) { /* again after all others */
            list_remove(&row->in_role);
            list_add_last(doubtful, &row->in_role);
            continue;
        }
        ledger_set_single(ledger, row, SINGLE_LOST);
        row->since_ms = ledger->now.ms;
        ledger_list_row(ledger, row, LIST_SINGLE);
    }
    if (list_is_empty(doubtful))
        ledger->doubts_left = 0;
    if (!ledger->doubts_left)
        ledger->doubts_ms = ledger->now.ms + AUDIT_QUIET_MS / 3;
    if (!list_is_empty(doubtful))
        ledger_due_at(ledger, ledger->doubts_left ? ledger->now.ms : ledger->doubts_ms);
}

static bool is_to_be_copied(const struct ledger *ledger, const struct row *row)
{
    return row->is_committed && !row->is_waiting && (!row->is_claimed || row->is_first_copy) &&
           !ledger_is_fenced(ledger, row);
}

static void copy_one(
    struct ledger *ledger, struct row *row, uint8_t peer, struct ledger_actions *actions)
{
    if (aim_at(ledger, row, peer))
        send_copy(ledger, row, actions);
    else
        ledger_stand(ledger, row, actions);
}

void ledger_copy_again(struct ledger *ledger, struct ledger_actions *actions)
{
    uint32_t looked = 0;

    if (is_broken(ledger, BROKEN_NEVER_AGAIN) || !ledger->settings.is_enabled ||
        !ledger->has_started)
        return;
    end_doubts(ledger);
    list_each (node, &ledger->lists[LIST_SINGLE]) {
        struct row *row = container_of(node, struct row, in_role);
        uint8_t peer;
        if (ledger->list_count[LIST_COPYING] >= ledger->settings.recopy_in_flight_max ||
            ++looked > 4 * ledger->settings.recopy_in_flight_max)
            break;
        if (!is_to_be_copied(ledger, row))
            continue;
        if (row->more->again_ms > ledger->now.ms) { /* those behind it have their turn */
            list_remove(node);
            list_add_last(&ledger->lists[LIST_SINGLE], node);
            continue;
        }
        peer = ledger_pick_peer(ledger, 0, true, true);
        if (peer == LEDGER_NO_PEER)
            break;
        copy_one(ledger, row, peer, actions);
    }
    if (!list_is_empty(&ledger->lists[LIST_SINGLE]))
        ledger_due_at(ledger, ledger->now.ms + AGAIN_MS);
    if (!list_is_empty(&ledger->lists[LIST_COPYING]))
        ledger_due_at(
            ledger, container_of(ledger->lists[LIST_COPYING].next, struct row, in_role)
                            ->more->attempt_ms +
                        ledger->settings.accept_timeout_ms);
}

/* --- Time ---------------------------------------------------------------------------------- */

static void late_copies(
    struct ledger *ledger, struct list *list, int64_t limit_ms, struct ledger_actions *actions)
{
    list_each (node, list) {
        struct row *row = container_of(node, struct row, in_role);
        if (ledger->now.ms - row->more->attempt_ms < limit_ms) {
            ledger_due_at(ledger, row->more->attempt_ms + limit_ms);
            return;
        }
        if (row->more->copy_to != LEDGER_NO_PEER)
            ledger_copy_failed(ledger, row, "no answer in time", actions);
    }
}

void ledger_accept_time(struct ledger *ledger, struct ledger_actions *actions)
{
    late_copies(
        ledger, &ledger->lists[LIST_ACCEPTING], ledger->settings.copy_timeout_ms, actions);
    late_copies(
        ledger, &ledger->lists[LIST_COPYING], ledger->settings.accept_timeout_ms, actions);
}

void ledger_adopt(
    struct ledger *ledger, struct moment now, struct mid mid, struct ledger_actions *actions)
{
    struct row *row;

    ledger_enter(ledger, now);
    if (ledger_row(ledger, mid))
        return;
    row = ledger_add_row(ledger, mid, STANDING_PRIMARY);
    row->is_committed = true;
    ledger_row_is_single(ledger, row, SINGLE_ALONE, actions);
}
