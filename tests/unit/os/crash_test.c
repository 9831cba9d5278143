/* What a process that crashes leaves: children of the test do. */
#include "kit.h"

#include "os/crash.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct mid mid = { { 1, 2, 3, 15, 255 } }, other = { { 9 } };
static char file[300];

static void by_abort(void)
{
    crash_begin(mid, "deliver");
    abort();
}

static void by_a_signal_of_its_own(void)
{
    crash_begin(mid, "route");
    raise(SIGSEGV);
}

static void by_the_kernel(void)
{
    crash_begin(mid, "settle");
    kill(getpid(), SIGBUS);
}

static void of_another(void)
{
    crash_begin(mid, "deliver");
    for (;;)
        pause();
}

static void with_nothing_in_work(void)
{
    struct crash_work before = crash_begin(mid, "deliver");

    crash_end(before);
    abort();
}

static void inside_another(void)
{
    crash_begin(other, "deliver");
    crash_end(crash_begin(mid, "settle"));
    abort();
}

static void *in_thread(void *me)
{
    (void)me;
    crash_begin(mid, "a word that is much too long for the room there is");
    abort();
}

static void by_a_thread(void)
{
    pthread_t thread;

    crash_begin(other, "deliver"); /* not what the other thread does */
    if (pthread_create(&thread, NULL, in_thread, NULL) == 0)
        pthread_join(thread, NULL);
}

static void not_at_all(void)
{
    crash_begin(mid, "deliver");
    _exit(0);
}

/* Runs CHILD; returns by which signal it ended, 0: by none. */
static int run(void (*child)(void), int kills)
{
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (pid == 0) {
        struct rlimit none = { 0, 0 };
        static const int taken[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
        setrlimit(RLIMIT_CORE, &none);
        for (size_t i = 0; i < CASES(taken); i++)
            signal(taken[i], SIG_DFL); /* cmocka has handlers of its own */
        if (crash_watch(file) != OK)
            _exit(99);
        if (kills) /* by its parent, once it is there */
            kill(getpid(), SIGSTOP);
        child();
        _exit(98);
    }
    if (kills) {
        assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
        kill(pid, kills);
        kill(pid, SIGCONT);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void a_crash_is_left_behind(void **state)
{
    static const struct {
        const char *name;
        void (*child)(void);
        int kills, ends;
        bool is_noted;
        const char *doing; /* NULL: no message is blamed */
        const struct mid *mid;
    } cases[] = {
        { "abort", by_abort, 0, SIGABRT, true, "deliver", &mid },
        { "raise", by_a_signal_of_its_own, 0, SIGSEGV, true, "route", &mid },
        { "kill by itself", by_the_kernel, 0, SIGBUS, true, "settle", &mid },
        { "killed", of_another, SIGKILL, SIGKILL, false, NULL, NULL },
        { "a signal from outside", of_another, SIGABRT, SIGABRT, true, NULL, NULL },
        { "nothing in work", with_nothing_in_work, 0, SIGABRT, true, NULL, NULL },
        { "back to the outer one", inside_another, 0, SIGABRT, true, "deliver", &other },
        { "a thread", by_a_thread, 0, SIGABRT, true, "a word that is much too long fo", &mid },
        { "in peace", not_at_all, 0, 0, false, NULL, NULL },
    };
    char folder[] = "/tmp/relais-crash-XXXXXX";

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/crash", folder);
    for (size_t i = 0; i < CASES(cases); i++) {
        struct crash_report report;
        int ended = run(cases[i].child, cases[i].kills);
        enum err err = crash_read(file, &report);
        check(cases[i].name, ended == cases[i].ends);
        check(cases[i].name, err == (cases[i].is_noted ? OK : ERR_NONE));
        if (!cases[i].is_noted)
            continue;
        check(cases[i].name, report.signum == cases[i].ends && report.when.ms > 0);
        check(cases[i].name, report.has_message == (cases[i].doing != NULL));
        if (!cases[i].doing)
            continue;
        check_bytes(cases[i].name, bytes_text(report.doing), bytes_text(cases[i].doing));
        check(cases[i].name, mid_equal(report.mid, *cases[i].mid));
    }
    unlink(file);
    rmdir(folder);
}

static void what_is_no_page_says_nothing(void **state)
{
    char folder[] = "/tmp/relais-crash-XXXXXX";
    struct crash_report report;
    uint8_t page[4096];
    ssize_t n;
    int fd;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/crash", folder);
    assert_int_equal(crash_read(file, &report), ERR_NONE); /* the first start */
    assert_int_equal(run(by_abort, 0), SIGABRT);
    assert_int_equal(crash_read(file, &report), OK);
    fd = open(file, O_RDWR);
    n = pread(fd, page, sizeof page, 0);
    assert_int_equal(n, sizeof page);
    for (size_t cut = 0; cut < 128; cut += 8) { /* a word of it at a time is not what it was */
        uint8_t zeros[8] = { 0 };
        enum err err;
        if (memcmp(page + cut, zeros, 8) == 0)
            continue;
        assert_int_equal(pwrite(fd, zeros, 8, (off_t)cut), 8);
        err = crash_read(file, &report);
        check("a word is missing", err == OK || err == ERR_NONE);
        assert_int_equal(pwrite(fd, page + cut, 8, (off_t)cut), 8);
    }
    assert_int_equal(ftruncate(fd, 10), 0);
    assert_int_equal(crash_read(file, &report), ERR_NONE);
    close(fd);
    unlink(file);
    rmdir(folder);
}

static void signals_have_names(void **state)
{
    char text[20];

    (void)state;
    assert_string_equal(crash_signal_name(SIGSEGV, text), "SIGSEGV");
    assert_string_equal(crash_signal_name(SIGABRT, text), "SIGABRT");
    assert_string_equal(crash_signal_name(99, text), "signal 99");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crash_is_left_behind),
        cmocka_unit_test(what_is_no_page_says_nothing),
        cmocka_unit_test(signals_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
