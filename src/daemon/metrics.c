#include "daemon/metrics.h"

#include "report/report.h"
#include "report/tally.h"

#include <math.h>

/* --- Lines ------------------------------------------------------------------------------- */

/* A full buffer is told of at the end: metrics_format(). */
static void add(struct metrics *metrics, const char *text)
{
    err_ignore(buf_add_text(metrics->out, text));
}

void metric_begin(struct metrics *metrics, const char *name, const char *type, const char *help)
{
    metrics->name = name;
    err_ignore(
        buf_printf(metrics->out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type));
}

/* Backslash, quote and line feed have escapes; other control bytes none. */
static void add_value(struct metrics *metrics, const char *value)
{
    for (; *value; value++) {
        char one[2] = { (char)((uint8_t)*value < 0x20 && *value != '\n' ? '?' : *value), 0 };
        add(metrics, *value == '\\'   ? "\\\\"
                     : *value == '"'  ? "\\\""
                     : *value == '\n' ? "\\n"
                                      : one);
    }
}

static void add_label(struct metrics *metrics, struct metric_label label, const char *before)
{
    if (!label.name)
        return;
    add(metrics, before);
    add(metrics, label.name);
    add(metrics, "=\"");
    add_value(metrics, label.value);
    add(metrics, "\"");
}

void metric_sample(struct metrics *metrics, struct metric_label first,
    struct metric_label second, double value)
{
    add(metrics, metrics->name);
    add_label(metrics, first, "{");
    add_label(metrics, second, ",");
    if (first.name)
        add(metrics, "}");
    if (rint(value) == value && fabs(value) < 1e15)
        err_ignore(buf_printf(metrics->out, " %.0f\n", value));
    else
        err_ignore(buf_printf(metrics->out, " %.6f\n", value));
}

void metric_one(
    struct metrics *metrics, const char *name, const char *type, const char *help, double value)
{
    metric_begin(metrics, name, type, help);
    metric_sample(metrics, METRIC_NO_LABEL, METRIC_NO_LABEL, value);
}

/* --- Tallies ----------------------------------------------------------------------------- */

struct tallied {
    struct metrics *metrics;
    const char *first, *second;
    bool is_amount;
};

static void on_row(void *me, const struct tally_row *row)
{
    const struct tallied *tallied = me;

    metric_sample(tallied->metrics, (struct metric_label){ tallied->first, row->first },
        (struct metric_label){ tallied->second, row->second },
        (double)(tallied->is_amount ? row->amount : row->count));
}

static void tallies(struct metrics *metrics)
{
    static const struct {
        const char *name, *help;
        enum tally_kind kind;
        const char *first, *second;
        bool is_amount;
    } table[] = {
        { "relais_connections_total", "Connections accepted.", TALLY_CONNECTIONS, "connector" },
        { "relais_messages_received_total",
            "Messages acknowledged, by receive connector and TLS version.", TALLY_RECEIVED,
            "connector", "tls" },
        { "relais_received_bytes_total", "Content of these messages.", TALLY_RECEIVED,
            "connector", "tls", true },
        { "relais_refusals_total", "Commands refused, by rule (docs/rules.md).", TALLY_REFUSED,
            "connector", "rule" },
        { "relais_logins_total", "AUTH exchanges that came to an end.", TALLY_LOGINS,
            "connector", "result" },
        { "relais_recipients_attempted_total",
            "What became of recipients at each attempt: sent, deferred, bounced, expired.",
            TALLY_ATTEMPTS, "connector", "status" },
        { "relais_recipients_sent_total",
            "Recipients handed to other hosts, by next hop and TLS version.", TALLY_SENT,
            "queue", "tls" },
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct tallied tallied = { metrics, table[i].first, table[i].second,
            table[i].is_amount };
        metric_begin(metrics, table[i].name, "counter", table[i].help);
        tally_each(table[i].kind, on_row, &tallied);
    }
}

static void events(struct metrics *metrics)
{
    metric_begin(metrics, "relais_events_total", "counter",
        "Events as the log has them (relais status).");
    for (int i = 0; i < REPORT_EVENT_COUNT; i++)
        metric_sample(metrics,
            (struct metric_label){ "event", report_event_name((enum report_event)i) },
            METRIC_NO_LABEL, (double)report_count((enum report_event)i));
}

/* --- The node ---------------------------------------------------------------------------- */

static void spool(struct metrics *metrics, const struct path *path)
{
    struct spool_facts facts;

    spool_get_facts(path->spool, &facts);
    metric_one(metrics, "relais_spool_messages", "gauge", "Messages and copies in the spool.",
        (double)facts.messages_live);
    metric_one(metrics, "relais_spool_live_bytes", "gauge", "What these take.",
        (double)facts.bytes_live);
    metric_one(metrics, "relais_spool_segments", "gauge", "Segments, spare ones too.",
        (double)(facts.segments + facts.segments_spare));
    metric_one(metrics, "relais_spool_bytes", "gauge", "What all segments take on disk.",
        (double)((facts.segments + facts.segments_spare) * facts.segment_bytes));
    metric_one(metrics, "relais_spool_commits_total", "counter", "Messages made durable.",
        (double)facts.commits);
    metric_one(metrics, "relais_spool_flushes_total", "counter",
        "Flushes of the disk; one makes many messages durable.", (double)facts.flushes);
    metric_one(metrics, "relais_spool_flush_seconds_total", "counter", "Time they took.",
        (double)facts.flush_us_total / 1e6);
    metric_one(metrics, "relais_spool_flush_errors_total", "counter", "Flushes that failed.",
        (double)facts.flush_errors);
    metric_one(metrics, "relais_spool_written_bytes_total", "counter", "Written to segments.",
        (double)facts.bytes_written);
    metric_one(metrics, "relais_spool_full", "gauge",
        "1: there is no room, and mail is answered 452.", facts.is_full);
    metric_one(metrics, "relais_spool_unhealthy", "gauge",
        "1: the disk failed, and mail is answered 451.", facts.is_unhealthy);
}

static void bindings(struct metrics *metrics, const struct path *path)
{
    metric_begin(metrics, "relais_binding_open", "gauge",
        "1: the address is listened on; 0: it could not be opened.");
    list_each (node, &path->accept.bindings) {
        const struct accept_binding *binding =
            container_of(node, struct accept_binding, in_accept);
        char text[ENDPOINT_TEXT_BYTES];
        endpoint_format(&binding->endpoint, text);
        for (size_t i = 0; i < binding->connector_count; i++)
            metric_sample(metrics, (struct metric_label){ "connector", binding->connectors[i] },
                (struct metric_label){ "address", text }, accept_binding_is_open(binding));
    }
}

static void node(struct metrics *metrics, const struct path *path, struct moment started)
{
    const struct settings *settings = path->routed_by->settings;

    metric_begin(metrics, "relais_build_info", "gauge", "Always 1.");
    metric_sample(metrics, (struct metric_label){ "version", RELAIS_VERSION },
        (struct metric_label){ "node", settings->node }, 1);
    metric_one(metrics, "relais_uptime_seconds", "gauge", "Since the daemon started.",
        (double)(loop_now(path->home).ms - started.ms) / 1000);
    metric_one(metrics, "relais_settings_revision", "gauge",
        "Counted up at each reload that was good.", (double)settings->revision);
    metric_one(metrics, "relais_sessions", "gauge", "Sessions of clients now.",
        path_session_count(path));
    metric_one(metrics, "relais_set_aside", "gauge",
        "Messages that cannot be read, and were left alone.", (double)path->damage_count);
}

enum err metrics_format(const struct path *path, struct moment started,
    const struct hop_tallies *waiting, struct buf *out)
{
    struct metrics metrics = { .out = out };

    node(&metrics, path, started);
    bindings(&metrics, path);
    tallies(&metrics);
    metrics_queues(&metrics, path, waiting);
    spool(&metrics, path);
    metrics_shadow(&metrics, path);
    events(&metrics);
    /* Something may have been left out. */
    return out->n + 2000 > out->bytes_max ? ERR_LIMIT : OK;
}
