/* The answering side of a peer link: events in, actions out.  Pure; one thread.  The driver is
 * node/link_server.c.
 *
 * A subset of SMTP with the verbs of docs/formats/shadow.md: EHLO XSHADOW MAIL RCPT BDAT
 * XQDISCARD XQTAKEN XQAUDIT RSET NOOP QUIT.  Many copies may be in flight: the engine reads on
 * while they are committed, and keeps the order of the replies.  An ask that waits holds up what
 * stands behind it; so a node asks on one connection and sends copies on another.
 *
 *     GREETING -> HELLO -> STRANGER -(XSHADOW)-> READY -> MAIL -> RCPT -> BDAT -> READY
 *                             |                    +-> ASKED -> READY
 *                             +-> INTRODUCING
 *
 * Malformed input is answered 501 and changes nothing; before the introduction all is 503.  One
 * malformed line more than SHADOW_SERVER_ERRORS_MAX ends the link.  Of a copy that was refused
 * anywhere the rest is read and dropped, and its last chunk is answered with the first refusal. */
#ifndef PROTO_SHADOW_SERVER_H
#define PROTO_SHADOW_SERVER_H

#include "proto/shadow/shadow.h"

enum { SHADOW_SERVER_ERRORS_MAX = 10, SHADOW_SERVER_ACTIONS_MAX = 32 };

struct shadow_server;

/* Borrowed; outlives the engine. */
struct shadow_server_config {
    struct bytes fqdn;       /* in the banner and the EHLO reply */
    uint64_t size_bytes_max; /* of a copy; 0: no limit */
    uint32_t in_flight_max;  /* copies read and not answered; at the ceiling input stalls */
};

enum shadow_server_event_type {
    SHADOW_SERVER_OPENED,    /* the TLS handshake is done, and its key is a node's */
    SHADOW_SERVER_INPUT,     /* .input */
    SHADOW_SERVER_WELCOME,   /* .hello: answers HELLO */
    SHADOW_SERVER_REFUSE,    /* .verdict: answers HELLO, or any ask */
    SHADOW_SERVER_DECIDED,   /* .outcome: answers COPY_BEGIN.  NULL: send the content */
    SHADOW_SERVER_COPY_LOST, /* .tag, .outcome: given up; no more of it follows but what stands in
                              * the same list of actions, END and ABANDON too, and no OUTCOME is
                              * to be given.  Passed over when it was abandoned already */
    SHADOW_SERVER_OUTCOME,   /* .tag, .outcome: of a copy after COPY_END, in any order */
    SHADOW_SERVER_PAGE,      /* .page: answers ASK */
    SHADOW_SERVER_STOPPED,   /* .verdict: 421 and close */
};

struct shadow_server_event {
    enum shadow_server_event_type type;
    struct bytes input;
    const struct shadow_hello *hello;
    const struct verdict *verdict;
    const struct shadow_outcome *outcome;
    const struct shadow_page *page;
    uint64_t tag;
};

enum shadow_server_action_type {
    SHADOW_SERVER_HELLO,        /* .hello; answer WELCOME or REFUSE in this turn */
    SHADOW_SERVER_COPY_BEGIN,   /* .copy, .tag; answer DECIDED in this turn */
    SHADOW_SERVER_COPY_BODY,    /* .text: content, header fields of ours first; of .tag */
    SHADOW_SERVER_COPY_END,     /* .tag: all of it; answer OUTCOME, sometime */
    SHADOW_SERVER_COPY_ABANDON, /* .tag: forget it; no answer */
    SHADOW_SERVER_ASK,          /* .ask; answer PAGE or REFUSE, sometime */
    SHADOW_SERVER_FAULT, /* .text: the beginning of a line that breaks the rules, for the log;
                                 * any bytes */
    SHADOW_SERVER_CLOSE, /* send OUT, then close */
};

struct shadow_server_action {
    enum shadow_server_action_type type;
    struct bytes text;
    uint64_t tag;
    union {
        const struct shadow_hello *hello; /* the engine's own; valid until the next step */
        const struct shadow_copy *copy;
        const struct shadow_ask *ask;
    };
};

struct shadow_server_actions {
    unsigned count;
    struct shadow_server_action list[SHADOW_SERVER_ACTIONS_MAX];
};

struct shadow_server *shadow_server_new(const struct shadow_server_config *config);
void shadow_server_free(struct shadow_server *server); /* NULL too; gives no action */

/* As smtp_server_step(): returns how much of event.input was used; offer the rest again after
 * the actions, as long as something was used or an action came.  What finds no room in OUT is
 * kept, and nothing is read meanwhile: step with an empty INPUT when OUT has drained.  After CLOSE,
 * events are passed over. */
size_t shadow_server_step(struct shadow_server *server, const struct shadow_server_event *event,
    struct shadow_server_actions *actions, struct buf *out);

bool shadow_server_wants_input(const struct shadow_server *server);

#endif
