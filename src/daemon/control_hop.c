/* What a queue is called and how it stands, for lists and filters. */
#include "daemon/control_hop.h"

#include <stdio.h>

const char *control_hop_kind(const struct hop *hop)
{
    static const char *const kinds[] = { [DELIVERY_SMART_HOSTS] = "smarthost",
        [DELIVERY_MX] = "mx",
        [DELIVERY_LMTP] = "lmtp",
        [DELIVERY_MAILDIR] = "maildir" };

    return hop->connector ? kinds[hop->connector->delivery] : hop->name;
}

/* The words are Exchange's:
 *   active      messages of it are being delivered
 *   connecting  messages are ready, and a connection is being made (greeting, TLS and login are
 *               of it), or waits for its turn
 *   ready       nothing waits, or what waits goes as soon as a connection has room
 *   retry       no host answers, or all that waits was refused for now: there is a next attempt
 *   suspended   by the administrator, or poison: nothing of it is started */
const char *control_hop_status(const struct hop *hop)
{
    if (hop->is_suspended || hop_is_poison(hop))
        return "suspended";
    if (!hop->connector)
        return "unreachable";
    if (hop->delivering_count)
        return "active";
    if (hop->is_down && hop_is_resting(hop))
        return "retry";
    if (hop->ready_count)
        return deliver_has_session(hop) ? "ready" : "connecting";
    return hop->waiting_count ? "retry" : "ready";
}

void control_hop_identity(
    const struct path *path, const struct hop *hop, char out[CONTROL_HOP_BYTES])
{
    snprintf(out, CONTROL_HOP_BYTES, "%s\\%u", path->routed_by->settings->node, hop->number);
}

int64_t control_seconds_until(const struct path *path, struct moment due)
{
    int64_t ms = due.ms - loop_now(path->home).ms;
    return ms > 0 ? (ms + 999) / 1000 : 0;
}

int64_t control_hop_next_attempt_s(const struct path *path, const struct hop *hop)
{
    struct list *first = list_first(&hop->waiting);

    if (hop->is_down)
        return control_seconds_until(path, hop->retry.due);
    if (first && !hop->ready_count)
        return control_seconds_until(
            path, container_of(first, struct item, in_hop)->next_attempt);
    return -1;
}

const char *control_hop_error(const struct hop *hop)
{
    if (hop->last_error)
        return hop->last_error;
    return hop->waiting_count && hop->item_error ? hop->item_error->text : NULL;
}

static bool get_name(struct control_hop_subject *subject, unsigned at, struct filter_value *out)
{
    const char *node = subject->path->routed_by->settings->node;

    switch (at) {
    case 0:
        control_hop_identity(subject->path, subject->hop, subject->text);
        break;
    case 1:
        snprintf(subject->text, CONTROL_HOP_BYTES, "%s\\%s", node, subject->hop->name);
        break;
    case 2:
        snprintf(subject->text, CONTROL_HOP_BYTES, "%s", subject->hop->name);
        break;
    default:
        return false;
    }
    out->text = bytes_text(subject->text);
    return true;
}

bool control_hop_get(void *me, enum filter_field field, unsigned at, struct filter_value *out)
{
    struct control_hop_subject *subject = me;
    const struct hop *hop = subject->hop;
    const char *text;

    if (field == FILTER_IDENTITY || field == FILTER_QUEUE)
        return get_name(subject, at, out);
    if (at)
        return false;
    switch (field) {
    case FILTER_RETRIES:
        out->number = hop->failure_count;
        return true;
    case FILTER_COUNT:
        out->number = (int64_t)hop_item_count(hop);
        return true;
    case FILTER_DOMAIN:
        text = hop->domain[0] ? hop->domain : hop->name;
        break;
    case FILTER_STATUS:
        text = control_hop_status(hop);
        break;
    case FILTER_CONNECTOR:
        text = hop->connector ? hop->connector->name : hop->name;
        break;
    case FILTER_KIND:
        text = control_hop_kind(hop);
        break;
    default:
        text = control_hop_error(hop);
        break;
    }
    out->text = bytes_text(text);
    return true;
}
