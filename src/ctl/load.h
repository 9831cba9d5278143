/* The load generator: many sessions that send numbered messages, and what became of them.  One
 * loop. */
#ifndef CTL_LOAD_H
#define CTL_LOAD_H

#include "ctl/histogram.h"
#include "os/conn.h"
#include "proto/smtp/client.h"

enum load_tls { LOAD_TLS_NONE, LOAD_TLS_STARTTLS, LOAD_TLS_IMPLICIT };

struct load_settings {
    struct endpoint to;
    uint64_t sessions, messages;
    uint64_t size_bytes;           /* of the content; at least its header */
    uint64_t rate;                 /* messages/s of all sessions; 0: as fast as they go */
    uint64_t messages_per_session; /* 0: all on one connection */
    uint64_t under_way;            /* of a session, between MAIL and the last reply */
    uint64_t recipient_count;
    const char *from, *rcpt, *id_prefix;
    const char *acked_file; /* NULL: none */
    unsigned tls;           /* enum load_tls */
    int64_t timeout_ms;
    bool uses_pipelining, uses_chunking, is_lmtp, retries;
};

/* --- The work: numbers from 1 on, what was handed back, what became of them -------------- */

enum { LOAD_CODE_MAX = 600, LOAD_HEAD_BYTES = 512 };

struct load_work {
    const struct load_settings *settings;
    struct recipient *recipients;
    struct buf names; /* the recipients' addresses */
    struct buf body;  /* the same for all messages; each takes as much as it needs */
    int acked_fd;     /* -1: none */
    uint64_t next, returned_count, returned_room;
    uint64_t *returned; /* to be offered again */
    uint64_t taken;     /* under way now */
    uint64_t acked, refused, tried_again, connections, connections_failed;
    uint64_t codes[LOAD_CODE_MAX]; /* of refusals; 0: the connection was lost */
    uint64_t allowed;              /* by the rate, now */
    uint64_t last_us;              /* when the last message ended */
    struct histogram ack_us;       /* from the last byte of the content to its reply */
    struct histogram whole_us;     /* from MAIL to that reply */
};

/* WHY: what could not be made. */
enum err load_work_init(
    struct load_work *work, const struct load_settings *settings, char why[256]) MUST_USE;
void load_work_done(struct load_work *work);

/* The next message's number, which is under way then; false: none now. */
bool load_work_take(struct load_work *work, uint64_t *number);
/* Nothing of it was tried. */
void load_work_return(struct load_work *work, uint64_t number);
/* What became of it: CODE of its worst reply, 0 for a lost connection. */
void load_work_end(struct load_work *work, uint64_t number, unsigned code);
/* Nothing is left to be taken, and nothing will come back. */
bool load_work_is_given_out(const struct load_work *work);

/* A message's content: its own head, then a part of the shared body, then a short tail. */
struct load_content {
    char head[LOAD_HEAD_BYTES];
    size_t head_n, body_n;
    struct bytes tail;
};
void load_content_make(
    const struct load_work *work, uint64_t number, struct load_content *content);
uint64_t load_content_bytes(const struct load_content *content);
/* The longest run from byte AT on; empty at the end. */
struct bytes load_content_at(
    const struct load_work *work, const struct load_content *content, uint64_t at);

uint64_t load_now_us(void);

/* --- Sessions ---------------------------------------------------------------------------- */

struct load_session;

struct load {
    const struct load_settings *settings;
    struct load_work work;
    struct loop *loop;
    struct tls_context *tls;
    struct smtp_client_config config;
    struct load_session **sessions;
    uint64_t open_count; /* sessions that are not over */
    char last_error[300];
    void (*on_over)(struct load *load); /* no session is left */
};

struct load_session *load_session_new(struct load *load);
void load_session_free(struct load_session *session); /* NULL too */
/* Messages may be taken again, or all is over: offers, or ends. */
void load_session_wake(struct load_session *session);
/* Ends a session whose other side has said nothing for the settings' timeout. */
void load_session_check(struct load_session *session, uint64_t now_us);

#endif
