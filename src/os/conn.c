/* The life of a connection.  Its memory goes only after libuv has let go of the descriptor,
 * which is after the callback that is running: whoever called a handler may look at the
 * connection afterwards, and does so to see whether it was let go of. */
#include "os/conn.h"

#include "base/mem.h"
#include "os/conn_inside.h"
#include "os/errno.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- Waiting ----------------------------------------------------------------------------- */

static void on_poll(uv_poll_t *poll, int status, int events);

/* A change costs system calls: what is no longer wanted is left on until it fires. */
void conn_wait(struct conn *conn)
{
    int wanted = conn_wants_input(conn) ? UV_READABLE : 0;
    int failed;

    if (conn->state == CONN_CLOSED)
        return;
    if (conn->is_blocked || conn->state == CONN_CONNECTING)
        wanted |= UV_WRITABLE;
    if ((conn->polled | wanted) == conn->polled)
        return;
    conn->polled = (uint8_t)wanted;
    failed = uv_poll_start(&conn->poll, conn->polled, on_poll);
    assert(!failed);
}

void conn_wait_without(struct conn *conn, int events)
{
    int failed;

    conn->polled &= (uint8_t)~events;
    failed = uv_poll_start(&conn->poll, conn->polled, on_poll);
    assert(!failed);
}

static void on_connect_result(struct conn *conn, enum err err);

static void finish_connecting(struct conn *conn)
{
    int code = 0;
    socklen_t n = sizeof code;

    if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &code, &n) < 0)
        code = errno;
    on_connect_result(conn, err_of_errno(code));
}

static void on_writable(struct conn *conn)
{
    if (conn->state == CONN_CONNECTING) {
        finish_connecting(conn);
    } else if (conn->is_blocked) {
        conn->is_blocked = false;
        loop_flush_ask(conn->loop, &conn->flush);
    } else {
        conn_wait_without(conn, UV_WRITABLE);
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct conn *conn = container_of(poll, struct conn, poll);

    loop_awake(conn->loop);
    if (status < 0) { /* an error waits at the socket, and libuv has stopped: go and get it */
        events = conn->polled;
        conn->polled = 0;
    }
    if (conn->state == CONN_LINGERING) {
        conn_linger_poll(conn, events);
        return;
    }
    if (events & UV_WRITABLE)
        on_writable(conn);
    if (conn->state == CONN_OPEN && events & UV_READABLE) {
        if (conn_wants_input(conn))
            conn_read(conn);
        else if (conn->polled & UV_READABLE)
            conn_wait_without(conn, UV_READABLE);
    }
    if (!conn_is_let_go(conn))
        conn_wait(conn);
}

/* --- Steps ------------------------------------------------------------------------------- */

void conn_ask_step(struct conn *conn)
{
    loop_step_ask(conn->loop, &conn->step);
}

void conn_end(struct conn *conn, enum err err)
{
    if (conn->has_ended || conn_is_let_go(conn))
        return;
    conn->has_ended = true;
    if (conn_is_shaking_hands(conn)) {
        conn->tls->is_told = true;
        conn->handler->on_tls(conn->me, err == OK ? ERR_CLOSED : err);
    } else {
        conn->handler->on_end(conn->me, err);
    }
}

static void on_step(struct loop_step *step)
{
    struct conn *conn = container_of(step, struct conn, step);

    if (conn->state == CONN_CONNECTING) {
        on_connect_result(conn, conn->connect_err);
        return;
    }
    if (conn->tls_err != OK) {
        conn_end(conn, conn->tls_err);
        return;
    }
    if (conn->must_offer && !conn->is_paused)
        conn_offer(conn);
    if (conn_hears_end(conn))
        conn_end(conn, conn->end_err);
    if (!conn_is_let_go(conn))
        conn_wait(conn);
}

/* --- Making ------------------------------------------------------------------------------ */

static void read_local(struct conn *conn)
{
    struct sockaddr_storage at;
    socklen_t n = sizeof at;

    if (getsockname(conn->fd, (struct sockaddr *)&at, &n) == 0)
        endpoint_of_sockaddr((struct sockaddr *)&at, n, &conn->local);
}

static void read_peer(struct conn *conn)
{
    struct sockaddr_storage at;
    socklen_t n = sizeof at;

    if (getpeername(conn->fd, (struct sockaddr *)&at, &n) == 0)
        endpoint_of_sockaddr((struct sockaddr *)&at, n, &conn->peer);
}

/* Takes FD; on failure it is closed. */
static enum err make(
    struct loop *loop, int fd, const struct conn_handler *handler, void *me, struct conn **out)
{
    struct conn *conn = mem_new(sizeof *conn);
    int failed = uv_poll_init(&loop->uv, &conn->poll, fd); /* makes it non-blocking, too */

    if (failed) {
        close(fd);
        free(conn);
        return err_of_errno(-failed);
    }
    conn->loop = loop;
    conn->handler = handler;
    conn->me = me;
    conn->fd = fd;
    loop_step_init(&conn->step, on_step);
    loop_flush_init(&conn->flush, conn_on_flush);
    list_init(&conn->warm);
    /* A read may be of READ_BYTES, and TLS may add a record it held back. */
    buf_init(&conn->in, CONN_KEPT_BYTES_MAX + READ_BYTES + (48 << 10));
    buf_init(&conn->out, CONN_OUT_BYTES_MAX);
    *out = conn;
    return OK;
}

/* One write a turn is ours: Nagle would only hold back its last segment. */
static void set_no_delay(int fd)
{
    int on = 1;

    /* A UNIX socket refuses, and has no need of it. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

enum err conn_accept(
    struct loop *loop, int fd, const struct conn_handler *handler, void *me, struct conn **out)
{
    enum err err = make(loop, fd, handler, me, out);

    if (err != OK)
        return err;
    (*out)->state = CONN_OPEN;
    set_no_delay(fd);
    read_peer(*out);
    read_local(*out);
    conn_wait(*out);
    return OK;
}

static void on_connect_result(struct conn *conn, enum err err)
{
    if (err == OK) {
        conn->state = CONN_OPEN;
        read_local(conn);
        if (conn_unsent_bytes(conn))
            loop_flush_ask(conn->loop, &conn->flush);
    } else {
        conn->state = CONN_FAILED;
        conn->has_ended = true;
    }
    conn->handler->on_connected(conn->me, err);
    if (!conn_is_let_go(conn))
        conn_wait(conn);
}

/* A source without a port: the kernel chooses it when it knows the destination, else sources
 * would share the 28,000 ephemeral ports of the host (ip(7), IP_BIND_ADDRESS_NO_PORT). */
static enum err bind_source(int fd, const struct ip *source, sa_family_t family)
{
    struct endpoint from = { .ip = *source };
    struct sockaddr_storage at;
    socklen_t n = endpoint_to_sockaddr(&from, &at);
    int on = 1;

    if (at.ss_family != family)
        return ERR_UNREACHABLE;
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    return bind(fd, (struct sockaddr *)&at, n) < 0 ? err_of_errno(errno) : OK;
}

static enum err make_socket(sa_family_t family, const struct ip *source, int *out)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    enum err err = OK;

    if (fd < 0)
        return errno == EAFNOSUPPORT ? ERR_UNREACHABLE : err_of_errno(errno);
    if (family != AF_UNIX) {
        set_no_delay(fd);
        if (source)
            err = bind_source(fd, source, family);
    }
    if (err != OK)
        close(fd);
    else
        *out = fd;
    return err;
}

enum err conn_connect(struct loop *loop, const struct endpoint *to, const struct ip *source,
    const struct conn_handler *handler, void *me, struct conn **out)
{
    struct sockaddr_storage at;
    socklen_t n = endpoint_to_sockaddr(to, &at);
    struct conn *conn;
    int fd = -1, code;
    enum err err = make_socket(at.ss_family, source, &fd);

    if (err == OK)
        err = make(loop, fd, handler, me, &conn);
    if (err != OK)
        return err;
    conn->state = CONN_CONNECTING;
    conn->peer = *to;
    code = connect(fd, (struct sockaddr *)&at, n) < 0 ? errno : 0;
    if (code == EINPROGRESS || code == EINTR) {
        conn_wait(conn);
    } else {
        conn->connect_err = (uint8_t)err_of_errno(code);
        conn_ask_step(conn);
    }
    *out = conn;
    return OK;
}

/* --- For the handler --------------------------------------------------------------------- */

void conn_close(struct conn **at, bool linger)
{
    struct conn *conn = *at;

    if (!conn)
        return;
    *at = NULL;
    assert(conn->handler);
    conn->handler = NULL;
    if (conn->state == CONN_OPEN && !conn->is_broken) {
        conn_tls_finish(conn);
        if (!conn->is_blocked)
            conn_write(conn);
    }
    loop_step_cancel(&conn->step);
    loop_flush_cancel(&conn->flush);
    if (!linger || conn->state != CONN_OPEN || !conn_linger(conn))
        conn_destroy(conn);
}

struct buf *conn_out(struct conn *conn)
{
    return &conn->out;
}

void conn_send(struct conn *conn)
{
    if (conn->state == CONN_OPEN)
        loop_flush_ask(conn->loop, &conn->flush);
}

bool conn_out_is_high(const struct conn *conn)
{
    return conn_unsent_bytes(conn) > CONN_OUT_BYTES_HIGH;
}

bool conn_is_broken(const struct conn *conn)
{
    return conn->is_broken;
}

bool conn_has_hung_up(const struct conn *conn)
{
    struct pollfd ask = { .fd = conn->fd };

    return poll(&ask, 1, 0) > 0 && ask.revents & (POLLHUP | POLLERR);
}

bool conn_out_is_empty(const struct conn *conn)
{
    return conn_unsent_bytes(conn) == 0;
}

void conn_pause(struct conn *conn)
{
    conn->is_paused = true;
}

void conn_resume(struct conn *conn)
{
    if (!conn->is_paused && !conn->is_full)
        return;
    conn->is_paused = conn->is_full = false;
    conn->must_offer = conn->in.n > 0 || conn->is_offering;
    if (conn->must_offer || conn->is_eof)
        conn_ask_step(conn);
    conn_wait(conn);
}

size_t conn_kept_bytes(const struct conn *conn)
{
    return conn->in.n;
}

const struct endpoint *conn_peer(const struct conn *conn)
{
    return &conn->peer;
}

const struct endpoint *conn_local(const struct conn *conn)
{
    return &conn->local;
}

size_t conn_bytes(const struct conn *conn)
{
    size_t bytes = sizeof *conn + conn->in.room + conn->out.room;

    if (conn->tls)
        bytes += sizeof *conn->tls + conn->tls->wire.room;
    return bytes;
}
