#include "os/own_addresses.h"

#include "base/mem.h"
#include "os/address.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdlib.h>

enum { LIVES_MS = 10000 };

static void look(struct own_addresses *own)
{
    struct ifaddrs *all;

    own->count = 0;
    if (getifaddrs(&all) != 0)
        return;
    for (const struct ifaddrs *one = all; one; one = one->ifa_next) {
        struct endpoint endpoint;
        socklen_t n = sizeof(struct sockaddr_in);

        if (!one->ifa_addr ||
            (one->ifa_addr->sa_family != AF_INET && one->ifa_addr->sa_family != AF_INET6))
            continue;
        if (one->ifa_addr->sa_family == AF_INET6)
            n = sizeof(struct sockaddr_in6);
        endpoint_of_sockaddr(one->ifa_addr, n, &endpoint);
        own->list = mem_grow(own->list, (own->count + 1) * sizeof *own->list);
        own->list[own->count++] = endpoint.ip;
    }
    freeifaddrs(all);
}

bool own_addresses_have(struct own_addresses *own, struct ip ip, struct moment now)
{
    if (ip_is_loopback(ip))
        return true;
    if (now.ms >= own->expires.ms) {
        look(own);
        own->expires.ms = now.ms + LIVES_MS;
    }
    for (size_t i = 0; i < own->count; i++) {
        if (ip_compare(own->list[i], ip) == 0)
            return true;
    }
    return false;
}

void own_addresses_done(struct own_addresses *own)
{
    free(own->list);
    *own = (struct own_addresses){ .list = NULL };
}
