/* Random bytes come from the kernel in blocks, one block a thread: a message costs no system
 * call of its own.  A forked child must not give out what its parent gives out, so the block
 * and the counter of sessions are dropped in it. */
#include "os/clock.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum { BLOCK_BYTES = 1024, FROM_BLOCK_BYTES_MAX = 32 };

static _Thread_local struct {
    uint8_t byte[BLOCK_BYTES];
    size_t left;
} block;

static atomic_uint_fast64_t sessions;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static int64_t read_ms(clockid_t id)
{
    struct timespec t;
    int failed = clock_gettime(id, &t);

    assert(!failed);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

struct wall clock_wall(void)
{
    return (struct wall){ read_ms(CLOCK_REALTIME) };
}

struct moment clock_moment(void)
{
    return (struct moment){ read_ms(CLOCK_BOOTTIME) };
}

int64_t clock_us(void)
{
    struct timespec t;
    int failed = clock_gettime(CLOCK_MONOTONIC, &t);

    assert(!failed);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void fill_from_kernel(void *at, size_t n)
{
    uint8_t *to = at;

    while (n) {
        ssize_t got = getrandom(to, n, 0);
        if (got < 0) {
            if (errno == EINTR)
                continue;
            perror("relais: getrandom"); /* names that repeat lose mail: nothing goes on here */
            abort();
        }
        to += got;
        n -= (size_t)got;
    }
}

static void start_anew(void)
{
    uint64_t start;

    block.left = 0;
    fill_from_kernel(&start, sizeof start);
    atomic_store(&sessions, start);
}

static void start_once(void)
{
    int failed = pthread_atfork(NULL, NULL, start_anew);

    assert(!failed);
    start_anew();
}

void random_fill(void *at, size_t n)
{
    pthread_once(&once, start_once);
    if (n > FROM_BLOCK_BYTES_MAX) {
        fill_from_kernel(at, n);
        return;
    }
    if (block.left < n) {
        fill_from_kernel(block.byte, sizeof block.byte);
        block.left = sizeof block.byte;
    }
    block.left -= n;
    memcpy(at, block.byte + block.left, n);
    memset(block.byte + block.left, 0, n); /* given out once, kept nowhere */
}

struct mid random_mid(void)
{
    struct mid mid;

    random_fill(mid.byte, sizeof mid.byte);
    return mid;
}

struct session_id random_session_id(void)
{
    pthread_once(&once, start_once);
    return (struct session_id){ atomic_fetch_add(&sessions, 1) };
}
