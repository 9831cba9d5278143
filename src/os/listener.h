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
void listener_close(struct listener *listener);
const struct endpoint *listener_endpoint(const struct listener *listener); /* the real port */

#endif
