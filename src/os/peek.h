/* The beginning of an accepted stream, read where another will read on: on another loop, or by TLS.
 * Any thread. */
#ifndef OS_PEEK_H
#define OS_PEEK_H

#include <stddef.h>
#include <sys/types.h>

/* Copies what is there, at most N bytes, and leaves it there.  0: the other side has closed, or the
 * connection is broken; -1: nothing is there yet. */
ssize_t socket_peek(int fd, void *to, size_t n);
/* Takes away the first N bytes, which socket_peek() has shown. */
void socket_skip(int fd, size_t n);

#endif
