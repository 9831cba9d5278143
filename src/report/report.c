#include "report/report.h"

#include "base/buf.h"
#include "base/mem.h"
#include "os/clock.h"
#include "report/events.h"
#include "report/line.h"
#include "report/out.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>
#include <unistd.h>

/* Threads.  Each thread that called report_thread_init() has a writer of its own, which it
 * alone appends to; its counters are read by others.  A thread without one (before the loops
 * run, the tool) uses a stack buffer and writes each line at once.  Files are shared and behind
 * one lock, taken once a turn of a loop. */

enum { TARGET_STDERR, TARGET_FILE, TARGET_SYSLOG }; /* enum log_target, by number */
enum { BUFFER_BYTES_MAX = 256 << 10 };

struct counts {
    _Atomic uint64_t of[REPORT_EVENT_COUNT];
};

struct writer {
    struct loop *loop;
    struct loop_flush flush;
    struct buf log, protocol;
    struct line_clock clock;
    struct counts counts;
    struct writer *next;
};

static struct {
    pthread_mutex_t lock; /* files, list of writers */
    struct out log, protocol;
    struct writer *writers;
    struct counts others; /* of threads without a writer, and of those that ended */
    atomic_int target;
    atomic_bool is_json, has_protocol;
    atomic_int pid;
} shared = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .log = { .fd = STDERR_FILENO, .is_borrowed = true },
    .protocol = { .fd = -1 },
};

static _Thread_local struct writer *mine;

static int load(const atomic_int *at)
{
    return atomic_load_explicit(at, memory_order_relaxed);
}

static bool is_set(const atomic_bool *at)
{
    return atomic_load_explicit(at, memory_order_relaxed);
}

static void lock(void)
{
    int failed = pthread_mutex_lock(&shared.lock);

    assert(failed == 0);
    (void)failed;
}

static void unlock(void)
{
    pthread_mutex_unlock(&shared.lock);
}

/* --- Settings ---------------------------------------------------------------------------- */

static enum err open_both(const struct report_settings *settings, struct out *log,
    struct out *protocol, char why[256])
{
    enum err err;

    *log = *protocol = OUT_CLOSED;
    if (settings->target == TARGET_FILE) {
        err = out_open(
            settings->log_file, NULL, settings->bytes_max, settings->files_max, log, why);
        if (err != OK)
            return err;
    } else if (settings->target == TARGET_STDERR) {
        out_stderr(log);
    }
    if (!settings->protocol_file)
        return OK;
    err = out_open(settings->protocol_file, settings->is_json ? NULL : LINE_PROTOCOL_HEADER,
        settings->bytes_max, settings->files_max, protocol, why);
    if (err != OK)
        out_close(log);
    return err;
}

enum err report_init(const struct report_settings *settings, char why[256])
{
    struct out log, protocol;
    enum err err = open_both(settings, &log, &protocol, why);

    if (err != OK)
        return err;
    lock();
    out_close(&shared.log);
    out_close(&shared.protocol);
    shared.log = log;
    shared.protocol = protocol;
    if (settings->target == TARGET_SYSLOG)
        openlog("relais", LOG_PID | LOG_NDELAY, LOG_MAIL);
    atomic_store(&shared.pid, getpid());
    atomic_store(&shared.is_json, settings->is_json);
    atomic_store(&shared.has_protocol, settings->protocol_file != NULL);
    atomic_store(&shared.target, settings->target);
    unlock();
    return OK;
}

/* --- Writing ----------------------------------------------------------------------------- */

/* Writes what waits in BUF.  Lines lost before (a full disk) are told of. */
static void write_out(struct out *out, struct buf *buf)
{
    uint64_t lost;

    if (buf->n == 0)
        return;
    lock();
    lost = out_write(out, buf_bytes(buf));
    unlock();
    buf_clear(buf);
    if (lost)
        report_notice(REPORT_ERROR, "%llu lines of the log could not be written and are lost",
            (unsigned long long)lost);
}

static void flush_mine(struct writer *writer)
{
    write_out(&shared.log, &writer->log);
    write_out(&shared.protocol, &writer->protocol);
}

static void on_flush(struct loop_flush *flush)
{
    flush_mine(container_of(flush, struct writer, flush));
}

void report_done(void)
{
    if (mine)
        flush_mine(mine);
    lock();
    out_close(&shared.log);
    out_close(&shared.protocol);
    out_stderr(&shared.log); /* what comes later is still said somewhere */
    if (load(&shared.target) == TARGET_SYSLOG)
        closelog();
    atomic_store(&shared.target, TARGET_STDERR);
    atomic_store(&shared.has_protocol, false);
    unlock();
}

void report_thread_init(struct loop *loop)
{
    struct writer *writer = mem_new(sizeof *writer);

    assert(!mine);
    writer->loop = loop;
    loop_flush_init(&writer->flush, on_flush);
    buf_init(&writer->log, BUFFER_BYTES_MAX);
    buf_init(&writer->protocol, BUFFER_BYTES_MAX);
    lock();
    writer->next = shared.writers;
    shared.writers = writer;
    unlock();
    mine = writer;
}

static void unlink_writer(struct writer *writer)
{
    struct writer **at = &shared.writers;

    lock();
    while (*at != writer)
        at = &(*at)->next;
    *at = writer->next;
    for (unsigned i = 0; i < REPORT_EVENT_COUNT; i++)
        atomic_fetch_add(&shared.others.of[i], atomic_load(&writer->counts.of[i]));
    unlock();
}

void report_thread_done(void)
{
    struct writer *writer = mine;

    if (!writer)
        return;
    loop_flush_cancel(&writer->flush);
    flush_mine(writer);
    unlink_writer(writer);
    mine = NULL;
    buf_done(&writer->log);
    buf_done(&writer->protocol);
    free(writer);
}

/* --- Counting ---------------------------------------------------------------------------- */

static void count(enum report_event event)
{
    _Atomic uint64_t *at;

    if (!mine) {
        atomic_fetch_add_explicit(&shared.others.of[event], 1, memory_order_relaxed);
        return;
    }
    at = &mine->counts.of[event]; /* one thread writes: no locked instruction is needed */
    atomic_store_explicit(
        at, atomic_load_explicit(at, memory_order_relaxed) + 1, memory_order_relaxed);
}

uint64_t report_count(enum report_event event)
{
    uint64_t sum;

    assert((unsigned)event < REPORT_EVENT_COUNT);
    lock();
    sum = atomic_load_explicit(&shared.others.of[event], memory_order_relaxed);
    for (struct writer *writer = shared.writers; writer; writer = writer->next)
        sum += atomic_load_explicit(&writer->counts.of[event], memory_order_relaxed);
    unlock();
    return sum;
}

/* --- Lines ------------------------------------------------------------------------------- */

static const int syslog_levels[] = { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERR };

static const char *time_text(struct line_clock *clock)
{
    return line_time(clock, mine ? loop_wall(mine->loop) : clock_wall());
}

static size_t format(char *to, const char *time, enum report_event event,
    enum report_level level, const struct report_field *fields, unsigned field_count)
{
    struct line_head head = { .time = time, .pid = load(&shared.pid), .level = level };

    if (head.pid == 0)
        head.pid = getpid(); /* before report_init() */
    return is_set(&shared.is_json) ? line_json(to, &head, event, fields, field_count)
                                   : line_text(to, &head, event, fields, field_count);
}

/* Room for one more line in BUF of this thread; what is there goes out first when it is full.
 */
static char *line_room(struct out *out, struct buf *buf)
{
    char *to = (char *)buf_room(buf, LINE_BYTES_MAX);

    if (!to) {
        write_out(out, buf);
        to = (char *)buf_room(buf, LINE_BYTES_MAX);
    }
    assert(to);
    return to;
}

static void write_at_once(struct out *out, const char *line, size_t n)
{
    lock();
    out_write(out, bytes_of(line, n)); /* what was lost before is told by the loops' threads */
    unlock();
}

static void say(enum report_event event, enum report_level level,
    const struct report_field *fields, unsigned field_count)
{
    count(event);
    if (load(&shared.target) == TARGET_SYSLOG) {
        char line[LINE_BYTES_MAX];
        size_t n = format(line, NULL, event, level, fields, field_count);
        syslog(syslog_levels[level], "%.*s", (int)n - 1, line);
    } else if (!mine) {
        char line[LINE_BYTES_MAX];
        struct line_clock clock = { 0 };
        write_at_once(&shared.log, line,
            format(line, time_text(&clock), event, level, fields, field_count));
    } else {
        char *to = line_room(&shared.log, &mine->log);
        buf_wrote(
            &mine->log, format(to, time_text(&mine->clock), event, level, fields, field_count));
        if (level >= REPORT_WARNING)
            write_out(&shared.log, &mine->log); /* a crash may follow */
        else
            loop_flush_ask_last(mine->loop, &mine->flush);
    }
}

void report_fields(
    enum report_event event, const struct report_field *fields, unsigned field_count)
{
    say(event, event_shape(event)->level, fields, field_count);
}

void report_notice(enum report_level level, const char *format_text, ...)
{
    char text[1000];
    struct report_field field;
    va_list args;

    va_start(args, format_text);
    vsnprintf(text, sizeof text, format_text, args);
    va_end(args);
    field = R_CHARS("text", text);
    say(REPORT_NOTICE, level, &field, 1);
}

void report_protocol(struct report_session *session, char sign, struct bytes text)
{
    char stack[LINE_BYTES_MAX];
    struct line_clock clock = { 0 };
    size_t n;
    char *to;

    if (!is_set(&shared.has_protocol))
        return;
    to = mine ? line_room(&shared.protocol, &mine->protocol) : stack;
    n = (is_set(&shared.is_json) ? line_protocol_json : line_protocol_text)(
        to, time_text(mine ? &mine->clock : &clock), session, sign, text);
    session->sequence++;
    if (!mine) {
        write_at_once(&shared.protocol, to, n);
        return;
    }
    buf_wrote(&mine->protocol, n);
    loop_flush_ask_last(mine->loop, &mine->flush);
}
