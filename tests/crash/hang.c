/* A disk that hangs: loaded before relaisd, keeps calls on the files whose paths begin with a text
 * from coming back while a file is there.
 *
 *     HANG_OF=/x/protocol.log HANG_READS_WHILE=/x/no-reads HANG_WRITES_WHILE=/x/no-writes
 *     HANG_LOG=/x/hung
 *
 * Reads are those by pread(), writes those by write().  Each call on one of these files is told by a
 * byte in HANG_LOG: "r" or "w". */
#undef _FILE_OFFSET_BITS

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const char *begin, *no_reads, *no_writes;
static int log_fd = -1;

static __attribute__((constructor)) void start(void)
{
    const char *log = getenv("HANG_LOG");

    begin = getenv("HANG_OF");
    no_reads = getenv("HANG_READS_WHILE");
    no_writes = getenv("HANG_WRITES_WHILE");
    if (log)
        log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static bool is_ours(int fd)
{
    char link[64], path[PATH_MAX];
    ssize_t n;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof path);
    return begin && n >= (ssize_t)strlen(begin) && strncmp(path, begin, strlen(begin)) == 0;
}

static void wait_for(const char *armed, int fd, const char *told)
{
    const struct timespec moment = { .tv_nsec = 10000000 };

    if (!is_ours(fd))
        return;
    syscall(SYS_write, log_fd, told, 1);
    while (armed && access(armed, F_OK) == 0)
        nanosleep(&moment, NULL);
}

ssize_t pread64(int fd, void *to, size_t n, off64_t at)
{
    wait_for(no_reads, fd, "r");
    return syscall(SYS_pread64, fd, to, n, at);
}

ssize_t __pread64_chk(int fd, void *to, size_t n, off64_t at, size_t room)
{
    return n <= room ? pread64(fd, to, n, at) : -1;
}

ssize_t write(int fd, const void *from, size_t n)
{
    wait_for(no_writes, fd, "w");
    return ((__typeof__(&write))dlsym(RTLD_NEXT, "write"))(fd, from, n);
}
