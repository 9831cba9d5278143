/* Inside the path: what its files share.  Home loop, unless said otherwise. */
#ifndef DAEMON_PATH_INSIDE_H
#define DAEMON_PATH_INSIDE_H

#include "daemon/path.h"

#include <pthread.h>

/* The sessions of a network loop, and its thread. */
struct path_house {
    struct session_house house;
    struct path *path;
    struct loop *loop;
    pthread_t thread;
    bool has_thread; /* false: it is the home loop */
    struct loop_post stop;
};

/* --- path_house.c ---------------------------------------------------------------------------- */

enum err path_open_houses(struct path *path, const struct settings *settings) MUST_USE;
void path_end_houses(struct path *path);  /* their threads */
void path_free_houses(struct path *path); /* and what they had */
/* What accept gives away goes to the loops in turn. */
void path_open_session(struct accept *accept, int fd, const struct arrival *arrival,
    struct setup *setup, const struct receive_connector *connector);

/* --- path_devices.c -------------------------------------------------------------------------- */

void path_open_devices(struct path *path);
void path_close_devices(struct path *path); /* after the last session */

/* --- path_logins.c --------------------------------------------------------------------------- */

enum err path_open_logins(struct path *path, const struct settings *settings) MUST_USE;
void path_end_workers(struct path *path);  /* after the loops, before they are freed */
void path_close_logins(struct path *path); /* after the last session */

/* --- path_recover.c -------------------------------------------------------------------------- */

/* What was found in the spool, until the stages stand. */
struct recovery {
    struct path *path;
    struct list messages; /* of this node alone */
    struct list found;    /* what other nodes may have too: struct found */
    uint64_t count;
    unsigned percent;
};

enum err path_open_spool(struct path *path, const struct settings *settings,
    struct recovery *recovery, char why[512]) MUST_USE;
void path_queue_recovered(struct path *path, struct recovery *recovery);

/* --- path_node.c ----------------------------------------------------------------------------- */

enum err path_open_node(
    struct path *path, const struct settings *settings, char why[512]) MUST_USE;
/* The message of an entry, which still is to be copied or moved into it; NULL: that is none. */
struct message *path_make_message(struct spool_entry *entry, struct bytes envelope);
/* Delivered in the place of another node, if its standing says so (SH-8). */
void path_mark_takeover(
    struct path *path, struct message *message, const struct standing *standing);
/* An unread message is made anew of its true envelope, which is read in a while: it is gone now. */
void path_reopen(struct path *path, struct message *message);
/* A withdrawn message of which nothing is under way any more: it is gone then. */
void path_give_back(struct path *path, struct message *message);
/* Is here, in whatever part, or a word about it is still owed. */
bool path_is_known(struct path *path, struct mid mid);
void path_leave_node(struct path *path); /* what is in no queue stays in the spool */

/* --- path_reroute.c -------------------------------------------------------------------------- */

void path_init_rerouting(struct path *path); /* the queue stands */
void path_end_rerouting(struct path *path);
/* The settings are new: all that is queued is routed by them, a short queue at once. */
void path_reroute_all(struct path *path);
/* What is ready at HOP goes another way soon, if there is a better one now. */
void path_move_hop(struct path *path, struct hop *hop);
/* It is still to be routed by the new settings: nothing is started by the old ones. */
bool path_is_stale(struct queue *queue, const struct message *message);

/* --- path_suspend.c -------------------------------------------------------------------------- */

/* Reads the names; before the first hop is made. */
void path_open_suspended(struct path *path, const struct settings *settings);
void path_close_suspended(struct path *path);

/* --- path_poison.c --------------------------------------------------------------------------- */

/* What is kept of a message whose envelope the process died of; and what it died of then. */
#define PATH_RECOVERING "recover"

/* Before the spool is opened: counts the crash of the process before this one, and has the next
 * one noted. */
void path_open_poison(struct path *path, const struct settings *settings);
void path_close_poison(struct path *path);
/* The message is in the spool still; the others are forgotten by path_prune_poison(), when all
 * were met. */
void path_meet_poison(struct path *path, struct mid mid);
void path_prune_poison(struct path *path);
/* Its envelope is not to be looked at. */
bool path_is_feared(const struct path *path, struct mid mid);
/* The message of an entry, whose envelope is not looked at; like path_make_message(). */
/* NULL: more recipients than an envelope has; then it is none of ours. */
struct message *path_make_unread(const struct path *path, const struct spool_entry *entry);
/* It is not delivered if it is poison; said once, when it becomes so. */
void path_judge_poison(struct path *path, struct message *message);
/* Its items say why it stands there. */
void path_label_poison(struct path *path, struct message *message);
/* The administrator gives it another chance.  It may be gone then, and come back as another.
 * False: not now, other nodes are being asked about it. */
bool path_forgive(struct path *path, struct message *message);
/* For the node: see node_path. */
uint8_t path_crash_count(void *me, struct mid mid, uint8_t carried);
bool path_may_copy(void *me, struct mid mid);

/* --- path_redirect.c ------------------------------------------------------------------------- */

/* An item at a host that it was redirected to: what that refuses follows its route. */
void path_finish_redirected(struct path *path, struct item *item, const struct result *results,
    const struct attempt *attempt);
/* Adds those recipients that stay where they were redirected to; free() its list. */
void path_pins(const struct message *message, struct route_pins *pins);

/* --- path.c ---------------------------------------------------------------------------------- */

/* The texts are the settings'. */
struct dns_settings path_dns_settings(const struct settings *settings);

/* It is ours to deliver, or to give up: no node that is back may have taken it (R6). */
bool path_has_right(struct path *path, const struct message *message);
/* Its expanded recipients get their outcomes, if it has_right.  It may be gone then. */
void path_start(struct path *path, struct message *message);
/* The message, adopted, is queued; or it is over at once. */
void path_begin(struct path *path, struct message *message);

#endif
