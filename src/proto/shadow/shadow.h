/* The peer link's words: verbs, parameters and replies as values, read and written.  Pure; any
 * thread.  The grammar, and what each word means, is docs/formats/shadow.md.
 *
 * Bytes in the values are borrowed from the line or from the caller. */
#ifndef PROTO_SHADOW_SHADOW_H
#define PROTO_SHADOW_SHADOW_H

#include "base/buf.h"
#include "base/id.h"
#include "mail/envelope.h"
#include "mail/status.h"

enum {
    SHADOW_VERSION_MIN = 1,
    SHADOW_VERSION_MAX = 1,
    SHADOW_AUDIT_MAX = 50,   /* message ids in one XQAUDIT */
    SHADOW_PAGE_MAX = 1000,  /* items in one answer */
    SHADOW_EARLIER_MAX = 3,  /* stores behind the first one in XFROM */
    SHADOW_RETIRED_MAX = 16, /* store ids told in an introduction */
    SHADOW_WAIT_MS_MAX = 600000,
    SHADOW_NODE_BYTES_MAX = 255,
    SHADOW_LINE_BYTES_MAX = 65536, /* a PART list of a message with many recipients is long */
    SHADOW_LIST_BYTES_MAX = 40960, /* such a list; the rest of a line always fits beside it */
};

/* A node as it calls itself, and the store it has. */
struct shadow_node {
    struct bytes name; /* a host name; checked when it is read */
    struct store_id store;
};

/* XSHADOW: "1 2 NODE=.. STORE=.. POS=.. [RETIRED=..,..]", and its answer: "NODE=.. STORE=.. POS=..
 * VERSION=1 [RETIRED=..]".  Parameters not known here are passed over: no version holds yet. */
struct shadow_hello {
    uint32_t versions; /* bit N: version N is spoken; in an answer the one that holds */
    struct shadow_node node;
    uint64_t position;
    uint32_t retired_count;
    struct store_id retired[SHADOW_RETIRED_MAX]; /* stores the sender knows to be retired */
};

/* What MAIL says of a copy beyond the ordinary: the envelope's own fields travel as the
 * parameters of RFC 3461, 6152, 6531, 6710, and as X... ones for what the client was. */
struct shadow_copy {
    struct mid mid;
    uint16_t generation;   /* XGEN; 0 when absent */
    struct store_id from;  /* XFROM: taken over from; zero: from none */
    uint8_t earlier_count; /* ... and before that from these, which have not heard of it */
    struct store_id earlier[SHADOW_EARLIER_MAX];
    uint32_t prepend_bytes;   /* XPREPEND: so much of the content is header fields of ours */
    struct envelope envelope; /* all but `recipients`, has_dot_line, has_8bit and so on, which
                               * the receiver sees for itself; crash_count is XCRASH */
    const struct recipient *recipients;
    uint32_t recipient_count;
    struct bytes done; /* XDONE: "1-40,42", recipients that have their outcome; may be empty */
};

/* What became of a copy sent. */
enum shadow_fate {
    SHADOW_DURABLE,
    SHADOW_SETTLED, /* its outcome is durable over there */
    SHADOW_MOVED,   /* another owns it: .node */
    SHADOW_BUSY,    /* 450: ask again later */
    SHADOW_REFUSED, /* .verdict: full, another envelope under this mid, a loop ... */
    SHADOW_LOST,    /* the link ended before the answer: it may be there */
};

struct shadow_outcome {
    enum shadow_fate fate;
    struct shadow_node node; /* of MOVED */
    struct verdict verdict;  /* of BUSY and REFUSED */
};

enum shadow_ask_type { SHADOW_ASK_DISCARD, SHADOW_ASK_TAKEN, SHADOW_ASK_AUDIT };

struct shadow_ask {
    enum shadow_ask_type type;
    uint32_t count_max; /* DISCARD, TAKEN */
    bool has_cursor;    /* all up to it is on the asker's disk */
    uint64_t cursor;
    uint32_t wait_ms;      /* DISCARD: WAIT= in seconds, with up to three decimals */
    struct store_id store; /* TAKEN: what was taken from it */
    uint32_t mid_count;    /* AUDIT */
    struct mid mids[SHADOW_AUDIT_MAX];
};

enum shadow_word {
    SHADOW_DONE = 0,   /* DISCARD: the copy may go */
    SHADOW_PART,       /* DISCARD: .list are done */
    SHADOW_STUCK,      /* DISCARD, advice: .seconds */
    SHADOW_TAKEN,      /* TAKEN: .generation, .node, .is_firm */
    SHADOW_IS_PENDING, /* AUDIT: */
    SHADOW_IS_SETTLED,
    SHADOW_IS_UNKNOWN,
    SHADOW_IS_YOURS,
    SHADOW_IS_MOVED, /* .node */
    SHADOW_STRANGE,  /* a word of a later version: confirmed and ignored (R21) */
    SHADOW_WORD_COUNT
};

struct shadow_item {
    struct mid mid;
    enum shadow_word word;
    uint16_t generation;
    bool is_firm; /* FIRM: the taker is past its questions (R6) */
    uint64_t seconds;
    struct shadow_node node;
    struct bytes list;
};

/* An answer: "250-mid WORD ..." lines, then "250 cursor MORE|END POS=n". */
struct shadow_page {
    enum shadow_ask_type type;
    uint32_t item_count;
    const struct shadow_item *items;
    uint64_t cursor; /* DISCARD, TAKEN: to be confirmed next time */
    bool has_more;
    uint64_t position;
    uint32_t retired_count;
    struct store_id retired[SHADOW_RETIRED_MAX];
};

/* Recipients by number, from 1 on the wire and 0 here: "1-40,42". */
struct shadow_list_cursor {
    struct bytes rest;
};
/* False: malformed, not ascending, or over COUNT recipients.  An empty text is an empty list. */
bool shadow_list_check(struct bytes text, uint32_t count);
/* The next run FIRST..LAST; false at the end.  Of a checked list. */
bool shadow_list_next(struct shadow_list_cursor *cursor, uint32_t *first, uint32_t *last);
/* Appends the list of those of COUNT recipients for which IS_IN says so.  ERR_LIMIT: it would be
 * over OUT's ceiling, or over SHADOW_LIST_BYTES_MAX; what was added is a list all the same, of
 * the first ones, and as true as a whole one: it may be sent.  (The rest would be delivered again
 * after a take-over: D1.) */
enum err shadow_list_add(struct buf *out, uint32_t count,
    bool (*is_in)(const void *me, uint32_t recipient), const void *me) MUST_USE;

/* --- Reading: what stands behind the verb or the code.  False: malformed (501) ------------- */

bool shadow_parse_hello(struct bytes args, struct shadow_hello *out);
/* Behind "250 2.0.0 ". */
bool shadow_parse_hello_reply(struct bytes text, struct shadow_hello *out);
bool shadow_parse_ask(enum shadow_ask_type type, struct bytes args, struct shadow_ask *out);

enum shadow_params { SHADOW_PARAMS_OK, SHADOW_PARAMS_SYNTAX, SHADOW_PARAMS_UNKNOWN };
/* MAIL: "FROM:<..> SIZE=.. XMID=.. XSHADOW=COPY ..."  SCRATCH has room for ARGS.n bytes: what
 * stands in xtext is decoded there, and *OUT borrows from it too.  SIZE is all of the content,
 * so that envelope.content_bytes is SIZE without prepend_bytes. */
enum shadow_params shadow_parse_mail(
    struct bytes args, uint8_t *scratch, struct shadow_copy *out) MUST_USE;
/* RCPT: "TO:<..> NOTIFY=.. ORCPT=.."  Unchecked but for syntax: UTF-8 is welcome always. */
enum shadow_params shadow_parse_rcpt(struct bytes args, struct recipient *out) MUST_USE;

/* A line of an answer to TYPE, behind "250-". */
bool shadow_parse_item(enum shadow_ask_type type, struct bytes text, struct shadow_item *out);
/* The last line, behind "250 ", of an answer to out->type; items are not touched. */
bool shadow_parse_page_end(struct bytes text, struct shadow_page *out);
/* A whole reply to a copy's last chunk. */
bool shadow_parse_outcome(
    uint16_t code, struct bytes text, struct mid mid, struct shadow_outcome *out);
/* CODE is 4xx or 5xx. */
struct verdict shadow_parse_refusal(uint16_t code, struct bytes text);

/* --- Writing: lines with CRLF.  ERR_LIMIT: over OUT's ceiling; nothing was added ----------- */

enum err shadow_add_hello_command(struct buf *out, const struct shadow_hello *hello) MUST_USE;
enum err shadow_add_hello_reply(struct buf *out, const struct shadow_hello *hello) MUST_USE;
enum err shadow_add_ask(struct buf *out, const struct shadow_ask *ask) MUST_USE;
enum err shadow_add_page(struct buf *out, const struct shadow_page *page) MUST_USE;
/* MAIL and every RCPT.  ERR_LIMIT too when MAIL would be over SHADOW_LINE_BYTES_MAX. */
enum err shadow_add_copy(struct buf *out, const struct shadow_copy *copy) MUST_USE;
enum err shadow_add_outcome(
    struct buf *out, struct mid mid, const struct shadow_outcome *outcome) MUST_USE;
enum err shadow_add_refusal(struct buf *out, const struct verdict *verdict) MUST_USE;

#endif
