#include "os/address.h"

#include <netinet/in.h>
#include <stdio.h>

enum { V4_AT = 12 }; /* where an IPv4 address lies in a struct ip */

void endpoint_format(const struct endpoint *endpoint, char out[ENDPOINT_TEXT_BYTES])
{
    char ip[IP_TEXT_BYTES];

    if (endpoint->is_unix) {
        snprintf(out, ENDPOINT_TEXT_BYTES, "unix:%s", endpoint->path);
        return;
    }
    ip_format(endpoint->ip, ip);
    snprintf(out, ENDPOINT_TEXT_BYTES, ip_is_v4(endpoint->ip) ? "%s:%u" : "[%s]:%u", ip,
        endpoint->port);
}

static socklen_t to_unix(const struct endpoint *endpoint, struct sockaddr_storage *out)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };

    _Static_assert(sizeof endpoint->path == sizeof to.sun_path, "a path fits both ways");
    memcpy(to.sun_path, endpoint->path, sizeof to.sun_path);
    memcpy(out, &to, sizeof to);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
                       strnlen(endpoint->path, sizeof endpoint->path - 1) + 1);
}

static socklen_t to_v4(const struct endpoint *endpoint, struct sockaddr_storage *out)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(endpoint->port) };

    memcpy(&to.sin_addr, endpoint->ip.byte + V4_AT, sizeof to.sin_addr);
    memcpy(out, &to, sizeof to);
    return sizeof to;
}

static socklen_t to_v6(const struct endpoint *endpoint, struct sockaddr_storage *out)
{
    struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_port = htons(endpoint->port) };

    memcpy(&to.sin6_addr, endpoint->ip.byte, sizeof to.sin6_addr);
    memcpy(out, &to, sizeof to);
    return sizeof to;
}

socklen_t endpoint_to_sockaddr(const struct endpoint *endpoint, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    if (endpoint->is_unix)
        return to_unix(endpoint, out);
    return ip_is_v4(endpoint->ip) ? to_v4(endpoint, out) : to_v6(endpoint, out);
}

/* A client's UNIX socket has no path; an abstract one is shown as "@name". */
static void of_unix(const struct sockaddr *from, socklen_t n, struct endpoint *out)
{
    size_t path_at = offsetof(struct sockaddr_un, sun_path), path_n;
    struct sockaddr_un un = { 0 };

    memcpy(&un, from, n < sizeof un ? n : sizeof un);
    path_n = n > path_at ? n - path_at : 0;
    if (path_n > sizeof out->path - 1)
        path_n = sizeof out->path - 1; /* its last byte is our zero byte */
    memcpy(out->path, un.sun_path, path_n);
    if (path_n > 1 && out->path[0] == 0)
        out->path[0] = '@';
    out->is_unix = true;
}

void endpoint_of_sockaddr(const struct sockaddr *from, socklen_t n, struct endpoint *out)
{
    static const uint8_t v4_prefix[V4_AT] = { [10] = 255, [11] = 255 };
    struct endpoint to = { 0 };

    if (n < sizeof from->sa_family) {
        /* the kernel gives none for an unnamed peer */
    } else if (from->sa_family == AF_UNIX) {
        of_unix(from, n, &to);
    } else if (from->sa_family == AF_INET && n >= sizeof(struct sockaddr_in)) {
        struct sockaddr_in in;
        memcpy(&in, from, sizeof in);
        memcpy(to.ip.byte, v4_prefix, sizeof v4_prefix);
        memcpy(to.ip.byte + V4_AT, &in.sin_addr, sizeof in.sin_addr);
        to.port = ntohs(in.sin_port);
    } else if (from->sa_family == AF_INET6 && n >= sizeof(struct sockaddr_in6)) {
        struct sockaddr_in6 in6;
        memcpy(&in6, from, sizeof in6);
        memcpy(to.ip.byte, &in6.sin6_addr, sizeof to.ip.byte);
        to.port = ntohs(in6.sin6_port);
    }
    *out = to;
}
