/* What became of the recipients of an item: deliver says it, discard settles it. */
#ifndef FLOW_RESULT_H
#define FLOW_RESULT_H

#include "base/bytes.h"
#include "mail/status.h"

struct shared_text;

enum fate {
    FATE_DELIVERED, /* the next hop, or the mailbox, has it */
    FATE_FAILED,    /* for good */
    FATE_DEFERRED,  /* again later */
};

struct result {
    uint32_t recipient; /* number in the envelope */
    enum fate fate;
    bool is_relayed_blind; /* delivered to a host that knows no DSN: a success notice is ours */
    bool is_slowed; /* deferred for the host says "slow down": again as soon as it takes more */
    bool is_final;  /* delivered into a mailbox: a success notice says "delivered" */
    bool is_expanded;    /* it stood for others: a success notice says "expanded" */
    bool is_own;         /* the host has not said so: we found it out, or gave up */
    bool is_unattempted; /* it comes from no attempt: we end it, or tell of it, ourselves */
    struct shared_text *host; /* who said so, when it is not whom the item went to; borrowed */
    struct verdict verdict;
    const char
        *tls; /* "verify TLSv1.3 CIPHER verified", "" in clear; borrowed for the call; NULL:
                        no connection at all */
};

/* What the results of an item come from; borrowed for the call. */
struct attempt {
    const char *host; /* who said so: "mx.example.com[192.0.2.1]:25"; "": we did ourselves */
    struct bytes envelope; /* encoded, the whole of it, of a message that rested and was read;
                            * empty: the message has it, or nobody has read it */
};

#endif
