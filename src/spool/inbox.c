/* A poster puts its request in, then looks whether the taker sleeps; the taker says that it
 * sleeps, then looks whether there are requests.  All four are sequentially consistent, so one
 * of the two sees the other. */
#include "spool/inbox.h"

#include <assert.h>
#include <time.h>

void wake_init(pthread_cond_t *wake)
{
    pthread_condattr_t attributes;
    int failed = pthread_condattr_init(&attributes);

    assert(!failed);
    failed = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    assert(!failed);
    failed = pthread_cond_init(wake, &attributes);
    assert(!failed);
    pthread_condattr_destroy(&attributes);
}

void wake_wait(pthread_cond_t *wake, pthread_mutex_t *lock, int64_t wait_ms)
{
    struct timespec until;

    if (wait_ms < 0) {
        pthread_cond_wait(wake, lock);
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += wait_ms / 1000;
    until.tv_nsec += wait_ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(wake, lock, &until);
}

void inbox_init(struct inbox *inbox)
{
    int failed = pthread_mutex_init(&inbox->lock, NULL);

    assert(!failed);
    wake_init(&inbox->wake);
    atomic_init(&inbox->last, NULL);
    atomic_init(&inbox->is_asleep, false);
}

void inbox_done(struct inbox *inbox)
{
    assert(!atomic_load(&inbox->last));
    pthread_cond_destroy(&inbox->wake);
    pthread_mutex_destroy(&inbox->lock);
}

void inbox_put(struct inbox *inbox, struct spool_request *request)
{
    struct spool_request *last = atomic_load_explicit(&inbox->last, memory_order_relaxed);

    do
        request->next = last;
    while (!atomic_compare_exchange_weak(&inbox->last, &last, request));
    if (atomic_load(&inbox->is_asleep) && atomic_exchange(&inbox->is_asleep, false)) {
        /* Whoever says that it sleeps has the lock until it does.  Woken after the lock is let
         * go of, it does not have to wait for it. */
        pthread_mutex_lock(&inbox->lock);
        pthread_mutex_unlock(&inbox->lock);
        pthread_cond_signal(&inbox->wake);
    }
}

static bool take_now(struct inbox *inbox, struct line *line)
{
    struct spool_request *request = atomic_exchange(&inbox->last, NULL), *in_order = NULL;

    if (!request)
        return false;
    while (request) {
        struct spool_request *next = request->next;
        request->next = in_order;
        in_order = request;
        request = next;
    }
    *line->end = in_order;
    while (*line->end)
        line->end = &(*line->end)->next;
    return true;
}

void inbox_take(struct inbox *inbox, int64_t wait_ms, struct line *line)
{
    if (take_now(inbox, line) || wait_ms == 0)
        return;
    pthread_mutex_lock(&inbox->lock);
    atomic_store(&inbox->is_asleep, true);
    /* An early or a late wake-up does no harm: the caller comes again. */
    if (!atomic_load(&inbox->last))
        wake_wait(&inbox->wake, &inbox->lock, wait_ms);
    atomic_store(&inbox->is_asleep, false);
    pthread_mutex_unlock(&inbox->lock);
    take_now(inbox, line);
}

/* --- Lines ------------------------------------------------------------------------------- */

void line_init(struct line *line)
{
    line->first = NULL;
    line->end = &line->first;
}

void requests_add(struct line *line, struct spool_request *request)
{
    request->next = NULL;
    *line->end = request;
    line->end = &request->next;
}

struct spool_request *line_take(struct line *line)
{
    struct spool_request *request = line->first;

    if (!request)
        return NULL;
    line->first = request->next;
    if (!line->first)
        line->end = &line->first;
    request->next = NULL;
    return request;
}

void line_move(struct line *line, struct line *from)
{
    if (line_is_empty(from))
        return;
    *line->end = from->first;
    line->end = from->end;
    line_init(from);
}

void line_move_to_front(struct line *line, struct line *from)
{
    line_move(from, line);
    line_move(line, from);
}
