/* What was decided, by which rule, and why.  Logs, traces and `relais explain` print the same
 * words, for all of them come from the function that decided.  Pure; any thread. */
#ifndef POLICY_DECISION_H
#define POLICY_DECISION_H

#include "base/err.h"
#include "mail/status.h"

enum { DECISION_WHY_BYTES = 200 };

struct decision {
    struct verdict verdict; /* 250, or the reply */
    const char
        *rule; /* its name for good, a literal: "relay", "sender-rights"; docs/rules.md */
    char why[DECISION_WHY_BYTES]; /* "accepted domain example.com", "allow has any-recipient" */
};

static inline bool decision_is_yes(const struct decision *decision)
{
    return verdict_is_ok(&decision->verdict);
}

/* Fills in; texts are cut to their room. */
void decide(struct decision *out, const char *rule, struct verdict verdict,
    const char *why_format, ...) PRINTF(4, 5);

/* A refusal of a connector's, whose text ends with "[RULE@CONNECTOR]" (SM-7).  Those whose text is
 * fixed by the specification (PE-3, PE-4) come by decide(): docs/rules.md. */
void decide_refusal(struct decision *out, const char *rule, const char *connector,
    struct verdict verdict, const char *why_format, ...) PRINTF(5, 6);

#endif
