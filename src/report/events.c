#include "report/events.h"

#include <assert.h>

/* Ids first, so that lines of one session or message stand in columns. */
#define IDS                                                                                    \
    {                                                                                          \
        "id", "session", "connector"                                                           \
    }

static const struct event_shape shapes[REPORT_EVENT_COUNT] = {
    [REPORT_STARTED] = { "started", REPORT_INFO },
    [REPORT_STOPPED] = { "stopped", REPORT_INFO },
    [REPORT_RELOADED] = { "reloaded", REPORT_INFO },
    [REPORT_RELOAD_FAILED] = { "reload_failed", REPORT_ERROR },
    [REPORT_NOT_REDUNDANT] = { "not_redundant", REPORT_WARNING },
    [REPORT_BINDING_OPEN] = { "binding_open", REPORT_INFO, IDS },
    [REPORT_BINDING_FAILED] = { "binding_failed", REPORT_ERROR, IDS },
    [REPORT_CONNECT] = { "connect", REPORT_INFO, IDS },
    [REPORT_DISCONNECT] = { "disconnect", REPORT_INFO, IDS },
    [REPORT_CERTIFICATE_RENEWED] = { "certificate_renewed", REPORT_INFO, IDS },
    [REPORT_CERTIFICATE_FAILED] = { "certificate_failed", REPORT_ERROR, IDS },
    [REPORT_CERTIFICATE_ENDS] = { "certificate_ends", REPORT_WARNING, IDS },
    [REPORT_CERTIFICATE_EXPIRED] = { "certificate_expired", REPORT_ERROR, IDS },
    [REPORT_NO_CONNECTOR] = { "no_connector", REPORT_WARNING, IDS, .is_of_others = true },
    [REPORT_LOGIN] = { "login", REPORT_INFO, IDS },
    [REPORT_LOGIN_FAILED] = { "login_failed", REPORT_WARNING, IDS, .is_of_others = true },
    [REPORT_LOGIN_SPREAD] = { "login_spread", REPORT_WARNING, IDS, .is_of_others = true },
    [REPORT_REJECT] = { "reject", REPORT_INFO, IDS },
    [REPORT_WOULD_REFUSE] = { "would_refuse", REPORT_INFO, IDS },
    [REPORT_RECEIVED] = { "received", REPORT_INFO, IDS },
    [REPORT_RECEIVED_FOR] = { "received_for", REPORT_INFO, .is_tracked_only = true },
    [REPORT_EXPANDED] = { "expanded", REPORT_INFO, IDS },
    [REPORT_STORE_FAILED] = { "store_failed", REPORT_ERROR, IDS, .is_of_others = true },
    [REPORT_UNTOLD] = { "untold", REPORT_INFO, IDS },
    [REPORT_IN_DOUBT] = { "in_doubt", REPORT_INFO, IDS },
    /* As Postfix has it, which log analysers know; what it has not stands before `to`. */
    [REPORT_DELIVERY] = { "delivery", REPORT_INFO, { "id" },
        { "to", "relay", "delay", "dsn", "status", "text" } },
    [REPORT_CRASHED] = { "crashed", REPORT_ERROR, IDS },
    [REPORT_POISON] = { "poison", REPORT_ERROR, IDS },
    [REPORT_REMOVED] = { "removed", REPORT_INFO, IDS },
    [REPORT_DSN] = { "dsn", REPORT_INFO, IDS },
    [REPORT_HOP_DOWN] = { "hop_down", REPORT_WARNING, IDS, .is_of_others = true },
    [REPORT_HOP_UP] = { "hop_up", REPORT_INFO, IDS },
    [REPORT_HOST_DOWN] = { "host_down", REPORT_WARNING, IDS, .is_of_others = true },
    [REPORT_HOST_UP] = { "host_up", REPORT_INFO, IDS },
    [REPORT_HOST_SLOW] = { "host_slow", REPORT_WARNING, IDS, .is_of_others = true },
    [REPORT_HOST_RECOVERED] = { "host_recovered", REPORT_INFO, IDS },
    [REPORT_SPOOL_RECOVERY] = { "spool_recovery", REPORT_INFO },
    [REPORT_SPOOL_RECOVERED] = { "spool_recovered", REPORT_INFO },
    [REPORT_SPOOL_DAMAGE] = { "spool_damage", REPORT_ERROR },
    [REPORT_SPOOL_FULL] = { "spool_full", REPORT_ERROR },
    [REPORT_SPOOL_UNHEALTHY] = { "spool_unhealthy", REPORT_ERROR },
    [REPORT_SPOOL_HEALTHY] = { "spool_healthy", REPORT_INFO },
    [REPORT_HA_RECEIVE] = { "ha_receive", REPORT_INFO, IDS },
    [REPORT_HA_REDIRECT] = { "ha_redirect", REPORT_INFO, IDS },
    [REPORT_HA_REDIRECT_FAIL] = { "ha_redirect_fail", REPORT_INFO, IDS },
    [REPORT_HA_DISCARD] = { "ha_discard", REPORT_INFO, IDS },
    [REPORT_RESUBMIT] = { "resubmit", REPORT_INFO, IDS },
    [REPORT_TAKEN_OVER] = { "taken_over", REPORT_INFO, .is_tracked_only = true },
    [REPORT_SINGLE_COPY] = { "single_copy", REPORT_INFO, IDS },
    [REPORT_COPIED_AGAIN] = { "copied_again", REPORT_INFO, IDS },
    [REPORT_NODE_LIVE] = { "node_live", REPORT_INFO },
    [REPORT_NODE_SILENT] = { "node_silent", REPORT_WARNING },
    [REPORT_NODE_GONE] = { "node_gone", REPORT_ERROR },
    [REPORT_NODE_NEW_STORE] = { "node_new_store", REPORT_WARNING },
    [REPORT_NODE_RETIRED] = { "node_retired", REPORT_WARNING },
    [REPORT_NODE_WENT_BACK] = { "node_went_back", REPORT_ERROR },
    [REPORT_TAKEOVER] = { "takeover", REPORT_WARNING },
    [REPORT_FENCE_BEGUN] = { "fence_begun", REPORT_INFO },
    [REPORT_FENCE_OVER] = { "fence_over", REPORT_INFO },
    [REPORT_FENCED] = { "fenced", REPORT_INFO, IDS },
    [REPORT_UNCLAIMED] = { "unclaimed", REPORT_INFO, IDS },
    [REPORT_UNCLAIMED_DROPPED] = { "unclaimed_dropped", REPORT_INFO, IDS },
    [REPORT_SET_ASIDE] = { "set_aside", REPORT_INFO, IDS },
    [REPORT_OWN_STORE_NEW] = { "own_store_new", REPORT_ERROR },
    [REPORT_AUDIT_DIFFERENCE] = { "audit_difference", REPORT_WARNING, IDS },
    [REPORT_NOTICE_EXPIRED] = { "notice_expired", REPORT_INFO, IDS },
    [REPORT_MAYBE_TWICE] = { "maybe_twice", REPORT_INFO, IDS },
    [REPORT_LINK_REFUSED] = { "link_refused", REPORT_WARNING, .is_of_others = true },
    [REPORT_LINK_FAULT] = { "link_fault", REPORT_WARNING, .is_of_others = true },
    [REPORT_ALARM] = { "alarm", REPORT_WARNING },
    [REPORT_ALARM_CLEARED] = { "alarm_cleared", REPORT_INFO },
    [REPORT_REDIRECT] = { "redirect", REPORT_INFO, IDS },
    [REPORT_ADMIN] = { "admin", REPORT_INFO },
    [REPORT_NOTICE] = { "notice", REPORT_INFO },
};

const struct event_shape *event_shape(enum report_event event)
{
    assert((unsigned)event < REPORT_EVENT_COUNT);
    return &shapes[event];
}

const char *report_event_name(enum report_event event)
{
    return event_shape(event)->name;
}

/* The number of the field called NAME, or COUNT.  Names are literals, and the linker keeps one of
 * those that are alike: nearly always it is found without a look at its letters. */
static unsigned find(const struct report_field *fields, unsigned count, const char *name)
{
    unsigned i = 0;

    while (i < count && fields[i].name != name)
        i++;
    if (i < count)
        return i;
    i = 0;
    while (i < count && (fields[i].name[0] != name[0] || strcmp(fields[i].name, name) != 0))
        i++;
    return i;
}

/* Appends the fields that NAMES lists, and takes them out of *LEFT. */
static unsigned pick(const char *const *names, const struct report_field *fields,
    unsigned count, uint8_t *order, uint64_t *left)
{
    unsigned n = 0;

    for (unsigned i = 0; i < EVENT_ORDER_MAX && names[i]; i++) {
        unsigned at = find(fields, count, names[i]);
        if (at < count && *left >> at & 1) {
            order[n++] = (uint8_t)at;
            *left &= ~((uint64_t)1 << at);
        }
    }
    return n;
}

const struct report_field *event_field(
    const struct report_field *fields, unsigned count, const char *name)
{
    unsigned at = find(fields, count, name);

    return at < count ? &fields[at] : NULL;
}

unsigned event_order(const struct event_shape *shape, const struct report_field *fields,
    unsigned count, uint8_t *order)
{
    uint8_t last[EVENT_ORDER_MAX];
    uint64_t left = 0;
    unsigned n, last_count;

    assert(count <= 64);
    for (unsigned i = 0; i < count; i++)
        left |= (uint64_t)!fields[i].is_tracked_only << i;
    n = pick(shape->first, fields, count, order, &left);
    last_count = pick(shape->last, fields, count, last, &left);
    for (; left; left &= left - 1)
        order[n++] = (uint8_t)__builtin_ctzll(left);
    memcpy(order + n, last, last_count);
    return n + last_count;
}
