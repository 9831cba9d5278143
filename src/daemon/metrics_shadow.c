/* Redundancy: which messages are on one node alone, what is held for others, what may be twice. */
#include "daemon/metrics.h"
#include "daemon/picture.h"

#include "report/report.h"

/* Since MOMENT_MS, -1: never. */
static double since_s(struct moment now, int64_t moment_ms)
{
    return moment_ms < 0 || moment_ms > now.ms ? 0 : (double)(now.ms - moment_ms) / 1000;
}

static void rows(struct metrics *metrics, const struct ledger_facts *facts, struct moment now)
{
    metric_one(metrics, "relais_messages_redundant", "gauge",
        "Messages of this node that are on another one too.", (double)facts->redundant);
    metric_one(metrics, "relais_messages_single", "gauge",
        "Messages of this node that should be on another one too, and are not.",
        (double)facts->single);
    metric_begin(metrics, "relais_messages_single_by", "gauge", "The same, and why.");
    for (int i = SINGLE_NOT + 1; i < SINGLE_COUNT; i++)
        metric_sample(metrics,
            (struct metric_label){ "reason", redundancy_single_name((enum standing_single)i) },
            METRIC_NO_LABEL, (double)facts->single_by[i]);
    metric_one(metrics, "relais_messages_single_oldest_seconds", "gauge",
        "How long the oldest of them is on one node alone.",
        since_s(now, facts->single_oldest_ms));
    metric_one(metrics, "relais_shadow_held", "gauge", "Copies held for other nodes.",
        (double)facts->held);
    metric_one(metrics, "relais_shadow_unclaimed", "gauge",
        "Copies that no node says are its own.", (double)facts->unclaimed);
    metric_one(metrics, "relais_shadow_aside", "gauge",
        "Copies set aside, which wait for an order.", (double)facts->aside);
}

#define PEERS(name, help, value)                                                               \
    metric_begin(metrics, name, "gauge", help);                                                \
    for (uint32_t i = 0; i < count; i++)                                                       \
    metric_sample(metrics, (struct metric_label){ "node", peers[i].node }, METRIC_NO_LABEL,    \
        (double)(value))

static void peers(struct metrics *metrics, const struct ledger_peer_facts *peers,
    uint32_t count, struct moment now)
{
    PEERS("relais_node_up", "1: the link to that node is up.", peers[i].is_up);
    PEERS("relais_node_contact_seconds", "Since that node answered last.",
        since_s(now, peers[i].contact_ms));
    PEERS("relais_shadow_held_for", "Copies held for that node.", peers[i].held);
    PEERS("relais_shadow_held_oldest_seconds", "Age of the oldest of them.",
        since_s(now, peers[i].held_oldest_ms));
    PEERS("relais_shadow_owed", "Notices that node has not had yet.", peers[i].owed);
    PEERS("relais_shadow_lag_seconds", "Age of the oldest of these.",
        since_s(now, peers[i].owed_oldest_ms));
    PEERS("relais_shadow_copies_there", "Copies of ours that are durable there.",
        peers[i].copies_there);
}

static void twice(struct metrics *metrics, const struct ledger_facts *facts)
{
    const struct {
        const char *cause;
        uint64_t count;
    } causes[] = { { "D1", facts->counts[LEDGER_D1] }, { "D2", report_count(REPORT_UNTOLD) },
        { "D3", facts->counts[LEDGER_D3] }, { "D4", facts->counts[LEDGER_D4] },
        { "D6", report_count(REPORT_IN_DOUBT) } };

    metric_begin(metrics, "relais_maybe_twice_total", "counter",
        "Messages that may have been delivered twice, by cause.");
    for (size_t i = 0; i < sizeof causes / sizeof *causes; i++)
        metric_sample(metrics, (struct metric_label){ "cause", causes[i].cause },
            METRIC_NO_LABEL, (double)causes[i].count);
}

static void copies(struct metrics *metrics, const struct node_facts *facts)
{
    enum { BUCKETS = sizeof facts->latency / sizeof *facts->latency };
    static const struct {
        const char *text;
        double part;
    } parts[] = { { "0.5", 0.5 }, { "0.99", 0.99 } };

    metric_one(metrics, "relais_copies_sent_total", "counter", "Copies sent to other nodes.",
        (double)facts->copies_sent);
    metric_one(metrics, "relais_copies_received_total", "counter", "Copies taken for others.",
        (double)facts->copies_received);
    metric_begin(metrics, "relais_copy_seconds", "gauge",
        "How long a copy takes until the other node has it, since the start: quantiles.");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        metric_sample(metrics, (struct metric_label){ "quantile", parts[i].text },
            METRIC_NO_LABEL,
            (double)redundancy_latency_us(facts->latency, BUCKETS, parts[i].part) / 1e6);
    metric_one(metrics, "relais_takeovers_total", "counter",
        "Times that another node's messages were taken over.",
        (double)facts->ledger.counts[LEDGER_TAKEOVER]);
}

static void count_alarm(void *me, const char *text)
{
    (void)text;
    ++*(uint32_t *)me;
}

void metrics_shadow(struct metrics *metrics, const struct path *path)
{
    char why[REDUNDANCY_TEXT_BYTES];
    struct picture picture;
    uint32_t alarms = 0;

    picture_take(path, &picture);
    metric_one(metrics, "relais_redundant", "gauge",
        "1: every message is on two nodes, and the next would be.",
        redundancy_judge(&picture.what, why));
    metric_one(metrics, "relais_nodes_configured", "gauge",
        "Other nodes in the configuration; without any there is no redundancy.",
        picture.what.node_count);
    redundancy_each_alarm(&picture.what, count_alarm, &alarms);
    alarms += path_poison_count(path) > 0;
    metric_one(metrics, "relais_alarms", "gauge", "Alarms of relais status.", alarms);
    rows(metrics, &picture.facts.ledger, picture.what.now);
    peers(metrics, picture.peers, picture.what.peer_count, picture.what.now);
    copies(metrics, &picture.facts);
    twice(metrics, &picture.facts.ledger);
}
