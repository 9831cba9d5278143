/* Messages that the process died with (PM-2).
 *
 * 1. A crash leaves a page in the file `crash` of the state folder: which message the thread had in
 *    work (os/crash.h).  The next process counts it before it opens the spool, in the file
 *    `poison`, which is durable before anything is handed out.  The page has the time of the
 *    crash, so a process that is killed in between counts it once.
 * 2. At poison_threshold the message is poison: it goes to the queue of that name when it is
 *    recovered, without being routed, and stays there.
 * 3. What dies while a message is read at the start would die at every start.  Such a message is
 *    found closed (spool_visitor.is_feared): an envelope is made up for it, with recipients that
 *    nobody has and no sender, and only `relais resume` reads the true one again.
 * 4. Notes of messages that are in the spool no more are dropped at the next start. */
#include "daemon/path_inside.h"

#include "base/mem.h"
#include "os/file.h"
#include "report/report.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { FILE_BYTES_MAX = 1 << 20, FILE_MODE = 0640, FOLDER_MODE = 0750 };

static char *name_file(const struct settings *settings, const char *name)
{
    size_t n = strlen(settings->state_folder) + strlen(name) + 2;
    char *file = mem_new(n);

    snprintf(file, n, "%s/%s", settings->state_folder, name);
    return file;
}

/* --- The notes --------------------------------------------------------------------------- */

static void read_notes(struct path_poison *poison)
{
    struct buf text;
    size_t bad = 0;
    enum err err;

    buf_init(&text, FILE_BYTES_MAX);
    err = file_read_all(poison->file, FILE_BYTES_MAX, &text);
    if (err == OK)
        poison_parse(buf_bytes(&text), &poison->notes, &bad);
    else if (err != ERR_NONE)
        report_notice(
            REPORT_ERROR, "%s: what is poison cannot be read: %s", poison->file, err_text(err));
    if (bad)
        report_notice(REPORT_ERROR, "%s: lines that make no sense: %zu", poison->file, bad);
    buf_done(&text);
}

static void write_notes(struct path_poison *poison)
{
    struct buf text;
    enum err err;

    buf_init(&text, FILE_BYTES_MAX);
    err = poison_format(&poison->notes, &text);
    if (err == OK)
        err = file_replace(poison->file, buf_bytes(&text), FILE_MODE);
    if (err != OK)
        report_notice(REPORT_ERROR, "%s: what is poison cannot be written: %s", poison->file,
            err_text(err));
    buf_done(&text);
}

static void count_crash(struct path_poison *poison, const struct crash_report *crash)
{
    struct poison_note note = { .mid = crash->mid, .when = crash->when };
    char name[20], date[DATE_ISO_BYTES];

    snprintf(note.signal, sizeof note.signal, "%s", crash_signal_name(crash->signum, name));
    for (char *c = note.signal; (c = strchr(c, ' '));)
        *c = '-'; /* one word */
    wall_format_iso(crash->when, date);
    if (!crash->has_message) {
        report(REPORT_CRASHED, R_CHARS("signal", note.signal), R_CHARS("at", date),
            R_CHARS("text", "no message was in work"));
        return;
    }
    snprintf(note.doing, sizeof note.doing, "%s", crash->doing);
    poison_raise(&poison->notes, &note);
    report(REPORT_CRASHED, R_MID(note.mid), R_CHARS("signal", note.signal), R_CHARS("at", date),
        R_CHARS("doing", note.doing),
        R_NUMBER("count", poison_find(&poison->notes, note.mid)->count),
        R_NUMBER("threshold", poison->threshold));
    write_notes(poison);
}

void path_open_poison(struct path *path, const struct settings *settings)
{
    struct path_poison *poison = &path->poison;
    char *crash_file = name_file(settings, "crash");
    struct crash_report crash;
    enum err err = folder_make(settings->state_folder, FOLDER_MODE);

    poison->file = name_file(settings, "poison");
    poison->threshold = settings->poison_threshold;
    read_notes(poison);
    if (err == OK && crash_read(crash_file, &crash) == OK)
        count_crash(poison, &crash);
    if (err == OK)
        err = crash_watch(crash_file);
    if (err != OK)
        report_notice(
            REPORT_ERROR, "%s: a crash will blame no message: %s", crash_file, err_text(err));
    free(crash_file);
}

void path_close_poison(struct path *path)
{
    poison_notes_done(&path->poison.notes);
    free(path->poison.file);
}

void path_meet_poison(struct path *path, struct mid mid)
{
    struct poison_note *note = poison_find(&path->poison.notes, mid);

    if (note)
        note->is_here = true;
}

void path_prune_poison(struct path *path)
{
    if (poison_prune(&path->poison.notes))
        write_notes(&path->poison);
}

/* --- Judging ----------------------------------------------------------------------------- */

static bool is_reached(const struct path *path, const struct poison_note *note, uint8_t carried)
{
    return poison_is_reached(path->poison.threshold, poison_count(note, carried));
}

/* Of what NOTE says it was DOING when it was once too often. */
static bool is_fatal(const struct path *path, struct mid mid, const char *doing)
{
    const struct poison_note *note = poison_find(&path->poison.notes, mid);

    return note && is_reached(path, note, 0) && strcmp(note->doing, doing) == 0;
}

bool path_is_feared(const struct path *path, struct mid mid)
{
    return is_fatal(path, mid, PATH_RECOVERING);
}

bool path_may_copy(void *me, struct mid mid)
{
    return !is_fatal(me, mid, NODE_COPYING);
}

uint8_t path_crash_count(void *me, struct mid mid, uint8_t carried)
{
    const struct path *path = me;
    uint32_t count = poison_count(poison_find(&path->poison.notes, mid), carried);

    return count < UINT8_MAX ? (uint8_t)count : UINT8_MAX;
}

void path_poison_why(
    const struct path *path, const struct message *message, char out[POISON_WHY_BYTES])
{
    const struct poison_note *note =
        poison_find(&path->poison.notes, message->entry.by_mid.mid);

    out[0] = '\0';
    if (message->is_poison)
        poison_why(note, poison_count(note, message->crash_count), out);
}

size_t path_poison_count(const struct path *path)
{
    list_each (node, &path->queue.all_hops) {
        const struct hop *hop = container_of(node, struct hop, in_hops);
        if (hop_is_poison(hop))
            return hop_item_count(hop);
    }
    return 0;
}

static void tell(const struct path *path, const struct message *message)
{
    struct envelope envelope = { .recipient_count = 0 };
    char why[POISON_WHY_BYTES];

    if (envelope_decode(message_envelope(message), &envelope) != OK)
        abort(); /* it was decoded when the message came in, and lies in our memory */
    path_poison_why(path, message, why);
    report(REPORT_POISON, R_MID(message->entry.by_mid.mid), R_ADDRESS("from", envelope.sender),
        R_NUMBER("nrcpt", (int64_t)envelope.recipient_count), R_CHARS("queue", HOP_POISON),
        R_CHARS("reason", why));
}

void path_judge_poison(struct path *path, struct message *message)
{
    const struct poison_note *note;

    if (!path->poison.notes.count && !message->crash_count)
        return; /* nearly always */
    note = poison_find(&path->poison.notes, message->entry.by_mid.mid);
    if (!is_reached(path, note, message->crash_count))
        return;
    message->is_poison = true;
    message->is_suspended = true;
    tell(path, message);
}

void path_label_poison(struct path *path, struct message *message)
{
    char why[POISON_WHY_BYTES];
    struct shared_text *text;

    path_poison_why(path, message, why);
    text = shared_text_new(why);
    for (struct item *item = &message->first; item; item = item->next)
        item_set_error(item, text);
    shared_text_free(text);
}

/* --- Unread ------------------------------------------------------------------------------ */

struct message *path_make_unread(const struct path *path, const struct spool_entry *entry)
{
    const struct poison_note *note = poison_find(&path->poison.notes, entry->by_mid.mid);
    size_t count = entry->recipient_count;
    struct recipient *recipients = mem_new((count + 1) * sizeof *recipients);
    struct envelope envelope = { .recipients = recipients,
        .recipient_count = count,
        .connector = BYTES("unread"),
        .content_bytes = entry->content_bytes };
    struct message *message;
    struct buf encoded;

    if (count > ENVELOPE_RECIPIENTS_MAX) {
        free(recipients);
        return NULL;
    }
    assert(note); /* it says that it is feared */
    for (size_t i = 0; i < count; i++)
        recipients[i] = (struct recipient){ .address = BYTES("unread@poison.invalid"),
            .notify = NOTIFY_NEVER };
    buf_init(&encoded, ENVELOPE_BYTES_MAX);
    if (envelope_encode(&envelope, &encoded) != OK)
        abort(); /* fewer bytes than the true one had room for */
    message =
        message_new(entry->by_mid.mid, buf_bytes(&encoded), entry->recipient_count, note->when);
    message->is_unread = true;
    message->is_delay_told = true;
    for (uint32_t i = 0; i < count; i++)
        message->pending_count -= !spool_is_pending(spool_entry_outcome(entry, i));
    buf_done(&encoded);
    free(recipients);
    return message;
}

/* --- By command -------------------------------------------------------------------------- */

bool path_forgive(struct path *path, struct message *message)
{
    if (message->is_unread && !path_has_right(path, message))
        return false; /* that it is held back would be forgotten with it */
    poison_forgive(&path->poison.notes, message->entry.by_mid.mid, message->crash_count);
    write_notes(&path->poison);
    spool_suspend(path->spool, &message->entry, false); /* by command, before */
    if (message->is_unread) {
        path_reopen(path, message);
        return true;
    }
    message->is_poison = false;
    message->is_suspended = false;
    path_reroute(path, message);
    path_start(path, message);
    return true;
}
