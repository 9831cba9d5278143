/* The SMTP and LMTP client engine: RFC 5321, 2033, 2920, 3030; events in, actions out.
 *
 * Pure: no I/O, clock, random source or log.  One thread.  The driver is flow/deliver; the load
 * generator drives it too.
 *
 * One engine is one connection.  After the session is up it asks for messages (READY); the
 * driver offers one (OFFER) or ends (QUIT).  MAIL, RCPT.. and DATA go in one write where the
 * peer pipelines; the next message's MAIL follows the final dot in the same write; BDAT, where
 * offered, puts a whole message in one flight.  Replies are matched to commands in order and
 * never mixed up; a reply too many ends the connection.
 *
 * Several messages may be under way: each has the driver's tag.  Results come per recipient.
 *
 *     CONNECTING -> BANNER -> HELLO -> (TLS -> HELLO) -> (AUTH) -> READY <-> BUSY -> QUITTING
 * -> CLOSED
 */
#ifndef PROTO_SMTP_CLIENT_H
#define PROTO_SMTP_CLIENT_H

#include "base/buf.h"
#include "mail/envelope.h"
#include "proto/smtp/body.h"
#include "proto/smtp/reply.h"

enum smtp_client_tls {
    SMTP_CLIENT_TLS_NONE, /* never */
    SMTP_CLIENT_TLS_MAY,  /* when offered; the driver connects again without after a failure */
    SMTP_CLIENT_TLS_MUST, /* no mail without: session failure 4xx 4.7.4 */
};

/* What AUTH may be done by.  PLAIN and LOGIN are the engine's own; of the others it has the lines
 * and the base64, and asks the driver what to say. */
enum smtp_client_auth {
    SMTP_CLIENT_AUTH_PLAIN = 1,
    SMTP_CLIENT_AUTH_LOGIN = 2,
    SMTP_CLIENT_AUTH_SCRAM_SHA_256 = 4,
    SMTP_CLIENT_AUTH_SCRAM_SHA_256_PLUS = 8, /* after TLS alone */
};

/* Borrowed; outlives the engine.  Until TLS_STARTED is given the driver may change
 * auth_mechanisms. */
struct smtp_client_config {
    struct bytes fqdn; /* for EHLO; falls back to HELO when EHLO is not known (not LMTP) */
    bool is_lmtp;      /* LHLO, and a reply per recipient after the content */
    enum smtp_client_tls tls;
    bool is_tls;            /* TLS from the first byte, started by the driver */
    bool uses_chunking;     /* BDAT where offered */
    bool uses_pipelining;   /* where offered */
    uint32_t under_way_max; /* messages between MAIL and their last reply; at least 1 */
    uint32_t mails_max; /* per connection; 0: no limit of ours (the peer's LIMITS hold too) */
    struct bytes auth_user, auth_password; /* empty user: no AUTH */
    unsigned auth_mechanisms; /* enum smtp_client_auth: the strongest that is offered; 0: PLAIN
                                 and LOGIN, which go over TLS alone unless: */
    bool auth_plain_text;
    bool logs_lines; /* give SMTP_CLIENT_LINE_OUT / _IN actions */
};

/* A message offered.  Borrowed until its last result (DONE): sender and recipients stay valid.
 */
struct smtp_client_message {
    uint64_t tag; /* the driver's; comes back with each result */
    struct bytes sender, envid, auth;
    enum envelope_ret ret;
    enum body_type body;
    bool is_smtputf8, has_8bit, has_utf8_header;
    bool has_dot_line; /* else the content goes out as it is */
    bool ends_with_crlf;
    int8_t priority;
    uint64_t content_bytes; /* as they are handed over, `prepend` and all */
    const struct recipient *recipients;
    uint32_t recipient_count;
};

enum smtp_client_event_type {
    SMTP_CLIENT_CONNECTED, /* (with implicit TLS: after it) */
    SMTP_CLIENT_INPUT,     /* .input */
    SMTP_CLIENT_TLS_STARTED,
    SMTP_CLIENT_AUTH_RESPONSE, /* .input: the answer to SMTP_CLIENT_AUTH, which the engine sends;
                                  .is_last: the driver is content, and waits for 235 */
    SMTP_CLIENT_AUTH_FAILED,   /* .verdict: the exchange cannot go on */
    SMTP_CLIENT_OFFER,         /* .message; only after READY, one for each READY */
    SMTP_CLIENT_CONTENT_SENT,  /* the content asked for by SEND_CONTENT is in the output */
    SMTP_CLIENT_QUIT,          /* no more messages: end once all replies are here */
    SMTP_CLIENT_LOST,          /* connection closed, timed out, TLS failed: .verdict says why;
                                 every message under way gets its results, then CLOSE */
};

struct smtp_client_event {
    enum smtp_client_event_type type;
    struct bytes input;
    const struct smtp_client_message *message;
    const struct verdict *verdict;
    bool is_last;
};

/* How far a recipient, or a message, came. */
enum smtp_client_stage {
    SMTP_CLIENT_AT_SESSION, /* banner, EHLO, TLS, AUTH */
    SMTP_CLIENT_AT_MAIL,
    SMTP_CLIENT_AT_RCPT,
    SMTP_CLIENT_AT_DATA,  /* the DATA command */
    SMTP_CLIENT_AT_END,   /* the reply to the end of data: for good or bad */
    SMTP_CLIENT_IN_DOUBT, /* lost between the last byte and its reply: maybe delivered (SM-8) */
};

enum smtp_client_action_type {
    SMTP_CLIENT_START_TLS, /* send OUT, start TLS, answer TLS_STARTED */
    SMTP_CLIENT_AUTH, /* .text: the mechanism; .more: the challenge, decoded; .is_first: there is
                         none yet.  Answer AUTH_RESPONSE or AUTH_FAILED, maybe later */
    SMTP_CLIENT_UP,   /* session is up: the host is alive; what it can do is in the engine */
    SMTP_CLIENT_READY, /* one more message would be welcome: OFFER, or nothing now: the engine
                          keeps one READY open and does not repeat it */
    SMTP_CLIENT_SEND_CONTENT, /* .tag: append the content to the output; through smtp_stuff_add
                                 and smtp_stuff_end when .is_stuffed, as it is otherwise (the
                                 engine then writes the final dot itself, or needs none); then
                                 CONTENT_SENT.  The engine writes nothing before that event. */
    SMTP_CLIENT_RESULT,       /* .tag, .recipient, .stage, .reply: one recipient's outcome */
    SMTP_CLIENT_DONE,         /* .tag: no more results for this message; give it up */
    SMTP_CLIENT_FAILED,   /* .stage AT_SESSION, .reply: the session did not come up, or ended
                             before a message got through, or the peer ended it with 421 inside
                             a transaction: messages not yet offered are to wait.  Messages
                             under way had their results, or were RETURNED.  A connection that
                             worked and is ended between two messages (421, closed) does not
                             fail: CLOSE alone */
    SMTP_CLIENT_RETURNED, /* .tag: untouched (nothing of it was sent, or the peer took no
                             notice): offer it elsewhere at once, no attempt was made */
    SMTP_CLIENT_LINE_OUT, /* .text: a command, credentials masked */
    SMTP_CLIENT_LINE_IN,  /* .text: a reply line */
    SMTP_CLIENT_CLOSE,    /* send OUT, then close; .reply: the peer's that ended it (421, a
                             refusal of the session), or NULL */
};

struct smtp_client_action {
    enum smtp_client_action_type type;
    enum smtp_client_stage stage;
    bool is_stuffed, is_first;
    uint64_t tag;
    uint32_t recipient; /* number in message.recipients */
    struct bytes more;  /* the engine's own; valid until the next step */
    struct bytes text;  /* borrowed from the input or OUT's last bytes: use at once */
    const struct smtp_reply
        *reply; /* the engine's own; valid until the next step.  For replies we
                   made ourselves (size, 8 bit, lost) code and status say so */
};

enum {
    SMTP_CLIENT_ACTIONS_MAX = 64,
    SMTP_CLIENT_LINE_BYTES_MAX = 2048,
    SMTP_CLIENT_CREDENTIALS_BYTES_MAX = 1024
};

struct smtp_client_actions {
    unsigned count;
    bool is_more; /* the list was full: step again with an empty INPUT */
    struct smtp_client_action list[SMTP_CLIENT_ACTIONS_MAX];
};

struct smtp_client; /* heap: about 6 KiB (replies that actions point to), 250 bytes for each
                       message under way and a byte for each of its recipients */

struct smtp_client *smtp_client_new(const struct smtp_client_config *config);
void smtp_client_free(struct smtp_client *client);

/* Takes one event.  Commands are appended to OUT.  ACTIONS is emptied first.  Returns how many
 * bytes of event.input were used; the rest (a half line, or lines after a full list) is offered
 * again.
 *
 * Until UP, OUT must have SMTP_CLIENT_LINE_BYTES_MAX bytes free.  Later, while it has fewer,
 * the engine writes nothing and goes on with the next step: after OUT drained, step with an
 * empty INPUT.  An OFFER that crosses the end of the session is RETURNED; other events after
 * the end are passed over. */
size_t smtp_client_step(struct smtp_client *client, const struct smtp_client_event *event,
    struct smtp_client_actions *actions, struct buf *out);

/* For timeouts (RFC 5321, 4.5.3.2): what the engine waits for now. */
enum smtp_client_wait {
    SMTP_CLIENT_WAITS_NOT,      /* for the driver */
    SMTP_CLIENT_WAITS_GREETING, /* 5 min */
    SMTP_CLIENT_WAITS_COMMAND,  /* EHLO, MAIL, RCPT: 5 min */
    SMTP_CLIENT_WAITS_DATA,     /* the 354: 2 min */
    SMTP_CLIENT_WAITS_END,      /* after the final dot: 10 min */
};
enum smtp_client_wait smtp_client_waits(const struct smtp_client *client);

/* What the peer said it can do; for logs, `relais status` and the cache of hosts. */
struct smtp_client_peer {
    bool pipelining, chunking, binarymime, eightbit, smtputf8, dsn, starttls, mt_priority, size;
    uint64_t size_bytes_max;     /* 0: none said */
    uint32_t rcpt_max, mail_max; /* LIMITS (RFC 9422); 0: none */
    char name[256];              /* as in its EHLO reply */
};
const struct smtp_client_peer *smtp_client_peer(const struct smtp_client *client);

#endif
