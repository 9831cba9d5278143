#include "report/line.h"

#include "report/events.h"
#include "report/pen.h"

/* At the end of a line stay this many bytes for what closes it: quotes, brackets, line feed. */
enum { RESERVE = 64, FIELD_ROOM = 160, CONNECTOR_MAX = 256 };

static const char *const levels[] = { "debug", "info", "warning", "error" };

const char *line_time(struct line_clock *clock, struct wall now)
{
    int64_t second = now.ms / 1000;
    unsigned ms = (unsigned)(now.ms % 1000); /* the time of day is after 1970 */

    if (second != clock->second || clock->text[0] == 0) {
        wall_format_iso(now, clock->text);
        clock->second = second;
    }
    clock->text[20] = (char)('0' + ms / 100);
    clock->text[21] = (char)('0' + ms / 10 % 10);
    clock->text[22] = (char)('0' + ms % 10);
    return clock->text;
}

static void name(struct pen *pen, const char *text)
{
    pen_bytes(pen, text, strlen(text));
}

static void id(struct pen *pen, const struct report_field *field)
{
    char text[ID_TEXT_BYTES];

    if (field->kind == REPORT_MID)
        mid_format(field->mid, text);
    else
        session_id_format(field->session, text);
    name(pen, text);
}

/* A value without quotes around it: false for texts. */
static bool plain_value(struct pen *pen, const struct report_field *field)
{
    switch (field->kind) {
    case REPORT_NUMBER:
        pen_number(pen, field->number);
        return true;
    case REPORT_MS:
        pen_seconds(pen, field->number);
        return true;
    default:
        return false;
    }
}

static void text_value(struct pen *pen, const struct report_field *field)
{
    if (plain_value(pen, field))
        return;
    if (field->kind == REPORT_MID || field->kind == REPORT_SESSION) {
        id(pen, field);
    } else if (field->kind == REPORT_ADDRESS) {
        pen_char(pen, '<');
        pen_text(pen, field->text, PEN_ADDRESS, RESERVE);
        pen_char(pen, '>');
    } else if (pen_is_word(field->text)) {
        pen_text(pen, field->text, PEN_PLAIN, RESERVE);
    } else {
        pen_char(pen, '"');
        pen_text(pen, field->text, PEN_QUOTED, RESERVE);
        pen_char(pen, '"');
    }
}

static void json_value(struct pen *pen, const struct report_field *field)
{
    if (plain_value(pen, field))
        return;
    pen_char(pen, '"');
    if (field->kind == REPORT_MID || field->kind == REPORT_SESSION)
        id(pen, field);
    else
        pen_text(pen, field->text, PEN_JSON, RESERVE);
    pen_char(pen, '"');
}

static void pair(struct pen *pen, const struct report_field *field)
{
    name(pen, field->name);
    pen_char(pen, '=');
    text_value(pen, field);
}

/* "ID: connector="x", to=<a@b>, relay=host[ip]:25, delay=0.1, dsn=2.0.0, status=sent (text)" */
static void delivery(
    struct pen *pen, const struct report_field *fields, const uint8_t *order, unsigned count)
{
    for (unsigned i = 0; i < count && pen_room(pen) > FIELD_ROOM; i++) {
        const struct report_field *field = &fields[order[i]];
        if (i == 0 && field->kind == REPORT_MID) {
            id(pen, field);
            pen_literal(pen, ": ");
        } else if (field->kind == REPORT_TEXT && strcmp(field->name, "text") == 0) {
            pen_literal(pen, " (");
            pen_text(pen, field->text, PEN_PLAIN, RESERVE);
            pen_char(pen, ')');
        } else {
            if (i > 0 && fields[order[i - 1]].kind != REPORT_MID)
                pen_literal(pen, ", ");
            pair(pen, field);
        }
    }
}

/* Postfix's names of who does the same. */
static const struct {
    const char *source, *program;
} programs[] = {
    { "SMTP", "relais/smtp" },
    { "LMTP", "relais/lmtp" },
    { "MAILDIR", "relais/local" },
    { "QUEUE", "relais/error" },
};

struct bytes line_program(
    enum report_event event, const struct report_field *fields, unsigned count)
{
    const struct report_field *source;

    if (event != REPORT_DELIVERY)
        return BYTES("relais");
    source = event_field(fields, count, "source");
    for (size_t i = 0; source && i < sizeof programs / sizeof *programs; i++) {
        if (bytes_equal(source->text, bytes_text(programs[i].source)))
            return bytes_text(programs[i].program);
    }
    return BYTES("relais");
}

static void head_text(struct pen *pen, const struct line_head *head, struct bytes program)
{
    if (head->time) {
        pen_bytes(pen, head->time, DATE_ISO_BYTES - 1);
        pen_char(pen, ' ');
        pen_bytes(pen, program.at, program.n);
        pen_char(pen, '[');
        pen_number(pen, head->pid);
        pen_literal(pen, "]: ");
    }
    if (head->level != REPORT_INFO) {
        name(pen, levels[head->level]);
        pen_literal(pen, ": ");
    }
}

size_t line_text(char *out, const struct line_head *head, enum report_event event,
    const struct report_field *fields, unsigned count)
{
    const struct event_shape *shape = event_shape(event);
    struct pen pen = { out, out + LINE_BYTES_MAX };
    uint8_t order[64];

    head_text(&pen, head, line_program(event, fields, count));
    count = event_order(shape, fields, count, order);
    if (event == REPORT_DELIVERY) {
        delivery(&pen, fields, order, count);
    } else {
        name(&pen, shape->name);
        for (unsigned i = 0; i < count && pen_room(&pen) > FIELD_ROOM; i++) {
            pen_char(&pen, ' ');
            pair(&pen, &fields[order[i]]);
        }
    }
    pen_char(&pen, '\n');
    return (size_t)(pen.at - out);
}

size_t line_json(char *out, const struct line_head *head, enum report_event event,
    const struct report_field *fields, unsigned count)
{
    const struct event_shape *shape = event_shape(event);
    struct pen pen = { out, out + LINE_BYTES_MAX };
    uint8_t order[64];

    count = event_order(shape, fields, count, order);
    pen_char(&pen, '{');
    if (head->time) {
        pen_literal(&pen, "\"time\":\"");
        pen_bytes(&pen, head->time, DATE_ISO_BYTES - 1);
        pen_literal(&pen, "\",\"pid\":");
        pen_number(&pen, head->pid);
        pen_char(&pen, ',');
    }
    pen_literal(&pen, "\"level\":\"");
    name(&pen, levels[head->level]);
    pen_literal(&pen, "\",\"event\":\"");
    name(&pen, shape->name);
    pen_char(&pen, '"');
    for (unsigned i = 0; i < count && pen_room(&pen) > FIELD_ROOM; i++) {
        pen_literal(&pen, ",\"");
        name(&pen, fields[order[i]].name);
        pen_literal(&pen, "\":");
        json_value(&pen, &fields[order[i]]);
    }
    pen_literal(&pen, "}\n");
    return (size_t)(pen.at - out);
}

size_t line_protocol_text(char *out, const char *time, const struct report_session *session,
    char sign, struct bytes text)
{
    struct pen pen = { out, out + LINE_BYTES_MAX };
    char hex[SESSION_ID_TEXT_BYTES];

    session_id_format(session->id, hex);
    pen_bytes(&pen, time, DATE_ISO_BYTES - 1);
    pen_char(&pen, ',');
    pen_csv(&pen, bytes_first(bytes_text(session->connector), CONNECTOR_MAX), RESERVE);
    pen_char(&pen, ',');
    name(&pen, hex);
    pen_char(&pen, ',');
    pen_number(&pen, session->sequence);
    pen_char(&pen, ',');
    pen_csv(&pen, bytes_text(session->local), RESERVE);
    pen_char(&pen, ',');
    pen_csv(&pen, bytes_text(session->peer), RESERVE);
    pen_char(&pen, ',');
    pen_char(&pen, sign);
    pen_char(&pen, ',');
    pen_csv(&pen, text, RESERVE);
    pen_char(&pen, '\n');
    return (size_t)(pen.at - out);
}

static void json_pair(struct pen *pen, const char *key, struct bytes text)
{
    if (pen_room(pen) <= FIELD_ROOM)
        return;
    pen_literal(pen, ",\"");
    name(pen, key);
    pen_literal(pen, "\":\"");
    pen_text(pen, text, PEN_JSON, RESERVE);
    pen_char(pen, '"');
}

size_t line_protocol_json(char *out, const char *time, const struct report_session *session,
    char sign, struct bytes text)
{
    struct pen pen = { out, out + LINE_BYTES_MAX };
    char hex[SESSION_ID_TEXT_BYTES];

    session_id_format(session->id, hex);
    pen_literal(&pen, "{\"time\":\"");
    pen_bytes(&pen, time, DATE_ISO_BYTES - 1);
    pen_literal(&pen, "\",\"sequence\":");
    pen_number(&pen, session->sequence);
    json_pair(&pen, "session", bytes_text(hex));
    json_pair(&pen, "connector", bytes_text(session->connector));
    json_pair(&pen, "local", bytes_text(session->local));
    json_pair(&pen, "peer", bytes_text(session->peer));
    json_pair(&pen, "sign", bytes_of(&sign, 1));
    json_pair(&pen, "text", text);
    pen_literal(&pen, "}\n");
    return (size_t)(pen.at - out);
}

size_t line_connectivity_text(char *out, const char *time, const struct line_connection *line)
{
    struct pen pen = { out, out + LINE_BYTES_MAX };
    char hex[SESSION_ID_TEXT_BYTES] = "";

    if (line->session)
        session_id_format(line->session->id, hex);
    pen_bytes(&pen, time, DATE_ISO_BYTES - 1);
    pen_char(&pen, ',');
    name(&pen, hex);
    pen_char(&pen, ',');
    pen_csv(&pen, bytes_text(line->session ? line->session->connector : ""), RESERVE);
    pen_char(&pen, ',');
    name(&pen, line->source);
    pen_char(&pen, ',');
    pen_csv(&pen, bytes_first(bytes_text(line->queue), CONNECTOR_MAX * 2), RESERVE);
    pen_char(&pen, ',');
    pen_csv(&pen, bytes_text(line->session ? line->session->peer : ""), RESERVE);
    pen_char(&pen, ',');
    pen_char(&pen, line->sign);
    pen_char(&pen, ',');
    pen_csv(&pen, line->text, RESERVE);
    pen_char(&pen, '\n');
    return (size_t)(pen.at - out);
}

size_t line_connectivity_json(char *out, const char *time, const struct line_connection *line)
{
    struct pen pen = { out, out + LINE_BYTES_MAX };
    char hex[SESSION_ID_TEXT_BYTES];

    pen_literal(&pen, "{\"time\":\"");
    pen_bytes(&pen, time, DATE_ISO_BYTES - 1);
    pen_char(&pen, '"');
    if (line->session) {
        session_id_format(line->session->id, hex);
        json_pair(&pen, "session", bytes_text(hex));
        json_pair(&pen, "connector", bytes_text(line->session->connector));
        json_pair(&pen, "peer", bytes_text(line->session->peer));
    }
    json_pair(&pen, "source", bytes_text(line->source));
    json_pair(&pen, "queue", bytes_text(line->queue));
    json_pair(&pen, "sign", bytes_of(&line->sign, 1));
    json_pair(&pen, "text", line->text);
    pen_literal(&pen, "}\n");
    return (size_t)(pen.at - out);
}
