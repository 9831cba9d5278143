/* Tells systemd how we are (sd_notify's protocol: a datagram to $NOTIFY_SOCKET).  Does nothing
 * without that variable. */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

void notify_state(const char *state); /* "READY=1", "STOPPING=1" ... */

#endif
