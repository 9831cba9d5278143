#include "daemon_kit.h"

#include "os/address.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void *serve(void *me)
{
    struct fake_daemon *daemon = me;
    int fd = accept(daemon->fd, NULL, NULL);
    size_t n = 0, left = strlen(daemon->answer);
    const char *at = daemon->answer;

    while (n < sizeof daemon->question - 1 && !memchr(daemon->question, '\n', n)) {
        ssize_t got = recv(fd, daemon->question + n, sizeof daemon->question - 1 - n, 0);
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    while (left) {
        size_t piece = left < daemon->piece ? left : daemon->piece;
        if (send(fd, at, piece, MSG_NOSIGNAL) < 0)
            break;
        at += piece;
        left -= piece;
    }
    close(fd);
    return NULL;
}

void daemon_start(struct fake_daemon *daemon, const char *answer, size_t piece)
{
    struct endpoint at = { .is_unix = true };
    struct sockaddr_storage address;
    socklen_t n;

    *daemon = (struct fake_daemon){
        .folder = "/tmp/relais-link-XXXXXX", .answer = answer, .piece = piece
    };
    assert_non_null(mkdtemp(daemon->folder));
    snprintf(daemon->path, sizeof daemon->path, "%s/control", daemon->folder);
    strcpy(at.path, daemon->path);
    n = endpoint_to_sockaddr(&at, &address);
    daemon->fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(daemon->fd, (struct sockaddr *)&address, n), 0);
    assert_int_equal(listen(daemon->fd, 1), 0);
    assert_int_equal(pthread_create(&daemon->thread, NULL, serve, daemon), 0);
}

void daemon_stop(struct fake_daemon *daemon)
{
    pthread_join(daemon->thread, NULL);
    close(daemon->fd);
    unlink(daemon->path);
    rmdir(daemon->folder);
}
