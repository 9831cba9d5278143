/* Final delivery into a Maildir: tmp, fsync, link into new, fsync of the folder.
 *
 * A job takes one item and writes it for each of its recipients, on a thread of the pool;
 * content that is not in memory is read piece by piece on the way.  The file's bytes are those
 * of the message as it was received (CRLF lines), after Return-Path and our trace fields. */
#include "flow/deliver/internal.h"

#include "base/mem.h"
#include "mail/address.h"
#include "mail/trace.h"
#include "os/clock.h"
#include "os/file.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PIECE_BYTES = 1 << 20, PATH_BYTES = 1024, HEAD_BYTES_MAX = 128 << 10 };

struct job {
    struct destination *destination;
    struct item *item;
    struct setup *setup;
    char *pattern;  /* the connector's maildir */
    char name[128]; /* unique: the same in tmp and in new */
    struct bytes *recipients;
    struct result *results;
    char (*paths)[PATH_BYTES];
    uint32_t count;
    struct file *files;
    struct buf head;
    struct spool_content *content;
    uint64_t content_bytes, done;
    struct spool_read read;
    uint8_t *envelope; /* our own, of a message that rested; else NULL */
    size_t envelope_n;
    uint8_t *piece;
    size_t piece_n;
    struct loop_work work;
};

/* --- Where it goes ----------------------------------------------------------------------- */

/* Nothing that could lead out of the pattern's folder. */
static bool is_safe_name(struct bytes name)
{
    if (name.n == 0 || name.n > 200 || name.at[0] == '.')
        return false;
    for (size_t i = 0; i < name.n; i++) {
        if (name.at[i] == '/' || name.at[i] < 32 || name.at[i] == 127)
            return false;
    }
    return true;
}

static bool add_lower(struct buf *out, struct bytes text)
{
    uint8_t *to = buf_room(out, text.n);

    if (!to)
        return false;
    for (size_t i = 0; i < text.n; i++)
        to[i] = ascii_lower(text.at[i]);
    buf_wrote(out, text.n);
    return true;
}

/* "%u" is the local part without "+detail", "%d" the domain, both in lower case. */
static bool expand(const char *pattern, struct bytes recipient, char out[PATH_BYTES])
{
    struct address address;
    struct buf path;
    size_t plus;
    bool ok = true;

    if (address_parse(recipient, ADDRESS_UTF8 | ADDRESS_LOCAL_ONLY, &address) != ADDRESS_OK)
        return false;
    plus = bytes_find(address.local, '+');
    if (!address.is_quoted && plus != BYTES_NOT_FOUND && plus > 0)
        address.local.n = plus;
    buf_init(&path, PATH_BYTES - 1);
    for (const char *p = pattern; *p && ok; p++) {
        struct bytes put = bytes_of(p, 1);
        if (p[0] == '%' && (p[1] == 'u' || p[1] == 'd')) {
            put = p[1] == 'u' ? address.local : address.domain;
            ok = is_safe_name(put) && add_lower(&path, put);
            p++;
        } else {
            if (p[0] == '%' && p[1] == '%')
                p++;
            ok = buf_add(&path, put) == OK;
        }
    }
    if (ok) {
        memcpy(out, path.at, path.n);
        out[path.n] = 0;
    }
    buf_done(&path);
    return ok;
}

/* --- On the pool's thread ---------------------------------------------------------------- */

static void set_failure(struct result *result, enum err err, const char *what)
{
    result->fate = FATE_DEFERRED;
    if (err == ERR_SPACE)
        result->verdict = verdict_of(452, STATUS(4, 2, 2), "%s: %s", what, err_text(err));
    else
        result->verdict = verdict_of(451, STATUS(4, 3, 0), "%s: %s", what, err_text(err));
}

static enum err make_maildir(const char *path)
{
    static const char *const folders[] = { "tmp", "new", "cur" };
    char sub[PATH_BYTES + 8];

    for (size_t i = 0; i < 3; i++) {
        enum err err;
        snprintf(sub, sizeof sub, "%s/%s", path, folders[i]);
        err = folder_make(sub, 0700);
        if (err != OK)
            return err;
    }
    return OK;
}

static void in_folder(
    const struct job *job, uint32_t at, const char *folder, char *out, size_t n)
{
    snprintf(out, n, "%s/%s/%s", job->paths[at], folder, job->name);
}

static void open_one(struct job *job, uint32_t at)
{
    char path[PATH_BYTES + 160];
    enum err err;

    job->files[at].fd = -1;
    if (job->results[at].fate != FATE_DELIVERED)
        return;
    in_folder(job, at, "tmp", path, sizeof path);
    err = file_open(path, FILE_WRITE | FILE_CREATE, &job->files[at]);
    if (err == ERR_NONE) { /* the first mail for this one */
        err = make_maildir(job->paths[at]);
        if (err == OK)
            err = file_open(path, FILE_WRITE | FILE_CREATE, &job->files[at]);
    }
    if (err != OK)
        set_failure(&job->results[at], err, "cannot create a file in the Maildir");
}

static void write_all(struct job *job, struct bytes bytes, uint64_t at)
{
    for (uint32_t i = 0; i < job->count; i++) {
        enum err err;
        if (job->results[i].fate != FATE_DELIVERED)
            continue;
        err = file_write_at(job->files[i], bytes, at);
        if (err != OK)
            set_failure(&job->results[i], err, "cannot write to the Maildir");
    }
}

static void on_work_begin(struct loop_work *work)
{
    struct job *job = container_of(work, struct job, work);

    for (uint32_t i = 0; i < job->count; i++)
        open_one(job, i);
    write_all(job, buf_bytes(&job->head), 0);
}

static void on_work_write(struct loop_work *work)
{
    struct job *job = container_of(work, struct job, work);
    uint64_t at = job->head.n + job->done;
    struct bytes run;

    if (!job->content) {
        write_all(job, bytes_of(job->piece, job->piece_n), at);
        return;
    }
    for (uint64_t from = 0; (run = spool_content_at(job->content, from)).n; from += run.n)
        write_all(job, run, at + from);
}

static void finish_one(struct job *job, uint32_t at)
{
    char from[PATH_BYTES + 160], to[PATH_BYTES + 160], folder[PATH_BYTES + 8];
    struct result *result = &job->results[at];
    enum err err;

    in_folder(job, at, "tmp", from, sizeof from);
    in_folder(job, at, "new", to, sizeof to);
    snprintf(folder, sizeof folder, "%s/new", job->paths[at]);
    if (result->fate == FATE_DELIVERED) {
        err = file_sync(job->files[at]);
        if (err == OK)
            err = file_rename(from, to);
        if (err == OK)
            err = folder_sync(folder);
        if (err != OK)
            set_failure(result, err, "cannot finish the file in the Maildir");
    }
    if (result->fate != FATE_DELIVERED && job->files[at].fd >= 0)
        err_ignore(file_remove(from)); /* a reader of the Maildir sweeps tmp as well */
    file_close(&job->files[at]);
}

static void on_work_finish(struct loop_work *work)
{
    struct job *job = container_of(work, struct job, work);

    for (uint32_t i = 0; i < job->count; i++)
        finish_one(job, i);
}

/* --- On the home loop -------------------------------------------------------------------- */

static void job_free(struct job *job)
{
    setup_free(job->setup);
    spool_content_free(job->content);
    buf_done(&job->head);
    free(job->envelope);
    free(job->piece);
    free(job->pattern);
    free(job->recipients);
    free(job->results);
    free(job->paths);
    free(job->files);
    free(job);
}

static void on_finished(struct loop_work *work)
{
    struct job *job = container_of(work, struct job, work);
    struct destination *destination = job->destination;
    struct deliver *deliver = destination->deliver;
    bool any_ok = false;

    destination->job_count--;
    destination->users++;
    for (uint32_t i = 0; i < job->count; i++)
        any_ok |= job->results[i].fate == FATE_DELIVERED;
    if (any_ok && !destination->is_forgotten && destination->hop->is_down)
        deliver->hop_up(deliver, destination->hop);
    deliver->finished(deliver, job->item, job->results,
        &(struct attempt){ "local", bytes_of(job->envelope, job->envelope_n) });
    job_free(job);
    deliver_release(deliver);
    destination->users--;
    if (!destination->is_forgotten && destination->hop->ready_count)
        maildir_want(destination);
    destination_free_if_done(destination);
}

static void finish(struct job *job)
{
    job->work.run = on_work_finish;
    job->work.done = on_finished;
    loop_work(job->destination->deliver->loop, &job->work);
}

static void go_on(struct loop_work *work);

static void fail_reading(struct job *job, enum err err)
{
    for (uint32_t i = 0; i < job->count; i++) {
        if (job->results[i].fate == FATE_DELIVERED)
            job->results[i] = deliver_unreadable(job->results[i].recipient, err);
    }
    finish(job);
}

static void write_next(struct job *job)
{
    job->work.run = on_work_write;
    job->work.done = go_on;
    loop_work(job->destination->deliver->loop, &job->work);
}

static void on_piece(struct spool_read *read)
{
    struct job *job = container_of(read, struct job, read);

    if (read->err != OK || read->n == 0) {
        free(read->at);
        fail_reading(job, read->err == OK ? ERR_CORRUPT : read->err);
        return;
    }
    free(job->piece);
    job->piece = read->at;
    job->piece_n = read->n;
    write_next(job);
}

/* The files are begun. */
static void on_begun(struct loop_work *work)
{
    struct job *job = container_of(work, struct job, work);

    if (job->content_bytes == 0)
        finish(job);
    else if (job->content || job->piece_n)
        write_next(job);
    else
        go_on(work);
}

/* What was there is written: the next piece. */
static void go_on(struct loop_work *work)
{
    struct job *job = container_of(work, struct job, work);

    job->done += job->content ? job->content_bytes : job->piece_n;
    if (job->done >= job->content_bytes) {
        finish(job);
        return;
    }
    job->read.done = on_piece;
    job->read.wants_envelope = false;
    spool_read(job->destination->deliver->spool, &item_message(job->item)->entry, job->done,
        PIECE_BYTES, &job->read);
}

static void list_recipients(struct job *job, struct bytes encoded)
{
    struct envelope_cursor cursor;
    struct recipient recipient;
    uint32_t at = 0;

    envelope_recipients(encoded, &cursor);
    for (uint32_t i = 0; at < job->count && envelope_next_recipient(&cursor, &recipient); i++) {
        struct result *result = &job->results[at];
        if (item_recipient(job->item, at) != i)
            continue;
        *result = (struct result){ .recipient = i,
            .fate = FATE_DELIVERED,
            .is_final = true,
            .verdict = verdict_of(250, STATUS(2, 0, 0), "delivered to Maildir") };
        if (!expand(job->pattern, recipient.address, job->paths[at])) {
            result->fate = FATE_FAILED;
            result->verdict = verdict_of(
                550, STATUS(5, 1, 1), "Recipient has no name that a Maildir could have");
        }
        at++;
    }
}

/* The envelope is there: the files can be begun. */
static void begin(struct job *job, struct bytes encoded)
{
    struct envelope envelope;

    if (envelope_decode(encoded, &envelope) != OK)
        abort(); /* it was decoded when the message came in, and its checksum holds */
    buf_init(&job->head, HEAD_BYTES_MAX);
    if (trace_return_path(envelope.sender, &job->head) != OK ||
        buf_add(&job->head, message_takeover_header(item_message(job->item))) != OK ||
        buf_add(&job->head, envelope.prepend) != OK)
        abort(); /* all are bounded far below the ceiling */
    list_recipients(job, encoded);
    job->work.run = on_work_begin;
    job->work.done = on_begun;
    loop_work(job->destination->deliver->loop, &job->work);
}

/* A message that rested: its envelope comes with its first piece. */
static void on_first_piece(struct spool_read *read)
{
    struct job *job = container_of(read, struct job, read);

    if (read->err != OK) {
        list_recipients(job, message_envelope(item_message(job->item)));
        fail_reading(job, read->err);
        return;
    }
    job->piece = read->at;
    job->piece_n = read->n;
    job->envelope = read->envelope;
    job->envelope_n = read->envelope_n;
    begin(job, bytes_of(job->envelope, job->envelope_n));
}

static void start(struct destination *destination, struct item *item)
{
    struct job *job = mem_new(sizeof *job);
    struct message *message = item_message(item);
    char mid[ID_TEXT_BYTES];

    job->destination = destination;
    job->item = item;
    job->setup = setup_hold(destination->hop->setup);
    job->pattern = mem_text(destination->hop->connector->maildir);
    job->count = item->recipient_count;
    job->results = mem_new(job->count * sizeof *job->results);
    job->paths = mem_new(job->count * sizeof *job->paths);
    job->files = mem_new(job->count * sizeof *job->files);
    for (uint32_t i = 0; i < job->count; i++)
        job->files[i].fd = -1;
    mid_format(message->entry.by_mid.mid, mid);
    /* The same id again only after a crash between rename and outcome: then it replaces itself.
     */
    snprintf(job->name, sizeof job->name, "%lld.%s.%s", (long long)(message->arrived.ms / 1000),
        mid, destination->hop->setup->settings->node);
    job->content_bytes = message->entry.content_bytes;
    if (message_content(message))
        job->content = spool_content_hold(message_content(message));
    destination->job_count++;
    if (!message->is_resting) {
        begin(job, message_envelope(message));
        return;
    }
    job->read.done = on_first_piece;
    job->read.wants_envelope = true;
    spool_read(destination->deliver->spool, &message->entry, 0, PIECE_BYTES, &job->read);
}

void maildir_want(struct destination *destination)
{
    struct deliver *deliver = destination->deliver;
    struct hop *hop = destination->hop;

    while (hop->ready_count && destination->job_count < hop->connector->connections_max &&
           destination_has_turn(destination)) {
        struct crash_work before;
        struct item *item;
        if (!deliver_claim(deliver, hop, PROSPECT_ANSWERS))
            return;
        item = deliver->take(deliver, hop, hop->connector->recipients_per_message);
        if (!item) {
            deliver->connection_count--;
            return;
        }
        destination_took(destination, NULL);
        before = crash_begin(item_message(item)->entry.by_mid.mid,
            "deliver"); /* the whole job, by loop_work() */
        start(destination, item);
        crash_end(before);
    }
}
