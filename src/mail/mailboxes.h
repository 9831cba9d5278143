/* Where the addresses stand in the value of a header field such as From or Reply-To: a list of
 * mailboxes and groups (RFC 5322, 3.4), with display names, comments, quotes and folding.  Pure;
 * any thread.
 *
 * What is no list is read as far as it makes sense: nothing is found in a name, a comment or a
 * quote, nor behind one that does not end. */
#ifndef MAIL_MAILBOXES_H
#define MAIL_MAILBOXES_H

#include "base/bytes.h"

struct mailbox_place {
    size_t at, n; /* the address, in bytes of the value, without brackets */
    size_t start; /* where the mailbox's "<" stands; without one as `at` */
};

/* Calls VISIT for each, in order.  Whether it is an address is not looked at. */
void mailboxes_each(
    struct bytes value, void (*visit)(void *me, const struct mailbox_place *place), void *me);

#endif
