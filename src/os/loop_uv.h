/* The inside of a loop, for the files of os/ that work with libuv themselves.
 *
 * A turn: libuv waits and hands out what is ready; posts are run; due timers are run; posts
 * again; steps; flushes; then the next wait, which is none at all when something is left to
 * do. */
#ifndef OS_LOOP_UV_H
#define OS_LOOP_UV_H

#include "os/loop.h"

#include <stdatomic.h>
#include <uv.h>

/* The clocks, read anew only when libuv's own time has moved. */
struct loop_time {
    uv_loop_t *uv;
    bool is_running; /* else libuv's time stands still, and is moved by asking */
    uint64_t seen;   /* libuv's time when they were read */
    struct moment moment;
    struct wall wall;
};

struct loop {
    uv_loop_t uv;
    uv_prepare_t before_wait;
    uv_check_t after_wait;
    uv_idle_t no_wait; /* active: the next wait takes no time */
    uv_async_t wake;
    uv_timer_t timer; /* runs for the first of `timers` */
    struct loop_time *time;

    _Atomic(struct loop_post *) posts; /* the last one first */
    atomic_bool is_asleep;             /* whoever posts must wake it */
    atomic_bool must_stop;

    struct timer **timers; /* a heap by `due` */
    size_t timer_count, timer_room;
    struct moment armed; /* what `timer` runs for */
    bool is_armed;

    struct list steps;
    struct list flushes, flushes_later, flushes_last;
    uint64_t turn;

    struct list signals;      /* struct loop_signal */
    struct list background;   /* struct loop_background */
    struct loop_conns *conns; /* what its connections share: conn_memory.c */
};

/* What lives on by itself when its owner has let go of it: ended when the loop is freed. */
struct loop_background {
    struct list node;
    void (*end)(struct loop_background *background); /* takes itself out of the list */
};

/* Called first by what libuv calls: posts from here on need not wake the loop. */
static inline void loop_awake(struct loop *loop)
{
    if (atomic_load_explicit(&loop->is_asleep, memory_order_relaxed))
        atomic_store(&loop->is_asleep, false);
}

/* timer.c */
void timers_run(struct loop *loop); /* those due */
void timers_arm(struct loop *loop); /* libuv's timer for the first one */
void timers_done(struct loop *loop);

/* watch.c */
void signals_done(struct loop *loop);

/* conn_memory.c */
void conns_new(struct loop *loop);
void conns_free(struct loop *loop);

#endif
