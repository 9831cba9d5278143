/* `relais trace ID`: what the logs say of a message or a session, each log's lines oldest
 * first. */
#include "daemon/control_internal.h"

#include "base/mem.h"
#include "report/report.h"
#include "report/tracking.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

enum { LINE_BYTES = 8192, LINES_MAX = 5000, IDS_MAX = 2, LOGS_MAX = 2 };

struct log_file {
    char *path;              /* NULL: not written to a file */
    unsigned session_column; /* counted from 0, where lines have columns */
};

struct trace_job {
    struct loop_work work;
    struct client *client;
    char ids[IDS_MAX][ID_TEXT_BYTES]; /* the message's, its session's */
    struct log_file logs[LOGS_MAX];
    uint32_t generations; /* of each log: x, x.1, x.2 ... */
    struct buf lines;
    unsigned count;
};

static bool mentions(const struct trace_job *job, const char *line)
{
    for (int i = 0; i < IDS_MAX; i++) {
        if (job->ids[i][0] && strstr(line, job->ids[i]))
            return true;
    }
    return false;
}

/* The session in a line of our log ("session=...", "session":"...") or in its column. */
static const char *session_in(const struct log_file *log, const char *line)
{
    const char *at = log->session_column ? NULL : strstr(line, "session");

    if (at) {
        at += strlen("session");
        return at + strspn(at, "=\":");
    }
    for (unsigned column = 0; column < log->session_column; column++) {
        at = strchr(at ? at : line, ',');
        if (!at)
            return line;
        at++;
    }
    return at;
}

/* A message that has left the queue: the first line about it names the session. */
static bool learn_session(struct trace_job *job, const struct log_file *log, const char *line)
{
    const char *session;

    if (!strstr(line, job->ids[0]))
        return true;
    session = session_in(log, line);
    if (strspn(session, "0123456789abcdef") != SESSION_ID_TEXT_BYTES - 1)
        return true;
    snprintf(job->ids[1], SESSION_ID_TEXT_BYTES, "%s", session);
    return false;
}

static bool keep_line(struct trace_job *job, const struct log_file *log, const char *line)
{
    (void)log;
    if (!mentions(job, line))
        return true;
    job->count++;
    return buf_add_text(&job->lines, line) == OK && job->count < LINES_MAX;
}

/* Returns false once it has had enough. */
typedef bool visit_line(struct trace_job *job, const struct log_file *log, const char *line);

static bool read_file(
    struct trace_job *job, const struct log_file *log, const char *path, visit_line *visit)
{
    char line[LINE_BYTES];
    FILE *file = fopen(path, "re");
    bool goes_on = true;

    if (!file)
        return true; /* not that many generations yet */
    while (goes_on && fgets(line, sizeof line, file))
        goes_on = visit(job, log, line);
    fclose(file);
    return goes_on;
}

/* All logs, the oldest generation of each first. */
static void read_logs(struct trace_job *job, visit_line *visit)
{
    bool goes_on = true;

    for (int i = 0; i < LOGS_MAX; i++) {
        const struct log_file *log = &job->logs[i];
        uint32_t generation = log->path ? job->generations : 0;
        while (goes_on && generation-- > 0) {
            char path[4096];
            if (generation)
                snprintf(path, sizeof path, "%s.%u", log->path, generation);
            else
                snprintf(path, sizeof path, "%s", log->path);
            goes_on = read_file(job, log, path, visit);
        }
    }
}

static void on_work(struct loop_work *work)
{
    struct trace_job *job = container_of(work, struct trace_job, work);

    report_sync(); /* what happened before the question is found */
    if (strlen(job->ids[0]) == ID_TEXT_BYTES - 1 && !job->ids[1][0])
        read_logs(job, learn_session);
    read_logs(job, keep_line);
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

static void on_done(struct loop_work *work)
{
    struct trace_job *job = container_of(work, struct trace_job, work);

    send_lines(job);
    if (job->count)
        client_ok(job->client);
    else if (!job->logs[0].path && !job->logs[1].path)
        client_error(job->client, EX_CONFIG,
            "no log is written to a file: set log { file }, { tracking_file } or "
            "{ protocol_file }");
    else
        client_error(job->client, EX_NOINPUT, "the logs say nothing of it");
    client_end_work(job->client);
    buf_done(&job->lines);
    for (int i = 0; i < LOGS_MAX; i++)
        free(job->logs[i].path);
    free(job);
}

/* The session that brought a message which is still queued. */
static void add_session(struct path *path, struct trace_job *job, struct mid mid)
{
    struct message *message = queue_find(&path->queue, mid);
    struct envelope envelope;

    if (message && envelope_decode(message_envelope(message), &envelope) == OK)
        session_id_format(envelope.session, job->ids[1]);
}

/* What was said in the session, and what became of its messages.  Where our own log goes to the
 * journal, the tracking log tells the latter. */
static void choose_logs(struct trace_job *job, const struct settings *settings)
{
    enum { PROTOCOL_SESSION = 2 };

    job->generations = settings->log_files_max + 1; /* x itself too */
    if (settings->protocol_log_file)
        job->logs[0] =
            (struct log_file){ mem_text(settings->protocol_log_file), PROTOCOL_SESSION };
    if (settings->log_target == LOG_FILE && settings->log_file)
        job->logs[1] = (struct log_file){ mem_text(settings->log_file), 0 };
    else if (settings->tracking_log_file)
        job->logs[1] =
            (struct log_file){ mem_text(settings->tracking_log_file), TRACKING_SESSION };
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
    client_begin_work(client);
    job->work.run = on_work;
    job->work.done = on_done;
    loop_work(path->home, &job->work);
}
