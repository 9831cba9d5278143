/* Queues and messages: list, show, retry, remove. */
#include "daemon/control_internal.h"

#include "base/mem.h"

#include "report/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

enum { ROWS_DEFAULT = 1000, ROWS_MAX = 100000, NAME_BYTES = 400 };

/* --- Queues ------------------------------------------------------------------------------ */

static const char *kind_of(const struct hop *hop)
{
    static const char *const kinds[] = { [DELIVERY_SMART_HOSTS] = "smarthost",
        [DELIVERY_MX] = "mx",
        [DELIVERY_LMTP] = "lmtp",
        [DELIVERY_MAILDIR] = "maildir" };

    return hop->connector ? kinds[hop->connector->delivery] : "unreachable";
}

static const char *status_of(const struct hop *hop)
{
    if (!hop->connector)
        return "unreachable";
    if (hop->is_suspended)
        return "suspended";
    if (hop->delivering_count)
        return "active";
    if (hop->is_down)
        return "retry";
    return hop->ready_count ? "connecting" : "ready";
}

static void identity_of(const struct path *path, const struct hop *hop, char out[NAME_BYTES])
{
    snprintf(out, NAME_BYTES, "%s\\%u", path->routed_by->settings->node, hop->number);
}

static int64_t seconds_until(const struct path *path, struct moment due)
{
    int64_t ms = due.ms - loop_now(path->home).ms;
    return ms > 0 ? (ms + 999) / 1000 : 0;
}

static void visit_oldest(struct list *items, int64_t *oldest)
{
    struct list *first = list_first(items);
    const struct item *item;

    if (!first)
        return;
    item = container_of(first, struct item, in_hop);
    if (item->message->arrived.ms < *oldest)
        *oldest = item->message->arrived.ms;
}

static void add_host(
    void *me, const char *name, const char *address, const char *state, const char *error)
{
    struct ctl_object *host = ctl_new();

    ctl_set_text(host, "name", bytes_text(name));
    ctl_set_text(host, "address", bytes_text(address));
    ctl_set_text(host, "state", bytes_text(state));
    ctl_set_text(host, "error", bytes_text(error));
    ctl_add_object(me, "hosts", &host);
}

static void queue_row(struct client *client, struct hop *hop)
{
    struct path *path = client->control->path;
    struct ctl_object *row = ctl_new();
    int64_t now = loop_wall(path->home).ms, oldest = now;
    char identity[NAME_BYTES];

    identity_of(path, hop, identity);
    for (unsigned i = 0; i < PRIORITY_COUNT; i++)
        visit_oldest(&hop->ready[i], &oldest);
    visit_oldest(&hop->waiting, &oldest);
    ctl_set_text(row, "identity", bytes_text(identity));
    ctl_set_text(row, "name", bytes_text(hop->name));
    ctl_set_text(
        row, "connector", bytes_text(hop->connector ? hop->connector->name : "unreachable"));
    ctl_set_text(row, "kind", bytes_text(kind_of(hop)));
    ctl_set_text(row, "status", bytes_text(status_of(hop)));
    ctl_set_number(row, "messages", (int64_t)hop_item_count(hop));
    ctl_set_number(row, "connections", deliver_connection_count(hop));
    ctl_set_number(row, "oldest_s", (now - oldest) / 1000);
    if (hop->is_down)
        ctl_set_number(row, "next_attempt_s", seconds_until(path, hop->retry.due));
    ctl_set_text(row, "last_error", bytes_text(hop->last_error));
    deliver_each_host(hop, add_host, row);
    client_row(client, &row);
}

void command_queues(struct client *client, const struct ctl_object *request)
{
    struct path *path = client->control->path;

    (void)request;
    list_each (node, &path->queue.all_hops)
        queue_row(client, container_of(node, struct hop, in_hops));
    copy_queue_rows(client);
    client_ok(client);
}

/* --- Messages ---------------------------------------------------------------------------- */

static const char *item_status(const struct item *item)
{
    switch (item->state) {
    case ITEM_READY:
        return item->hop->connector ? (item->hop->is_down ? "retry" : "ready") : "unreachable";
    case ITEM_WAITING:
        return "retry";
    case ITEM_ASIDE:
        return "fenced";
    case ITEM_DELIVERING:
        return "active";
    default:
        return "done";
    }
}

static const char *item_error(const struct item *item)
{
    if (item->last_error)
        return item->last_error->text;
    return item->hop && item->hop->is_down ? item->hop->last_error : "";
}

/* Of the message's items, the one that waits; the first when none does. */
static const struct item *item_to_show(const struct message *message)
{
    for (const struct item *item = &message->first; item; item = item->next) {
        if (item->state != ITEM_DONE && item->hop)
            return item;
    }
    return &message->first;
}

static void add_item(struct path *path, const struct message *message, struct ctl_object *row)
{
    const struct item *item = item_to_show(message);

    if (!item->hop)
        return;
    ctl_set_text(row, "queue", bytes_text(item->hop->name));
    ctl_set_text(row, "status", bytes_text(item_status(item)));
    ctl_set_number(row, "attempts", item->attempt_count);
    if (item->state == ITEM_WAITING)
        ctl_set_number(row, "next_attempt_s", seconds_until(path, item->next_attempt));
    else if (item->hop->is_down)
        ctl_set_number(row, "next_attempt_s", seconds_until(path, item->hop->retry.due));
    ctl_set_text(row, "last_error", bytes_text(item_error(item)));
}

static void add_message(
    struct path *path, const struct message *message, struct ctl_object *row)
{
    struct envelope envelope;
    struct envelope_cursor cursor;
    struct recipient recipient;
    char id[ID_TEXT_BYTES], date[DATE_ISO_BYTES];

    if (envelope_decode(message_envelope(message), &envelope) != OK)
        return;
    mid_format(message->entry.mid, id);
    wall_format_iso(message->arrived, date);
    ctl_set_text(row, "id", bytes_text(id));
    ctl_set_text(row, "from", envelope.sender);
    envelope_recipients(message_envelope(message), &cursor);
    for (uint32_t i = 0; envelope_next_recipient(&cursor, &recipient); i++) {
        if (spool_is_pending(spool_entry_outcome(&message->entry, i)))
            ctl_add_text(row, "to", recipient.address);
    }
    ctl_set_number(row, "size", (int64_t)(envelope.prepend.n + envelope.content_bytes));
    ctl_set_text(row, "arrived", bytes_text(date));
    ctl_set_number(row, "age_s", (loop_wall(path->home).ms - message->arrived.ms) / 1000);
    add_item(path, message, row);
}

static bool is_in_hop(const struct message *message, const struct hop *hop)
{
    for (const struct item *item = &message->first; item; item = item->next) {
        if (item->hop == hop && item->state != ITEM_DONE)
            return true;
    }
    return false;
}

/* The queue a request names; false: it names one that is not there, and was told so. */
static bool wanted_hop(
    struct client *client, const struct ctl_object *request, struct hop **out)
{
    const char *name = ctl_text(request, "queue");

    *out = NULL;
    if (!name)
        return true;
    *out = queue_find_hop(&client->control->path->queue, bytes_text(name));
    if (!*out)
        client_error(client, EX_NOINPUT, "no queue '%s'", name);
    return *out != NULL;
}

void command_queue(struct client *client, const struct ctl_object *request)
{
    struct path *path = client->control->path;
    int64_t limit = ctl_number(request, "limit", ROWS_DEFAULT);
    struct ctl_object *end;
    struct hop *hop;

    if (copy_queue(client, request) || !wanted_hop(client, request, &hop))
        return;
    if (limit < 0 || limit > ROWS_MAX)
        limit = ROWS_MAX;
    list_each (node, &path->queue.in_order) {
        const struct message *message = container_of(node, struct message, in_queue);
        struct ctl_object *row;
        if (hop && !is_in_hop(message, hop))
            continue;
        if (limit-- == 0)
            break;
        row = ctl_new();
        add_message(path, message, row);
        client_row(client, &row);
    }
    end = ctl_new();
    ctl_set_bool(end, "ok", true);
    ctl_set_number(end, "messages", (int64_t)path->queue.messages.count);
    ctl_set_number(end, "held", copy_count_held(path));
    client_end(client, &end);
}

static bool wanted_mid(struct client *client, const struct ctl_object *request, struct mid *out)
{
    const char *text = ctl_text(request, "id");

    if (text && mid_parse(bytes_text(text), out))
        return true;
    client_error(
        client, EX_USAGE, "'%s' is no message id (32 hexadecimal digits)", text ? text : "");
    return false;
}

/* The message a request names; NULL: none, and the client was told. */
static struct message *wanted_message(struct client *client, const struct ctl_object *request)
{
    struct message *message;
    struct mid mid;

    if (!wanted_mid(client, request, &mid))
        return NULL;
    message = queue_find(&client->control->path->queue, mid);
    if (!message)
        copy_refuse(client, mid, ctl_text(request, "id"));
    return message;
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
        [SPOOL_DELAYED] = "pending" };

    return outcome <= SPOOL_DELAYED ? texts[outcome] : "unknown";
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
            ctl_set_text(row, "last_error", bytes_text(item_error(item)));
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

    ctl_set_bool(end, "ok", true);
    add_message(client->control->path, message, end);
    copy_add_standing(client->control->path, message->entry.mid, end);
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

    if (!wanted_mid(client, request, &mid))
        return;
    message = queue_find(&client->control->path->queue, mid);
    if (!message) {
        if (!copy_show(client, mid))
            copy_refuse(client, mid, ctl_text(request, "id"));
        return;
    }
    if (!message->is_resting) {
        show_message(client, message, message_envelope(message));
        return;
    }
    show = mem_new(sizeof *show);
    show->client = client;
    show->mid = message->entry.mid;
    show->read.done = on_show_read;
    show->read.wants_envelope = true;
    client_begin_work(client);
    spool_read(client->control->path->spool, &message->entry, 0, 0, &show->read);
}

/* --- Changes ----------------------------------------------------------------------------- */

static void end_with_count(struct client *client, const char *name, int64_t count)
{
    struct ctl_object *end = ctl_new();

    ctl_set_bool(end, "ok", true);
    ctl_set_number(end, name, count);
    client_end(client, &end);
}

void command_retry(struct client *client, const struct ctl_object *request)
{
    struct path *path = client->control->path;
    int64_t count = 0;

    if (ctl_text(request, "id")) {
        struct message *message = wanted_message(client, request);
        if (!message)
            return;
        queue_retry_message(&path->queue, message);
        count = 1;
    } else {
        struct hop *only;
        if (!wanted_hop(client, request, &only))
            return;
        if (!only && !ctl_bool(request, "all")) {
            client_error(client, EX_USAGE, "retry what?  Name a queue, a message or all");
            return;
        }
        list_each (node, &path->queue.all_hops) {
            struct hop *hop = container_of(node, struct hop, in_hops);
            if (only && hop != only)
                continue;
            count += (int64_t)hop_item_count(hop);
            queue_retry_hop(&path->queue, hop);
        }
    }
    report(REPORT_ADMIN, R_CHARS("command", "retry"), R_NUMBER("messages", count));
    end_with_count(client, "retried", count);
}

static void report_removal(const struct message *message, bool with_notice)
{
    report(REPORT_ADMIN, R_MID(message->entry.mid), R_CHARS("command", "remove"),
        R_CHARS("ndr", with_notice ? "yes" : "no"));
}

void command_remove(struct client *client, const struct ctl_object *request)
{
    struct path *path = client->control->path;
    bool with_notice = ctl_bool(request, "ndr");
    int64_t removed = 0, busy = 0;
    struct ctl_object *end;
    struct hop *hop;

    if (ctl_text(request, "id")) {
        struct message *message = wanted_message(client, request);
        if (!message)
            return;
        report_removal(message, with_notice);
        if (!path_remove(path, message, NULL, with_notice)) {
            client_error(client, EX_TEMPFAIL,
                "the message is being delivered just now, or other nodes are asked about it");
            return;
        }
        end_with_count(client, "removed", 1);
        return;
    }
    if (!wanted_hop(client, request, &hop))
        return;
    if (!hop) {
        client_error(client, EX_USAGE, "remove what?  Name a queue or a message");
        return;
    }
    list_each (node, &path->queue.in_order) {
        struct message *message = container_of(node, struct message, in_queue);
        if (!is_in_hop(message, hop))
            continue;
        report_removal(message, with_notice);
        if (path_remove(path, message, hop, with_notice))
            removed++;
        else
            busy++;
    }
    end = ctl_new();
    ctl_set_bool(end, "ok", true);
    ctl_set_number(end, "removed", removed);
    ctl_set_number(end, "busy", busy);
    client_end(client, &end);
}
