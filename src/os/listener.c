#include "os/listener.h"

#include "base/mem.h"
#include "os/errno.h"
#include "os/loop_uv.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BACKLOG = 4096,      /* the kernel lowers it to net.core.somaxconn */
    ACCEPTS_A_TURN = 32, /* then those already here get their turn */
    RETRY_MS = 100,      /* without descriptors or memory: until others have closed some */
};

struct listener {
    uv_poll_t poll;
    struct loop *loop;
    int fd;
    struct endpoint at;
    dev_t device; /* of the UNIX socket's file */
    ino_t inode;
    struct timer retry;
    void (*on_accept)(
        void *me, int fd, const struct endpoint *peer, const struct endpoint *local);
    void *me;
    bool is_closed;
};

/* --- Accepting --------------------------------------------------------------------------- */

/* The address the client chose, when we listen on all of them. */
static void local_of(const struct listener *listener, int fd, struct endpoint *out)
{
    static const struct ip any_v6, any_v4 = { { [10] = 0xff, 0xff } };
    struct sockaddr_storage at;
    socklen_t n = sizeof at;

    *out = listener->at;
    if (listener->at.is_unix)
        return;
    if (ip_compare(listener->at.ip, any_v4) && ip_compare(listener->at.ip, any_v6))
        return;
    if (getsockname(fd, (struct sockaddr *)&at, &n) == 0)
        endpoint_of_sockaddr((struct sockaddr *)&at, n, out);
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void on_retry(struct timer *timer)
{
    struct listener *listener = container_of(timer, struct listener, retry);

    uv_poll_start(&listener->poll, UV_READABLE, on_poll);
}

/* False when there is nothing more to accept for now. */
static bool accept_one(struct listener *listener)
{
    struct sockaddr_storage from;
    socklen_t n = sizeof from;
    struct endpoint peer, local;
    int fd = accept4(listener->fd, (struct sockaddr *)&from, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0) {
        endpoint_of_sockaddr((struct sockaddr *)&from, n, &peer);
        local_of(listener, fd, &local);
        listener->on_accept(listener->me, fd, &peer, &local);
        return true;
    }
    switch (errno) {
    case EAGAIN:
        return false;
    case EINTR:
    case ECONNABORTED: /* gone already; so are the others (accept(2)) */
    case EPERM:
    case EPROTO:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
        return true;
    default: /* no descriptors or memory left: those who wait would make us spin */
        uv_poll_stop(&listener->poll);
        timer_start(&listener->retry, RETRY_MS);
        return false;
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct listener *listener = container_of(poll, struct listener, poll);

    (void)events;
    loop_awake(listener->loop);
    if (status < 0) /* libuv has stopped; what was wrong, accept() tells */
        timer_start(&listener->retry, RETRY_MS);
    for (int i = 0; i < ACCEPTS_A_TURN && !listener->is_closed; i++) {
        if (!accept_one(listener))
            break;
    }
}

/* --- Opening ----------------------------------------------------------------------------- */

/* A file that nobody listens at is left over from a process that ended without removing it. */
static enum err remove_stale(const struct sockaddr *at, socklen_t n, const char *path)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int failed, code;

    if (fd < 0)
        return err_of_errno(errno);
    failed = connect(fd, at, n);
    code = errno;
    close(fd);
    if (!failed || code != ECONNREFUSED)
        return ERR_BUSY;
    return unlink(path) < 0 ? err_of_errno(errno) : OK;
}

static enum err bind_unix(
    int fd, struct listener *listener, unsigned mode, const struct sockaddr *at, socklen_t n)
{
    struct stat s;
    enum err err;

    if (bind(fd, at, n) < 0) {
        if (errno != EADDRINUSE)
            return err_of_errno(errno);
        err = remove_stale(at, n, listener->at.path);
        if (err != OK)
            return err;
        if (bind(fd, at, n) < 0)
            return err_of_errno(errno);
    }
    /* Before listen(): until then nobody can connect, whatever the mode. */
    if (chmod(listener->at.path, mode) < 0 || stat(listener->at.path, &s) < 0)
        return err_of_errno(errno);
    listener->device = s.st_dev;
    listener->inode = s.st_ino;
    return OK;
}

bool listener_has_ipv6(void)
{
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0)
        close(fd);
    return fd >= 0 || errno != EAFNOSUPPORT;
}

/* The kernel asks for this when a socket is bound, and again when it listens, of the new one and
 * of those that are in its way; which must belong to the same user (socket(7), SO_REUSEPORT). */
static void set_shared(int fd, bool is_shared)
{
    int on = is_shared;

    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
}

static enum err bind_tcp(int fd, const struct sockaddr *at, socklen_t n)
{
    int on = 1;

    /* Connections of an earlier process that are in TIME_WAIT do not keep us out. */
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* inherited */
    if (at->sa_family == AF_INET6) /* IPv4 has listeners of its own */
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    return bind(fd, at, n) < 0 ? err_of_errno(errno) : OK;
}

static enum err make_socket(
    struct listener *listener, unsigned unix_mode, bool is_shared, int *out)
{
    struct sockaddr_storage at;
    socklen_t n = endpoint_to_sockaddr(&listener->at, &at);
    const struct sockaddr *to = (struct sockaddr *)&at;
    int fd = socket(at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    enum err err;

    if (fd < 0)
        return errno == EAFNOSUPPORT ? ERR_UNREACHABLE : err_of_errno(errno);
    if (is_shared)
        set_shared(fd, true);
    if (listener->at.is_unix)
        err = bind_unix(fd, listener, unix_mode, to, n);
    else
        err = bind_tcp(fd, to, n);
    if (err == OK && listen(fd, BACKLOG) < 0)
        err = err_of_errno(errno);
    if (err != OK) {
        close(fd);
        return err;
    }
    n = sizeof at; /* port 0 became a real one */
    if (!listener->at.is_unix && getsockname(fd, (struct sockaddr *)&at, &n) == 0)
        endpoint_of_sockaddr((struct sockaddr *)&at, n, &listener->at);
    *out = fd;
    return OK;
}

static enum err open_one(struct loop *loop, const struct endpoint *at, unsigned unix_mode,
    bool is_shared,
    void (*on_accept)(
        void *me, int fd, const struct endpoint *peer, const struct endpoint *local),
    void *me, struct listener **out)
{
    struct listener *listener = mem_new(sizeof *listener);
    int failed;
    enum err err;

    listener->loop = loop;
    listener->at = *at;
    listener->on_accept = on_accept;
    listener->me = me;
    timer_init(&listener->retry, loop, on_retry);
    err = make_socket(listener, unix_mode, is_shared, &listener->fd);
    if (err != OK)
        goto fail;
    failed = uv_poll_init(&loop->uv, &listener->poll, listener->fd);
    if (failed) {
        err = err_of_errno(-failed);
        close(listener->fd);
        goto fail;
    }
    uv_poll_start(&listener->poll, UV_READABLE, on_poll);
    *out = listener;
    return OK;

fail:
    free(listener);
    return err;
}

enum err listener_open(struct loop *loop, const struct endpoint *at, unsigned unix_mode,
    void (*on_accept)(
        void *me, int fd, const struct endpoint *peer, const struct endpoint *local),
    void *me, struct listener **out)
{
    return open_one(loop, at, unix_mode, false, on_accept, me, out);
}

enum err listener_open_shared(struct loop *loop, const struct endpoint *at,
    void (*on_accept)(
        void *me, int fd, const struct endpoint *peer, const struct endpoint *local),
    void *me, struct listener **out)
{
    assert(!at->is_unix);
    return open_one(loop, at, 0, true, on_accept, me, out);
}

void listener_share(struct listener *listener, bool is_shared)
{
    set_shared(listener->fd, is_shared);
}

/* --- Closing ----------------------------------------------------------------------------- */

static void on_closed(uv_handle_t *handle)
{
    free(container_of((uv_poll_t *)handle, struct listener, poll));
}

/* Unless another process has put its own there meanwhile. */
static void remove_own_file(const struct listener *listener)
{
    struct stat s;

    if (stat(listener->at.path, &s) == 0 && s.st_dev == listener->device &&
        s.st_ino == listener->inode)
        unlink(listener->at.path);
}

void listener_drain(struct listener *listener)
{
    for (int i = 0; i < BACKLOG; i++) { /* no more can have waited when it began */
        if (!accept_one(listener))
            break;
    }
}

void listener_close(struct listener *listener)
{
    if (!listener)
        return;
    listener->is_closed = true;
    timer_stop(&listener->retry);
    if (listener->at.is_unix)
        remove_own_file(listener);
    uv_close((uv_handle_t *)&listener->poll, on_closed);
    close(listener->fd);
}

const struct endpoint *listener_endpoint(const struct listener *listener)
{
    return &listener->at;
}
