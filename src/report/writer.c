/* Two locks.  `files` is held by whoever writes; he is the taker of all rings: the thread, and who
 * has no lane.  `queue` is held for moments: around the list of what was handed over, and around
 * going to sleep.  Who has `files` may ask for `queue`, not the other way round. */
#include "report/writer.h"

#include "os/clock.h"
#include "report/report.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    HURRY_BYTES = LANE_BYTES / 2, /* so much waits in a ring: the pause is over */
    HANDED_MAX = 1024,
    GATHERED_BYTES = 32 << 10, /* smaller pieces of several lanes are written together */
    CREDIT_MAX = 100,
    CRASH_PATIENCE_MS = 200,
};

/* What one lane handed over; while it is the last of the list more of that lane is added to it. */
struct handed {
    struct lane *lane;
    size_t bytes[STREAM_COUNT];
};

static struct {
    pthread_mutex_t files;
    struct out out[STREAM_COUNT];
    struct {
        char at[GATHERED_BYTES];
        size_t n;
    } gathered[STREAM_COUNT];          /* empty when `files` is given back */
    uint64_t lost;                     /* lines, not told of yet */
    atomic_uint_fast64_t without_room; /* the same, not counted yet */
    pthread_t thread;

    pthread_mutex_t queue;
    pthread_cond_t change, written;
    unsigned lane_count;
    struct handed handed[HANDED_MAX]; /* a ring, in the order of handing over */
    unsigned first, count;
    uint64_t asked,
        done; /* numbers of those who wait for all to be written: the last, served */
    bool is_idle, is_hurried, is_ending;
    bool is_stuck; /* somebody waited in vain, and the thread was not seen since */
} writer = {
    .files = PTHREAD_MUTEX_INITIALIZER,
    .queue = PTHREAD_MUTEX_INITIALIZER,
    .change = PTHREAD_COND_INITIALIZER,
    .written = PTHREAD_COND_INITIALIZER,
    .out = { [LOG] = { .fd = STDERR_FILENO, .is_borrowed = true },
        [PROTOCOL] = { .fd = -1 },
        [TRACKING] = { .fd = -1 },
        [CONNECTIVITY] = { .fd = -1 } },
};

static void lock(pthread_mutex_t *mutex)
{
    int failed = pthread_mutex_lock(mutex);

    assert(!failed);
    (void)failed;
}

static void unlock(pthread_mutex_t *mutex)
{
    pthread_mutex_unlock(mutex);
}

/* Of use in a signal's handler, too, which may take no lock that waits: to try is one exchange in
 * memory.  (pthread_mutex_clocklock() is unknown to ThreadSanitizer.) */
static bool try_lock(pthread_mutex_t *mutex, unsigned ms)
{
    const struct timespec millisecond = { .tv_nsec = 1000000 };

    for (unsigned i = 0; i < ms; i++) {
        if (pthread_mutex_trylock(mutex) == 0)
            return true;
        nanosleep(&millisecond, NULL);
    }
    return false;
}

/* --- Writing: behind `files` ------------------------------------------------------------- */

static void write_lines(enum stream stream, struct bytes lines)
{
    writer.lost += out_write(&writer.out[stream], lines);
}

static void write_gathered(enum stream stream)
{
    write_lines(stream, bytes_of(writer.gathered[stream].at, writer.gathered[stream].n));
    writer.gathered[stream].n = 0;
}

/* A large piece is written from where it is, a small one with those before and behind it. */
static void put(enum stream stream, struct bytes piece)
{
    if (writer.gathered[stream].n + piece.n > GATHERED_BYTES)
        write_gathered(stream);
    if (piece.n > GATHERED_BYTES) {
        write_lines(stream, piece);
        return;
    }
    memcpy(writer.gathered[stream].at + writer.gathered[stream].n, piece.at, piece.n);
    writer.gathered[stream].n += piece.n;
}

static void put_ring(enum stream stream, struct ring *ring, size_t bytes)
{
    while (bytes) {
        struct bytes piece = bytes_first(ring_take(ring), bytes);
        assert(piece.n);
        put(stream, piece);
        ring_taken(ring, piece.n);
        bytes -= piece.n;
    }
}

static bool next_handed(struct handed *handed)
{
    bool is_there;

    lock(&writer.queue);
    is_there = writer.count > 0;
    if (is_there) {
        *handed = writer.handed[writer.first];
        writer.first = (writer.first + 1) % HANDED_MAX;
        writer.count--;
    }
    unlock(&writer.queue);
    return is_there;
}

static void write_handed(void)
{
    struct handed handed;

    while (next_handed(&handed)) {
        for (unsigned i = 0; i < STREAM_COUNT; i++)
            put_ring(i, &handed.lane->ring[i], handed.bytes[i]);
    }
    for (unsigned i = 0; i < STREAM_COUNT; i++)
        write_gathered(i);
}

/* Lines lost before (a full disk) are told of once writing works again. */
static void unlock_files(void)
{
    uint64_t lost = writer.lost + atomic_exchange(&writer.without_room, 0);

    writer.lost = 0;
    unlock(&writer.files);
    if (lost)
        report_notice(REPORT_ERROR, "%llu lines of the log could not be written and are lost",
            (unsigned long long)lost);
}

void writer_write(enum stream stream, struct bytes lines)
{
    lock(&writer.files);
    write_handed();
    write_lines(stream, lines);
    unlock_files();
}

static void write_all(void)
{
    lock(&writer.files);
    write_handed();
    unlock_files();
}

static struct timespec in_ms(long ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += ms % 1000 * 1000000L;
    until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    return until;
}

/* Behind `queue`. */
static bool is_written(uint64_t number)
{
    struct timespec until = in_ms(WRITER_PATIENCE_MS);

    while (writer.done < number && !writer.is_stuck) {
        bool is_over =
            pthread_cond_clockwait(&writer.written, &writer.queue, CLOCK_MONOTONIC, &until);
        writer.is_stuck |= is_over && writer.done < number; /* he may be there just now */
    }
    return writer.done >= number;
}

bool writer_sync(void)
{
    bool has_thread, is_good = true;

    lock(&writer.queue);
    has_thread = writer.lane_count;
    if (has_thread) {
        writer.asked++;
        writer.is_hurried = true;
        pthread_cond_signal(&writer.change);
        is_good = is_written(writer.asked);
    }
    unlock(&writer.queue);
    if (!has_thread)
        write_all();
    return is_good;
}

bool writer_change(struct out out[STREAM_COUNT])
{
    if (!writer_sync() || !try_lock(&writer.files, WRITER_PATIENCE_MS))
        return false;
    write_handed();
    for (unsigned i = 0; i < STREAM_COUNT; i++) {
        out_close(&writer.out[i]);
        writer.out[i] = out[i];
    }
    unlock_files();
    return true;
}

void writer_lose_line(void)
{
    atomic_fetch_add(&writer.without_room, 1);
}

/* --- Handing over ------------------------------------------------------------------------ */

/* Behind `queue`, where there is room. */
static struct handed *handed_of(struct lane *lane)
{
    struct handed *last = &writer.handed[(writer.first + writer.count - 1) % HANDED_MAX];

    if (writer.count && last->lane == lane)
        return last;
    last = &writer.handed[(writer.first + writer.count++) % HANDED_MAX];
    *last = (struct handed){ .lane = lane };
    return last;
}

void writer_hand_over(struct lane *lane)
{
    struct handed *handed;
    bool is_much;

    lock(&writer.queue);
    while (writer.count == HANDED_MAX) {
        unlock(&writer.queue);
        if (!writer_sync())
            return;
        lock(&writer.queue);
    }
    handed = handed_of(lane);
    is_much = writer.count > HANDED_MAX / 2;
    for (unsigned i = 0; i < STREAM_COUNT; i++) {
        handed->bytes[i] += lane->ring[i].hidden;
        ring_publish(&lane->ring[i]);
        is_much |= ring_waiting(&lane->ring[i]) > HURRY_BYTES;
    }
    if (writer.is_idle || (is_much && !writer.is_hurried))
        pthread_cond_signal(&writer.change);
    writer.is_hurried |= is_much;
    unlock(&writer.queue);
}

/* --- The thread -------------------------------------------------------------------------- */

/* Looks that may follow one another at once.  A pause is what one more is paid with, so that under
 * load there is one a pause, and with little to do none has to wait. */
struct credit {
    unsigned looks;
    int64_t paid_us;
};

static bool take_credit(struct credit *credit)
{
    int64_t earned = (clock_us() - credit->paid_us) / (WRITER_PAUSE_MS * 1000);

    credit->paid_us += earned * WRITER_PAUSE_MS * 1000;
    if (earned >= CREDIT_MAX - (int64_t)credit->looks)
        credit->looks = CREDIT_MAX;
    else
        credit->looks += (unsigned)earned;
    if (credit->looks == 0)
        return false;
    credit->looks--;
    return true;
}

/* Behind `queue`.  Many lines come while we wait, and go out in one piece. */
static void pause_between(void)
{
    struct timespec until = in_ms(WRITER_PAUSE_MS);

    while (!writer.is_ending && !writer.is_hurried) {
        if (pthread_cond_clockwait(&writer.change, &writer.queue, CLOCK_MONOTONIC, &until))
            return;
    }
}

/* Behind `queue`. */
static void wait_for_work(void)
{
    writer.is_idle = true;
    while (!writer.is_ending && !writer.count && writer.asked == writer.done)
        pthread_cond_wait(&writer.change, &writer.queue);
    writer.is_idle = false;
}

static void *run(void *unused)
{
    struct credit credit = { .paid_us = clock_us() };
    uint64_t asked;

    (void)unused;
    lock(&writer.queue);
    for (wait_for_work(); !writer.is_ending; wait_for_work()) {
        if (!take_credit(&credit))
            pause_between();
        writer.is_hurried = false;
        asked = writer.asked;
        unlock(&writer.queue);
        write_all();
        lock(&writer.queue);
        writer.done = asked;
        writer.is_stuck = false;
        pthread_cond_broadcast(&writer.written);
    }
    unlock(&writer.queue);
    return NULL;
}

/* Signals are the main thread's. */
static void start(void)
{
    sigset_t all, before;
    int failed;

    writer.is_ending = false;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(&writer.thread, NULL, run, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        fputs("relais: no thread for the logs\n", stderr);
        abort();
    }
}

static void end(void)
{
    int failed;

    lock(&writer.queue);
    writer.is_ending = true;
    pthread_cond_signal(&writer.change);
    unlock(&writer.queue);
    failed = pthread_join(writer.thread, NULL);
    assert(!failed);
    (void)failed;
}

void writer_add(struct lane *lane)
{
    bool is_first;

    for (unsigned i = 0; i < STREAM_COUNT; i++)
        ring_init(&lane->ring[i], LANE_BYTES);
    lock(&writer.queue);
    is_first = writer.lane_count++ == 0;
    unlock(&writer.queue);
    if (is_first)
        start();
}

bool writer_remove(struct lane *lane)
{
    bool was_last;

    if (!writer_sync())
        return false;
    lock(&writer.queue);
    was_last = --writer.lane_count == 0;
    unlock(&writer.queue);
    if (was_last)
        end();
    for (unsigned i = 0; i < STREAM_COUNT; i++)
        ring_done(&lane->ring[i]);
    return true;
}

/* --- A crash ----------------------------------------------------------------------------- */

static void write_raw(enum stream stream, struct ring *ring, size_t bytes)
{
    struct bytes piece;

    for (; bytes && (piece = bytes_first(ring_take(ring), bytes)).n; bytes -= piece.n) {
        out_write_raw(&writer.out[stream], piece);
        ring_taken(ring, piece.n);
    }
}

/* The locks are not given back: nobody is to write again what is written here. */
void writer_crash(struct lane *lane)
{
    if (!try_lock(&writer.files, CRASH_PATIENCE_MS) ||
        !try_lock(&writer.queue, CRASH_PATIENCE_MS))
        return;
    for (; writer.count; writer.count--) {
        const struct handed *handed = &writer.handed[writer.first];
        for (unsigned i = 0; i < STREAM_COUNT; i++)
            write_raw(i, &handed->lane->ring[i], handed->bytes[i]);
        writer.first = (writer.first + 1) % HANDED_MAX;
    }
    for (unsigned i = 0; lane && i < STREAM_COUNT; i++) {
        ring_publish(&lane->ring[i]);
        write_raw(i, &lane->ring[i], SIZE_MAX);
    }
}
