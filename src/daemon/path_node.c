/* What the node tells the path: another's message is to be delivered here, ours by another, and
 * what was held back may go. */
#include "daemon/path_inside.h"

#include "base/mem.h"
#include "mail/trace.h"
#include "report/tracking.h"

#include <stdlib.h>

enum { TRY_AGAIN_MS = 30000, HEADER_BYTES_MAX = 2000 };

/* A message whose envelope is being read: it is in no queue yet. */
struct taking {
    struct path *path;
    struct spool_entry entry;
    struct spool_read read;
    struct timer again;
    bool is_reading;
    bool is_over; /* given back, or left, while it was being read */
    bool is_takeover;
    uint16_t generation;
    char from[];
};

/* --- Who has it -------------------------------------------------------------------------- */

static struct taking *find_taking(struct path *path, struct mid mid)
{
    struct mid_node *node = mid_table_find(&path->taking, mid);

    return node ? container_of(node, struct taking, entry.by_mid) : NULL;
}

static struct spool_entry *entry_of(void *me, struct mid mid)
{
    struct path *path = me;
    struct message *message = queue_find(&path->queue, mid);
    struct taking *taking;

    if (message)
        return &message->entry;
    taking = find_taking(path, mid);
    return taking ? &taking->entry : NULL;
}

bool path_is_known(struct path *path, struct mid mid)
{
    struct standing standing;

    return entry_of(path, mid) || ledger_standing(node_ledger(path->node), mid, &standing);
}

static void release(void *me, struct mid mid)
{
    struct path *path = me;
    struct message *message = queue_find(&path->queue, mid);

    if (!message)
        return; /* over, or about to be queued */
    message->is_held_back = false;
    queue_release(&path->queue, message);
}

/* --- Taken over -------------------------------------------------------------------------- */

static void set_takeover(
    struct path *path, struct message *message, uint16_t generation, const char *from)
{
    const struct settings *settings = path->routed_by->settings;
    struct buf header;

    buf_init(&header, HEADER_BYTES_MAX);
    if (trace_taken_over(bytes_text(from), bytes_text(settings->fqdn), generation,
            loop_wall(path->home), &header) != OK)
        abort(); /* its parts are bounded far below the ceiling */
    if (!path->takeover ||
        !takeover_is(path->takeover, generation, bytes_text(from), buf_bytes(&header))) {
        takeover_free(path->takeover);
        path->takeover = takeover_new(generation, bytes_text(from), buf_bytes(&header));
    }
    message_set_takeover(message, path->takeover);
    buf_done(&header);
}

struct message *path_make_message(struct spool_entry *entry, struct bytes encoded)
{
    struct envelope envelope;
    struct message *message;

    if (envelope_decode(encoded, &envelope) != OK)
        return NULL;
    message = message_new(entry->by_mid.mid, encoded, entry->recipient_count, envelope.arrived);
    message->priority = (uint8_t)priority_of(envelope.priority);
    message->crash_count = envelope.crash_count;
    for (uint32_t i = 0; i < entry->recipient_count; i++) {
        enum spool_outcome outcome = spool_entry_outcome(entry, i);
        message->pending_count -= !spool_is_pending(outcome);
        message->is_delay_told |= spool_is_delay_told(outcome);
        message->is_suspended |= spool_is_suspended(outcome);
    }
    return message;
}

void path_mark_takeover(
    struct path *path, struct message *message, const struct standing *standing)
{
    if (standing->generation)
        set_takeover(path, message, standing->generation,
            ledger_node_of_store(node_ledger(path->node), standing->from));
}

static void taking_free(struct taking *taking)
{
    timer_stop(&taking->again);
    free(taking);
}

/* --- Who can be looked for here ---------------------------------------------------------- */

/* False: there is none left whose outcome is not known. */
static bool next_pending(const struct message *message, struct envelope_cursor *cursor,
    uint32_t *number, struct recipient *out)
{
    while (envelope_next_recipient(cursor, out)) {
        enum spool_outcome outcome = spool_entry_outcome(&message->entry, (*number)++);
        if (spool_is_pending(outcome) && !out->is_expanded)
            return true;
    }
    return false;
}

static uint32_t count_pending(const struct message *message, struct bytes encoded)
{
    struct envelope_cursor cursor;
    struct recipient recipient;
    uint32_t number = 0, count = 0;

    envelope_recipients(encoded, &cursor);
    while (next_pending(message, &cursor, &number, &recipient))
        count++;
    return count;
}

/* This node has no RECEIVE of it: what the tool looks for has to stand here. */
static void tell_taken(const struct message *message, struct bytes encoded, const char *from)
{
    struct envelope_cursor cursor;
    struct envelope envelope;
    struct recipient recipient;
    struct tracking_list list;
    uint32_t number = 0;
    bool any;

    if (!report_tracks() || envelope_decode(encoded, &envelope) != OK)
        return;
    envelope_recipients(encoded, &cursor);
    any = next_pending(message, &cursor, &number, &recipient);
    do {
        tracking_list_clear(&list);
        while (any && tracking_list_add(&list, recipient.address))
            any = next_pending(message, &cursor, &number, &recipient);
        report(REPORT_TAKEN_OVER, R_MID(message->entry.by_mid.mid), R_SESSION(envelope.session),
            R_TEXT("connector", envelope.connector), R_CHARS("node", from),
            R_ADDRESS("from", envelope.sender),
            R_TEXT("recipients", tracking_list_bytes(&list)),
            R_NUMBER("nrcpt", count_pending(message, encoded)),
            R_NUMBER("size", (int64_t)(envelope.prepend.n + message->entry.content_bytes)),
            R_TEXT("message-id", envelope.message_id), R_TEXT("user", envelope.client_user));
    } while (any);
}

/* It is a message like any other now. */
static void begin_taken(struct taking *taking, struct bytes encoded)
{
    struct path *path = taking->path;
    struct message *message = path_make_message(&taking->entry, encoded);

    if (!message) {
        report_notice(REPORT_ERROR, "spool: a message's envelope cannot be read: left alone");
        path->damage_count++;
        return;
    }
    mid_table_remove(&path->taking, &taking->entry.by_mid);
    spool_move_entry(path->spool, &taking->entry, &message->entry);
    if (taking->is_takeover) {
        set_takeover(path, message, taking->generation, taking->from);
        tell_taken(message, encoded, taking->from);
    }
    message_rest(message); /* the log has the rest */
    taking_free(taking);
    path_judge_poison(path, message);
    path_begin(path, message);
}

static void read_envelope(struct taking *taking);

static void on_again(struct timer *timer)
{
    read_envelope(container_of(timer, struct taking, again));
}

/* The loop has set the message in work: it was, when the read was begun. */
static void on_read(struct spool_read *read)
{
    struct taking *taking = container_of(read, struct taking, read);
    uint8_t *envelope = read->envelope;

    taking->is_reading = false;
    free(read->at);
    if (taking->is_over) {
        taking_free(taking);
    } else if (read->err == OK) {
        begin_taken(taking, bytes_of(envelope, read->envelope_n));
    } else {
        char id[ID_TEXT_BYTES];
        mid_format(taking->entry.by_mid.mid, id);
        report_notice(REPORT_ERROR, "spool: message %s, which this node is to deliver: %s", id,
            err_text(read->err));
        if (read->err != ERR_CORRUPT) /* that one stays where it is, for the administrator */
            timer_start(&taking->again, TRY_AGAIN_MS);
    }
    free(envelope);
}

static void read_envelope(struct taking *taking)
{
    struct crash_work before = crash_begin(taking->entry.by_mid.mid, PATH_RECOVERING);

    taking->is_reading = true;
    taking->read = (struct spool_read){ .wants_envelope = true, .done = on_read };
    spool_read(taking->path->spool, &taking->entry, 0, 0, &taking->read);
    crash_end(before);
}

static void take(void *me, struct spool_entry *entry, uint16_t generation, const char *from)
{
    struct path *path = me;
    size_t from_n = from ? strlen(from) : 0;
    struct taking *taking = mem_new(sizeof *taking + from_n + 1);

    taking->path = path;
    taking->is_takeover = from_n || generation;
    taking->generation = generation;
    if (from_n)
        memcpy(taking->from, from, from_n);
    timer_init(&taking->again, path->home, on_again);
    spool_move_entry(path->spool, entry, &taking->entry);
    mid_table_add(&path->taking, &taking->entry.by_mid);
    read_envelope(taking);
}

void path_reopen(struct path *path, struct message *message)
{
    const struct takeover *takeover = message_takeover(message);

    take(path, &message->entry, takeover ? takeover->generation : 0,
        takeover ? takeover->from : NULL);
    queue_forget(&path->queue, message);
}

/* --- Withdrawn --------------------------------------------------------------------------- */

void path_give_back(struct path *path, struct message *message)
{
    struct mid mid = message->entry.by_mid.mid;

    node_give_back(path->node, &message->entry);
    queue_forget(&path->queue, message);
    secure_delivered(&path->secure, mid); /* another node has it: that was waited for */
}

/* The entry is somebody else's: the memory goes, once nobody reads into it. */
static void end_taking(struct taking *taking)
{
    mid_table_remove(&taking->path->taking, &taking->entry.by_mid);
    taking->is_over = true;
    if (!taking->is_reading)
        taking_free(taking);
}

static void withdraw(void *me, struct mid mid)
{
    struct path *path = me;
    struct message *message = queue_find(&path->queue, mid);
    struct taking *taking;

    if (message) {
        queue_withdraw(&path->queue, message);
        if (message->delivering_count == 0)
            path_give_back(path, message);
        return;
    }
    taking = find_taking(path, mid);
    if (taking) {
        node_give_back(path->node, &taking->entry);
        end_taking(taking);
    }
}

/* --- Beginning and end ------------------------------------------------------------------- */

enum err path_open_node(struct path *path, const struct settings *settings, char why[512])
{
    struct node_config config = {
        .home = path->home,
        .spool = path->spool,
        .settings = settings,
        .path = { .me = path,
            .entry_of = entry_of,
            .release = release,
            .take = take,
            .withdraw = withdraw,
            .crash_count = path_crash_count,
            .may_copy = path_may_copy },
    };

    return node_new(&config, &path->node, why);
}

static void leave_taking(struct mid_node *node, void *me)
{
    struct path *path = me;
    struct taking *taking = container_of(node, struct taking, entry.by_mid);

    spool_leave(path->spool, &taking->entry);
    end_taking(taking);
}

void path_leave_node(struct path *path)
{
    mid_table_each(&path->taking, leave_taking, path);
    mid_table_done(&path->taking);
    takeover_free(path->takeover);
    path->takeover = NULL;
}
