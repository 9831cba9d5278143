/* Delivery status notifications: RFC 3461, 3464, 6522, 6533.  Pure; any thread. */
#ifndef MAIL_DSN_H
#define MAIL_DSN_H

#include "base/buf.h"
#include "mail/envelope.h"
#include "mail/status.h"

enum dsn_action { DSN_FAILED, DSN_DELAYED, DSN_DELIVERED, DSN_RELAYED, DSN_EXPANDED };

struct dsn_recipient {
    struct bytes address;
    struct bytes orcpt; /* xtext; empty: none */
    enum dsn_action action;
    struct status status;
    /* Who said the reply: "mx.example.com[192.0.2.1]:25", with an address for a name too; a socket's
     * path; empty: we did. */
    struct bytes remote_host;
    struct bytes reply;           /* "550 5.1.1 no such user", one line; empty: none */
    bool is_own_reply;            /* we said it after all; it has to do with REMOTE_HOST */
    struct wall last_attempt;     /* 0: none that is known of */
    struct wall will_retry_until; /* delayed alone */
};

struct dsn {
    struct mid mid;      /* the notification's own */
    struct bytes fqdn;   /* Reporting-MTA and the sender's domain */
    struct bytes to;     /* the original's sender */
    struct bytes envid;  /* xtext */
    struct wall arrived; /* of the original */
    struct wall now;
    struct bytes original_message_id; /* for References; may be empty */
    bool is_utf8;                     /* the original was SMTPUTF8: RFC 6533 types are used */
    bool has_8bit;                    /* what is attached has bytes above 127 */
    const struct dsn_recipient *recipients;
    size_t recipient_count;
    /* What is attached: the original with its trace fields, or its header alone. */
    struct bytes original_prepend, original;
    bool headers_only;
};

/* Appends the whole content of the notification, CRLF lines, header first.
 * ERR_LIMIT: over OUT's ceiling; the caller may try again with headers_only. */
enum err dsn_format(const struct dsn *dsn, struct buf *out) MUST_USE;

/* The notification's own Message-ID, brackets and all. */
enum { DSN_MESSAGE_ID_BYTES = 300 };
void dsn_message_id(struct mid mid, struct bytes fqdn, char out[DSN_MESSAGE_ID_BYTES]);

/* The id of a notification: derived from the message's, its recipients (numbers in the
 * envelope, ascending) and the kind, so that making it twice is recognised
 * (docs/formats/spool.md). */
struct mid dsn_mid(struct mid original, const uint32_t *recipients, size_t recipient_count,
    enum dsn_action action);

#endif
