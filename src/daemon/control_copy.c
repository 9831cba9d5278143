/* Copies held for other nodes, and where the copies of a message are: what `relais message`
 * says of them. */
#include "daemon/control_internal.h"
#include "daemon/redundancy.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

/* --- Names ------------------------------------------------------------------------------- */

/* Whose STORE is, as far as is known. */
static const char *node_of_store(const struct path *path, struct store_id store)
{
    const char *node = ledger_node_of_store(node_ledger(path->node), store);

    return node && node[0] ? node : "another node";
}

/* PEER is called NAME, or by its first label when that is NAME. */
static bool is_called(const struct ledger *ledger, uint8_t peer, struct bytes name)
{
    struct ledger_peer_facts facts;
    struct bytes full;

    ledger_get_peer(ledger, peer, &facts);
    full = bytes_text(facts.node);
    return bytes_equal_nocase(full, name) ||
           bytes_equal_nocase(bytes_first(full, bytes_find(full, '.')), name);
}

uint8_t copy_find_peer(const struct path *path, const char *name)
{
    const struct ledger *ledger = node_ledger(path->node);
    uint8_t found = ledger_find_peer(ledger, bytes_text(name));

    for (uint32_t i = 0; found == LEDGER_NO_PEER && i < ledger_peer_count(ledger); i++) {
        if (is_called(ledger, (uint8_t)i, bytes_text(name)))
            found = (uint8_t)i;
    }
    return found;
}

bool copy_find_standing(const struct path *path, struct mid mid, struct standing *out)
{
    return ledger_standing(node_ledger(path->node), mid, out);
}

static bool is_ours(const struct standing *standing)
{
    return standing->role == STANDING_PRIMARY || standing->role == STANDING_SETTLED;
}

/* --- One message ------------------------------------------------------------------------- */

static void add_store(struct ctl_object *object, const char *name, struct store_id store)
{
    char id[ID_TEXT_BYTES];

    store_id_format(store, id);
    ctl_set_text(object, name, bytes_text(id));
}

/* The names of the nodes that have it durably, this one first. */
static void add_places(const struct path *path, struct mid mid, struct ctl_object *object)
{
    const struct ledger *ledger = node_ledger(path->node);
    uint32_t holders = ledger_holders(ledger, mid);

    ctl_add_text(object, "copies_at", bytes_text(path->routed_by->settings->fqdn));
    for (uint32_t i = 0; i < ledger_peer_count(ledger); i++) {
        struct ledger_peer_facts peer;
        if (!(holders >> i & 1))
            continue;
        ledger_get_peer(ledger, (uint8_t)i, &peer);
        ctl_add_text(object, "copies_at", bytes_text(peer.node));
    }
}

void copy_add_standing(const struct path *path, struct mid mid, struct ctl_object *object)
{
    static const struct store_id none;
    struct standing standing;

    if (!copy_find_standing(path, mid, &standing))
        return;
    ctl_set_text(
        object, "role", bytes_text(redundancy_role_name((enum standing_role)standing.role)));
    ctl_set_number(object, "generation", standing.generation);
    if (memcmp(&standing.from, &none, sizeof none) != 0)
        ctl_set_text(object, "taken_from", bytes_text(node_of_store(path, standing.from)));
    if (is_ours(&standing)) {
        add_places(path, mid, object);
        if (standing.single != SINGLE_NOT)
            ctl_set_text(object, "single",
                bytes_text(redundancy_single_reason((enum standing_single)standing.single)));
    } else {
        ctl_set_text(object, "held_for", bytes_text(node_of_store(path, standing.owner)));
        add_store(object, "held_for_store", standing.owner);
    }
}

void copy_refuse(struct client *client, struct mid mid, const char *id)
{
    const struct path *path = client->control->path;
    struct standing standing;
    const char *node;

    if (!copy_find_standing(path, mid, &standing)) {
        client_error(client, EX_NOINPUT, "no message %s in the queue", id);
        return;
    }
    node = node_of_store(path, standing.owner);
    switch ((enum standing_role)standing.role) {
    case STANDING_HELD:
        client_error(client, EX_NOINPUT,
            "%s is a copy held for %s, which is to deliver it; if that node is lost: "
            "relais shadow takeover %s",
            id, node, node);
        return;
    case STANDING_UNCLAIMED:
    case STANDING_ASIDE:
        client_error(client, EX_NOINPUT,
            "%s is %s and not in the queue: relais shadow resume or relais shadow drop", id,
            standing.role == STANDING_ASIDE ? "set aside" : "unclaimed");
        return;
    default:
        client_error(client, EX_NOINPUT, "%s is on its way out of the queue", id);
    }
}

/* --- Rows -------------------------------------------------------------------------------- */

static void add_pending(
    struct ctl_object *row, const struct spool_entry *entry, struct bytes encoded)
{
    struct envelope_cursor cursor;
    struct recipient recipient;

    envelope_recipients(encoded, &cursor);
    for (uint32_t i = 0; envelope_next_recipient(&cursor, &recipient); i++) {
        if (spool_is_pending(spool_entry_outcome(entry, i)))
            ctl_add_text(row, "to", recipient.address);
    }
}

void copy_add_envelope(const struct path *path, const struct spool_entry *entry,
    struct bytes encoded, struct ctl_object *row)
{
    char id[ID_TEXT_BYTES], date[DATE_ISO_BYTES];
    struct envelope envelope;

    mid_format(entry->by_mid.mid, id);
    ctl_set_text(row, "id", bytes_text(id));
    if (envelope_decode(encoded, &envelope) != OK)
        return;
    wall_format_iso(envelope.arrived, date);
    ctl_set_text(row, "from", envelope.sender);
    add_pending(row, entry, encoded);
    ctl_set_number(row, "size", (int64_t)(envelope.prepend.n + envelope.content_bytes));
    ctl_set_text(row, "arrived", bytes_text(date));
    ctl_set_number(row, "age_s", (loop_wall(path->home).ms - envelope.arrived.ms) / 1000);
}

/* What status a copy has, and the queue it stands in, for the tool's table. */
void copy_add_queue(const struct path *path, struct mid mid, struct ctl_object *row)
{
    struct standing standing;
    char queue[300];

    if (!copy_find_standing(path, mid, &standing) || is_ours(&standing))
        return;
    snprintf(queue, sizeof queue, "shadow\\%s", node_of_store(path, standing.owner));
    ctl_set_text(row, "queue", bytes_text(queue));
    ctl_set_text(
        row, "status", bytes_text(redundancy_role_name((enum standing_role)standing.role)));
}

/* --- Showing a copy ---------------------------------------------------------------------- */

struct spool_entry *copy_find_entry(struct path *path, struct mid mid)
{
    struct message *message = queue_find(&path->queue, mid);

    return message ? &message->entry : node_find_entry(path->node, mid);
}

struct show {
    struct client *client;
    struct mid mid;
    struct spool_read read;
};

static void show_copy(
    struct client *client, const struct spool_entry *entry, struct bytes encoded)
{
    const struct path *path = client->control->path;
    struct ctl_object *end = ctl_new();

    ctl_set_bool(end, "ok", true);
    copy_add_envelope(path, entry, encoded, end);
    copy_add_queue(path, entry->by_mid.mid, end);
    copy_add_standing(path, entry->by_mid.mid, end);
    message_add_details(end, encoded);
    message_add_recipients(end, encoded, entry, NULL);
    client_end(client, &end);
}

static void on_show_read(struct spool_read *read)
{
    struct show *show = container_of(read, struct show, read);
    struct client *client = show->client;
    struct spool_entry *entry = copy_find_entry(client->control->path, show->mid);

    if (!entry)
        client_error(client, EX_NOINPUT, "the copy went meanwhile");
    else if (read->err != OK)
        client_error(client, EX_DATAERR, "the copy cannot be read: %s", err_text(read->err));
    else
        show_copy(client, entry, bytes_of(read->envelope, read->envelope_n));
    free(read->envelope);
    free(read->at);
    free(show);
    client_end_work(client);
}

bool copy_show(struct client *client, struct mid mid)
{
    struct path *path = client->control->path;
    struct spool_entry *entry = node_find_entry(path->node, mid);
    struct show *show;

    if (!entry || entry->is_word)
        return false;
    show = mem_new(sizeof *show);
    show->client = client;
    show->mid = mid;
    show->read.done = on_show_read;
    show->read.wants_envelope = true;
    client_begin_work(client);
    spool_read(path->spool, entry, 0, 0, &show->read);
    return true;
}
