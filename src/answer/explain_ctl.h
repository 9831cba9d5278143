/* `relais explain` as the tool asks it: from a request to a question, from a finding to a row.
 * The daemon and the tool (which answers from the file when the daemon is down) share it.  Pure;
 * any thread. */
#ifndef ANSWER_EXPLAIN_CTL_H
#define ANSWER_EXPLAIN_CTL_H

#include "answer/explain.h"
#include "proto/ctl/ctl.h"

enum { EXPLAIN_RECIPIENTS_MAX = 16, EXPLAIN_WHY_BYTES = 200, EXPLAIN_USER_BYTES = 256 };

/* A question and where its lists are; texts are borrowed from the request. */
struct explain_request {
    struct explain_question question;
    const char *recipients[EXPLAIN_RECIPIENTS_MAX];
    char fingerprint[FINGERPRINT_BYTES];
    char user[EXPLAIN_USER_BYTES];
};

/* The request's members: from ("192.0.2.1"), via (a balancer, likewise), to (":25", "192.0.2.1:25", "unix:/path"), helo, user,
 * tls, certificate ("sha256:HEX", or "unknown"), partner, mail, rcpt (a list), size.  Where `to` has no address the one of a binding of
 * that port stands in; without `to` it is the first binding's port.  False: WHY says what is wrong. */
bool explain_read(const struct settings *settings, const struct ctl_object *request,
    struct explain_request *out, char why[EXPLAIN_WHY_BYTES]);

struct ctl_object *explain_row(const struct finding *finding);

#endif
