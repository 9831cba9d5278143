/* Inside the control socket: one client, and the commands. */
#ifndef DAEMON_CONTROL_INTERNAL_H
#define DAEMON_CONTROL_INTERNAL_H

#include "daemon/control.h"
#include "daemon/control_out.h"
#include "node/node.h"
#include "os/conn.h"

/* control_trace.c: those that were asked for and have no answer yet; the first is at work. */
struct traces {
    struct list jobs;
    struct timer look;
};

struct control {
    struct path *path;
    struct listener *listener;
    struct list clients;
    struct traces traces;
    struct moment started;
    struct ctl_object *(*reload)(void *me);
    void (*stop)(void *me);
    void *me;
};

struct client {
    struct list in_control;
    struct control *control;
    struct conn *conn; /* NULL: gone, but a command is still running */
    struct control_out out;
    bool is_busy;     /* a command answers later; further lines wait */
    bool is_skipping; /* the rest of a line that was too long */
    /* Of client_must_wait(); NULL: nobody waits. */
    void (*on_room)(void *me);
    void *on_room_me;
};

/* Adds a row, or the last object of an answer (taken).  What is over the ceiling of an answer is lost,
 * and makes its end an error. */
void client_row(struct client *client, struct ctl_object **row);
void client_end(struct client *client, struct ctl_object **end);
void client_ok(struct client *client);
void client_count(struct client *client, const char *name, int64_t count); /* it is OK */
/* CODE: of sysexits. */
void client_error(struct client *client, int code, const char *format, ...) PRINTF(3, 4);

/* A command that answers later: between these two the client stays there. */
void client_begin_work(struct client *client);
void client_end_work(struct client *client); /* the client may be gone then */

/* For a command at work that has much to say.  True: the client has not taken yet what it was told;
 * ON_ROOM is called once, when it has, or is gone.  So an answer of any length takes little memory. */
bool client_must_wait(struct client *client, void (*on_room)(void *me), void *me);
/* Nobody is there any more who would read an answer. */
bool client_is_gone(const struct client *client);
/* The same, and it is asked anew: for a command that has nothing to say for long. */
bool client_has_left(const struct client *client);

typedef void command_function(struct client *client, const struct ctl_object *request);
command_function command_status, command_queue, command_queues, command_message, command_export,
    command_retry, command_remove, command_redirect, command_trace, command_reload,
    command_stop, command_get_transport, command_set_transport, command_shadow,
    command_shadow_list, command_explain, command_devices, command_track, command_metrics,
    command_tls_counts, command_weak_tls, command_address_list, command_logins,
    command_get_receive, command_get_send, command_get_domain, command_suspend, command_resume,
    command_ages, command_sync_logs, command_retry_queue, command_suspend_queue,
    command_resume_queue;

/* --- control_trace.c --------------------------------------------------------------------- */

void traces_init(struct traces *traces, struct loop *home);
/* The last trace is left alone with what it reads. */
void traces_done(struct traces *traces);

/* --- control_queue.c --------------------------------------------------------------------- */

/* A message as a row; ITEM: the one that says where it is. */
/* Where an item waits, and why. */
void item_add_row(struct path *path, const struct item *item, struct ctl_object *row);
void message_add_row(struct path *path, const struct message *message, const struct item *item,
    struct ctl_object *row);
/* Of the message's items, the one that waits; the first when none does. */
const struct item *message_item_to_show(const struct message *message);
/* The id a request names; false: it is none, and the client was told. */
bool control_wanted_mid(
    struct client *client, const struct ctl_object *request, struct mid *out);

/* What the envelope says of the client and its wishes. */
void message_add_details(struct ctl_object *end, struct bytes encoded);
/* MESSAGE: to say where each recipient is queued; NULL: nowhere. */
void message_add_recipients(struct ctl_object *end, struct bytes encoded,
    const struct spool_entry *entry, const struct message *message);

/* --- control_hop.c ----------------------------------------------------------------------- */

int64_t control_seconds_until(const struct path *path, struct moment due);

/* --- control_shadow.c -------------------------------------------------------------------- */

/* Whether all is redundant, why, and the alarms. */
void shadow_add_verdict(const struct path *path, struct ctl_object *end);

/* --- control_shadow_list.c --------------------------------------------------------------- */

/* Answers a request for the messages of a shadow queue; false: it is about another one. */
bool copy_queue(struct client *client, const struct ctl_object *request);
void copy_queue_rows(struct client *client);
int64_t copy_count_held(const struct path *path);

/* --- control_copy.c ---------------------------------------------------------------------- */

/* The other node of that name, which may be its first label alone; LEDGER_NO_PEER. */
uint8_t copy_find_peer(const struct path *path, const char *name);
/* The path's, or the node's; NULL: neither has it. */
struct spool_entry *copy_find_entry(struct path *path, struct mid mid);
bool copy_find_standing(const struct path *path, struct mid mid, struct standing *out);
/* Role, generation, where the copies are, or for whom it is held.  Nothing when it has none. */
void copy_add_standing(const struct path *path, struct mid mid, struct ctl_object *object);
void copy_add_envelope(const struct path *path, const struct spool_entry *entry,
    struct bytes encoded, struct ctl_object *row);
/* The shadow queue it stands in, and its status there. */
void copy_add_queue(const struct path *path, struct mid mid, struct ctl_object *row);
/* Answers with a copy's envelope; false: there is no such copy. */
bool copy_show(struct client *client, struct mid mid);
/* Says why MID, which is not in the queue, cannot be retried or removed. */
void copy_refuse(struct client *client, struct mid mid, const char *id);

#endif
