/* The limits of a client, before he passes them (OP-3, PE-8). */
#include "answer/explain_limits.h"

#include "policy/limits.h"

#include <stdio.h>

enum { WHOM_BYTES = 80 };

struct limits_told {
    const struct receive_connector *connector;
    const struct explain_question *question;
    struct explain_counts counts;
    unsigned passed; /* enum limit: by one more connection, or message */
    void (*each)(void *me, const struct finding *finding);
    void *me;
};

/* MAX 0: there is none. */
static void tell(struct limits_told *told, enum limit limit, const char *about, uint64_t max,
    int64_t now, const char *why)
{
    bool is_passed = told->passed & limit, is_reported = told->connector->report_only & limit;
    char reply[VERDICT_TEXT_BYTES] = "", text[200];
    struct decision decision = { .rule = "" };

    if (is_passed && !is_reported) {
        limit_refuse(told->connector, limit, &decision);
        verdict_format(&decision.verdict, reply);
    }
    snprintf(text, sizeof text, "%s%s", why,
        max && is_reported ? "; what passes it is told and let through" : "");
    told->each(told->me, &(struct finding){ .stage = EXPLAIN_LIMITS,
                             .about = about,
                             .is_yes = !*reply,
                             .reply = reply,
                             .rule = decision.rule,
                             .why = text,
                             .queue = "",
                             .limit = max,
                             .now = told->question->count ? now : -1 });
}

/* Whom the limits of a source count: "192.0.2.1", "2001:db8::/64". */
static void whom_format(
    const struct settings *settings, const struct arrival *arrival, char out[WHOM_BYTES])
{
    char text[IP_TEXT_BYTES];

    ip_format(arrival->source, text);
    if (ip_is_v4(arrival->source) || settings->ipv6_prefix == 128)
        snprintf(out, WHOM_BYTES, "%s", text);
    else
        snprintf(out, WHOM_BYTES, "%s/%u", text, (unsigned)settings->ipv6_prefix);
}

static void tell_connections(struct limits_told *told, const char *whom)
{
    const struct receive_connector *connector = told->connector;
    struct limits_connections now = { .of_connector = told->counts.of_connector,
        .of_source = told->counts.of_source,
        .is_unix = told->question->arrival.is_unix };
    uint32_t share = limits_share_max(connector);
    char text[160];

    told->passed = told->question->count ? limits_of_connection(connector, &now) : 0;
    snprintf(text, sizeof text, "connections of connector %.64s", connector->name);
    tell(told, LIMIT_CONNECTIONS, "connections", connector->connections_max, now.of_connector,
        text);
    if (now.is_unix)
        return; /* it has no source */
    snprintf(text, sizeof text, "connections from %s to the connector", whom);
    tell(told, LIMIT_CONNECTIONS_PER_SOURCE, "connections-per-source",
        connector->connections_per_source_max, now.of_source, text);
    snprintf(text, sizeof text, "connections from %s: %u %% of those of the connector", whom,
        connector->source_share_percent);
    if (share)
        tell(told, LIMIT_SOURCE_SHARE, "source-share", share, now.of_source, text);
}

/* The node's own ceiling is nobody's to report: it refuses whatever a connector says. */
static void tell_node(struct limits_told *told, const struct settings *settings)
{
    struct receive_connector strict = *told->connector;
    struct limits_told of_node = *told;

    strict.report_only = 0;
    of_node.connector = &strict;
    of_node.passed = limits_is_full(settings, told->counts.of_node) ? LIMIT_CONNECTIONS : 0;
    tell(&of_node, LIMIT_CONNECTIONS, "connections", settings->connections_max,
        told->counts.of_node, "connections of the node");
}

static void tell_rate(struct limits_told *told, const struct settings *settings,
    const struct client *client, const char *whom)
{
    uint32_t max = limits_rate_max(settings, told->connector, client);
    char text[160];

    if (max)
        snprintf(text, sizeof text, "messages a minute %s %.64s", client->user ? "of" : "from",
            client->user ? client->user : whom);
    else
        snprintf(text, sizeof text, "messages a minute: %s",
            told->connector->messages_per_minute_max ? "the right bypass-rate-limit"
                                                     : "the connector has no such limit");
    told->passed = max && told->counts.messages >= max ? LIMIT_MESSAGE_RATE : 0;
    tell(told, LIMIT_MESSAGE_RATE, "message-rate", max,
        max ? (int64_t)told->counts.messages : -1, text);
}

void explain_limits(const struct settings *settings, const struct explain_question *question,
    const struct receive_connector *connector, const struct client *client,
    void (*each)(void *me, const struct finding *finding), void *me)
{
    struct limits_told told = {
        .connector = connector, .question = question, .each = each, .me = me
    };
    struct arrival arrival = question->arrival;
    char whom[WHOM_BYTES] = "the UNIX socket";

    arrival.source = limits_source(settings, arrival.peer);
    if (!arrival.is_unix)
        whom_format(settings, &arrival, whom);
    if (question->count)
        question->count(question->count_me, connector, &arrival, client->user, &told.counts);
    tell_node(&told, settings);
    tell_connections(&told, whom);
    tell_rate(&told, settings, client, whom);
    told.passed = 0;
    tell(&told, LIMIT_RECIPIENTS, "recipients", limits_recipients_max(connector), -1,
        "recipients of a message");
    tell(&told, LIMIT_MESSAGE_SIZE, "size", limits_size_max(settings, connector, client), -1,
        "bytes of a message");
}
