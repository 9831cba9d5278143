/* The part of explain() that is about limits.  Pure; any thread. */
#ifndef ANSWER_EXPLAIN_LIMITS_H
#define ANSWER_EXPLAIN_LIMITS_H

#include "answer/explain.h"
#include "policy/client.h"

/* A finding for each limit that is in force for CLIENT at CONNECTOR, with what of it is used up. */
void explain_limits(const struct settings *settings, const struct explain_question *question,
    const struct receive_connector *connector, const struct client *client,
    void (*each)(void *me, const struct finding *finding), void *me);

#endif
