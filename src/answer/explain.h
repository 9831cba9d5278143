/* What a session would be told, and why (OP-3): `relais explain`.
 *
 * Nothing of it is imitated: the SMTP server engine is fed with the lines a client would send, its
 * questions are answered by answer/answer.h and policy/, as those of live sessions are, and the
 * route is chosen by policy/route.h.  Pure; any thread. */
#ifndef ANSWER_EXPLAIN_H
#define ANSWER_EXPLAIN_H

#include "policy/decision.h"
#include "policy/receive.h"

/* What the limits count, as it is now. */
struct explain_counts {
    uint32_t of_node, of_connector, of_source; /* connections */
    uint32_t messages;                         /* the client's that count within a minute */
};

struct explain_question {
    struct arrival arrival; /* of the client, whoever handed it over */
    bool has_via;           /* a balancer did, by a PROXY header */
    struct ip via;
    const char *helo;    /* NULL: nothing was asked about it: "client.invalid" */
    const char *user;    /* logged in as; NULL: nobody */
    bool knows_accounts; /* the settings have them: the tool may not read their file */
    bool is_tls;         /* STARTTLS was done */
    /* He showed a certificate, which is TLS; one with this fingerprint: the connector may list it;
     * or one that it knows whatever its fingerprint is. */
    bool has_certificate, is_partner;
    const char *fingerprint; /* "sha256:HEX"; NULL: some other one */
    const char *sender;      /* NULL: no more than the connector; "": the null sender */
    uint64_t size_bytes;
    const char *const *recipients;
    size_t recipient_count;
    /* Whether no host of that next hop answers just now, so that others stand in (SC-4); NULL:
     * nobody here knows. */
    bool (*is_resting)(void *me, const char *queue);
    void *resting_me;
    /* Tells the counts for one more of ARRIVAL (with its source) at CONNECTOR, logged in as USER or
     * NULL.  NULL: nobody knows them. */
    void (*count)(void *me, const struct receive_connector *connector,
        const struct arrival *arrival, const char *user, struct explain_counts *out);
    void *count_me;
};

enum explain_stage {
    EXPLAIN_PROXY,     /* whether a PROXY header is taken, where there is one or might be */
    EXPLAIN_CONNECTOR, /* one for each receive connector: taken, or why not */
    EXPLAIN_LIMITS, /* one for each limit on connections, messages and their size; a no: passed now */
    EXPLAIN_HELLO,
    EXPLAIN_RIGHTS, /* what the client may do there; never a no */
    EXPLAIN_MAIL,
    EXPLAIN_RECIPIENT,
    EXPLAIN_RESOLVED, /* what a recipient stands for: an address each */
    EXPLAIN_ROUTE,    /* one for each send connector that was looked at: taken, or why not */
};

struct finding {
    enum explain_stage stage;
    const char *about; /* the connector, the name, the address */
    bool is_yes;       /* it is taken, allowed, the way it goes */
    const char *reply; /* what the client reads, its last line; "": nothing is said */
    const char *rule;  /* docs/rules.md; "": none is behind it */
    const char *why;   /* "" : there is no more to be said */
    const char *queue; /* EXPLAIN_ROUTE: the next hop's name; else "" */
    /* EXPLAIN_LIMITS: how much there may be, 0: any number; and is, -1: nobody knows. */
    uint64_t limit;
    int64_t now;
};

const char *explain_stage_name(enum explain_stage stage);

/* Calls EACH for every finding in order; its texts are valid inside the call.  The first no of a
 * command ends its part: after a refused sender nothing is said of recipients. */
void explain(const struct settings *settings, const struct explain_question *question,
    void (*each)(void *me, const struct finding *finding), void *me);

#endif
