/* A node's store: records are appended, and flushed in groups; what was flushed is told in the
 * order of the log.  Outcomes and ends wait for somebody else's flush, as in the spool. */
#include "sim.h"

#include "base/mem.h"
#include "spool/internal.h"

#include <assert.h>
#include <stdlib.h>

/* --- Envelopes --------------------------------------------------------------------------- */

struct envelope message_envelope(
    const struct message *message, struct recipient recipients[SIM_RECIPIENTS_MAX])
{
    static const char *const addresses[SIM_RECIPIENTS_MAX] = { "one@example.com",
        "two@example.com", "three@example.com" };

    for (unsigned i = 0; i < message->recipient_count; i++)
        recipients[i] = (struct recipient){ .address = bytes_text(addresses[i]) };
    return (struct envelope){
        .sender = BYTES("sender@example.com"),
        .arrived = { 1000 },
        .content_bytes = 8,
        .recipient_count = message->recipient_count,
        .recipients = recipients,
    };
}

void shelf_envelope(const struct message *message, struct buf *out)
{
    struct recipient recipients[SIM_RECIPIENTS_MAX];
    struct envelope envelope = message_envelope(message, recipients);
    enum err err;

    buf_clear(out);
    err = envelope_encode(&envelope, out);
    assert(!err);
}

/* --- Flushes ----------------------------------------------------------------------------- */

static struct landing *land(struct host *host, enum landing_kind kind, uint64_t at)
{
    struct landings *landings = &host->landings;

    if (landings->count == landings->room) {
        landings->room = 2 * landings->room + 16;
        landings->list = mem_grow(landings->list, landings->room * sizeof *landings->list);
    }
    if (kind != LANDING_FLUSHED) /* that writes nothing */
        host->world->written_at = host->world->now;
    landings->list[landings->count] =
        (struct landing){ .kind = kind, .at = at, .end = disk_end(&host->disk) };
    return &landings->list[landings->count++];
}

static void landed(struct host *host, const struct landing *landing)
{
    struct message *message = &host->world->message[landing->message];
    struct moment now = host_now(host);

    switch (landing->kind) {
    case LANDING_COMMIT:
        host_committed(host, message);
        ledger_on_committed(host->ledger, now, message->mid, true, &host->actions);
        break;
    case LANDING_COPY:
        message->was_copied = true;
        host_committed(host, message);
        ledger_on_copy_stored(host->ledger, now, host_peer(host, landing->peer), message->mid,
            landing->tag, true, &host->actions);
        break;
    case LANDING_STOOD:
        ledger_on_stood(
            host->ledger, now, message->mid, landing->tag, landing->at, &host->actions);
        break;
    case LANDING_FLUSHED:
        ledger_on_flushed(host->ledger, now, landing->tag, &host->actions);
        break;
    case LANDING_OUTCOME:
        check_noted(host, message, landing->bits, landing->tag != 0);
        break;
    case LANDING_SETTLE:
        break;
    }
}

static void begin_flush(struct host *host);

static bool wants_flush(const struct host *host)
{
    for (unsigned i = 0; i < host->landings.count; i++)
        if (host->landings.list[i].kind < LANDING_OUTCOME)
            return true;
    return false;
}

static void on_flushed(struct world *world, struct event *event)
{
    struct host *host = &world->host[event->host];
    struct landings *landings = &host->landings;
    struct landing *done = NULL;
    unsigned count = 0;

    disk_flushed(&host->disk, event->a, host->lies);
    while (count < landings->count && landings->list[count].end <= event->a)
        count++;
    if (count)
        done = mem_copy(landings->list, count * sizeof *done);
    landings->count -= count;
    memmove(landings->list, landings->list + count, landings->count * sizeof *done);
    host->is_flushing = false;
    ledger_set_position(host->ledger, host->disk.durable);
    for (unsigned i = 0; i < count; i++) {
        landed(host, &done[i]);
        host_act(host);
    }
    free(done);
    if (wants_flush(host))
        begin_flush(host);
}

static void on_soon(struct world *world, struct event *event)
{
    struct host *host = &world->host[event->host];

    host->is_flush_near = false;
    if (host->landings.count)
        begin_flush(host);
}

/* What wakes nobody is flushed soon all the same. */
static void flush_soon(struct host *host)
{
    if (host->is_flush_near)
        return;
    host->is_flush_near = true;
    host_in(host, prng_between(&host->world->prng, 20, 500), on_soon);
}

static void begin_flush(struct host *host)
{
    struct prng *prng = &host->world->prng;

    if (host->is_flushing)
        return;
    host->is_flushing = true;
    host_in(host, prng_spread(prng, 1, host->world->flush_ms), on_flushed)->a =
        disk_end(&host->disk);
}

/* --- Records ----------------------------------------------------------------------------- */

static struct bytes states_of(const struct host *host, const struct message *message)
{
    return bytes_of(host->entry[message->number].outcome, message->recipient_count);
}

bool shelf_commit(struct host *host, const struct message *message,
    const struct standing *standing, bool is_copy, uint8_t from, uint64_t tag)
{
    struct entry *entry = &host->entry[message->number];
    struct buf envelope;
    struct landing *landing;

    if (host->disk.is_full)
        return false;
    buf_init(&envelope, 4096);
    shelf_envelope(message, &envelope);
    uint64_t at = disk_add_message(&host->disk, message->mid, buf_bytes(&envelope),
        message->recipient_count, entry_done(entry) ? states_of(host, message) : BYTES_NONE,
        standing, BYTES("content\n"));
    buf_done(&envelope);
    entry->is_here = entry->is_committing = true;
    landing = land(host, is_copy ? LANDING_COPY : LANDING_COMMIT, at);
    landing->message = message->number;
    landing->peer = from;
    landing->tag = tag;
    begin_flush(host);
    return true;
}

void shelf_note(struct host *host, const struct message *message, uint32_t recipients,
    enum spool_outcome outcome)
{
    struct entry *entry = &host->entry[message->number];
    uint32_t list[SIM_RECIPIENTS_MAX], count = 0;
    struct landing *landing;

    for (uint32_t i = 0; i < message->recipient_count; i++)
        if (recipients & 1U << i) {
            list[count++] = i;
            entry->outcome[i] = (uint8_t)outcome;
        }
    if (!count)
        return;
    uint64_t at = disk_add_outcome(&host->disk, message->mid, list, count, outcome);
    landing = land(host, LANDING_OUTCOME, at);
    landing->message = message->number;
    landing->bits = recipients;
    landing->tag = outcome == SPOOL_RELAYED_AWAY;
    flush_soon(host);
}

void shelf_stand(struct host *host, const struct message *message, uint64_t tag,
    const struct standing *standing)
{
    uint64_t at = disk_add_standing(&host->disk, message->mid, standing);
    struct landing *landing = land(host, LANDING_STOOD, at);

    landing->message = message->number;
    landing->tag = tag;
    begin_flush(host);
}

void shelf_settle(struct host *host, const struct message *message)
{
    uint64_t at = disk_add_settle(&host->disk, message->mid);

    land(host, LANDING_SETTLE, at)->message = message->number;
    flush_soon(host);
}

void shelf_barrier(struct host *host, uint64_t tag)
{
    land(host, LANDING_FLUSHED, disk_end(&host->disk))->tag = tag;
    begin_flush(host);
}

/* --- The stores file --------------------------------------------------------------------- */

static void on_stores(struct world *world, struct event *event)
{
    struct host *host = &world->host[event->host];

    host->disk.stores = *(struct disk_stores *)event->data;
    ledger_on_stores(host->ledger, host_now(host), event->a, &host->actions);
    host_act(host);
}

/* Each writing takes the old file's place at its end, in their order; a crash before leaves the
 * old one, or has the new one already. */
void shelf_stores(struct host *host, uint64_t tag)
{
    struct prng *prng = &host->world->prng;
    struct disk_stores *next = mem_new(sizeof *next);
    const struct ledger_store *stores = ledger_stores(host->ledger, &next->count);
    int64_t end = host->world->now + prng_spread(prng, 1, 2 * host->world->flush_ms);

    assert(next->count <= DISK_STORES_MAX);
    memcpy(next->list, stores, next->count * sizeof *stores);
    if (prng_chance(prng, 20) && host->stores_at < host->world->now)
        host->disk.stores = *next;
    if (end < host->stores_at)
        end = host->stores_at;
    host->stores_at = end;
    struct event *event = host_in(host, end - host->world->now, on_stores);
    event->a = tag;
    event->data = next;
}

/* --- A start ----------------------------------------------------------------------------- */

struct find {
    struct mid mid;
    bool has_standing;
    struct standing standing;
    uint64_t at;
    uint8_t outcome[SIM_RECIPIENTS_MAX];
};

struct finds {
    struct world *world;
    struct find list[SIM_MESSAGES_MAX];
    unsigned count;
};

static void on_found(void *me, const struct spool_found *found)
{
    struct finds *finds = me;
    struct find *find = &finds->list[finds->count++];
    const struct message *message = message_find(finds->world, found->mid);

    assert(message && finds->count <= SIM_MESSAGES_MAX);
    *find = (struct find){ found->mid, found->has_standing, found->standing, found->standing_at,
        { 0 } };
    for (uint32_t i = 0; i < found->entry.recipient_count && i < SIM_RECIPIENTS_MAX; i++)
        find->outcome[i] = (uint8_t)spool_entry_outcome(&found->entry, i);
}

static void on_damage(void *me, uint64_t at, const char *why)
{
    struct finds *finds = me;

    STORY(finds->world, NULL, -1, "damage at %llu: %s", (unsigned long long)at, why);
}

static bool may_queue(struct host *host, const struct find *find, struct message *message)
{
    struct entry *entry = &host->entry[message->number];
    bool is_done = entry_is_over(entry, message);

    return ledger_recover(host->ledger, find->mid, find->has_standing ? &find->standing : NULL,
        find->at, entry_done(entry) && !is_done, is_done);
}

static void recover_one(struct host *host, const struct find *find)
{
    struct message *message = message_find(host->world, find->mid);
    struct entry *entry = &host->entry[message->number];

    *entry = (struct entry){ .is_here = true };
    memcpy(entry->outcome, find->outcome, sizeof entry->outcome);
    message->was_copied |= find->standing.role == STANDING_HELD;
    if (may_queue(host, find, message))
        courier_queue(host, message, prng_between(&host->world->prng, 0, 500));
    else if (!find->has_standing || find->standing.role == STANDING_PRIMARY)
        entry->work = entry_is_over(entry, message) ? WORK_NONE : WORK_PARKED;
    STORY(host->world, host, (int)message->number, "found, role %u generation %u, done %x: %s",
        find->standing.role, find->standing.generation, entry_done(entry),
        entry->work == WORK_WAITING ? "queued" : "not queued");
}

void shelf_open(struct host *host)
{
    static struct finds finds;
    struct spool_visitor visitor = {
        .me = &finds, .on_message = on_found, .on_damage = on_damage
    };
    struct disk *disk = &host->disk;

    finds.count = 0;
    finds.world = host->world;
    disk_open(disk, &visitor);
    host->ledger = ledger_new(bytes_text(host->name), disk->public, disk->durable,
        disk->is_damaged, disk->stores.list, disk->stores.count, &host->world->settings);
    host_set_peers(host);
    for (unsigned i = 0; i < finds.count; i++)
        recover_one(host, &finds.list[i]);
    ledger_set_position(host->ledger, disk->durable);
}

void shelf_drop(struct host *host)
{
    host->landings.count = 0;
    host->is_flushing = host->is_flush_near = false;
    host->stores_at = 0;
    memset(host->entry, 0, sizeof host->entry);
}

/* --- What a disk would show, for the checks ---------------------------------------------- */

static bool is_pending(const struct find *find, const struct message *message)
{
    for (unsigned i = 0; i < message->recipient_count; i++)
        if (spool_is_pending(find->outcome[i]))
            return true;
    return false;
}

uint64_t shelf_read(const struct disk *disk, struct world *world, bool has[SIM_MESSAGES_MAX])
{
    static struct finds finds;
    struct spool_visitor visitor = { .me = &finds, .on_message = on_found };
    struct disk copy = { .segment_count = 0 };
    uint64_t position;

    finds.count = 0;
    finds.world = world;
    disk_copy(&copy, disk);
    disk_open(&copy, &visitor);
    position = copy.durable;
    disk_done(&copy);
    memset(has, 0, SIM_MESSAGES_MAX * sizeof *has);
    for (unsigned i = 0; i < finds.count; i++) {
        const struct find *find = &finds.list[i];
        const struct message *message = message_find(world, find->mid);
        if (find->standing.role != STANDING_SETTLED && is_pending(find, message))
            has[message->number] = true;
    }
    return position;
}
