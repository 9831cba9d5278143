/* Why mail has not been delivered so far, in one line: queues, lists and logs show it, and a
 * notification tells it by its parts.  Pure; any thread. */
#ifndef MAIL_CAUSE_H
#define MAIL_CAUSE_H

#include "mail/status.h"

enum { CAUSE_BYTES = 400 };

struct cause {
    struct bytes host; /* "mx.example.net[192.0.2.1]:25", a socket's path; empty: it is ours */
    bool is_said;      /* the host did say so; else this is what we found when we tried it */
    struct verdict verdict;
};

/* "HOSTWORD: CODE STATUS TEXT": "mx.example.net[192.0.2.1]:25 said: 451 4.3.0 try later".  HOST may
 * be "", which leaves the WORD out as well.  WORD is " said", " ... said", or "" when the host said
 * nothing. Cut to its room. */
void cause_format(const char *host, const char *word, unsigned code, struct status status,
    const char *text, char out[CAUSE_BYTES]);

/* Reads such a line.  HOST lies in it.  False: it has no reply's code in the place for it. */
bool cause_parse(struct bytes line, struct cause *out);

#endif
