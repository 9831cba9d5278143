/* What the administrator is told of redundancy: one verdict with its reason, and the alarms
 * (docs/formats/shadow.md, 7).  Pure; any thread. */
#ifndef DAEMON_REDUNDANCY_H
#define DAEMON_REDUNDANCY_H

#include "base/buf.h"
#include "node/ledger.h"

/* What it is told from.  All borrowed. */
struct redundancy {
    bool is_enabled;                  /* ShadowRedundancyEnabled */
    uint32_t node_count;              /* other nodes in the configuration */
    const struct ledger_facts *facts; /* this and below: unused without other nodes */
    const struct ledger_peer_facts *peers;
    uint32_t peer_count;
    struct moment now;
};

enum {
    REDUNDANCY_TEXT_BYTES = 400,
    REDUNDANCY_ALARM_AFTER_MS = 60000,
    REDUNDANCY_SILENT_AFTER_MS = 1000,
};

/* Is every message that waits here on two nodes, and would the next one be?  WHY: the reason,
 * without that verdict: "3 messages have one copy, oldest 2m: ex02 silent for 1m15s". */
bool redundancy_judge(const struct redundancy *what, char why[REDUNDANCY_TEXT_BYTES]);

/* Calls ON_ALARM for each thing an administrator must look at. */
void redundancy_each_alarm(
    const struct redundancy *what, void (*on_alarm)(void *me, const char *text), void *me);

/* Calls ON_NODE for each that is no longer configured, and that copies are held for: they wait
 * for an order, and TEXT says which. */
void redundancy_each_that_left(
    const struct redundancy *what, void (*on_node)(void *me, const char *text), void *me);

/* "ex02 silent for 1m15s": what PEER does, for people. */
void redundancy_describe(
    const struct ledger_peer_facts *peer, struct moment now, char out[REDUNDANCY_TEXT_BYTES]);

/* "0.4 s" below ten seconds, "1m15s" above. */
void redundancy_span(int64_t ms, char out[32]);

const char *redundancy_state_name(enum ledger_peer_state state);   /* "live" */
const char *redundancy_single_name(enum standing_single single);   /* "no-node" */
const char *redundancy_single_reason(enum standing_single single); /* for people */
const char *redundancy_role_name(enum standing_role role);         /* "held" */
const char *redundancy_event_name(enum ledger_event event);        /* "takeover" */

/* The value, in us, that PART (0..1) of the counted copies are not above: COUNTS[i] are those
 * of up to 64 us times two to the I. 0 when there are none. */
uint64_t redundancy_latency_us(const uint64_t *counts, unsigned count, double part);

#endif
