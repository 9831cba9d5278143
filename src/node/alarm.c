/* Alarms (docs/formats/shadow.md, 7): raised once, cleared once, as lines of the log.  What
 * `relais status` says is made from the facts of the moment: daemon/redundancy.c. */
#include "node/inside.h"
#include "report/report.h"

#include <stdio.h>

enum {
    SINGLE_MS = 60000,   /* one copy for longer than this */
    NO_RIGHT_MS = 10000, /* at every start it is missing for a moment */
    EVENT_MS = 3600000,  /* an event's alarm is over an hour after its last one */
    LOOK_EACH = 5,       /* the facts cost a walk over what has one copy */
};

static const char *const names[ALARM_COUNT] = {
    [ALARM_SINGLE] = "one-copy",
    [ALARM_NO_RIGHT] = "no-right-to-deliver",
    [ALARM_AUDIT] = "audit-difference",
    [ALARM_OWN_STORE] = "own-store-renewed",
};

static void say(const char *name, const char *node, bool is_raised)
{
    enum report_event event = is_raised ? REPORT_ALARM : REPORT_ALARM_CLEARED;

    if (node)
        report(event, R_CHARS("alarm", name), R_CHARS("node", node));
    else
        report(event, R_CHARS("alarm", name));
}

static void set(struct alarms *alarms, enum alarm alarm, bool is_raised)
{
    if (alarms->is_raised[alarm] == is_raised)
        return;
    alarms->is_raised[alarm] = is_raised;
    say(names[alarm], NULL, is_raised);
}

static void set_of_peer(bool *now, const char *name, const char *node, bool is_raised)
{
    if (*now == is_raised)
        return;
    *now = is_raised;
    say(name, node, is_raised);
}

static void raise_for_an_hour(struct node *node, enum alarm alarm)
{
    node->alarms.until_ms[alarm] = loop_now(node->home).ms + EVENT_MS;
    set(&node->alarms, alarm, true);
}

static void on_peer_event(struct node *node, enum ledger_event event, uint8_t index)
{
    struct alarms *alarms = &node->alarms;
    const char *name = peer_name(node, index);

    if (event == LEDGER_PEER_SILENT || event == LEDGER_PEER_GONE)
        set_of_peer(&alarms->is_silent[index], "node-silent", name, true);
    if (event == LEDGER_PEER_WENT_BACK)
        set_of_peer(&alarms->went_back[index], "store-went-back", name, true);
    if (event == LEDGER_PEER_LIVE)
        alarms_forget_peer(node, index);
}

void alarms_forget_peer(struct node *node, uint8_t index)
{
    const char *name = peer_name(node, index);

    set_of_peer(&node->alarms.is_silent[index], "node-silent", name, false);
    set_of_peer(&node->alarms.went_back[index], "store-went-back", name, false);
}

void alarms_event(struct node *node, const struct ledger_action *action)
{
    if (action->event == LEDGER_AUDIT_DIFFERENCE)
        raise_for_an_hour(node, ALARM_AUDIT);
    if (action->event == LEDGER_OWN_STORE_NEW)
        raise_for_an_hour(node, ALARM_OWN_STORE);
    if (peer_at(node, action->peer))
        on_peer_event(node, action->event, action->peer);
}

/* Nobody asks one that is no longer configured, so what is held for it waits for an order. */
static void look_at_who_left(struct node *node)
{
    for (uint8_t i = 0; i < ledger_peer_count(node->ledger); i++) {
        struct ledger_peer_facts facts = { .is_configured = true };
        if (!peer_at(node, i))
            ledger_get_peer(node->ledger, i, &facts);
        set_of_peer(&node->alarms.has_left[i], "copies-of-one-that-left",
            ledger_peer_name(node->ledger, i), !facts.is_configured && facts.held);
    }
}

void alarms_look(struct node *node)
{
    struct alarms *alarms = &node->alarms;
    int64_t now_ms = loop_now(node->home).ms;
    struct ledger_facts facts;

    if (!node->is_started || alarms->looks++ % LOOK_EACH)
        return;
    look_at_who_left(node);
    ledger_get_facts(node->ledger, &facts);
    set(alarms, ALARM_SINGLE,
        atomic_load(&node->is_on) && facts.single && facts.single_oldest_ms >= 0 &&
            now_ms - facts.single_oldest_ms > SINGLE_MS);
    if (facts.has_right)
        alarms->no_right_since_ms = -1;
    else if (alarms->no_right_since_ms < 0)
        alarms->no_right_since_ms = now_ms;
    set(alarms, ALARM_NO_RIGHT,
        alarms->no_right_since_ms >= 0 && now_ms - alarms->no_right_since_ms > NO_RIGHT_MS);
    for (unsigned i = ALARM_AUDIT; i < ALARM_COUNT; i++)
        if (alarms->is_raised[i] && now_ms >= alarms->until_ms[i])
            set(alarms, i, false);
}
