/* What happened, for the log. */
#include "node/inside.h"
#include "report/report.h"

#include <assert.h>

/* Which fields an event has beside its own. */
enum { HAS_MID = 1, HAS_NODE = 2, HAS_REASON = 4, HAS_SINGLE = 8 };

static const struct {
    enum report_event report;
    unsigned has;
    const char *number; /* NULL: it has none */
} shapes[LEDGER_EVENT_COUNT] = {
    [LEDGER_HARECEIVE] = { REPORT_HA_RECEIVE, HAS_MID | HAS_NODE },
    [LEDGER_HAREDIRECT] = { REPORT_HA_REDIRECT, HAS_MID | HAS_NODE, "took-ms" },
    [LEDGER_HAREDIRECTFAIL] = { REPORT_HA_REDIRECT_FAIL, HAS_MID | HAS_NODE | HAS_REASON },
    [LEDGER_HADISCARD] = { REPORT_HA_DISCARD, HAS_MID | HAS_NODE },
    [LEDGER_RESUBMIT] = { REPORT_RESUBMIT, HAS_MID | HAS_NODE },
    [LEDGER_SINGLE_MADE] = { REPORT_SINGLE_COPY, HAS_MID | HAS_SINGLE },
    [LEDGER_COPIED_AGAIN] = { REPORT_COPIED_AGAIN, HAS_MID | HAS_NODE },
    [LEDGER_PEER_LIVE] = { REPORT_NODE_LIVE, HAS_NODE },
    [LEDGER_PEER_SILENT] = { REPORT_NODE_SILENT, HAS_NODE },
    [LEDGER_PEER_GONE] = { REPORT_NODE_GONE, HAS_NODE, "silent-ms" },
    [LEDGER_PEER_NEW_STORE] = { REPORT_NODE_NEW_STORE, HAS_NODE },
    [LEDGER_PEER_RETIRED] = { REPORT_NODE_RETIRED, HAS_NODE },
    [LEDGER_PEER_WENT_BACK] = { REPORT_NODE_WENT_BACK, HAS_NODE },
    [LEDGER_TAKEOVER] = { REPORT_TAKEOVER, HAS_NODE | HAS_REASON, "messages" },
    [LEDGER_FENCE_BEGUN] = { REPORT_FENCE_BEGUN, 0 },
    [LEDGER_FENCE_OVER] = { REPORT_FENCE_OVER, 0, "held-for-others" },
    [LEDGER_FENCED_MID] = { REPORT_FENCED, HAS_MID | HAS_NODE },
    [LEDGER_UNCLAIMED_FOUND] = { REPORT_UNCLAIMED, HAS_MID | HAS_NODE },
    [LEDGER_UNCLAIMED_DROPPED] = { REPORT_UNCLAIMED_DROPPED, HAS_MID | HAS_NODE },
    [LEDGER_SET_ASIDE] = { REPORT_SET_ASIDE, HAS_MID },
    [LEDGER_OWN_STORE_NEW] = { REPORT_OWN_STORE_NEW, HAS_REASON },
    [LEDGER_AUDIT_DIFFERENCE] = { REPORT_AUDIT_DIFFERENCE, HAS_MID | HAS_NODE | HAS_REASON },
    [LEDGER_NOTICE_EXPIRED] = { REPORT_NOTICE_EXPIRED, HAS_MID | HAS_NODE },
    [LEDGER_D1] = { REPORT_MAYBE_TWICE, HAS_MID | HAS_NODE | HAS_REASON, "messages" },
    [LEDGER_D3] = { REPORT_MAYBE_TWICE, HAS_MID | HAS_NODE | HAS_REASON, "messages" },
    [LEDGER_D4] = { REPORT_MAYBE_TWICE, HAS_MID | HAS_NODE | HAS_REASON, "messages" },
};

static const char *cause_of(enum ledger_event event)
{
    switch (event) {
    case LEDGER_D1:
        return "D1";
    case LEDGER_D3:
        return "D3";
    case LEDGER_D4:
        return "D4";
    default:
        return NULL;
    }
}

static const char *single_text(uint64_t single)
{
    static const char *const texts[SINGLE_COUNT] = { "none", "no-node", "failed", "alone",
        "lost" };

    return single < SINGLE_COUNT ? texts[single] : "none";
}

static bool has_mid(const struct ledger_action *action)
{
    static const struct mid none;

    return !mid_equal(action->mid, none);
}

void tell_event(struct node *node, const struct ledger_action *action)
{
    unsigned has = shapes[action->event].has;
    struct report_field fields[6];
    unsigned count = 0;

    alarms_event(node, action);
    if (has & HAS_MID && has_mid(action))
        fields[count++] = R_MID(action->mid);
    if (has & HAS_NODE && action->peer != LEDGER_NO_PEER)
        fields[count++] = R_TEXT("node", bytes_text(peer_name(node, action->peer)));
    if (has & HAS_SINGLE)
        fields[count++] = R_CHARS("reason", single_text(action->number));
    if (has & HAS_REASON && action->text)
        fields[count++] = R_CHARS("reason", action->text);
    if (shapes[action->event].number)
        fields[count++] = R_NUMBER(shapes[action->event].number, (int64_t)action->number);
    if (cause_of(action->event))
        fields[count++] = R_CHARS("cause", cause_of(action->event));
    if (count == 0)
        fields[count++] = R_CHARS("node", node->name);
    report_fields(shapes[action->event].report, fields, count);
}
