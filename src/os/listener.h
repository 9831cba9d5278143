/* Listening sockets.  Belongs to one loop. */
#ifndef OS_LISTENER_H
#define OS_LISTENER_H

#include "base/err.h"
#include "os/address.h"
#include "os/loop.h"

struct listener;

/* Binds and listens.  FD is an accepted socket, non-blocking and close-on-exec, and the
 * callback's to close.  A UNIX socket's stale file is removed first (ERR_BUSY when somebody
 * listens there), and its mode set.  ERR_BUSY: address in use; ERR_DENIED: a privileged port.
 */
enum err listener_open(struct loop *loop, const struct endpoint *at, unsigned unix_mode,
    void (*on_accept)(
        void *me, int fd, const struct endpoint *peer, const struct endpoint *local),
    void *me, struct listener **out) MUST_USE;
/* A port is either one socket's, on all addresses of a kind, or that of sockets on single ones:
 * ERR_BUSY.  To go from one to the other without a moment in which nobody listens, the new socket
 * is opened beside those that are in its way, which, and which alone, are shared meanwhile; then
 * it is shared no more itself.  TCP only.  ERR_BUSY: somebody else's is in the way. */
void listener_share(struct listener *listener, bool is_shared);
enum err listener_open_shared(struct loop *loop, const struct endpoint *at,
    void (*on_accept)(
        void *me, int fd, const struct endpoint *peer, const struct endpoint *local),
    void *me, struct listener **out) MUST_USE;

/* Whether this system has IPv6 at all: it may be switched off in the kernel, or kept from the
 * process by systemd (RestrictAddressFamilies=).  Any thread. */
bool listener_has_ipv6(void);

/* Accepts who is waiting: what close() would reset. */
void listener_drain(struct listener *listener);
void listener_close(struct listener *listener);                            /* takes NULL */
const struct endpoint *listener_endpoint(const struct listener *listener); /* the real port */

#endif
