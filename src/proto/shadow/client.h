/* The asking side of a peer link: events in, actions out.  Pure; one thread.  The driver is
 * node/link_client.c.
 *
 * After CONNECTED it waits for the banner, says EHLO and XSHADOW, and is UP.  Then it sends
 * copies (MAIL, RCPT.., BDAT LAST in one flight, many in flight) and asks, one ask at a time.
 * Replies are matched to commands in order; a reply too many, or one that is none, ends the link.
 *
 *     CONNECTING -> BANNER -> HELLO -> INTRODUCING -> UP -> QUITTING -> CLOSED */
#ifndef PROTO_SHADOW_CLIENT_H
#define PROTO_SHADOW_CLIENT_H

#include "proto/shadow/shadow.h"

struct shadow_client;

/* Borrowed; outlives the engine. */
struct shadow_client_config {
    struct bytes fqdn;
};

enum shadow_client_event_type {
    SHADOW_CLIENT_CONNECTED,    /* .hello: who we are now, is copied; versions 0: all that the
                                 * engine speaks.  The TLS handshake is done */
    SHADOW_CLIENT_INPUT,        /* .input */
    SHADOW_CLIENT_COPY,         /* .copy, .tag, .content_bytes (header fields of ours included);
                              * once UP.  The copy is borrowed for the step alone */
    SHADOW_CLIENT_CONTENT_SENT, /* all of the content that SEND_CONTENT asked for is in the
                                 * output */
    SHADOW_CLIENT_ASK,          /* .ask; once UP, and the one before is answered */
    SHADOW_CLIENT_QUIT,
    SHADOW_CLIENT_LOST, /* connection closed or timed out: every copy under way is LOST */
};

struct shadow_client_event {
    enum shadow_client_event_type type;
    struct bytes input;
    const struct shadow_hello *hello;
    const struct shadow_copy *copy;
    const struct shadow_ask *ask;
    uint64_t tag;
    uint64_t content_bytes;
};

enum shadow_client_action_type {
    SHADOW_CLIENT_UP,           /* .hello: who they are */
    SHADOW_CLIENT_TURNED_AWAY,  /* .verdict: refused at the introduction; CLOSE follows */
    SHADOW_CLIENT_SEND_CONTENT, /* .tag: append the content to the output, then CONTENT_SENT;
                                 * nothing else may be written before that */
    SHADOW_CLIENT_OUTCOME,      /* .tag, .outcome */
    SHADOW_CLIENT_PAGE,         /* .page: the answer to the ask */
    SHADOW_CLIENT_ASK_REFUSED,  /* .verdict */
    SHADOW_CLIENT_FAULT,        /* .text: a reply that breaks the rules, for the log; CLOSE
                                * follows */
    SHADOW_CLIENT_CLOSE,        /* send OUT, then close */
};

struct shadow_client_action {
    enum shadow_client_action_type type;
    struct bytes text;
    uint64_t tag;
    union { /* the engine's own; valid until the next step */
        const struct shadow_hello *hello;
        const struct shadow_outcome *outcome;
        const struct shadow_page *page;
        const struct verdict *verdict;
    };
};

/* As many as there are: LOST answers every copy under way.  All of it is the engine's own, until
 * the next step. */
struct shadow_client_actions {
    unsigned count, room;
    struct shadow_client_action *list;
};

struct shadow_client *shadow_client_new(const struct shadow_client_config *config);
void shadow_client_free(struct shadow_client *client); /* NULL too; gives no action */

/* Returns how much of event.input was used; offer the rest again, with more behind it or, after
 * actions, at once.  What finds no room in OUT is kept: step with an empty INPUT when OUT has
 * drained (SEND_CONTENT waits for that too).  After CLOSE, events are passed over; an ask under way
 * has no answer then. */
size_t shadow_client_step(struct shadow_client *client, const struct shadow_client_event *event,
    struct shadow_client_actions *actions, struct buf *out);

bool shadow_client_is_up(const struct shadow_client *client);
/* Nothing may be offered or asked while a content is being sent, or after QUIT. */
bool shadow_client_may_offer(const struct shadow_client *client);
bool shadow_client_may_ask(const struct shadow_client *client);
uint32_t shadow_client_in_flight(const struct shadow_client *client); /* copies */

#endif
