/* The store file: which store a spool is.  It is written whole under another name, flushed, and
 * then gets its name: there is always one that holds. */
#include "base/mem.h"
#include "os/clock.h"
#include "spool/internal.h"

#include <stdio.h>
#include <stdlib.h>

static enum err say(char why[256], const char *path, const char *what, enum err err)
{
    snprintf(why, 256, "%s: %s: %s", path, what, err_text(err));
    return err;
}

static bool makes_sense(const struct store_head *head)
{
    return head->version >= STORE_VERSION_OLDEST && head->version <= STORE_VERSION &&
           head->segment_bytes >= SEGMENT_BYTES_MIN && head->segment_bytes <= SEGMENT_BYTES_MAX;
}

static enum err read_path(const char *path, struct store_head *out, char why[256])
{
    struct buf text;
    enum err err;

    buf_init(&text, 2 * STORE_BYTES);
    err = file_read_all(path, 2 * STORE_BYTES, &text);
    if (!err && !store_head_decode(buf_bytes(&text), out))
        err = ERR_CORRUPT;
    if (err)
        say(why, path, "not a spool's store file", err);
    if (!err && !makes_sense(out)) {
        err = ERR_CORRUPT;
        snprintf(why, 256, "%s: format %u, and this version knows %d", path, out->version,
            STORE_VERSION);
    }
    buf_done(&text);
    return err;
}

enum err store_read(const char *folder, struct store_head *out, char why[256])
{
    char *path = path_of(folder, "store");
    enum err err = read_path(path, out, why);

    free(path);
    return err;
}

static enum err write_unfinished(const char *path, const struct store_head *head)
{
    uint8_t bytes[STORE_BYTES];
    struct file file;
    enum err err;

    err_ignore(file_remove(path)); /* of a life that ended here */
    store_head_encode(head, bytes);
    err = file_open(path, FILE_READ | FILE_WRITE | FILE_CREATE, &file);
    if (err)
        return err;
    err = file_write_at(file, bytes_of(bytes, sizeof bytes), 0);
    if (!err)
        err = file_sync(file);
    file_close(&file);
    return err;
}

enum err store_write(const char *folder, const struct store_head *head)
{
    char *unfinished = path_of(folder, "store.tmp"), *path = path_of(folder, "store");
    enum err err = write_unfinished(unfinished, head);

    if (!err)
        err = file_rename(unfinished, path);
    if (!err)
        err = folder_sync(folder);
    free(unfinished);
    free(path);
    return err;
}

/* --- At opening -------------------------------------------------------------------------- */

static enum err has_segment(const char *name, void *me)
{
    uint64_t base;

    (void)me;
    return segment_name_parse(name, &base) ? ERR_EXISTS : OK;
}

static enum err create(const char *folder, uint64_t segment_bytes, char why[256])
{
    struct store_head head = { .version = STORE_VERSION, .segment_bytes = segment_bytes };
    enum err err = folder_each(folder, has_segment, NULL);

    random_fill(head.id.byte, sizeof head.id.byte);
    if (err == ERR_EXISTS) {
        snprintf(why, 256, "%s/store: missing, but the folder has a log", folder);
        return ERR_CORRUPT;
    }
    if (err)
        return say(why, folder, "reading the folder", err);
    err = store_write(folder, &head);
    return err ? say(why, folder, "making the store file", err) : OK;
}

/* What an older version does not know may stand in the log from now on: it is to say so, rather
 * than to call it damage. */
static enum err upgrade(const char *folder, struct store_head *head, char why[256])
{
    enum err err;

    if (head->version == STORE_VERSION)
        return OK;
    head->version = STORE_VERSION;
    err = store_write(folder, head);
    return err ? say(why, folder, "writing the store file anew", err) : OK;
}

enum err store_ensure(const char *folder, uint64_t segment_bytes, char why[256])
{
    char *path = path_of(folder, "store");
    struct store_head head;
    struct file file;
    enum err err = file_open(path, FILE_READ, &file);

    if (!err) {
        file_close(&file);
        err = read_path(path, &head, why);
        if (!err)
            err = upgrade(folder, &head, why);
    } else if (err == ERR_NONE) {
        err = create(folder, segment_bytes, why);
    } else {
        say(why, path, "opening it", err);
    }
    free(path);
    return err;
}
