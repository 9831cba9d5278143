/* The other nodes: introductions, heartbeats, silence, new stores, retired ones. */
#include "node/ledger_inside.h"

#include <assert.h>
#include <stdio.h>

int64_t ledger_takeover_ms(const struct ledger *ledger)
{
    const struct ledger_settings *settings = &ledger->settings;

    return settings->resubmit_ms
               ? settings->resubmit_ms
               : settings->heartbeat_timeout_ms * (int64_t)settings->heartbeat_retry_count;
}

/* So many asks in a row must have failed. */
static uint32_t failures_max(const struct ledger *ledger)
{
    int64_t timeout = ledger->settings.heartbeat_timeout_ms;

    if (!ledger->settings.resubmit_ms)
        return ledger->settings.heartbeat_retry_count;
    return (uint32_t)((ledger->settings.resubmit_ms + timeout - 1) / timeout);
}

/* --- States -------------------------------------------------------------------------------- */

enum ledger_peer_state ledger_peer_state(const struct ledger *ledger, const struct peer *peer)
{
    uint8_t number = (uint8_t)(peer - ledger->peers);

    if (peer->is_retired)
        return LEDGER_RETIRED;
    if (peer->is_gone)
        return LEDGER_GONE;
    if (!peer->was_heard)
        return LEDGER_JOINING;
    if (peer->unanswered_ms >= 0)
        return peer->is_heard_since ? LEDGER_UNREACHABLE : LEDGER_SILENT;
    if (peer->contact_ms < 0)
        return LEDGER_SILENT;
    if (ledger->stores[ledger->own].ask_peers >> number & 1)
        return LEDGER_FENCED;
    return LEDGER_LIVE;
}

void ledger_tell_state(struct ledger *ledger, uint8_t number, struct ledger_actions *actions)
{
    static const enum ledger_event events[] = {
        [LEDGER_LIVE] = LEDGER_PEER_LIVE,
        [LEDGER_SILENT] = LEDGER_PEER_SILENT,
        [LEDGER_GONE] = LEDGER_PEER_GONE,
    };
    struct peer *peer = &ledger->peers[number];
    enum ledger_peer_state state = ledger_peer_state(ledger, peer);

    /* One that is heard again is asked what it has taken before or after it was said to live,
     * and is not said to live once more when it has answered.  One that asks us and cannot be
     * asked is not said to live and to be silent by turns. */
    if (state == peer->told_state || state == LEDGER_FENCED || state == LEDGER_UNREACHABLE)
        return;
    peer->told_state = state;
    if (state == LEDGER_LIVE || state == LEDGER_SILENT || state == LEDGER_GONE)
        ledger_tell(ledger, actions, events[state], NULL, number,
            peer->contact_ms < 0 ? 0 : (uint64_t)(ledger->now.ms - peer->contact_ms), NULL);
}

/* The store that was lost is there, and the same, so it has what it had (R14): the rows that have
 * not heard of its loss need not hear of it, and what is copied to it from now on stays.  Not so
 * while what is said by it no longer counts. */
static void end_losing(struct ledger *ledger, const struct peer *peer)
{
    if (peer->is_configured && !peer->is_retired && !peer->went_back)
        ledger->losing &= ~store_bit(peer->store);
}

/* Any contact, in either direction, ends silence (R5). */
void ledger_contact(struct ledger *ledger, uint8_t number, struct ledger_actions *actions)
{
    struct peer *peer = &ledger->peers[number];

    peer->contact_ms = ledger->now.ms;
    peer->failures = 0;
    peer->is_gone = false;
    peer->is_heard_since = true;
    end_losing(ledger, peer);
    ledger_tell_state(ledger, number, actions);
}

void ledger_heard_position(struct ledger *ledger, uint8_t number, uint64_t position)
{
    struct peer *peer = &ledger->peers[number];
    struct ledger_store *known;

    if (peer->store == NO_STORE)
        return;
    known = &ledger->stores[peer->store].known;
    if (position <= known->position)
        return;
    known->position = position;
    ledger_stores_changed(ledger, false);
}

struct ledger_heard ledger_heard(const struct ledger *ledger, uint8_t number)
{
    const struct peer *peer = &ledger->peers[number];
    struct ledger_heard heard = { .position = 0 };

    if (peer->store != NO_STORE) {
        heard.store = ledger->stores[peer->store].known.id;
        heard.position = ledger->stores[peer->store].known.position;
    }
    return heard;
}

/* --- Heartbeats ---------------------------------------------------------------------------- */

static int64_t wait_ms(const struct ledger *ledger)
{
    int64_t most = ledger->settings.heartbeat_timeout_ms * 2 / 3;
    int64_t wait = ledger->settings.heartbeat_frequency_ms;

    if (wait > SHADOW_WAIT_MS_MAX)
        wait = SHADOW_WAIT_MS_MAX;
    return wait < most ? wait : most;
}

/* Asks for notices: one ask is always open. */
void ledger_heartbeat(struct ledger *ledger, uint8_t number, struct ledger_actions *actions)
{
    struct peer *peer = &ledger->peers[number];
    struct ledger_action *action;

    if (peer->is_asking || peer->is_flushing || !peer->is_configured || ledger->is_renewing)
        return;
    if (ledger->now.ms < peer->ask_next_ms) {
        ledger_due_at(ledger, peer->ask_next_ms);
        return;
    }
    peer->is_asking = true;
    peer->ask_sent_ms = ledger->now.ms;
    peer->ask = (struct shadow_ask){ .type = SHADOW_ASK_DISCARD,
        .count_max = 500,
        .has_cursor = peer->has_cursor,
        .cursor = peer->cursor,
        .wait_ms = (uint32_t)wait_ms(ledger) };
    action = ledger_act(actions, LEDGER_ASK, NULL);
    action->peer = number;
    action->ask = &peer->ask;
    ledger_due_at(ledger, ledger->now.ms + ledger->settings.heartbeat_timeout_ms);
}

/* What the last page said is on our disk: it may be confirmed. */
void ledger_ask_flushed(struct ledger *ledger, uint8_t number, struct ledger_actions *actions)
{
    struct peer *peer = &ledger->peers[number];

    if (peer->is_flushing && peer->got_all) {
        peer->has_cursor = true;
        peer->cursor = peer->cursor_got;
    }
    peer->is_flushing = false;
    ledger_heartbeat(ledger, number, actions);
}

/* One that was not heard in this life is silent since its beginning: what was before, nobody knows. */
static int64_t heard_ms(const struct ledger *ledger, const struct peer *peer)
{
    return peer->contact_ms >= 0 ? peer->contact_ms : ledger->began_ms;
}

bool ledger_is_lost(const struct ledger *ledger, const struct peer *peer)
{
    if (is_broken(ledger, BROKEN_SILENCE_BY_CLOCK))
        return peer->contact_ms >= 0 &&
               ledger->now.ms - peer->contact_ms >= ledger_takeover_ms(ledger);
    return peer->failures >= failures_max(ledger) &&
           ledger->now.ms - heard_ms(ledger, peer) >= ledger_takeover_ms(ledger);
}

/* Silent for the take-over time (R5b). */
static void check_silence(struct ledger *ledger, uint8_t number, struct ledger_actions *actions)
{
    struct peer *peer = &ledger->peers[number];

    if (peer->is_gone || peer->store == NO_STORE || !ledger_is_lost(ledger, peer)) {
        /* One that never answered has nothing to be taken over: no time is waited for. */
        if (!peer->is_gone && peer->store != NO_STORE && peer->failures >= failures_max(ledger))
            ledger_due_at(ledger, heard_ms(ledger, peer) + ledger_takeover_ms(ledger));
        ledger_tell_state(ledger, number, actions);
        return;
    }
    peer->is_gone = true;
    ledger_tell_state(ledger, number, actions);
    ledger_lose_store(ledger, peer->store, actions);
    ledger_take_store(ledger, peer->store, false, "silent", actions);
    for (uint8_t i = 0; i < LEDGER_STORES_MAX; i++) /* it is no longer waited for */
        if (ledger->stores[i].in_use && ledger->stores[i].is_asking)
            ledger_claims_look(ledger, i, actions);
}

static void ask_failed(struct ledger *ledger, uint8_t number, struct ledger_actions *actions)
{
    struct peer *peer = &ledger->peers[number];

    if (!peer->is_asking)
        return;
    peer->is_asking = false;
    peer->failures++;
    if (peer->unanswered_ms < 0) {
        peer->unanswered_ms = ledger->now.ms;
        peer->is_heard_since = false;
    }
    peer->ask_next_ms = peer->ask_sent_ms + ledger->settings.heartbeat_timeout_ms;
    ledger_due_at(ledger, peer->ask_next_ms);
    check_silence(ledger, number, actions);
}

void ledger_on_ask_failed(
    struct ledger *ledger, struct moment now, uint8_t peer, struct ledger_actions *actions)
{
    ledger_enter(ledger, now);
    ask_failed(ledger, peer, actions);
}

void ledger_on_page(struct ledger *ledger, struct moment now, uint8_t number,
    const struct shadow_page *page, struct ledger_actions *actions)
{
    struct peer *peer = &ledger->peers[number];

    ledger_enter(ledger, now);
    peer->unanswered_ms = -1;
    ledger_contact(ledger, number, actions);
    ledger_heard_position(ledger, number, page->position);
    ledger_learn_retired(ledger, page->retired, page->retired_count, actions);
    if (page->type == SHADOW_ASK_TAKEN) {
        ledger_on_taken_page(ledger, number, page, actions);
        ledger_tell_state(ledger, number, actions);
        return;
    }
    if (page->type == SHADOW_ASK_AUDIT) {
        ledger_on_audit_page(ledger, number, page, actions);
        return;
    }
    if (!peer->is_asking)
        return;
    peer->is_asking = false;
    /* One that answers at once with nothing, in spite of the wait, is not asked in a circle.
     * Nor is one that has much to tell asked for each notice: an ask costs both nodes as much as
     * a message.  That time is added to the one in which D1 can happen. */
    if (page->item_count == 0 && now.ms - peer->ask_sent_ms < wait_ms(ledger) / 4)
        peer->ask_next_ms = now.ms + wait_ms(ledger) / 4;
    else
        peer->ask_next_ms = now.ms + (page->item_count && !page->has_more ? GATHER_MS : 0);
    ledger_on_discard_page(ledger, number, page, actions);
}

void ledger_peer_time(struct ledger *ledger, bool is_gap, struct ledger_actions *actions)
{
    int64_t timeout = ledger->settings.heartbeat_timeout_ms;

    for (uint8_t i = 0; i < ledger->peer_count; i++) {
        struct peer *peer = &ledger->peers[i];
        if (!peer->is_configured)
            continue;
        if (peer->failures || is_broken(ledger, BROKEN_SILENCE_BY_CLOCK))
            check_silence(ledger, i, actions);
        if (peer->is_asking && is_gap) /* the answer may lie in the socket: it gets its time */
            peer->ask_sent_ms = ledger->now.ms;
        if (peer->is_asking && ledger->now.ms - peer->ask_sent_ms >= timeout) {
            ask_failed(ledger, i, actions);
            if (peer->is_up) { /* else one is being made, and its links to us may be good */
                ledger_act(actions, LEDGER_CUT, NULL)->peer = i;
                ledger_due_at(ledger, ledger->now.ms);
                continue; /* an ask now would fail with the link: twice for one silence */
            }
        } else if (peer->is_asking) {
            ledger_due_at(ledger, peer->ask_sent_ms + timeout);
        }
        if (peer->question.is_out && ledger->now.ms - peer->question.sent_ms >= 2 * timeout &&
            !is_gap) {
            ledger_act(actions, LEDGER_CUT, NULL)->peer = i;
            peer->question.sent_ms = ledger->now.ms;
        }
        ledger_heartbeat(ledger, i, actions);
    }
}

/* --- Stores of others ---------------------------------------------------------------------- */

/* It has another store: what the old one had may be lost (R5a). */
static void new_store(
    struct ledger *ledger, uint8_t number, struct store_id id, struct ledger_actions *actions)
{
    struct peer *peer = &ledger->peers[number];
    uint8_t old = peer->store, now = ledger_intern_store(ledger, id);
    struct store *store;

    if (now == NO_STORE)
        return;
    store = &ledger->stores[now];
    store->peer = number;
    store->known.is_current = true;
    ledger_name_store(store, peer->name);
    peer->store = now;
    peer->self.store = id;
    peer->was_heard = true;
    peer->has_cursor = peer->ask.has_cursor = false; /* that of an ask not sent yet, too */
    peer->is_retired = peer->went_back = false;
    ledger_stores_changed(ledger, true);
    if (old == NO_STORE || old == now)
        return;
    ledger_tell(ledger, actions, LEDGER_PEER_NEW_STORE, NULL, number, 0, NULL);
    ledger->stores[old].known.is_current = false;
    ledger_retire_store(ledger, ledger->stores[old].known.id);
    peer->has_forgotten = ledger->is_fencing;
    ledger_taken_unlearned(ledger, number);
    ledger_drop_notices(ledger, number, actions);
    ledger_lose_store(ledger, old, actions);
    ledger_take_store(ledger, old, false, "it has a new store", actions);
}

static const char *refusal_of(const struct ledger *ledger, const struct peer *peer,
    const struct shadow_hello *hello, struct ledger_heard heard)
{
    bool is_same = peer->store != NO_STORE &&
                   store_id_equal(ledger->stores[peer->store].known.id, hello->node.store);

    if (ledger_is_retired(ledger, hello->node.store) &&
        !is_broken(ledger, BROKEN_RETIRED_RETURNS))
        /* A former life of a node that has had another since was not evicted: it is an old
         * image, and even what it alone had may be long delivered. */
        return is_same || peer->store == NO_STORE ? "store retired" : "store went back";
    if (is_broken(ledger, BROKEN_KEEPS_STORE))
        return NULL;
    if (is_same && (peer->went_back || (store_id_equal(heard.store, hello->node.store) &&
                                           hello->position < heard.position)))
        return "store went back";
    return NULL;
}

/* NULL: welcome. */
static const char *introduce(struct ledger *ledger, uint8_t number,
    const struct shadow_hello *hello, struct ledger_heard heard, struct ledger_actions *actions)
{
    struct peer *peer = &ledger->peers[number];
    const char *why = refusal_of(ledger, peer, hello, heard);

    if (why) {
        bool is_news = !peer->went_back && !peer->is_retired;
        if (strcmp(why, "store went back") == 0)
            peer->went_back = true;
        if (is_news)
            ledger_tell(ledger, actions,
                peer->went_back ? LEDGER_PEER_WENT_BACK : LEDGER_PEER_RETIRED, NULL, number,
                heard.position, why);
        return why;
    }
    if (peer->store == NO_STORE ||
        !store_id_equal(ledger->stores[peer->store].known.id, hello->node.store))
        new_store(ledger, number, hello->node.store, actions);
    /* After that: its own former store is in the list, and is no reason to cut it off. */
    ledger_learn_retired(ledger, hello->retired, hello->retired_count, actions);
    ledger_contact(ledger, number, actions);
    ledger_heard_position(ledger, number, hello->position);
    return NULL;
}

bool ledger_on_up(struct ledger *ledger, struct moment now, uint8_t number,
    const struct shadow_hello *hello, struct ledger_heard heard, struct ledger_actions *actions)
{
    struct peer *peer = &ledger->peers[number];

    ledger_enter(ledger, now);
    if (!bytes_equal_nocase(hello->node.name, peer->self.name) ||
        introduce(ledger, number, hello, heard, actions)) {
        ledger_act(actions, LEDGER_CUT, NULL)->peer = number;
        return false;
    }
    peer->is_up = true;
    peer->unanswered_ms = -1;
    peer->up_ms = peer->audit_seen_ms = now.ms;
    peer->has_audited = false;
    peer->refusing_until_ms = 0;
    peer->ask_next_ms = now.ms;
    if (peer->is_asking) /* it goes out only now: that is when its time begins */
        peer->ask_sent_ms = now.ms;
    ledger_fence_peer_up(ledger, number, actions);
    ledger_tell_state(ledger, number, actions);
    ledger_heartbeat(ledger, number, actions);
    ledger_begin_audit(ledger, number, true, actions);
    ledger_copy_again(ledger, actions);
    return true;
}

void ledger_on_turned_away(struct ledger *ledger, struct moment now, uint8_t number,
    const struct verdict *verdict, struct ledger_actions *actions)
{
    bool went_back = strstr(verdict->text, "store went back") != NULL;
    bool retired = strstr(verdict->text, "store retired") != NULL;

    ledger_enter(ledger, now);
    ask_failed(ledger, number, actions);
    if (verdict->code == 554 && (went_back || retired) &&
        !is_broken(ledger, BROKEN_KEEPS_STORE))
        ledger_begin_renewal(ledger, went_back, retired,
            went_back ? "a node has heard a higher position" : "a node says it is retired",
            actions);
}

void ledger_on_down(
    struct ledger *ledger, struct moment now, uint8_t number, struct ledger_actions *actions)
{
    struct peer *peer = &ledger->peers[number];

    ledger_enter(ledger, now);
    ask_failed(ledger, number, actions);
    if (!peer->is_up)
        return;
    peer->is_up = false;
    peer->is_auditing = peer->audits_all = peer->audits_unheard = false;
    peer->audit_next = NULL;
    memset(peer->audited, 0, sizeof peer->audited);
    ledger_fence_peer_down(ledger, number, actions);
}

bool ledger_on_introduced(struct ledger *ledger, struct moment now, uint8_t number,
    const struct shadow_hello *theirs, struct ledger_heard heard, struct shadow_hello *ours,
    struct verdict *refusal, struct ledger_actions *actions)
{
    const char *why;

    ledger_enter(ledger, now);
    if (ledger->is_renewing) {
        *refusal = verdict_of(450, STATUS(4, 3, 2), "a new store is being made");
        return false;
    }
    why = introduce(ledger, number, theirs, heard, actions);
    if (why) {
        if (strcmp(why, "store went back") == 0)
            *refusal = verdict_of(554, STATUS(5, 7, 0), "%s, heard %llu", why,
                (unsigned long long)ledger_heard(ledger, number).position);
        else
            *refusal = verdict_of(554, STATUS(5, 7, 0), "%s", why);
        return false;
    }
    ledger_get_hello(ledger, number, ours);
    return true;
}

/* --- Retired stores (R20) ------------------------------------------------------------------ */

static uint8_t peer_of_store(const struct ledger *ledger, struct store_id id)
{
    uint8_t store = ledger_find_store(ledger, id);

    return ledger_holder_peer(ledger, store);
}

void ledger_learn_retired(struct ledger *ledger, const struct store_id *ids, uint32_t count,
    struct ledger_actions *actions)
{
    for (uint32_t i = 0; i < count; i++) {
        uint8_t number, store = ledger_find_store(ledger, ids[i]);
        if (ledger_is_retired(ledger, ids[i]))
            continue;
        /* One's own: why it is, evicted or left behind, the next introduction says; and a former
         * one is retired wherever its successor is known, whatever it was left for. */
        if (store != NO_STORE && ledger->stores[store].known.is_own)
            continue;
        number = peer_of_store(ledger, ids[i]);
        ledger_retire_store(ledger, ids[i]);
        if (number == LEDGER_NO_PEER)
            continue;
        ledger_tell(
            ledger, actions, LEDGER_PEER_RETIRED, NULL, number, 0, "another node says so");
        ledger->peers[number].is_retired = true;
        ledger_lose_store(ledger, ledger->peers[number].store, actions);
        ledger_take_store(ledger, ledger->peers[number].store, false, "it is retired", actions);
        ledger_act(actions, LEDGER_CUT, NULL)->peer = number;
    }
}

/* --- A new store of our own (R14, R20) ----------------------------------------------------- */

void ledger_begin_renewal(struct ledger *ledger, bool went_back, bool retired, const char *why,
    struct ledger_actions *actions)
{
    if (ledger->is_renewing)
        return;
    ledger->is_renewing = true;
    ledger->renew_went_back = went_back || retired;
    ledger->renew_retired = retired;
    ledger->renew_why = why;
    for (uint8_t i = 0; i < ledger->peer_count; i++)
        ledger_act(actions, LEDGER_CUT, NULL)->peer = i;
    if (!went_back && !retired) { /* a damaged spool is found damaged again */
        ledger_act(actions, LEDGER_RENEW, NULL);
        return;
    }
    /* What is left from earlier lives stands on the same disk. */
    for (uint8_t i = 0; i < LEDGER_STORES_MAX; i++)
        ledger->stores[i].known.went_back |= went_back && ledger->stores[i].known.is_own;
    ledger->stores[ledger->own].known.went_back = true;
    if (retired)
        ledger_retire_store(ledger, ledger_own_store(ledger));
    ledger->renew_waits = true;
    ledger_stores_changed(ledger, true);
    ledger_write_stores(ledger, actions);
}

struct renewed {
    struct ledger *ledger;
    uint8_t old;
};

/* What this node has settled it answers for in its next life. */
static void renewed_row(struct mid_node *node, void *me)
{
    struct row *row = container_of(node, struct row, by_mid);
    const struct renewed *renewed = me;
    struct ledger *ledger = renewed->ledger;

    if (row->role != STANDING_SETTLED || row->owner != renewed->old)
        return;
    ledger_more(ledger, row)->froms |= store_bit(renewed->old);
    ledger_add_taken(ledger, row, ledger->position);
}

void ledger_on_renewed(struct ledger *ledger, struct moment now, struct store_id id,
    struct ledger_actions *actions)
{
    uint8_t old = ledger->own, own;

    ledger_enter(ledger, now);
    ledger->is_renewing = false;
    own = ledger_intern_store(ledger, id);
    assert(own != NO_STORE && own != old);
    ledger->own = own;
    ledger->stores[old].known.is_current = false;
    ledger->stores[old].known.went_back |= ledger->renew_went_back;
    ledger->has_gone_back |= ledger->renew_went_back;
    ledger->stores[old].ask_peers = ledger_known_peers(ledger);
    if (ledger->renew_retired)
        ledger_retire_store(ledger, ledger->stores[old].known.id);
    ledger->stores[own].known.is_own = ledger->stores[own].known.is_current = true;
    ledger->stores[own].known.position = 0;
    ledger_name_store(&ledger->stores[own], ledger->name);
    ledger_stores_changed(ledger, true);
    ledger_tell(
        ledger, actions, LEDGER_OWN_STORE_NEW, NULL, LEDGER_NO_PEER, 0, ledger->renew_why);
    for (uint8_t i = 0; i < ledger->peer_count; i++)
        ledger->peers[i].ask_next_ms = now.ms;
    mid_table_each(&ledger->rows, renewed_row, &(struct renewed){ ledger, old });
    ledger_former_look(ledger, actions);
    ledger_due_at(ledger, now.ms);
    ledger_on_time(ledger, now, actions);
}
