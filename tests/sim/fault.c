/* What goes wrong, when, and for how long.  Each seed has some kinds of faults, and not all:
 * what needs two of one kind in a row is found sooner where there are few others. */
#include "sim.h"

#include <assert.h>
#include <string.h>

enum { SECOND = 1000, MINUTE = 60 * SECOND };

#define BIT(fault) (1U << FAULT_##fault)

static const struct {
    const char *name;
    uint32_t faults;
} profiles[] = {
    { "crash", BIT(CRASH) | BIT(POWER) },
    { "disk", BIT(CRASH) | BIT(POWER) | BIT(DISK_LOST) },
    { "back", BIT(CRASH) | BIT(LYING) | BIT(OLD_IMAGE) | BIT(DAMAGE) },
    { "links", BIT(CUT) | BIT(BLOCK) | BIT(BLOCK_ONE_WAY) | BIT(SLOW) },
    { "clocks", BIT(PAUSE) | BIT(JUMP) },
    { "orders",
        BIT(CRASH) | BIT(TAKE_OVER) | BIT(EVICT) | BIT(FORCE) | BIT(AUDIT) | BIT(CONFIG) },
    { "all", (1U << FAULT_COUNT) - 1 },
};

uint32_t fault_profile(const char *name)
{
    for (size_t i = 0; i < sizeof profiles / sizeof *profiles; i++)
        if (strcmp(profiles[i].name, name) == 0)
            return profiles[i].faults;
    return 0;
}

int64_t fault_takeover_ms(const struct world *world)
{
    const struct ledger_settings *settings = &world->settings;

    return settings->resubmit_ms
               ? settings->resubmit_ms
               : settings->heartbeat_timeout_ms * settings->heartbeat_retry_count;
}

/* How long something lasts: now and then longer than the take-over time. */
static int64_t duration(struct world *world)
{
    return prng_spread(&world->prng, SECOND, 4 * fault_takeover_ms(world));
}

/* --- Nodes ------------------------------------------------------------------------------- */

static void on_restart(struct world *world, struct event *event)
{
    host_start(&world->host[event->a]);
}

static void crash(struct host *host, bool has_power, const char *why)
{
    struct world *world = host->world;

    STORY(world, host, -1, "dies: %s", why);
    host_crash(host, has_power);
    if (!has_power) /* its clock begins anew */
        host->clock_ahead = prng_between(&world->prng, 0, 10 * MINUTE);
    world_in(world, duration(world), on_restart)->a = host->number;
}

static void lose_disk(struct host *host)
{
    struct world *world = host->world;
    struct disk empty;

    disk_new(&empty, &world->prng);
    if (!check_may_lose(host, &empty)) {
        disk_done(&empty);
        return;
    }
    crash(host, prng_chance(&world->prng, 50), "its disk is lost");
    disk_done(&host->disk);
    disk_done(&host->image);
    host->disk = empty;
    host->disk_life++;
    host->went_back_at = -1;
}

/* Takes AFTER for its disk, if nothing is lost by that which may not be. */
static bool go_back(struct host *host, struct disk *after, const char *why)
{
    if (!check_may_lose(host, after)) {
        disk_done(after);
        return false;
    }
    crash(host, false, why);
    disk_done(&host->disk);
    host->disk = *after;
    /* An image of what is no longer the past says nothing that could be compared. */
    if (host->image.segment_count && disk_end(&host->image) > disk_end(&host->disk))
        disk_done(&host->image);
    host->disk_life++;
    host->went_back_at = host->world->now;
    return true;
}

static void on_truth(struct world *world, struct event *event)
{
    struct host *host = &world->host[event->host];
    struct disk after = { .segment_count = 0 };

    if (!host->lies)
        return;
    host->lies = false;
    disk_copy(&after, &host->disk);
    disk_tear(&after, &world->prng, false);
    if (!go_back(host, &after, "its disk had lied about flushes"))
        host->disk.kept = host->disk.durable;
}

static void lie(struct host *host)
{
    if (host->lies)
        return;
    STORY(host->world, host, -1, "its disk begins to lie about flushes");
    host->lies = true;
    host_in(host, prng_spread(&host->world->prng, 50, 60 * SECOND), on_truth);
}

static void old_image(struct host *host)
{
    struct world *world = host->world;
    struct disk after = { .segment_count = 0 };

    if (host->lies)
        return;
    if (host->image.segment_count == 0) {
        STORY(world, host, -1, "an image of its disk is made");
        disk_copy(&host->image, &host->disk);
        disk_tear(&host->image, &world->prng, false);
        host->image.is_full = false;
        return;
    }
    disk_copy(&after, &host->image);
    go_back(host, &after, "an old image of its disk is restored");
}

static void damage(struct host *host)
{
    struct world *world = host->world;
    struct disk after = { .segment_count = 0 };
    bool revived[SIM_MESSAGES_MAX];

    disk_copy(&after, &host->disk);
    if (!disk_damage(&after, &world->prng)) {
        disk_done(&after);
        return;
    }
    check_revived(host, &after, revived);
    if (!go_back(host, &after, "its disk is damaged"))
        return;
    for (unsigned i = 0; i < world->message_count; i++) {
        struct message *message = &world->message[i];
        message->was_revived |= revived[i];
        /* It is the same disk: of what was not flushed the end may be there alone. */
        message->ended[host->number] += message->ended[host->number] == host->disk_life;
    }
}

static void wait_out(struct host *host)
{
    struct world *world = host->world;
    int64_t ms = duration(world);

    if (host->paused_until > world->now)
        return;
    STORY(world, host, -1, "is stopped for %lld ms", (long long)ms);
    host->paused_until = host->troubled_at = world->now + ms;
    host->paused_total += ms;
}

static void on_room(struct world *world, struct event *event)
{
    world->host[event->a].disk.is_full = false;
}

static void fill(struct host *host)
{
    STORY(host->world, host, -1, "its disk is full");
    host->disk.is_full = true;
    world_in(host->world, duration(host->world), on_room)->a = host->number;
}

/* --- Links ------------------------------------------------------------------------------- */

static void block(struct world *world, uint8_t from, uint8_t to, int64_t ms)
{
    struct way *way = &world->way[from][to];

    if (way->blocked_until < world->now + ms)
        way->blocked_until = world->now + ms;
    way->troubled_at = way->blocked_until;
}

static void on_link(struct host *host, uint8_t to, enum fault fault)
{
    struct world *world = host->world;
    int64_t ms = duration(world);

    STORY(world, host, -1, "link with %s: %s for %lld ms", world->host[to].name,
        fault == FAULT_CUT     ? "cut"
        : fault == FAULT_BLOCK ? "silent"
        : fault == FAULT_SLOW  ? "slow"
                               : "silent one way",
        (long long)ms);
    if (fault == FAULT_SLOW) {
        struct way *way = &world->way[host->number][to];
        way->slow_until = way->troubled_at = world->now + ms;
        way->slow_ms = prng_spread(&world->prng, 100, 8 * SECOND);
        return;
    }
    block(world, host->number, to, ms);
    if (fault != FAULT_BLOCK_ONE_WAY)
        block(world, to, host->number, ms);
    if (fault == FAULT_CUT)
        road_reset(world, host->number, to);
}

/* --- Orders ------------------------------------------------------------------------------ */

static void order(struct host *host, uint8_t to, enum fault fault)
{
    struct world *world = host->world;
    bool with_force = fault == FAULT_FORCE, evicts = fault == FAULT_EVICT;
    uint8_t peer = host_peer(host, to);
    enum ledger_order answer;

    if (with_force) {
        evicts = prng_chance(&world->prng, 50);
        host->force_at[to] = world->now;
    }
    STORY(world, host, -1, "is told to %s %s%s", evicts ? "evict" : "take over from",
        world->host[to].name, with_force ? " with force" : "");
    answer =
        evicts
            ? ledger_evict(host->ledger, host_now(host), peer, with_force, &host->actions)
            : ledger_take_over(host->ledger, host_now(host), peer, with_force, &host->actions);
    host_act(host);
    if (answer == LEDGER_NOT_SILENT && with_force)
        violated(world, -1, "%s refuses an order with force: %d", host->name, answer);
}

static void on_peers(struct world *world, struct event *event)
{
    struct host *host = &world->host[event->host];

    host_set_peers(host);
    host_act(host);
    road_peers_changed(host);
}

static void set_configured(struct world *world, uint8_t number, bool is_configured)
{
    if (world->host[number].is_configured == is_configured)
        return;
    world->host[number].is_configured = is_configured;
    for (unsigned i = 0; i < world->message_count; i++) /* by order: nobody asks it any more */
        world->message[i].has_d4 |= !is_configured;
    STORY(world, &world->host[number], -1,
        is_configured ? "is configured" : "is configured away");
    for (unsigned i = 0; i < world->host_count; i++)
        if (world->host[i].is_up)
            host_in(&world->host[i], 0, on_peers);
}

static void on_configured(struct world *world, struct event *event)
{
    set_configured(world, (uint8_t)event->a, true);
}

static void on_settings(struct world *world, struct event *event)
{
    struct host *host = &world->host[event->host];

    ledger_set_settings(host->ledger, &world->settings, &host->actions);
    host_act(host);
}

static void tell_settings(struct world *world)
{
    STORY(world, NULL, -1, "the settings change");
    for (unsigned i = 0; i < world->host_count; i++)
        if (world->host[i].is_up)
            host_in(&world->host[i], 0, on_settings);
}

static void change_settings(struct world *world)
{
    struct ledger_settings *settings = &world->settings;

    settings->heartbeat_frequency_ms = prng_spread(&world->prng, 500, 10 * SECOND);
    settings->preference = (enum shadow_preference)prng_below(&world->prng, 2);
    tell_settings(world);
}

static void configure(struct host *host)
{
    struct world *world = host->world;

    if (prng_chance(&world->prng, 50)) {
        change_settings(world);
        return;
    }
    set_configured(world, host->number, false);
    world_in(world, duration(world), on_configured)->a = host->number;
}

/* --- Any of them ------------------------------------------------------------------------- */

static void go_away(struct world *world)
{
    struct host *host = &world->host[world->host_count - 1];

    if (!host->is_up || !check_may_lose(host, &host->disk))
        return;
    STORY(world, host, -1, "goes away");
    host_crash(host, false);
    world_in(world, prng_between(&world->prng, 1, 10) * MINUTE, on_restart)->a = host->number;
}

static void do_fault(struct host *host, uint8_t other, enum fault fault)
{
    struct world *world = host->world;

    world->tally->faults[fault]++;
    if (fault > FAULT_DAMAGE) /* a death is no trouble of the time before it */
        host->troubled_at = world->now;
    if (fault == FAULT_TAKE_OVER || fault >= FAULT_EVICT)
        world->host[other].troubled_at = world->now;
    switch (fault) {
    case FAULT_CRASH:
    case FAULT_POWER:
        crash(host, fault == FAULT_CRASH, fault == FAULT_CRASH ? "kill -9" : "power cut");
        break;
    case FAULT_DISK_LOST:
        lose_disk(host);
        break;
    case FAULT_LYING:
        lie(host);
        break;
    case FAULT_OLD_IMAGE:
        old_image(host);
        break;
    case FAULT_DAMAGE:
        damage(host);
        break;
    case FAULT_CUT:
    case FAULT_BLOCK:
    case FAULT_BLOCK_ONE_WAY:
    case FAULT_SLOW:
        on_link(host, other, fault);
        break;
    case FAULT_PAUSE:
        wait_out(host);
        break;
    case FAULT_JUMP:
        host->clock_ahead += prng_spread(&world->prng, SECOND, 10 * MINUTE);
        STORY(world, host, -1, "its clock jumps");
        break;
    case FAULT_FULL:
        fill(host);
        break;
    case FAULT_TAKE_OVER:
    case FAULT_EVICT:
    case FAULT_FORCE:
        order(host, other, fault);
        break;
    case FAULT_AUDIT:
        ledger_audit(host->ledger, host_now(host), host_peer(host, other), &host->actions);
        host_act(host);
        break;
    case FAULT_CONFIG:
        configure(host);
        break;
    case FAULT_AWAY:
        go_away(world);
        break;
    case FAULT_COUNT:
        break;
    }
}

static enum fault choose(struct world *world)
{
    enum fault fault;

    do
        fault = (enum fault)prng_below(&world->prng, FAULT_COUNT);
    while (!(world->faults & 1U << fault));
    return fault;
}

static void on_fault(struct world *world, struct event *event)
{
    struct host *host = &world->host[prng_below(&world->prng, world->host_count)];
    uint8_t other =
        (uint8_t)((host->number + 1 + prng_below(&world->prng, world->host_count - 1)) %
                  world->host_count);
    enum fault fault = choose(world);

    (void)event;
    if (world->is_calm)
        return;
    if (host->is_up && host->paused_until <= world->now)
        do_fault(host, other, fault);
    world_in(world, prng_between(&world->prng, 1, 2 * world->fault_every_ms), on_fault);
}

static void on_calm(struct world *world, struct event *event)
{
    (void)event;
    fault_end(world);
}

void fault_begin(struct world *world)
{
    struct prng *prng = &world->prng;
    uint32_t possible = world->options.faults ? world->options.faults : (1U << FAULT_COUNT) - 1;

    while (!world->faults)
        for (unsigned i = 0; i < FAULT_COUNT; i++)
            if (possible & 1U << i && prng_chance(prng, 30))
                world->faults |= 1U << i;
    world->fault_every_ms = prng_spread(prng, 2 * SECOND, 2 * MINUTE);
    world_in(world, prng_between(prng, 5, 30) * SECOND, on_fault);
    world_in(world, world->calm_at, on_calm);
}

void fault_end(struct world *world)
{
    STORY(world, NULL, -1, "all is well from here on");
    world->is_calm = true;
    world->settings.preference = SHADOW_PREFER_REMOTE;
    tell_settings(world);
    memset(world->way, 0, sizeof world->way);
    for (unsigned i = 0; i < world->host_count; i++) {
        struct host *host = &world->host[i];
        host->disk.is_full = host->lies = false;
        host->disk.kept = host->disk.durable;
        if (host->paused_until > world->now) {
            host->paused_total -= host->paused_until - world->now;
            host->paused_until = world->now;
        }
        set_configured(world, (uint8_t)i, true);
        if (!host->is_up)
            world_in(world, prng_between(&world->prng, 0, 5 * SECOND), on_restart)->a = i;
    }
}
