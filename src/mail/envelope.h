/* The envelope: everything about a message that is not its content.  Pure; any thread.
 *
 * It lives encoded, as one run of bytes, in memory and in the spool, and is read where it lies.
 * The encoding is a sequence of fields {tag u8, length varint, value}; a reader skips tags it
 * does not know, so that a later version may add fields.  docs/formats/spool.md lists the tags.
 */
#ifndef MAIL_ENVELOPE_H
#define MAIL_ENVELOPE_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/id.h"
#include "base/time.h"

enum body_type { BODY_7BIT, BODY_8BITMIME, BODY_BINARYMIME };

enum envelope_ret { RET_NONE, RET_FULL, RET_HDRS }; /* RFC 3461, 4.3 */

/* RFC 3461, 4.1; 0 means that the client said nothing. */
enum notify { NOTIFY_NEVER = 1, NOTIFY_SUCCESS = 2, NOTIFY_FAILURE = 4, NOTIFY_DELAY = 8 };

enum { ENVELOPE_RECIPIENTS_MAX = 50000, ENVELOPE_BYTES_MAX = 32 << 20 };

struct recipient {
    struct bytes address; /* local@domain as the client gave it */
    struct bytes orcpt;   /* "rfc822;a+2Bb@example.com", still in xtext; empty: none */
    uint8_t notify;       /* enum notify, or 0 */
    bool is_expanded;     /* it stood for others, who follow: it only gets the report of that
                             (RFC 3461, 5.2.7) */
};

struct envelope {
    struct bytes sender; /* empty: the null sender */
    struct bytes envid;  /* xtext; empty: none */
    struct bytes auth;   /* the AUTH= parameter of MAIL, xtext; empty: none */
    enum envelope_ret ret;
    enum body_type body;
    bool is_smtputf8;     /* the client gave SMTPUTF8 */
    bool has_dot_line;    /* some line of the content begins with a dot */
    bool has_8bit;        /* some byte of the content is above 127 */
    bool has_utf8_header; /* one stands in the header */
    int8_t priority;      /* MT-PRIORITY (RFC 6710): -9..9 */
    uint8_t crash_count;  /* times a worker died with it */
    uint8_t hop_count;    /* Received fields at receipt */
    struct wall arrived;
    struct session_id session;
    struct bytes connector;   /* the receive connector's name */
    struct bytes client_name; /* as given in EHLO */
    struct bytes client_ip;   /* text form; empty for a UNIX socket or ourselves */
    struct bytes client_user; /* authenticated as; empty: nobody */
    struct bytes message_id;  /* the Message-ID field's value, for the logs; may be empty */
    struct bytes prepend; /* header fields of ours that go before the content, each with CRLF */
    uint64_t content_bytes; /* without `prepend` */
    size_t recipient_count;
    const struct recipient *recipients; /* when encoding; NULL after decoding: see below */
};

/* Appends the encoded form to OUT.  ERR_LIMIT: over OUT's ceiling. */
enum err envelope_encode(const struct envelope *envelope, struct buf *out) MUST_USE;

/* Reads the fields; all bytes are borrowed from ENCODED.  `recipients` is NULL, the count is
 * set. ERR_CORRUPT: not an envelope; *out is then untouched. */
enum err envelope_decode(struct bytes encoded, struct envelope *out) MUST_USE;

/* The sender of an encoded envelope that was decoded before, and nothing else; empty: the null
 * sender.  For who looks at a million of them. */
struct bytes envelope_sender(struct bytes encoded);

/* Walks over the recipients of an encoded envelope, in the order of RCPT. */
struct envelope_cursor {
    struct bytes rest;
};
void envelope_recipients(struct bytes encoded, struct envelope_cursor *out);
bool envelope_next_recipient(struct envelope_cursor *cursor, struct recipient *out);

#endif
