/* Those who send messages.  A client that is refused, or hears nothing, sends no more: what it
 * would send again is another message here (D2 is its own affair). */
#include "sim.h"

#include <assert.h>

enum { SECOND = 1000, DELAY_MAX_MS = 30 * SECOND };

static struct mid mid_of(struct world *world, unsigned number)
{
    struct mid mid;

    for (size_t i = 0; i < sizeof mid.byte; i++)
        mid.byte[i] = (uint8_t)prng_next(&world->prng);
    mid.byte[14] = (uint8_t)(number / 256);
    mid.byte[15] = (uint8_t)number;
    return mid;
}

static struct message *new_message(struct world *world)
{
    struct prng *prng = &world->prng;
    unsigned number = world->message_count++;
    struct message *message = &world->message[number];
    static const enum shadow_failure failures[] = { SHADOW_FAILURE_ACCEPT,
        SHADOW_FAILURE_ACCEPT, SHADOW_FAILURE_REJECT, SHADOW_FAILURE_DELAY };

    *message = (struct message){
        .mid = mid_of(world, number),
        .number = number,
        .recipient_count = 1 + (unsigned)prng_below(prng, SIM_RECIPIENTS_MAX),
        .failure = failures[prng_below(prng, 4)],
        .sent_at = world->now,
        .acked_at = -1,
        .single_since = -1,
    };
    if (prng_chance(prng, 40)) /* waits for a destination that is down */
        message->patience_until = world->now + prng_between(prng, 1, 300) * SECOND;
    return message;
}

static void refuse(struct host *host, struct message *message)
{
    message->was_refused = true;
    host->entry[message->number].is_accepting = false;
    STORY(host->world, host, (int)message->number, "451 to the client");
}

/* A node that is paused answers later; a client waits. */
static void on_send(struct world *world, struct event *event)
{
    struct host *host = &world->host[event->host];
    struct message *message = new_message(world);
    struct entry *entry = &host->entry[message->number];
    struct standing standing;

    message->first = host->number;
    STORY(world, host, (int)message->number, "a client sends it, %u recipients",
        message->recipient_count);
    if (host->disk.is_full) {
        refuse(host, message);
        return;
    }
    entry->is_accepting = true;
    if (!ledger_accept(host->ledger, host_now(host), message->mid, message->failure, &standing,
            &host->actions)) {
        refuse(host, message);
        host_act(host);
        return;
    }
    bool is_written = shelf_commit(host, message, &standing, false, host->number, 0);
    assert(is_written); /* there was room above */
    host_act(host);
}

static void on_client(struct world *world, struct event *event)
{
    struct host *host = &world->host[prng_below(&world->prng, world->host_count)];
    int64_t gap = world->calm_at / (world->message_goal + 1);

    (void)event;
    if (host->is_up)
        host_in(host, 0, on_send);
    if (world->message_count + 8 < SIM_MESSAGES_MAX && world->now < world->calm_at)
        world_in(world, prng_between(&world->prng, 1, 2 * gap), on_client);
}

void client_begin(struct world *world)
{
    world_in(world, 2000, on_client);
}

static void acknowledge(struct host *host, struct message *message)
{
    struct entry *entry = &host->entry[message->number];

    entry->is_accepting = entry->waits_for_outcome = false;
    message->acked_at = host->world->now;
    STORY(host->world, host, (int)message->number, "250 to the client");
    check_acknowledged(host, message);
}

static void on_patience(struct world *world, struct event *event)
{
    struct host *host = &world->host[event->host];
    struct message *message = &world->message[event->a];

    if (host->entry[message->number].waits_for_outcome)
        acknowledge(host, message);
}

void client_delivered(struct host *host, struct message *message)
{
    if (host->entry[message->number].waits_for_outcome)
        acknowledge(host, message);
}

void client_told(struct host *host, struct message *message, enum ledger_verdict verdict)
{
    struct entry *entry = &host->entry[message->number];

    message->verdict = verdict;
    if (!entry->is_accepting) {
        violated(host->world, (int)message->number, "a second verdict for an acceptance");
        return;
    }
    if (verdict == LEDGER_REJECT) {
        refuse(host, message);
        return;
    }
    if (verdict == LEDGER_DELAY) {
        entry->waits_for_outcome = true;
        host_in(host, DELAY_MAX_MS, on_patience)->a = message->number;
    } else {
        acknowledge(host, message);
    }
}
