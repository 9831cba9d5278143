#include "os/file_watched.h"

#include <sys/stat.h>

bool watched_file_changed(struct watched_file *file)
{
    struct watched_file now = { .path = file->path, .bytes = -1 };
    struct stat stat_now;
    bool changed;

    if (file->path && stat(file->path, &stat_now) == 0) {
        now.changed = stat_now.st_mtim;
        now.bytes = stat_now.st_size;
        now.inode = stat_now.st_ino;
    }
    changed = now.bytes != file->bytes || now.inode != file->inode ||
              now.changed.tv_sec != file->changed.tv_sec ||
              now.changed.tv_nsec != file->changed.tv_nsec;
    *file = now;
    return changed;
}
