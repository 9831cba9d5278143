/* The end of a connection that was let go of.
 *
 * Two things can make the other side miss our last words: output the kernel had no room for,
 * and input we have not read, as then close() sends a reset, at which the other side throws
 * away what it has not read yet (RFC 2525, 2.17; RFC 9112, 9.6).  So with LINGER the output is
 * sent in the background, then the sending side is shut, and input is read and thrown away
 * until the other side closes, all within LINGER_MS. */
#include "base/mem.h"
#include "os/conn.h"
#include "os/conn_inside.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void on_closed(uv_handle_t *handle)
{
    struct conn *conn = container_of((uv_poll_t *)handle, struct conn, poll);

    buf_done(&conn->in);
    buf_done(&conn->out);
    conn_tls_free(conn);
    free(conn->linger);
    free(conn);
}

void conn_destroy(struct conn *conn)
{
    conn->state = CONN_CLOSED;
    list_remove(&conn->warm);
    if (conn->linger) {
        timer_stop(&conn->linger->timer);
        list_remove(&conn->linger->background.node);
        conn->loop->conns->lingering_count--;
    }
    uv_close((uv_handle_t *)&conn->poll, on_closed); /* takes it out of the poll set at once */
    close(conn->fd);
    conn->fd = -1;
}

/* True when the other side has closed, or failed. */
static bool drain(struct conn *conn)
{
    uint8_t away[16 << 10];

    conn_receive(conn, away, sizeof away);
    return conn->is_eof;
}

static void on_linger_due(struct timer *timer)
{
    conn_destroy(container_of(timer, struct conn_linger, timer)->conn);
}

static void on_loop_freed(struct loop_background *background)
{
    conn_destroy(container_of(background, struct conn_linger, background)->conn);
}

size_t conn_lingering_count(const struct loop *loop)
{
    return loop->conns->lingering_count;
}

/* What was not read when the output is out; false when that is the end of it. */
static bool begin_drain(struct conn *conn)
{
    uint8_t away[4096];

    if (conn->is_eof || conn->is_broken)
        return false;
    if (conn_receive(conn, away, sizeof away) <= 0)
        return false; /* nothing there, or closed already: close() sends no reset */
    return shutdown(conn->fd, SHUT_WR) == 0;
}

bool conn_linger(struct conn *conn)
{
    struct conn_linger *linger;
    bool is_drained = conn_unsent_bytes(conn) == 0;

    if (conn->loop->conns->lingering_count >= LINGERING_MAX)
        return false;
    if (conn->is_broken || (!is_drained && !conn->is_blocked))
        return false; /* not blocked with a rest: a handshake that never ended */
    if (is_drained && !begin_drain(conn))
        return false;
    linger = mem_new(sizeof *linger);
    linger->conn = conn;
    linger->is_drained = is_drained;
    linger->background.end = on_loop_freed;
    list_add_last(&conn->loop->background, &linger->background.node);
    conn->loop->conns->lingering_count++;
    timer_init(&linger->timer, conn->loop, on_linger_due);
    timer_start(&linger->timer, LINGER_MS);
    conn->linger = linger;
    conn->state = CONN_LINGERING;
    conn_wait(conn);
    return true;
}

/* True when there is nothing more to wait for. */
static bool write_rest(struct conn *conn)
{
    conn->is_blocked = false;
    conn_write(conn);
    if (conn->is_broken)
        return true;
    conn->linger->is_drained = conn_unsent_bytes(conn) == 0;
    return conn->linger->is_drained && !begin_drain(conn);
}

void conn_linger_poll(struct conn *conn, int events)
{
    bool was_drained = conn->linger->is_drained, is_over = false;

    if (!was_drained && events & UV_WRITABLE)
        is_over = write_rest(conn);
    if (was_drained && events & UV_READABLE)
        is_over = drain(conn);
    if (is_over) {
        conn_destroy(conn);
        return;
    }
    events &= was_drained ? UV_WRITABLE : UV_READABLE;
    if (events & conn->polled)
        conn_wait_without(conn, events);
    conn_wait(conn);
}
