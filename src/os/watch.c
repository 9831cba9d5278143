/* What else a loop waits for: descriptors, signals, and work on the threads of libuv's pool. */
#include "base/mem.h"
#include "os/errno.h"
#include "os/loop.h"
#include "os/loop_uv.h"

#include <assert.h>
#include <stdlib.h>

/* --- Descriptors ------------------------------------------------------------------------- */

struct loop_watch {
    uv_poll_t poll;
    void (*on_ready)(void *me);
    void *me;
};

/* An error is for the owner to find, when it reads: ready it is, either way.  libuv has stopped
 * then, and is started again, so that an owner who leaves it be hears of it again. */
static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct loop_watch *watch = container_of(poll, struct loop_watch, poll);
    void (*on_ready)(void *me) = watch->on_ready;

    (void)events;
    loop_awake(poll->loop->data);
    if (status < 0)
        uv_poll_start(poll, UV_READABLE, on_poll);
    on_ready(watch->me);
}

static void on_watch_closed(uv_handle_t *handle)
{
    free(container_of((uv_poll_t *)handle, struct loop_watch, poll));
}

enum err loop_watch_new(
    struct loop *loop, int fd, void (*on_ready)(void *me), void *me, struct loop_watch **out)
{
    struct loop_watch *watch = mem_new(sizeof *watch);
    int failed = uv_poll_init(&loop->uv, &watch->poll, fd);

    if (failed) {
        free(watch);
        return err_of_errno(-failed);
    }
    watch->on_ready = on_ready;
    watch->me = me;
    failed = uv_poll_start(&watch->poll, UV_READABLE, on_poll);
    if (failed) {
        loop_watch_free(watch);
        return err_of_errno(-failed);
    }
    *out = watch;
    return OK;
}

void loop_watch_free(struct loop_watch *watch)
{
    if (watch)
        uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
}

/* --- Signals ----------------------------------------------------------------------------- */

struct loop_signal {
    uv_signal_t uv;
    struct list node;
    void (*on_signal)(int signum, void *me);
    void *me;
};

static void on_uv_signal(uv_signal_t *uv, int signum)
{
    struct loop_signal *signal = container_of(uv, struct loop_signal, uv);

    loop_awake(uv->loop->data);
    signal->on_signal(signum, signal->me);
}

static void on_signal_closed(uv_handle_t *handle)
{
    free(container_of((uv_signal_t *)handle, struct loop_signal, uv));
}

enum err loop_signal(
    struct loop *loop, int signum, void (*on_signal)(int signum, void *me), void *me)
{
    struct loop_signal *signal = mem_new(sizeof *signal);
    int failed = uv_signal_init(&loop->uv, &signal->uv);

    if (failed) {
        free(signal);
        return err_of_errno(-failed);
    }
    signal->on_signal = on_signal;
    signal->me = me;
    failed = uv_signal_start(&signal->uv, on_uv_signal, signum);
    if (failed) {
        uv_close((uv_handle_t *)&signal->uv, on_signal_closed);
        return err_of_errno(-failed);
    }
    list_add_last(&loop->signals, &signal->node);
    return OK;
}

void signals_done(struct loop *loop)
{
    list_each (node, &loop->signals) {
        struct loop_signal *signal = container_of(node, struct loop_signal, node);
        list_remove(node);
        uv_close((uv_handle_t *)&signal->uv, on_signal_closed);
    }
}

/* --- Work -------------------------------------------------------------------------------- */

static void on_work(uv_work_t *uv)
{
    struct loop_work *work = uv->data;

    crash_thread_init(); /* nothing is done the second time; the thread lasts as long as we do */
    crash_work = work->crash;
    work->run(work);
    crash_work = CRASH_NOTHING;
}

static void on_work_done(uv_work_t *uv, int status)
{
    struct loop_work *work = uv->data;

    assert(status == 0); /* nobody cancels */
    loop_awake(work->loop);
    free(uv);
    work->request = NULL;
    crash_work = work->crash;
    work->done(work);
    crash_work = CRASH_NOTHING;
}

void loop_work(struct loop *loop, struct loop_work *work)
{
    uv_work_t *uv = mem_new(sizeof *uv);
    int failed;

    work->loop = loop;
    work->crash = crash_work;
    work->request = uv;
    uv->data = work;
    failed = uv_queue_work(&loop->uv, uv, on_work, on_work_done);
    assert(!failed); /* it fails without a function to run alone */
}
