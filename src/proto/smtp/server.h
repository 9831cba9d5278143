/* The SMTP server engine: RFC 5321 and its extensions, events in, actions out.
 *
 * Pure: no I/O, clock, random source or log.  One thread.  The driver is flow/session.
 *
 *     event  ->  smtp_server_step()  ->  replies in OUT, and actions, to be done in order
 *
 * The engine stops taking input when it waits for the driver (a decision, TLS, a commit) or
 * when the actions are full: *used says how far it read.  The driver does the actions, gives
 * the event that answers, and then offers the rest of the input again.  So commands may be
 * pipelined at any split, and a slow commit stalls this session's input and nothing else (RFC
 * 2920, SM-4).
 *
 *      GREETING -> HELLO -> READY -> MAIL -> RCPT -> DATA | BDAT -> COMMITTING -> READY
 *                    |                                                            ^
 *                    +-> TLS -> HELLO     RSET, a refused or a failed message ----+
 *
 * 250 for a message is said in one function, on SMTP_SERVER_STORED, which flow/secure alone
 * causes. */
#ifndef PROTO_SMTP_SERVER_H
#define PROTO_SMTP_SERVER_H

#include "base/buf.h"
#include "mail/address.h"
#include "mail/envelope.h"
#include "mail/status.h"
#include "proto/smtp/body.h"

/* Borrowed; outlives the engine. */
struct smtp_server_config {
    struct bytes fqdn;       /* in the EHLO reply */
    struct bytes banner;     /* after "220 " */
    uint64_t size_bytes_max; /* 0 for no limit */
    uint32_t recipients_max; /* one more gets 452 4.5.3, and the message goes on.  Over
                                ENVELOPE_RECIPIENTS_MAX, or 0: that many */
    uint32_t errors_max;     /* protocol errors; one more ends the session: 421 4.7.0 */
    uint32_t mails_max;      /* messages per session, 0 for no limit: 421 4.7.0 */
    bool offers_starttls;
    bool requires_tls;            /* 530 5.7.0 to MAIL before TLS */
    bool is_tls;                  /* TLS from the first byte */
    bool offers_auth_plain_text;  /* AUTH before TLS */
    bool requires_auth;           /* 530 5.7.0 to MAIL before AUTH */
    struct bytes auth_mechanisms; /* "PLAIN LOGIN"; empty: AUTH is not offered */
    bool tolerates_bare_lf;       /* a bare LF ends a command line; bare CR and LF in content
                                     become CRLF */
    bool tolerates_path_spaces;   /* "MAIL FROM: <a@b>" */
    bool tolerates_no_brackets;   /* "MAIL FROM:a@b" */
    bool tolerates_bad_helo;      /* HELO with an underscore, a bare address, or no name */
    bool tolerates_no_helo;       /* MAIL without HELO or EHLO */
    bool logs_lines;              /* give SMTP_SERVER_LINE actions for the protocol log */
};

/* What a client got away with. */
enum smtp_tolerated {
    SMTP_TOLERATED_BARE_LF = 1 << 0,
    SMTP_TOLERATED_PATH_SPACES = 1 << 1,
    SMTP_TOLERATED_NO_BRACKETS = 1 << 2,
    SMTP_TOLERATED_BAD_HELO = 1 << 3,
    SMTP_TOLERATED_NO_HELO = 1 << 4,
};

enum smtp_server_state {
    SMTP_SERVER_GREETING, /* before OPENED */
    SMTP_SERVER_HELLO,    /* no HELO or EHLO yet */
    SMTP_SERVER_READY,    /* no transaction */
    SMTP_SERVER_MAIL,     /* a sender, no recipient accepted */
    SMTP_SERVER_RCPT,     /* at least one recipient accepted */
    SMTP_SERVER_DATA,     /* reading content that a dot ends */
    SMTP_SERVER_BDAT,     /* inside a chunk, or between chunks */
    SMTP_SERVER_DECIDING, /* waits for DECIDED */
    SMTP_SERVER_STARTING_TLS,
    SMTP_SERVER_AUTHENTICATING,
    SMTP_SERVER_COMMITTING, /* waits for STORED or REFUSED */
    SMTP_SERVER_CLOSED,
};

/* Parameters of MAIL, parsed.  Bytes are borrowed from the line; valid during the action. */
struct smtp_mail {
    struct address sender;
    uint64_t size_bytes; /* SIZE=, or 0 */
    enum body_type body;
    bool is_smtputf8;
    enum envelope_ret ret;
    struct bytes envid, auth; /* xtext, checked; may be empty */
    int8_t priority;          /* MT-PRIORITY= */
};

struct smtp_rcpt {
    struct address address;
    uint8_t notify; /* enum notify, or 0 */
    struct bytes orcpt;
};

enum smtp_server_event_type {
    SMTP_SERVER_OPENED,  /* the connection is there (with implicit TLS: after it) */
    SMTP_SERVER_INPUT,   /* .input */
    SMTP_SERVER_DECIDED, /* .verdict: answers CHECK_HELLO, CHECK_MAIL, CHECK_RCPT and
                            BODY_BEGIN */
    SMTP_SERVER_TLS_STARTED,
    SMTP_SERVER_AUTH_CHALLENGE, /* .input: to be sent in base64 */
    SMTP_SERVER_AUTH_DONE,      /* .verdict: 235, or the refusal */
    SMTP_SERVER_BODY_FAILED,    /* .verdict: the driver has given up this message, between
                                   BODY_BEGIN and BODY_END, and forgotten it.  No BODY, BODY_END or
                                   BODY_ABANDON follows; the engine reads on to the end, and
                                   answers with the verdict then.  Ignored when the engine has
                                   abandoned the content already */
    SMTP_SERVER_STORED,         /* .verdict: its text goes behind "250 2.0.0 " */
    SMTP_SERVER_REFUSED,        /* .verdict: 4xx or 5xx after the end of data */
    SMTP_SERVER_STOPPED, /* .verdict: 421 and close: shutdown, idle time, policy; instead of
                            OPENED a 554.  Nothing is written in STARTING_TLS.  While
                            COMMITTING, BODY_ABANDON does not come: the message is the
                            path's already and may stay */
};

struct smtp_server_event {
    enum smtp_server_event_type type;
    struct bytes input;            /* borrowed for the step */
    const struct verdict *verdict; /* borrowed for the step */
};

enum smtp_server_action_type {
    SMTP_SERVER_CHECK_HELLO, /* .text: the client's name, .is_extended; answer DECIDED
                                (250: go on; else the reply) */
    SMTP_SERVER_CHECK_MAIL,  /* .mail; answer DECIDED */
    SMTP_SERVER_CHECK_RCPT,  /* .rcpt; answer DECIDED */
    SMTP_SERVER_BODY_BEGIN, /* the first DATA or BDAT; answer DECIDED (250: send the content) */
    SMTP_SERVER_BODY,       /* .text: the next run of content, borrowed from the input */
    SMTP_SERVER_BODY_END,   /* all of it: commit; answer STORED or REFUSED */
    SMTP_SERVER_BODY_ABANDON,  /* after BODY_BEGIN was decided 250: forget the content and the
                                  recipients: refused by the engine, RSET between chunks, closed
                                  in the middle */
    SMTP_SERVER_RESET,         /* the transaction before the content is over: forget it */
    SMTP_SERVER_START_TLS,     /* send OUT, then start TLS; answer TLS_STARTED.  Input that came
                                  behind STARTTLS must not be offered again: close (SM-3) */
    SMTP_SERVER_AUTH_BEGIN,    /* .text: mechanism; .more: the initial response, decoded;
                                  .has_more says that there is one ("=" is an empty one) */
    SMTP_SERVER_AUTH_RESPONSE, /* .text: decoded */
    SMTP_SERVER_AUTH_CANCEL,   /* the client sent "*", or no base64: the exchange is over */
    SMTP_SERVER_LINE, /* .text: a command line, credentials masked, for the protocol log;
                         given when config.logs_lines */
    SMTP_SERVER_PROTOCOL_ERROR, /* counted; the reply is in OUT already (tarpit, statistics) */
    SMTP_SERVER_REJECTED, /* .rule: what the engine refused .command by, without asking; .text:
                             the reply, which is in OUT already; .more: the address or
                             name it is about,
                             or nothing */
    SMTP_SERVER_CLOSE,    /* send OUT, then close */
};

struct smtp_server_action {
    enum smtp_server_action_type type;
    bool is_extended, has_more;
    struct bytes text, more; /* borrowed from the event's input, or the engine's own */
    union {
        const struct smtp_mail *mail; /* the engine's own; valid until the next step */
        const struct smtp_rcpt *rcpt;
        struct {
            const char *rule;    /* docs/rules.md */
            const char *command; /* "MAIL"; "COMMAND": none that is known */
        };                       /* literals */
    };
};

/* AUTH and its answers may be longer than other lines: RFC 4954, 4.  The driver's room for a
 * half line is at least that. */
enum {
    SMTP_SERVER_ACTIONS_MAX = 32,
    SMTP_SERVER_LINE_BYTES_MAX = 4096,
    SMTP_SERVER_AUTH_LINE_BYTES_MAX = 12288,
};

struct smtp_server_actions {
    unsigned count;
    struct smtp_server_action list[SMTP_SERVER_ACTIONS_MAX];
};

struct smtp_own_refusal;

/* Embedded in the session.  Small: an idle session must cost little (no line buffer in here; a
 * half line stays with the driver, which offers it again with what comes behind it).
 * The driver may read state, is_tls, is_extended, is_authenticated, tolerated and the
 * counts. */
struct smtp_server {
    const struct smtp_server_config *config;
    enum smtp_server_state state, resume; /* resume: where a refusal, or the end of a chunk that
                                             is thrown away, leads back to */
    uint8_t deciding;                     /* what DECIDED answers */
    uint8_t tolerated;                    /* enum smtp_tolerated: in this session so far */
    bool is_tls, is_extended, has_hello, is_authenticated;
    bool is_skipping;          /* the rest of a faulty line is dropped */
    bool hides_unknown;        /* AUTH was refused: what follows may be credentials */
    bool was_refused;          /* a MAIL or a message was refused, so that pipelined commands
                                  which then come out of order are no fault of the client's */
    bool is_awaiting_response; /* AUTHENTICATING: the client's turn, not the driver's */
    bool has_mail, has_body;   /* the driver holds a transaction; and BODY_BEGIN was decided */
    bool is_smtputf8;          /* of this transaction */
    bool is_bdat, is_bdat_last;
    bool is_failed;      /* content is read and thrown away */
    bool said_full;      /* of this transaction: it has as many recipients as it may */
    const char *command; /* the last one, a literal: "MAIL"; "COMMAND": none that is known */
    enum body_type body;
    uint32_t recipient_count, error_count, mail_count;
    uint32_t
        refusal_count; /* replies of 5xx, save those that only follow from an earlier one; a
                               step gives one at the most, and reads nothing behind it */
    uint64_t body_bytes, chunk_bytes_left;
    struct smtp_unstuff unstuff;
    const struct smtp_own_refusal *own_failure; /* as `failure`, which is the driver's: ours */
    struct verdict *failure; /* owned; the answer at the end of failed content, where the
                                content itself does not say why; NULL most of the time */
    struct buf secret;       /* a decoded AUTH response, wiped at the next step */
    union {
        struct smtp_mail mail;
        struct smtp_rcpt rcpt;
    };
};

void smtp_server_init(struct smtp_server *server, const struct smtp_server_config *config);
void smtp_server_done(struct smtp_server *server); /* gives no action: the driver forgets all */

/* Takes one event.  Replies are appended to OUT, whose ceiling must leave room for
 * SMTP_SERVER_LINE_BYTES_MAX bytes; the engine reads no further command while less is free.
 * ACTIONS is emptied first.  Returns how many bytes of event.input were used (0 for others).
 * Offer the rest again after the actions, as long as something was used or an action came;
 * what is left then is a half line, or waits for room in OUT. */
size_t smtp_server_step(struct smtp_server *server, const struct smtp_server_event *event,
    struct smtp_server_actions *actions, struct buf *out);

/* True while the engine would read input: it waits for nothing from the driver. */
bool smtp_server_wants_input(const struct smtp_server *server);

#endif
