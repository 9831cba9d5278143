/* One line of the log, written by hand: about a microsecond, no printf, no allocation.
 *
 * What peers sent stands in these lines.  So that no line can be forged and no terminal be
 * played with, control bytes and bytes that are no UTF-8 are written as "\x0a" (in JSON as
 * "\u000a" and "\ufffd"), and text with spaces, quotes or "=" stands in quotes.  One thread a
 * pen. */
#ifndef REPORT_LINE_H
#define REPORT_LINE_H

#include "report/report.h"

enum {
    LINE_BYTES_MAX = 8192, /* a longer line loses the end of its texts, never its shape */
};

/* The time's text, remembered while the second lasts.  Zeroed before its first use. */
struct line_clock {
    int64_t second;
    char text[DATE_ISO_BYTES];
};
const char *line_time(struct line_clock *clock, struct wall now); /* 24 bytes, zero-ended */

/* What stands around the fields. */
struct line_head {
    const char *time; /* NULL: the target adds its own */
    int pid;
    enum report_level level;
};

/* Whose line it is: "relais", or, as analysers of mail logs look for it, who delivered:
 * "relais/smtp", "relais/lmtp", "relais/local" or, when nobody was tried, "relais/error".  It is in
 * front of the process's number, unless the target adds both.  A literal, zero-ended. */
struct bytes line_program(
    enum report_event event, const struct report_field *fields, unsigned count);

/* OUT has room for LINE_BYTES_MAX bytes.  Returns the length, line feed included. */
size_t line_text(char *out, const struct line_head *head, enum report_event event,
    const struct report_field *fields, unsigned count);
size_t line_json(char *out, const struct line_head *head, enum report_event event,
    const struct report_field *fields, unsigned count);

/* A line of the protocol log: comma-separated, as LINE_PROTOCOL_HEADER says; or JSON. */
#define LINE_PROTOCOL_HEADER                                                                   \
    "#Fields: date-time,connector-id,session-id,sequence-number,local-endpoint,"               \
    "remote-endpoint,event,data\n"
size_t line_protocol_text(char *out, const char *time, const struct report_session *session,
    char sign, struct bytes text);
size_t line_protocol_json(char *out, const char *time, const struct report_session *session,
    char sign, struct bytes text);

/* A line of the connectivity log, which report.h explains. */
#define LINE_CONNECTIVITY_HEADER                                                               \
    "#Fields: date-time,session-id,connector-id,source,destination,remote-endpoint,event,"     \
    "description\n"
struct line_connection {
    const struct report_session *session; /* NULL: of no one connection */
    const char *source, *queue;
    char sign;
    struct bytes text;
};
size_t line_connectivity_text(char *out, const char *time, const struct line_connection *line);
size_t line_connectivity_json(char *out, const char *time, const struct line_connection *line);

#endif
