#include "daemon/redundancy.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* --- Names ------------------------------------------------------------------------------- */

const char *redundancy_state_name(enum ledger_peer_state state)
{
    static const char *const names[] = { [LEDGER_JOINING] = "joining",
        [LEDGER_LIVE] = "live",
        [LEDGER_SILENT] = "silent",
        [LEDGER_UNREACHABLE] = "unreachable",
        [LEDGER_GONE] = "gone",
        [LEDGER_FENCED] = "fenced",
        [LEDGER_RETIRED] = "retired" };

    assert((unsigned)state <= LEDGER_RETIRED);
    return names[state];
}

const char *redundancy_single_name(enum standing_single single)
{
    static const char *const names[SINGLE_COUNT] = { "none", "no-node", "failed", "alone",
        "lost" };

    assert((unsigned)single < SINGLE_COUNT);
    return names[single];
}

const char *redundancy_single_reason(enum standing_single single)
{
    static const char *const reasons[SINGLE_COUNT] = {
        [SINGLE_NOT] = "has a second copy, or is being copied",
        [SINGLE_NO_NODE] = "no other node could be asked",
        [SINGLE_FAILED] = "the nodes asked did not take a copy in time",
        [SINGLE_ALONE] = "this node was alone, or redundancy was switched off",
        [SINGLE_LOST] = "the node with the second copy was lost",
    };

    assert((unsigned)single < SINGLE_COUNT);
    return reasons[single];
}

const char *redundancy_role_name(enum standing_role role)
{
    static const char *const names[STANDING_ROLE_COUNT] = { "primary", "held", "unclaimed",
        "settled", "aside" };

    assert((unsigned)role < STANDING_ROLE_COUNT);
    return names[role];
}

/* The words of the log, so that what is counted can be looked for there. */
const char *redundancy_event_name(enum ledger_event event)
{
    static const char *const names[LEDGER_EVENT_COUNT] = {
        [LEDGER_HARECEIVE] = "ha_receive",
        [LEDGER_HAREDIRECT] = "ha_redirect",
        [LEDGER_HAREDIRECTFAIL] = "ha_redirect_fail",
        [LEDGER_HADISCARD] = "ha_discard",
        [LEDGER_RESUBMIT] = "resubmit",
        [LEDGER_SINGLE_MADE] = "single_copy",
        [LEDGER_COPIED_AGAIN] = "copied_again",
        [LEDGER_PEER_LIVE] = "node_live",
        [LEDGER_PEER_SILENT] = "node_silent",
        [LEDGER_PEER_GONE] = "node_gone",
        [LEDGER_PEER_NEW_STORE] = "node_new_store",
        [LEDGER_PEER_RETIRED] = "node_retired",
        [LEDGER_PEER_WENT_BACK] = "node_went_back",
        [LEDGER_TAKEOVER] = "takeover",
        [LEDGER_FENCE_BEGUN] = "fence_begun",
        [LEDGER_FENCE_OVER] = "fence_over",
        [LEDGER_FENCED_MID] = "fenced",
        [LEDGER_UNCLAIMED_FOUND] = "unclaimed",
        [LEDGER_UNCLAIMED_DROPPED] = "unclaimed_dropped",
        [LEDGER_SET_ASIDE] = "set_aside",
        [LEDGER_OWN_STORE_NEW] = "own_store_new",
        [LEDGER_AUDIT_DIFFERENCE] = "audit_difference",
        [LEDGER_NOTICE_EXPIRED] = "notice_expired",
        [LEDGER_D1] = "d1",
        [LEDGER_D3] = "d3",
        [LEDGER_D4] = "d4",
    };

    assert((unsigned)event < LEDGER_EVENT_COUNT);
    return names[event];
}

/* --- Texts ------------------------------------------------------------------------------- */

void redundancy_span(int64_t ms, char out[32])
{
    if (ms < 0)
        ms = 0;
    if (ms < 10000)
        snprintf(out, 32, "%.1f s", (double)ms / 1000);
    else
        duration_format(ms / 1000 * 1000, out);
}

void redundancy_describe(
    const struct ledger_peer_facts *peer, struct moment now, char out[REDUNDANCY_TEXT_BYTES])
{
    char span[32] = "ever", unanswered[32];

    if (peer->contact_ms >= 0)
        redundancy_span(now.ms - peer->contact_ms, span);
    if (!peer->is_configured && peer->state != LEDGER_RETIRED) {
        snprintf(out, REDUNDANCY_TEXT_BYTES, "%s is no longer configured", peer->node);
        return;
    }
    switch (peer->state) {
    case LEDGER_JOINING:
        snprintf(out, REDUNDANCY_TEXT_BYTES, "%s never answered", peer->node);
        return;
    case LEDGER_LIVE:
        snprintf(out, REDUNDANCY_TEXT_BYTES, "%s answered %s ago", peer->node, span);
        return;
    case LEDGER_SILENT:
        snprintf(out, REDUNDANCY_TEXT_BYTES, "%s silent for %s", peer->node, span);
        return;
    case LEDGER_UNREACHABLE:
        redundancy_span(now.ms - peer->unanswered_ms, unanswered);
        snprintf(out, REDUNDANCY_TEXT_BYTES,
            "%s cannot be reached for %s, yet is heard (%s ago)", peer->node, unanswered, span);
        return;
    case LEDGER_GONE:
        snprintf(out, REDUNDANCY_TEXT_BYTES, "%s gone, silent for %s", peer->node, span);
        return;
    case LEDGER_FENCED:
        snprintf(out, REDUNDANCY_TEXT_BYTES, "%s is back and being asked what it has taken",
            peer->node);
        return;
    case LEDGER_RETIRED:
        snprintf(out, REDUNDANCY_TEXT_BYTES, "%s is retired", peer->node);
        return;
    }
    assert(false);
}

static void plural(uint64_t count, const char *one, const char *many, char out[80])
{
    snprintf(out, 80, "%" PRIu64 " %s", count, count == 1 ? one : many);
}

/* --- The verdict ------------------------------------------------------------------------- */

/* One ask that failed is no silence yet: with heartbeats of a tenth of a second the verdict would
 * change with each answer that is late. */
static bool is_there(const struct redundancy *what, const struct ledger_peer_facts *peer)
{
    int64_t since_ms = -1;

    if (peer->state == LEDGER_SILENT)
        since_ms = peer->contact_ms;
    if (peer->state == LEDGER_UNREACHABLE)
        since_ms = peer->unanswered_ms;
    if (!peer->is_configured)
        return false;
    return peer->state == LEDGER_LIVE ||
           (since_ms >= 0 && what->now.ms - since_ms < REDUNDANCY_SILENT_AFTER_MS);
}

static bool is_down(const struct redundancy *what, const struct ledger_peer_facts *peer)
{
    return peer->is_configured && !is_there(what, peer);
}

/* The nodes that are not there, one after the other; false: all are. */
static bool describe_down(const struct redundancy *what, char out[REDUNDANCY_TEXT_BYTES])
{
    size_t at = 0;

    out[0] = 0;
    for (uint32_t i = 0; i < what->peer_count; i++) {
        char text[REDUNDANCY_TEXT_BYTES];
        if (!is_down(what, &what->peers[i]))
            continue;
        redundancy_describe(&what->peers[i], what->now, text);
        at += (size_t)snprintf(
            out + at, REDUNDANCY_TEXT_BYTES - at, "%s%s", at ? ", " : "", text);
        if (at >= REDUNDANCY_TEXT_BYTES)
            break;
    }
    return out[0] != 0;
}

static bool any_live(const struct redundancy *what)
{
    for (uint32_t i = 0; i < what->peer_count; i++) {
        if (is_there(what, &what->peers[i]))
            return true;
    }
    return false;
}

/* Of those with one copy, the reason that most of them have. */
static enum standing_single commonest(const struct ledger_facts *facts)
{
    enum standing_single best = SINGLE_NO_NODE;

    for (int i = SINGLE_NO_NODE; i < SINGLE_COUNT; i++) {
        if (facts->single_by[i] > facts->single_by[best])
            best = (enum standing_single)i;
    }
    return best;
}

static void explain_single(const struct redundancy *what, char why[REDUNDANCY_TEXT_BYTES])
{
    const struct ledger_facts *facts = what->facts;
    char count[80], span[32], down[REDUNDANCY_TEXT_BYTES];
    int64_t oldest = facts->single_oldest_ms >= 0 ? what->now.ms - facts->single_oldest_ms : 0;

    plural(facts->single, "message has", "messages have", count);
    redundancy_span(oldest, span);
    if (!describe_down(what, down))
        snprintf(down, sizeof down, "%s; being copied again",
            redundancy_single_reason(commonest(facts)));
    snprintf(why, REDUNDANCY_TEXT_BYTES, "%s one copy, oldest %s: %.300s", count, span, down);
}

bool redundancy_judge(const struct redundancy *what, char why[REDUNDANCY_TEXT_BYTES])
{
    char down[REDUNDANCY_TEXT_BYTES];

    if (what->node_count == 0) {
        snprintf(why, REDUNDANCY_TEXT_BYTES, "single node: messages are on this disk alone");
        return false;
    }
    if (!what->is_enabled) {
        snprintf(why, REDUNDANCY_TEXT_BYTES,
            "switched off (ShadowRedundancyEnabled): messages are on this disk alone");
        return false;
    }
    if (what->facts->single) {
        explain_single(what, why);
        return false;
    }
    if (!any_live(what)) {
        describe_down(what, down);
        snprintf(why, REDUNDANCY_TEXT_BYTES, "no other node takes copies: %.300s",
            down[0] ? down : "none is known");
        return false;
    }
    if (describe_down(what, down))
        snprintf(why, REDUNDANCY_TEXT_BYTES, "every message is on two nodes; %.300s", down);
    else
        snprintf(why, REDUNDANCY_TEXT_BYTES, "every message is on two nodes");
    return true;
}

/* --- Alarms ------------------------------------------------------------------------------ */

struct alarms {
    void (*on_alarm)(void *me, const char *text);
    void *me;
};

static void PRINTF(2, 3) raise(const struct alarms *alarms, const char *format, ...)
{
    char text[REDUNDANCY_TEXT_BYTES];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    alarms->on_alarm(alarms->me, text);
}

static void raise_for_nodes(const struct redundancy *what, const struct alarms *alarms)
{
    for (uint32_t i = 0; i < what->peer_count; i++) {
        char text[REDUNDANCY_TEXT_BYTES];
        if (!is_down(what, &what->peers[i]))
            continue;
        redundancy_describe(&what->peers[i], what->now, text);
        raise(alarms, "%s", text);
    }
}

void redundancy_each_that_left(
    const struct redundancy *what, void (*on_node)(void *me, const char *text), void *me)
{
    const struct alarms alarms = { on_node, me };
    char count[80];

    for (uint32_t i = 0; i < what->peer_count; i++) {
        const struct ledger_peer_facts *peer = &what->peers[i];
        if (peer->is_configured || !peer->held)
            continue;
        plural(peer->held, "copy", "copies", count);
        raise(&alarms, "%s held for %s, which is no longer configured: relais shadow evict %s",
            count, peer->node, peer->node);
    }
}

static void raise_for_messages(const struct redundancy *what, const struct alarms *alarms)
{
    const struct ledger_facts *facts = what->facts;
    int64_t oldest = facts->single_oldest_ms >= 0 ? what->now.ms - facts->single_oldest_ms : 0;
    char count[80], span[32];

    if (facts->single && oldest >= REDUNDANCY_ALARM_AFTER_MS) {
        plural(facts->single, "message", "messages", count);
        redundancy_span(oldest, span);
        raise(alarms, "one copy for too long: %s, oldest %s", count, span);
    }
    if (facts->aside) {
        plural(facts->aside, "message", "messages", count);
        raise(alarms, "set aside: %s (relais shadow list --aside)", count);
    }
    if (facts->unclaimed) {
        plural(facts->unclaimed, "copy", "copies", count);
        raise(alarms, "unclaimed: %s (relais shadow list --unclaimed)", count);
    }
}

static void raise_for_events(const struct ledger_facts *facts, const struct alarms *alarms)
{
    if (facts->counts[LEDGER_AUDIT_DIFFERENCE])
        raise(alarms, "audits found differences since the start: %" PRIu64,
            facts->counts[LEDGER_AUDIT_DIFFERENCE]);
    if (facts->counts[LEDGER_PEER_WENT_BACK])
        raise(alarms, "a node's store went back since the start: %" PRIu64,
            facts->counts[LEDGER_PEER_WENT_BACK]);
    if (facts->counts[LEDGER_OWN_STORE_NEW])
        raise(alarms, "this node had to begin a new store since the start");
}

void redundancy_each_alarm(
    const struct redundancy *what, void (*on_alarm)(void *me, const char *text), void *me)
{
    struct alarms alarms = { on_alarm, me };

    redundancy_each_that_left(what, on_alarm, me); /* perhaps it was the only other one */
    if (what->node_count == 0 || !what->is_enabled)
        return;
    raise_for_messages(what, &alarms);
    raise_for_nodes(what, &alarms);
    raise_for_events(what->facts, &alarms);
    if (!what->facts->has_right)
        raise(&alarms, "no right to deliver yet: other nodes are being asked what they took");
}

/* --- Numbers ----------------------------------------------------------------------------- */

uint64_t redundancy_latency_us(const uint64_t *counts, unsigned count, double part)
{
    uint64_t all = 0, below = 0;
    double wanted;

    for (unsigned i = 0; i < count; i++)
        all += counts[i];
    wanted = part * (double)all;
    for (unsigned i = 0; i < count && all; i++) {
        uint64_t low = i ? (uint64_t)64 << (i - 1) : 0, high = (uint64_t)64 << i;
        if ((double)(below + counts[i]) >= wanted && counts[i]) /* evenly spread inside */
            return low + (uint64_t)((double)(high - low) * (wanted - (double)below) /
                                    (double)counts[i]);
        below += counts[i];
    }
    return 0;
}
