/* Messages: list, show. */
#include "daemon/control_pick.h"

#include "base/mem.h"

#include <stdlib.h>
#include <sysexits.h>

/* --- Messages ---------------------------------------------------------------------------- */

const struct item *message_item_to_show(const struct message *message)
{
    for (const struct item *item = &message->first; item; item = item->next) {
        if (item->state != ITEM_DONE && item->hop)
            return item;
    }
    return &message->first;
}

void item_add_row(struct path *path, const struct item *item, struct ctl_object *row)
{
    const struct hop *hop = item->hop;

    if (!hop)
        return;
    ctl_set_text(row, "queue", bytes_text(hop->name));
    ctl_set_text(row, "next_hop_domain", bytes_text(hop->domain));
    ctl_set_text(row, "status", bytes_text(pick_item_status(item)));
    ctl_set_number(row, "attempts", item->attempt_count);
    if (item->state == ITEM_WAITING)
        ctl_set_number(row, "next_attempt_s", control_seconds_until(path, item->next_attempt));
    else if (hop->is_down && item->state == ITEM_READY)
        ctl_set_number(row, "next_attempt_s", control_seconds_until(path, hop->retry.due));
    ctl_set_text(row, "last_error", bytes_text(pick_item_error(item)));
}

void message_add_row(struct path *path, const struct message *message, const struct item *item,
    struct ctl_object *row)
{
    struct envelope envelope;
    struct envelope_cursor cursor;
    struct recipient recipient;
    char id[ID_TEXT_BYTES], date[DATE_ISO_BYTES];

    if (envelope_decode(message_envelope(message), &envelope) != OK)
        return;
    mid_format(message->entry.by_mid.mid, id);
    wall_format_iso(message->arrived, date);
    ctl_set_text(row, "id", bytes_text(id));
    ctl_set_text(row, "from", envelope.sender);
    envelope_recipients(message_envelope(message), &cursor);
    for (uint32_t i = 0; envelope_next_recipient(&cursor, &recipient); i++) {
        if (spool_is_pending(spool_entry_outcome(&message->entry, i)))
            ctl_add_text(row, "to", recipient.address);
    }
    ctl_set_number(row, "size", (int64_t)message->entry.content_bytes);
    ctl_set_text(row, "priority", bytes_text(priority_name((enum priority)message->priority)));
    ctl_set_text(row, "source_ip", envelope.client_ip);
    ctl_set_text(row, "arrived", bytes_text(date));
    ctl_set_number(row, "age_s", (loop_wall(path->home).ms - message->arrived.ms) / 1000);
    item_add_row(path, item, row);
}

void command_queue(struct client *client, const struct ctl_object *request)
{
    static const struct pick_verb list = { .done = "listed" };

    if (!copy_queue(client, request))
        pick_run(client, request, "queue", &list);
}

bool control_wanted_mid(
    struct client *client, const struct ctl_object *request, struct mid *out)
{
    const char *text = ctl_text(request, "id");

    if (text && mid_parse(bytes_text(text), out))
        return true;
    client_error(
        client, EX_USAGE, "'%s' is no message id (32 hexadecimal digits)", text ? text : "");
    return false;
}

static const struct item *item_of_recipient(const struct message *message, uint32_t recipient)
{
    for (const struct item *item = &message->first; item; item = item->next) {
        for (uint32_t i = 0; i < item->recipient_count; i++) {
            if (item_recipient(item, i) == recipient)
                return item;
        }
    }
    return NULL;
}

static const char *outcome_text(enum spool_outcome outcome)
{
    static const char *const texts[] = { [SPOOL_PENDING] = "pending",
        [SPOOL_DELIVERED] = "delivered",
        [SPOOL_FAILED] = "failed",
        [SPOOL_REMOVED] = "removed",
        [SPOOL_RELAYED_AWAY] = "relayed",
        [SPOOL_DELAYED] = "pending",
        [SPOOL_SUSPENDED] = "suspended",
        [SPOOL_SUSPENDED_DELAYED] = "suspended",
        [SPOOL_RESUMED] = "pending" };

    return outcome <= SPOOL_RESUMED ? texts[outcome] : "unknown";
}

static void add_notify(struct ctl_object *row, uint8_t notify)
{
    static const struct {
        uint8_t bit;
        const char *name;
    } names[] = { { NOTIFY_NEVER, "NEVER" }, { NOTIFY_SUCCESS, "SUCCESS" },
        { NOTIFY_FAILURE, "FAILURE" }, { NOTIFY_DELAY, "DELAY" } };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (notify & names[i].bit)
            ctl_add_text(row, "notify", bytes_text(names[i].name));
    }
}

void message_add_recipients(struct ctl_object *end, struct bytes encoded,
    const struct spool_entry *entry, const struct message *message)
{
    struct envelope_cursor cursor;
    struct recipient recipient;

    envelope_recipients(encoded, &cursor);
    for (uint32_t i = 0; envelope_next_recipient(&cursor, &recipient); i++) {
        enum spool_outcome outcome = spool_entry_outcome(entry, i);
        const struct item *item = message ? item_of_recipient(message, i) : NULL;
        struct ctl_object *row = ctl_new();
        ctl_set_text(row, "address", recipient.address);
        ctl_set_text(row, "outcome", bytes_text(outcome_text(outcome)));
        if (item && item->hop && spool_is_pending(outcome)) {
            ctl_set_text(row, "queue", bytes_text(item->hop->name));
            ctl_set_text(row, "last_error", bytes_text(pick_item_error(item)));
        }
        ctl_set_text(row, "orcpt", recipient.orcpt);
        add_notify(row, recipient.notify);
        ctl_add_object(end, "recipients", &row);
    }
}

void message_add_details(struct ctl_object *end, struct bytes encoded)
{
    struct envelope envelope;
    char session[SESSION_ID_TEXT_BYTES];

    if (envelope_decode(encoded, &envelope) != OK)
        return;
    session_id_format(envelope.session, session);
    ctl_set_text(end, "session", bytes_text(session));
    ctl_set_text(end, "connector", envelope.connector);
    ctl_set_text(end, "client_name", envelope.client_name);
    ctl_set_text(end, "client_ip", envelope.client_ip);
    ctl_set_text(end, "client_user", envelope.client_user);
    ctl_set_text(end, "message_id", envelope.message_id);
    ctl_set_text(end, "envid", envelope.envid);
    ctl_set_text(end, "ret",
        envelope.ret == RET_FULL   ? BYTES("FULL")
        : envelope.ret == RET_HDRS ? BYTES("HDRS")
                                   : BYTES_NONE);
    ctl_set_bool(end, "smtputf8", envelope.is_smtputf8);
    ctl_set_text(end, "trace", envelope.prepend);
}

/* Shows MESSAGE with its whole envelope. */
static void show_message(
    struct client *client, const struct message *message, struct bytes encoded)
{
    struct ctl_object *end = ctl_new();
    char why[POISON_WHY_BYTES];

    ctl_set_bool(end, "ok", true);
    message_add_row(client->control->path, message, message_item_to_show(message), end);
    copy_add_standing(client->control->path, message->entry.by_mid.mid, end);
    path_poison_why(client->control->path, message, why);
    if (*why)
        ctl_set_text(end, "poison", bytes_text(why));
    ctl_set_bool(end, "unread", message->is_unread);
    message_add_details(end, encoded);
    message_add_recipients(end, message_envelope(message), &message->entry, message);
    client_end(client, &end);
}

/* The envelope of a message that rests is read from the spool first. */
struct show {
    struct client *client;
    struct mid mid;
    struct spool_read read;
};

static void on_show_read(struct spool_read *read)
{
    struct show *show = container_of(read, struct show, read);
    struct client *client = show->client;
    struct message *message = queue_find(&client->control->path->queue, show->mid);

    if (!message)
        client_error(client, EX_NOINPUT, "the message left the queue meanwhile");
    else if (read->err != OK)
        show_message(client, message, message_envelope(message));
    else
        show_message(client, message, bytes_of(read->envelope, read->envelope_n));
    free(read->envelope);
    free(read->at);
    free(show);
    client_end_work(client);
}

void command_message(struct client *client, const struct ctl_object *request)
{
    struct message *message;
    struct show *show;
    struct mid mid;

    if (!control_wanted_mid(client, request, &mid))
        return;
    message = queue_find(&client->control->path->queue, mid);
    if (!message) {
        if (!copy_show(client, mid))
            copy_refuse(client, mid, ctl_text(request, "id"));
        return;
    }
    if (!message->is_resting || message->is_unread) {
        show_message(client, message, message_envelope(message));
        return;
    }
    show = mem_new(sizeof *show);
    show->client = client;
    show->mid = message->entry.by_mid.mid;
    show->read.done = on_show_read;
    show->read.wants_envelope = true;
    client_begin_work(client);
    spool_read(client->control->path->spool, &message->entry, 0, 0, &show->read);
}
