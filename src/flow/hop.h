/* A next hop: what may share a queue and connections (policy/route.h names it).  Home loop.
 *
 * The queue owns it and decides when it is tried; deliver keeps what it knows of the hosts
 * behind it in `destination`. */
#ifndef FLOW_HOP_H
#define FLOW_HOP_H

#include "base/list.h"
#include "base/table.h"
#include "flow/message.h"
#include "flow/setup.h"

struct destination;

/* Queues of no connector's; none may be called so. */
#define HOP_UNREACHABLE "unreachable"
#define HOP_POISON "poison"

struct hop {
    struct table_node by_name;
    struct list in_hops;   /* all hops, in the order of their making */
    struct list in_turn;   /* waits for a connection of the whole node's number */
    struct list in_wanted; /* is served in deliver's next step */
    uint32_t number;       /* "node\number" in commands */
    char *name;            /* see route_hop_name() */
    char *domain; /* what is looked up for MX; "[host]:port" of a redirection; or empty */
    struct setup *setup;                    /* held: where CONNECTOR lies */
    const struct send_connector *connector; /* NULL: the Unreachable queue */
    struct list ready[PRIORITY_COUNT];      /* items that may go now, oldest first */
    struct list waiting;                    /* items refused for now, by their next attempt */
    struct list aside;                      /* items that may not be started just now */
    size_t ready_count, waiting_count, aside_count, delivering_count;
    size_t item_suspended_count; /* those in no list */
    uint8_t turn;                /* of the priorities */
    bool is_suspended;           /* as a whole: nothing of it is started */
    uint8_t idle_sweeps;         /* it had nothing to do at, and no mail went past it */
    bool wants_probe;            /* in deliver's next step */
    bool wants_move;             /* what is ready here is being routed anew */
    bool is_down;                /* no host of it answers: wait for `retry` */
    uint32_t failure_count;      /* in a row */
    struct timer retry;          /* the next attempt while down */
    struct timer wake;           /* the first waiting item's time */
    int64_t due_ms; /* items that wait until then, at most, are due now: by command; 0: none */
    char *last_error;                /* NULL: none */
    struct shared_text *item_error;  /* the last item's, which the next one's often is; NULL */
    void *queue;                     /* struct queue, for the timers */
    struct destination *destination; /* deliver's own; NULL until first used */
};

static inline size_t hop_item_count(const struct hop *hop)
{
    return hop->ready_count + hop->waiting_count + hop->aside_count + hop->delivering_count +
           hop->item_suspended_count;
}

/* No host of it answers, and its retry plan does not say yet to try again. */
static inline bool hop_is_resting(const struct hop *hop)
{
    return hop->is_down && timer_is_running(&hop->retry);
}

/* What the process died with too often; nothing of it is started. */
static inline bool hop_is_poison(const struct hop *hop)
{
    return !hop->connector && strcmp(hop->name, HOP_POISON) == 0;
}

/* What the last attempt at ITEM met, or the last one at its next hop, which is down: a line as
 * mail/cause.h has it; NULL: no fault was found. */
static inline const char *item_error(const struct item *item)
{
    if (item->last_error)
        return item->last_error->text;
    return item->hop && item->hop->is_down ? item->hop->last_error : NULL;
}

/* What is here was redirected, by command, to the host that `domain` is. */
static inline bool hop_is_redirection(const struct hop *hop)
{
    return hop && hop->connector && hop->connector->is_redirection;
}

static inline bool hop_may_go(const struct hop *hop)
{
    return hop->connector && !hop->is_suspended && !hop_is_resting(hop);
}

#endif
