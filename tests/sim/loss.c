/* What goes with a disk (S1): what may be lost, and what damage brings back. */
#include "sim.h"

#include <string.h>

uint32_t message_all(const struct message *message)
{
    return (1U << message->recipient_count) - 1;
}

bool host_has_store(const struct host *host, struct store_id store)
{
    return memcmp(host->disk.public.byte, store.byte, sizeof store.byte) == 0;
}

static bool is_elsewhere(struct host *host, const struct message *message)
{
    struct world *world = host->world;
    bool has[SIM_MESSAGES_MAX];

    for (unsigned i = 0; i < world->host_count; i++) {
        if (i == host->number)
            continue;
        shelf_read(&world->host[i].disk, world, has);
        if (has[message->number])
            return true;
    }
    return false;
}

/* Marks those that go with HOST's disk and may; false: one may not. */
static bool look_at_loss(
    struct host *host, const bool *before, const bool *after, bool marks, uint8_t witnesses)
{
    struct world *world = host->world;

    for (unsigned i = 0; i < world->message_count; i++) {
        struct message *message = &world->message[i];
        /* An end that was not flushed goes with the disk as well. */
        bool was_here = before[i] || message->ended[host->number] == host->disk_life + 1;
        if (!was_here || after[i] || message->over == message_all(message))
            continue;
        message->was_rolled_back |= marks;
        message->witnesses |= witnesses;
        if (message->acked_at < 0 && !host->entry[i].is_accepting)
            continue;
        if (is_elsewhere(host, message))
            continue;
        if (message->acked_at >= 0 && message->verdict == LEDGER_REDUNDANT)
            return false;
        message->may_be_lost = true;
    }
    return true;
}

/* Who can be reached and knows for good that HOST's store was further than POSITION, as bits; and
 * has not gone back itself. */
static uint8_t witnesses_of(const struct host *host, uint64_t position)
{
    const struct world *world = host->world;
    uint8_t bits = 0;

    for (unsigned i = 0; i < world->host_count; i++) {
        const struct host *other = &world->host[i];
        const struct disk_stores *stores = &other->disk.stores;
        if (i == host->number || !world->links[i][host->number].is_told_up ||
            other->disk_life > 0)
            continue;
        for (unsigned k = 0; k < stores->count; k++)
            if (host_has_store(host, stores->list[k].id) && stores->list[k].position > position)
                bits |= (uint8_t)(1U << i);
    }
    return bits;
}

/* HOST forgets what it had heard: what nobody else could tell any more is R14's residue. */
static void lose_witness(const struct host *host)
{
    struct world *world = host->world;

    for (unsigned i = 0; i < world->message_count; i++) {
        struct message *message = &world->message[i];
        uint8_t rest = message->witnesses & (uint8_t) ~(1U << host->number);
        message->was_rolled_back |= message->witnesses && !rest;
        message->witnesses = rest;
    }
}

bool check_may_lose(struct host *host, const struct disk *after)
{
    bool has_before[SIM_MESSAGES_MAX], has_after[SIM_MESSAGES_MAX];
    bool goes_back = disk_end(after) > after->segment[0].base;
    uint8_t witnesses;

    shelf_read(&host->disk, host->world, has_before);
    witnesses = witnesses_of(host, shelf_read(after, host->world, has_after));
    if (!look_at_loss(host, has_before, has_after, false, 0) ||
        !look_at_loss(
            host, has_before, has_after, goes_back && !witnesses, goes_back ? witnesses : 0))
        return false;
    if (disk_end(after) < disk_end(&host->disk))
        lose_witness(host);
    return true;
}

void check_revived(struct host *host, const struct disk *after, bool revived[SIM_MESSAGES_MAX])
{
    struct world *world = host->world;
    bool had[SIM_MESSAGES_MAX];

    shelf_read(&host->disk, world, had);
    shelf_read(after, world, revived);
    for (unsigned i = 0; i < world->message_count; i++) {
        revived[i] &= !had[i];
        for (unsigned k = 0; k < world->host_count; k++)
            if (k != host->number && world->host[k].is_up && world->host[k].entry[i].is_here)
                revived[i] = false; /* it says so when it is asked (R6, R14) */
    }
}
