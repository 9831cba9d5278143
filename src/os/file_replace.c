/* A small file that is whole or not there, whenever the power goes: written beside its place,
 * flushed, renamed, and the folder flushed. */
#include "base/mem.h"
#include "os/errno.h"
#include "os/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MODE_BITS = 07777 };

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return mem_text(".");
    return bytes_to_text(bytes_of(path, slash == path ? 1 : (size_t)(slash - path)));
}

/* ".NAME.new" in the same folder: a name that patterns leave out. */
static char *name_beside(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    size_t n = strlen(path) + sizeof "..new";
    char *beside = mem_new(n);

    snprintf(beside, n, "%.*s.%s.new", (int)(name - path), path, name);
    return beside;
}

enum err file_own(const char *path)
{
    char *folder = folder_of(path);
    struct stat about;
    int result = stat(folder, &about);

    if (result == 0 && geteuid() == 0)
        result = chown(path, about.st_uid, about.st_gid);
    free(folder);
    return result < 0 ? err_of_errno(errno) : OK;
}

/* Mode and owner of the file that was at PATH go over; a new one gets MODE. */
static enum err take_looks(
    struct file file, const char *beside, const char *path, unsigned mode)
{
    struct stat old;

    if (stat(path, &old) < 0) {
        if (errno != ENOENT)
            return err_of_errno(errno);
        return fchmod(file.fd, (mode_t)mode) < 0 ? err_of_errno(errno) : file_own(beside);
    }
    if (geteuid() == 0 && fchown(file.fd, old.st_uid, old.st_gid) < 0)
        return err_of_errno(errno);
    return fchmod(file.fd, old.st_mode & MODE_BITS) < 0 ? err_of_errno(errno) : OK;
}

static enum err write_beside(
    const char *beside, const char *path, struct bytes text, unsigned mode)
{
    struct file file;
    enum err err = file_remove(beside); /* of one who was killed meanwhile */

    if (err == OK || err == ERR_NONE)
        err = file_open(beside, FILE_WRITE | FILE_CREATE, &file);
    if (err != OK)
        return err;
    err = take_looks(file, beside, path, mode);
    if (err == OK)
        err = file_write_at(file, text, 0);
    if (err == OK)
        err = file_sync(file);
    file_close(&file);
    return err;
}

enum err file_replace(const char *path, struct bytes text, unsigned mode)
{
    char *beside = name_beside(path), *folder = folder_of(path);
    enum err err = write_beside(beside, path, text, mode);

    if (err == OK)
        err = file_rename(beside, path);
    if (err != OK)
        err_ignore(file_remove(beside));
    else
        err = folder_sync(folder);
    free(beside);
    free(folder);
    return err;
}
