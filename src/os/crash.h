/* Which message a thread has in work, and where that is written when the process crashes (PM-2).
 *
 * Each thread notes what it does to which message; that costs a few stores.  When the process
 * dies by a fault of its own (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT) a handler writes the note
 * of the thread that died into a file that was mapped before, and lets the signal go on: the core
 * is dumped, and who waits for the process sees by what it died.  The file survives the process;
 * it need not survive the machine.  A process that others end (SIGKILL, kill -ABRT) blames no
 * message.
 *
 * crash_begin() and crash_end(): any thread.  The rest: once, by the main thread. */
#ifndef OS_CRASH_H
#define OS_CRASH_H

#include "base/err.h"
#include "base/id.h"
#include "base/time.h"

#include <stdatomic.h>

/* DOING: a literal, one short word; NULL: no message is in work. */
struct crash_work {
    const char *doing;
    struct mid mid;
};

#define CRASH_NOTHING ((struct crash_work){ .doing = NULL })

extern _Thread_local struct crash_work crash_work;

/* From now on this thread is DOING something to that message.  Returns what it did before: for
 * crash_end(), when this is over. */
static inline struct crash_work crash_begin(struct mid mid, const char *doing)
{
    struct crash_work before = crash_work;

    crash_work.doing = doing;
    crash_work.mid = mid;
    atomic_signal_fence(memory_order_seq_cst); /* before all that follows, for the handler */
    return before;
}

static inline void crash_end(struct crash_work before)
{
    atomic_signal_fence(memory_order_seq_cst);
    crash_work = before;
}

enum { CRASH_DOING_BYTES = 32 };

struct crash_report {
    bool has_message; /* else it crashed, and no message was in work */
    struct mid mid;
    char doing[CRASH_DOING_BYTES];
    int signum;
    struct wall when;
};

/* What the process before this one left in FILE.  ERR_NONE: it did not crash. */
enum err crash_read(const char *file, struct crash_report *out) MUST_USE;

/* From now on a crash is written to FILE, which is made anew.  What was in it is gone. */
enum err crash_watch(const char *file) MUST_USE;

/* A stack of its own for the handler in this thread, so that one that has used up its stack is
 * heard of, too.  crash_watch() has it made for its own thread.  Where there is no memory for it
 * it is done without. */
void crash_thread_init(void);
void crash_thread_done(void);

/* "SIGSEGV"; "signal 42" for one without a name here, in TEXT. */
const char *crash_signal_name(int signum, char text[20]);

#endif
