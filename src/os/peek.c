#include "os/peek.h"

#include <errno.h>
#include <sys/socket.h>

static ssize_t receive(int fd, void *to, size_t n, int flags)
{
    ssize_t got;

    do
        got = recv(fd, to, n, flags);
    while (got < 0 && errno == EINTR);
    return got;
}

ssize_t socket_peek(int fd, void *to, size_t n)
{
    ssize_t got = receive(fd, to, n, MSG_PEEK | MSG_DONTWAIT);

    if (got >= 0)
        return got;
    return errno == EAGAIN || errno == EWOULDBLOCK ? -1 : 0;
}

/* What was shown is there: the kernel does not give it to anybody else. */
void socket_skip(int fd, size_t n)
{
    char into[4096];

    while (n) {
        ssize_t got = receive(fd, into, n < sizeof into ? n : sizeof into, MSG_DONTWAIT);
        if (got <= 0)
            return; /* broken meanwhile: whoever reads next finds that out */
        n -= (size_t)got;
    }
}
