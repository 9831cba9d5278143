/* `relais trace ID`: what the logs say of a message or a session, each log's lines oldest
 * first.
 *
 * Reading them takes long where they are large, and has no end where their disk hangs.  So it is done
 * on a thread that nobody waits for, one trace at a time, and given up when its client is gone. */
#include "daemon/control_internal.h"

#include "base/mem.h"
#include "os/detached.h"
#include "report/log_files.h"
#include "report/report.h"
#include "report/tracking.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

/* So many lines of a log that name what was asked for, and so many that name its session alone. */
enum { LINES_MAX = 5000, IDS_MAX = 2, LOGS_MAX = 2 };

enum { LOOK_MS = 200, WAIT_MS = 20000 };

struct trace_log {
    struct trace_job *job;
    char *path;              /* NULL: not written to a file */
    unsigned session_column; /* counted from 0, where lines have columns */
    unsigned counts[IDS_MAX];
    char *missing; /* what of it could not be read, and why; NULL: nothing */
    int failure;
};

struct trace_job {
    struct detached work;
    struct list in_traces;
    struct moment asked;
    atomic_bool is_unwanted; /* its client is gone */
    struct client *client;
    char ids[IDS_MAX][ID_TEXT_BYTES]; /* what was asked for, and the session of a message */
    struct trace_log logs[LOGS_MAX];
    uint32_t files_max; /* of each log, put aside: x.1, x.2 ... */
    struct buf lines;
    unsigned count;
    bool is_cut;
    bool is_behind; /* the disk of the logs hangs: what happened last is not in them */
};

static bool is_unwanted(const struct trace_job *job)
{
    return atomic_load_explicit(&job->is_unwanted, memory_order_relaxed);
}

static bool has(struct bytes line, const char *text)
{
    return *text && line.n && memmem(line.at, line.n, text, strlen(text));
}

/* --- Whose session? ---------------------------------------------------------------------- */

/* Behind the next value and its comma.  A comma in quotes is no end. */
static struct bytes skip_column(struct bytes line)
{
    bool is_quoted = false;
    size_t n = 0;

    for (; n < line.n && (is_quoted || line.at[n] != ','); n++)
        is_quoted ^= line.at[n] == '"'; /* a doubled one ends and begins it */
    return bytes_skip(line, n < line.n ? n + 1 : n);
}

static struct bytes behind(struct bytes line, const char *text)
{
    const uint8_t *at = line.n ? memmem(line.at, line.n, text, strlen(text)) : NULL;

    return at ? bytes_skip(line, (size_t)(at - line.at) + strlen(text)) : BYTES_NONE;
}

/* The session in a line: of JSON, of columns, or of the log ("session=..."). */
static struct bytes session_in(const struct trace_log *log, struct bytes line)
{
    if (line.n && line.at[0] == '{') {
        struct bytes found = behind(line, "\"session\":\"");
        return found.n ? found : behind(line, "\"session-id\":\"");
    }
    if (!log->session_column)
        return behind(line, "session=");
    for (unsigned column = 0; column < log->session_column; column++)
        line = skip_column(line);
    return line;
}

enum { DIGITS = SESSION_ID_TEXT_BYTES - 1 };

/* What no session had a part in says so by zeros. */
static bool is_session(struct bytes id)
{
    bool is_zero = true;

    if (id.n != DIGITS)
        return false;
    for (size_t i = 0; i < id.n; i++) {
        if (!strchr("0123456789abcdef", id.at[i]) || id.at[i] == 0)
            return false;
        is_zero &= id.at[i] == '0';
    }
    return !is_zero;
}

/* A message that has left the queue: the first line about it names the session. */
static bool learn_session(void *me, struct bytes line, bool is_first)
{
    struct trace_log *log = me;
    struct bytes found;

    (void)is_first;
    if (is_unwanted(log->job))
        return false;
    if (!has(line, log->job->ids[0]))
        return true;
    found = bytes_first(session_in(log, line), DIGITS);
    if (!is_session(found))
        return true;
    snprintf(log->job->ids[1], sizeof log->job->ids[1], "%.*s", (int)found.n,
        (const char *)found.at);
    return false;
}

/* --- What is told ------------------------------------------------------------------------ */

static bool keep_line(void *me, struct bytes line, bool is_first)
{
    struct trace_log *log = me;
    struct trace_job *job = log->job;
    unsigned which = 0;

    (void)is_first;
    if (is_unwanted(job))
        return false;
    while (which < IDS_MAX && !has(line, job->ids[which]))
        which++;
    if (which == IDS_MAX)
        return true;
    if (log->counts[which] == LINES_MAX) {
        job->is_cut = true;
        return true; /* of the other one there may be more */
    }
    log->counts[which]++;
    job->count++;
    if (buf_add(&job->lines, line) == OK && buf_add_text(&job->lines, "\n") == OK)
        return true;
    job->is_cut = true;
    return false;
}

static bool is_message_without_session(const struct trace_job *job)
{
    return strlen(job->ids[0]) == ID_TEXT_BYTES - 1 && !job->ids[1][0];
}

static void note_missing(struct trace_log *log, const struct log_files *files)
{
    const char *missing = log_files_missing(files, &log->failure);

    if (missing)
        log->missing = mem_text(missing);
}

static void on_work(struct detached *work)
{
    struct trace_job *job = container_of(work, struct trace_job, work);
    struct log_files *files[LOGS_MAX] = { NULL };

    job->is_behind = !report_sync(); /* what happened before the question is found */
    for (int i = 0; i < LOGS_MAX; i++)
        if (job->logs[i].path)
            files[i] = log_files_open(job->logs[i].path, job->files_max);
    for (int i = 0; i < LOGS_MAX && is_message_without_session(job); i++)
        if (files[i])
            log_files_each(files[i], learn_session, &job->logs[i]);
    for (int i = 0; i < LOGS_MAX; i++) {
        if (!files[i])
            continue;
        log_files_each(files[i], keep_line, &job->logs[i]);
        note_missing(&job->logs[i], files[i]);
        log_files_close(files[i]);
    }
}

static void send_lines(struct trace_job *job)
{
    struct bytes rest = buf_bytes(&job->lines);

    while (rest.n) {
        size_t end = bytes_find(rest, '\n');
        size_t n = end == BYTES_NOT_FOUND ? rest.n : end;
        struct ctl_object *row = ctl_new();
        ctl_set_text(row, "line", bytes_first(rest, n));
        client_row(job->client, &row);
        rest = bytes_skip(rest, end == BYTES_NOT_FOUND ? n : n + 1);
    }
}

enum { MISSING_BYTES = 400 };

static void missing_text(const struct trace_log *log, char text[MISSING_BYTES])
{
    snprintf(text, MISSING_BYTES, "%.300s: %s", log->missing, strerror(log->failure));
}

static void end_with(const struct trace_job *job)
{
    struct ctl_object *end = ctl_new();

    ctl_set_bool(end, "ok", true);
    ctl_set_bool(end, "written", !job->is_behind);
    if (job->is_cut)
        ctl_set_bool(end, "cut", true);
    for (int i = 0; i < LOGS_MAX; i++) {
        char text[MISSING_BYTES];
        if (!job->logs[i].missing)
            continue;
        missing_text(&job->logs[i], text);
        ctl_add_text(end, "missing", bytes_text(text));
    }
    client_end(job->client, &end);
}

static void say_nothing(const struct trace_job *job)
{
    const struct trace_log *log = &job->logs[job->logs[0].missing ? 0 : 1];
    char text[MISSING_BYTES];

    if (!log->missing) {
        client_error(job->client, EX_NOINPUT, "the logs say nothing of it%s",
            job->is_behind ? "; their disk hangs: what happened last is not in them" : "");
        return;
    }
    missing_text(log, text);
    client_error(job->client,
        log->failure == ENOENT                            ? EX_NOINPUT
        : log->failure == EACCES || log->failure == EPERM ? EX_NOPERM
                                                          : EX_IOERR,
        "%s; the logs say nothing of it else", text);
}

static void answer(struct trace_job *job)
{
    send_lines(job);
    if (job->count)
        end_with(job);
    else if (!job->logs[0].path && !job->logs[1].path)
        client_error(job->client, EX_CONFIG,
            "no log is written to a file: set log { file }, { tracking_file } or "
            "{ protocol_file }");
    else
        say_nothing(job);
}

/* Its client has the answer, or is gone. */
static void end_job(struct trace_job *job)
{
    list_remove(&job->in_traces);
    client_end_work(job->client);
    buf_done(&job->lines);
    for (int i = 0; i < LOGS_MAX; i++) {
        free(job->logs[i].path);
        free(job->logs[i].missing);
    }
    free(job);
}

/* --- One at a time ----------------------------------------------------------------------- */

static struct trace_job *first_job(const struct traces *traces)
{
    struct list *node = list_first(&traces->jobs);

    return node ? container_of(node, struct trace_job, in_traces) : NULL;
}

static void start_first(struct traces *traces);

static void on_done(struct detached *work)
{
    struct trace_job *job = container_of(work, struct trace_job, work);
    struct traces *traces = &job->client->control->traces;

    answer(job);
    end_job(job);
    start_first(traces);
}

static void start_first(struct traces *traces)
{
    struct trace_job *job;

    while ((job = first_job(traces))) {
        job->work.run = on_work;
        job->work.done = on_done;
        if (detached_run(job->client->control->path->home, &job->work) == OK)
            return;
        client_error(job->client, EX_OSERR, "there is no thread to read the logs");
        end_job(job);
    }
    timer_stop(&traces->look);
}

/* Who waits is told when it takes too long: what is read may never come. */
static void look_at(struct trace_job *job, bool is_first)
{
    int64_t waited_ms = loop_now(job->client->control->path->home).ms - job->asked.ms;

    if (client_has_left(job->client))
        atomic_store(&job->is_unwanted, true);
    if (is_first)
        return;
    if (!is_unwanted(job) && waited_ms < WAIT_MS)
        return;
    client_error(job->client, EX_TEMPFAIL,
        "one trace at a time: another one has not ended for %d s; there is much to be read, or "
        "the disk of the logs hangs",
        WAIT_MS / 1000);
    end_job(job);
}

static void on_look(struct timer *timer)
{
    struct traces *traces = container_of(timer, struct traces, look);
    const struct trace_job *first = first_job(traces);

    list_each (node, &traces->jobs) {
        struct trace_job *job = container_of(node, struct trace_job, in_traces);
        look_at(job, job == first);
    }
    timer_start(timer, LOOK_MS);
}

static void add_job(struct traces *traces, struct trace_job *job)
{
    list_init(&job->in_traces);
    list_add_last(&traces->jobs, &job->in_traces);
    if (job != first_job(traces))
        return;
    timer_start(&traces->look, LOOK_MS);
    start_first(traces);
}

void traces_init(struct traces *traces, struct loop *home)
{
    list_init(&traces->jobs);
    timer_init(&traces->look, home, on_look);
}

void traces_done(struct traces *traces)
{
    struct trace_job *first = first_job(traces);

    timer_stop(&traces->look);
    if (!first)
        return;
    atomic_store(&first->is_unwanted, true);
    list_remove(&first->in_traces);
    list_each (node, &traces->jobs)
        end_job(container_of(node, struct trace_job, in_traces));
}

/* --- What is asked for ------------------------------------------------------------------- */

/* The session that brought a message which is still queued. */
static void add_session(struct path *path, struct trace_job *job, struct mid mid)
{
    struct message *message = queue_find(&path->queue, mid);
    struct envelope envelope;
    char id[SESSION_ID_TEXT_BYTES];

    if (!message || envelope_decode(message_envelope(message), &envelope) != OK)
        return;
    session_id_format(envelope.session, id);
    if (is_session(bytes_text(id)))
        memcpy(job->ids[1], id, sizeof id);
}

/* What was said in the session, and what became of its messages.  Where our own log goes to the
 * journal, the tracking log tells the latter. */
static void choose_logs(struct trace_job *job, const struct settings *settings)
{
    enum { PROTOCOL_SESSION = 2 };

    job->files_max = settings->log_files_max;
    if (settings->protocol_log_file)
        job->logs[0] = (struct trace_log){ .job = job,
            .path = mem_text(settings->protocol_log_file),
            .session_column = PROTOCOL_SESSION };
    if (settings->log_target == LOG_FILE && settings->log_file)
        job->logs[1] = (struct trace_log){ .job = job, .path = mem_text(settings->log_file) };
    else if (settings->tracking_log_file)
        job->logs[1] = (struct trace_log){ .job = job,
            .path = mem_text(settings->tracking_log_file),
            .session_column = TRACKING_SESSION };
}

void command_trace(struct client *client, const struct ctl_object *request)
{
    struct path *path = client->control->path;
    const struct settings *settings = path->routed_by->settings;
    const char *text = ctl_text(request, "id");
    struct trace_job *job;
    struct mid mid;

    if (!text ||
        (strlen(text) != ID_TEXT_BYTES - 1 && strlen(text) != SESSION_ID_TEXT_BYTES - 1)) {
        client_error(client, EX_USAGE,
            "'%s' is neither a message id (32 digits) nor a session id (16 digits)",
            text ? text : "");
        return;
    }
    job = mem_new(sizeof *job);
    job->client = client;
    snprintf(job->ids[0], sizeof job->ids[0], "%s", text);
    if (mid_parse(bytes_text(text), &mid))
        add_session(path, job, mid);
    choose_logs(job, settings);
    buf_init(&job->lines, 64 << 20);
    job->asked = loop_now(path->home);
    client_begin_work(client);
    add_job(&client->control->traces, job);
}
