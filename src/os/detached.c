#include "os/detached.h"

#include <pthread.h>
#include <signal.h>

static void on_post(struct loop_post *post)
{
    struct detached *work = container_of(post, struct detached, post);

    work->done(work);
}

static void *run(void *me)
{
    struct detached *work = me;

    crash_thread_init();
    work->run(work);
    crash_thread_done();
    work->post.run = on_post;
    loop_post(work->loop, &work->post); /* it may be gone from here on */
    return NULL;
}

enum err detached_run(struct loop *loop, struct detached *work)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    pthread_t thread;
    int failed;

    work->loop = loop;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the main thread's */
    failed = pthread_create(&thread, &attributes, run, work);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return failed ? ERR_SYSTEM : OK;
}
