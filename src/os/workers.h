/* A few threads for work that may block for long, as a question to PAM does.  The loops' own pool
 * (loop_work) serves the disk and must never wait behind such. */
#ifndef OS_WORKERS_H
#define OS_WORKERS_H

#include "base/err.h"
#include "os/loop.h"

struct workers;

/* Embedded.  RUN is called on a worker's thread, then DONE on LOOP's. */
struct worker_job {
    struct loop_post post;
    struct list in_waiting;
    struct loop *loop;
    void (*run)(struct worker_job *job);
    void (*done)(struct worker_job *job);
};

/* WAITING_MAX: jobs that no thread has taken yet. */
enum err workers_new(unsigned count, unsigned waiting_max, struct workers **out) MUST_USE;

/* Any loop's thread.  False: too many wait already; nothing is called. */
bool workers_run(struct workers *workers, struct loop *loop, struct worker_job *job);

/* Waits for what is being done.  Jobs that were not begun are never done.  NULL too. */
void workers_free(struct workers *workers);

#endif
