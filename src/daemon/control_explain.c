/* explain: what a session would be told, by the settings as they are now. */
#include "daemon/control_internal.h"

#include "answer/explain_ctl.h"

#include <sysexits.h>

/* What is known of the next hop just now. */
static void add_queue_state(
    struct path *path, const struct finding *finding, struct ctl_object *row)
{
    struct hop *hop = queue_find_hop(&path->queue, bytes_text(finding->queue));

    if (!hop)
        return;
    ctl_set_number(row, "messages", (int64_t)hop_item_count(hop));
    ctl_set_text(row, "status",
        bytes_text(hop->is_suspended ? "suspended"
                   : hop->is_down    ? "retry"
                                     : "ready"));
    if (hop->is_down && hop->last_error)
        ctl_set_text(row, "error", bytes_text(hop->last_error));
}

static void on_finding(void *me, const struct finding *finding)
{
    struct client *client = me;
    struct ctl_object *row = explain_row(finding);

    if (finding->stage == EXPLAIN_ROUTE)
        add_queue_state(client->control->path, finding, row);
    client_row(client, &row);
}

static bool is_resting(void *me, const char *queue)
{
    const struct client *client = me;
    const struct hop *hop = queue_find_hop(&client->control->path->queue, bytes_text(queue));

    return hop && hop_is_resting(hop);
}

/* The very counts that live connections and messages are held against. */
static void count(void *me, const struct receive_connector *connector,
    const struct arrival *arrival, const char *user, struct explain_counts *out)
{
    struct path *path = me;
    struct accept_counts counts;
    struct rates_who who;

    accept_count(&path->accept, connector, arrival, &counts);
    rates_who(connector->name, user, arrival->source, &who);
    *out = (struct explain_counts){ .of_node = counts.of_node,
        .of_connector = counts.of_connector,
        .of_source = counts.of_source,
        .messages = rates_count(&path->rates, &who, loop_now(path->home)) };
}

void command_explain(struct client *client, const struct ctl_object *request)
{
    const struct settings *settings = client->control->path->routed_by->settings;
    struct explain_request asked;
    char why[EXPLAIN_WHY_BYTES];

    if (!explain_read(settings, request, &asked, why)) {
        client_error(client, EX_USAGE, "%s", why);
        return;
    }
    asked.question.knows_accounts = true;
    asked.question.is_resting = is_resting;
    asked.question.resting_me = client;
    asked.question.count = count;
    asked.question.count_me = client->control->path;
    explain(settings, &asked.question, on_finding, client);
    client_ok(client);
}
