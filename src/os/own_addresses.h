/* The addresses of this machine's interfaces, as they are now: they come and go.  One loop. */
#ifndef OS_OWN_ADDRESSES_H
#define OS_OWN_ADDRESSES_H

#include "base/ip.h"
#include "base/time.h"

/* Zero: not looked at yet. */
struct own_addresses {
    struct ip *list;
    size_t count;
    struct moment expires; /* they are looked at again then */
};

/* Whether IP is one of them, or of the loopback network; at most 10 s old.  No address is known
 * when the kernel does not tell. */
bool own_addresses_have(struct own_addresses *own, struct ip ip, struct moment now);
void own_addresses_done(struct own_addresses *own);

#endif
