/* Inside the server engine: one step's hands, and what its files give each other.  Nobody else
 * includes this.
 *
 *     server.c          events, input, decisions
 *     server_turn.c     replies, actions, states, faults
 *     server_verbs.c    commands and the order they come in
 *     server_hello.c    HELO and EHLO
 *     server_mail.c     MAIL and RCPT
 *     server_content.c  DATA and BDAT
 *     server_auth.c     AUTH */
#ifndef PROTO_SMTP_SERVER_TURN_H
#define PROTO_SMTP_SERVER_TURN_H

#include "proto/smtp/server.h"

struct turn {
    struct smtp_server *server;
    struct smtp_server_actions *actions;
    struct buf *out;
};

/* What DECIDED answers. */
enum deciding { DECIDING_HELO, DECIDING_EHLO, DECIDING_MAIL, DECIDING_RCPT, DECIDING_BODY };

/* What the engine says of content by itself; always a literal. */
struct smtp_own_refusal {
    const char *rule;
    struct bytes reply;
};

#define IN(state) (1u << SMTP_SERVER_##state)

static inline bool is_in(const struct smtp_server *server, unsigned states)
{
    return 1u << server->state & states;
}

/* Adds an action of TYPE, all else empty. */
struct smtp_server_action *turn_act(struct turn *turn, enum smtp_server_action_type type);

/* The one place where the state changes; asserts that such a move is made. */
void turn_enter(struct turn *turn, enum smtp_server_state to);
void turn_decide(struct turn *turn, enum deciding deciding);

/* A whole reply, CRLF and all. */
void turn_reply(struct turn *turn, struct bytes reply);
/* PREFIX, then TEXT or, where it is empty, FALLBACK. */
void turn_accept(
    struct turn *turn, struct bytes prefix, const char *text, const char *fallback);
/* A refusal: 4xx or 5xx.  421 closes. */
void turn_refuse(struct turn *turn, const struct verdict *verdict);
/* A protocol error, counted; one too many is answered 421 instead, and closes.  Its rule is by
 * the reply's code; or RULE, and it is about ABOUT. */
void turn_fault(struct turn *turn, struct bytes reply);
void turn_fault_as(struct turn *turn, const char *rule, struct bytes reply, struct bytes about);
/* What is refused without asking, and is no error: a whole reply of our own, and a rule of
 * docs/rules.md, both literals; ABOUT is an address, a name, or nothing.  421 closes. */
void turn_reject(struct turn *turn, const char *rule, struct bytes reply, struct bytes about);

/* Tells the driver to forget the transaction that it holds, if any. */
void turn_forget(struct turn *turn);
/* Then nothing of a transaction is left in the engine either. */
void turn_clear(struct turn *turn);
/* The last thing that the session does. */
void turn_close(struct turn *turn);

/* server_verbs.c: a command line. */
void verbs_line(struct turn *turn, struct bytes line);

/* server_hello.c */
void hello_helo(struct turn *turn, struct bytes args);
void hello_ehlo(struct turn *turn, struct bytes args);
void hello_accepted(struct turn *turn, bool is_extended, const char *text);

/* server_mail.c */
void mail_mail(struct turn *turn, struct bytes args);
void mail_rcpt(struct turn *turn, struct bytes args);
void mail_accepted(struct turn *turn, const char *text);
void mail_rcpt_accepted(struct turn *turn, const char *text);
uint32_t mail_recipients_max(const struct smtp_server *server);

/* server_content.c.  A reader returns false when it can do nothing more with IN. */
void content_data(struct turn *turn, struct bytes args);
void content_bdat(struct turn *turn, struct bytes args);
void content_decided(struct turn *turn, const struct verdict *verdict);
void content_failed(struct turn *turn, const struct verdict *verdict);
bool content_read_data(struct turn *turn, struct bytes in, size_t *used);
bool content_read_chunk(struct turn *turn, struct bytes in, size_t *used);

/* server_auth.c */
void auth_begin(struct turn *turn, struct bytes args);
void auth_line(struct turn *turn, struct bytes line);
void auth_challenge(struct turn *turn, struct bytes challenge);
void auth_done(struct turn *turn, const struct verdict *verdict);
void auth_cancel(struct turn *turn); /* tells the driver; says nothing to the client */
void auth_wipe(struct smtp_server *server);

#endif
