/* For libraries that are loaded before relaisd (LD_PRELOAD): which descriptors belong to files
 * below one folder.  The system is called by syscall(), so nothing of ours meets itself. */
#ifndef TESTS_CRASH_TRACK_H
#define TESTS_CRASH_TRACK_H

#undef _FILE_OFFSET_BITS /* else the plain names would become those of large files */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { TRACK_FDS_MAX = 65536 };

static const char *track_folder;      /* absolute, without a slash at the end */
static bool track_fds[TRACK_FDS_MAX]; /* set before the descriptor is known to others */

/* Must be called before all else; NAME is the variable with the folder. */
static inline void track_init(const char *name)
{
    track_folder = getenv(name);
}

/* Makes an absolute path of what openat() and its like are given; false when it is not ours. */
static inline bool track_path(int dir, const char *path, char out[PATH_MAX])
{
    char base[PATH_MAX] = "";

    if (!track_folder || !path)
        return false;
    if (path[0] == '/') {
        if (snprintf(out, PATH_MAX, "%s", path) >= PATH_MAX)
            return false;
    } else {
        if (dir == AT_FDCWD) {
            if (!getcwd(base, sizeof base))
                return false;
        } else {
            char link[64];
            snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
            ssize_t n = readlink(link, base, sizeof base - 1);
            if (n <= 0)
                return false;
            base[n] = '\0';
        }
        if ((size_t)snprintf(out, PATH_MAX, "%s/%s", base, path) >= PATH_MAX)
            return false;
    }
    size_t n = strlen(track_folder);
    return strncmp(out, track_folder, n) == 0 && (out[n] == '/' || out[n] == '\0');
}

/* Does open() come with a mode?  O_TMPFILE has more bits than one. */
static inline bool track_has_mode(int flags)
{
    return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE;
}

static inline bool track_is_ours(int fd)
{
    return fd >= 0 && fd < TRACK_FDS_MAX && track_fds[fd];
}

static inline void track_set(int fd, bool is_ours)
{
    if (fd >= 0 && fd < TRACK_FDS_MAX)
        track_fds[fd] = is_ours;
}

static inline size_t track_iov_bytes(const struct iovec *runs, int count)
{
    size_t n = 0;

    for (int i = 0; i < count; i++)
        n += runs[i].iov_len;
    return n;
}

#endif
