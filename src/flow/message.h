/* A message on its way: what the stages of the path hand to one another.  Home loop, once it is
 * there; while it is received it belongs to its session's loop. */
#ifndef FLOW_MESSAGE_H
#define FLOW_MESSAGE_H

#include "base/list.h"
#include "mail/envelope.h"
#include "mail/status.h"
#include "os/crash.h"
#include "spool/spool.h"

#include "policy/priority.h"

struct hop;

/* A text that many have: what a next hop says it says to all. */
struct shared_text {
    uint32_t holders;
    char text[];
};

enum item_state {
    ITEM_NEW, /* belongs to no hop yet */
    ITEM_READY,
    ITEM_WAITING,    /* refused for now: next_attempt says when */
    ITEM_ASIDE,      /* ready, but nodes are asked whether it is theirs (R6); or unpinned */
    ITEM_SUSPENDED,  /* by the administrator: in no list */
    ITEM_DELIVERING, /* deliver has it */
    ITEM_DONE,       /* no recipient of it is pending */
};

/* The recipients of a message that go to one next hop, tried together. */
struct item {
    struct list in_hop; /* the hop's ready, waiting or aside list */
    struct hop *hop;
    struct item *next; /* the message's further items */
    struct moment next_attempt;
    struct shared_text *last_error; /* "host said: 451 4.3.0 try later"; held; NULL: none */
    union {                         /* numbers in the envelope, ascending */
        uint32_t only;
        uint32_t *many; /* more than one: malloc */
    } recipients;
    uint32_t recipient_count;
    uint16_t attempt_count;
    uint8_t state; /* enum item_state */
    /* It was redirected, and is to follow its route again: it is not started where it stands. */
    bool is_unpinned : 1;
    bool is_further : 1; /* not its message's first */
};

/* A message has one item, mostly: it lies in the message, and need not say whose it is. */
struct further_item {
    struct item item;
    struct message *message;
};

/* This node delivers it in the place of another, which may have done so too (SH-8).  Many have the
 * same: those that were taken over together. */
struct takeover {
    uint32_t holders;
    uint16_t generation;
    uint16_t header_at, header_bytes; /* in `from`: the field that says so, with its CRLF */
    char from[];                      /* that node's name */
};

/* A queue of a million counts every byte: a message that is not being delivered and not fresh
 * rests, with what routing needs of its envelope and nothing of its content. */
struct message {
    struct list in_queue; /* all messages, in the order they came here */
    struct spool_entry entry;
    union {
        struct spool_content *content; /* NULL: read it from the spool */
        struct takeover *takeover;     /* is_taken_over: its content is never here */
    } has;
    struct wall arrived;
    struct item first;
    uint32_t pending_count : 24; /* recipients without an outcome */
    uint32_t crash_count : 8;    /* of other nodes, as its copy said (XCRASH) */
    uint32_t envelope_bytes;
    uint32_t revision; /* of the settings it was routed by */
    /* Items that deliver has, and notifications being committed. */
    uint32_t delivering_count : 20;
    uint32_t priority : 2; /* enum priority */
    bool is_resting : 1;
    bool is_delay_told : 1; /* or there is nobody to be told */
    bool
        is_held_back : 1; /* recovered; other nodes are asked first whether it is theirs (R6) */
    bool
        is_withdrawn : 1; /* another node is to deliver it: nothing of it is started any more */
    bool is_suspended : 1; /* by the administrator: nothing is started, nothing expires */
    /* The process died with it too often: it stands in the poison queue, and is_suspended until
     * the administrator resumes it. */
    bool is_poison : 1;
    bool is_unread : 1; /* the process died while it was recovered: its envelope is made up */
    bool is_taken_over : 1;
    uint8_t *envelope; /* encoded: mail/envelope.h; malloc, until it rests */
};

/* A copy of the encoded ENVELOPE, no recipient done; of normal priority. */
struct message *message_new(
    struct mid mid, struct bytes envelope, uint32_t recipient_count, struct wall arrived);
void message_free(struct message *message); /* its items too; the spool entry must be settled */

/* The message will wait: lets go of its content, and of what of its envelope is needed only
 * when it leaves (trace fields, the client's names), or stands in the message, too (when it
 * arrived, its size).  The spool has both (spool_read, wants_envelope). Nothing when it is being
 * delivered. */
void message_rest(struct message *message);

/* Messages were FROM's before; HEADER (a whole field) says so and goes in front of all others. */
struct takeover *takeover_new(uint16_t generation, struct bytes from, struct bytes header);
bool takeover_is(const struct takeover *takeover, uint16_t generation, struct bytes from,
    struct bytes header);
void takeover_free(struct takeover *takeover); /* lets go; NULL too */
/* TAKEOVER is borrowed, and held.  The message has no content here, nor will have. */
void message_set_takeover(struct message *message, struct takeover *takeover);

/* NULL: not here, read it from the spool. */
static inline struct spool_content *message_content(const struct message *message)
{
    return message->is_taken_over ? NULL : message->has.content;
}

/* NULL for all but those taken over. */
static inline const struct takeover *message_takeover(const struct message *message)
{
    return message->is_taken_over ? message->has.takeover : NULL;
}

static inline struct bytes message_takeover_header(const struct message *message)
{
    const struct takeover *takeover = message_takeover(message);

    return takeover ? bytes_of(takeover->from + takeover->header_at, takeover->header_bytes)
                    : BYTES_NONE;
}

/* As it is here.  What a resting one lacks is told by message_rest(). */
static inline struct bytes message_envelope(const struct message *message)
{
    return bytes_of(message->envelope, message->envelope_bytes);
}

static inline struct message *item_message(const struct item *item)
{
    struct item *at = (struct item *)(uintptr_t)item;

    return at->is_further ? container_of(at, struct further_item, item)->message
                          : container_of(at, struct message, first);
}

static inline bool item_is_queued(const struct item *item)
{
    return item->state == ITEM_READY || item->state == ITEM_WAITING ||
           item->state == ITEM_ASIDE || item->state == ITEM_SUSPENDED;
}

static inline uint32_t item_recipient(const struct item *item, uint32_t at)
{
    return item->recipient_count > 1 ? item->recipients.many[at] : item->recipients.only;
}

static inline void item_put_recipient(struct item *item, uint32_t at, uint32_t recipient)
{
    if (item->recipient_count > 1)
        item->recipients.many[at] = recipient;
    else
        item->recipients.only = recipient;
}

/* Those behind the first COUNT (one at least) are no longer its. */
void item_keep_first(struct item *item, uint32_t count);
/* ERROR is borrowed, and held. */
void item_set_error(struct item *item, struct shared_text *error);
struct shared_text *shared_text_new(const char *text);
struct shared_text *shared_text_hold(struct shared_text *text);
void shared_text_free(struct shared_text *text); /* lets go; NULL too */

/* Keeps the first COUNT recipients (of more); the rest is a new item of the same message and
 * hop. */
struct item *item_split(struct item *item, uint32_t count);

/* Adds a recipient's number; an item has at least one from its making on. */
void item_add_recipient(struct item *item, uint32_t recipient);
/* Keeps those recipients for which KEEP says so, and returns how many. */
uint32_t item_keep_pending(struct item *item);

/* A further item of the message, or its first when that is new. */
struct item *message_add_item(struct message *message, uint32_t recipient);
/* Unlinks and frees all items (they are in no list); the first is new again. */
void message_clear_items(struct message *message);

#endif
