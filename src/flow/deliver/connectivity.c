/* The connectivity log: connections to next hops, from their beginning to their end. */
#include "flow/deliver/internal.h"

#include <inttypes.h>
#include <stdio.h>

enum { TEXT_BYTES = 900 };

static const char *source_of(const struct send_connector *connector)
{
    return connector->delivery == DELIVERY_LMTP ? "LMTP" : "SMTP";
}

static int64_t took_ms(const struct delivery *delivery)
{
    return loop_now(delivery->destination->deliver->loop).ms - delivery->opened.ms;
}

/* After the destination was forgotten its hop is gone: then it has no name any more. */
static void say(const struct delivery *delivery, char sign, const char *text)
{
    const struct destination *destination = delivery->destination;

    report_connectivity(&delivery->protocol, source_of(delivery->connector),
        destination->is_forgotten ? "" : destination->hop->name, sign,
        bytes_of(text, strnlen(text, TEXT_BYTES - 1)));
}

void connectivity_begun(const struct delivery *delivery)
{
    if (report_connects())
        say(delivery, '+', delivery->text);
}

void connectivity_up(const struct delivery *delivery)
{
    char text[TEXT_BYTES];

    if (!report_connects())
        return;
    snprintf(text, sizeof text, "up after %" PRId64 " ms, TLS: %s", took_ms(delivery),
        delivery->tls_text[0] ? delivery->tls_text : "none");
    say(delivery, '*', text);
}

void connectivity_over(const struct delivery *delivery)
{
    char text[TEXT_BYTES];

    if (!report_connects())
        return;
    snprintf(text, sizeof text,
        "messages: %" PRIu64 ", recipients: %" PRIu64 ", bytes: %" PRIu64 ", ms: %" PRId64
        "%s%s",
        delivery->taken.messages, delivery->taken.recipients, delivery->taken.bytes,
        took_ms(delivery), delivery->error ? ", error: " : "",
        delivery->error ? delivery->error : "");
    say(delivery, '-', text);
}

void connectivity_remark(const struct hop *hop, const char *host, const char *error)
{
    char text[TEXT_BYTES];

    if (!report_connects())
        return;
    snprintf(text, sizeof text, "%s%s%s%s", *host ? host : "no host answers",
        *host ? (*error ? " does not answer" : " answers again") : "", *error ? ": " : "",
        error);
    report_connectivity(NULL, hop->connector ? source_of(hop->connector) : "", hop->name, '*',
        bytes_of(text, strnlen(text, sizeof text - 1)));
}
