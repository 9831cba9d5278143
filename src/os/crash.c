/* The file
 *
 * 1. One page, mapped and shared: what is stored in it is in the kernel's hands at once, and is
 *    there when the process is not.
 * 2. The handler calls nothing that may not be called in one (signal-safety(7)): it stores into
 *    the page, reads the clock, sets the signal's old action again, and raises it.
 * 3. WHOLE is stored last.  A page without it says nothing: the process before ended in peace, or
 *    was killed in the middle of the handler.
 * 4. It is read by the next process on the same machine, so it is the struct as it lies in memory;
 *    MAGIC has the version. */
#include "os/crash.h"

#include "os/errno.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define MAGIC UINT64_C(0x3168736172637272) /* "rrcrash1" */
#define WHOLE UINT64_C(0x21656c6f68772121)

enum { PAGE_BYTES = 4096, STACK_BYTES = 64 << 10, FILE_MODE = 0640 };

struct page {
    uint64_t magic;
    int64_t when_ms;
    struct mid mid;
    char doing[CRASH_DOING_BYTES];
    int32_t signum;
    uint32_t has_message;
    _Atomic uint64_t whole;
};

static const int signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
enum { SIGNAL_COUNT = sizeof signals / sizeof *signals };

_Thread_local struct crash_work crash_work;
static _Thread_local void *stack; /* for the handler */
static _Thread_local bool is_thread_ready;

static struct page *page;
static struct sigaction before[SIGNAL_COUNT];
static atomic_flag has_crashed = ATOMIC_FLAG_INIT;

/* --- The handler ------------------------------------------------------------------------- */

static void write_page(int signum, bool is_ours)
{
    struct timespec now;
    size_t i = 0;

    clock_gettime(CLOCK_REALTIME, &now);
    page->magic = MAGIC;
    page->when_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    page->signum = signum;
    page->has_message = is_ours && crash_work.doing;
    if (page->has_message) {
        page->mid = crash_work.mid;
        for (; i + 1 < CRASH_DOING_BYTES && crash_work.doing[i]; i++)
            page->doing[i] = crash_work.doing[i];
    }
    page->doing[i] = '\0';
    atomic_store_explicit(&page->whole, WHOLE, memory_order_release);
}

/* Another thread crashed first: it is let finish what it writes, which takes no time. */
static void wait_for_page(void)
{
    static const struct timespec millisecond = { .tv_nsec = 1000000 };

    for (int i = 0; i < 100 && atomic_load(&page->whole) != WHOLE; i++)
        nanosleep(&millisecond, NULL);
}

/* Sanitizers have actions of their own, which report the fault: they get their turn. */
static void set_back(int signum)
{
    struct sigaction old = { .sa_handler = SIG_DFL };

    for (unsigned i = 0; i < SIGNAL_COUNT; i++)
        if (signals[i] == signum && before[i].sa_handler != SIG_IGN)
            old = before[i];
    sigaction(signum, &old, NULL);
}

/* A fault happens again when the handler returns, and then as if there were no handler: the core
 * shows the place.  A signal that was sent is sent again. */
static void on_signal(int signum, siginfo_t *info, void *context)
{
    int error = errno;
    bool is_sent = info->si_code <= 0;

    (void)context;
    if (!atomic_flag_test_and_set(&has_crashed))
        write_page(signum, !is_sent || info->si_pid == getpid());
    else
        wait_for_page();
    set_back(signum);
    if (is_sent)
        raise(signum);
    errno = error;
}

static enum err set_handlers(void)
{
    struct sigaction action = { .sa_sigaction = on_signal,
        .sa_flags = SA_SIGINFO | SA_ONSTACK };

    sigfillset(&action.sa_mask);
    for (unsigned i = 0; i < SIGNAL_COUNT; i++)
        if (sigaction(signals[i], &action, &before[i]) < 0)
            return err_of_errno(errno);
    return OK;
}

/* --- The file ---------------------------------------------------------------------------- */

enum err crash_read(const char *file, struct crash_report *out)
{
    struct page found;
    struct file opened;
    enum err err = file_open(file, FILE_READ, &opened);

    if (err != OK)
        return err;
    err = file_read_at(opened, &found, sizeof found, 0);
    file_close(&opened);
    if (err != OK)
        return err;
    if (found.magic != MAGIC || atomic_load(&found.whole) != WHOLE)
        return ERR_NONE;
    *out = (struct crash_report){ .has_message = found.has_message,
        .mid = found.mid,
        .signum = found.signum,
        .when.ms = found.when_ms };
    found.doing[CRASH_DOING_BYTES - 1] = '\0';
    memcpy(out->doing, found.doing, sizeof out->doing);
    return OK;
}

/* Its room is on the disk before it is needed: a store into a hole of a full one would be a fault
 * in the handler. */
static enum err map_page(const char *file, struct page **out)
{
    static const uint8_t zeros[PAGE_BYTES];
    int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, FILE_MODE);
    void *at = MAP_FAILED;
    enum err err;

    if (fd < 0)
        return err_of_errno(errno);
    err = file_write_at((struct file){ fd }, bytes_of(zeros, sizeof zeros), 0);
    if (err == OK) {
        at = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (at == MAP_FAILED)
            err = err_of_errno(errno);
    }
    close(fd);
    if (err == OK)
        err = file_own(
            file); /* `relaisd -t` by root leaves nothing that the daemon cannot open */
    if (err == OK)
        *out = at;
    else if (at != MAP_FAILED)
        munmap(at, PAGE_BYTES);
    return err;
}

enum err crash_watch(const char *file)
{
    enum err err = map_page(file, &page);

    if (err != OK)
        return err;
    crash_thread_init();
    return set_handlers();
}

/* --- Threads ----------------------------------------------------------------------------- */

void crash_thread_init(void)
{
    stack_t now, ours = { .ss_size = STACK_BYTES };

    if (is_thread_ready)
        return;
    is_thread_ready = true;
    if (sigaltstack(NULL, &now) < 0 || !(now.ss_flags & SS_DISABLE))
        return; /* a sanitizer's, which does as well */
    ours.ss_sp = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (ours.ss_sp == MAP_FAILED)
        return;
    if (sigaltstack(&ours, NULL) == 0)
        stack = ours.ss_sp;
    else
        munmap(ours.ss_sp, STACK_BYTES);
}

void crash_thread_done(void)
{
    static const stack_t none = { .ss_flags = SS_DISABLE };

    if (!stack)
        return;
    sigaltstack(&none, NULL);
    munmap(stack, STACK_BYTES);
    stack = NULL;
    is_thread_ready = false;
}

/* --- Names ------------------------------------------------------------------------------- */

const char *crash_signal_name(int signum, char text[20])
{
    static const char *const names[SIGNAL_COUNT] = { "SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL",
        "SIGABRT" };

    for (unsigned i = 0; i < SIGNAL_COUNT; i++)
        if (signals[i] == signum)
            return names[i];
    snprintf(text, 20, "signal %d", signum);
    return text;
}
