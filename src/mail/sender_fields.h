/* Gives the addresses in a message's From, Sender and Reply-To other names while it streams in
 * (AD-4).  Pure; one thread each.
 *
 * Fed with the content in any split; gives back the runs to keep in place of it.  Only those
 * fields are held and looked at, each until it ends; all other bytes, and a field in which no
 * address is renamed, are given back as they are.  In a renamed field the address alone is
 * another: display names, comments and folding stay.  A field of more than
 * SENDER_FIELD_BYTES_MAX, or one whose lines would pass 998 bytes, stays as it is.  The header
 * ends as mail/scan.h sees it. */
#ifndef MAIL_SENDER_FIELDS_H
#define MAIL_SENDER_FIELDS_H

#include "base/buf.h"
#include "mail/address.h"

enum { SENDER_FIELD_BYTES_MAX = 16 * 1024 };

struct sender_fields {
    /* What ADDRESS is called from now on, which free() takes; NULL: it stays. */
    char *(*rename)(void *me, const struct address *address);
    void *me;
    uint32_t count; /* addresses that were renamed */

    /* Where it stands; its own business. */
    uint8_t state;
    bool has_field;   /* a field came before, which a folded line goes on */
    bool is_given;    /* what is held was given back by the last call */
    struct buf held;  /* the beginning of a name, or a field as far as it came */
    struct buf field; /* with its addresses renamed */
};

void sender_fields_init(struct sender_fields *fields,
    char *(*rename)(void *me, const struct address *address), void *me);
void sender_fields_done(struct sender_fields *fields); /* one that was only zeroed too */

/* The next run to keep; CONTENT goes on behind it.  False: nothing more of it is kept (now).  The
 * run is valid until the next call, and as long as CONTENT. */
bool sender_fields_next(struct sender_fields *fields, struct bytes *content, struct bytes *run);

/* All content is there: what was held back.  May be empty. */
struct bytes sender_fields_end(struct sender_fields *fields);

#endif
