/* The control socket: commands of `relais`, JSON lines (proto/ctl/ctl.h).  Home loop. */
#ifndef DAEMON_CONTROL_H
#define DAEMON_CONTROL_H

#include "base/err.h"
#include "daemon/path.h"

struct control;

/* Listens on the UNIX socket PATH_NAME, for its owner and group alone.  RELOAD reads the
 * configuration again and answers with the reply's object. */
struct ctl_object;
enum err control_open(struct path *path, const char *socket_name,
    struct ctl_object *(*reload)(void *me), void (*stop)(void *me), void *me,
    struct control **out) MUST_USE;
void control_close(struct control *control);

#endif
