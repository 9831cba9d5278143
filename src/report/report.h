/* What the operator sees: one table of events, written as lines.
 *
 * Four streams: the log (events, delivery lines), the protocol log (who said what on which
 * session), the message tracking log (report/tracking.h: the events of messages once more, as
 * columns) and the connectivity log (connections to next hops).  A loop's lines go to the thread
 * that writes the files at the end of its turn, and into the files some milliseconds later;
 * warnings and errors at once, with what waits before them: before report() returns, but for those
 * that clients and other hosts cause.  Any thread; one that did not call
 * report_thread_init() writes each line at once. */
#ifndef REPORT_REPORT_H
#define REPORT_REPORT_H

#include "base/bytes.h"
#include "base/err.h"
#include "base/id.h"
#include "base/time.h"
#include "os/loop.h"

enum report_level { REPORT_DEBUG, REPORT_INFO, REPORT_WARNING, REPORT_ERROR };

struct report_settings {
    int target; /* enum log_target of policy/settings.h: 0 stderr, 1 file, 2 syslog */
    const char *log_file;
    const char *protocol_file; /* NULL: none; these three */
    const char *tracking_file, *connectivity_file;
    bool is_json;
    bool tracks_subjects;
    uint64_t bytes_max; /* a file is rotated at this size: x, x.1, x.2 ... */
    unsigned files_max;
};

/* Opens the files.  Called again to change, or to reopen after a rotation by others.  On failure the
 * logs go on as before; when their disk is known to hang it was not touched (ERR_IO). */
enum err report_init(const struct report_settings *settings, char why[256]) MUST_USE;
void report_done(void); /* writes what waits */

/* Makes this thread's rings of lines, handed over by LOOP once a turn.  The first such thread
 * starts the one that writes, the last one ends it. */
void report_thread_init(struct loop *loop);
void report_thread_done(void); /* its lines are in the files, unless their disk hangs */

/* What was handed over before, and this thread's own lines, are in the files when it returns: for
 * whoever reads them.  Blocks.  False: they are not yet, for the disk of the logs hangs. */
bool report_sync(void);

/* From now on the lines that wait are written when the process crashes (SIGSEGV, abort() and their
 * like), unless somebody else cares for that signal already. */
void report_watch_crashes(void);

/* What happened.  The table in events.c gives each its name, level and the order of its fields.
 */
enum report_event {
    REPORT_STARTED,
    REPORT_STOPPED,
    REPORT_RELOADED,
    REPORT_RELOAD_FAILED,
    REPORT_NOT_REDUNDANT, /* PR-5: once */
    REPORT_BINDING_OPEN,
    REPORT_BINDING_FAILED, /* RC-10 */
    REPORT_CONNECT,
    REPORT_DISCONNECT,
    REPORT_CERTIFICATE_RENEWED, /* from a file that changed */
    REPORT_CERTIFICATE_FAILED,  /* what the file has now cannot be used */
    REPORT_CERTIFICATE_ENDS,    /* within 30 days; each day */
    REPORT_CERTIFICATE_EXPIRED,
    REPORT_NO_CONNECTOR, /* nothing matches the peer */
    REPORT_LOGIN,        /* AUTH was right */
    REPORT_LOGIN_FAILED,
    REPORT_LOGIN_SPREAD, /* one account is used from many addresses (PE-7) */
    REPORT_REJECT,       /* a refusal of policy, with its reply */
    REPORT_WOULD_REFUSE, /* the same of a limit in report mode: nothing was refused */
    REPORT_RECEIVED,     /* durable: 250 is said */
    REPORT_RECEIVED_FOR, /* its further recipients: for the tracking log alone */
    REPORT_EXPANDED,     /* a recipient of it stood for others */
    REPORT_STORE_FAILED,
    REPORT_UNTOLD,   /* stored, and the client was gone: it may send again (D2) */
    REPORT_IN_DOUBT, /* handed over, no answer: it may have been delivered (D6) */
    REPORT_DELIVERY, /* the delivery line: one a recipient and attempt */
    REPORT_CRASHED,  /* the process before this one did; which message it had in work */
    REPORT_POISON,   /* that happened too often with a message: the poison queue has it */
    REPORT_REMOVED,  /* left the queue */
    REPORT_DSN,
    REPORT_HOP_DOWN,
    REPORT_HOP_UP,
    REPORT_HOST_DOWN,
    REPORT_HOST_UP,
    REPORT_HOST_SLOW,
    REPORT_HOST_RECOVERED,
    REPORT_SPOOL_RECOVERY,
    REPORT_SPOOL_RECOVERED,
    REPORT_SPOOL_DAMAGE,
    REPORT_SPOOL_FULL,
    REPORT_SPOOL_UNHEALTHY,
    REPORT_SPOOL_HEALTHY,
    /* Shadow redundancy (docs/formats/shadow.md). */
    REPORT_HA_RECEIVE,       /* a copy is held for another node */
    REPORT_HA_REDIRECT,      /* a copy of ours is durable at another node */
    REPORT_HA_REDIRECT_FAIL, /* it was not taken there */
    REPORT_HA_DISCARD,       /* a held copy went by its primary's notice */
    REPORT_RESUBMIT,         /* a held copy was taken over and is a message now */
    REPORT_TAKEN_OVER,       /* and is queued here: for the tracking log alone */
    REPORT_SINGLE_COPY,      /* a message has one copy now, and why */
    REPORT_COPIED_AGAIN,     /* and two again */
    REPORT_NODE_LIVE,
    REPORT_NODE_SILENT,
    REPORT_NODE_GONE,
    REPORT_NODE_NEW_STORE,
    REPORT_NODE_RETIRED,
    REPORT_NODE_WENT_BACK, /* R14 */
    REPORT_TAKEOVER,
    REPORT_FENCE_BEGUN, /* R6: what was taken is being asked */
    REPORT_FENCE_OVER,
    REPORT_FENCED, /* a message of ours is another node's now */
    REPORT_UNCLAIMED,
    REPORT_UNCLAIMED_DROPPED,
    REPORT_SET_ASIDE,
    REPORT_OWN_STORE_NEW, /* this node's store could not vouch for itself */
    REPORT_AUDIT_DIFFERENCE,
    REPORT_NOTICE_EXPIRED,
    REPORT_MAYBE_TWICE,   /* D1, D3, D4: delivered twice, perhaps; why */
    REPORT_LINK_REFUSED,  /* a peer link: not the node it should be */
    REPORT_LINK_FAULT,    /* a peer link: the other side breaks the rules */
    REPORT_ALARM,         /* an alarm is raised */
    REPORT_ALARM_CLEARED, /* and is over */
    REPORT_REDIRECT, /* what is queued leaves by another host, by command; or not any more */
    REPORT_ADMIN,    /* a command that changed something */
    REPORT_NOTICE,   /* free text */
    REPORT_EVENT_COUNT
};

/* One value of an event; NAME is a literal. */
struct report_field {
    const char *name;
    bool is_tracked_only; /* stands in the tracking log, not in the log */
    enum {
        REPORT_TEXT,
        REPORT_NUMBER,
        REPORT_MID,
        REPORT_SESSION,
        REPORT_MS,
        REPORT_ADDRESS
    } kind;
    union {
        struct bytes text; /* escaped when written */
        int64_t number;
        struct mid mid;
        struct session_id session;
    };
};

#define R_TEXT(n, v) ((struct report_field){ .name = n, .kind = REPORT_TEXT, .text = v })
#define R_CHARS(n, v)                                                                          \
    ((struct report_field){ .name = n, .kind = REPORT_TEXT, .text = bytes_text(v) })
#define R_NUMBER(n, v) ((struct report_field){ .name = n, .kind = REPORT_NUMBER, .number = v })
#define R_MS(n, v) ((struct report_field){ .name = n, .kind = REPORT_MS, .number = v })
#define R_MID(v) R_MID_AS("id", v)
#define R_MID_AS(n, v) ((struct report_field){ .name = n, .kind = REPORT_MID, .mid = v })
#define R_SESSION(v)                                                                           \
    ((struct report_field){ .name = "session", .kind = REPORT_SESSION, .session = v })
/* Printed in angle brackets. */
#define R_ADDRESS(n, v) ((struct report_field){ .name = n, .kind = REPORT_ADDRESS, .text = v })

/* For the tracking log alone. */
#define R_TRACKED(n, v) ((struct report_field){ .name = n, .is_tracked_only = true, .text = v })
#define R_TRACKED_ADDRESS(n, v)                                                                \
    ((struct report_field){                                                                    \
        .name = n, .is_tracked_only = true, .kind = REPORT_ADDRESS, .text = v })
#define R_TRACKED_CHARS(n, v) R_TRACKED(n, bytes_text(v))
#define R_TRACKED_NUMBER(n, v)                                                                 \
    ((struct report_field){                                                                    \
        .name = n, .is_tracked_only = true, .kind = REPORT_NUMBER, .number = v })

void report_fields(enum report_event event, const struct report_field *fields, unsigned count);
#define report(event, ...)                                                                     \
    report_fields(event, (const struct report_field[]){ __VA_ARGS__ },                         \
        sizeof((const struct report_field[]){ __VA_ARGS__ }) / sizeof(struct report_field))

/* Free text as REPORT_NOTICE with a level of its own. */
void report_notice(enum report_level level, const char *format, ...) PRINTF(2, 3);

/* One line of the protocol log (OP-4).  SIGN: '+' connected, '-' gone, '>' we sent, '<' we got,
 * '*' remark.  Dropped when there is no protocol log. */
struct report_session {
    struct session_id id;
    const char *connector;
    char local[120], peer[120]; /* as endpoint_format() writes them */
    uint32_t sequence;
};
void report_protocol(struct report_session *session, char sign, struct bytes text);

/* Whether there is a tracking log, and whether it has subjects: what costs something to put into
 * fields for it need not be made otherwise. */
bool report_tracks(void);
bool report_tracks_subjects(void);

/* One line of the connectivity log (OP-4).  SIGN: '+' a connection is begun, '*' it is up, or a
 * remark, '-' it is over.  SESSION: its id, connector and peer; SOURCE: "SMTP" or "LMTP"; QUEUE:
 * the next hop.  Dropped when there is no such log. */
bool report_connects(void);
void report_connectivity(const struct report_session *session, const char *source,
    const char *queue, char sign, struct bytes text);

/* How many of each event since the start, all threads together; any thread. */
uint64_t report_count(enum report_event event);
const char *report_event_name(enum report_event event);

#endif
