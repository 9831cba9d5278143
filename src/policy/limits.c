#include "policy/limits.h"

#include <assert.h>

enum { MINUTE_MS = 60000, PERCENT = 100 };

static const struct {
    enum limit limit;
    const char *name;
    struct verdict verdict;
    bool is_fixed; /* the text is the specification's, or the engine's: no tag behind it */
} limits[LIMIT_COUNT] = {
    { LIMIT_CONNECTIONS, "connections",
        { 421, { 4, 3, 2 }, "Too many connections, try again later" } },
    { LIMIT_CONNECTIONS_PER_SOURCE, "connections-per-source",
        { 421, { 4, 7, 0 }, "Too many connections from your address, try again later" } },
    { LIMIT_SOURCE_SHARE, "source-share",
        { 421, { 4, 7, 0 }, "Too large a share of connections from your address" } },
    { LIMIT_MESSAGE_RATE, "message-rate",
        { 450, { 4, 7, 1 },
            "Message submission rate for this client has exceeded the configured limit" } },
    { LIMIT_RECIPIENTS, "recipients", { 452, { 4, 5, 3 }, "too many recipients" }, true },
    { LIMIT_MESSAGE_SIZE, "size",
        { 552, { 5, 3, 4 }, "Message size exceeds fixed maximum message size" } },
    { LIMIT_HEADER_SIZE, "header-size",
        { 552, { 5, 3, 4 }, "Header size exceeds fixed maximum" } },
    { LIMIT_HOPS, "hops", { 554, { 5, 4, 14 }, "Hop count exceeded - possible mail loop" },
        true },
    { LIMIT_LOCAL_HOPS, "local-hops",
        { 554, { 5, 4, 14 }, "Hop count exceeded - the message was here before" } },
    { LIMIT_ERRORS, "errors", { 421, { 4, 7, 0 }, "Too many errors" }, true },
    { LIMIT_LOGINS, "logins", { 421, { 4, 7, 0 }, "Too many failed logins" } },
    { LIMIT_MESSAGES, "messages", { 421, { 4, 7, 0 }, "Too many messages in this session" },
        true },
};

const char *limit_name(enum limit limit)
{
    for (size_t i = 0; i < LIMIT_COUNT; i++) {
        if (limits[i].limit == limit)
            return limits[i].name;
    }
    return "";
}

bool limit_next(unsigned *set, enum limit *out)
{
    unsigned first = *set & -*set;

    if (!first)
        return false;
    *set &= ~first;
    *out = (enum limit)first;
    return true;
}

void limit_refuse(
    const struct receive_connector *connector, enum limit limit, struct decision *out)
{
    size_t i = 0;

    while (limits[i].limit != limit)
        i++;
    if (limits[i].is_fixed)
        decide(out, limits[i].name, limits[i].verdict, "limit %s of connector %s",
            limits[i].name, connector->name);
    else
        decide_refusal(out, limits[i].name, connector->name, limits[i].verdict,
            "limit %s of connector %s", limits[i].name, connector->name);
}

void limits_decide(
    const struct receive_connector *connector, unsigned passed, struct decision *out)
{
    unsigned refusing = passed & ~connector->report_only;
    enum limit limit;

    if (limit_next(&refusing, &limit))
        limit_refuse(connector, limit, out);
    else
        decide(out, NULL, verdict_of(250, STATUS(2, 0, 0), "OK"), "within the limits of %s",
            connector->name);
}

struct ip limits_source(const struct settings *settings, struct ip peer)
{
    return ip_network(peer, settings->ipv6_prefix);
}

bool limits_is_full(const struct settings *settings, uint32_t connections)
{
    return connections >= settings->connections_max;
}

/* One at the least, or a small connector would let in nobody. */
uint32_t limits_share_max(const struct receive_connector *connector)
{
    uint64_t share =
        (uint64_t)connector->connections_max * connector->source_share_percent / PERCENT;

    if (!connector->source_share_percent)
        return 0;
    return share ? (uint32_t)share : 1;
}

unsigned limits_of_connection(
    const struct receive_connector *connector, const struct limits_connections *facts)
{
    uint32_t share = limits_share_max(connector);
    unsigned passed = 0;

    if (facts->of_connector >= connector->connections_max)
        passed |= LIMIT_CONNECTIONS;
    if (facts->is_unix)
        return passed;
    if (facts->of_source >= connector->connections_per_source_max)
        passed |= LIMIT_CONNECTIONS_PER_SOURCE;
    if (share && facts->of_source >= share)
        passed |= LIMIT_SOURCE_SHARE;
    return passed;
}

unsigned limits_of_header(
    const struct receive_connector *connector, const struct limits_header *facts)
{
    unsigned passed = 0;

    if (facts->received > connector->hops_max)
        passed |= LIMIT_HOPS;
    if (facts->received_own > connector->local_hops_max)
        passed |= LIMIT_LOCAL_HOPS;
    if (facts->bytes > connector->header_bytes_max)
        passed |= LIMIT_HEADER_SIZE;
    return passed;
}

uint64_t limits_size_max(const struct settings *settings,
    const struct receive_connector *connector, const struct client *client)
{
    if (connector->report_only & LIMIT_MESSAGE_SIZE ||
        client_rights(settings, connector, client) & RIGHT_BYPASS_SIZE_LIMIT)
        return 0;
    return connector->size_bytes_max;
}

uint32_t limits_recipients_max(const struct receive_connector *connector)
{
    return connector->report_only & LIMIT_RECIPIENTS ? 0 : connector->recipients_max;
}

uint32_t limits_messages_max(const struct receive_connector *connector)
{
    return connector->report_only & LIMIT_MESSAGES ? 0 : connector->messages_per_session_max;
}

uint32_t limits_rate_max(const struct settings *settings,
    const struct receive_connector *connector, const struct client *client)
{
    if (!connector->messages_per_minute_max ||
        client_rights(settings, connector, client) & RIGHT_BYPASS_RATE_LIMIT)
        return 0;
    return connector->messages_per_minute_max;
}

/* Where it stands at NOW_MS. */
static struct rate_window turned(const struct rate_window *window, int64_t now_ms)
{
    int64_t minute = now_ms / MINUTE_MS;

    if (minute == window->minute)
        return *window;
    return (struct rate_window){ .minute = minute,
        .before = minute == window->minute + 1 ? window->now : 0 };
}

uint32_t rate_count(const struct rate_window *window, int64_t now_ms)
{
    struct rate_window at = turned(window, now_ms);
    uint64_t left_ms = (uint64_t)(MINUTE_MS - now_ms % MINUTE_MS);

    assert(now_ms >= 0);
    return at.now + (uint32_t)(at.before * left_ms / MINUTE_MS);
}

bool rate_take(struct rate_window *window, uint32_t per_minute, int64_t now_ms)
{
    assert(per_minute);
    *window = turned(window, now_ms);
    if (rate_count(window, now_ms) >= per_minute)
        return false;
    window->now++;
    return true;
}
