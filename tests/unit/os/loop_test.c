#include "kit.h"

#include "base/mem.h"
#include "os/clock.h"
#include "os/loop.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static struct loop *new_loop(void)
{
    struct loop *loop;

    assert_int_equal(loop_new(&loop), OK);
    return loop;
}

/* --- Posts ------------------------------------------------------------------------------- */

enum { THREADS = 4, POSTS = 20000 };

struct sender {
    pthread_t thread;
    struct receiver *receiver;
    unsigned sent, seen;
};

struct receiver {
    struct loop *loop;
    struct sender senders[THREADS];
    unsigned got;
};

struct numbered {
    struct loop_post post;
    struct sender *sender;
    unsigned number;
};

static void on_numbered(struct loop_post *post)
{
    struct numbered *numbered = container_of(post, struct numbered, post);
    struct sender *sender = numbered->sender;
    struct receiver *receiver = sender->receiver;

    assert_int_equal(numbered->number, sender->seen); /* in the order posted */
    sender->seen++;
    free(numbered);
    if (++receiver->got == THREADS * POSTS)
        loop_stop(receiver->loop);
}

static void *send_all(void *me)
{
    struct sender *sender = me;

    for (; sender->sent < POSTS; sender->sent++) {
        struct numbered *numbered = mem_new(sizeof *numbered);
        numbered->post.run = on_numbered;
        numbered->sender = sender;
        numbered->number = sender->sent;
        loop_post(sender->receiver->loop, &numbered->post);
    }
    return NULL;
}

static void test_posts_from_threads(void **state)
{
    struct receiver receiver = { new_loop() };

    (void)state;
    for (int i = 0; i < THREADS; i++) {
        receiver.senders[i].receiver = &receiver;
        assert_int_equal(
            pthread_create(&receiver.senders[i].thread, NULL, send_all, &receiver.senders[i]),
            0);
    }
    loop_run(receiver.loop);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(receiver.senders[i].thread, NULL);
        assert_int_equal(receiver.senders[i].seen, POSTS);
    }
    loop_free(receiver.loop);
}

/* Two loops in two threads throw one post to and fro: each throw meets a loop that goes to
 * sleep or sleeps already.  A lost wake-up hangs this test. */
struct ball {
    struct loop_post post;
    struct loop *loops[2];
    unsigned throws;
};

static void on_ball(struct loop_post *post)
{
    struct ball *ball = container_of(post, struct ball, post);

    if (++ball->throws == 20000) {
        loop_stop(ball->loops[0]);
        loop_stop(ball->loops[1]);
    } else {
        loop_post(ball->loops[ball->throws & 1], post);
    }
}

static void *run_loop(void *me)
{
    loop_run(me);
    return NULL;
}

static void test_two_loops(void **state)
{
    struct ball ball = { .post.run = on_ball, .loops = { new_loop(), new_loop() } };
    pthread_t threads[2];

    (void)state;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_loop, ball.loops[i]), 0);
    loop_post(ball.loops[0], &ball.post);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        loop_free(ball.loops[i]);
    }
    assert_int_equal(ball.throws, 20000);
}

static void test_stop_before_run(void **state)
{
    struct loop *loop = new_loop();

    (void)state;
    loop_stop(loop);
    loop_run(loop);
    loop_stop(loop); /* and it can run again */
    loop_run(loop);
    loop_free(loop);
}

/* --- Timers ------------------------------------------------------------------------------ */

enum { TIMERS = 500 };

struct alarms {
    struct loop *loop;
    int64_t last_due_ms;
    unsigned due, left;
};

struct alarm {
    struct timer timer;
    struct alarms *alarms;
};

static void on_alarm(struct timer *timer)
{
    struct alarms *alarms = container_of(timer, struct alarm, timer)->alarms;

    assert_false(timer_is_running(timer));
    assert_true(timer->due.ms <= loop_now(timer->loop).ms);
    assert_true(timer->due.ms >= alarms->last_due_ms); /* earlier ones came earlier */
    alarms->last_due_ms = timer->due.ms;
    alarms->due++;
    if (--alarms->left == 0)
        loop_stop(alarms->loop);
}

static void test_timers(void **state)
{
    struct alarms alarms = { new_loop() };
    struct alarm *all = mem_new(TIMERS * sizeof *all);
    unsigned random = 1;

    (void)state;
    for (unsigned i = 0; i < TIMERS; i++) {
        random = random * 1103515245 + 12345;
        timer_init(&all[i].timer, alarms.loop, on_alarm);
        all[i].alarms = &alarms;
        timer_start(&all[i].timer, random >> 16 & 15);
        if (i % 3 == 0)
            timer_start(&all[i].timer, random >> 20 & 15); /* moved */
        if (i % 5 == 0)
            timer_stop(&all[i].timer);
        if (i % 7 == 0)
            timer_stop(&all[i].timer); /* harmless again */
        alarms.left += timer_is_running(&all[i].timer);
    }
    loop_run(alarms.loop);
    assert_true(alarms.due > TIMERS / 2);
    for (unsigned i = 0; i < TIMERS; i++)
        assert_false(timer_is_running(&all[i].timer));
    free(all);
    loop_free(alarms.loop);
}

/* One that starts itself again at once leaves room for others. */
struct busy {
    struct timer timer, other;
    unsigned count;
};

static void on_busy(struct timer *timer)
{
    struct busy *busy = container_of(timer, struct busy, timer);

    busy->count++;
    timer_start(timer, 0);
}

static void on_other(struct timer *timer)
{
    loop_stop(timer->loop);
}

static void test_timer_at_once(void **state)
{
    struct loop *loop = new_loop();
    struct busy busy = { .count = 0 };

    (void)state;
    timer_init(&busy.timer, loop, on_busy);
    timer_init(&busy.other, loop, on_other);
    timer_start(&busy.timer, -5);
    timer_start(&busy.other, 2);
    loop_run(loop);
    assert_true(busy.count > 0);
    timer_stop(&busy.timer);
    loop_free(loop);
}

/* --- Flushes ----------------------------------------------------------------------------- */

struct flusher {
    struct loop_flush flush;
    struct loop *loop;
    unsigned count, want;
    uint64_t turn;
};

static void on_flush(struct loop_flush *flush)
{
    struct flusher *flusher = container_of(flush, struct flusher, flush);

    assert_true(flusher->turn != loop_turns(flusher->loop)); /* once a turn */
    flusher->turn = loop_turns(flusher->loop);
    if (++flusher->count < flusher->want)
        loop_flush_ask(flusher->loop, flush);
    else
        loop_stop(flusher->loop);
}

static void on_start(struct loop_post *post);

struct start {
    struct loop_post post;
    struct flusher *flusher, *cancelled;
};

static void on_start(struct loop_post *post)
{
    struct start *start = container_of(post, struct start, post);

    for (int i = 0; i < 3; i++)
        loop_flush_ask(start->flusher->loop, &start->flusher->flush);
    loop_flush_ask(start->flusher->loop, &start->cancelled->flush);
    loop_flush_cancel(&start->cancelled->flush);
    assert_int_equal(start->flusher->count, 0);
}

static void test_flush(void **state)
{
    struct loop *loop = new_loop();
    struct flusher flusher = { .loop = loop, .want = 5 }, cancelled = { .loop = loop };
    struct start start = { { .run = on_start }, &flusher, &cancelled };

    (void)state;
    loop_flush_init(&flusher.flush, on_flush);
    loop_flush_init(&cancelled.flush, on_flush);
    loop_post(loop, &start.post);
    loop_run(loop);
    assert_int_equal(flusher.count, 5);
    assert_int_equal(cancelled.count, 0);
    loop_free(loop);
}

/* --- What a turn does in which order ------------------------------------------------------ */

struct turn {
    struct loop *loop;
    struct loop_step step;
    struct loop_post post;
    struct loop_flush flush, last, again;
    uint64_t began;
    char did[8];
    unsigned count;
};

static void note(struct turn *turn, char what)
{
    assert_int_equal(turn->began, loop_turns(turn->loop));
    turn->did[turn->count++] = what;
}

static void on_turn_step(struct loop_step *step)
{
    struct turn *turn = container_of(step, struct turn, step);

    turn->began = loop_turns(turn->loop);
    note(turn, 's');
    loop_flush_ask_last(turn->loop, &turn->last);
    loop_post(turn->loop, &turn->post);
}

static void on_turn_post(struct loop_post *post)
{
    struct turn *turn = container_of(post, struct turn, post);

    note(turn, 'p');
    loop_flush_ask(turn->loop, &turn->flush);
}

static void on_turn_flush(struct loop_flush *flush)
{
    note(container_of(flush, struct turn, flush), 'f');
}

/* A flush that the last one asks for still belongs to this turn. */
static void on_turn_last(struct loop_flush *flush)
{
    struct turn *turn = container_of(flush, struct turn, last);

    note(turn, 'l');
    loop_flush_ask(turn->loop, &turn->again);
}

static void on_turn_again(struct loop_flush *flush)
{
    struct turn *turn = container_of(flush, struct turn, again);

    note(turn, 'a');
    loop_stop(turn->loop);
}

static void test_order(void **state)
{
    struct turn turn = { .loop = new_loop(), .post.run = on_turn_post };

    (void)state;
    loop_step_init(&turn.step, on_turn_step);
    loop_flush_init(&turn.flush, on_turn_flush);
    loop_flush_init(&turn.last, on_turn_last);
    loop_flush_init(&turn.again, on_turn_again);
    loop_step_ask(turn.loop, &turn.step);
    loop_run(turn.loop);
    assert_string_equal(turn.did, "spfla");
    loop_free(turn.loop);
}

/* --- Descriptors, signals, work ---------------------------------------------------------- */

struct watcher {
    struct loop *loop;
    struct loop_watch *watch;
    int fd;
    unsigned got;
};

static void on_ready(void *me)
{
    struct watcher *watcher = me;
    char byte;

    assert_int_equal(read(watcher->fd, &byte, 1), 1);
    if (++watcher->got == 3) {
        loop_watch_free(watcher->watch); /* from its own callback */
        loop_stop(watcher->loop);
    }
}

static void test_watch(void **state)
{
    struct watcher watcher = { .loop = new_loop() };
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    watcher.fd = fds[0];
    assert_int_equal(
        loop_watch_new(watcher.loop, fds[0], on_ready, &watcher, &watcher.watch), OK);
    assert_int_equal(write(fds[1], "abc", 3), 3);
    loop_run(watcher.loop);
    assert_int_equal(watcher.got, 3);
    loop_free(watcher.loop);
    close(fds[0]);
    close(fds[1]);
}

static void on_signal(int signum, void *me)
{
    assert_int_equal(signum, SIGUSR1);
    loop_stop(me);
}

static void test_signal(void **state)
{
    struct loop *loop = new_loop();

    (void)state;
    assert_int_equal(loop_signal(loop, SIGUSR1, on_signal, loop), OK);
    raise(SIGUSR1);
    loop_run(loop);
    loop_free(loop);
}

struct sum {
    struct loop_work work;
    pthread_t thread;
    unsigned value;
};

static void on_run(struct loop_work *work)
{
    struct sum *sum = container_of(work, struct sum, work);

    sum->thread = pthread_self();
    sum->value = 42;
}

static void on_done(struct loop_work *work)
{
    struct sum *sum = container_of(work, struct sum, work);

    assert_false(pthread_equal(sum->thread, pthread_self()));
    loop_stop(work->loop);
}

static void test_work(void **state)
{
    struct loop *loop = new_loop();
    struct sum sum = { .work = { .run = on_run, .done = on_done } };

    (void)state;
    loop_work(loop, &sum.work);
    loop_run(loop);
    assert_int_equal(sum.value, 42);
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_posts_from_threads),
        cmocka_unit_test(test_two_loops),
        cmocka_unit_test(test_stop_before_run),
        cmocka_unit_test(test_timers),
        cmocka_unit_test(test_timer_at_once),
        cmocka_unit_test(test_flush),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_watch),
        cmocka_unit_test(test_signal),
        cmocka_unit_test(test_work),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
