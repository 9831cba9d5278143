/* transport { ... }: the transport configuration of SHADOW.md 6, in relais.conf and in
 * transport.conf. */
#include "directory/option.h"

#include <assert.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR };
enum { SHORTEST_MS = 100, COUNT_MAX = 1000 };

static const struct choice preferences[] = {
    { "prefer-remote", SHADOW_PREFER_REMOTE },
    { "remote-only", SHADOW_REMOTE_ONLY },
    { "local-only", SHADOW_LOCAL_ONLY },
    { NULL, 0 },
};

/* A count: there is no unit to it, and no "unlimited". */
void read_count(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    const char *text = item->values[0].text;
    int digits = (int)strspn(text, "0123456789");
    struct complaint *complaint;
    uint64_t number;

    if (bytes_to_number(bytes_text(text), (uint64_t)option->max, &number) &&
        number >= (uint64_t)option->min) {
        *(uint32_t *)((char *)into + option->at) = (uint32_t)number;
        return;
    }
    complaint = complain(
        reader->complaints, value_line(item, 0), "'%s' cannot be '%.60s'", option->name, text);
    if (digits && text[digits])
        complaint_hint(complaint, "a count takes no unit: %.*s", digits, text);
    else
        complaint_hint(
            complaint, "a number from %" PRId64 " to %" PRId64, option->min, option->max);
}

/* 0 and "none": it is not set. */
static void read_resubmit(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    int64_t *out = (int64_t *)((char *)into + option->at);
    int64_t ms;

    if (strcmp(item->values[0].text, "none") == 0 ||
        (duration_parse(bytes_text(item->values[0].text), &ms) && ms == 0))
        *out = 0;
    else
        read_duration(reader, option, item, into);
}

#define AT(member) offsetof(struct transport_settings, member)
#define TIME(name, member, min, max)                                                           \
    {                                                                                          \
        name, CONFIG_VALUE, read_duration, AT(member), min, max                                \
    }
#define COUNT(name, member, min)                                                               \
    {                                                                                          \
        name, CONFIG_VALUE, read_count, AT(member), min, COUNT_MAX                             \
    }

const struct option transport_options[] = {
    { "shadow_redundancy", CONFIG_VALUE, read_flag, AT(shadow_is_enabled) },
    TIME("shadow_heartbeat_frequency", heartbeat_frequency_ms, SHORTEST_MS, HOUR),
    TIME("shadow_heartbeat_timeout_interval", heartbeat_timeout_ms, SHORTEST_MS, DAY),
    COUNT("shadow_heartbeat_retry_count", heartbeat_retry_count, 1),
    { "shadow_resubmit_time_span", CONFIG_VALUE, read_resubmit, AT(resubmit_ms), SHORTEST_MS,
        7LL * DAY },
    TIME("shadow_message_auto_discard_interval", auto_discard_ms, SECOND, 90LL * DAY),
    { "reject_message_on_shadow_failure", CONFIG_VALUE, read_flag,
        AT(rejects_on_shadow_failure) },
    COUNT("max_retries_for_local_site_shadow", retries_local, 0),
    COUNT("max_retries_for_remote_site_shadow", retries_remote, 0),
    { "shadow_message_preference_setting", CONFIG_VALUE, read_choice, AT(preference),
        .choices = preferences },
    TIME("fence_wait", fence_wait_ms, 0, DAY),
    TIME("audit_after", audit_after_ms, SECOND, 30LL * DAY),
    TIME("unclaimed_hold", unclaimed_hold_ms, SECOND, 90LL * DAY),
    /* The client waits meanwhile, 10 minutes at the most: RFC 5321, 4.5.3.2.6. */
    TIME("shadow_copy_timeout", copy_timeout_ms, SHORTEST_MS, 5 * MINUTE),
    TIME("shadow_acceptance_timeout", accept_timeout_ms, SHORTEST_MS, 5 * MINUTE),
    { NULL },
};

const char *const transport_names[] = {
    "ShadowRedundancyEnabled",
    "ShadowHeartbeatFrequency",
    "ShadowHeartbeatTimeoutInterval",
    "ShadowHeartbeatRetryCount",
    "ShadowResubmitTimeSpan",
    "ShadowMessageAutoDiscardInterval",
    "RejectMessageOnShadowFailure",
    "MaxRetriesForLocalSiteShadow",
    "MaxRetriesForRemoteSiteShadow",
    "ShadowMessagePreferenceSetting",
    "FenceWait",
    "AuditAfter",
    "UnclaimedHold",
    "ShadowCopyTimeout",
    "ShadowAcceptanceTimeout",
    NULL,
};
static_assert(sizeof transport_names / sizeof *transport_names ==
                  sizeof transport_options / sizeof *transport_options,
    "each parameter has both names");

void read_transport(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    if (item->title)
        complaint_hint(complain(reader->complaints, item->where, "'%s' has no name of its own",
                           item->name),
            "write %s { ... }", item->name);
    options_read(reader, transport_options, item, (char *)into + option->at);
}

/* --- All together ------------------------------------------------------------------------ */

/* Where OPTION's value in force was written; else where OTHER's was; else the whole file. */
static struct source_line line_of(struct reader *reader, const struct config_item *root,
    const char *option, const char *other)
{
    const struct config_item *blocks[] = { reader->transport_changed, reader->transport };
    const char *const names[] = { option, other };

    for (int n = 0; n < 2; n++) {
        for (int b = 0; b < 2; b++) {
            const struct config_item *item =
                blocks[b] ? config_find(blocks[b], names[n]) : NULL;
            if (item)
                return item->where;
        }
    }
    return root->where;
}

/* One time that must be longer than another, or as long where that may be. */
struct order {
    const char *option;
    int64_t ms;
    bool may_be_equal;
    const char *other; /* words */
    int64_t other_ms;
    const char *other_option; /* whose line it is when OPTION has its default */
    const char *why;
};

static void check_order(
    struct reader *reader, const struct config_item *root, const struct order *order)
{
    char ms[32], other[32];

    if (order->ms > order->other_ms || (order->may_be_equal && order->ms == order->other_ms))
        return;
    duration_format(order->ms, ms);
    duration_format(order->other_ms, other);
    complaint_hint(
        complain(reader->complaints, line_of(reader, root, order->option, order->other_option),
            "'%s' (%s) must %s %s (%s)", order->option, ms,
            order->may_be_equal ? "not be shorter than" : "be longer than", order->other,
            other),
        "%s", order->why);
}

static int64_t longest_delay(const struct settings *settings)
{
    int64_t ms = 0;

    for (size_t i = 0; i < settings->receive_count; i++) {
        if (settings->receive[i].acknowledgement_delay_ms > ms)
            ms = settings->receive[i].acknowledgement_delay_ms;
    }
    return ms;
}

static void follow_failure(struct reader *reader)
{
    struct settings *settings = reader->settings;

    for (size_t i = 0; i < settings->receive_count; i++) {
        const struct config_item *block =
            i < reader->receive_item_count ? reader->receive_items[i] : NULL;
        if (!block || !config_find(block, "shadow_failure"))
            settings->receive[i].shadow_failure = settings->transport.rejects_on_shadow_failure
                                                      ? SHADOW_FAILURE_REJECT
                                                      : SHADOW_FAILURE_ACCEPT;
    }
}

void check_transport(struct reader *reader, const struct config_item *root)
{
    static const char discard[] = "shadow_message_auto_discard_interval";
    const struct transport_settings *t = &reader->settings->transport;
    int64_t take_over_ms =
        t->resubmit_ms ? t->resubmit_ms : t->heartbeat_timeout_ms * t->heartbeat_retry_count;
    const struct order orders[] = {
        { "shadow_acceptance_timeout", t->accept_timeout_ms, true, "shadow_copy_timeout",
            t->copy_timeout_ms, "shadow_copy_timeout",
            "it is the time for all attempts together" },
        { discard, t->auto_discard_ms, false, "the longest acceptance",
            t->accept_timeout_ms + longest_delay(reader->settings), "shadow_acceptance_timeout",
            "that is shadow_acceptance_timeout and max_acknowledgement_delay: a notice must "
            "outlive the message's acceptance" },
        { discard, t->auto_discard_ms, false, "the time until take-over", take_over_ms,
            t->resubmit_ms ? "shadow_resubmit_time_span" : "shadow_heartbeat_retry_count",
            "that is shadow_resubmit_time_span, else shadow_heartbeat_timeout_interval times "
            "shadow_heartbeat_retry_count: with its notice gone, a message would be delivered "
            "again" },
    };

    follow_failure(reader);
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++)
        check_order(reader, root, &orders[i]);
}
