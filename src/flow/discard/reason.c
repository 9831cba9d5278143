/* Why an item was not delivered so far: what its last attempt met, or why there was none. */
#include "flow/discard/internal.h"

#include "mail/cause.h"

#include <stdio.h>

/* Nothing has gone wrong: who does not let it go? */
static struct verdict wait_of(const struct hop *hop)
{
    uint32_t per_minute;

    if (!hop || !hop->connector)
        return verdict_of(451, STATUS(4, 4, 4), "no route to it");
    if (hop->is_suspended)
        return verdict_of(451, STATUS(4, 3, 2), "the queue is suspended");
    per_minute = hop->connector->messages_per_minute_max;
    if (per_minute)
        return verdict_of(451, STATUS(4, 4, 5),
            "it waits for its turn: %u message%s a minute may go there", per_minute,
            per_minute == 1 ? "" : "s");
    return verdict_of(451, STATUS(4, 4, 5), "it waits for its turn");
}

/* The last error, as mail/cause.h has it. */
static bool find_line(
    const struct discard *discard, const struct item *item, char line[CAUSE_BYTES])
{
    const char *error = item ? item_error(item) : NULL;
    const struct hop *hop = item ? item->hop : NULL;

    if (!error)
        return hop && hop->connector && !hop->is_suspended &&
               discard->is_slowed(discard, hop, line);
    snprintf(line, CAUSE_BYTES, "%s", error);
    return true;
}

/* Paths of ours are no sender's business. */
static bool is_named(struct bytes host)
{
    return host.n > 0 && host.at[0] != '/';
}

static void take_apart(struct reason *reason, const char *line)
{
    char host[CAUSE_BYTES];
    struct cause cause;

    if (!cause_parse(bytes_text(line), &cause)) {
        reason->verdict = verdict_of(451, STATUS(4, 0, 0), "%s", line);
        return;
    }
    reason->verdict = cause.verdict;
    if (!is_named(cause.host))
        return;
    snprintf(host, sizeof host, "%.*s", BYTES_ARGS(cause.host));
    if (cause.is_said)
        reason->host = shared_text_new(host);
    else
        reason->verdict = verdict_of(
            cause.verdict.code, cause.verdict.status, "%s: %s", host, cause.verdict.text);
}

void reason_find(const struct discard *discard, const struct item *item, struct reason *out)
{
    char line[CAUSE_BYTES];

    *out = (struct reason){ .host = NULL };
    out->is_error = find_line(discard, item, line);
    if (out->is_error)
        take_apart(out, line);
    else
        out->verdict = wait_of(item ? item->hop : NULL);
}

void reason_done(struct reason *reason)
{
    shared_text_free(reason->host);
    reason->host = NULL;
}

struct verdict reason_of_expiry(const struct reason *reason)
{
    char last[VERDICT_TEXT_BYTES];

    if (!reason->is_error)
        return verdict_of(
            550, STATUS(4, 4, 7), "QUEUE.Expired; message expired; %s", reason->verdict.text);
    verdict_format(&reason->verdict, last);
    return verdict_of(550, STATUS(4, 4, 7), "QUEUE.Expired; message expired; last: %s%s%s",
        reason->host ? reason->host->text : "", reason->host ? " said: " : "", last);
}
