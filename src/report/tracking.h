/* The message tracking log (OP-4): what became of each message, a line an event, in the manner of
 * Exchange's.  Made from the events of report.h; read by `relais track`.
 *
 * The formatter is called by any thread; it allocates nothing. */
#ifndef REPORT_TRACKING_H
#define REPORT_TRACKING_H

#include "report/report.h"

/* In the order of the log's columns. */
enum tracking_column {
    TRACKING_TIME,
    TRACKING_CLIENT_IP,
    TRACKING_CLIENT_HOSTNAME, /* as given in HELO */
    TRACKING_SERVER_IP,       /* ours of RECEIVE, the next hop's of SEND */
    TRACKING_SERVER_HOSTNAME,
    TRACKING_SESSION,
    TRACKING_CONNECTOR,
    TRACKING_SOURCE, /* SMTP, LMTP, MAILDIR, QUEUE, DSN, ROUTING, SHADOW, ADMIN */
    TRACKING_EVENT,
    TRACKING_MID,
    TRACKING_MESSAGE_ID,
    TRACKING_RECIPIENTS, /* ";" between */
    TRACKING_STATUS,     /* the reply */
    TRACKING_BYTES,
    TRACKING_COUNT,     /* of recipients */
    TRACKING_RELATED,   /* EXPAND: the alias */
    TRACKING_REFERENCE, /* DSN: the message it tells of */
    TRACKING_SUBJECT,
    TRACKING_SENDER,
    TRACKING_USER,
    TRACKING_QUEUE,
    TRACKING_NODE, /* the other one, of what concerns shadow copies */
    TRACKING_INFO,
    TRACKING_COLUMN_COUNT
};

#define TRACKING_HEADER                                                                        \
    "#Fields: date-time,client-ip,client-hostname,server-ip,server-hostname,session-id,"       \
    "connector-id,source,event-id,internal-message-id,message-id,recipient-address,"           \
    "recipient-status,total-bytes,recipient-count,related-recipient-address,reference,"        \
    "message-subject,sender-address,user,queue,node,message-info\n"
const char *tracking_column_name(enum tracking_column column);

/* OUT has room for LINE_BYTES_MAX bytes.  Returns the length, line feed included; 0: the event has
 * no place in this log. */
size_t tracking_text(char *out, const char *time, enum report_event event,
    const struct report_field *fields, unsigned count);
size_t tracking_json(char *out, const char *time, enum report_event event,
    const struct report_field *fields, unsigned count);

/* All event-ids a line may have, ended by NULL. */
extern const char *const tracking_event_ids[];

/* Whether events of this kind may have a line. */
bool tracking_may_want(enum report_event event);

/* --- Recipients of a line ---------------------------------------------------------------- */

enum {
    TRACKING_LIST_BYTES = 4096 - 2
}; /* the column has quotes around it when there are some in it */

/* As many as fit; the rest goes into lines of its own. */
struct tracking_list {
    char text[TRACKING_LIST_BYTES];
    size_t n;
    size_t doubled; /* of those, bytes that take two in the line */
};

void tracking_list_clear(struct tracking_list *list);
/* With ";" between; false: it is full.  An address that would fit into none is passed over. */
bool tracking_list_add(struct tracking_list *list, struct bytes address);
struct bytes tracking_list_bytes(const struct tracking_list *list);

/* --- Reading it -------------------------------------------------------------------------- */

/* A line's columns, borrowed from the line and, where something was escaped, from a room. */
struct tracking_line {
    struct bytes column[TRACKING_COLUMN_COUNT];
};

/* Which column stands at each place: files of other versions may have others.  Zeroed: the order
 * of TRACKING_HEADER. */
struct tracking_layout {
    uint8_t count;
    uint8_t column[64]; /* TRACKING_COLUMN_COUNT: one that is not known */
};

enum tracking_kind { TRACKING_LINE, TRACKING_LAYOUT, TRACKING_OTHER };

/* Reads one LINE, with its line feed or without.  A "#Fields:" line changes LAYOUT.  ROOM (as many
 * bytes as the line has) gets what must be unescaped.  OTHER: no line of such a log. */
enum tracking_kind tracking_parse(struct bytes line, struct tracking_layout *layout,
    uint8_t *room, struct tracking_line *out);

/* The next of the addresses in LIST, which is moved behind it; false: there is none. */
bool tracking_next_recipient(struct bytes *list, struct bytes *out);

#endif
