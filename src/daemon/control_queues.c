/* Queues: list, ages, and what changes them as a whole.  Messages are counted, and queues gone
 * through, a stretch at a time. */
#include "daemon/control_hop.h"
#include "daemon/control_tally.h"

#include "base/mem.h"
#include "os/clock.h"
#include "report/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

enum { STEP_MS = 3 };

static void add_host(void *me, const struct host_view *view)
{
    struct ctl_object *host = ctl_new();

    ctl_set_text(host, "name", bytes_text(view->name));
    ctl_set_text(host, "address", bytes_text(view->address));
    if (view->port)
        ctl_set_number(host, "port", view->port);
    ctl_set_text(host, "state", bytes_text(view->state));
    ctl_set_text(host, "error", bytes_text(view->error));
    ctl_set_number(host, "connections", view->connections);
    ctl_set_number(host, "per_minute", view->per_minute);
    if (view->connections_max)
        ctl_set_number(host, "connections_max", view->connections_max);
    if (view->per_minute_max)
        ctl_set_number(host, "per_minute_max", view->per_minute_max);
    if (view->hold_ms)
        ctl_set_number(host, "hold_s", (view->hold_ms + 999) / 1000);
    ctl_add_object(me, "hosts", &host);
}

/* --- A job over queues ------------------------------------------------------------------- */

struct job;

struct job_verb {
    const char *done; /* what the answer counts: "suspended"; NULL: rows are its answer */
    bool tallies;     /* all messages are counted first */
    void (*visit)(struct job *job, struct hop *hop, const struct hop_tally *tally);
    void (*end)(struct job *job); /* NULL: the common one */
};

struct job {
    struct client *client;
    const struct job_verb *verb;
    const char *command;
    struct filter *filter;
    uint32_t only; /* the hop's number; 0: any */
    bool is_what_if;
    struct loop_step step;
    struct hop_tallies tallies;
    bool is_tallied;
    uint32_t last; /* the number of the hop that was met last */
    int64_t matched, done, messages;
    char **names; /* of those to be suspended or resumed */
    size_t name_count;
};

static void job_free(struct job *job)
{
    struct client *client = job->client;

    loop_step_cancel(&job->step);
    hop_tallies_end(&job->tallies);
    for (size_t i = 0; i < job->name_count; i++)
        free(job->names[i]);
    free(job->names);
    free(job->filter);
    free(job);
    client_end_work(client);
}

static void job_end(struct job *job)
{
    struct ctl_object *end;
    bool has_changed = job->verb->done && !job->is_what_if;

    if (job->verb->end) {
        job->verb->end(job);
    } else {
        end = ctl_new();
        if (has_changed)
            report(REPORT_ADMIN, R_CHARS("command", job->command),
                R_NUMBER("queues", job->matched), R_NUMBER("messages", job->messages));
        ctl_set_bool(end, "ok", true);
        ctl_set_number(end, "queues", job->matched);
        ctl_set_number(end, "all", (int64_t)job->client->control->path->queue.hops.count);
        if (has_changed)
            ctl_set_number(end, job->verb->done, job->messages);
        client_end(job->client, &end);
    }
    job_free(job);
}

static bool fits(const struct job *job, const struct hop *hop)
{
    struct control_hop_subject subject;

    if (job->only && hop->number != job->only)
        return false;
    if (!job->filter)
        return true;
    subject.path = job->client->control->path;
    subject.hop = hop;
    return filter_fits(job->filter, control_hop_get, &subject);
}

static void job_list(struct job *job, struct hop *hop, const struct hop_tally *tally);

static void meet(struct job *job, struct hop *hop)
{
    const struct hop_tally *tally = hop_tallies_find(&job->tallies, hop->number);

    job->last = hop->number;
    if (!fits(job, hop))
        return;
    job->matched++;
    job->messages += (int64_t)hop_item_count(hop);
    if (job->is_what_if)
        job_list(job, hop, tally);
    else
        job->verb->visit(job, hop, tally);
}

/* True: there are more. */
static bool meet_some(struct job *job, int64_t until)
{
    /* They stand in the order of their numbers, and any may be gone since the last stretch. */
    list_each (node, &job->client->control->path->queue.all_hops) {
        struct hop *hop = container_of(node, struct hop, in_hops);
        if (hop->number <= job->last)
            continue;
        if (clock_moment().ms >= until)
            return true;
        meet(job, hop);
    }
    return false;
}

static void ask_step(void *me)
{
    struct job *job = me;

    loop_step_ask(job->client->control->path->home, &job->step);
}

static void job_go_on(struct job *job)
{
    int64_t until = clock_moment().ms + STEP_MS;
    bool is_gone = client_is_gone(job->client);

    if (!is_gone && job->verb->tallies && !job->is_tallied) {
        job->is_tallied = !hop_tallies_count(&job->tallies, until);
    } else if (is_gone || !meet_some(job, until)) {
        job_end(job);
        return;
    }
    if (!client_must_wait(job->client, ask_step, job))
        ask_step(job);
}

static void on_step(struct loop_step *step)
{
    job_go_on(container_of(step, struct job, step));
}

static struct job *job_new(
    struct client *client, const char *command, const struct job_verb *verb)
{
    struct job *job = mem_new(sizeof *job);

    job->client = client;
    job->verb = verb;
    job->command = command;
    loop_step_init(&job->step, on_step);
    hop_tallies_begin(&job->tallies, &client->control->path->queue);
    client_begin_work(client);
    return job;
}

/* What REQUEST names; false: it makes no sense, and the client was told. */
static bool take_choice(struct job *job, const struct ctl_object *request)
{
    struct queue *queue = &job->client->control->path->queue;
    const char *name = ctl_text(request, "queue"), *filter = ctl_text(request, "filter");
    char why[FILTER_WHY_BYTES];
    struct hop *hop;

    job->is_what_if = ctl_bool(request, "what_if");
    if (name) {
        hop = queue_find_hop(queue, bytes_text(name));
        if (!hop) {
            client_error(job->client, EX_NOINPUT, "no queue '%s'", name);
            return false;
        }
        job->only = hop->number;
    }
    if (filter && filter_parse(bytes_text(filter), FILTER_QUEUES, &job->filter, why) != OK) {
        client_error(job->client, EX_USAGE, "the filter: %s", why);
        return false;
    }
    if (!name && !filter && job->verb->done && !ctl_bool(request, "all")) {
        client_error(
            job->client, EX_USAGE, "%s what?  Name a queue, a filter or all", job->command);
        return false;
    }
    return true;
}

static void job_run(struct client *client, const struct ctl_object *request,
    const char *command, const struct job_verb *verb)
{
    struct job *job = job_new(client, command, verb);

    if (take_choice(job, request))
        job_go_on(job);
    else
        job_free(job);
}

/* --- Lists ------------------------------------------------------------------------------- */

static void job_list(struct job *job, struct hop *hop, const struct hop_tally *tally)
{
    struct path *path = job->client->control->path;
    struct ctl_object *row = ctl_new();
    int64_t now = loop_wall(path->home).ms, next = control_hop_next_attempt_s(path, hop);
    char identity[CONTROL_HOP_BYTES];

    control_hop_identity(path, hop, identity);
    ctl_set_text(row, "identity", bytes_text(identity));
    ctl_set_text(row, "name", bytes_text(hop->name));
    ctl_set_text(row, "next_hop_domain", bytes_text(hop->domain));
    ctl_set_text(
        row, "connector", bytes_text(hop->connector ? hop->connector->name : hop->name));
    ctl_set_text(row, "kind", bytes_text(control_hop_kind(hop)));
    ctl_set_text(row, "status", bytes_text(control_hop_status(hop)));
    ctl_set_number(row, "messages", (int64_t)hop_item_count(hop));
    ctl_set_number(row, "deferred", (int64_t)hop->waiting_count);
    ctl_set_number(row, "suspended", (int64_t)hop->item_suspended_count);
    ctl_set_number(row, "connections", deliver_connection_count(hop));
    ctl_set_number(row, "retries", hop->failure_count);
    ctl_set_number(row, "oldest_s", tally ? (now - tally->oldest_ms) / 1000 : 0);
    ctl_set_number(row, "bytes", tally ? (int64_t)tally->bytes : 0);
    if (next >= 0)
        ctl_set_number(row, "next_attempt_s", next);
    ctl_set_text(row, "last_error", bytes_text(control_hop_error(hop)));
    deliver_each_host(hop, add_host, row);
    client_row(job->client, &row);
}

/* A queue that is no next hop's: NAME, what stands in it, and whether it shows without. */
static void plain_row(struct client *client, const char *name, int64_t messages)
{
    const char *node = client->control->path->routed_by->settings->node;
    struct ctl_object *row = ctl_new();
    char identity[CONTROL_HOP_BYTES];

    snprintf(identity, sizeof identity, "%s\\%s", node, name);
    ctl_set_text(row, "identity", bytes_text(identity));
    ctl_set_text(row, "name", bytes_text(name));
    ctl_set_text(row, "connector", BYTES_NONE);
    ctl_set_text(row, "kind", bytes_text(name));
    ctl_set_text(row, "status", messages ? BYTES("active") : BYTES("ready"));
    ctl_set_number(row, "messages", messages);
    ctl_set_number(row, "connections", 0);
    ctl_set_number(row, "oldest_s", 0);
    ctl_set_text(row, "last_error", BYTES_NONE);
    client_row(client, &row);
}

/* Suspended names that no message has brought up since the start. */
static void suspended_rows(struct client *client)
{
    struct path *path = client->control->path;

    for (size_t i = 0; i < path->suspended.count; i++) {
        const char *name = path->suspended.list[i];
        struct ctl_object *row;
        char identity[CONTROL_HOP_BYTES];
        if (queue_find_hop(&path->queue, bytes_text(name)))
            continue;
        row = ctl_new();
        snprintf(identity, sizeof identity, "%s\\%s", path->routed_by->settings->node, name);
        ctl_set_text(row, "identity", bytes_text(identity));
        ctl_set_text(row, "name", bytes_text(name));
        ctl_set_text(row, "status", BYTES("suspended"));
        ctl_set_number(row, "messages", 0);
        client_row(client, &row);
    }
}

static void end_list(struct job *job)
{
    struct client *client = job->client;

    if (!job->filter && !job->only) {
        if (client->control->path->taking.count)
            plain_row(client, "submission", (int64_t)client->control->path->taking.count);
        suspended_rows(client);
        copy_queue_rows(client);
    }
    client_ok(client);
}

void command_queues(struct client *client, const struct ctl_object *request)
{
    static const struct job_verb list = { NULL, true, job_list, end_list };

    job_run(client, request, "queues", &list);
}

static void age_row(struct job *job, struct hop *hop, const struct hop_tally *tally)
{
    struct ctl_object *row;

    if (!tally)
        return;
    row = ctl_new();
    ctl_set_text(row, "name", bytes_text(hop->name));
    ctl_set_text(row, "next_hop_domain", bytes_text(hop->domain));
    ctl_set_text(row, "status", bytes_text(control_hop_status(hop)));
    ctl_set_number(row, "messages", tally->messages);
    ctl_set_number(row, "bytes", (int64_t)tally->bytes);
    ctl_set_number(row, "oldest_s",
        (loop_wall(job->client->control->path->home).ms - tally->oldest_ms) / 1000);
    for (unsigned i = 0; i < TALLY_AGES; i++) {
        char name[8];
        snprintf(name, sizeof name, "age%u", i);
        ctl_set_number(row, name, tally->ages[i]);
    }
    ctl_set_text(row, "last_error", bytes_text(control_hop_error(hop)));
    client_row(job->client, &row);
}

void command_ages(struct client *client, const struct ctl_object *request)
{
    static const struct job_verb ages = { NULL, true, age_row, NULL };

    job_run(client, request, "ages", &ages);
}

/* --- Changes ----------------------------------------------------------------------------- */

static void retry_one(struct job *job, struct hop *hop, const struct hop_tally *tally)
{
    (void)tally;
    queue_retry_hop(&job->client->control->path->queue, hop);
}

void command_retry_queue(struct client *client, const struct ctl_object *request)
{
    static const struct job_verb retry = { "retried", false, retry_one, NULL };

    job_run(client, request, "retry", &retry);
}

static void note_name(struct job *job, struct hop *hop, const struct hop_tally *tally)
{
    (void)tally;
    job->names = mem_grow(job->names, (job->name_count + 1) * sizeof *job->names);
    job->names[job->name_count++] = mem_text(hop->name);
}

static void suspend_names(struct job *job, bool suspended)
{
    struct path *path = job->client->control->path;
    struct ctl_object *end;
    enum err err = OK;

    if (job->name_count)
        err = path_suspend_hops(path, job->names, job->name_count, suspended);
    if (err != OK) {
        client_error(job->client, EX_CANTCREAT, "%s: %s; nothing was changed",
            path->suspended.file, err_text(err));
        return;
    }
    if (job->name_count)
        report(
            REPORT_ADMIN, R_CHARS("command", job->command), R_NUMBER("queues", job->matched));
    end = ctl_new();
    ctl_set_bool(end, "ok", true);
    ctl_set_number(end, "queues", job->matched);
    ctl_set_number(end, "all", (int64_t)path->queue.hops.count);
    if (!job->is_what_if)
        ctl_set_number(end, job->verb->done, job->messages);
    client_end(job->client, &end);
}

static void end_suspend(struct job *job)
{
    suspend_names(job, true);
}

static void end_resume(struct job *job)
{
    suspend_names(job, false);
}

void command_suspend_queue(struct client *client, const struct ctl_object *request)
{
    static const struct job_verb suspend = { "suspended", false, note_name, end_suspend };

    job_run(client, request, "suspend-queue", &suspend);
}

void command_resume_queue(struct client *client, const struct ctl_object *request)
{
    static const struct job_verb resume = { "resumed", false, note_name, end_resume };
    const char *name = ctl_text(request, "queue");
    struct path *path = client->control->path;
    const struct hop *hop = name ? queue_find_hop(&path->queue, bytes_text(name)) : NULL;
    struct job *job;

    if (hop && hop_is_poison(hop)) {
        client_error(client, EX_USAGE,
            "the poison queue is not resumed as a whole, its messages are: relais resume ID, "
            "or relais resume --queue poison");
        return;
    }
    if (!name || hop || !path_is_suspended_name(path, name)) {
        job_run(client, request, "resume-queue", &resume);
        return;
    }
    job = job_new(client, "resume-queue", &resume); /* there is no mail for it, and no hop */
    job->names = mem_new(sizeof *job->names);
    job->names[job->name_count++] = mem_text(name);
    job->matched = 1;
    end_resume(job);
    job_free(job);
}
