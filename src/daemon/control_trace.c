/* `relais trace ID`: what the logs say of a message or a session, oldest first. */
#include "daemon/control_internal.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

enum { LINE_BYTES = 8192, LINES_MAX = 5000, IDS_MAX = 2 };

struct trace_job {
    struct loop_work work;
    struct client *client;
    char ids[IDS_MAX][ID_TEXT_BYTES]; /* the message's, its session's */
    char *files[2];
    uint32_t generations; /* of each file: x, x.1, x.2 ... */
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

static void read_file(struct trace_job *job, const char *path)
{
    char line[LINE_BYTES];
    FILE *file = fopen(path, "re");

    if (!file)
        return; /* not that many generations yet */
    while (job->count < LINES_MAX && fgets(line, sizeof line, file)) {
        if (!mentions(job, line))
            continue;
        job->count++;
        if (buf_add_text(&job->lines, line) != OK)
            break;
    }
    fclose(file);
}

static void on_work(struct loop_work *work)
{
    struct trace_job *job = container_of(work, struct trace_job, work);

    for (int i = 0; i < 2; i++) {
        for (uint32_t generation = job->generations; job->files[i] && generation-- > 0;) {
            char path[4096];
            if (generation)
                snprintf(path, sizeof path, "%s.%u", job->files[i], generation);
            else
                snprintf(path, sizeof path, "%s", job->files[i]);
            read_file(job, path);
        }
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

static void on_done(struct loop_work *work)
{
    struct trace_job *job = container_of(work, struct trace_job, work);

    send_lines(job);
    if (job->count)
        client_ok(job->client);
    else if (!job->files[0] && !job->files[1])
        client_error(job->client, EX_CONFIG,
            "no log is written to a file: set log { file } or log { protocol_file }");
    else
        client_error(job->client, EX_NOINPUT, "the logs say nothing of it");
    client_end_work(job->client);
    buf_done(&job->lines);
    for (int i = 0; i < 2; i++)
        free(job->files[i]);
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
    job->generations = settings->log_files_max ? settings->log_files_max : 1;
    if (settings->protocol_log_file)
        job->files[0] = mem_text(settings->protocol_log_file);
    if (settings->log_target == LOG_FILE && settings->log_file)
        job->files[1] = mem_text(settings->log_file);
    buf_init(&job->lines, 64 << 20);
    client_begin_work(client);
    job->work.run = on_work;
    job->work.done = on_done;
    loop_work(path->home, &job->work);
}
