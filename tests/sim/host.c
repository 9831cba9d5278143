/* One node: what its ledger orders is done, and its events are told to the ledger.  It stands
 * where node/node.c stands in the daemon. */
#include "sim.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { TICK_LATE_MS = 20 };

void host_init(struct host *host, struct world *world, uint8_t number)
{
    host->world = world;
    host->number = number;
    host->is_configured = true;
    host->went_back_at = host->renewed_at = -1;
    snprintf(host->name, sizeof host->name, "n%u", number + 1U);
    for (unsigned i = 0; i < SIM_NODES_MAX; i++)
        host->silent_at[i] = host->force_at[i] = -1;
    disk_new(&host->disk, &world->prng);
}

void host_done(struct host *host)
{
    ledger_free(host->ledger);
    host->ledger = NULL;
    free(host->actions.list);
    free(host->landings.list);
    free(host->receipts);
    free(host->flights);
    disk_done(&host->disk);
    disk_done(&host->image);
}

struct moment host_now(const struct host *host)
{
    return (struct moment){ host->world->now + host->clock_ahead };
}

int64_t host_awake(const struct host *host)
{
    return host->world->now - host->paused_total;
}

/* --- Names ------------------------------------------------------------------------------- */

uint8_t host_of_name(const struct world *world, struct bytes name)
{
    for (uint8_t i = 0; i < world->host_count; i++)
        if (bytes_equal(bytes_text(world->host[i].name), name))
            return i;
    return SIM_NOBODY;
}

uint8_t host_peer(const struct host *host, uint8_t number)
{
    return host->peers[number];
}

uint8_t host_of_peer(const struct host *host, uint8_t peer)
{
    return peer == LEDGER_NO_PEER ? SIM_NOBODY : host->hosts[peer];
}

uint8_t host_of_store(const struct world *world, struct store_id store)
{
    for (uint8_t i = 0; i < world->host_count; i++) {
        const struct host *host = &world->host[i];
        for (unsigned k = 0; k < host->stores_had_count; k++)
            if (memcmp(host->stores_had[k].byte, store.byte, sizeof store.byte) == 0)
                return i;
    }
    return SIM_NOBODY;
}

static void has_store(struct host *host)
{
    if (host_of_store(host->world, host->disk.public) != SIM_NOBODY)
        return;
    assert(host->stores_had_count < sizeof host->stores_had / sizeof *host->stores_had);
    host->stores_had[host->stores_had_count++] = host->disk.public;
}

void host_set_peers(struct host *host)
{
    struct world *world = host->world;
    struct ledger_peer_config peers[SIM_NODES_MAX];
    uint32_t count = 0;

    for (unsigned i = 0; i < world->host_count; i++)
        if (i != host->number && world->host[i].is_configured)
            peers[count++] =
                (struct ledger_peer_config){ .name = bytes_text(world->host[i].name),
                    .is_remote = i == 2 };
    ledger_set_peers(host->ledger, peers, count, &host->actions);
    for (uint8_t i = 0; i < world->host_count; i++) {
        host->peers[i] = ledger_find_peer(host->ledger, bytes_text(world->host[i].name));
        if (host->peers[i] != LEDGER_NO_PEER)
            host->hosts[host->peers[i]] = i;
    }
}

/* --- Time -------------------------------------------------------------------------------- */

static void on_tick(struct world *world, struct event *event)
{
    struct host *host = &world->host[event->host];

    if (host->tick != event->a)
        return;
    host->tick_at = 0;
    ledger_on_time(host->ledger, host_now(host), &host->actions);
    host_act(host);
}

/* A little late, as loops are. */
static void set_tick(struct host *host)
{
    struct world *world = host->world;
    int64_t due = ledger_due(host->ledger).ms - host->clock_ahead;

    if (host->tick_at && host->tick_at <= due)
        return;
    if (due < world->now)
        due = world->now;
    if (due > world->end_at) /* never, as far as this world goes */
        due = world->end_at;
    host->tick_at = due + 1;
    host_in(host, due - world->now + prng_between(&world->prng, 1, TICK_LATE_MS), on_tick)->a =
        ++host->tick;
}

/* --- Actions ----------------------------------------------------------------------------- */

static void on_renewed(struct world *world, struct event *event)
{
    struct host *host = &world->host[event->host];

    ledger_on_renewed(host->ledger, host_now(host), host->disk.public, &host->actions);
    host_act(host);
}

static void renew(struct host *host)
{
    disk_renew(&host->disk, &host->world->prng);
    has_store(host);
    host->went_back_at = -1; /* it is known now */
    host->renewed_at = host->world->now;
    STORY(host->world, host, -1, "begins a new store %02x%02x", host->disk.public.byte[0],
        host->disk.public.byte[1]);
    host_in(host, 0, on_renewed);
}

static void act_on_entry(
    struct host *host, struct message *message, const struct ledger_action *action)
{
    struct entry *entry = &host->entry[message->number];
    uint32_t recipients = 0;
    uint32_t first, last;

    switch (action->type) {
    case LEDGER_STAND:
        STORY(host->world, host, (int)message->number,
            "stands: role %u generation %u single %u holders %u", action->standing.role,
            action->standing.generation, action->standing.single,
            action->standing.holder_count);
        if (action->standing.role == STANDING_SETTLED)
            check_ends(host, message);
        shelf_stand(host, message, action->tag, &action->standing);
        break;
    case LEDGER_FORGET:
        STORY(host->world, host, (int)message->number, "forgotten");
        check_forgets(host, message);
        shelf_settle(host, message);
        if (entry->work == WORK_TRYING) /* the kernel has it */
            entry->is_here = false;
        else
            *entry = (struct entry){ .attempt = entry->attempt };
        break;
    case LEDGER_NOTE: {
        struct shadow_list_cursor cursor = { action->list };
        while (shadow_list_next(&cursor, &first, &last))
            for (uint32_t i = first; i <= last && i < message->recipient_count; i++)
                recipients |= 1U << i;
        STORY(host->world, host, (int)message->number, "hears that %x are done", recipients);
        shelf_note(host, message, recipients & ~entry_done(entry), SPOOL_RELAYED_AWAY);
        break;
    }
    default:
        assert(0);
    }
}

/* The spool has no entry before the commit is done: what is ordered about it waits. */
static void on_entry(struct host *host, const struct ledger_action *action)
{
    struct message *message = message_find(host->world, action->mid);
    struct entry *entry = &host->entry[message->number];

    if (!entry->is_here) {
        violated(host->world, (int)message->number,
            "%s: an order (%d) about a message that is not there", host->name, action->type);
        return;
    }
    if (entry->is_committing && action->type != LEDGER_NOTE) {
        assert(entry->held_back_count < ENTRY_HELD_BACK_MAX);
        entry->held_back[entry->held_back_count++] = *action;
        return;
    }
    act_on_entry(host, message, action);
}

void host_committed(struct host *host, struct message *message)
{
    struct entry *entry = &host->entry[message->number];
    unsigned count = entry->held_back_count;

    entry->is_committing = false;
    entry->held_back_count = 0;
    for (unsigned i = 0; i < count; i++) {
        struct ledger_action action = entry->held_back[i];
        act_on_entry(host, message, &action);
    }
}

static void deliver(struct host *host, const struct ledger_action *action)
{
    struct message *message = message_find(host->world, action->mid);

    STORY(host->world, host, (int)message->number, "to be delivered, generation %u",
        action->standing.generation);
    check_takes(host, message, &action->standing);
    if (!host->entry[message->number].is_here)
        violated(host->world, (int)message->number, "%s is to deliver what it does not have",
            host->name);
    else
        courier_queue(host, message, prng_between(&host->world->prng, 0, 100));
}

static void accepted(struct host *host, const struct ledger_action *action)
{
    static const char *const verdicts[] = { "redundant", "single", "delay", "reject", "other" };
    struct message *message = message_find(host->world, action->mid);

    STORY(host->world, host, (int)message->number, "acceptance: %s (%u)",
        verdicts[action->verdict], action->single);
    client_told(host, message, action->verdict);
    if (action->verdict < LEDGER_REJECT)
        courier_queue(host, message, prng_between(&host->world->prng, 0, 20));
}

static void act(struct host *host, const struct ledger_action *action)
{
    uint8_t to = host_of_peer(host, action->peer);

    switch (action->type) {
    case LEDGER_STAND:
    case LEDGER_FORGET:
    case LEDGER_NOTE:
        on_entry(host, action);
        break;
    case LEDGER_FLUSH:
        shelf_barrier(host, action->tag);
        break;
    case LEDGER_STORES:
        shelf_stores(host, action->tag);
        break;
    case LEDGER_RENEW:
        renew(host);
        break;
    case LEDGER_ACCEPTED:
        accepted(host, action);
        break;
    case LEDGER_DELIVER:
        deliver(host, action);
        break;
    case LEDGER_WITHDRAW:
        STORY(host->world, host, (int)message_find(host->world, action->mid)->number,
            "withdrawn");
        courier_withdraw(host, message_find(host->world, action->mid));
        break;
    case LEDGER_COPY:
        road_copy(host, to, action);
        break;
    case LEDGER_COPY_CANCEL: /* its answer is welcome still */
        break;
    case LEDGER_ASK:
        road_ask(host, to, action->ask);
        break;
    case LEDGER_ANSWER:
        road_answer(host, action);
        break;
    case LEDGER_HELD:
        road_held(host, action);
        break;
    case LEDGER_CUT:
        STORY(host->world, host, -1, "cuts its links with %s", host->world->host[to].name);
        road_cut(host, to);
        break;
    case LEDGER_EVENT:
        check_event(host, action);
        break;
    default:
        violated(host->world, -1, "an unknown order %d", action->type);
    }
}

void host_act(struct host *host)
{
    for (unsigned i = 0; i < host->actions.count; i++) {
        struct ledger_action action = host->actions.list[i];
        act(host, &action);
    }
    host->actions.count = 0;
    set_tick(host);
}

/* --- Life -------------------------------------------------------------------------------- */

void host_start(struct host *host)
{
    struct world *world = host->world;

    if (host->is_up)
        return;
    host->is_up = host->has_power = true;
    host->life++;
    host->paused_until = 0;
    host->tick_at = 0;
    host->up_since = world->now;
    host->lies = false;
    has_store(host);
    STORY(world, host, -1, "starts, store %02x%02x", host->disk.public.byte[0],
        host->disk.public.byte[1]);
    shelf_open(host);
    check_restarted(host);
    ledger_start(host->ledger, host_now(host), &host->actions);
    host_act(host);
    road_open(host);
}

void host_crash(struct host *host, bool has_power)
{
    if (!host->is_up)
        return;
    host->is_up = false;
    host->has_power = has_power;
    host->down_since = host->world->now;
    host->died_at[host->life % SIM_LIVES_MAX] = host->world->now;
    if (host->paused_until > host->world->now) /* it did nothing until the end */
        host->paused_total -= host->paused_until - host->world->now;
    if (host->lies) /* the truth comes out by itself: fault.c, on_truth() */
        host->disk.kept = host->disk.durable;
    host->actions.count = 0;
    ledger_free(host->ledger);
    host->ledger = NULL;
    shelf_drop(host);
    host->receipt_count = 0;
    disk_tear(&host->disk, &host->world->prng, !has_power);
    road_crash(host, has_power);
}
