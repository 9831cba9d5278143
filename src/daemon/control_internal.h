/* Inside the control socket: one client, and the commands. */
#ifndef DAEMON_CONTROL_INTERNAL_H
#define DAEMON_CONTROL_INTERNAL_H

#include "base/buf.h"
#include "daemon/control.h"
#include "os/conn.h"
#include "proto/ctl/ctl.h"

struct control {
    struct path *path;
    struct listener *listener;
    struct list clients;
    struct moment started;
    struct ctl_object *(*reload)(void *me);
    void (*stop)(void *me);
    void *me;
};

struct client {
    struct list in_control;
    struct control *control;
    struct conn *conn; /* NULL: gone, but a command is still running */
    struct buf answer; /* what does not fit into the output yet, from `sent` on */
    size_t sent;
    bool is_busy; /* a command answers later; further lines wait */
};

/* Adds a row, or the last object of an answer (taken). */
void client_row(struct client *client, struct ctl_object **row);
void client_end(struct client *client, struct ctl_object **end);
void client_ok(struct client *client);
/* CODE: of sysexits. */
void client_error(struct client *client, int code, const char *format, ...) PRINTF(3, 4);

/* A command that answers later: between these two the client stays there. */
void client_begin_work(struct client *client);
void client_end_work(struct client *client); /* the client may be gone then */

typedef void command_function(struct client *client, const struct ctl_object *request);
command_function command_status, command_queues, command_queue, command_message, command_export,
    command_retry, command_remove, command_trace, command_reload, command_stop,
    command_get_transport, command_set_transport;

#endif
