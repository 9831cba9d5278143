#include "os/workers.h"

#include "base/mem.h"

#include <pthread.h>
#include <stdlib.h>

struct workers {
    pthread_mutex_t lock; /* around all that follows */
    pthread_cond_t change;
    struct list waiting;
    unsigned waiting_count, waiting_max;
    bool is_ending;
    pthread_t *threads;
    unsigned thread_count;
};

static void on_post(struct loop_post *post)
{
    struct worker_job *job = container_of(post, struct worker_job, post);

    job->done(job);
}

static struct worker_job *take(struct workers *workers)
{
    struct list *node;

    while (!workers->is_ending && list_is_empty(&workers->waiting))
        pthread_cond_wait(&workers->change, &workers->lock);
    if (workers->is_ending)
        return NULL;
    node = list_first(&workers->waiting);
    list_remove(node);
    workers->waiting_count--;
    return container_of(node, struct worker_job, in_waiting);
}

static void *work(void *me)
{
    struct workers *workers = me;
    struct worker_job *job;

    pthread_mutex_lock(&workers->lock);
    while ((job = take(workers))) {
        pthread_mutex_unlock(&workers->lock);
        job->run(job);
        job->post.run = on_post;
        loop_post(job->loop, &job->post);
        pthread_mutex_lock(&workers->lock);
    }
    pthread_mutex_unlock(&workers->lock);
    return NULL;
}

enum err workers_new(unsigned count, unsigned waiting_max, struct workers **out)
{
    struct workers *workers = mem_new(sizeof *workers);

    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->change, NULL);
    list_init(&workers->waiting);
    workers->waiting_max = waiting_max;
    workers->threads = mem_new(count * sizeof *workers->threads);
    while (workers->thread_count < count) {
        if (pthread_create(&workers->threads[workers->thread_count], NULL, work, workers)) {
            workers_free(workers);
            return ERR_SYSTEM;
        }
        workers->thread_count++;
    }
    *out = workers;
    return OK;
}

bool workers_run(struct workers *workers, struct loop *loop, struct worker_job *job)
{
    bool has_room;

    job->loop = loop;
    list_init(&job->in_waiting);
    pthread_mutex_lock(&workers->lock);
    has_room = workers->waiting_count < workers->waiting_max;
    if (has_room) {
        list_add_last(&workers->waiting, &job->in_waiting);
        workers->waiting_count++;
        pthread_cond_signal(&workers->change);
    }
    pthread_mutex_unlock(&workers->lock);
    return has_room;
}

void workers_free(struct workers *workers)
{
    if (!workers)
        return;
    pthread_mutex_lock(&workers->lock);
    workers->is_ending = true;
    pthread_cond_broadcast(&workers->change);
    pthread_mutex_unlock(&workers->lock);
    for (unsigned i = 0; i < workers->thread_count; i++)
        pthread_join(workers->threads[i], NULL);
    pthread_cond_destroy(&workers->change);
    pthread_mutex_destroy(&workers->lock);
    free(workers->threads);
    free(workers);
}
