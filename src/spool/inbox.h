/* Requests on their way to the commit thread: many put in, one takes.  Putting in makes a
 * system call only when the taker sleeps. */
#ifndef SPOOL_INBOX_H
#define SPOOL_INBOX_H

#include "spool/spool.h"

#include <pthread.h>

struct inbox {
    _Atomic(struct spool_request *) last; /* linked from the last to the first */
    atomic_bool is_asleep;
    pthread_mutex_t lock; /* for sleeping only */
    pthread_cond_t wake;
};

/* First in, first out; of one thread. */
struct line {
    struct spool_request *first;
    struct spool_request **end;
};

void inbox_init(struct inbox *inbox);
void inbox_done(struct inbox *inbox);
void inbox_put(struct inbox *inbox, struct spool_request *request);

/* All that is in it, in the order it was put in, added to LINE.  Waits for the first of them,
 * up to WAIT_MS (-1: for ever; 0: not at all). */
void inbox_take(struct inbox *inbox, int64_t wait_ms, struct line *line);

void line_init(struct line *line);
void requests_add(struct line *line, struct spool_request *request);
struct spool_request *line_take(struct line *line);   /* NULL: empty */
void line_move(struct line *line, struct line *from); /* to the end; FROM is empty then */
void line_move_to_front(struct line *line, struct line *from); /* likewise */
static inline bool line_is_empty(const struct line *line)
{
    return !line->first;
}

/* A condition whose waits are not moved by the time of day, and such a wait. */
void wake_init(pthread_cond_t *wake);
void wake_wait(pthread_cond_t *wake, pthread_mutex_t *lock, int64_t wait_ms);

#endif
