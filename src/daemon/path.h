/* The path of a message, joined: accept -> session -> secure -> route -> queue -> deliver ->
 * discard.
 *
 * No stage knows another; here each is given the functions it calls.  Everything but the
 * sessions on further loops belongs to the home loop. */
#ifndef DAEMON_PATH_H
#define DAEMON_PATH_H

#include "daemon/certificates.h"
#include "flow/accept/accept.h"
#include "flow/deliver/deliver.h"
#include "flow/discard/discard.h"
#include "flow/queue/queue.h"
#include "flow/route/route.h"
#include "flow/secure.h"
#include "flow/session/session.h"
#include "policy/poison.h"

struct logins;
struct workers;
struct path_house; /* the sessions of one network loop */

/* Names of suspended hops, which outlive the process and the hop. */
struct suspended_names {
    char *file;
    char **list;
    size_t count;
};

/* Routing anew what is queued, over many turns of the loop. */
struct path_rerouting {
    struct queue_walk walk;
    struct loop_step step;
    bool is_running;
    bool is_all;      /* the settings have changed; else but the hops that want it */
    bool is_again;    /* a hop wants it that did not when this walk began */
    bool is_adopting; /* what was accepted while this node was alone is copied, too (R8) */
};

/* What this node knows of messages that it died with. */
struct path_poison {
    char *file;                /* the notes */
    struct poison_notes notes; /* as they are in it */
    uint32_t threshold;
};

struct path {
    struct loop *home;
    struct setup_slot setup;
    struct spool *spool;
    struct dns *dns;
    struct node *node;
    struct secure secure;
    struct router router;
    struct setup *routed_by; /* held: the setup that router.setup is */
    struct queue queue;
    struct deliver deliver;
    struct discard discard;
    struct path_rerouting rerouting;
    struct accept accept;
    struct rates rates;
    struct devices devices;
    struct timer devices_due; /* to be written */
    uint64_t devices_written; /* devices_changes() then */
    bool is_writing_devices;
    struct workers *workers; /* for passwords */
    struct logins *logins;   /* who logged in, and from where */
    struct timer logins_due; /* to be written */
    struct loop_work logins_write;
    enum err logins_err;
    bool is_writing_logins;
    struct certificates certificates;
    struct path_house *houses;
    uint32_t house_count, next_house;
    struct suspended_names suspended;
    struct path_poison poison;
    uint64_t damage_count;     /* records set aside at recovery */
    struct mid_table taking;   /* another's messages that are about to be queued here */
    struct takeover *takeover; /* of the last one taken over; held */
    /* Stopping. */
    bool is_stopping;
    uint32_t houses_left;
    struct timer stop_step;
    struct moment stop_deadline;
    struct spool_barrier last_flush;
    bool is_over;
};

/* Takes SETTINGS.  Recovers the spool (with progress in the log), opens the sockets, starts the
 * network loops.  WHY says what failed. */
enum err path_open(
    struct path *path, struct loop *home, struct settings **settings, char why[512]) MUST_USE;

/* Changes to new settings (taken): sockets, routes of what is queued, limits.  On failure the
 * old ones stay. */
enum err path_change(struct path *path, struct settings **settings, char why[512]) MUST_USE;

/* Ends what is under way, flushes, and stops the home loop. */
void path_stop(struct path *path);
void path_close(struct path *path); /* after the home loop ended */

/* Sends the message's queued items to new hops; false: it is being delivered just now. */
bool path_reroute(struct path *path, struct message *message);

/* By command: the recipients of those queued items that WANTS picks fail, with or without a
 * notification. False: none was picked, all are being delivered just now, or other nodes
 * are being asked whose it is. */
bool path_remove(struct path *path, struct message *message,
    bool (*wants)(void *me, const struct item *item), void *me, bool with_notice);

/* By command: nothing more of it is started until it is resumed.  It lasts once the spool is
 * flushed.  Poison that is resumed is delivered again, and may be gone now, to come back.  False:
 * not now, other nodes are being asked whose it is. */
bool path_suspend(struct path *path, struct message *message, bool suspended);
/* The same of all that goes to the hops of these names, and lasts when it returns (it writes a
 * file).  An error changes nothing. */
enum err path_suspend_hops(
    struct path *path, char *const *names, size_t count, bool suspended) MUST_USE;
bool path_is_suspended_name(const struct path *path, const char *name);

/* How many stand in the poison queue, and why this one does; "" when it does not. */
size_t path_poison_count(const struct path *path);
void path_poison_why(
    const struct path *path, const struct message *message, char out[POISON_WHY_BYTES]);

/* By command: those queued items that WANTS picks leave by another host: TARGET.  False: none was
 * picked, all are being delivered just now, or other nodes are being asked whose it is. */
enum { PATH_TARGET_BYTES = 280 };
bool path_redirect(struct path *path, struct message *message, const char *target,
    bool (*wants)(void *me, const struct item *item), void *me);
/* They follow their route again. */
bool path_undo_redirect(struct path *path, struct message *message,
    bool (*wants)(void *me, const struct item *item), void *me);
/* TO: "host", "host:port", "[2001:db8::1]:25", or the name of a node of the cluster.  False: it is
 * none of these. */
bool path_redirect_target(
    const struct path *path, const char *to, char out[PATH_TARGET_BYTES]) MUST_USE;

uint32_t path_session_count(const struct path *path);

#endif
