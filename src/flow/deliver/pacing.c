/* Hosts that say "slow down", and the fixed rate of a connector (SC-7): what policy/pace.h
 * decides is applied here.
 *
 * What is known of a host is kept by its name and port, for all next hops that lead to it, and
 * outlives them until the host is as fast as any other.  Nothing is asked for again and again:
 * whoever cannot go now starts one timer of its destination. */
#include "flow/deliver/internal.h"

#include "base/mem.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* Others hold the connections that the host allows, and do not tell when they end. */
enum { ASK_AGAIN_MS = 1000 };

/* --- What is known of hosts ---------------------------------------------------------------- */

static void on_step(struct timer *timer);

static uint64_t hash_of(const char *name, uint16_t port)
{
    return bytes_hash_nocase(bytes_text(name)) + port * UINT64_C(0x9E3779B97F4A7C15);
}

struct host_pace *host_pace_hold(struct deliver *deliver, const char *name, uint16_t port)
{
    uint64_t hash = hash_of(name, port);
    struct table_node *n = table_first(&deliver->paces, hash);
    struct host_pace *pace;

    for (; n; n = table_next(n)) {
        pace = container_of(n, struct host_pace, by_host);
        if (pace->port == port && strcasecmp(pace->name, name) == 0) {
            pace->holders++;
            return pace;
        }
    }
    pace = mem_new(sizeof *pace);
    pace->deliver = deliver;
    pace->name = mem_text(name);
    pace->port = port;
    pace->holders = 1;
    timer_init(&pace->step, deliver->loop, on_step);
    table_add(&deliver->paces, &pace->by_host, hash);
    return pace;
}

static void free_pace(struct table_node *node, void *me)
{
    struct host_pace *pace = container_of(node, struct host_pace, by_host);

    timer_stop(&pace->step);
    table_remove(me, node);
    free(pace->name);
    free(pace);
}

static void free_if_done(struct host_pace *pace)
{
    if (pace->holders == 0 && !pace_is_slow(&pace->pace))
        free_pace(&pace->by_host, &pace->deliver->paces);
}

void host_pace_let_go(struct host_pace *pace)
{
    assert(pace->holders > 0);
    pace->holders--;
    free_if_done(pace);
}

void host_paces_end(struct deliver *deliver)
{
    table_each(&deliver->paces, free_pace, &deliver->paces);
    table_done(&deliver->paces);
}

static void say_recovered(struct host_pace *pace)
{
    report(REPORT_HOST_RECOVERED, R_CHARS("host", pace->name), R_NUMBER("port", pace->port));
    pace->why[0] = 0;
}

static void on_step(struct timer *timer)
{
    struct host_pace *pace = container_of(timer, struct host_pace, step);

    if (!pace_step(&pace->pace, loop_now(pace->deliver->loop).ms)) {
        timer_start(timer, PACE_STEP_MS);
        return;
    }
    say_recovered(pace);
    free_if_done(pace);
}

/* A line for each new low, and none for the ups and downs above it. */
static void say_slow(struct host_pace *pace, bool was_slow)
{
    const struct pace *now = &pace->pace;
    uint32_t connections = now->connections_max, rate = now->per_minute_max;
    bool is_new =
        !was_slow ||
        (connections && (!pace->connections_said || connections < pace->connections_said)) ||
        (rate && (!pace->per_minute_said || rate < pace->per_minute_said));

    if (!is_new)
        return;
    pace->connections_said = connections;
    pace->per_minute_said = rate;
    report(REPORT_HOST_SLOW, R_CHARS("host", pace->name), R_NUMBER("port", pace->port),
        R_NUMBER("connections_max", connections), R_NUMBER("per_minute_max", rate),
        R_CHARS("text", pace->why));
}

static void keep_words(struct host_pace *pace, const struct smtp_reply *reply)
{
    struct verdict said = verdict_of(reply->code, reply->status, "%s", reply->text);
    char text[VERDICT_TEXT_BYTES];

    verdict_format(&said, text);
    snprintf(pace->why, sizeof pace->why, "%s", text);
}

/* What made it slow was about one sender or recipient. */
static void give_more(struct host *host, bool is_recovered)
{
    struct destination *destination = host->destination;

    if (is_recovered) {
        timer_stop(&host->pace->step);
        say_recovered(host->pace);
    }
    if (!destination->is_forgotten)
        deliver_want(destination->deliver, destination->hop);
}

bool host_slow_down(struct host *host, enum pace_sign sign, const struct smtp_reply *reply,
    const struct blame_who *who, bool is_at_once)
{
    struct host_pace *pace = host->pace;
    int64_t now = loop_now(pace->deliver->loop).ms;
    bool was_slow = pace_is_slow(&pace->pace);
    struct slow_down did =
        slow_down(&pace->pace, &pace->blame, sign, who, pace->open_count, is_at_once, now);

    if (did.gets_more)
        give_more(host, did.is_recovered);
    if (did.is_one)
        return false;
    keep_words(pace, reply);
    if (!did.gets_less)
        return true;
    if (!was_slow)
        timer_start(&pace->step, PACE_STEP_MS);
    say_slow(pace, was_slow);
    return true;
}

static void name_host(const struct host *host, char out[CAUSE_BYTES])
{
    char address[IP_TEXT_BYTES];

    if (host->is_unix || host->address_count == 0) {
        snprintf(out, CAUSE_BYTES, "%s", host->name);
        return;
    }
    ip_format(host->addresses[0], address);
    snprintf(out, CAUSE_BYTES, "%s[%s]:%u", host->name, address, host->port);
}

bool deliver_is_slowed(const struct hop *hop, char line[CAUSE_BYTES])
{
    const struct destination *destination = hop->destination;

    for (size_t i = 0; destination && i < destination->host_count; i++) {
        const struct host *host = destination->hosts[i];
        char name[CAUSE_BYTES];

        if (!pace_is_slow(&host->pace->pace) || !host->pace->why[0])
            continue;
        name_host(host, name);
        snprintf(line, CAUSE_BYTES, "%s said: %s", name, host->pace->why);
        return true;
    }
    return false;
}

/* --- Connections --------------------------------------------------------------------------- */

void delivery_count(struct delivery *delivery)
{
    delivery->is_counted = true;
    delivery->host->pace->open_count++;
    delivery->host->connection_count++;
}

void delivery_uncount(struct delivery *delivery)
{
    if (!delivery->is_counted)
        return;
    delivery->is_counted = false;
    delivery->host->pace->open_count--;
    delivery->host->connection_count--;
}

/* --- Whose turn it is ---------------------------------------------------------------------- */

static void wait_for(struct destination *destination, int64_t ms)
{
    struct timer *timer = &destination->turn;
    int64_t due = loop_now(destination->deliver->loop).ms + ms;

    if (!timer_is_running(timer) || due < timer->due.ms)
        timer_start(timer, ms);
}

static void on_turn(struct timer *timer)
{
    struct destination *destination = container_of(timer, struct destination, turn);

    if (!destination->is_forgotten)
        deliver_want(destination->deliver, destination->hop);
}

void destination_init_turn(struct destination *destination)
{
    timer_init(&destination->turn, destination->deliver->loop, on_turn);
}

static bool is_rated(const struct destination *destination)
{
    return destination->hop->connector->messages_per_minute_max != 0;
}

bool destination_has_turn(struct destination *destination)
{
    int64_t now = loop_now(destination->deliver->loop).ms;
    int64_t wait = is_rated(destination) ? pace_clock_wait_ms(&destination->clock, now) : 0;

    if (wait)
        wait_for(destination, wait);
    return wait == 0;
}

void destination_took(struct destination *destination, struct host *host)
{
    int64_t now = loop_now(destination->deliver->loop).ms;

    if (now >= destination->expires.ms)
        lookup_refresh(destination);
    if (is_rated(destination))
        pace_clock_take(
            &destination->clock, destination->hop->connector->messages_per_minute_max, now);
    if (host)
        pace_take(&host->pace->pace, now);
}

bool host_has_turn(struct host *host)
{
    struct destination *destination = host->destination;
    int64_t now = loop_now(destination->deliver->loop).ms;
    int64_t wait = pace_wait_ms(&host->pace->pace, now);

    if (wait)
        wait_for(destination, wait);
    return wait == 0;
}

static int64_t wait_to_connect_ms(const struct host *host, int64_t now)
{
    const struct host_pace *pace = host->pace;
    int64_t wait = pace_wait_ms(&pace->pace, now);

    if (wait == 0 && !pace_may_connect(&pace->pace, pace->open_count))
        wait = ASK_AGAIN_MS;
    return wait;
}

bool host_may_connect(const struct host *host)
{
    return wait_to_connect_ms(host, loop_now(host->destination->deliver->loop).ms) == 0;
}

bool destination_is_held_up(struct destination *destination)
{
    int64_t now = loop_now(destination->deliver->loop).ms, first = INT64_MAX;

    for (size_t i = 0; i < destination->host_count; i++) {
        const struct host *host = destination->hosts[i];
        bool is_out = host->is_down || host->was_tried || host->is_gone;
        int64_t wait = is_out ? 0 : wait_to_connect_ms(host, now);
        if (wait && wait < first)
            first = wait;
    }
    if (first == INT64_MAX)
        return false;
    wait_for(destination, first);
    return true;
}

/* Connections that are of use now: not the circuit breaker's, nor those that must wait or
 * quit. */
unsigned destination_live_count(const struct destination *destination)
{
    int64_t now = loop_now(destination->deliver->loop).ms;
    unsigned live = 0;

    for (size_t i = 0; i < destination->host_count; i++) {
        const struct host *host = destination->hosts[i];
        if (host->connection_count && !host->is_gone && !host->is_probed &&
            !pace_wait_ms(&host->pace->pace, now))
            live += host->connection_count;
    }
    return live;
}
