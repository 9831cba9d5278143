/* Loops on threads of their own that log more than the rings can hold, and what a crash leaves. */
#include "folder.h"
#include "kit.h"

#include "os/crash.h"
#include "os/file.h"
#include "os/loop.h"
#include "report/report.h"
#include "report/writer.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOOPS = 3, LINES = 20000, LOG_BYTES_MAX = 64 << 20 };

static void init(const char *name)
{
    struct report_settings settings = { .target = 1, .log_file = path_of(name) };
    char why[256];

    assert_int_equal(report_init(&settings, why), OK);
}

/* --- Many lines -------------------------------------------------------------------------- */

/* One loop of those that log at the same time. */
struct talker {
    pthread_t thread;
    struct timer timer;
    struct loop *loop;
    int number, said;
};

/* A turn says more than the one before; the last ones more than there is room for. */
static void on_timer(struct timer *timer)
{
    struct talker *talker = container_of(timer, struct talker, timer);

    for (int n = talker->said + 1; n-- > 0 && talker->said < LINES; talker->said++)
        report(REPORT_HOP_UP, R_NUMBER("loop", talker->number), R_NUMBER("n", talker->said));
    if (talker->said < LINES)
        timer_start(timer, 0);
    else
        loop_stop(talker->loop);
}

static void *talk(void *me)
{
    struct talker *talker = me;

    report_thread_init(talker->loop);
    timer_init(&talker->timer, talker->loop, on_timer);
    timer_start(&talker->timer, 0);
    loop_run(talker->loop);
    report_thread_done();
    return NULL;
}

/* Each loop's lines are all there, in their order. */
static void check_lines(const char *name)
{
    int next[LOOPS] = { 0 }, loop, n;
    char line[300];
    FILE *file = fopen(path_of(name), "r");

    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        const char *at = strstr(line, "loop=");
        assert_non_null(at);
        assert_int_equal(sscanf(at, "loop=%d n=%d", &loop, &n), 2);
        assert_in_range(loop, 0, LOOPS - 1);
        assert_int_equal(n, next[loop]++);
    }
    fclose(file);
    for (int i = 0; i < LOOPS; i++)
        assert_int_equal(next[i], LINES);
}

static void test_nothing_is_lost_or_out_of_order(void **state)
{
    struct talker talkers[LOOPS] = { { 0 } };

    (void)state;
    init("many");
    for (int i = 0; i < LOOPS; i++) {
        talkers[i].number = i;
        assert_int_equal(loop_new(&talkers[i].loop), OK);
        assert_int_equal(pthread_create(&talkers[i].thread, NULL, talk, &talkers[i]), 0);
    }
    for (int i = 0; i < LOOPS; i++) {
        pthread_join(talkers[i].thread, NULL);
        loop_free(talkers[i].loop);
    }
    check_lines("many");
    report_done();
}

static void hand_over(struct lane *lane, const char *line)
{
    memcpy(ring_room(&lane->ring[LOG], 10), line, strlen(line));
    ring_wrote(&lane->ring[LOG], strlen(line));
    writer_hand_over(lane);
}

static void test_order_of_handing_over(void **state)
{
    struct lane one, two;
    struct buf text;

    (void)state;
    init("order");
    buf_init(&text, LOG_BYTES_MAX);
    writer_add(&one);
    writer_add(&two);
    hand_over(&two, "a\n");
    hand_over(&one, "b\n");
    hand_over(&one, "c\n");
    hand_over(&two, "d\n");
    writer_write(LOG, BYTES("e\n"));
    hand_over(&one, "f\n");
    assert_true(writer_remove(&one));
    hand_over(&two, "g\n");
    assert_true(writer_remove(&two));
    assert_int_equal(file_read_all(path_of("order"), LOG_BYTES_MAX, &text), OK);
    check_bytes("order", buf_bytes(&text), BYTES("a\nb\nc\nd\ne\nf\ng\n"));
    buf_done(&text);
    report_done();
}

/* What is handed over comes into the file by itself. */
static void test_soon(void **state)
{
    struct buf text;
    struct loop *loop;

    (void)state;
    init("soon");
    buf_init(&text, LOG_BYTES_MAX);
    assert_int_equal(loop_new(&loop), OK);
    report_thread_init(loop);
    for (int i = 1; i <= 3; i++) {
        size_t before = text.n;
        report(REPORT_HOP_UP, R_NUMBER("n", i));
        loop_stop(loop);
        loop_run(loop);            /* one turn */
        while (text.n == before) { /* the test's time is up if it never comes */
            buf_clear(&text);
            assert_int_equal(file_read_all(path_of("soon"), LOG_BYTES_MAX, &text), OK);
        }
    }
    report_thread_done();
    report_done();
    buf_done(&text);
    loop_free(loop);
}

/* --- A disk that hangs ------------------------------------------------------------------- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t change;
    bool hangs, is_waited;
} disk = { .lock = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER };

/* In place of the C library's: all writes of the program come here. */
ssize_t write(int fd, const void *bytes, size_t n)
{
    pthread_mutex_lock(&disk.lock);
    while (disk.hangs) {
        disk.is_waited = true;
        pthread_cond_broadcast(&disk.change);
        pthread_cond_wait(&disk.change, &disk.lock);
    }
    pthread_mutex_unlock(&disk.lock);
    return syscall(SYS_write, fd, bytes, n);
}

static void let_disk_hang(bool hangs)
{
    pthread_mutex_lock(&disk.lock);
    disk.hangs = hangs;
    disk.is_waited = false;
    pthread_cond_broadcast(&disk.change);
    pthread_mutex_unlock(&disk.lock);
}

static void wait_for_victim(void)
{
    pthread_mutex_lock(&disk.lock);
    while (!disk.is_waited)
        pthread_cond_wait(&disk.change, &disk.lock);
    pthread_mutex_unlock(&disk.lock);
}

/* --- Who waits --------------------------------------------------------------------------- */

static _Thread_local struct {
    unsigned count;
    bool is_late; /* the time is up in the moment when it is there */
} waits;

/* In place of the C library's: waits of a thread are counted. */
int pthread_cond_clockwait(pthread_cond_t *change, pthread_mutex_t *lock, clockid_t clock,
    const struct timespec *until)
{
    int (*real)(pthread_cond_t *, pthread_mutex_t *, clockid_t, const struct timespec *);

    waits.count++;
    if (waits.is_late) {
        pthread_cond_wait(change, lock);
        return ETIMEDOUT;
    }
    *(void **)&real = dlsym(RTLD_NEXT, "pthread_cond_clockwait");
    return real(change, lock, clock, until);
}

/* A stranger's connection must not hold up the loop that takes all the others. */
static void test_others_hold_up_no_loop(void **state)
{
    static const enum report_event of_others[] = { REPORT_NO_CONNECTOR, REPORT_LOGIN_FAILED,
        REPORT_LOGIN_SPREAD, REPORT_STORE_FAILED, REPORT_HOP_DOWN, REPORT_HOST_DOWN,
        REPORT_HOST_SLOW, REPORT_LINK_REFUSED, REPORT_LINK_FAULT };
    struct loop *loop;

    (void)state;
    init("others");
    assert_int_equal(loop_new(&loop), OK);
    report_thread_init(loop);
    let_disk_hang(true);
    waits.count = 0;
    for (size_t i = 0; i < CASES(of_others); i++) {
        report(of_others[i], R_CHARS("text", "x"));
        check(report_event_name(of_others[i]), waits.count == 0);
    }
    wait_for_victim(); /* the lines are his, though the turn is not over */
    let_disk_hang(false);
    while (!report_sync())
        ; /* the test's time is up if it never comes */
    waits.count = 0;
    report(REPORT_SPOOL_FULL);
    check("what is our own is waited for", waits.count > 0);
    report_thread_done();
    report_done();
    loop_free(loop);
}

/* Else warnings would not wait for their lines, until the next round. */
static void test_in_the_last_moment(void **state)
{
    struct loop *loop;

    (void)state;
    init("late");
    assert_int_equal(loop_new(&loop), OK);
    report_thread_init(loop);
    assert_true(report_sync()); /* the writer sleeps now */
    waits.is_late = true;
    check("written, if late", report_sync());
    waits.is_late = false;
    check("nobody is stuck", report_sync());
    report_thread_done();
    report_done();
    loop_free(loop);
}

/* --- All that hangs ---------------------------------------------------------------------- */

/* Who logs goes on, a warning too; so do reload and the end.  What there is no room for is counted. */
static void test_a_disk_that_hangs(void **state)
{
    struct report_settings settings = { .target = 1 };
    struct loop *loop;
    struct buf text;
    unsigned long lost = 0, kept = 0;
    const char *told;
    char why[256];

    (void)state;
    init("hangs");
    assert_int_equal(loop_new(&loop), OK);
    report_thread_init(loop);
    let_disk_hang(true);
    report_notice(REPORT_WARNING, "the first one waits for its time");
    wait_for_victim();
    for (int i = 0; i < LINES; i++)
        report(REPORT_HOP_UP, R_NUMBER("n", i));
    report_notice(REPORT_WARNING, "the second one does not wait");
    assert_false(report_sync());
    settings.log_file = path_of("folder/other");
    assert_int_equal(report_init(&settings, why), ERR_IO);
    check_bytes("why", bytes_text(why), BYTES("the disk of the logs hangs"));
    check("nothing of that disk was touched", access(path_of("folder"), F_OK) != 0);

    let_disk_hang(false);
    while (!report_sync())
        ; /* the test's time is up if it never comes */
    assert_true(report_sync());
    assert_int_equal(report_init(&settings, why), OK);
    check("and with its folder", access(path_of("folder/other"), F_OK) == 0);
    assert_int_equal(file_remove(path_of("folder/other")), OK);
    assert_int_equal(rmdir(path_of("folder")), 0);
    buf_init(&text, LOG_BYTES_MAX);
    assert_int_equal(file_read_all(path_of("hangs"), LOG_BYTES_MAX, &text), OK);
    assert_int_equal(buf_add(&text, BYTES("\0")), OK);
    for (const char *at = (char *)text.at; (at = strstr(at, "hop_up")); at++)
        kept++;
    told = strstr((char *)text.at, " lines of the log could not be written");
    assert_non_null(told);
    while (told[-1] != '"')
        told--;
    lost = strtoul(told, NULL, 10);
    check("some were kept", kept > 100);
    check("each is there or counted", kept + lost == LINES + 1); /* with the second warning */
    buf_done(&text);
    report_thread_done();
    report_done();
    loop_free(loop);
}

/* --- A crash ----------------------------------------------------------------------------- */

static unsigned deeper(unsigned times)
{
    volatile char room[4096];

    room[times % sizeof room] = 1;
    return times ? deeper(times - 1) + (unsigned char)room[times % sizeof room] : 0;
}

/* Nothing is left for the handler's own frame, but a stack of its own. */
static void use_up_stack(void)
{
    crash_thread_init();
    if (deeper(UINT_MAX))
        _exit(3);
}

static void crash(const char *name, void (*die)(void))
{
    struct loop *loop;

    init(name);
    signal(SIGSEGV, SIG_DFL); /* cmocka has a handler of its own */
    if (loop_new(&loop) != OK)
        _exit(1);
    report_thread_init(loop);
    report_watch_crashes();
    report(REPORT_HOP_UP, R_CHARS("queue", "last words"));
    die();
    _exit(2);
}

static void check_crash(const char *name, void (*die)(void), int signum)
{
    struct buf text;
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0)
        crash(name, die);
    assert_int_equal(waitpid(child, &status, 0), child);
    check(name, WIFSIGNALED(status) && WTERMSIG(status) == signum);
    buf_init(&text, LOG_BYTES_MAX);
    assert_int_equal(file_read_all(path_of(name), LOG_BYTES_MAX, &text), OK);
    check(name, memmem(text.at, text.n, "last words", 10));
    buf_done(&text);
}

static void test_crash(void **state)
{
    (void)state;
    check_crash("abort", abort, SIGABRT);
    check_crash("stack", use_up_stack, SIGSEGV);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crash), /* while there is one thread */
        cmocka_unit_test(test_nothing_is_lost_or_out_of_order),
        cmocka_unit_test(test_order_of_handing_over),
        cmocka_unit_test(test_soon),
        cmocka_unit_test(test_others_hold_up_no_loop),
        cmocka_unit_test(test_in_the_last_moment),
        cmocka_unit_test(test_a_disk_that_hangs),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
