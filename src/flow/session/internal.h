/* Inside flow/session: a session and the message it receives. */
#ifndef FLOW_SESSION_INTERNAL_H
#define FLOW_SESSION_INTERNAL_H

#include "flow/session/session.h"
#include "mail/scan.h"
#include "mail/sender_fields.h"
#include "mail/strip.h"
#include "os/conn.h"
#include "policy/addresses.h"
#include "policy/balancer.h"
#include "policy/client.h"
#include "policy/decision.h"
#include "policy/limits.h"
#include "policy/login.h"
#include "proto/proxy/proxy.h"
#include "proto/smtp/server.h"
#include "report/report.h"

/* Bytes in a receipt's text. */
struct span {
    uint32_t at, n;
};

struct receipt_recipient {
    struct span address, orcpt;
    uint8_t notify;
    bool is_expanded; /* it stands for those behind it */
};

/* An address that stood for others: recipients [first, first + count). */
struct receipt_alias {
    struct span address;
    uint32_t first, count;
};

enum { RECEIPT_RULES_MAX = 6, RECEIPT_RULES_BYTES = 200 };

/* The message a session is receiving, from MAIL to the answer to its end of data. */
struct receipt {
    struct securing securing;
    struct session *session;       /* NULL: it is gone, the commit goes on */
    struct receipt_client *client; /* then: what the logs have of who sent it */
    struct session_house *house;
    struct mid mid;
    struct spool_writer *writer;
    struct strip strip;
    struct sender_fields *renames; /* NULL: nobody in the header is called differently */
    struct scan scan;              /* of what is kept */
    struct buf text;               /* what MAIL and RCPT said */
    struct span sender, envid, auth;
    /* What let the sender and the recipients pass: literals, each once. */
    const char *rules[RECEIPT_RULES_MAX];
    uint8_t rule_count;
    struct receipt_recipient *recipients;
    uint32_t recipient_count, recipient_room;
    uint32_t mailbox_count;        /* of the envelope: who is named twice is there once */
    uint32_t recipients_bytes;     /* of the envelope */
    struct receipt_alias *aliases; /* in the order of their recipients */
    uint32_t alias_count, alias_room;
    uint64_t size_declared;
    enum body_type body;
    enum envelope_ret ret;
    int8_t priority;
    bool is_smtputf8;
    bool is_committing;
    unsigned reported;   /* enum limit: said of this message already */
    uint8_t last_two[2]; /* of the content: does it end with CRLF? */
};

struct session {
    struct list in_house;
    struct session_house *house;
    struct conn *conn;
    struct setup *setup;
    const struct receive_connector *connector; /* in setup */
    struct arrival arrival;
    char *unix_path; /* what arrival.path is; NULL: none */
    bool is_quiet;   /* a balancer looks whether we are there: the logs have nothing of it */
    bool has_begun;  /* what it said first was no PROXY header */
    struct smtp_server engine;
    struct smtp_server_config config;
    struct receipt *receipt; /* NULL outside a transaction */
    struct mid stored;       /* the last message that was said to be safe */
    bool has_stored;         /* and the client has said nothing since */
    struct timer idle;
    struct timer tarpit;                 /* while it runs, a refusal is held back */
    struct moment last_input, last_data; /* data: content moving, or a commit */
    struct client client;                /* who he is by now */
    char *client_name;                   /* as given in HELO; NULL before */
    char *banner;                        /* expanded */
    char *user;                          /* what client.user is */
    bool is_by_certificate;              /* it says who he is: EXTERNAL */
    struct login *login;                 /* an exchange under way; NULL: none */
    char mechanisms[LOGIN_WORDS_BYTES];  /* that are offered */
    uint32_t failed_logins;
    bool is_locked_out;             /* too many of them: 421 once the tarpit lets go */
    struct report_session protocol; /* its id is the session's */
    char counted_as[SESSION_CONNECTOR_BYTES]; /* the connector accept counted it under */
    struct {
        uint64_t messages, bytes;
        struct moment last; /* when the table of devices was told */
    } unnoted;              /* what it was not told yet */
    bool has_been_noted;
    char tls_version[16]; /* "TLSv1.3"; "": plain.  Outlives the connection */
    char tls_cipher[48];
    bool has_answer; /* `answer` goes into the engine next */
    bool wants_tls;  /* start it once the engine's turn is over */
    bool is_closing;
    bool is_refused; /* in this turn: the reply waits in the tarpit, if there is one */
    bool is_let_go;  /* the tarpit has run off, and what it held is being sent */
    struct smtp_server_event answer;
    struct verdict verdict; /* of the answer */
};

/* --- receipt.c --------------------------------------------------------------------------- */

/* RULE: what let the sender pass, as below the recipient.  STRIPS: header fields of the
 * organisation's own are taken out. */
struct receipt *receipt_new(const struct smtp_mail *mail, const char *rule, bool strips);
struct bytes receipt_sender(const struct receipt *receipt);
struct bytes receipt_text(const struct receipt *receipt, struct span span);
/* With those it stands for, as RESOLVED has it.  False: more than a message can have. */
bool receipt_add_recipient(struct receipt *receipt, const struct settings *settings,
    const struct smtp_rcpt *rcpt, const struct resolved *resolved, const char *rule);
/* "any-sender,accepted-domain": for the log. */
void receipt_format_rules(const struct receipt *receipt, char out[RECEIPT_RULES_BYTES]);
/* Not while it is committing. */
void receipt_free(struct receipt *receipt);

/* content.c.  Adds content, and at its END what was held back; DECISION, a yes, becomes a no when the message is to be given up. */
void receipt_add(struct receipt *receipt, struct session *session, struct bytes content,
    struct decision *decision);
void receipt_end(struct receipt *receipt, struct session *session, struct decision *decision);

/* Senders in its header are called what the settings say.  Before its content. */
void receipt_rename_senders(struct receipt *receipt, struct session *session);

/* All content is there: writes the envelope and gives all to secure. */
void receipt_store(struct receipt *receipt, struct session *session);

/* --- tell.c ------------------------------------------------------------------------------ */

/* A message is safe: for the logs. */
void tell_received(const struct receipt *receipt);
/* It is, and its client, whose session is gone, has not heard so. */
void tell_untold(const struct receipt *receipt);
/* The session is about to go, and leaves what these say of its client. */
void receipt_keep_client(struct receipt *receipt);

/* --- answer.c -------------------------------------------------------------------------------- */

/* Tells the engine of the session's connector.  Between transactions alone. */
void session_configure(struct session *session);
/* From now on by the settings as they are.  Between transactions alone.  False: they take this
 * client no more; session_answer_changed(). */
bool session_refresh(struct session *session);
/* 421: he is to come again. */
void session_answer_changed(struct session *session);
/* A fact about the client has changed (TLS, AUTH): what he may do is worked out again. */
void session_know_client(struct session *session);
/* Does one thing the engine wants; where it wants an answer, `answer` is set. */
void session_do(struct session *session, const struct smtp_server_action *action);
/* The event that goes into the engine next. */
void session_answer(
    struct session *session, enum smtp_server_event_type type, struct verdict verdict);
void session_drop_receipt(struct session *session);
/* It is about mail, so whoever it is: the logs have it from here on. */
void session_unquiet(struct session *session);
/* Says in the log that something was refused. */
void session_reject(
    struct session *session, const char *stage, const struct decision *decision);

/* --- auth.c ---------------------------------------------------------------------------------- */

/* What the engine is to offer; again when the connector has changed, or TLS is there. */
void auth_configure(struct session *session);
void auth_begin_login(struct session *session, const struct smtp_server_action *action);
void auth_respond(struct session *session, const struct smtp_server_action *action);
/* The exchange, if there is one, is over without an end. */
void auth_end(struct session *session);
/* The settings are new.  False: the account he came by is gone, or disabled, or his certificate
 * is not known any more. */
bool auth_renew(struct session *session);
/* He is nobody again: TLS has begun (RFC 3207, 4.2), or the session is over. */
void auth_forget(struct session *session);

/* --- note.c ---------------------------------------------------------------------------------- */

/* A limit in report mode was passed. */
void session_would_refuse(struct session *session, const char *stage, enum limit limit);
/* Counts a message of this client; false: over PER_MINUTE. */
bool session_takes_rate(struct session *session, uint32_t per_minute);
/* For the table of devices: a message is there; and the session is over. */
void session_count_message(struct session *session, uint64_t bytes);
void session_note_device(struct session *session);

/* --- session.c, for the others ------------------------------------------------------------ */

/* The answer to the end of data. */
void session_on_stored(
    struct session *session, struct receipt *receipt, const struct verdict *verdict);

/* The answer to what the engine waited for is there. */
void session_go_on(struct session *session);

/* A session, or the commit it left behind, is over. */
void session_house_leave(struct session_house *house);

/* The connection's output, or the spool's writer, has room again. */
void session_on_room(void *session);

#endif
