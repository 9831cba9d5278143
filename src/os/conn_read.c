/* From the socket to the handler.
 *
 * What is read lands in a buffer that the loop's connections share, behind the few bytes the
 * handler left of the last time, and is offered there.  Only what is left again is copied to
 * the connection's own buffer.  Many kept bytes are not carried to and fro: then the
 * connection's buffer is read into. */
#include "os/conn.h"
#include "os/conn_inside.h"
#include "os/errno.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

bool conn_wants_input(const struct conn *conn)
{
    if (conn->state == CONN_LINGERING)
        return conn->linger->is_drained;
    if (conn->state != CONN_OPEN || conn->is_eof || conn->tls_err != OK)
        return false;
    if (conn_is_shaking_hands(conn))
        return true; /* what is the handler's is kept */
    return !conn->is_paused && !conn->is_full && conn->in.n < CONN_KEPT_BYTES_MAX;
}

bool conn_hears_end(const struct conn *conn)
{
    if (conn_is_shaking_hands(conn))
        return conn->is_eof;
    return conn->is_eof && !conn->is_paused && !conn->must_offer;
}

ssize_t conn_receive(struct conn *conn, void *to, size_t n)
{
    ssize_t got;

    do
        got = recv(conn->fd, to, n, 0);
    while (got < 0 && errno == EINTR);
    if (got > 0)
        return got;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return -1;
    conn->is_eof = true;
    if (conn->end_err == OK && got < 0)
        conn->end_err = (uint8_t)err_of_errno(errno);
    return 0;
}

void conn_acknowledge(struct conn *conn)
{
    int on = 1;

    /* It fails on a UNIX socket, which has nothing to acknowledge. */
    (void)setsockopt(conn->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

/* Bytes that came before the handshake must not be taken for the handshake's, nor for what it
 * protects (SM-3; CVE-2011-0411 and its kind). */
static void check_starting_tls(struct conn *conn)
{
    if (conn_is_shaking_hands(conn) && conn->in.n) {
        buf_release(&conn->in);
        conn_tls_fail(conn, ERR_TLS);
    }
}

/* Offers what is in FROM (the shared buffer or the connection's own) and keeps the rest. */
static void offer(struct conn *conn, struct buf *from)
{
    bool was_plain = !conn->tls;
    size_t used = 0;

    conn->must_offer = false;
    if (from->n && !conn->is_paused) {
        conn->is_offering = true;
        used = conn->handler->on_input(conn->me, buf_bytes(from));
        conn->is_offering = false;
        assert(used <= from->n);
        if (conn_is_let_go(conn))
            return;
    }
    if (from == &conn->in)
        buf_drop(&conn->in, used);
    else
        err_ignore(buf_add(&conn->in, bytes_skip(buf_bytes(from), used))); /* it has the room */
    if (conn->in.n >= CONN_KEPT_BYTES_MAX && !conn->is_paused) {
        conn->is_full = used == 0;
        conn->must_offer = used > 0; /* nothing can come that would make it be offered again */
        conn_ask_step(conn);
    }
    if (was_plain)
        check_starting_tls(conn);
    conn_was_used(conn);
}

void conn_offer(struct conn *conn)
{
    offer(conn, &conn->in);
}

/* Where to read to, with the kept bytes in front. */
static struct buf *place(struct conn *conn)
{
    struct buf *shared = &conn->loop->conns->input;

    if (conn->in.n > KEPT_COPY_BYTES)
        return &conn->in;
    buf_clear(shared);
    err_ignore(buf_add(shared, buf_bytes(&conn->in))); /* its ceiling is above */
    return shared;
}

/* True when there is something new. */
static bool read_plain(struct conn *conn, struct buf *to)
{
    size_t n = READ_BYTES;
    uint8_t *at;
    ssize_t got;

    if (to == &conn->in && CONN_KEPT_BYTES_MAX - to->n < n)
        n = CONN_KEPT_BYTES_MAX - to->n;
    at = buf_room(to, n);
    assert(at);
    got = conn_receive(conn, at, n);
    if (got <= 0)
        return false;
    buf_wrote(to, (size_t)got);
    return true;
}

static bool read_tls(struct conn *conn, struct buf *to)
{
    size_t before = to->n;
    ssize_t got = conn_receive(conn, conn->loop->conns->wire, READ_BYTES);

    if (got <= 0)
        return false;
    conn_tls_input(conn, bytes_of(conn->loop->conns->wire, (size_t)got), to);
    return to->n > before;
}

void conn_read(struct conn *conn)
{
    struct buf *to = place(conn);

    if (conn->tls ? read_tls(conn, to) : read_plain(conn, to)) {
        if (conn_is_let_go(conn))
            return;
        if (to != &conn->in)
            buf_clear(&conn->in); /* its bytes are in front of the new ones */
        offer(conn, to);
    }
    if (conn_hears_end(conn))
        conn_end(conn, conn->end_err);
}
