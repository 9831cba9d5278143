/* The node's connections, shared among next hops. */
#include "flow/deliver/internal.h"

#include <assert.h>

/* How long a connection goes on while other hops wait for one: opening it is to pay off, and a
 * slow host is not to hold it for ever. */
enum { TURN_MESSAGES = 100, TURN_MS = 5000 };

enum prospect deliver_prospect(const struct host *host)
{
    if (host->is_answering)
        return PROSPECT_ANSWERS;
    return host->is_down || host->destination->hop->failure_count ? PROSPECT_FAILS
                                                                  : PROSPECT_UNKNOWN;
}

/* A host that is down often says nothing at all, and holds a connection for as long as one may
 * take to be made.  A thousand such must not keep those that answer from being served: hosts
 * that failed have a quarter of all connections to open, and together with those not known yet
 * three quarters. */
static bool may_open(const struct deliver *deliver, enum prospect prospect)
{
    uint32_t quarter = deliver->connections_max / 4;
    uint32_t failing = deliver->opening[PROSPECT_FAILS];

    if (prospect == PROSPECT_ANSWERS)
        return true;
    if (prospect == PROSPECT_FAILS && failing && failing >= quarter)
        return false;
    return failing + deliver->opening[PROSPECT_UNKNOWN] < deliver->connections_max - quarter;
}

static bool has_room(const struct deliver *deliver, enum prospect prospect)
{
    return deliver->connection_count < deliver->connections_max && may_open(deliver, prospect);
}

/* Some hop has none and waits for one that it may open: more of them than are being ended. */
static bool somebody_has_none(const struct deliver *deliver, uint32_t leaving_count)
{
    uint32_t waiting = 0;

    for (unsigned i = 0; i < PROSPECT_COUNT; i++) {
        if (!may_open(deliver, (enum prospect)i))
            continue;
        list_each (node, &deliver->in_turn[i]) {
            if (++waiting > leaving_count)
                return true;
        }
    }
    return false;
}

static uint32_t count_of(const struct hop *hop)
{
    return hop->destination ? destination_live_count(hop->destination) : 0;
}

bool deliver_claim(struct deliver *deliver, struct hop *hop, enum prospect prospect)
{
    bool has_some = count_of(hop) > 0;

    if (has_room(deliver, prospect) && !(has_some && somebody_has_none(deliver, 0))) {
        deliver->connection_count++;
        return true;
    }
    /* Whom its host's prospect keeps waiting stands there, where nobody takes it out in vain. */
    if (!list_is_linked(&hop->in_turn))
        list_add_last(has_some && may_open(deliver, prospect) ? &deliver->in_turn_again
                                                              : &deliver->in_turn[prospect],
            &hop->in_turn);
    loop_step_ask(deliver->loop, &deliver->step); /* somebody may have one to spare */
    return false;
}

struct hop *deliver_next_in_turn(struct deliver *deliver)
{
    struct list *node = NULL;

    if (deliver->connection_count >= deliver->connections_max || deliver->is_stopping)
        return NULL;
    for (unsigned i = 0; !node && i < PROSPECT_COUNT; i++) {
        if (may_open(deliver, (enum prospect)i))
            node = list_first(&deliver->in_turn[i]);
    }
    if (!node)
        node = list_first(&deliver->in_turn_again);
    if (!node)
        return NULL;
    list_remove(node);
    return container_of(node, struct hop, in_turn);
}

static bool is_waited_for(const struct deliver *deliver)
{
    for (unsigned i = 0; i < PROSPECT_COUNT; i++) {
        if (!list_is_empty(&deliver->in_turn[i]))
            return true;
    }
    return !list_is_empty(&deliver->in_turn_again);
}

void deliver_spare(struct deliver *deliver)
{
    if (is_waited_for(deliver))
        loop_step_ask(deliver->loop, &deliver->step);
}

void deliver_opened(struct deliver *deliver, enum prospect prospect)
{
    assert(deliver->opening[prospect] > 0);
    deliver->opening[prospect]--;
    deliver_spare(deliver);
}

void deliver_release(struct deliver *deliver)
{
    assert(deliver->connection_count > 0);
    deliver->connection_count--;
    deliver_spare(deliver);
}

/* Whether DELIVERY would better be another hop's.  Only a full node ends connections that work:
 * those who wait for its hosts to answer are not helped by it. */
static bool is_wanted_elsewhere(const struct delivery *delivery)
{
    const struct deliver *deliver = delivery->destination->deliver;

    if (deliver->connection_count < deliver->connections_max || deliver->is_stopping)
        return false;
    if (somebody_has_none(deliver, deliver->leaving_count))
        return true;
    return !list_is_empty(&deliver->in_turn_again) && deliver->leaving_count == 0 &&
           delivery->destination->connection_count >
               deliver->connections_max / deliver->served_count;
}

static void leave(struct delivery *delivery)
{
    if (delivery->is_quitting)
        return;
    delivery->is_quitting = delivery->is_leaving = true;
    delivery->destination->deliver->leaving_count++;
}

/* Connections with nothing to do go to hops that wait for one. */
void deliver_end_idle(struct deliver *deliver)
{
    if (!is_waited_for(deliver) || deliver->connection_count < deliver->connections_max)
        return;
    list_each (node, &deliver->idle) {
        struct delivery *delivery = container_of(node, struct delivery, in_idle);
        bool is_wanted = somebody_has_none(deliver, deliver->leaving_count) ||
                         (!list_is_empty(&deliver->in_turn_again) && !deliver->leaving_count);
        if (!is_wanted)
            return;
        if (!delivery->is_quitting && delivery->destination->hop->ready_count == 0) {
            leave(delivery);
            delivery_serve(delivery);
        }
    }
}

void delivery_end_turn(struct delivery *delivery)
{
    const struct deliver *deliver = delivery->destination->deliver;
    bool is_over = delivery->offered >= TURN_MESSAGES ||
                   loop_now(deliver->loop).ms - delivery->opened.ms >= TURN_MS;

    if (delivery->offered && is_over && is_wanted_elsewhere(delivery))
        leave(delivery);
}
