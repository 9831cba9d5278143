/* From the output to the socket: one send() a turn, with all there is. */
#include "os/conn.h"
#include "os/conn_inside.h"
#include "os/errno.h"

#include <errno.h>
#include <sys/socket.h>

enum {
    ENCRYPT_BYTES_MAX = 128 << 10
}; /* so much waits encrypted; the rest waits in the clear */

size_t conn_unsent_bytes(const struct conn *conn)
{
    size_t n = conn->out.n - conn->out_sent;

    return conn->tls ? n + conn->tls->wire.n - conn->tls->wire_sent : n;
}

/* Nothing will be sent any more.  What the other side said before can still be read, and then
 * the end: so the handler is told there. */
static void write_failed(struct conn *conn, enum err err)
{
    conn->is_broken = true;
    conn->is_blocked = false;
    if (conn->end_err == OK)
        conn->end_err = (uint8_t)err;
    buf_clear(&conn->out);
    conn->out_sent = 0;
    if (conn->tls) {
        buf_clear(&conn->tls->wire);
        conn->tls->wire_sent = 0;
    }
}

/* Sends what it can of BUF from *SENT on.  A long rest stays where it is, as moving it each
 * time would cost more than sending it. */
static void send_some(struct conn *conn, struct buf *buf, size_t *sent)
{
    size_t left = buf->n - *sent;
    ssize_t done;

    do
        done = send(conn->fd, buf->at + *sent, left, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (done < 0 && errno == EINTR);
    if (done < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            conn->is_blocked = true;
        else
            write_failed(conn, err_of_errno(errno));
        return;
    }
    conn->is_blocked = (size_t)done < left;
    *sent += (size_t)done;
    if (*sent == buf->n || *sent > buf->n / 2) {
        buf_drop(buf, *sent);
        *sent = 0;
    }
}

void conn_write(struct conn *conn)
{
    if (conn->is_broken) {
        buf_clear(&conn->out);
        conn->out_sent = 0;
        return;
    }
    if (conn->tls) {
        conn_tls_encrypt(conn, ENCRYPT_BYTES_MAX);
        if (conn->tls->wire.n)
            send_some(conn, &conn->tls->wire, &conn->tls->wire_sent);
    } else if (conn->out.n) {
        send_some(conn, &conn->out, &conn->out_sent);
    }
    conn_was_used(conn);
}

/* Encrypted output is limited, so there may be more to send without being blocked. */
static bool has_more(const struct conn *conn)
{
    return conn_tls_is_up(conn) && !conn->is_blocked && conn_unsent_bytes(conn);
}

void conn_on_flush(struct loop_flush *flush)
{
    struct conn *conn = container_of(flush, struct conn, flush);

    if (conn_out_is_high(conn))
        conn->was_high = true;
    if (!conn->is_blocked)
        conn_write(conn);
    if (has_more(conn))
        loop_flush_ask(conn->loop, &conn->flush);
    if (conn->was_high && conn_unsent_bytes(conn) < CONN_OUT_BYTES_HIGH / 2) {
        conn->was_high = false;
        if (conn->handler->on_room && !conn->has_ended)
            conn->handler->on_room(conn->me);
    }
    if (!conn_is_let_go(conn))
        conn_wait(conn);
}
