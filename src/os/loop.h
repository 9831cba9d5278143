/* An event loop: sockets, timers and messages from other threads, by libuv.
 *
 * Everything of a loop is used on its own thread, but loop_post() and loop_stop(). */
#ifndef OS_LOOP_H
#define OS_LOOP_H

#include "base/err.h"
#include "base/list.h"
#include "base/time.h"
#include "os/crash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;

enum err loop_new(struct loop **out) MUST_USE;
void loop_free(struct loop *loop); /* not running, nothing open on it */

/* Runs until loop_stop(). */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop); /* any thread */

/* The time at the start of this turn. */
struct moment loop_now(const struct loop *loop);
struct wall loop_wall(const struct loop *loop); /* read once a turn */
uint64_t loop_turns(const struct loop *loop);   /* how many turns there were */

/* --- Messages from other threads --------------------------------------------------------- */

/* Embedded in what is sent.  Owned by the loop from loop_post() until RUN is called, which may
 * free it or post it again.  What is still posted when the loop is freed is not run. */
struct loop_post {
    struct loop_post *next;
    void (*run)(struct loop_post *post);
};

/* Any thread.  RUN is called on LOOP's thread, in the order posted by each thread.  No
 * allocation; wakes the loop only if it sleeps. */
void loop_post(struct loop *loop, struct loop_post *post);

/* --- Timers ------------------------------------------------------------------------------ */

/* Embedded; zeroed before its first use.  Cheap to start again (a heap of our own, one libuv
 * timer). */
struct timer {
    struct loop *loop;
    size_t at; /* place in the heap + 1; 0: not running */
    struct moment due;
    void (*on_due)(struct timer *timer);
};

void timer_init(struct timer *timer, struct loop *loop, void (*on_due)(struct timer *timer));
void timer_start(struct timer *timer, int64_t after_ms); /* once; again moves it */
void timer_stop(struct timer *timer);                    /* harmless when not running */
static inline bool timer_is_running(const struct timer *timer)
{
    return timer->at != 0;
}

/* --- Once before the loop sleeps --------------------------------------------------------- */

/* Embedded.  ON_FLUSH is called once, after all that is ready now was handled and before the
 * loop waits again: one write a turn.  Asked for again after it ran, it runs in the next turn,
 * which then begins without waiting. */
struct loop_flush {
    struct list node;
    uint64_t turn; /* the turn it last ran in */
    void (*on_flush)(struct loop_flush *flush);
};

void loop_flush_init(struct loop_flush *flush, void (*on_flush)(struct loop_flush *flush));
void loop_flush_ask(struct loop *loop, struct loop_flush *flush); /* again is harmless */
/* Likewise, after all others: for what nobody waits for. */
void loop_flush_ask_last(struct loop *loop, struct loop_flush *flush);
void loop_flush_cancel(struct loop_flush *flush);

/* --- Soon -------------------------------------------------------------------------------- */

/* Something to be done soon, not inside the call that asks for it.  Embedded.  ON_STEP runs
 * before the flushes of this turn; what it asks for in turn waits for the next one, which then
 * begins without waiting. */
struct loop_step {
    struct list node;
    void (*on_step)(struct loop_step *step);
};

void loop_step_init(struct loop_step *step, void (*on_step)(struct loop_step *step));
void loop_step_ask(struct loop *loop, struct loop_step *step); /* again is harmless */
void loop_step_cancel(struct loop_step *step);

/* --- Readiness of a descriptor ----------------------------------------------------------- */

/* Calls ON_READY whenever FD can be read (a listening socket, a library's).  FD stays the
 * caller's and must outlive the watch. */
struct loop_watch;
enum err loop_watch_new(struct loop *loop, int fd, void (*on_ready)(void *me), void *me,
    struct loop_watch **out) MUST_USE;
void loop_watch_free(struct loop_watch *watch);

/* --- Signals ----------------------------------------------------------------------------- */

/* Calls ON_SIGNAL on LOOP's thread for each of SIGNUM from now on. */
enum err loop_signal(
    struct loop *loop, int signum, void (*on_signal)(int signum, void *me), void *me) MUST_USE;

/* --- Work that blocks -------------------------------------------------------------------- */

/* Embedded.  RUN is called on a thread of the pool, then DONE on LOOP's thread; both for the
 * message that the caller has in work (os/crash.h). */
struct loop_work {
    struct loop *loop;
    void (*run)(struct loop_work *work);
    void (*done)(struct loop_work *work);
    void *request;           /* the loop's own */
    struct crash_work crash; /* and this */
};
void loop_work(struct loop *loop, struct loop_work *work);

#endif
