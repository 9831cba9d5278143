/* The promises of the contract, checked from what the world knows and no node can know:
 *
 *     S1  what was acknowledged is delivered, or set aside, or went with the only disk it was
 *         recorded to lie on
 *     S2  what is delivered twice has a cause of the list D1 D2 D3 D4 D6
 *     S3  no copy is dropped before each recipient's outcome is durable at a primary
 *     S4  when the faults stop all comes to an end: no row, no traffic
 *     S5  two nodes hold each message whenever two can for long enough
 *
 * D2, a client that sends again, is another message here.  D6 is a lost answer of the
 * destination's. */
#include "sim.h"

#include <assert.h>
#include <string.h>

enum { SECOND = 1000, MINUTE = 60 * SECOND, LOOK_MS = 5 * SECOND };

/* --- S1 and R1: what 250 stands for ------------------------------------------------------ */

/* Some disk went back since SINCE, and its node has not seen that. */
static bool has_gone_back(const struct world *world, int64_t since)
{
    for (unsigned i = 0; i < world->host_count; i++)
        if (world->host[i].went_back_at >= since)
            return true;
    return false;
}

void check_acknowledged(struct host *host, struct message *message)
{
    const struct entry *entry = &host->entry[message->number];
    bool is_over = message->done == message_all(message);

    if ((!entry->is_here || entry->is_committing) && !is_over)
        violated(host->world, (int)message->number, "S1: 250 before the local commit");
    else if (message->verdict == LEDGER_REDUNDANT && !is_over && !message->was_copied)
        violated(host->world, (int)message->number,
            "S1: 250 said redundant, and no other node has it");
}

/* --- S2: what was delivered twice -------------------------------------------------------- */

enum cause { CAUSE_NONE, CAUSE_D1, CAUSE_D3, CAUSE_D4, CAUSE_D6, CAUSE_BACK };

/* Nothing stood in the way of telling it, and there was time enough. */
static bool could_tell(
    const struct host *first, const struct host *host, const struct delivery *before)
{
    const struct world *world = host->world;
    int64_t died_at = first->died_at[before->life % SIM_LIVES_MAX];
    int64_t since = before->at - MINUTE;

    return died_at - before->at > MINUTE && host->up_since < since &&
           first->troubled_at < since && host->troubled_at < since &&
           world->way[first->number][host->number].troubled_at < since &&
           world->way[host->number][first->number].troubled_at < since;
}

/* Did the node that delivered it die since, before this one had heard of the outcome? */
static bool is_d1(
    const struct host *host, const struct message *message, const struct delivery *before)
{
    const struct host *first = &host->world->host[before->host];
    bool has_died = !first->is_up || first->life != before->life;

    if (!has_died && first->renewed_at < before->at)
        return false;
    if (first == host && first->disk_life == before->disk)
        return !before->is_noted;
    if (has_died && could_tell(first, host, before))
        return false;
    return !((message->has_claimed[host->number] ? message->claimed[host->number]
                                                 : message->heard[host->number]) &
             1U << before->recipient);
}

static enum cause cause_of(
    const struct host *host, const struct message *message, const struct delivery *before)
{
    if (before->is_in_doubt)
        return CAUSE_D6;
    if (is_d1(host, message, before))
        return CAUSE_D1;
    if (message->has_d3)
        return CAUSE_D3;
    if (message->has_d4)
        return CAUSE_D4;
    return message->was_revived || has_gone_back(host->world, before->at) ? CAUSE_BACK
                                                                          : CAUSE_NONE;
}

static void count(struct tally *tally, enum cause cause)
{
    tally->d1 += cause == CAUSE_D1;
    tally->d3 += cause == CAUSE_D3;
    tally->d4 += cause == CAUSE_D4;
    tally->d6 += cause == CAUSE_D6;
    tally->back += cause == CAUSE_BACK;
}

void check_delivered(
    struct host *host, struct message *message, uint8_t recipient, bool is_in_doubt)
{
    static const char *const names[] = { "none", "D1", "D3", "D4", "D6", "went back" };
    struct world *world = host->world;

    STORY(world, host, (int)message->number, "DELIVERED to recipient %u%s", recipient + 1U,
        is_in_doubt ? ", and the answer is lost" : "");
    for (unsigned i = 0; i < message->delivery_count; i++) {
        const struct delivery *before = &message->delivery[i];
        if (before->recipient != recipient)
            continue;
        enum cause cause = cause_of(host, message, before);
        STORY(world, host, (int)message->number, "delivered twice, by %s at %.3f too: %s",
            world->host[before->host].name, (double)before->at / SECOND, names[cause]);
        count(world->tally, cause);
        if (cause == CAUSE_NONE)
            violated(world, (int)message->number,
                "S2: %s delivers to recipient %u what %s had delivered at %.3f", host->name,
                recipient + 1U, world->host[before->host].name, (double)before->at / SECOND);
    }
    if (message->delivery_count == SIM_DELIVERIES_MAX) {
        return; /* a node that dies each time between handing over and noting */
    }
    message->delivery[message->delivery_count++] = (struct delivery){
        .at = world->now,
        .host = host->number,
        .life = host->life,
        .disk = host->disk_life,
        .recipient = recipient,
        .is_in_doubt = is_in_doubt,
    };
}

static void on_evicted(struct host *host, uint8_t other)
{
    struct world *world = host->world;
    struct evicted *evicted = &world->evicted[world->evicted_count++ % SIM_EVICTED_MAX];
    struct ledger_peer_facts facts;

    ledger_get_peer(host->ledger, host_peer(host, other), &facts);
    *evicted = (struct evicted){ .store = facts.store,
        .is_d3 = host->silent_at[other] == world->now,
        .is_d4 = host->force_at[other] == world->now };
}

/* A store is retired for ever (R20), and what it accepts afterwards, since its node does not know yet,
 * is taken over as well, for the same cause. */
static void look_for_evicted(
    const struct world *world, struct message *message, struct store_id store)
{
    for (unsigned i = 0; i < world->evicted_count && i < SIM_EVICTED_MAX; i++) {
        const struct evicted *evicted = &world->evicted[i];
        if (memcmp(evicted->store.byte, store.byte, sizeof store.byte) != 0)
            continue;
        message->has_d3 |= evicted->is_d3;
        message->has_d4 |= evicted->is_d4;
    }
}

/* What makes two of one message: a take-over from a node that lives. */
void check_takes(struct host *host, struct message *message, const struct standing *standing)
{
    struct world *world = host->world;
    uint8_t from = host_of_store(world, standing->from);

    if (from == SIM_NOBODY || from == host->number)
        return;
    for (unsigned i = 0; i < world->host_count;
         i++) /* another taker, that was not waited for */
        message->has_d3 |= world->host[i].is_up && host->silent_at[i] >= message->sent_at &&
                           world->host[i].entry[message->number].is_here;
    look_for_evicted(world, message, standing->from);
    message->has_d3 |= message->claimed_d3[host->number]; /* a claim survives a death */
    for (unsigned i = 0; i < world->host_count; i++) {    /* one that evicts tells the others */
        message->has_d3 |= world->host[i].silent_at[from] >= message->sent_at;
        message->has_d4 |= world->host[i].force_at[from] >= message->sent_at;
    }
}

static int64_t silence(const struct host *host, uint8_t other)
{
    return host_awake(host) - host->heard_awake[other];
}

/* The ledger says that it begins to take over from a node. */
static void on_take_over(struct host *host, uint8_t from)
{
    const struct world *world = host->world;
    const struct host *other = &world->host[from];
    int64_t silent_ms = silence(host, from);

    if (other->is_up && silent_ms >= fault_takeover_ms(world) / 2)
        host->silent_at[from] = world->now;
}

/* Something stood between the two, at some time since SINCE: an answer may have been late. */
static bool was_troubled(const struct host *host, const struct host *other, int64_t since)
{
    const struct world *world = host->world;

    return !other->is_up || other->up_since > since || other->troubled_at > since ||
           host->troubled_at > since ||
           world->way[host->number][other->number].troubled_at > since ||
           world->way[other->number][host->number].troubled_at > since;
}

/* It says that a question stayed unanswered: true when somebody was silent for so long, or has
 * forgotten all. */
static void on_d4(struct host *host, uint8_t other)
{
    struct world *world = host->world;
    bool is_true = other != SIM_NOBODY && host->has_met_new[other];

    for (uint8_t i = 0; i < world->host_count; i++)
        if (i != host->number &&
            (silence(host, i) >= world->settings.fence_wait_ms / 2 || host->has_met_new[i] ||
                host->force_at[i] >= 0 || !world->links[host->number][i].is_told_up ||
                was_troubled(
                    host, &world->host[i], world->now - world->settings.fence_wait_ms)))
            is_true = true;
    if (!is_true)
        violated(world, -1, "S2: %s counts D4, and all others had answered", host->name);
    for (unsigned i = 0; i < world->message_count; i++)
        if (host->entry[i].is_here)
            world->message[i].has_d4 = true;
}

void check_event(struct host *host, const struct ledger_action *action)
{
    static const char *const names[LEDGER_EVENT_COUNT] = { "HARECEIVE", "HAREDIRECT",
        "HAREDIRECTFAIL", "HADISCARD", "RESUBMIT", "SINGLE", "COPIED_AGAIN", "LIVE", "SILENT",
        "GONE", "NEW_STORE", "RETIRED", "WENT_BACK", "TAKEOVER", "FENCE_BEGUN", "FENCE_OVER",
        "FENCED_MID", "UNCLAIMED_FOUND", "UNCLAIMED_DROPPED", "SET_ASIDE", "OWN_STORE_NEW",
        "AUDIT_DIFFERENCE", "NOTICE_EXPIRED", "D1", "D3", "D4" };
    static const struct mid none;
    struct world *world = host->world;
    uint8_t other = host_of_peer(host, action->peer);
    struct message *message =
        memcmp(&action->mid, &none, sizeof none) == 0 ? NULL : message_find(world, action->mid);

    world->tally->counts[action->event]++;
    STORY(world, host, message ? (int)message->number : -1, "event %s %s %llu %s",
        names[action->event] ? names[action->event] : "?",
        other == SIM_NOBODY ? "" : world->host[other].name, (unsigned long long)action->number,
        action->text ? action->text : "");
    if (action->event == LEDGER_PEER_NEW_STORE)
        host->has_met_new[other] = true;
    if (action->event == LEDGER_RESUBMIT && message) {
        message->has_claimed[host->number] = true;
        message->claimed[host->number] = message->heard[host->number];
        message->claimed_d3[host->number] =
            other != SIM_NOBODY && host->silent_at[other] == world->now;
    }
    if (action->event == LEDGER_TAKEOVER && other != SIM_NOBODY)
        on_take_over(host, other);
    else if (action->event == LEDGER_PEER_RETIRED && strcmp(action->text, "evicted") == 0)
        on_evicted(host, other);
    else if (action->event == LEDGER_D4)
        on_d4(host, other);
}

/* What a primary noted in its own log stands there in front of the end that it writes now. */
static uint32_t own_outcomes(const struct host *host, const struct message *message)
{
    const struct entry *entry = &host->entry[message->number];
    uint32_t own = 0;

    for (unsigned i = 0; i < message->recipient_count; i++)
        if (entry->outcome[i] == SPOOL_DELIVERED || entry->outcome[i] == SPOOL_FAILED)
            own |= 1U << i;
    return own;
}

/* --- What is heard ----------------------------------------------------------------------- */

void check_frame(struct host *host, uint8_t from)
{
    host->heard_awake[from] = host_awake(host);
}

/* R2: a notice acts only on a copy held for the store that gives it. */
static bool is_held_for_another(
    const struct host *host, uint8_t from, const struct message *message)
{
    struct standing standing;

    return ledger_standing(host->ledger, message->mid, &standing) &&
           standing.role == STANDING_HELD && host_of_store(host->world, standing.owner) != from;
}

void check_heard(struct host *host, uint8_t from, const struct shadow_page *page)
{
    for (uint32_t i = 0; i < page->item_count; i++) {
        const struct shadow_item *item = &page->items[i];
        struct message *message = message_find(host->world, item->mid);
        struct shadow_list_cursor cursor = { item->list };
        uint32_t first, last;

        if (!message)
            violated(host->world, -1, "%s hears of a message that never was", host->name);
        else if (is_held_for_another(host, from, message))
            continue;
        else if (item->word == SHADOW_DONE || item->word == SHADOW_IS_SETTLED)
            message->heard[host->number] = message_all(message);
        else if (item->word == SHADOW_PART)
            while (shadow_list_next(&cursor, &first, &last))
                for (uint32_t k = first; k <= last && k < SIM_RECIPIENTS_MAX; k++)
                    message->heard[host->number] |= 1U << k;
    }
}

/* Of what was not flushed, the end may be there alone: it stands for all outcomes in front of it.  What
 * is gone with damage that is found has no end. */
static void look_for_end(struct host *host, struct message *message)
{
    struct standing standing;
    bool is_here = ledger_standing(host->ledger, message->mid, &standing);

    if (message->ended[host->number] != host->disk_life + 1)
        return;
    if ((!is_here && !host->disk.is_damaged) || (is_here && standing.role == STANDING_SETTLED))
        message->over = message_all(message);
    else
        message->ended[host->number] = 0;
}

/* What it had heard, and had not yet written, it has forgotten; and what damage has taken from its
 * disk (R14), be it that it had heard it before it took the message over. */
void check_restarted(struct host *host)
{
    struct world *world = host->world;

    for (unsigned i = 0; i < world->message_count; i++)
        look_for_end(host, &world->message[i]);
    for (unsigned i = 0; i < world->message_count; i++)
        if (host->entry[i].is_here) {
            world->message[i].heard[host->number] = entry_done(&host->entry[i]);
            if (host->disk.is_damaged)
                world->message[i].claimed[host->number] &= entry_done(&host->entry[i]);
            world->message[i].over |= own_outcomes(host, &world->message[i]);
        }
    for (unsigned i = 0; i < world->host_count; i++) {
        host->heard_awake[i] = host_awake(host);
        host->silent_at[i] = -1;
        host->has_met_new[i] = false;
    }
}

/* --- S3 ---------------------------------------------------------------------------------- */

void check_noted(struct host *host, struct message *message, uint32_t recipients, bool is_heard)
{
    if (is_heard)
        return;
    message->over |= recipients;
    for (unsigned i = 0; i < message->delivery_count; i++) {
        struct delivery *delivery = &message->delivery[i];
        if (delivery->host == host->number && delivery->life == host->life &&
            recipients & 1U << delivery->recipient)
            delivery->is_noted = true;
    }
}

void check_ends(struct host *host, struct message *message)
{
    if (own_outcomes(host, message) == message_all(message))
        message->ended[host->number] = host->disk_life + 1;
}

void check_forgets(struct host *host, struct message *message)
{
    check_ends(host, message);
    if (message->acked_at < 0 ||
        (message->over | own_outcomes(host, message)) == message_all(message))
        return;
    if (message->was_rolled_back || message->may_be_lost)
        return;
    violated(host->world, (int)message->number,
        "S3: %s drops it, and only %x of its recipients have a durable outcome", host->name,
        message->over);
}

/* --- S5 ---------------------------------------------------------------------------------- */

/* For how long what stands between two nodes has been as it should be. */
static int64_t well_since(const struct world *world, const struct host *a, const struct host *b)
{
    const struct links *there = &world->links[a->number][b->number];
    const struct links *back = &world->links[b->number][a->number];
    int64_t since = 0;

    if (!a->is_up || !b->is_up || !there->is_told_up || !back->is_told_up || a->disk.is_full ||
        b->disk.is_full || !a->is_configured || !b->is_configured || a->lies || b->lies)
        return world->now;
    for (unsigned i = 0; i < 2; i++) {
        const struct host *host = i ? a : b;
        const struct way *way = &world->way[host->number][(i ? b : a)->number];
        if (host->up_since > since)
            since = host->up_since;
        if (host->paused_until > since)
            since = host->paused_until;
        if (way->troubled_at > since)
            since = way->troubled_at;
        if (host->troubled_at > since)
            since = host->troubled_at;
    }
    return since;
}

static void look_for_second(struct world *world, struct message *message)
{
    const struct host *only = NULL;
    unsigned count = 0;
    struct standing standing;
    int64_t bound = 2 * fault_takeover_ms(world) + world->settings.fence_wait_ms + 3 * MINUTE;
    int64_t best = INT64_MAX;

    for (unsigned i = 0; i < world->host_count; i++) {
        const struct host *host = &world->host[i];
        if (!host->is_up || !host->entry[message->number].is_here)
            continue;
        count++;
        if (ledger_standing(host->ledger, message->mid, &standing) &&
            standing.role == STANDING_PRIMARY)
            only = host;
    }
    if (count != 1 || !only) {
        message->single_since = -1;
        return;
    }
    if (message->single_since < 0)
        message->single_since = world->now;
    for (unsigned i = 0; i < world->host_count; i++)
        if (i != only->number && well_since(world, only, &world->host[i]) < best)
            best = well_since(world, only, &world->host[i]);
    if (message->single_since > best)
        best = message->single_since;
    if (best + bound < world->now && world->settings.preference == SHADOW_PREFER_REMOTE)
        violated(world, (int)message->number,
            "S5: it lies on %s alone, and another could have it", only->name);
}

static void on_look(struct world *world, struct event *event)
{
    (void)event;
    check_now_and_then(world);
}

void check_now_and_then(struct world *world)
{
    for (unsigned i = 0; i < world->message_count; i++) {
        struct message *message = &world->message[i];
        if (message->acked_at >= 0 && message->over != message_all(message))
            look_for_second(world, message);
        else
            message->single_since = -1;
    }
    if (world->now < world->calm_at + 14 * MINUTE)
        world_in(world, LOOK_MS, on_look);
}

/* --- S1 and S4: the end ------------------------------------------------------------------ */

static bool is_anybodys(const struct world *world, struct store_id store)
{
    for (unsigned i = 0; i < world->host_count; i++)
        if (host_has_store(&world->host[i], store))
            return true;
    return false;
}

/* It is kept for a store that never comes back. */
static bool is_fact(const struct world *world, const struct standing *standing)
{
    static const struct store_id none;

    if (memcmp(&standing->from, &none, sizeof none) != 0 && !is_anybodys(world, standing->from))
        return true;
    for (unsigned i = 0; i < standing->earlier_count; i++)
        if (!is_anybodys(world, standing->earlier[i]))
            return true;
    return false;
}

/* Its primary has set it aside: the copy stays until the administrator has decided. */
static bool is_aside_at(
    const struct world *world, const struct message *message, struct store_id owner)
{
    struct standing standing;

    for (unsigned i = 0; i < world->host_count; i++)
        if (host_has_store(&world->host[i], owner) &&
            ledger_standing(world->host[i].ledger, message->mid, &standing))
            return standing.role == STANDING_ASIDE;
    return false;
}

/* A row that is left at the end; true when it may be. */
static bool may_stay(struct host *host, struct message *message, bool *is_aside)
{
    struct standing standing;

    if (!ledger_standing(host->ledger, message->mid, &standing))
        return false;
    if (standing.role == STANDING_ASIDE)
        return *is_aside = true;
    if (standing.role == STANDING_HELD && is_aside_at(host->world, message, standing.owner))
        return true;
    return standing.role == STANDING_SETTLED && is_fact(host->world, &standing);
}

static void check_message(struct world *world, struct message *message)
{
    bool is_aside = false;
    struct standing standing;

    for (unsigned i = 0; i < world->host_count; i++) {
        struct host *host = &world->host[i];
        if (host->entry[message->number].is_here && !may_stay(host, message, &is_aside)) {
            bool has_row = ledger_standing(host->ledger, message->mid, &standing);
            violated(world, (int)message->number, "S4: it is still on %s, role %d", host->name,
                has_row ? standing.role : -1);
        }
    }
    world->tally->aside += is_aside;
    if (message->acked_at < 0 || message->done == message_all(message))
        return;
    if (is_aside)
        return;
    if (message->may_be_lost)
        world->tally->lost++;
    else if (message->was_rolled_back)
        world->tally->rolled_back++;
    else
        violated(world, (int)message->number, "S1: lost; only %x of its recipients have it",
            message->done);
}

void check_end(struct world *world)
{
    for (unsigned i = 0; i < world->host_count; i++)
        if (!world->host[i].is_up) {
            violated(world, -1, "S4: %s is down at the end", world->host[i].name);
            return;
        }
    for (unsigned i = 0; i < world->message_count; i++)
        check_message(world, &world->message[i]);
    if (world->written_at > world->end_at - 3 * MINUTE)
        violated(world, -1, "S4: disks are still written");
}
