#include "report/report.h"

#include "base/mem.h"
#include "os/clock.h"
#include "report/events.h"
#include "report/line.h"
#include "report/tally.h"
#include "report/tracking.h"
#include "report/writer.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>
#include <unistd.h>

/* Threads.  Each thread that called report_thread_init() has a desk: rings of lines that it alone
 * fills (writer.h), and counters that it alone counts up.  A thread without one (before the loops
 * run, the tool) uses a stack buffer and writes each line at once. */

enum { TARGET_STDERR, TARGET_FILE, TARGET_SYSLOG }; /* enum log_target, by number */
enum { HIDDEN_BYTES_MAX = 32 << 10 }; /* so much is published before the turn is over */

struct counts {
    _Atomic uint64_t of[REPORT_EVENT_COUNT];
};

struct desk {
    struct lane lane;
    struct loop *loop;
    struct loop_flush flush;
    struct line_clock clock;
    struct counts counts;
    struct desk *next;
};

static struct {
    pthread_mutex_t lock; /* the list of desks */
    struct desk *desks;
    struct counts others; /* of threads without a desk, and of those that ended */
    atomic_int target;
    atomic_bool is_json, tracks_subjects;
    atomic_bool has[STREAM_COUNT]; /* but of the log, which there always is */
    atomic_int pid;
} shared = { .lock = PTHREAD_MUTEX_INITIALIZER };

static _Thread_local struct desk *mine;

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

static void open_syslog(const char *program)
{
    openlog(program, LOG_PID | LOG_NDELAY, LOG_MAIL);
}

static enum err say_that_it_hangs(char why[256])
{
    snprintf(why, 256, "the disk of the logs hangs");
    return ERR_IO;
}

enum err report_init(const struct report_settings *settings, char why[256])
{
    struct out out[STREAM_COUNT];
    enum err err;

    if (!report_sync()) /* to open the files would hang as the writer does, and for good */
        return say_that_it_hangs(why);
    err = open_all(settings, out, why);
    if (err != OK)
        return err;
    if (!writer_change(out)) {
        close_all(out);
        return say_that_it_hangs(why);
    }
    if (settings->target == TARGET_SYSLOG)
        open_syslog("relais");
    atomic_store(&shared.pid, getpid());
    atomic_store(&shared.is_json, settings->is_json);
    atomic_store(&shared.tracks_subjects, settings->tracks_subjects);
    for (unsigned i = 0; i < STREAM_COUNT; i++)
        atomic_store(&shared.has[i], out[i].fd >= 0);
    atomic_store(&shared.target, settings->target);
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

static void on_flush(struct loop_flush *flush)
{
    writer_hand_over(&container_of(flush, struct desk, flush)->lane);
}

bool report_sync(void)
{
    if (mine)
        writer_hand_over(&mine->lane);
    return writer_sync();
}

void report_done(void)
{
    struct out out[STREAM_COUNT];

    for (unsigned i = 0; i < STREAM_COUNT; i++) {
        out[i] = OUT_CLOSED;
        atomic_store(&shared.has[i], false);
    }
    out_stderr(&out[LOG]); /* what comes later is still said somewhere */
    report_sync();
    if (!writer_change(out))
        close_all(out); /* the old ones hang, and it is as if they were not there */
    if (load(&shared.target) == TARGET_SYSLOG)
        closelog();
    atomic_store(&shared.target, TARGET_STDERR);
}

void report_thread_init(struct loop *loop)
{
    struct desk *desk = mem_new(sizeof *desk);

    assert(!mine);
    desk->loop = loop;
    loop_flush_init(&desk->flush, on_flush);
    writer_add(&desk->lane);
    lock();
    desk->next = shared.desks;
    shared.desks = desk;
    unlock();
    mine = desk;
}

static void unlink_desk(struct desk *desk)
{
    struct desk **at = &shared.desks;

    lock();
    while (*at != desk)
        at = &(*at)->next;
    *at = desk->next;
    for (unsigned i = 0; i < REPORT_EVENT_COUNT; i++)
        atomic_fetch_add(&shared.others.of[i], atomic_load(&desk->counts.of[i]));
    unlock();
}

void report_thread_done(void)
{
    struct desk *desk = mine;

    if (!desk)
        return;
    loop_flush_cancel(&desk->flush);
    writer_hand_over(&desk->lane);
    mine = NULL;
    unlink_desk(desk);
    if (writer_remove(&desk->lane))
        free(desk);
}

/* What the process is about to die of is said by the next handler, or by the kernel. */
static void on_crash(int signum)
{
    writer_crash(mine ? &mine->lane : NULL);
    raise(signum); /* with SA_RESETHAND: as if we had not been here */
}

void report_watch_crashes(void)
{
    static const int signals[] = { SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL };
    struct sigaction ours = { .sa_handler = on_crash,
        .sa_flags = (int)SA_RESETHAND | SA_ONSTACK };

    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct sigaction before;
        if (sigaction(signals[i], NULL, &before) == 0 && before.sa_handler == SIG_DFL)
            sigaction(signals[i], &ours, NULL); /* else a sanitizer has more to say */
    }
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
    for (struct desk *desk = shared.desks; desk; desk = desk->next)
        sum += atomic_load_explicit(&desk->counts.of[event], memory_order_relaxed);
    unlock();
    return sum;
}

/* --- Lines ------------------------------------------------------------------------------- */

static const int syslog_levels[] = { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERR };

/* PROGRAM is a literal.  syslog() has one name for all threads. */
static void write_syslog(struct bytes program, enum report_level level, struct bytes line)
{
    static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
    int failed = pthread_mutex_lock(&one);

    assert(failed == 0);
    (void)failed;
    open_syslog((const char *)program.at);
    syslog(syslog_levels[level], "%.*s", BYTES_ARGS(line));
    pthread_mutex_unlock(&one);
}

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

/* Room for one more line of this thread's.  When the writer has fallen behind we wait for him;
 * NULL: he is stuck, and the line is lost. */
static char *line_room(enum stream stream)
{
    char *to;

    while (!(to = ring_room(&mine->lane.ring[stream], LINE_BYTES_MAX))) {
        if (report_sync())
            continue;
        writer_lose_line();
        return NULL;
    }
    return to;
}

/* A line that was put into line_room(), or is written at once. */
static void wrote(enum stream stream, const char *line, size_t n)
{
    if (n == 0)
        return;
    if (!mine) {
        writer_write(stream, bytes_of(line, n));
        return;
    }
    ring_wrote(&mine->lane.ring[stream], n);
    if (mine->lane.ring[stream].hidden > HIDDEN_BYTES_MAX)
        writer_hand_over(&mine->lane);
    loop_flush_ask_last(mine->loop, &mine->flush);
}

/* A warning or an error: the end of the turn is not waited for, since a crash may follow.  The writer
 * is, but not for what others can make us say again and again while his disk is slow. */
static void hasten(enum report_event event)
{
    if (event_shape(event)->is_of_others)
        writer_hand_over(&mine->lane);
    else
        report_sync();
}

static void say(enum report_event event, enum report_level level,
    const struct report_field *fields, unsigned field_count)
{
    char line[LINE_BYTES_MAX];
    struct line_clock clock = { 0 };

    if (load(&shared.target) == TARGET_SYSLOG) {
        size_t n = format(line, NULL, event, level, fields, field_count);
        write_syslog(is_set(&shared.is_json) ? BYTES("relais")
                                             : line_program(event, fields, field_count),
            level, bytes_of(line, n - 1));
    } else if (!mine) {
        wrote(LOG, line, format(line, time_text(&clock), event, level, fields, field_count));
    } else {
        char *to = line_room(LOG);
        if (!to)
            return;
        wrote(LOG, to, format(to, time_text(&mine->clock), event, level, fields, field_count));
        if (level >= REPORT_WARNING)
            hasten(event);
    }
}

static void track(
    enum report_event event, const struct report_field *fields, unsigned field_count)
{
    char stack[LINE_BYTES_MAX];
    struct line_clock clock = { 0 };
    char *to = mine ? line_room(TRACKING) : stack;

    if (!to)
        return;
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
    if (!to) {
        session->sequence++; /* the gap shows that there was one */
        return;
    }
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
    if (!to)
        return;
    wrote(CONNECTIVITY, to,
        (is_set(&shared.is_json) ? line_connectivity_json : line_connectivity_text)(
            to, time_text(mine ? &mine->clock : &clock), &line));
}
