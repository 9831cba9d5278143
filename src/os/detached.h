/* Work that may hang for as long as a disk does, or for good: on a thread of its own, which nobody
 * waits for, the end of the process neither.  The loops' own pool (loop_work) has few threads, is
 * joined at the end, and mail waits for it. */
#ifndef OS_DETACHED_H
#define OS_DETACHED_H

#include "base/err.h"
#include "os/loop.h"

/* Embedded.  RUN is called on the new thread, then DONE on LOOP's, if that still runs then.  So what
 * RUN touches is WORK's own, and lives until DONE. */
struct detached {
    struct loop_post post;
    struct loop *loop; /* lasts as long as the process: the home loop */
    void (*run)(struct detached *work);
    void (*done)(struct detached *work);
};

/* ERR_SYSTEM: there is no thread to be had; nothing is called. */
enum err detached_run(struct loop *loop, struct detached *work) MUST_USE;

#endif
