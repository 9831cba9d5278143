/* Settles what a delivery left: outcomes in the spool, notifications, the end of a message.
 * Home loop. */
#ifndef FLOW_DISCARD_DISCARD_H
#define FLOW_DISCARD_DISCARD_H

#include "flow/hop.h"
#include "flow/message.h"
#include "flow/result.h"
#include "flow/secure.h"
#include "mail/cause.h"

struct discard {
    struct secure *secure;
    struct setup_slot *setup;
    /* The item's remaining recipients are to be tried again. */
    void (*defer)(struct discard *discard, struct item *item, const char *error);
    /* The same, but at once: no fault was found with them. */
    void (*put_back)(struct discard *discard, struct item *item);
    /* The same, as soon as the host takes more, which says "slow down". */
    void (*put_behind)(struct discard *discard, struct item *item, const char *error);
    void (*item_done)(struct discard *discard, struct item *item);
    /* No recipient is pending, nothing is being delivered: settled in the spool, take it out.
     */
    void (*forget)(struct discard *discard, struct message *message);
    /* Nothing of it is under way any more, but recipients are pending: it may be routed anew.
     */
    void (*idle)(struct discard *discard, struct message *message);
    /* This node has a message, or a copy, with that mid, or says a word about it still. */
    bool (*is_known)(struct discard *discard, struct mid mid);
    /* A host of HOP lets fewer messages go there than are ready: what it said of that is put into
     * LINE, as mail/cause.h has it. */
    bool (*is_slowed)(
        const struct discard *discard, const struct hop *hop, char line[CAUSE_BYTES]);
    uint32_t notice_count; /* notifications that are being made, and ends that read before */
    void *me;
};

/* Ends the delivery of ITEM (state DELIVERING), if need be once the envelope has been read, which
 * the tracking log wants whole.  RESULTS has one for each of its recipients. */
void discard_item(struct discard *discard, struct item *item, const struct result *results,
    const struct attempt *attempt);

/* No recipient of it is pending and it is in no queue: the end in the spool and for other nodes.
 * Its memory is the caller's. */
void discard_settle(struct secure *secure, struct message *message);

/* The message is too old: all recipients of ITEM fail with 550 4.4.7, and with what has been in
 * their way. */
void discard_expired(struct discard *discard, struct item *item);

/* The message waits for long: its sender is told of the recipients that are pending, unless he
 * asked not to be (RFC 3461, 4.1) or is nobody.  It stays queued. */
void discard_delayed(struct discard *discard, struct message *message);

/* The message stood for others where it says so (mail/envelope.h): their senders who wanted to know
 * are told, and these recipients are done. */
void discard_expanded(struct discard *discard, struct message *message);

/* By command.  The message's queued items fail: with a notification, or without a word.  What
 * is being delivered just now goes on. */
void discard_removed(struct discard *discard, struct item *item, bool with_notice);

#endif
