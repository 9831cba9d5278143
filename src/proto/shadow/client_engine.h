/* Inside the client engine: what client*.c share and nobody else includes.
 *
 *     client.c        events, and what is written
 *     client_read.c   replies
 *
 * 1. Commands whose replies are owed stand in a ring, oldest first: a copy with all its commands
 *    is one entry, an ask is one.  The next reply belongs to the first entry.
 * 2. What finds no room in OUT waits in `unsent`; a content is asked for when that is empty.
 * 3. A copy that was refused at MAIL or RCPT keeps the first refusal; its outcome is given with the
 *    reply to its last chunk, when nothing more comes for it. */
#ifndef PROTO_SHADOW_CLIENT_ENGINE_H
#define PROTO_SHADOW_CLIENT_ENGINE_H

#include "proto/shadow/arena.h"
#include "proto/shadow/client.h"

enum dial_state {
    DIAL_CONNECTING,
    DIAL_BANNER,
    DIAL_HELLO,
    DIAL_INTRODUCING,
    DIAL_UP,
    DIAL_QUITTING,
    DIAL_CLOSED,
};

enum dial_next { DIAL_AT_MAIL, DIAL_AT_RCPT, DIAL_AT_CONTENT, DIAL_AT_ASK };

struct dial_entry {
    enum dial_next next; /* which reply comes now */
    uint32_t rcpts;      /* RCPT without a reply */
    bool is_sent;        /* all of the content was handed over */
    uint64_t tag;
    struct mid mid;
    struct verdict *refusal; /* owned; NULL */
};

/* Copies without an outcome: far more than any driver has under way. */
enum { DIAL_COPIES_MAX = 16384 };

struct shadow_client {
    const struct shadow_client_config *config;
    enum dial_state state;
    struct shadow_hello ours, theirs;
    char name[SHADOW_NODE_BYTES_MAX + 1]; /* ours.node.name */

    struct dial_entry *ring;
    uint32_t first, count, room;
    uint32_t copies;
    bool is_asking;        /* an ask is in the ring */
    bool is_sending;       /* the last entry's content is not handed over yet */
    bool is_content_asked; /* SEND_CONTENT was given for it */
    bool wants_quit;
    struct buf unsent;

    /* The reply that is being read. */
    uint16_t reply_code; /* 0: none */
    unsigned reply_lines;
    struct verdict refusal; /* its first line, when it is one */
    bool has_xshadow, has_chunking;

    /* The page that is being read, or was given last. */
    enum shadow_ask_type ask;
    struct arena page_arena;
    struct shadow_item *items;
    uint32_t item_room;
    struct shadow_page page;

    /* Of this step: what its actions point to. */
    struct arena arena;
    struct shadow_client_actions actions;
    struct buf *out;
};

/* --- client.c --- */

void dial_enter(struct shadow_client *client, enum dial_state to);
struct shadow_client_action *dial_act(
    struct shadow_client *client, enum shadow_client_action_type type);
/* Whole lines, behind what is unsent. */
void dial_send(struct shadow_client *client, struct bytes lines);
void dial_introduce(struct shadow_client *client);
/* The entry whose reply comes next; NULL: none is owed. */
struct dial_entry *dial_head(struct shadow_client *client);
void dial_drop_head(struct shadow_client *client);
/* OUTCOME of the first entry, a copy, which leaves the ring.  NULL: LOST. */
void dial_outcome(struct shadow_client *client, const struct shadow_outcome *outcome);
/* Every copy under way is lost, and the link closed. */
void dial_end(struct shadow_client *client);
/* The same, with FAULT: WHY, and LINE as it was read. */
void dial_fault(struct shadow_client *client, const char *why, struct bytes line);

/* --- client_read.c --- */

/* Reads a line; false when there is none in IN. */
bool dial_read(struct shadow_client *client, struct bytes in, size_t *used);

#endif
