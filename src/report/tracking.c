#include "report/tracking.h"

#include "report/events.h"
#include "report/line.h"
#include "report/pen.h"

#include <assert.h>

/* The names are those of TRACKING_HEADER.  A column takes so many bytes at the most, quotes and
 * escapes with it: all together they fit into a line, so that none ever lacks a column. */
static const struct {
    const char *name;
    size_t bytes_max;
} columns[TRACKING_COLUMN_COUNT] = {
    [TRACKING_TIME] = { "date-time", 24 },
    [TRACKING_CLIENT_IP] = { "client-ip", 112 },
    [TRACKING_CLIENT_HOSTNAME] = { "client-hostname", 200 },
    [TRACKING_SERVER_IP] = { "server-ip", 112 },
    [TRACKING_SERVER_HOSTNAME] = { "server-hostname", 200 },
    [TRACKING_SESSION] = { "session-id", 16 },
    [TRACKING_CONNECTOR] = { "connector-id", 130 },
    [TRACKING_SOURCE] = { "source", 16 },
    [TRACKING_EVENT] = { "event-id", 20 },
    [TRACKING_MID] = { "internal-message-id", 32 },
    [TRACKING_MESSAGE_ID] = { "message-id", 260 },
    [TRACKING_RECIPIENTS] = { "recipient-address", 4096 },
    [TRACKING_STATUS] = { "recipient-status", 560 },
    [TRACKING_BYTES] = { "total-bytes", 20 },
    [TRACKING_COUNT] = { "recipient-count", 20 },
    [TRACKING_RELATED] = { "related-recipient-address", 330 },
    [TRACKING_REFERENCE] = { "reference", 32 },
    [TRACKING_SUBJECT] = { "message-subject", 360 },
    [TRACKING_SENDER] = { "sender-address", 330 },
    [TRACKING_USER] = { "user", 130 },
    [TRACKING_QUEUE] = { "queue", 260 },
    [TRACKING_NODE] = { "node", 80 },
    [TRACKING_INFO] = { "message-info", 160 },
};

const char *tracking_column_name(enum tracking_column column)
{
    assert((unsigned)column < TRACKING_COLUMN_COUNT);
    return columns[column].name;
}

/* --- What stands where ------------------------------------------------------------------- */

enum part {
    WHOLE,
    ENDPOINT_IP, /* of "192.0.2.1:25", "[2001:db8::1]:25", "unix:/run/x" */
    HOST_NAME,   /* of "mx.example.com[192.0.2.1]:25" */
    HOST_IP,
};

struct source {
    enum tracking_column column;
    const char *field;
    enum part part;
};

static const struct source of_received[] = {
    { TRACKING_CLIENT_IP, "client", ENDPOINT_IP },
    { TRACKING_CLIENT_HOSTNAME, "helo", WHOLE },
    { TRACKING_SERVER_IP, "local", ENDPOINT_IP },
    { TRACKING_SERVER_HOSTNAME, "fqdn", WHOLE },
    { TRACKING_SESSION, "session", WHOLE },
    { TRACKING_CONNECTOR, "connector", WHOLE },
    { TRACKING_MID, "id", WHOLE },
    { TRACKING_MESSAGE_ID, "message-id", WHOLE },
    { TRACKING_RECIPIENTS, "recipients", WHOLE },
    { TRACKING_BYTES, "size", WHOLE },
    { TRACKING_COUNT, "nrcpt", WHOLE },
    { TRACKING_SUBJECT, "subject", WHOLE },
    { TRACKING_SENDER, "from", WHOLE },
    { TRACKING_USER, "user", WHOLE },
    { TRACKING_INFO, "tls", WHOLE },
    { TRACKING_COLUMN_COUNT, NULL, WHOLE },
};

static const struct source of_expanded[] = {
    { TRACKING_SESSION, "session", WHOLE },
    { TRACKING_CONNECTOR, "connector", WHOLE },
    { TRACKING_MID, "id", WHOLE },
    { TRACKING_MESSAGE_ID, "message-id", WHOLE },
    { TRACKING_RECIPIENTS, "recipients", WHOLE },
    { TRACKING_COUNT, "nrcpt", WHOLE },
    { TRACKING_RELATED, "alias", WHOLE },
    { TRACKING_SENDER, "from", WHOLE },
    { TRACKING_COLUMN_COUNT, NULL, WHOLE },
};

static const struct source of_delivery[] = {
    { TRACKING_SERVER_IP, "relay", HOST_IP },
    { TRACKING_SERVER_HOSTNAME, "relay", HOST_NAME },
    { TRACKING_SESSION, "session", WHOLE },
    { TRACKING_CONNECTOR, "connector", WHOLE },
    { TRACKING_SOURCE, "source", WHOLE },
    { TRACKING_MID, "id", WHOLE },
    { TRACKING_MESSAGE_ID, "message-id", WHOLE },
    { TRACKING_RECIPIENTS, "to", WHOLE },
    { TRACKING_STATUS, "text", WHOLE },
    { TRACKING_BYTES, "size", WHOLE },
    { TRACKING_SENDER, "from", WHOLE },
    { TRACKING_QUEUE, "queue", WHOLE },
    { TRACKING_NODE, "taken-over-from", WHOLE },
    { TRACKING_INFO, "tls", WHOLE },
    { TRACKING_COLUMN_COUNT, NULL, WHOLE },
};

static const struct source of_poison[] = {
    { TRACKING_MID, "id", WHOLE },
    { TRACKING_COUNT, "nrcpt", WHOLE },
    { TRACKING_STATUS, "reason", WHOLE },
    { TRACKING_SENDER, "from", WHOLE },
    { TRACKING_QUEUE, "queue", WHOLE },
    { TRACKING_COLUMN_COUNT, NULL, WHOLE },
};

static const struct source of_dsn[] = {
    { TRACKING_SENDER, "from", WHOLE },
    { TRACKING_MID, "notification", WHOLE },
    { TRACKING_MESSAGE_ID, "message-id", WHOLE },
    { TRACKING_RECIPIENTS, "to", WHOLE },
    { TRACKING_BYTES, "size", WHOLE },
    { TRACKING_REFERENCE, "id", WHOLE },
    { TRACKING_INFO, "about", WHOLE },
    { TRACKING_COLUMN_COUNT, NULL, WHOLE },
};

static const struct source of_taken[] = {
    { TRACKING_SESSION, "session", WHOLE },
    { TRACKING_CONNECTOR, "connector", WHOLE },
    { TRACKING_MID, "id", WHOLE },
    { TRACKING_MESSAGE_ID, "message-id", WHOLE },
    { TRACKING_RECIPIENTS, "recipients", WHOLE },
    { TRACKING_BYTES, "size", WHOLE },
    { TRACKING_COUNT, "nrcpt", WHOLE },
    { TRACKING_SENDER, "from", WHOLE },
    { TRACKING_USER, "user", WHOLE },
    { TRACKING_NODE, "node", WHOLE },
    { TRACKING_COLUMN_COUNT, NULL, WHOLE },
};

static const struct source of_shadow[] = {
    { TRACKING_MID, "id", WHOLE },
    { TRACKING_NODE, "node", WHOLE },
    { TRACKING_INFO, "reason", WHOLE },
    { TRACKING_COLUMN_COUNT, NULL, WHOLE },
};

static const struct source of_admin[] = {
    { TRACKING_MID, "id", WHOLE },
    { TRACKING_QUEUE, "queue", WHOLE },
    { TRACKING_INFO, "command", WHOLE },
    { TRACKING_COLUMN_COUNT, NULL, WHOLE },
};

static const struct source of_redirect[] = {
    { TRACKING_MID, "id", WHOLE },
    { TRACKING_QUEUE, "queue", WHOLE },
    { TRACKING_COUNT, "nrcpt", WHOLE },
    { TRACKING_INFO, "to", WHOLE },
    { TRACKING_COLUMN_COUNT, NULL, WHOLE },
};

/* EVENT_ID NULL: name_event() finds it. */
static const struct {
    const char *source, *event_id;
    const struct source *from;
} shapes[REPORT_EVENT_COUNT] = {
    [REPORT_RECEIVED] = { "SMTP", "RECEIVE", of_received },
    [REPORT_RECEIVED_FOR] = { "SMTP", "RECEIVE", of_received },
    [REPORT_EXPANDED] = { "ROUTING", "EXPAND", of_expanded },
    [REPORT_DELIVERY] = { "QUEUE", NULL, of_delivery },
    [REPORT_POISON] = { "QUEUE", "POISONMESSAGE", of_poison },
    [REPORT_DSN] = { "DSN", "DSN", of_dsn },
    [REPORT_REDIRECT] = { "QUEUE", "REDIRECT", of_redirect },
    [REPORT_ADMIN] = { "ADMIN", NULL, of_admin },
    [REPORT_HA_RECEIVE] = { "SHADOW", "HARECEIVE", of_shadow },
    [REPORT_HA_REDIRECT] = { "SHADOW", "HAREDIRECT", of_shadow },
    [REPORT_HA_REDIRECT_FAIL] = { "SHADOW", "HAREDIRECTFAIL", of_shadow },
    [REPORT_HA_DISCARD] = { "SHADOW", "HADISCARD", of_shadow },
    [REPORT_TAKEN_OVER] = { "SHADOW", "RESUBMIT", of_taken },
    [REPORT_FENCED] = { "SHADOW", "FENCED", of_shadow },
};

const char *const tracking_event_ids[] = { "RECEIVE", "EXPAND", "SEND", "DELIVER", "DEFER",
    "FAIL", "DSN", "POISONMESSAGE", "REDIRECT", "DROP", "SUSPEND", "RESUME", "HARECEIVE",
    "HAREDIRECT", "HAREDIRECTFAIL", "HADISCARD", "RESUBMIT", "FENCED", NULL };

bool tracking_may_want(enum report_event event)
{
    return shapes[event].from != NULL;
}

static bool is_text(
    const struct report_field *fields, unsigned count, const char *name, const char *text)
{
    const struct report_field *field = event_field(fields, count, name);

    return field && field->kind == REPORT_TEXT && bytes_equal(field->text, bytes_text(text));
}

/* What an attempt came to.  DELIVER is into a mailbox, SEND to another relay. */
static const char *name_delivery(const struct report_field *fields, unsigned count)
{
    if (is_text(fields, count, "status", "deferred"))
        return "DEFER";
    if (!is_text(fields, count, "status", "sent"))
        return "FAIL";
    return is_text(fields, count, "source", "LMTP") ||
                   is_text(fields, count, "source", "MAILDIR")
               ? "DELIVER"
               : "SEND";
}

/* Of all commands these have something to do with one message.  One that was removed with a
 * notification has its FAIL besides. */
static const char *name_command(const struct report_field *fields, unsigned count)
{
    static const struct {
        const char *command, *event_id;
    } names[] = { { "remove", "DROP" }, { "redirect", "REDIRECT" }, { "suspend", "SUSPEND" },
        { "resume", "RESUME" } };

    if (!event_field(fields, count, "id"))
        return NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (is_text(fields, count, "command", names[i].command))
            return names[i].event_id;
    }
    return NULL;
}

static const char *name_event(
    enum report_event event, const struct report_field *fields, unsigned count)
{
    if (shapes[event].event_id)
        return shapes[event].event_id;
    return event == REPORT_DELIVERY ? name_delivery(fields, count)
                                    : name_command(fields, count);
}

/* --- Values ------------------------------------------------------------------------------ */

/* A line's columns, and where numbers and ids stand as text. */
struct filled {
    struct tracking_line line;
    char text[256];
    struct pen pen;
};

static struct bytes endpoint_ip(struct bytes text)
{
    if (bytes_starts(text, BYTES("unix:")))
        return text;
    if (text.n && text.at[0] == '[') {
        text = bytes_skip(text, 1);
        return bytes_first(text, bytes_find(text, ']'));
    }
    return bytes_first(text, bytes_find(text, ':'));
}

static struct bytes part_of(struct bytes text, enum part part)
{
    size_t bracket;

    switch (part) {
    case ENDPOINT_IP:
        return endpoint_ip(text);
    case HOST_NAME:
        if (bytes_equal(text, BYTES("none")))
            return BYTES_NONE;
        return bytes_first(text, bytes_find(text, '['));
    case HOST_IP:
        bracket = bytes_find(text, '[');
        return bracket == BYTES_NOT_FOUND ? BYTES_NONE : endpoint_ip(bytes_skip(text, bracket));
    case WHOLE:
        break;
    }
    return text;
}

static struct bytes value(struct filled *filled, const struct report_field *field)
{
    const char *from = filled->pen.at;
    char id[ID_TEXT_BYTES];

    switch (field->kind) {
    case REPORT_TEXT:
        return field->text;
    case REPORT_ADDRESS:
        return field->text.n ? field->text : BYTES("<>"); /* the null sender is one, too */
    case REPORT_NUMBER:
    case REPORT_MS:
        pen_number(&filled->pen, field->number);
        break;
    case REPORT_MID:
        mid_format(field->mid, id);
        pen_bytes(&filled->pen, id, strlen(id));
        break;
    case REPORT_SESSION:
        session_id_format(field->session, id);
        pen_bytes(&filled->pen, id, strlen(id));
        break;
    }
    return bytes_of(from, (size_t)(filled->pen.at - from));
}

static bool fill(struct filled *filled, const char *time, enum report_event event,
    const struct report_field *fields, unsigned count)
{
    struct bytes *column = filled->line.column;
    const char *event_id = shapes[event].from ? name_event(event, fields, count) : NULL;

    if (!event_id)
        return false;
    filled->line = (struct tracking_line){ 0 };
    filled->pen = (struct pen){ filled->text, filled->text + sizeof filled->text };
    column[TRACKING_TIME] = bytes_of(time, DATE_ISO_BYTES - 1);
    column[TRACKING_EVENT] = bytes_text(event_id);
    column[TRACKING_SOURCE] = bytes_text(shapes[event].source);
    for (const struct source *from = shapes[event].from; from->field; from++) {
        const struct report_field *field = event_field(fields, count, from->field);
        if (field)
            column[from->column] = part_of(value(filled, field), from->part);
    }
    return true;
}

/* --- Recipients of a line ---------------------------------------------------------------- */

void tracking_list_clear(struct tracking_list *list)
{
    list->n = list->doubled = 0;
}

bool tracking_list_add(struct tracking_list *list, struct bytes address)
{
    size_t between = list->n ? 1 : 0, doubled = 0;

    for (size_t i = 0; i < address.n; i++)
        doubled += address.at[i] == '"' || address.at[i] == '\\';
    if (list->n + list->doubled + between + address.n + doubled > TRACKING_LIST_BYTES)
        return list->n == 0;
    if (between)
        list->text[list->n++] = ';';
    memcpy(list->text + list->n, address.at, address.n);
    list->n += address.n;
    list->doubled += doubled;
    return true;
}

struct bytes tracking_list_bytes(const struct tracking_list *list)
{
    return bytes_of(list->text, list->n);
}

/* --- Lines ------------------------------------------------------------------------------- */

static size_t reserve(const struct pen *pen, size_t bytes_max)
{
    size_t room = pen_room(pen);

    assert(room > bytes_max);
    return room - bytes_max;
}

size_t tracking_text(char *out, const char *time, enum report_event event,
    const struct report_field *fields, unsigned count)
{
    struct pen pen = { out, out + LINE_BYTES_MAX };
    struct filled filled;

    if (!fill(&filled, time, event, fields, count))
        return 0;
    for (unsigned i = 0; i < TRACKING_COLUMN_COUNT; i++) {
        if (i)
            pen_char(&pen, ',');
        if (filled.line.column[i].n)
            pen_csv(&pen, filled.line.column[i], reserve(&pen, columns[i].bytes_max));
    }
    pen_char(&pen, '\n');
    return (size_t)(pen.at - out);
}

size_t tracking_json(char *out, const char *time, enum report_event event,
    const struct report_field *fields, unsigned count)
{
    struct pen pen = { out, out + LINE_BYTES_MAX };
    struct filled filled;

    if (!fill(&filled, time, event, fields, count))
        return 0;
    pen_char(&pen, '{');
    for (unsigned i = 0; i < TRACKING_COLUMN_COUNT; i++) {
        if (filled.line.column[i].n == 0)
            continue;
        if (pen.at > out + 1)
            pen_char(&pen, ',');
        pen_char(&pen, '"');
        pen_bytes(&pen, columns[i].name, strlen(columns[i].name));
        pen_literal(&pen, "\":\"");
        pen_text(&pen, filled.line.column[i], PEN_JSON, reserve(&pen, columns[i].bytes_max));
        pen_char(&pen, '"');
    }
    pen_literal(&pen, "}\n");
    return (size_t)(pen.at - out);
}
