#include "crash_disk.h"

#include "base/mem.h"
#include "os/file.h"

#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES_MAX = 256, NAMES_MAX = 64, STEPS_MAX = 64, PAGE = 4096 };

struct image {
    ino_t inode;
    int fd; /* of our own: the bytes as they are now */
    uint8_t *flushed;
    size_t flushed_bytes;
};

struct name {
    char text[64];
    unsigned file;
};

struct names {
    struct name name[NAMES_MAX];
    unsigned count;
};

struct crash_disk {
    struct file_faults faults;
    char folder[128];
    void (*on_change)(struct crash_disk *disk, void *me);
    void *me;
    pthread_mutex_t lock;
    struct image file[FILES_MAX];
    unsigned file_count;
    struct names steps[STEPS_MAX]; /* [0]: flushed; then each change since */
    unsigned step_count;
    unsigned seed;
};

static _Thread_local bool is_inside;

static struct names *now(struct crash_disk *disk)
{
    return &disk->steps[disk->step_count - 1];
}

static struct names *step(struct crash_disk *disk)
{
    if (disk->step_count == STEPS_MAX) { /* forgets the oldest: it is less than could be lost */
        memmove(disk->steps + 1, disk->steps + 2, (STEPS_MAX - 2) * sizeof *disk->steps);
        disk->step_count--;
    }
    disk->steps[disk->step_count] = *now(disk);
    disk->step_count++;
    return now(disk);
}

/* The name within the folder; NULL: it is elsewhere. */
static const char *within(const struct crash_disk *disk, const char *path)
{
    size_t n = strlen(disk->folder);

    return path && strncmp(path, disk->folder, n) == 0 && path[n] == '/' ? path + n + 1 : NULL;
}

static struct name *find_name(struct names *names, const char *text)
{
    for (unsigned i = 0; i < names->count; i++)
        if (strcmp(names->name[i].text, text) == 0)
            return &names->name[i];
    return NULL;
}

static void remove_name(struct names *names, const char *text)
{
    struct name *name = find_name(names, text);

    if (name)
        *name = names->name[--names->count];
}

static void add_name(struct names *names, const char *text, unsigned file)
{
    remove_name(names, text);
    assert(names->count < NAMES_MAX);
    snprintf(names->name[names->count].text, sizeof names->name[0].text, "%s", text);
    names->name[names->count++].file = file;
}

static struct image *find_file(struct crash_disk *disk, int fd)
{
    struct stat stat;

    if (fstat(fd, &stat))
        return NULL;
    for (unsigned i = 0; i < disk->file_count; i++)
        if (disk->file[i].inode == stat.st_ino)
            return &disk->file[i];
    return NULL;
}

static void on_open(struct crash_disk *disk, const struct file_event *event)
{
    const char *text = within(disk, event->path);
    struct stat stat;

    if (!text || !(event->mode & FILE_CREATE))
        return;
    assert(disk->file_count < FILES_MAX);
    assert_int_equal(fstat(event->fd, &stat), 0);
    /* Our own descriptor keeps the inode's number from being given again. */
    disk->file[disk->file_count] =
        (struct image){ stat.st_ino, open(event->path, O_RDONLY | O_CLOEXEC), NULL, 0 };
    add_name(step(disk), text, disk->file_count++);
}

static void on_sync(struct crash_disk *disk, const struct file_event *event)
{
    struct image *file = find_file(disk, event->fd);
    struct stat stat;

    if (!file)
        return;
    assert_int_equal(fstat(file->fd, &stat), 0);
    file->flushed = mem_grow(file->flushed, (size_t)stat.st_size);
    file->flushed_bytes = (size_t)stat.st_size;
    assert_int_equal(pread(file->fd, file->flushed, file->flushed_bytes, 0), stat.st_size);
}

static void on_rename(struct crash_disk *disk, const struct file_event *event)
{
    const char *from = within(disk, event->path), *to = within(disk, event->to);
    struct names *names = step(disk);
    struct name *name = from ? find_name(names, from) : NULL;
    unsigned file;

    if (!name || !to)
        return;
    file = name->file;
    remove_name(names, from);
    add_name(names, to, file);
}

static void follow(struct crash_disk *disk, const struct file_event *event)
{
    switch (event->call) {
    case FILE_CALL_OPEN:
        on_open(disk, event);
        break;
    case FILE_CALL_SYNC:
        on_sync(disk, event);
        break;
    case FILE_CALL_RENAME:
        on_rename(disk, event);
        break;
    case FILE_CALL_REMOVE:
        if (within(disk, event->path))
            remove_name(step(disk), within(disk, event->path));
        break;
    case FILE_CALL_SYNC_FOLDER:
        disk->steps[0] = *now(disk);
        disk->step_count = 1;
        break;
    default:
        break;
    }
}

/* The lock is held over the call, so that what is seen after it belongs to it. */
static enum err before(void *me, const struct file_event *event, size_t *n_max)
{
    struct crash_disk *disk = me;

    (void)event;
    (void)n_max;
    if (!is_inside)
        pthread_mutex_lock(&disk->lock);
    return OK;
}

static void after(void *me, const struct file_event *event, enum err err)
{
    struct crash_disk *disk = me;

    if (is_inside)
        return;
    is_inside = true;
    if (!err)
        follow(disk, event);
    if (event->call != FILE_CALL_READ)
        disk->on_change(disk, disk->me);
    is_inside = false;
    pthread_mutex_unlock(&disk->lock);
}

struct crash_disk *crash_disk_new(
    const char *folder, void (*on_change)(struct crash_disk *disk, void *me), void *me)
{
    struct crash_disk *disk = mem_new(sizeof *disk);

    disk->faults = (struct file_faults){ disk, before, after };
    snprintf(disk->folder, sizeof disk->folder, "%s", folder);
    disk->on_change = on_change;
    disk->me = me;
    disk->step_count = 1;
    pthread_mutex_init(&disk->lock, NULL);
    file_set_faults(&disk->faults);
    return disk;
}

void crash_disk_free(struct crash_disk *disk)
{
    file_set_faults(NULL);
    for (unsigned i = 0; i < disk->file_count; i++) {
        close(disk->file[i].fd);
        free(disk->file[i].flushed);
    }
    pthread_mutex_destroy(&disk->lock);
    free(disk);
}

static bool by_chance(struct crash_disk *disk, unsigned chance)
{
    disk->seed = disk->seed * 1103515245 + 12345;
    return (disk->seed >> 16 & 255) < chance;
}

static void save_file(
    struct crash_disk *disk, const struct image *file, const char *path, unsigned chance)
{
    struct stat stat;
    uint8_t *bytes;
    FILE *to = fopen(path, "w");

    assert_non_null(to);
    assert_int_equal(fstat(file->fd, &stat), 0);
    bytes = mem_new((size_t)stat.st_size);
    assert_int_equal(pread(file->fd, bytes, (size_t)stat.st_size, 0), stat.st_size);
    for (size_t at = 0; at < (size_t)stat.st_size; at += PAGE) {
        size_t n = (size_t)stat.st_size - at < PAGE ? (size_t)stat.st_size - at : PAGE;
        if (by_chance(disk, chance))
            continue;
        memset(bytes + at, 0, n);
        if (at < file->flushed_bytes)
            memcpy(bytes + at, file->flushed + at,
                n < file->flushed_bytes - at ? n : file->flushed_bytes - at);
    }
    assert_int_equal(fwrite(bytes, 1, (size_t)stat.st_size, to), stat.st_size);
    fclose(to);
    free(bytes);
}

void crash_disk_save(struct crash_disk *disk, const char *to, unsigned chance)
{
    const struct names *names;
    unsigned number = 0;

    while (number + 1 < disk->step_count && by_chance(disk, chance))
        number++;
    names = &disk->steps[number];
    assert_int_equal(mkdir(to, 0700), 0);
    for (unsigned i = 0; i < names->count; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/%s", to, names->name[i].text);
        save_file(disk, &disk->file[names->name[i].file], path, chance);
    }
}

void crash_disk_lock(struct crash_disk *disk)
{
    pthread_mutex_lock(&disk->lock);
    is_inside = true;
}

void crash_disk_unlock(struct crash_disk *disk)
{
    is_inside = false;
    pthread_mutex_unlock(&disk->lock);
}
