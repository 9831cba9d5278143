/* Where a socket is: IPv4, IPv6 or a UNIX socket's path.  Plain values; any thread. */
#ifndef OS_ADDRESS_H
#define OS_ADDRESS_H

#include "base/bytes.h"
#include "base/ip.h"

#include <sys/socket.h>
#include <sys/un.h>

struct endpoint {
    bool is_unix;
    struct ip ip;
    uint16_t port;
    char path[108]; /* zero-ended */
};

enum { ENDPOINT_TEXT_BYTES = 120 };

/* "192.0.2.1:25", "[2001:db8::1]:25", "unix:/run/x". */
void endpoint_format(const struct endpoint *endpoint, char out[ENDPOINT_TEXT_BYTES]);

/* To and from the kernel's form.  Returns the length. */
socklen_t endpoint_to_sockaddr(const struct endpoint *endpoint, struct sockaddr_storage *out);
void endpoint_of_sockaddr(const struct sockaddr *from, socklen_t n, struct endpoint *out);

#endif
