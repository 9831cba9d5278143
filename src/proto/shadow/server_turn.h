/* Inside the server engine: what server*.c share and nobody else includes.
 *
 *     server.c        events and input
 *     server_say.c    replies in their order, actions, states, faults
 *     server_verbs.c  commands and the states that take them
 *     server_copy.c   MAIL, RCPT and BDAT
 *
 * 1. Copies that were read and have no outcome yet stand in a ring, oldest first.  What is said
 *    behind such a copy waits in `later` until it has its own reply.
 * 2. What finds no room in OUT waits in `unsent`; while something is there nothing is read.
 * 3. A transaction that is refused anywhere is read to its end, since its sender has sent it
 *    already: the first refusal is the reply to its last chunk. */
#ifndef PROTO_SHADOW_SERVER_TURN_H
#define PROTO_SHADOW_SERVER_TURN_H

#include "proto/shadow/arena.h"
#include "proto/shadow/server.h"

enum serve_state {
    SERVE_GREETING,
    SERVE_HELLO,
    SERVE_STRANGER,
    SERVE_INTRODUCING, /* waits for WELCOME */
    SERVE_READY,
    SERVE_MAIL,
    SERVE_RCPT,
    SERVE_DECIDING, /* waits for DECIDED */
    SERVE_BDAT,     /* within a chunk, or between two */
    SERVE_ASKED,    /* waits for PAGE */
    SERVE_QUITTING, /* waits for the outcomes of copies, then closes */
    SERVE_CLOSED,
};

#define IN(state) (1u << SERVE_##state)

/* A copy that waits for its outcome. */
struct serve_copy {
    uint64_t tag;
    struct mid mid;
    bool is_decided;
    char *reply;        /* owned; NULL: "durable" */
    size_t after_bytes; /* so much of `later` is to be said behind it */
};

/* The transaction that is being read. */
struct serve_transaction {
    struct arena arena; /* has what `copy` and `recipients` borrow */
    struct shadow_copy copy;
    struct recipient *recipients;
    uint32_t recipient_room;
    uint64_t tag;
    bool has_copy;      /* the driver has it, and waits for more or for its end */
    bool is_refused;    /* `refusal` is the reply to its last chunk */
    struct buf refusal; /* a whole reply */
    bool was_refused;   /* MAIL was: what its sender has sent behind it is no new fault */
    bool is_stray;      /* a chunk that belongs to no transaction */
    bool is_last;       /* LAST stood in this BDAT */
    uint64_t chunk_bytes, chunk_bytes_left, body_bytes;
};

struct shadow_server {
    const struct shadow_server_config *config;
    enum serve_state state;
    enum serve_state resume; /* where a stray chunk came in */
    unsigned error_count;
    bool is_skipping; /* within a line that was refused */
    bool is_introduced;
    uint32_t versions; /* the one that both speak, as a bit */
    struct shadow_hello hello;
    struct shadow_ask ask;
    struct serve_transaction now;

    struct serve_copy *ring; /* config->in_flight_max of them */
    uint32_t first, count;
    uint64_t tag;                   /* the last one given */
    struct buf later, unsent, line; /* `line`: a reply that is being made */
    size_t later_said;              /* so much of `later` is over */
};

struct turn {
    struct shadow_server *server;
    struct shadow_server_actions *actions;
    struct buf *out;
};

static inline bool serve_is_in(const struct shadow_server *server, unsigned states)
{
    return 1u << server->state & states;
}

/* --- server_say.c --- */

void serve_enter(struct turn *turn, enum serve_state to);
struct shadow_server_action *serve_act(struct turn *turn, enum shadow_server_action_type type);

/* Whole lines, behind what is owed before them. */
void serve_say(struct turn *turn, struct bytes lines);
void serve_refuse(
    struct turn *turn, const struct verdict *verdict); /* 421 closes, as QUIT does */
/* server->line, empty, to be filled and given to serve_say(). */
struct buf *serve_line(struct turn *turn);
/* LINE broke the rules: REPLY, or 421 and the end when it was one too many. */
void serve_fault(struct turn *turn, struct bytes line, struct bytes reply);
/* Without a reply; false: that was one too many, and all is said. */
bool serve_count_fault(struct turn *turn, struct bytes line);
/* At once; copies that were read have no answer. */
void serve_stop(struct turn *turn, const struct verdict *verdict);

/* The copy of the transaction waits for its outcome from now on. */
void serve_wait(struct turn *turn);
bool serve_is_waiting(struct shadow_server *server, uint64_t tag);
void serve_outcome(struct turn *turn, uint64_t tag, const struct shadow_outcome *outcome);
bool serve_is_backed_up(const struct shadow_server *server);
/* Moves what is unsent as far as OUT has room. */
void serve_flush(struct turn *turn);
/* Closes once all is said, when that is due. */
void serve_end(struct turn *turn);

/* --- server_verbs.c --- */

void serve_command(struct turn *turn, struct bytes line);

/* --- server_copy.c --- */

void serve_mail(struct turn *turn, struct bytes line, struct bytes args);
void serve_rcpt(struct turn *turn, struct bytes line, struct bytes args);
void serve_bdat(struct turn *turn, struct bytes line, struct bytes args);
void serve_decided(struct turn *turn, const struct shadow_outcome *outcome);
void serve_copy_lost(struct turn *turn, uint64_t tag, const struct shadow_outcome *outcome);
/* Reads of the chunk; false when nothing can be done with IN. */
bool serve_chunk(struct turn *turn, struct bytes in, size_t *used);
/* The transaction is over; ABANDON when the driver has it. */
void serve_clear(struct turn *turn);
void serve_transaction_done(struct serve_transaction *now);

#endif
