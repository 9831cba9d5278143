/* A node's queue: a message that is the node's to deliver is tried, handed over at one instant,
 * and its outcome noted later.  A crash may fall between (D1). */
#include "sim.h"

#include "base/mem.h"

#include <assert.h>

enum { SECOND = 1000 };

/* What one attempt brought, on its way back. */
struct attempt {
    unsigned message, number;
    uint32_t delivered, failed;
};

uint32_t entry_done(const struct entry *entry)
{
    uint32_t done = 0;

    for (unsigned i = 0; i < SIM_RECIPIENTS_MAX; i++)
        if (!spool_is_pending(entry->outcome[i]))
            done |= 1U << i;
    return done;
}

bool entry_is_over(const struct entry *entry, const struct message *message)
{
    return entry_done(entry) == (1U << message->recipient_count) - 1;
}

static void on_try(struct world *world, struct event *event);

static void wait(struct host *host, struct message *message, int64_t delay)
{
    struct entry *entry = &host->entry[message->number];
    struct event *event = host_in(host, delay, on_try);

    entry->work = WORK_WAITING;
    event->a = message->number;
    event->b = ++entry->attempt;
}

/* It came to be this node's with nothing left to deliver. */
static void on_over(struct world *world, struct event *event)
{
    struct host *host = &world->host[event->host];
    struct message *message = &world->message[event->a];
    struct entry *entry = &host->entry[event->a];

    if (!entry->is_here || entry->is_withdrawn || entry->work != WORK_NONE)
        return;
    ledger_on_settled(host->ledger, host_now(host), message->mid, &host->actions);
    host_act(host);
    client_delivered(host, message);
}

void courier_queue(struct host *host, struct message *message, int64_t delay)
{
    struct entry *entry = &host->entry[message->number];

    assert(entry->is_here);
    entry->is_withdrawn = false;
    if (entry->work == WORK_WAITING || entry->work == WORK_TRYING)
        return;
    if (!entry_is_over(entry, message)) {
        wait(host, message, delay);
        return;
    }
    entry->work = WORK_NONE;
    host_in(host, delay, on_over)->a = message->number;
}

void courier_withdraw(struct host *host, struct message *message)
{
    struct entry *entry = &host->entry[message->number];

    entry->is_withdrawn = true;
    if (entry->work != WORK_TRYING)
        entry->work = WORK_NONE;
}

/* --- The answer is here ------------------------------------------------------------------ */

static void go_on(struct host *host, struct message *message)
{
    struct entry *entry = &host->entry[message->number];
    struct prng *prng = &host->world->prng;

    entry->work = WORK_NONE;
    if (entry->is_withdrawn)
        return;
    if (entry_is_over(entry, message)) {
        ledger_on_settled(host->ledger, host_now(host), message->mid, &host->actions);
        host_act(host);
        client_delivered(host, message);
        return;
    }
    wait(host, message, prng_spread(prng, 2 * SECOND, 60 * SECOND));
    if (entry_done(entry)) {
        ledger_on_partly(host->ledger, message->mid, &host->actions);
        host_act(host);
    }
}

static void on_answer(struct world *world, struct event *event)
{
    struct host *host = &world->host[event->host];
    struct attempt *attempt = event->data;
    struct message *message = &world->message[attempt->message];
    struct entry *entry = &host->entry[attempt->message];

    if (entry->work != WORK_TRYING || entry->attempt != attempt->number)
        return; /* it was forgotten meanwhile */
    STORY(world, host, (int)message->number, "outcomes noted: delivered %x failed %x",
        attempt->delivered, attempt->failed);
    shelf_note(host, message, attempt->delivered, SPOOL_DELIVERED);
    shelf_note(host, message, attempt->failed, SPOOL_FAILED);
    go_on(host, message);
}

/* --- Handing over ------------------------------------------------------------------------ */

/* What the destination says of one recipient. */
static void hand_over_one(
    struct host *host, struct message *message, uint8_t recipient, struct attempt *attempt)
{
    struct world *world = host->world;
    struct prng *prng = &world->prng;
    bool is_in_doubt = !world->is_calm && prng_chance(prng, world->doubt_percent);

    if (message->patience_until > world->now || prng_chance(prng, world->deferred_percent))
        return;
    if (prng_chance(prng, world->failed_percent)) {
        attempt->failed |= 1U << recipient;
        message->done |= 1U << recipient;
        return;
    }
    check_delivered(host, message, recipient, is_in_doubt);
    message->done |= 1U << recipient;
    if (!is_in_doubt)
        attempt->delivered |= 1U << recipient;
}

static void on_hand_over(struct world *world, struct event *event)
{
    struct host *host = &world->host[event->host];
    struct message *message = &world->message[event->a];
    struct entry *entry = &host->entry[event->a];
    struct attempt *attempt;

    if (entry->work != WORK_TRYING || entry->attempt != event->b)
        return;
    attempt = mem_new(sizeof *attempt);
    attempt->message = message->number;
    attempt->number = entry->attempt;
    for (uint8_t i = 0; i < message->recipient_count; i++)
        if (spool_is_pending(entry->outcome[i]))
            hand_over_one(host, message, i, attempt);
    host_in(host, prng_spread(&world->prng, 1, 300), on_answer)->data = attempt;
}

static void on_try(struct world *world, struct event *event)
{
    struct host *host = &world->host[event->host];
    struct message *message = &world->message[event->a];
    struct entry *entry = &host->entry[event->a];

    if (entry->work != WORK_WAITING || entry->attempt != event->b)
        return;
    if (!ledger_may_deliver(host->ledger, message->mid)) {
        wait(host, message, prng_between(&world->prng, 500, 3000));
        return;
    }
    entry->work = WORK_TRYING;
    event = host_in(host, prng_spread(&world->prng, 1, 2000), on_hand_over);
    event->a = message->number;
    event->b = entry->attempt;
}
