/* A message on its way: what the stages of the path hand to one another.  Home loop. */
#ifndef FLOW_MESSAGE_H
#define FLOW_MESSAGE_H

#include "base/list.h"
#include "base/table.h"
#include "mail/envelope.h"
#include "spool/spool.h"

struct hop;

/* The recipients of a message that go to one next hop, tried together. */
struct item {
    struct list in_hop; /* the hop's ready or waiting list; unlinked while being delivered */
    struct message *message;
    struct hop *hop;
    struct moment next_attempt;
    uint16_t attempt_count;
    uint8_t state;     /* enum item_state */
    struct item *next; /* the message's further items */
    char *last_error;  /* "host said: 451 4.3.0 try later"; NULL: none; free() */
    uint32_t recipient_count;
    uint32_t first;       /* the only recipient's number when count is 1 */
    uint32_t *recipients; /* numbers in the envelope; NULL when count is 1 */
};

enum item_state { ITEM_READY, ITEM_WAITING, ITEM_DELIVERING, ITEM_SUSPENDED, ITEM_DONE };

struct message {
    struct table_node by_mid;
    struct list in_queue; /* all messages, in the order of arrival here */
    struct spool_entry entry;
    uint8_t *envelope; /* encoded; owned */
    uint32_t envelope_bytes;
    uint32_t pending_count; /* recipients without an outcome */
    struct wall arrived;
    struct spool_content *content; /* NULL: read it from the spool */
    struct item first;
    uint16_t delivering_count; /* items in state DELIVERING */
    bool is_removed;           /* by the administrator, while being delivered */
};

static inline struct bytes message_envelope(const struct message *message)
{
    return bytes_of(message->envelope, message->envelope_bytes);
}

#endif
