/* `relais shadow list`, `relais queue shadow\NODE` and the shadow queues of `relais queues`. */
#include "daemon/control_internal.h"
#include "daemon/redundancy.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

enum { ROWS_DEFAULT = 1000, ROWS_MAX = 100000 };

/* --- A list ------------------------------------------------------------------------------ */

struct pick {
    struct mid mid;
    int64_t since_ms;
};

/* The oldest of those wanted: when twice as many as asked for are there, half of them go. */
struct listing {
    struct client *client;
    enum standing_role role;
    uint8_t peer;     /* of copies: held for this one alone; LEDGER_NO_PEER: any */
    bool only_single; /* of our messages: those with one copy */
    struct pick *picks;
    size_t count, limit, at;
    uint64_t all;
    struct spool_read read;
};

static int older_first(const void *a, const void *b)
{
    int64_t left = ((const struct pick *)a)->since_ms,
            right = ((const struct pick *)b)->since_ms;

    return left < right ? -1 : left > right;
}

static void sort_picks(struct listing *listing)
{
    qsort(listing->picks, listing->count, sizeof *listing->picks, older_first);
    if (listing->count > listing->limit)
        listing->count = listing->limit;
}

static void pick(void *me, struct mid mid, uint8_t peer, int64_t since_ms)
{
    struct listing *listing = me;
    struct standing standing;

    if (listing->peer != LEDGER_NO_PEER && peer != listing->peer)
        return;
    if (listing->only_single &&
        (!copy_find_standing(listing->client->control->path, mid, &standing) ||
            standing.single == SINGLE_NOT))
        return;
    listing->all++;
    listing->picks[listing->count++] = (struct pick){ mid, since_ms };
    if (listing->count == 2 * listing->limit)
        sort_picks(listing);
}

static void end_listing(struct listing *listing)
{
    struct client *client = listing->client;
    struct ctl_object *end = ctl_new();

    ctl_set_bool(end, "ok", true);
    ctl_set_number(end, "messages", (int64_t)listing->all);
    client_end(client, &end);
    free(listing->picks);
    free(listing);
    client_end_work(client);
}

static void send_row(
    struct listing *listing, const struct spool_entry *entry, struct bytes encoded)
{
    const struct path *path = listing->client->control->path;
    struct ctl_object *row = ctl_new();
    int64_t since = listing->picks[listing->at].since_ms, now = loop_now(path->home).ms;

    copy_add_envelope(path, entry, encoded, row);
    copy_add_queue(path, entry->by_mid.mid, row);
    copy_add_standing(path, entry->by_mid.mid, row);
    ctl_set_number(row, "since_s", now > since ? (now - since) / 1000 : 0);
    client_row(listing->client, &row);
}

static void go_on(struct listing *listing);

static void on_room(void *me)
{
    go_on(me);
}

static void on_read(struct spool_read *read)
{
    struct listing *listing = container_of(read, struct listing, read);
    struct path *path = listing->client->control->path;
    struct spool_entry *entry = copy_find_entry(path, listing->picks[listing->at].mid);

    if (read->err == OK && entry) /* else it went meanwhile */
        send_row(listing, entry, bytes_of(read->envelope, read->envelope_n));
    free(read->envelope);
    free(read->at);
    listing->at++;
    go_on(listing);
}

/* The next row.  The envelope of what rests, and of every copy, is on the disk. */
static void go_on(struct listing *listing)
{
    struct path *path = listing->client->control->path;

    for (; listing->at < listing->count; listing->at++) {
        struct mid mid = listing->picks[listing->at].mid;
        struct message *message = queue_find(&path->queue, mid);
        struct spool_entry *entry = copy_find_entry(path, mid);
        if (client_is_gone(listing->client))
            break;
        if (client_must_wait(listing->client, on_room, listing))
            return;
        if (message && !message->is_resting) {
            send_row(listing, entry, message_envelope(message));
        } else if (entry) {
            listing->read = (struct spool_read){ .done = on_read, .wants_envelope = true };
            spool_read(path->spool, entry, 0, 0, &listing->read);
            return;
        }
    }
    end_listing(listing);
}

/* Takes LISTING. */
static void list(struct listing *listing, const struct ctl_object *request)
{
    int64_t limit = ctl_number(request, "limit", ROWS_DEFAULT);

    listing->limit = limit <= 0 || limit > ROWS_MAX ? ROWS_MAX : (size_t)limit;
    listing->picks = mem_new(2 * listing->limit * sizeof *listing->picks);
    ledger_each(
        node_ledger(listing->client->control->path->node), listing->role, pick, listing);
    sort_picks(listing);
    client_begin_work(listing->client);
    go_on(listing);
}

/* The node that a list is confined to.  False: there is none such, and the client was told. */
static bool confine(struct listing *listing, const char *name)
{
    listing->peer = LEDGER_NO_PEER;
    if (!name)
        return true;
    listing->peer = copy_find_peer(listing->client->control->path, name);
    if (listing->peer == LEDGER_NO_PEER)
        client_error(listing->client, EX_NOINPUT, "no node '%s'", name);
    return listing->peer != LEDGER_NO_PEER;
}

void command_shadow_list(struct client *client, const struct ctl_object *request)
{
    static const struct {
        const char *name;
        enum standing_role role;
        bool only_single;
    } lists[] = { { "held", STANDING_HELD, false }, { "unclaimed", STANDING_UNCLAIMED, false },
        { "aside", STANDING_ASIDE, false }, { "single", STANDING_PRIMARY, true } };
    const char *which = ctl_text(request, "which");
    struct listing *listing;

    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        if (strcmp(lists[i].name, which ? which : "held") != 0)
            continue;
        listing = mem_new(sizeof *listing);
        *listing = (struct listing){
            .client = client, .role = lists[i].role, .only_single = lists[i].only_single
        };
        if (confine(listing, ctl_text(request, "node")))
            list(listing, request);
        else
            free(listing);
        return;
    }
    client_error(client, EX_USAGE, "which list?  held, unclaimed, aside or single");
}

/* --- Shadow queues ----------------------------------------------------------------------- */

#define SHADOW_QUEUE "shadow\\"

bool copy_queue(struct client *client, const struct ctl_object *request)
{
    const char *name = ctl_text(request, "queue");
    struct listing *listing;

    if (!name || strncmp(name, SHADOW_QUEUE, strlen(SHADOW_QUEUE)) != 0)
        return false;
    listing = mem_new(sizeof *listing);
    *listing = (struct listing){ .client = client, .role = STANDING_HELD };
    if (confine(listing, name + strlen(SHADOW_QUEUE)))
        list(listing, request);
    else
        free(listing);
    return true;
}

int64_t copy_count_held(const struct path *path)
{
    struct ledger_facts facts;

    ledger_get_facts(node_ledger(path->node), &facts);
    return (int64_t)facts.held;
}

void copy_queue_rows(struct client *client)
{
    const struct path *path = client->control->path;
    const struct ledger *ledger = node_ledger(path->node);
    int64_t now = loop_now(path->home).ms;

    for (uint32_t i = 0; i < ledger_peer_count(ledger); i++) {
        struct ledger_peer_facts peer;
        struct ctl_object *row;
        char name[300];
        ledger_get_peer(ledger, (uint8_t)i, &peer);
        if (!peer.is_configured && peer.held == 0)
            continue;
        row = ctl_new();
        snprintf(name, sizeof name, SHADOW_QUEUE "%s", peer.node);
        ctl_set_text(row, "identity", bytes_text(name));
        ctl_set_text(row, "name", bytes_text(name));
        ctl_set_text(row, "connector", BYTES_NONE);
        ctl_set_text(row, "kind", BYTES("shadow"));
        ctl_set_text(row, "status", bytes_text(redundancy_state_name(peer.state)));
        ctl_set_number(row, "messages", (int64_t)peer.held);
        ctl_set_number(row, "connections", peer.is_up);
        ctl_set_number(
            row, "oldest_s", peer.held_oldest_ms >= 0 ? (now - peer.held_oldest_ms) / 1000 : 0);
        ctl_set_text(row, "last_error", BYTES_NONE);
        client_row(client, &row);
    }
}
