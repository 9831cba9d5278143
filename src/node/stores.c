/* The file of stores: written behind, the latest state together with all that waits for it. */
#include "node/stores.h"

#include "base/mem.h"
#include "os/file.h"
#include "report/report.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { AGAIN_MS = 1000, PATH_BYTES = 4096 };

struct stores {
    struct loop_work work;
    struct loop *home;
    struct timer again;
    char *folder;
    void (*on_written)(void *me, uint64_t tag);
    void *me;
    struct buf next;    /* the latest text */
    struct buf writing; /* the pool's while is_working */
    enum err err;       /* of the last write */
    uint64_t *tags;     /* those that wait, oldest first; */
    uint32_t tag_count, tag_room;
    uint32_t tags_writing; /* so many are answered by the write under way */
    bool is_working, is_dirty, is_told;
};

/* --- The file ---------------------------------------------------------------------------- */

static void path_of(const char *folder, char out[PATH_BYTES])
{
    snprintf(out, PATH_BYTES, "%s/stores", folder);
}

enum err stores_write(const char *folder, struct bytes text)
{
    char path[PATH_BYTES];

    path_of(folder, path);
    return file_replace(path, text, 0600);
}

enum err stores_read(
    const char *folder, struct ledger_store **out, uint32_t *count, char why[STORES_WHY_BYTES])
{
    char path[PATH_BYTES];
    struct buf text;
    enum err err;

    path_of(folder, path);
    buf_init(&text, STORES_BYTES_MAX);
    err = file_read_all(path, STORES_BYTES_MAX, &text);
    if (err == ERR_NONE) {
        *out = NULL;
        *count = 0;
        err = OK;
    } else if (err == OK) {
        err = stores_parse(buf_bytes(&text), path, out, count, why);
    } else {
        snprintf(why, STORES_WHY_BYTES, "%s: %s", path, err_text(err));
    }
    buf_done(&text);
    return err;
}

/* --- Behind ------------------------------------------------------------------------------ */

static void run_write(struct loop_work *work)
{
    struct stores *stores = container_of(work, struct stores, work);

    stores->err = stores_write(stores->folder, buf_bytes(&stores->writing));
}

static void begin(struct stores *stores)
{
    struct buf writing = stores->writing;

    stores->writing = stores->next;
    stores->next = writing;
    buf_clear(&stores->next);
    stores->tags_writing = stores->tag_count;
    stores->is_dirty = false;
    stores->is_working = true;
    loop_work(stores->home, &stores->work);
}

/* What was being written is the latest still, unless a change came meanwhile. */
static void take_back(struct stores *stores)
{
    if (!stores->is_dirty) {
        struct buf next = stores->next;
        stores->next = stores->writing;
        stores->writing = next;
        stores->is_dirty = true;
    }
    if (!stores->is_told)
        report_notice(REPORT_ERROR, "%s/stores cannot be written, tried again: %s",
            stores->folder, err_text(stores->err));
    stores->is_told = true;
    timer_start(&stores->again, AGAIN_MS);
}

static void done_write(struct loop_work *work)
{
    struct stores *stores = container_of(work, struct stores, work);
    uint32_t count = stores->tags_writing;

    stores->is_working = false;
    if (stores->err != OK) {
        take_back(stores);
        return;
    }
    stores->is_told = false;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t tag = stores->tags[i]; /* the callee may add further ones */
        stores->on_written(stores->me, tag);
    }
    stores->tag_count -= count;
    memmove(stores->tags, stores->tags + count, stores->tag_count * sizeof *stores->tags);
    if (stores->is_dirty && !stores->is_working)
        begin(stores);
}

static void on_again(struct timer *timer)
{
    struct stores *stores = container_of(timer, struct stores, again);

    if (stores->is_dirty && !stores->is_working)
        begin(stores);
}

struct stores *stores_new(
    struct loop *home, const char *folder, void (*on_written)(void *me, uint64_t tag), void *me)
{
    struct stores *stores = mem_new(sizeof *stores);

    stores->home = home;
    stores->folder = mem_text(folder);
    stores->on_written = on_written;
    stores->me = me;
    stores->work.run = run_write;
    stores->work.done = done_write;
    buf_init(&stores->next, STORES_BYTES_MAX);
    buf_init(&stores->writing, STORES_BYTES_MAX);
    timer_init(&stores->again, home, on_again);
    return stores;
}

void stores_change(
    struct stores *stores, const struct ledger_store *list, uint32_t count, uint64_t tag)
{
    buf_clear(&stores->next);
    if (stores_format(list, count, &stores->next) != OK)
        abort(); /* the ledger knows a bounded number, far below the ceiling */
    if (stores->tag_count == stores->tag_room) {
        stores->tag_room = stores->tag_room ? stores->tag_room * 2 : 8;
        stores->tags = mem_grow(stores->tags, stores->tag_room * sizeof *stores->tags);
    }
    stores->tags[stores->tag_count++] = tag;
    stores->is_dirty = true;
    if (!stores->is_working && !timer_is_running(&stores->again))
        begin(stores);
}

bool stores_is_idle(const struct stores *stores)
{
    return !stores->is_working && !stores->is_dirty;
}

bool stores_may_free(const struct stores *stores)
{
    return !stores->is_working;
}

void stores_free(struct stores *stores)
{
    if (!stores)
        return;
    assert(stores_may_free(stores));
    timer_stop(&stores->again);
    buf_done(&stores->next);
    buf_done(&stores->writing);
    free(stores->tags);
    free(stores->folder);
    free(stores);
}
