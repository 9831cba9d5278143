/* The tool's end of the control socket: one question, its rows, its answer.  Blocking. */
#ifndef CTL_LINK_H
#define CTL_LINK_H

#include "ctl/tool.h"
#include "proto/ctl/ctl.h"

enum { LINK_DOWN = -1 }; /* nobody listens: the daemon is not running */

struct link_reader {
    /* One row, borrowed.  False: no more of them are wanted, and the answer is OK.  NULL: rows
     * are passed over. */
    bool (*on_row)(void *me, const struct ctl_object *row);
    void *me;
};

/* Asks the daemon; takes *REQUEST.  Returns EX_OK, the exit code after an error that has been
 * printed, or LINK_DOWN, which has not.  *ANSWER (may be NULL) gets the last object after
 * EX_OK; ctl_free() it.  It is NULL when on_row() ended the reading. */
int link_ask(struct tool *tool, struct ctl_object **request, const struct link_reader *reader,
    struct ctl_object **answer);

/* Asks, and prints the answer: with PRINT, or as JSON.  WHEN_DOWN is called, and its exit code
 * returned, when nobody listens. */
int link_show(struct tool *tool, struct ctl_object **request,
    void (*print)(const struct ctl_object *answer), int (*when_down)(struct tool *tool));

/* A request with its command. */
struct ctl_object *link_request(const char *command);

/* Says that the daemon is down and must not be; returns EX_UNAVAILABLE. */
int link_needed(struct tool *tool);

#endif
