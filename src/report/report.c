#include "report/report.h"

#include "base/buf.h"
#include "base/mem.h"
#include "os/clock.h"
#include "report/events.h"
#include "report/line.h"
#include "report/out.h"
#include "report/tally.h"
#include "report/tracking.h"

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

enum stream { LOG, PROTOCOL, TRACKING, CONNECTIVITY, STREAM_COUNT };

struct writer {
    struct loop *loop;
    struct loop_flush flush;
    struct buf buf[STREAM_COUNT];
    struct line_clock clock;
    struct counts counts;
    struct writer *next;
};

static struct {
    pthread_mutex_t lock; /* files, list of writers */
    struct out out[STREAM_COUNT];
    struct writer *writers;
    struct counts others; /* of threads without a writer, and of those that ended */
    atomic_int target;
    atomic_bool is_json, tracks_subjects;
    atomic_bool has[STREAM_COUNT]; /* but of the log, which there always is */
    atomic_int pid;
} shared = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .out = { [LOG] = { .fd = STDERR_FILENO, .is_borrowed = true },
        [PROTOCOL] = { .fd = -1 },
        [TRACKING] = { .fd = -1 },
        [CONNECTIVITY] = { .fd = -1 } },
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

static void close_all(struct out out[STREAM_COUNT])
{
    for (unsigned i = 0; i < STREAM_COUNT; i++)
        out_close(&out[i]);
}

static enum err open_all(
    const struct report_settings *settings, struct out out[STREAM_COUNT], char why[256])
{
    const struct {
        const char *path, *header;
    } files[STREAM_COUNT] = {
        [LOG] = { settings->target == TARGET_FILE ? settings->log_file : NULL, NULL },
        [PROTOCOL] = { settings->protocol_file, LINE_PROTOCOL_HEADER },
        [TRACKING] = { settings->tracking_file, TRACKING_HEADER },
        [CONNECTIVITY] = { settings->connectivity_file, LINE_CONNECTIVITY_HEADER },
    };

    for (unsigned i = 0; i < STREAM_COUNT; i++)
        out[i] = OUT_CLOSED;
    for (unsigned i = 0; i < STREAM_COUNT; i++) {
        enum err err;
        if (!files[i].path)
            continue;
        err = out_open(files[i].path, settings->is_json ? NULL : files[i].header,
            settings->bytes_max, settings->files_max, &out[i], why);
        if (err != OK) {
            close_all(out);
            return err;
        }
    }
    if (settings->target == TARGET_STDERR)
        out_stderr(&out[LOG]);
    return OK;
}

enum err report_init(const struct report_settings *settings, char why[256])
{
    struct out out[STREAM_COUNT];
    enum err err = open_all(settings, out, why);

    if (err != OK)
        return err;
    lock();
    close_all(shared.out);
    memcpy(shared.out, out, sizeof out);
    if (settings->target == TARGET_SYSLOG)
        openlog("relais", LOG_PID | LOG_NDELAY, LOG_MAIL);
    atomic_store(&shared.pid, getpid());
    atomic_store(&shared.is_json, settings->is_json);
    atomic_store(&shared.tracks_subjects, settings->tracks_subjects);
    for (unsigned i = 0; i < STREAM_COUNT; i++)
        atomic_store(&shared.has[i], out[i].fd >= 0);
    atomic_store(&shared.target, settings->target);
    unlock();
    return OK;
}

bool report_tracks(void)
{
    return is_set(&shared.has[TRACKING]);
}

bool report_tracks_subjects(void)
{
    return is_set(&shared.tracks_subjects);
}

bool report_connects(void)
{
    return is_set(&shared.has[CONNECTIVITY]);
}

/* --- Writing ----------------------------------------------------------------------------- */

/* Writes what waits.  Lines lost before (a full disk) are told of. */
static void write_out(struct writer *writer, enum stream stream)
{
    struct buf *buf = &writer->buf[stream];
    uint64_t lost;

    if (buf->n == 0)
        return;
    lock();
    lost = out_write(&shared.out[stream], buf_bytes(buf));
    unlock();
    buf_clear(buf);
    if (lost)
        report_notice(REPORT_ERROR, "%llu lines of the log could not be written and are lost",
            (unsigned long long)lost);
}

static void flush_mine(struct writer *writer)
{
    for (unsigned i = STREAM_COUNT; i-- > 0;) /* the log last: it tells of what was lost */
        write_out(writer, i);
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
    close_all(shared.out);
    out_stderr(&shared.out[LOG]); /* what comes later is still said somewhere */
    if (load(&shared.target) == TARGET_SYSLOG)
        closelog();
    atomic_store(&shared.target, TARGET_STDERR);
    for (unsigned i = 0; i < STREAM_COUNT; i++)
        atomic_store(&shared.has[i], false);
    unlock();
}

void report_thread_init(struct loop *loop)
{
    struct writer *writer = mem_new(sizeof *writer);

    assert(!mine);
    writer->loop = loop;
    loop_flush_init(&writer->flush, on_flush);
    for (unsigned i = 0; i < STREAM_COUNT; i++)
        buf_init(&writer->buf[i], BUFFER_BYTES_MAX);
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
    for (unsigned i = 0; i < STREAM_COUNT; i++)
        buf_done(&writer->buf[i]);
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

/* Room for one more line of this thread's; what is there goes out first when it is full. */
static char *line_room(enum stream stream)
{
    char *to = (char *)buf_room(&mine->buf[stream], LINE_BYTES_MAX);

    if (!to) {
        write_out(mine, stream);
        to = (char *)buf_room(&mine->buf[stream], LINE_BYTES_MAX);
    }
    assert(to);
    return to;
}

static void write_at_once(enum stream stream, const char *line, size_t n)
{
    lock();
    /* What was lost before is told by the loops' threads. */
    out_write(&shared.out[stream], bytes_of(line, n));
    unlock();
}

/* A line that was put into line_room(), or is written at once. */
static void wrote(enum stream stream, const char *line, size_t n)
{
    if (n == 0)
        return;
    if (!mine) {
        write_at_once(stream, line, n);
        return;
    }
    buf_wrote(&mine->buf[stream], n);
    loop_flush_ask_last(mine->loop, &mine->flush);
}

static void say(enum report_event event, enum report_level level,
    const struct report_field *fields, unsigned field_count)
{
    char line[LINE_BYTES_MAX];
    struct line_clock clock = { 0 };

    if (load(&shared.target) == TARGET_SYSLOG) {
        size_t n = format(line, NULL, event, level, fields, field_count);
        syslog(syslog_levels[level], "%.*s", (int)n - 1, line);
    } else if (!mine) {
        write_at_once(
            LOG, line, format(line, time_text(&clock), event, level, fields, field_count));
    } else {
        char *to = line_room(LOG);
        wrote(LOG, to, format(to, time_text(&mine->clock), event, level, fields, field_count));
        if (level >= REPORT_WARNING)
            write_out(mine, LOG); /* a crash may follow */
    }
}

static void track(
    enum report_event event, const struct report_field *fields, unsigned field_count)
{
    char stack[LINE_BYTES_MAX];
    struct line_clock clock = { 0 };
    char *to = mine ? line_room(TRACKING) : stack;

    wrote(TRACKING, to,
        (is_set(&shared.is_json) ? tracking_json : tracking_text)(
            to, time_text(mine ? &mine->clock : &clock), event, fields, field_count));
}

void report_fields(
    enum report_event event, const struct report_field *fields, unsigned field_count)
{
    const struct event_shape *shape = event_shape(event);

    count(event);
    tally_event(event, fields, field_count);
    if (!shape->is_tracked_only)
        say(event, shape->level, fields, field_count);
    if (report_tracks() && tracking_may_want(event))
        track(event, fields, field_count);
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
    count(REPORT_NOTICE);
    say(REPORT_NOTICE, level, &field, 1);
}

void report_protocol(struct report_session *session, char sign, struct bytes text)
{
    char stack[LINE_BYTES_MAX];
    struct line_clock clock = { 0 };
    size_t n;
    char *to;

    if (!is_set(&shared.has[PROTOCOL]))
        return;
    to = mine ? line_room(PROTOCOL) : stack;
    n = (is_set(&shared.is_json) ? line_protocol_json : line_protocol_text)(
        to, time_text(mine ? &mine->clock : &clock), session, sign, text);
    session->sequence++;
    wrote(PROTOCOL, to, n);
}

void report_connectivity(const struct report_session *session, const char *source,
    const char *queue, char sign, struct bytes text)
{
    const struct line_connection line = { session, source, queue, sign, text };
    char stack[LINE_BYTES_MAX];
    struct line_clock clock = { 0 };
    char *to;

    if (!report_connects())
        return;
    to = mine ? line_room(CONNECTIVITY) : stack;
    wrote(CONNECTIVITY, to,
        (is_set(&shared.is_json) ? line_connectivity_json : line_connectivity_text)(
            to, time_text(mine ? &mine->clock : &clock), &line));
}
