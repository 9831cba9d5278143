#include "ctl/offline.h"

#include "base/mem.h"
#include "mail/envelope.h"
#include "os/clock.h"
#include "os/file.h"
#include "policy/poison.h"

#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

struct scan {
    const struct offline_reader *reader;
    bool shows_progress;
};

static void on_message(void *me, const struct spool_found *found)
{
    const struct scan *scan = me;

    if (scan->reader->on_message)
        scan->reader->on_message(scan->reader->me, found);
    if (found->entry.recipient_count > sizeof found->entry.outcome.few)
        free(found->entry.outcome.many);
}

static void on_damage(void *me, uint64_t at, const char *why)
{
    const struct scan *scan = me;

    if (scan->reader->on_damage)
        scan->reader->on_damage(scan->reader->me, at, why);
}

static void on_progress(void *me, uint64_t done, uint64_t all)
{
    const struct scan *scan = me;

    if (scan->shows_progress && all)
        fprintf(stderr, "\r%3.0f %% of %llu MB ", 100 * (double)done / (double)all,
            (unsigned long long)(all >> 20));
}

int offline_scan(struct tool *tool, const struct offline_reader *reader)
{
    struct scan scan = { reader, isatty(STDERR_FILENO) };
    struct spool_visitor visitor = { &scan, on_message, on_damage, on_progress, NULL };
    char why[256] = "";
    int code = EX_OK;
    const char *folder = reader->folder ? reader->folder : tool_spool_folder(tool, &code);
    enum err err;

    if (!folder)
        return code;
    err = spool_scan(folder, &visitor, why);
    if (scan.shows_progress)
        fputs("\r                         \r", stderr);
    if (err == ERR_NONE)
        return tool_fail(tool, tool_code(err),
            "%s is no spool yet, or not the right folder: %s", folder,
            why[0] ? why : err_text(err));
    if (err != OK)
        return tool_fail(tool, tool_code(err), "the spool: %s", why[0] ? why : err_text(err));
    return EX_OK;
}

void offline_say(struct tool *tool)
{
    int code;
    const char *folder = tool->spool_folder || tool_knows(tool, DIRECTORY_SPOOL_FOLDER)
                             ? tool_spool_folder(tool, &code)
                             : NULL;

    if (folder) /* else the scan says it */
        fprintf(stderr, "relais: the daemon is down; reading the spool %s\n", folder);
}

/* --- Rows -------------------------------------------------------------------------------- */

static const char *const outcomes[] = { "pending", "delivered", "failed", "removed",
    "relayed" };

static void add_recipients(struct ctl_object *row, const struct spool_found *found, bool all)
{
    struct envelope_cursor cursor;
    struct recipient recipient;

    envelope_recipients(found->envelope, &cursor);
    for (uint32_t i = 0;
         envelope_next_recipient(&cursor, &recipient) && i < found->entry.recipient_count;
         i++) {
        enum spool_outcome outcome = spool_entry_outcome(&found->entry, i);
        struct ctl_object *object;
        if (spool_is_pending(outcome))
            ctl_add_text(row, "to", recipient.address);
        if (!all)
            continue;
        object = ctl_new();
        ctl_set_text(object, "address", recipient.address);
        ctl_set_text(object, "outcome", bytes_text(outcomes[outcome]));
        if (recipient.orcpt.n)
            ctl_set_text(object, "orcpt", recipient.orcpt);
        ctl_add_object(row, "recipients", &object);
    }
}

static void set_if(struct ctl_object *row, const char *name, struct bytes text)
{
    if (text.n)
        ctl_set_text(row, name, text);
}

static void add_details(struct ctl_object *row, const struct envelope *envelope)
{
    static const char *const bodies[] = { "7BIT", "8BITMIME", "BINARYMIME" };

    set_if(row, "connector", envelope->connector);
    set_if(row, "client_name", envelope->client_name);
    set_if(row, "client_ip", envelope->client_ip);
    set_if(row, "client_user", envelope->client_user);
    set_if(row, "message_id", envelope->message_id);
    set_if(row, "envid", envelope->envid);
    if (envelope->session.n) {
        char session[SESSION_ID_TEXT_BYTES];
        session_id_format(envelope->session, session);
        ctl_set_text(row, "session", bytes_text(session));
    }
    ctl_set_text(row, "body", bytes_text(bodies[envelope->body]));
    ctl_set_bool(row, "smtputf8", envelope->is_smtputf8);
    ctl_set_number(row, "priority", envelope->priority);
}

enum standing_role offline_role(const struct spool_found *found)
{
    return found->has_standing ? (enum standing_role)found->standing.role : STANDING_PRIMARY;
}

/* Whose copy it is: by its store alone, for which node that was the daemon knows. */
static void add_standing(struct ctl_object *row, const struct spool_found *found)
{
    static const char *const roles[STANDING_ROLE_COUNT] = { "primary", "held", "unclaimed",
        "settled", "aside" };
    enum standing_role role = offline_role(found);
    char store[ID_TEXT_BYTES], queue[64];

    ctl_set_text(row, "role", bytes_text(roles[role]));
    ctl_set_text(row, "status", bytes_text(role == STANDING_PRIMARY ? "stored" : roles[role]));
    if (!found->has_standing)
        return;
    ctl_set_number(row, "generation", found->standing.generation);
    if (role != STANDING_HELD && role != STANDING_UNCLAIMED)
        return;
    store_id_format(found->standing.owner, store);
    snprintf(queue, sizeof queue, "shadow\\%.8s", store);
    ctl_set_text(row, "held_for_store", bytes_text(store));
    ctl_set_text(row, "queue", bytes_text(queue));
}

struct ctl_object *offline_row(const struct spool_found *found, bool all)
{
    struct ctl_object *row = ctl_new();
    struct envelope envelope;
    char id[ID_TEXT_BYTES], arrived[DATE_ISO_BYTES];

    mid_format(found->mid, id);
    ctl_set_text(row, "id", bytes_text(id));
    add_standing(row, found);
    if (found->envelope.n == 0 || envelope_decode(found->envelope, &envelope) != OK) {
        if (offline_role(found) != STANDING_SETTLED) /* of what is over only a word is kept */
            ctl_set_text(row, "status", BYTES("damaged"));
        return row;
    }
    wall_format_iso(envelope.arrived, arrived);
    ctl_set_text(row, "from", envelope.sender);
    ctl_set_number(row, "size", (int64_t)found->entry.content_bytes);
    ctl_set_text(row, "arrived", bytes_text(arrived));
    ctl_set_number(row, "age_s", (clock_wall().ms - envelope.arrived.ms) / 1000);
    add_recipients(row, found, all);
    if (all)
        add_details(row, &envelope);
    return row;
}

/* --- Poison ------------------------------------------------------------------------------ */

enum { POISON_FILE_BYTES_MAX = 1 << 20 };

/* What the daemon noted of its crashes.  Without the file there were none. */
static const struct poison_notes *notes_of(struct tool *tool)
{
    const char *folder = tool->settings->state_folder;
    size_t n = strlen(folder) + sizeof "/poison", bad = 0;
    struct buf text;
    char *file;
    enum err err;

    if (tool->poison)
        return tool->poison;
    tool->poison = mem_new(sizeof *tool->poison);
    file = mem_new(n);
    snprintf(file, n, "%s/poison", folder);
    buf_init(&text, POISON_FILE_BYTES_MAX);
    err = file_read_all(file, POISON_FILE_BYTES_MAX, &text);
    if (err == OK)
        poison_parse(buf_bytes(&text), tool->poison, &bad);
    else if (err != ERR_NONE)
        fprintf(stderr, "relais: %s: %s; poison is not known as such\n", file, err_text(err));
    buf_done(&text);
    free(file);
    return tool->poison;
}

void offline_done(struct tool *tool)
{
    if (tool->poison)
        poison_notes_done(tool->poison);
    free(tool->poison);
    tool->poison = NULL;
}

bool offline_add_poison(
    struct tool *tool, const struct spool_found *found, struct ctl_object *row)
{
    const struct poison_note *note;
    struct envelope envelope = { .crash_count = 0 };
    char why[POISON_WHY_BYTES];
    uint32_t count;

    if (offline_role(found) != STANDING_PRIMARY ||
        !tool_knows(tool, DIRECTORY_STATE_FOLDER | DIRECTORY_POISON))
        return false;
    if (found->envelope.n && envelope_decode(found->envelope, &envelope) != OK)
        return false; /* its row says so */
    note = poison_find(notes_of(tool), found->mid);
    count = poison_count(note, envelope.crash_count);
    if (!poison_is_reached(tool->settings->poison_threshold, count))
        return false;
    poison_why(note, count, why);
    ctl_set_text(row, "queue", BYTES("poison"));
    ctl_set_text(row, "status", BYTES("suspended"));
    ctl_set_text(row, "last_error", bytes_text(why));
    return true;
}

/* --- One message ------------------------------------------------------------------------- */

struct search {
    struct tool *tool;
    struct mid mid;
    struct spool_entry entry;
    struct ctl_object *row;
};

static void compare(void *me, const struct spool_found *found)
{
    struct search *search = me;

    if (search->row || !mid_equal(found->mid, search->mid))
        return;
    search->row = offline_row(found, true);
    offline_add_poison(search->tool, found, search->row);
    search->entry = found->entry;
}

/* The content as it will be sent on: our trace fields, then what was received. */
static enum err read_content(
    const char *folder, const struct spool_entry *entry, struct buf *content)
{
    struct envelope envelope;
    struct buf encoded, body;
    enum err err;

    buf_init(&encoded, OFFLINE_BYTES_MAX);
    buf_init(&body, OFFLINE_BYTES_MAX);
    err = spool_read_offline(folder, entry, &encoded, &body);
    if (err == OK)
        err = envelope_decode(buf_bytes(&encoded), &envelope);
    if (err == OK)
        err = buf_add(content, envelope.prepend);
    if (err == OK)
        err = buf_add(content, buf_bytes(&body));
    buf_done(&encoded);
    buf_done(&body);
    return err;
}

int offline_message(
    struct tool *tool, struct mid mid, struct ctl_object **row, struct buf *content)
{
    struct search search = { .tool = tool, .mid = mid };
    struct offline_reader reader = { .on_message = compare, .me = &search };
    int code = offline_scan(tool, &reader);
    enum err err;

    if (code != EX_OK)
        return code;
    if (!search.row)
        return tool_fail(tool, EX_NOINPUT, "no such message is in the spool");
    if (search.entry.is_word) {
        ctl_free(search.row);
        return tool_fail(
            tool, EX_NOINPUT, "it is over: only a word to other nodes is kept of it");
    }
    err = read_content(tool_spool_folder(tool, &code), &search.entry, content);
    if (err != OK) {
        ctl_free(search.row);
        return tool_fail(tool, tool_code(err), "the message cannot be read: %s", err_text(err));
    }
    *row = search.row;
    return EX_OK;
}
