/* Inside the client engine: what client*.c share and nobody else includes.
 *
 * 1. A ring of transactions, oldest first.  Each has a writing side (what of it was written)
 *    and a reading side (which reply comes next).  Replies come in the order of the commands
 *    (RFC 2920, 3.1), so the next reply always belongs to the reading side of the first one
 *    that is not through; a reply that its writing side did not ask for is a protocol error.
 * 2. One transaction writes at a time: the first whose writing side is not through.
 * 3. Each recipient has a fate.  give_result() is the one place that settles it, once; a
 *    transaction leaves the ring by DONE when all are settled, or by RETURNED when none is.
 * 4. A step is a pump: it takes the next small thing there is to do, until nothing is left or
 *    the actions are full.  So whatever was begun goes on in the next step.
 */
#ifndef PROTO_SMTP_CLIENT_ENGINE_H
#define PROTO_SMTP_CLIENT_ENGINE_H

#include "proto/smtp/client.h"

enum client_state {
    CLIENT_CONNECTING,
    CLIENT_BANNER,
    CLIENT_EHLO,
    CLIENT_HELO,
    CLIENT_STARTTLS,     /* waits for the reply */
    CLIENT_STARTING_TLS, /* waits for TLS_STARTED */
    CLIENT_AUTH_PLAIN,
    CLIENT_AUTH_LOGIN,
    CLIENT_AUTH_USER,
    CLIENT_AUTH_PASSWORD,
    CLIENT_AUTH_ASKING, /* waits for the driver's word */
    CLIENT_AUTH_TALKING,
    CLIENT_UP,
    CLIENT_QUITTING,
    CLIENT_ENDING, /* gives what is under way its results */
    CLIENT_CLOSED,
};

enum write_side {
    WRITE_START,
    WRITE_MAIL, /* RSET was written, MAIL is next */
    WRITE_RCPT,
    WRITE_DATA,    /* DATA or BDAT is next */
    WRITE_WAITING, /* DATA was written, the 354 is not here */
    WRITE_CONTENT, /* the content is to be asked for */
    WRITE_SENDING, /* the driver is handing it over */
    WRITE_DOT,     /* the engine's own final dot is next */
    WRITE_OVER,
};

enum read_side { READ_START, READ_RSET, READ_MAIL, READ_RCPT, READ_DATA, READ_END, READ_OVER };

/* What becomes of a recipient: a reason not to offer it at all, and two flags. */
enum {
    FATE_OFFERED,
    FATE_TOO_MANY,
    FATE_NOT_ASCII,
    FATE_NO_ADDRESS,
    FATE_REASON = 0x0f,
    FATE_ACCEPTED = 0x40,
    FATE_SETTLED = 0x80,
};

struct transaction {
    struct smtp_client_message message;
    const struct smtp_reply *own; /* why we do not offer it at all; NULL */
    uint8_t *fates;               /* one for each recipient; owned, kept for the next message */
    size_t fates_room;
    uint32_t offered;    /* recipients without a reason against them */
    uint32_t unsettled;  /* recipients without a result */
    uint32_t write_rcpt; /* the next to be written */
    uint32_t read_rcpt;  /* the next to be answered: at RCPT, and again at LMTP's end */
    enum write_side write;
    enum read_side read;
    bool is_bdat;
    bool is_utf8;     /* the SMTPUTF8 parameter is given */
    bool is_cut;      /* the writing side ended before DATA or BDAT */
    bool is_answered; /* some reply to it came: an attempt was made */
    bool is_sent;     /* the last byte of the content was handed over */
};

/* Results for every unsettled recipient of the first transaction, over as many steps as the
 * list of actions needs. */
struct settling {
    const struct smtp_reply *reply; /* NULL: nothing to do */
    enum smtp_client_stage stage;
    uint32_t next;
};

/* Why the connection ends. */
struct ending {
    const struct smtp_reply *cause;
    bool is_by_reply;  /* the peer said it: what is behind that reply was not done */
    bool wants_failed; /* give FAILED at the end */
    bool is_first;     /* the first transaction, to whose reply it happened */
};

/* Replies that actions of one step may point to.  When they are used up the step ends. */
enum { CLIENT_REPLIES_MAX = 8 };

struct smtp_client {
    const struct smtp_client_config *config;
    enum client_state state;
    struct smtp_client_peer peer;
    unsigned peer_auth; /* enum smtp_client_auth */
    bool is_tls, is_authenticated;
    bool is_auth_last;          /* the driver has no more to say */
    enum smtp_client_auth auth; /* that is being done */
    struct buf challenge;
    bool is_ready_open; /* a READY without its OFFER */
    bool wants_quit;
    bool is_mail_open; /* the peer may hold a transaction: RSET before the next MAIL */

    /* The ring: numbers count up for ever, the place is the number modulo its size. */
    struct transaction *ring;
    uint64_t head, writing, tail;
    uint64_t last_mail;  /* the transaction that wrote the last MAIL */
    uint64_t mail_count; /* MAIL commands written */
    uint64_t through;    /* transactions that got all their replies */

    struct settling settling;
    struct ending ending;

    struct smtp_reply replies[CLIENT_REPLIES_MAX];
    unsigned reply_at;      /* the one that is read now */
    bool is_reply_kept;     /* an action points to it */
    unsigned reply_lines;   /* of a reply that is not complete */
    struct smtp_reply lost; /* what the driver said about a lost connection */

    /* Of this step alone. */
    struct smtp_client_actions *actions;
    struct buf *out;
    size_t out_start; /* LINE_OUT actions keep offsets until the step's end */
};

/* The longest command: MAIL and RCPT with every parameter at its limit have about 1,200. */
enum { CLIENT_LINE_BYTES_MAX = SMTP_CLIENT_LINE_BYTES_MAX };

/* Replies that we make ourselves. */
extern const struct smtp_reply client_own_size, client_own_sender, client_own_recipient,
    client_own_sender_ascii, client_own_recipient_ascii, client_own_header_ascii,
    client_own_binary, client_own_too_many, client_own_no_tls, client_own_no_auth,
    client_own_unproved, client_own_early_tls, client_own_protocol, client_own_lost,
    client_own_in_doubt;

/* client.c: what every part does. */
void client_enter(struct smtp_client *client, enum client_state to);
struct smtp_client_action *client_act(
    struct smtp_client *client, enum smtp_client_action_type type);
bool client_has_room(const struct smtp_client *client);

/* client_line.c: one command being written straight into OUT. */
struct client_line {
    uint8_t *at;
    size_t n;
};
bool client_line_begin(struct smtp_client *client, struct client_line *line);
void client_line_add(struct client_line *line, struct bytes bytes);
void client_line_add_number(struct client_line *line, uint64_t number);
void client_line_add_base64(struct client_line *line, struct bytes bytes);
/* Ends it with CRLF.  MASKED is logged in its place; empty: the line itself is. */
void client_line_end(struct smtp_client *client, struct client_line *line, struct bytes masked);
/* A whole command.  False: no room in OUT now. */
bool client_line_put(struct smtp_client *client, struct bytes command);

/* client_peer.c: one line of the reply to EHLO. */
void client_peer_forget(struct smtp_client *client);
void client_peer_learn(struct smtp_client *client, struct bytes text, bool is_first);

/* client_auth.c.  The mechanism of that name; 0: none that is known here. */
unsigned client_auth_find(struct bytes name);
void client_auth_begin(struct smtp_client *client);
void client_auth_reply(struct smtp_client *client, const struct smtp_reply *reply);
void client_auth_response(struct smtp_client *client, struct bytes response, bool is_last);
static inline bool client_is_in_auth(const struct smtp_client *client)
{
    return client->state >= CLIENT_AUTH_PLAIN && client->state <= CLIENT_AUTH_TALKING;
}

/* client_session.c: from the banner to UP. */
void client_session_reply(struct smtp_client *client, const struct smtp_reply *reply);
void client_session_tls_started(struct smtp_client *client);
void client_session_be_up(struct smtp_client *client);

/* client_offer.c: a message is taken into the ring, and judged by what the peer can do. */
void client_offer(struct smtp_client *client, const struct smtp_client_message *message);

/* client_write.c: the writing side.  True: something was done. */
bool client_write(struct smtp_client *client);
void client_content_sent(struct smtp_client *client);

/* client_read.c: the reading side. */
bool client_is_reply_expected(const struct smtp_client *client);
void client_transaction_reply(struct smtp_client *client, const struct smtp_reply *reply);
bool client_advance(struct smtp_client *client); /* what needs no reply; true: something was */
void client_settle(
    struct smtp_client *client, enum smtp_client_stage stage, const struct smtp_reply *reply);
void client_settle_more(struct smtp_client *client);

/* client_end.c: every way a connection ends but QUIT. */
void client_end_refused(struct smtp_client *client, const struct smtp_reply *reply);
void client_end_lost(struct smtp_client *client, const struct smtp_reply *cause);
void client_end_more(struct smtp_client *client);

static inline struct transaction *client_at(const struct smtp_client *client, uint64_t number)
{
    return &client->ring[number % client->config->under_way_max];
}

/* The first transaction, or NULL. */
static inline struct transaction *client_head(const struct smtp_client *client)
{
    return client->head < client->tail ? client_at(client, client->head) : NULL;
}

#endif
