#include "sim.h"

#include "base/mem.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { SECOND = 1000, MINUTE = 60 * SECOND, EVENTS_MAX = 3000000 };

/* --- The story --------------------------------------------------------------------------- */

void story(struct world *world, const struct host *host, int message, const char *format, ...)
{
    va_list args;
    char name[16] = "";

    if (world->options.trace_message >= 0 && message >= 0 &&
        message != world->options.trace_message)
        return;
    if (message >= 0)
        snprintf(name, sizeof name, "m%d ", message);
    printf("%9.3f  %-3s %s", (double)world->now / SECOND, host ? host->name : "", name);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

void violated(struct world *world, int message, const char *format, ...)
{
    va_list args;

    if (world->has_failed)
        return;
    world->has_failed = true;
    world->failed_message = message;
    va_start(args, format);
    vsnprintf(world->verdict, sizeof world->verdict, format, args);
    va_end(args);
    STORY(world, NULL, message, "VIOLATED: %s", world->verdict);
}

/* --- Events ------------------------------------------------------------------------------ */

static bool is_before(const struct event *a, const struct event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void push(struct world *world, struct event *event)
{
    unsigned i = world->heap_count++;

    if (world->heap_count > world->heap_room) {
        world->heap_room = 2 * world->heap_count + 64;
        world->heap = mem_grow(world->heap, world->heap_room * sizeof(struct event *));
    }
    for (; i > 0 && is_before(event, world->heap[(i - 1) / 2]); i = (i - 1) / 2)
        world->heap[i] = world->heap[(i - 1) / 2];
    world->heap[i] = event;
}

static struct event *pop(struct world *world)
{
    struct event *first = world->heap[0], *last = world->heap[--world->heap_count];
    unsigned i = 0, child;

    for (; (child = 2 * i + 1) < world->heap_count; i = child) {
        if (child + 1 < world->heap_count &&
            is_before(world->heap[child + 1], world->heap[child]))
            child++;
        if (is_before(last, world->heap[child]))
            break;
        world->heap[i] = world->heap[child];
    }
    world->heap[i] = last;
    return first;
}

struct event *world_in(struct world *world, int64_t delay, event_run *run)
{
    struct event *event = mem_new(sizeof *event);

    event->at = world->now + delay;
    event->order = ++world->order;
    event->run = run;
    event->host = SIM_NOBODY;
    push(world, event);
    return event;
}

struct event *host_in(struct host *host, int64_t delay, event_run *run)
{
    struct event *event = world_in(host->world, delay, run);

    event->host = host->number;
    event->life = host->life;
    return event;
}

void world_again(struct world *world, struct event *event, int64_t at)
{
    struct event *again = mem_new(sizeof *again);

    *again = *event;
    event->data = NULL;
    again->at = at;
    push(world, again);
}

static void event_free(struct event *event)
{
    free(event->data);
    free(event);
}

/* A paused host does it when it goes on, in the same order. */
static void run(struct world *world, struct event *event)
{
    struct host *host = event->host == SIM_NOBODY ? NULL : &world->host[event->host];

    if (host && event->life && (event->life != host->life || !host->is_up))
        return;
    if (host && event->life && host->paused_until > world->now) {
        world_again(world, event, host->paused_until);
        return;
    }
    event->run(world, event);
}

/* --- One seed ---------------------------------------------------------------------------- */

static const struct {
    int64_t frequency, timeout;
    uint32_t count;
} rhythms[] = {
    { 10 * SECOND, 10 * SECOND, 6 }, /* the default */
    { 10 * SECOND, 10 * SECOND, 3 },
    { 500, 500, 4 }, /* the shortest sensible */
    { 2 * SECOND, 3 * SECOND, 5 },
};

static void choose_settings(struct world *world)
{
    struct prng *prng = &world->prng;
    unsigned rhythm = (unsigned)prng_below(prng, sizeof rhythms / sizeof *rhythms);

    world->settings = (struct ledger_settings){
        .is_enabled = true,
        .heartbeat_frequency_ms = rhythms[rhythm].frequency,
        .heartbeat_timeout_ms = rhythms[rhythm].timeout,
        .heartbeat_retry_count = rhythms[rhythm].count,
        .resubmit_ms = prng_chance(prng, 10) ? 20 * SECOND : 0,
        .auto_discard_ms = 6 * MINUTE,
        .fence_wait_ms = prng_chance(prng, 50) ? 60 * SECOND : 20 * SECOND,
        .audit_after_ms = 2 * MINUTE,
        .unclaimed_hold_ms = 5 * MINUTE,
        .attempts_local_max = 2,
        .attempts_remote_max = 4,
        .copy_timeout_ms = 5 * SECOND,
        .accept_timeout_ms = 20 * SECOND,
        .preference = SHADOW_PREFER_REMOTE,
        .recopy_in_flight_max = 4,
        .rows_max = 2, /* so that much happens in between */
        .broken = world->options.broken,
    };
}

static void choose(struct world *world)
{
    struct prng *prng = &world->prng;

    world->host_count = world->options.nodes ? world->options.nodes : 2 + world->seed % 2;
    choose_settings(world);
    world->latency_ms = (unsigned)prng_spread(prng, 1, 200);
    world->flush_ms = (unsigned)prng_spread(prng, 2, 300);
    world->deferred_percent = prng_chance(prng, 30) ? 60 : 10;
    world->failed_percent = 5;
    world->doubt_percent = prng_chance(prng, 20) ? 3 : 0;
    world->message_goal = (unsigned)prng_between(prng, 10, 60);
    world->calm_at = prng_between(prng, 4, 16) * MINUTE;
    world->end_at = world->calm_at + 22 * MINUTE;
}

static void world_done(struct world *world)
{
    for (unsigned i = 0; i < world->host_count; i++)
        host_done(&world->host[i]);
    while (world->heap_count)
        event_free(world->heap[--world->heap_count]);
    free(world->heap);
}

static void go(struct world *world)
{
    while (world->heap_count && !world->has_failed) {
        struct event *event = pop(world);
        if (event->at > world->end_at) {
            event_free(event);
            break;
        }
        assert(event->at >= world->now);
        world->now = event->at;
        run(world, event);
        event_free(event);
        if (++world->events_run > EVENTS_MAX)
            violated(world, -1, "S4: endless traffic: %d events", EVENTS_MAX);
    }
}

static void add_up(struct world *world)
{
    struct tally *tally = world->tally;

    tally->seeds++;
    tally->messages += world->message_count;
    tally->events += world->events_run;
    for (unsigned i = 0; i < world->message_count; i++) {
        tally->acknowledged += world->message[i].acked_at >= 0;
        tally->deliveries += world->message[i].delivery_count;
        tally->refused += world->message[i].was_refused;
    }
}

bool world_run(uint64_t seed, const struct options *options, struct tally *tally, char why[256],
    int *message)
{
    static struct world world; /* large */

    world = (struct world){ .seed = seed, .options = *options, .tally = tally };
    world.prng.state = seed * 0x2545f4914f6cdd1d + 1;
    world.failed_message = -1;
    choose(&world);
    for (unsigned i = 0; i < world.host_count; i++)
        host_init(&world.host[i], &world, (uint8_t)i);
    fault_begin(&world);
    for (unsigned i = 0; i < world.host_count; i++)
        host_start(&world.host[i]);
    client_begin(&world);
    check_now_and_then(&world);
    go(&world);
    if (!world.has_failed)
        check_end(&world);
    add_up(&world);
    memcpy(why, world.verdict, sizeof world.verdict);
    *message = world.failed_message;
    world_done(&world);
    return !world.has_failed;
}

struct message *message_find(struct world *world, struct mid mid)
{
    unsigned number = mid.byte[14] * 256U + mid.byte[15];

    if (number < world->message_count && mid_equal(world->message[number].mid, mid))
        return &world->message[number];
    return NULL;
}
