/* The timers of a loop: a binary heap by the time they are due.  libuv's timer runs for the
 * first of them and is set once a turn, however often ours are moved within it. */
#include "base/mem.h"
#include "os/loop.h"
#include "os/loop_uv.h"

#include <assert.h>
#include <stdlib.h>

/* libuv's clock stops while the machine sleeps and ours does not: look at ours now and then. */
enum { WAIT_MS_MAX = 60000 };

static void put(struct loop *loop, size_t at, struct timer *timer)
{
    loop->timers[at] = timer;
    timer->at = at + 1;
}

static void move_up(struct loop *loop, size_t at, struct timer *timer)
{
    while (at > 0) {
        size_t above = (at - 1) / 2;
        if (loop->timers[above]->due.ms <= timer->due.ms)
            break;
        put(loop, at, loop->timers[above]);
        at = above;
    }
    put(loop, at, timer);
}

static void move_down(struct loop *loop, size_t at, struct timer *timer)
{
    for (;;) {
        size_t below = 2 * at + 1;
        if (below >= loop->timer_count)
            break;
        if (below + 1 < loop->timer_count &&
            loop->timers[below + 1]->due.ms < loop->timers[below]->due.ms)
            below++;
        if (loop->timers[below]->due.ms >= timer->due.ms)
            break;
        put(loop, at, loop->timers[below]);
        at = below;
    }
    put(loop, at, timer);
}

/* TIMER, whose time has changed, may belong above AT or below it. */
static void settle(struct loop *loop, size_t at, struct timer *timer)
{
    move_down(loop, at, timer);
    move_up(loop, timer->at - 1, timer);
}

void timer_init(struct timer *timer, struct loop *loop, void (*on_due)(struct timer *timer))
{
    *timer = (struct timer){ .loop = loop, .on_due = on_due };
}

void timer_start(struct timer *timer, int64_t after_ms)
{
    struct loop *loop = timer->loop;

    timer->due.ms = loop_now(loop).ms + (after_ms > 0 ? after_ms : 0);
    if (timer_is_running(timer)) {
        settle(loop, timer->at - 1, timer);
        return;
    }
    if (loop->timer_count == loop->timer_room) {
        loop->timer_room = loop->timer_room ? 2 * loop->timer_room : 64;
        loop->timers = mem_grow(loop->timers, loop->timer_room * sizeof *loop->timers);
    }
    move_up(loop, loop->timer_count++, timer);
}

void timer_stop(struct timer *timer)
{
    struct loop *loop = timer->loop;
    size_t at = timer->at;
    struct timer *last;

    if (!at)
        return;
    assert(loop->timers[at - 1] == timer);
    timer->at = 0;
    last = loop->timers[--loop->timer_count];
    if (last != timer)
        settle(loop, at - 1, last);
}

/* As many as there were at most: one that starts itself again at once waits for its turn. */
void timers_run(struct loop *loop)
{
    int64_t now = loop_now(loop).ms;

    for (size_t left = loop->timer_count; left && loop->timer_count; left--) {
        struct timer *first = loop->timers[0];
        if (first->due.ms > now)
            break;
        timer_stop(first);
        first->on_due(first);
    }
}

static void on_due(uv_timer_t *uv)
{
    struct loop *loop = uv->data;

    loop->is_armed = false;
    timers_run(loop);
}

void timers_arm(struct loop *loop)
{
    int64_t wait_ms;

    if (loop->timer_count == 0) {
        if (loop->is_armed)
            uv_timer_stop(&loop->timer);
        loop->is_armed = false;
        return;
    }
    if (loop->is_armed && loop->armed.ms == loop->timers[0]->due.ms)
        return;
    loop->armed = loop->timers[0]->due;
    loop->is_armed = true;
    wait_ms = loop->armed.ms - loop_now(loop).ms;
    if (wait_ms < 0)
        wait_ms = 0;
    uv_timer_start(
        &loop->timer, on_due, (uint64_t)(wait_ms < WAIT_MS_MAX ? wait_ms : WAIT_MS_MAX), 0);
}

void timers_done(struct loop *loop)
{
    free(loop->timers);
}
