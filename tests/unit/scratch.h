/* Scratch folders of tests, and waiting on a loop. */
#ifndef TESTS_SCRATCH_H
#define TESTS_SCRATCH_H

#include "kit.h"

#include "os/clock.h"
#include "os/file.h"
#include "os/loop.h"

#include <stdio.h>
#include <unistd.h>

static inline enum err scratch_remove_one(const char *name, void *folder)
{
    char path[512];

    snprintf(path, sizeof path, "%s/%s", (const char *)folder, name);
    return file_remove(path);
}

/* Removes all files in FOLDER. */
static inline void scratch_empty(const char *folder)
{
    void *me = (void *)(uintptr_t)folder; /* read alone */

    assert_int_equal(folder_each(folder, scratch_remove_one, me), OK);
}

static inline void scratch_remove(const char *folder)
{
    scratch_empty(folder);
    assert_int_equal(rmdir(folder), 0);
}

struct scratch_wait {
    struct loop *loop;
    bool (*has_come)(void *me);
    void *me;
    struct timer look;
    int64_t last_ms;
};

static inline void scratch_look(struct timer *timer)
{
    struct scratch_wait *wait = container_of(timer, struct scratch_wait, look);

    if (wait->has_come(wait->me)) {
        loop_stop(wait->loop);
        return;
    }
    if (clock_moment().ms > wait->last_ms)
        fail_msg("it does not come");
    timer_start(timer, 1);
}

/* Runs LOOP until HAS_COME says so; fails after a minute. */
static inline void scratch_until(struct loop *loop, bool (*has_come)(void *me), void *me)
{
    struct scratch_wait wait = { loop, has_come, me, .last_ms = clock_moment().ms + 60000 };

    timer_init(&wait.look, loop, scratch_look);
    timer_start(&wait.look, 0);
    loop_run(loop);
}

#endif
