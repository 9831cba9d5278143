/* metrics: the text for Prometheus; tls-counts and weak-tls: some of the same
 * counts as rows, for reports. */
#include "daemon/control_internal.h"
#include "daemon/metrics.h"

#include "base/mem.h"
#include "base/weak_tls.h"
#include "os/clock.h"
#include "report/tally.h"

#include <stdlib.h>
#include <sysexits.h>

enum { STEP_MS = 3 };

/* A queue of a million is counted in many turns of the loop; the text is made in one. */
struct metrics_job {
    struct client *client;
    struct hop_tallies tallies;
    struct loop_step step;
};

static void answer_metrics(struct metrics_job *job)
{
    struct control *control = job->client->control;
    struct ctl_object *end;
    struct buf text;

    buf_init(&text, METRICS_BYTES_MAX);
    if (metrics_format(control->path, control->started, &job->tallies, &text) != OK) {
        client_error(
            job->client, EX_SOFTWARE, "there are more metrics than an answer has room for");
    } else {
        end = ctl_new();
        ctl_set_bool(end, "ok", true);
        ctl_set_text(end, "text", buf_bytes(&text));
        client_end(job->client, &end);
    }
    buf_done(&text);
}

static void on_step(struct loop_step *step)
{
    struct metrics_job *job = container_of(step, struct metrics_job, step);
    struct client *client = job->client;

    if (!client_is_gone(client) &&
        hop_tallies_count(&job->tallies, clock_moment().ms + STEP_MS)) {
        loop_step_ask(client->control->path->home, step);
        return;
    }
    answer_metrics(job);
    hop_tallies_end(&job->tallies);
    free(job);
    client_end_work(client);
}

void command_metrics(struct client *client, const struct ctl_object *request)
{
    struct metrics_job *job = mem_new(sizeof *job);

    (void)request;
    job->client = client;
    loop_step_init(&job->step, on_step);
    hop_tallies_begin(&job->tallies, &client->control->path->queue);
    client_begin_work(client);
    on_step(&job->step);
}

struct answering {
    struct client *client;
    const char *name; /* of what the first label is */
};

/* The row names what is weak in "tls", and why. */
static void on_weak(void *me, const struct tally_row *tally)
{
    struct answering *answering = me;
    struct bytes tls = bytes_text(tally->second);
    struct bytes version = bytes_first(tls, bytes_find(tls, ' '));
    struct ctl_object *row = ctl_new();
    const char *weakness =
        tls_weakness(version, bytes_skip(tls, version.n < tls.n ? version.n + 1 : version.n));

    ctl_set_text(row, answering->name, bytes_text(tally->first));
    ctl_set_text(row, "tls", tls);
    ctl_set_text(row, "weakness", bytes_text(weakness));
    ctl_set_text(row, "direction", BYTES("sent"));
    ctl_set_number(row, "messages", (int64_t)tally->count);
    client_row(answering->client, &row);
}

static void on_tally(void *me, const struct tally_row *tally)
{
    struct answering *answering = me;
    struct ctl_object *row = ctl_new();

    ctl_set_text(row, answering->name, bytes_text(tally->first));
    ctl_set_text(row, "tls", bytes_text(tally->second));
    ctl_set_text(
        row, "direction", bytes_text(tally->kind == TALLY_RECEIVED ? "received" : "sent"));
    ctl_set_number(row, "messages", (int64_t)tally->count);
    ctl_set_number(row, "bytes", (int64_t)tally->amount);
    client_row(answering->client, &row);
}

/* How much came in and went out with which TLS version, since the start. */
void command_tls_counts(struct client *client, const struct ctl_object *request)
{
    struct answering received = { client, "connector" }, sent = { client, "queue" };

    (void)request;
    tally_each(TALLY_RECEIVED, on_tally, &received);
    tally_each(TALLY_SENT, on_tally, &sent);
    client_ok(client);
}

/* The next hops that took weak TLS, since the start. */
void command_weak_tls(struct client *client, const struct ctl_object *request)
{
    struct answering sent = { client, "queue" };

    (void)request;
    tally_each(TALLY_WEAK, on_weak, &sent);
    client_ok(client);
}
