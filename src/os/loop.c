/* Posts and sleep.  A poster adds its post, then looks whether the loop sleeps.  The loop says
 * that it sleeps, then looks whether there are posts.  All four are sequentially consistent, so
 * at least one of the two sees the other: no post is left behind while the loop sleeps, and a
 * loop that is at work is not woken. */
#include "os/loop.h"

#include "base/mem.h"
#include "os/clock.h"
#include "os/errno.h"
#include "os/loop_uv.h"

#include <assert.h>
#include <stdlib.h>

/* --- Posts ------------------------------------------------------------------------------- */

void loop_post(struct loop *loop, struct loop_post *post)
{
    struct loop_post *last = atomic_load_explicit(&loop->posts, memory_order_relaxed);

    do
        post->next = last;
    while (!atomic_compare_exchange_weak(&loop->posts, &last, post));
    if (atomic_load(&loop->is_asleep) && atomic_exchange(&loop->is_asleep, false))
        uv_async_send(&loop->wake);
}

static bool has_posts(struct loop *loop)
{
    return atomic_load(&loop->posts) != NULL;
}

/* Those posted until now; what they post in turn waits for the next call. */
static void run_posts(struct loop *loop)
{
    struct loop_post *post, *in_order = NULL;

    if (!has_posts(loop))
        return;
    post = atomic_exchange(&loop->posts, NULL);
    while (post) {
        struct loop_post *next = post->next;
        post->next = in_order;
        in_order = post;
        post = next;
    }
    while (in_order) {
        post = in_order;
        in_order = post->next;
        post->run(post);
    }
}

/* --- Flushes ----------------------------------------------------------------------------- */

void loop_flush_init(struct loop_flush *flush, void (*on_flush)(struct loop_flush *flush))
{
    list_init(&flush->node);
    flush->turn = 0;
    flush->on_flush = on_flush;
}

void loop_flush_ask(struct loop *loop, struct loop_flush *flush)
{
    if (list_is_linked(&flush->node))
        return;
    list_add_last(
        flush->turn == loop->turn ? &loop->flushes_later : &loop->flushes, &flush->node);
}

void loop_flush_cancel(struct loop_flush *flush)
{
    list_remove(&flush->node);
}

void loop_flush_ask_last(struct loop *loop, struct loop_flush *flush)
{
    if (list_is_linked(&flush->node))
        return;
    list_add_last(
        flush->turn == loop->turn ? &loop->flushes_later : &loop->flushes_last, &flush->node);
}

static struct list *next_flush(struct loop *loop)
{
    struct list *node = list_first(&loop->flushes);

    return node ? node : list_first(&loop->flushes_last);
}

/* Ends, because each runs once at most. */
static void run_flushes(struct loop *loop)
{
    struct list *node;

    while ((node = next_flush(loop))) {
        struct loop_flush *flush = container_of(node, struct loop_flush, node);
        list_remove(node);
        flush->turn = loop->turn;
        flush->on_flush(flush);
    }
    loop->turn++;
    while ((node = list_first(&loop->flushes_later))) {
        list_remove(node);
        list_add_last(&loop->flushes, node);
    }
}

/* --- Steps ------------------------------------------------------------------------------- */

void loop_step_init(struct loop_step *step, void (*on_step)(struct loop_step *step))
{
    list_init(&step->node);
    step->on_step = on_step;
}

void loop_step_ask(struct loop *loop, struct loop_step *step)
{
    if (!list_is_linked(&step->node))
        list_add_last(&loop->steps, &step->node);
}

void loop_step_cancel(struct loop_step *step)
{
    list_remove(&step->node);
}

/* Those asked for until now; what they ask for in turn waits for the next turn. */
static void run_steps(struct loop *loop)
{
    struct list mark, *node;

    list_add_last(&loop->steps, &mark);
    while ((node = list_first(&loop->steps)) != &mark) {
        struct loop_step *step = container_of(node, struct loop_step, node);
        list_remove(node);
        step->on_step(step);
    }
    list_remove(&mark);
}

/* --- A turn ------------------------------------------------------------------------------ */

static struct loop *loop_of(const void *handle)
{
    return ((const uv_handle_t *)handle)->data;
}

/* It only shortens the wait. */
static void on_idle(uv_idle_t *idle)
{
    (void)idle;
}

/* Says that the loop sleeps unless there is something left to do. */
static void prepare_wait(struct loop *loop)
{
    bool is_done = !next_flush(loop) && list_is_empty(&loop->steps);

    if (is_done) {
        atomic_store(&loop->is_asleep, true);
        is_done = !has_posts(loop);
    }
    if (is_done) {
        uv_idle_stop(&loop->no_wait);
    } else {
        atomic_store(&loop->is_asleep, false);
        uv_idle_start(&loop->no_wait, on_idle);
    }
}

static void on_before_wait(uv_prepare_t *prepare)
{
    struct loop *loop = loop_of(prepare);

    run_posts(loop);
    run_steps(loop);
    run_posts(loop); /* a step's answer goes out in the same turn */
    run_flushes(loop);
    timers_arm(loop);
    prepare_wait(loop);
    if (atomic_exchange(&loop->must_stop, false))
        uv_stop(&loop->uv);
}

static void on_after_wait(uv_check_t *check)
{
    struct loop *loop = loop_of(check);

    loop_awake(loop);
    run_posts(loop);
}

/* Being awake is all: the posts are run in on_after_wait(). */
static void on_wake(uv_async_t *wake)
{
    loop_awake(loop_of(wake));
}

void loop_run(struct loop *loop)
{
    loop->time->is_running = true;
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    loop->time->is_running = false;
    run_flushes(loop); /* what the last step wrote goes out too */
}

void loop_stop(struct loop *loop)
{
    atomic_store(&loop->must_stop, true);
    uv_async_send(&loop->wake);
}

/* --- Time -------------------------------------------------------------------------------- */

static const struct loop_time *time_of_turn(const struct loop *loop)
{
    struct loop_time *time = loop->time;

    if (!time->is_running)
        uv_update_time(time->uv);
    if (time->seen != uv_now(time->uv)) {
        time->seen = uv_now(time->uv);
        time->moment = clock_moment();
        time->wall = clock_wall();
    }
    return time;
}

struct moment loop_now(const struct loop *loop)
{
    return time_of_turn(loop)->moment;
}

struct wall loop_wall(const struct loop *loop)
{
    return time_of_turn(loop)->wall;
}

uint64_t loop_turns(const struct loop *loop)
{
    return loop->turn;
}

/* --- Making and freeing ------------------------------------------------------------------ */

static void init_handles(struct loop *loop)
{
    uv_prepare_init(&loop->uv, &loop->before_wait);
    uv_check_init(&loop->uv, &loop->after_wait);
    uv_idle_init(&loop->uv, &loop->no_wait);
    uv_timer_init(&loop->uv, &loop->timer);
    loop->before_wait.data = loop->after_wait.data = loop->no_wait.data = loop->timer.data =
        loop;
    uv_prepare_start(&loop->before_wait, on_before_wait);
    uv_check_start(&loop->after_wait, on_after_wait);
}

enum err loop_new(struct loop **out)
{
    struct loop *loop = mem_new(sizeof *loop);
    int failed = uv_loop_init(&loop->uv);

    if (failed)
        goto fail;
    loop->uv.data = loop;
    failed = uv_async_init(&loop->uv, &loop->wake, on_wake);
    if (failed)
        goto fail_loop;
    loop->wake.data = loop;
    loop->time = mem_new(sizeof *loop->time);
    loop->time->uv = &loop->uv;
    loop->time->seen = UINT64_MAX;
    loop->turn = 1; /* a flush that never ran has 0 */
    list_init(&loop->steps);
    list_init(&loop->flushes);
    list_init(&loop->flushes_later);
    list_init(&loop->flushes_last);
    list_init(&loop->signals);
    list_init(&loop->background);
    init_handles(loop);
    conns_new(loop);
    *out = loop;
    return OK;

fail_loop:
    uv_loop_close(&loop->uv);
fail:
    free(loop);
    return err_of_errno(-failed);
}

static void end_background(struct loop *loop)
{
    struct list *node;

    while ((node = list_first(&loop->background))) {
        struct loop_background *background = container_of(node, struct loop_background, node);
        background->end(background);
    }
}

void loop_free(struct loop *loop)
{
    int failed;

    if (!loop)
        return;
    end_background(loop);
    signals_done(loop);
    uv_close((uv_handle_t *)&loop->before_wait, NULL);
    uv_close((uv_handle_t *)&loop->after_wait, NULL);
    uv_close((uv_handle_t *)&loop->no_wait, NULL);
    uv_close((uv_handle_t *)&loop->timer, NULL);
    uv_close((uv_handle_t *)&loop->wake, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT); /* until all that is closing is closed */
    failed = uv_loop_close(&loop->uv);
    assert(!failed); /* else something was still open on it */
    timers_done(loop);
    conns_free(loop);
    free(loop->time);
    free(loop);
}
