/* The calls of os/file.h about folders. */
#include "base/mem.h"
#include "os/errno.h"
#include "os/file.h"
#include "os/file_faults.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* The folder that a file or folder stands in; free(). */
static char *parent_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return !slash          ? mem_text(".")
           : slash == path ? mem_text("/")
                           : bytes_to_text(bytes_of(path, (size_t)(slash - path)));
}

/* What lies in a folder survives a power cut only when the folder's own name does. */
static enum err sync_parent(const char *path)
{
    char *parent = parent_of(path);
    enum err err = folder_sync(parent);

    free(parent);
    return err;
}

static enum err make_one(const char *path, unsigned mode)
{
    struct file_event event = { FILE_CALL_MAKE_FOLDER, .fd = -1, .path = path };
    struct stat s;
    enum err err;

    /* Looked at first: on a read-only file system mkdir() says EROFS of what is there too. */
    if (stat(path, &s) == 0)
        return S_ISDIR(s.st_mode) ? OK : ERR_EXISTS;
    err = file_before(&event, NULL);
    if (err != OK)
        return err;
    if (mkdir(path, mode) < 0 && errno != EEXIST) /* another process may be as quick */
        return file_after(&event, err_of_errno(errno));
    return file_after(&event, sync_parent(path));
}

enum err folder_make(const char *path, unsigned mode)
{
    char *part = mem_text(path);
    enum err err = OK;

    for (char *slash = strchr(part + 1, '/'); slash && err == OK;
         slash = strchr(slash + 1, '/')) {
        *slash = 0;
        err = make_one(part, mode);
        *slash = '/';
    }
    if (err == OK)
        err = make_one(part, mode);
    free(part);
    return err;
}

enum err folder_make_for(const char *file, unsigned mode)
{
    char *folder = parent_of(file);
    enum err err = folder_make(folder, mode);

    free(folder);
    return err;
}

enum err folder_sync(const char *path)
{
    struct file_event event = { FILE_CALL_SYNC_FOLDER, .fd = -1, .path = path };
    enum err err = file_before(&event, NULL);
    int fd, result;

    if (err != OK)
        return err;
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return file_after(&event, err_of_errno(errno));
    do
        result = fsync(fd);
    while (result < 0 && errno == EINTR);
    err = result < 0 ? err_of_errno(errno) : OK;
    close(fd);
    return file_after(&event, err);
}

enum err folder_free_bytes(const char *path, uint64_t *out)
{
    struct statvfs s;

    if (statvfs(path, &s) < 0)
        return err_of_errno(errno);
    *out = (uint64_t)s.f_bavail * s.f_frsize; /* what is kept for root is not ours */
    return OK;
}

enum err folder_each(const char *path, enum err (*visit)(const char *name, void *me), void *me)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    enum err err = OK;

    if (!folder)
        return err_of_errno(errno);
    while (err == OK) {
        errno = 0;
        entry = readdir(folder);
        if (!entry) {
            err = err_of_errno(errno);
            break;
        }
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            err = visit(entry->d_name, me);
    }
    closedir(folder);
    return err;
}
