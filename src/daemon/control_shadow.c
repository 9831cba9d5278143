/* `relais shadow`: what is known of the other nodes, and orders about them. */
#include "daemon/control_internal.h"
#include "daemon/picture.h"

#include "report/report.h"

#include <stdio.h>
#include <sysexits.h>

enum { LATENCY_BUCKETS = sizeof((struct node_facts *)0)->latency / sizeof(uint64_t) };

/* --- What is known ----------------------------------------------------------------------- */

static void add_alarm(void *me, const char *text)
{
    ctl_add_text(me, "alarms", bytes_text(text));
}

static void add_verdict(const struct redundancy *what, struct ctl_object *end)
{
    char why[REDUNDANCY_TEXT_BYTES];

    ctl_set_bool(end, "redundant", redundancy_judge(what, why));
    ctl_set_text(end, "redundancy_reason", bytes_text(why));
    redundancy_each_alarm(what, add_alarm, end);
}

void shadow_add_verdict(const struct path *path, struct ctl_object *end)
{
    struct picture picture;

    picture_take(path, &picture);
    add_verdict(&picture.what, end);
}

/* --- Status ------------------------------------------------------------------------------ */

static void set_store(struct ctl_object *object, const char *name, struct store_id store)
{
    static const struct store_id none;
    char id[ID_TEXT_BYTES];

    if (memcmp(&store, &none, sizeof none) == 0)
        return;
    store_id_format(store, id);
    ctl_set_text(object, name, bytes_text(id));
}

/* How long ago MOMENT was; not set when it never was. */
static void set_since(
    struct ctl_object *object, const char *name, int64_t moment_ms, struct moment now)
{
    if (moment_ms >= 0)
        ctl_set_number(object, name, now.ms > moment_ms ? now.ms - moment_ms : 0);
}

static void set_count(struct ctl_object *object, const char *name, uint64_t count)
{
    ctl_set_number(object, name, (int64_t)count);
}

static void add_peer(struct ctl_object *end, const struct ledger_peer_facts *peer,
    const char *link_error, struct moment now)
{
    struct ctl_object *row = ctl_new();
    char text[REDUNDANCY_TEXT_BYTES];

    redundancy_describe(peer, now, text);
    ctl_set_text(row, "node", bytes_text(peer->node));
    ctl_set_text(row, "state", bytes_text(redundancy_state_name(peer->state)));
    ctl_set_text(row, "text", bytes_text(text));
    ctl_set_bool(row, "configured", peer->is_configured);
    ctl_set_bool(row, "up", peer->is_up);
    if (link_error[0])
        ctl_set_text(row, "link_error", bytes_text(link_error));
    set_store(row, "store", peer->store);
    set_count(row, "position", peer->position);
    set_since(row, "contact_ms", peer->contact_ms, now);
    set_since(row, "unanswered_ms", peer->unanswered_ms, now);
    set_count(row, "failures", peer->failures);
    set_count(row, "held", peer->held);
    set_since(row, "held_oldest_ms", peer->held_oldest_ms, now);
    set_count(row, "owed", peer->owed);
    set_since(row, "lag_ms", peer->owed_oldest_ms, now);
    set_count(row, "copies_there", peer->copies_there);
    ctl_add_object(end, "nodes", &row);
}

static void add_rows(
    struct ctl_object *end, const struct ledger_facts *facts, struct moment now)
{
    struct ctl_object *by = ctl_new();

    set_count(end, "primary", facts->primary);
    set_count(end, "on_two_nodes", facts->redundant);
    set_count(end, "single", facts->single);
    for (int i = SINGLE_NOT + 1; i < SINGLE_COUNT; i++)
        set_count(by, redundancy_single_name((enum standing_single)i), facts->single_by[i]);
    ctl_set_object(end, "single_by", &by);
    set_since(end, "single_oldest_ms", facts->single_oldest_ms, now);
    set_count(end, "held", facts->held);
    set_count(end, "unclaimed", facts->unclaimed);
    set_count(end, "aside", facts->aside);
    set_count(end, "words", facts->words);
}

/* What is taken while there is no redundancy, the ledger does not know: when there is (again), it
 * is told of all of it. */
static uint64_t count_alone(const struct path *path, const struct ledger_facts *facts)
{
    uint64_t all = path->queue.messages.count;

    return !node_is_on(path->node) && all > facts->primary ? all - facts->primary : 0;
}

static void add_links(struct ctl_object *end, const struct node_facts *facts)
{
    set_count(end, "links_in", facts->links_in);
    set_count(end, "links_out", facts->links_out);
    set_count(end, "copies_in_flight", facts->copies_in_flight);
    set_count(end, "copies_sent", facts->copies_sent);
    set_count(end, "copies_received", facts->copies_received);
    set_count(end, "bytes_sent", facts->bytes_sent);
    set_count(end, "bytes_received", facts->bytes_received);
    set_count(end, "copy_us_p50", redundancy_latency_us(facts->latency, LATENCY_BUCKETS, 0.5));
    set_count(end, "copy_us_p99", redundancy_latency_us(facts->latency, LATENCY_BUCKETS, 0.99));
}

static void add_counts(struct ctl_object *end, const struct ledger_facts *facts)
{
    struct ctl_object *events = ctl_new(), *twice = ctl_new();

    for (int i = 0; i < LEDGER_D1; i++)
        set_count(events, redundancy_event_name((enum ledger_event)i), facts->counts[i]);
    ctl_set_object(end, "events", &events);
    set_count(twice, "d1", facts->counts[LEDGER_D1]);
    set_count(twice, "d2", report_count(REPORT_UNTOLD));
    set_count(twice, "d3", facts->counts[LEDGER_D3]);
    set_count(twice, "d4", facts->counts[LEDGER_D4]);
    set_count(twice, "d6", report_count(REPORT_IN_DOUBT));
    ctl_set_object(end, "maybe_twice", &twice);
}

static void command_shadow_status(struct client *client, const struct ctl_object *request)
{
    const struct path *path = client->control->path;
    struct ctl_object *end = ctl_new();
    struct picture picture;

    (void)request;
    picture_take(path, &picture);
    ctl_set_bool(end, "ok", true);
    ctl_set_text(end, "node", bytes_text(path->routed_by->settings->fqdn));
    add_verdict(&picture.what, end);
    ctl_set_bool(end, "enabled", picture.what.is_enabled);
    for (uint32_t i = 0; i < picture.what.peer_count; i++)
        add_peer(
            end, &picture.peers[i], node_link_error(path->node, (uint8_t)i), picture.what.now);
    set_store(end, "store", spool_store_id(path->spool));
    set_count(end, "position", spool_position(path->spool));
    ctl_set_bool(end, "fencing", picture.facts.ledger.is_fencing);
    ctl_set_bool(end, "right_to_deliver", picture.facts.ledger.has_right);
    add_rows(end, &picture.facts.ledger, picture.what.now);
    set_count(end, "alone", count_alone(path, &picture.facts.ledger));
    add_links(end, &picture.facts);
    add_counts(end, &picture.facts.ledger);
    client_end(client, &end);
}

/* --- Orders ------------------------------------------------------------------------------ */

/* The names of all known nodes, for who mistyped one. */
static void refuse_name(struct client *client, const char *name)
{
    const struct ledger *ledger = node_ledger(client->control->path->node);
    char known[400] = "";
    size_t at = 0;

    for (uint32_t i = 0; i < ledger_peer_count(ledger) && at < sizeof known; i++) {
        struct ledger_peer_facts peer;
        ledger_get_peer(ledger, (uint8_t)i, &peer);
        at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", i ? ", " : "", peer.node);
    }
    client_error(client, EX_NOINPUT, "no node '%s'; known: %s", name, at ? known : "none");
}

/* The node that an order is about.  False: none, and the client was told. */
static bool find_node(
    struct client *client, const struct ctl_object *request, struct ledger_peer_facts *out)
{
    const struct path *path = client->control->path;
    const char *name = ctl_text(request, "node");
    uint8_t peer;

    if (!name) {
        client_error(client, EX_USAGE, "which node?");
        return false;
    }
    peer = copy_find_peer(path, name);
    if (peer == LEDGER_NO_PEER) {
        refuse_name(client, name);
        return false;
    }
    ledger_get_peer(node_ledger(path->node), peer, out);
    return true;
}

/* One that is silent is lost only after the take-over time (R5): who asked has to hear which
 * of the two it is, since `shadow status` calls it silent as well. */
static void refuse_order(
    struct client *client, const struct ledger_peer_facts *node, const char *what_force_does)
{
    const struct path *path = client->control->path;
    char span[32] = "?", lost_after[32];

    if (!node->is_configured) {
        client_error(client, EX_TEMPFAIL,
            "%s is no longer configured, so nobody asks whether it lives; if you know that it "
            "does not, --force %s (counted as D4)",
            node->node, what_force_does);
        return;
    }
    if (node->contact_ms >= 0)
        redundancy_span(loop_now(path->home).ms - node->contact_ms, span);
    if (node->state != LEDGER_SILENT) {
        client_error(client, EX_TEMPFAIL,
            "%s answered %s ago: it is not silent; --force %s all the same (counted as D4)",
            node->node, span, what_force_does);
        return;
    }
    redundancy_span(ledger_takeover_ms(node_ledger(path->node)), lost_after);
    client_error(client, EX_TEMPFAIL,
        "%s is silent for %s, and is lost after %s without an answer; if you know that it is "
        "dead, --force %s now (counted as D4)",
        node->node, span, lost_after, what_force_does);
}

static void end_order(struct client *client, const char *name, uint64_t copies)
{
    struct ctl_object *end = ctl_new();

    ctl_set_bool(end, "ok", true);
    ctl_set_text(end, "node", bytes_text(name));
    set_count(end, "copies", copies);
    client_end(client, &end);
}

/* Take-over and evict have the same conditions (R5, R20). */
static void order(struct client *client, const struct ctl_object *request,
    enum ledger_order (*give)(struct node *node, const char *name, bool with_force),
    const char *command, const char *what_force_does)
{
    bool with_force = ctl_bool(request, "force");
    struct ledger_peer_facts node;

    if (!find_node(client, request, &node))
        return;
    switch (give(client->control->path->node, node.node, with_force)) {
    case LEDGER_ORDERED:
        report(REPORT_ADMIN, R_CHARS("command", command), R_CHARS("node", node.node),
            R_CHARS("force", with_force ? "yes" : "no"),
            R_NUMBER("copies", (int64_t)node.held));
        end_order(client, node.node, node.held);
        return;
    case LEDGER_NO_SUCH_NODE:
        refuse_name(client, node.node);
        return;
    case LEDGER_NOT_SILENT:
        refuse_order(client, &node, what_force_does);
        return;
    }
}

static void command_shadow_takeover(struct client *client, const struct ctl_object *request)
{
    order(client, request, node_take_over, "shadow takeover", "takes over");
}

static void command_shadow_evict(struct client *client, const struct ctl_object *request)
{
    order(client, request, node_evict, "shadow evict", "evicts it");
}

static void audit_all(struct client *client)
{
    struct path *path = client->control->path;
    struct ledger_facts facts;

    ledger_get_facts(node_ledger(path->node), &facts);
    if (node_audit(path->node, NULL) == LEDGER_ORDERED)
        end_order(client, "", facts.held);
    else
        refuse_name(client, "");
}

static void command_shadow_audit(struct client *client, const struct ctl_object *request)
{
    struct ledger_peer_facts node;

    if (!ctl_text(request, "node")) {
        audit_all(client);
    } else if (find_node(client, request, &node)) {
        if (node_audit(client->control->path->node, node.node) == LEDGER_ORDERED)
            end_order(client, node.node, node.held);
        else
            refuse_name(client, node.node);
    }
}

static void change_copy(struct client *client, const struct ctl_object *request,
    bool (*change)(struct node *node, struct mid mid), const char *command, const char *not_so)
{
    const char *text = ctl_text(request, "id");
    struct mid mid;

    if (!text || !mid_parse(bytes_text(text), &mid)) {
        client_error(client, EX_USAGE, "'%s' is no message id (32 hexadecimal digits)",
            text ? text : "");
        return;
    }
    if (!change(client->control->path->node, mid)) {
        client_error(
            client, EX_NOINPUT, "%s is neither set aside nor unclaimed: %s", text, not_so);
        return;
    }
    report(REPORT_ADMIN, R_MID(mid), R_CHARS("command", command));
    client_ok(client);
}

static void command_shadow_resume(struct client *client, const struct ctl_object *request)
{
    change_copy(
        client, request, node_resume_copy, "shadow resume", "there is nothing to resume");
}

static void command_shadow_drop(struct client *client, const struct ctl_object *request)
{
    change_copy(
        client, request, node_drop_copy, "shadow drop", "only such a copy can be dropped");
}

/* --- The command ------------------------------------------------------------------------- */

void command_shadow(struct client *client, const struct ctl_object *request)
{
    static const struct {
        const char *name;
        command_function *run;
    } orders[] = { { "status", command_shadow_status }, { "list", command_shadow_list },
        { "audit", command_shadow_audit }, { "takeover", command_shadow_takeover },
        { "evict", command_shadow_evict }, { "resume", command_shadow_resume },
        { "drop", command_shadow_drop } };
    const char *name = ctl_text(request, "do");

    for (size_t i = 0; name && i < sizeof orders / sizeof *orders; i++) {
        if (strcmp(orders[i].name, name) == 0) {
            orders[i].run(client, request);
            return;
        }
    }
    client_error(client, EX_USAGE,
        "shadow: 'do' is none of status, list, audit, takeover, "
        "evict, resume, drop");
}
