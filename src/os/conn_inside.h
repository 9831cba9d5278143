/* The inside of a connection, for conn.c and the files beside it. */
#ifndef OS_CONN_INSIDE_H
#define OS_CONN_INSIDE_H

#include "os/conn.h"
#include "os/loop_uv.h"

enum {
    READ_BYTES = 64 << 10,  /* at most so much is read of one connection in a turn */
    KEPT_COPY_BYTES = 4096, /* kept bytes up to so many are put in front of what is read next */
    IDLE_ROOM_BYTES = 16 << 10, /* an empty buffer up to this size is kept until idle */
    IDLE_MS = 1000,
    LINGER_MS = 5000,
    LINGERING_MAX = 4096, /* of a loop; more are closed at once, as without linger */
};

enum conn_state {
    CONN_CONNECTING,
    CONN_FAILED, /* to connect */
    CONN_OPEN,
    CONN_LINGERING, /* let go of, sending the rest */
    CONN_CLOSED,    /* waiting for libuv to let go of the descriptor */
};

struct conn_linger {
    struct loop_background background;
    struct timer timer;
    struct conn *conn;
    bool is_drained; /* all is sent; reading what the other side still sends */
};

struct conn_tls {
    struct tls_stream *stream;
    struct buf wire; /* sent before anything else; what was in the clear first */
    size_t wire_sent;
    bool is_told; /* on_tls was called */
};

struct conn {
    uv_poll_t poll;
    struct loop *loop;
    const struct conn_handler *handler; /* NULL: let go of */
    void *me;
    int fd;
    uint8_t polled;                        /* what `poll` waits for: UV_READABLE, UV_WRITABLE */
    uint8_t state;                         /* enum conn_state */
    uint8_t end_err, connect_err, tls_err; /* enum err */
    bool is_paused;
    bool must_offer;  /* kept bytes are to be given again */
    bool is_offering; /* on_input is being called */
    bool is_full;     /* kept bytes are at their ceiling and the handler uses none */
    bool is_eof;      /* nothing more can be read */
    bool has_ended;   /* on_end was called, or on_tls with an error */
    bool is_blocked;  /* the kernel takes no more output for now */
    bool is_broken;   /* the kernel will never take more */
    bool was_high;
    bool was_used; /* since memory was last looked for */
    struct loop_step step;
    struct loop_flush flush;
    struct list warm; /* in loop->conns->warm while it has memory to give back */
    struct buf in;    /* received and not used */
    struct buf out;   /* not sent, or not encrypted yet */
    size_t out_sent;
    struct conn_tls *tls;
    struct conn_linger *linger;
    struct endpoint peer, local;
};

/* What the connections of a loop share. */
struct loop_conns {
    uint8_t *wire;    /* READ_BYTES from the kernel, on the way to TLS */
    struct buf input; /* what is being offered; empty between calls */
    struct list warm;
    struct timer sweep;
    size_t lingering_count;
};

static inline bool conn_is_let_go(const struct conn *conn)
{
    return !conn->handler;
}

static inline bool conn_is_shaking_hands(const struct conn *conn)
{
    return conn->tls && !conn->tls->is_told;
}

/* conn.c */
void conn_ask_step(struct conn *conn);
void conn_end(struct conn *conn, enum err err);        /* tells the handler, once */
void conn_wait(struct conn *conn);                     /* waits for what it wants now */
void conn_wait_without(struct conn *conn, int events); /* these came and were not wanted */

/* conn_read.c */
void conn_read(struct conn *conn);  /* once */
void conn_offer(struct conn *conn); /* kept bytes to the handler */
bool conn_wants_input(const struct conn *conn);
bool conn_hears_end(const struct conn *conn); /* the end came, and nothing is in front of it */
/* As recv(); a failure is is_eof and end_err, and 0 then. -1: nothing there. */
ssize_t conn_receive(struct conn *conn, void *to, size_t n);

/* conn_write.c */
void conn_write(struct conn *conn); /* one send() at most */
size_t conn_unsent_bytes(const struct conn *conn);
void conn_on_flush(struct loop_flush *flush);

/* conn_tls.c */
void conn_tls_input(struct conn *conn, struct bytes wire, struct buf *plain);
void conn_tls_fail(struct conn *conn, enum err err); /* tells in the next step */
void conn_tls_encrypt(struct conn *conn, size_t wire_bytes_max);
void conn_tls_finish(struct conn *conn);
bool conn_tls_is_up(const struct conn *conn);
void conn_tls_free(struct conn *conn);

/* conn_linger.c */
bool conn_linger(struct conn *conn);
void conn_linger_poll(struct conn *conn, int events);
void conn_destroy(struct conn *conn);

/* conn_memory.c */
void conn_was_used(struct conn *conn); /* after it may have emptied a buffer */

#endif
