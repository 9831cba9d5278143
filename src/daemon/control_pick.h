/* Commands over many messages: those of a queue, those that a filter fits, or all; looked at a
 * stretch at a time, so that a million of them hold nothing up. */
#ifndef DAEMON_CONTROL_PICK_H
#define DAEMON_CONTROL_PICK_H

#include "daemon/control_internal.h"
#include "policy/filter.h"

/* A message and one of its items, for filters.  Home loop; for one turn. */
struct pick_subject {
    const struct path *path;
    const struct message *message;
    const struct item *item;
    bool is_decoded, with_node;
    struct envelope envelope;
    struct envelope_cursor cursor; /* of the recipients, and the next one's number */
    uint32_t next;
    unsigned next_at; /* among the item's values */
    char text[400];
};
filter_get pick_get;
const char *pick_item_status(const struct item *item);
const char *pick_item_error(const struct item *item);

struct pick;

/* What is done with each. */
struct pick_verb {
    const char *done; /* "removed": what the answer counts */
    /* Returns whether it could be.  The message may be gone then.  NULL: it is listed. */
    bool (*act)(struct pick *pick, struct message *message);
    bool is_of_redirected; /* those that were redirected alone */
    bool is_not_of_poison; /* that is left alone, and counted */
    bool is_flushed;       /* the answer waits until it is durable */
};

/* Some of the next hops that were met, and whether the filter lets their messages through, as far
 * as it asks about the hop: by the last bits of the hop's number. */
enum { PICK_HOPS = 4096 };
struct pick_hop {
    uint32_t number; /* 0: none yet */
    bool fits;
};

struct pick {
    struct client *client;
    const struct pick_verb *verb;
    const char *command;   /* for the log */
    struct filter *filter; /* NULL: all */
    uint32_t hop_number;   /* 0: any */
    bool is_what_if, with_notice;
    bool with_node;                /* the filter names queues by node and name, or number */
    bool ends_at_miss, has_missed; /* all that is asked is whether the filter fits everything */
    char target[PATH_TARGET_BYTES]; /* of a redirection: path_redirect() */
    int64_t limit;                  /* rows */
    int64_t matched, done, busy, poison, rows;
    struct queue_walk walk;
    struct loop_step step;
    struct timer pause;
    struct spool_barrier barrier;
    struct pick_hop hops[PICK_HOPS];
};

/* Does VERB with what REQUEST picks, and answers: `queue`, `filter`, `limit`, `what_if`, `ndr`,
 * `until_miss`. */
void pick_run(struct client *client, const struct ctl_object *request, const char *command,
    const struct pick_verb *verb);

/* The same with one message. */
/* TARGET: whereto it is redirected; NULL: it is not. */
void pick_one(struct client *client, struct message *message, const char *command,
    const struct pick_verb *verb, const char *target);

/* Whether one of the message's items is picked; ITEM alone. */
bool pick_fits(struct pick *pick, const struct message *message, const struct item *item);

#endif
