/* What the lines of one message cost to be made: processor time, nothing is written.
 *
 *     lines_bench [MESSAGES]        prints "NAME NANOSECONDS" lines */
#include "os/clock.h"
#include "report/line.h"
#include "report/tally.h"
#include "report/tracking.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MESSAGES = 200000 };

/* One for each kind of line; returns its length. */
typedef size_t (*make)(char *out, const char *time);

/* As R_TEXT() and its like, but constant. */
#define AT(literal)                                                                            \
    {                                                                                          \
        (const uint8_t *)(literal), sizeof(literal) - 1                                        \
    }
#define TEXT(n, literal)                                                                       \
    {                                                                                          \
        .name = n, .kind = REPORT_TEXT, .text = AT(literal)                                    \
    }
#define TRACKED(n, literal)                                                                    \
    {                                                                                          \
        .name = n, .is_tracked_only = true, .text = AT(literal)                                \
    }
#define ADDRESS(n, literal)                                                                    \
    {                                                                                          \
        .name = n, .kind = REPORT_ADDRESS, .text = AT(literal)                                 \
    }
#define ID                                                                                     \
    {                                                                                          \
        .name = "id", .kind = REPORT_MID, .mid = { { 1, 2, 3 } }                               \
    }
#define SESSION                                                                                \
    {                                                                                          \
        .name = "session", .kind = REPORT_SESSION, .session = { 0x602d56ca968d1b21 }           \
    }

/* clang-format off */
static const struct report_field received[] = {
    ID, SESSION, TEXT("connector", "In"), TEXT("client", "127.0.0.1:35212"),
    TEXT("helo", "localhost"), TEXT("user", ""), TEXT("by", "allow:any-recipient"),
    ADDRESS("from", "from@example.com"),
    { .name = "nrcpt", .kind = REPORT_NUMBER, .number = 1 },
    { .name = "size", .kind = REPORT_NUMBER, .number = 1024 },
    TEXT("message-id", "<load-2000@load.invalid>"),
    TRACKED("recipients", "to@example.com"), TRACKED("local", "127.0.0.1:26959"),
    TRACKED("fqdn", "relay.test"), TRACKED("tls", ""), TRACKED("subject", ""),
};

static const struct report_field delivered[] = {
    ID, ADDRESS("to", "to@example.com"), ADDRESS("from", "from@example.com"),
    TEXT("connector", "Out"), TEXT("queue", "Out"),
    TEXT("relay", "127.0.0.1[127.0.0.1]:16940"), TEXT("tls", "none"),
    { .name = "delay", .kind = REPORT_MS, .number = 2 },
    TEXT("dsn", "2.0.0"), TEXT("status", "sent"), TEXT("text", "250 2.0.0 received"), SESSION,
    TRACKED("source", "SMTP"), TRACKED("message-id", "<load-2000@load.invalid>"),
    { .name = "size", .is_tracked_only = true, .kind = REPORT_NUMBER, .number = 1024 },
};
/* clang-format on */

#define COUNT(array) (sizeof(array) / sizeof *(array))

static size_t log_received(char *out, const char *time)
{
    return line_text(out, &(struct line_head){ time, 1234, REPORT_INFO }, REPORT_RECEIVED,
        received, COUNT(received));
}

static size_t log_delivery(char *out, const char *time)
{
    return line_text(out, &(struct line_head){ time, 1234, REPORT_INFO }, REPORT_DELIVERY,
        delivered, COUNT(delivered));
}

static size_t track_received(char *out, const char *time)
{
    return tracking_text(out, time, REPORT_RECEIVED, received, COUNT(received));
}

static size_t track_delivery(char *out, const char *time)
{
    return tracking_text(out, time, REPORT_DELIVERY, delivered, COUNT(delivered));
}

static size_t tally_both(char *out, const char *time)
{
    (void)out;
    (void)time;
    tally_event(REPORT_RECEIVED, received, COUNT(received));
    tally_event(REPORT_DELIVERY, delivered, COUNT(delivered));
    return 1;
}

static const struct report_session session = { .id = { 0x602d56ca968d1b21 },
    .connector = "In",
    .local = "127.0.0.1:26959",
    .peer = "127.0.0.1:35326",
    .sequence = 1234 };

static size_t protocol_command(char *out, const char *time)
{
    return line_protocol_text(
        out, time, &session, '<', BYTES("MAIL FROM:<from@example.com> SIZE=1024"));
}

static size_t protocol_reply(char *out, const char *time)
{
    return line_protocol_text(out, time, &session, '>', BYTES("250 2.1.0 Sender OK"));
}

static const struct {
    const char *name;
    make make;
} kinds[] = {
    { "log_received", log_received },
    { "log_delivery", log_delivery },
    { "track_received", track_received },
    { "track_delivery", track_delivery },
    { "protocol_command", protocol_command },
    { "protocol_reply", protocol_reply },
    { "tally_both", tally_both },
};

int main(int argc, char **argv)
{
    uint32_t count = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : MESSAGES;
    struct line_clock now = { 0 };
    static char out[LINE_BYTES_MAX];

    if (count == 0)
        return 1;
    for (size_t k = 0; k < COUNT(kinds); k++) {
        clock_t begun = clock(); /* the processor's time: others may share the machine */
        size_t bytes = 0;
        for (uint32_t i = 0; i < count; i++)
            bytes += kinds[k].make(out, line_time(&now, (struct wall){ 1800000000000 + i }));
        if (bytes == 0)
            return 1;
        printf("%s %.0f\n", kinds[k].name,
            (double)(clock() - begun) * (1e9 / CLOCKS_PER_SEC) / count);
    }
    return 0;
}
