/* What a disk would have if the power went now: of each file in a folder the bytes that were
 * flushed, of the folder the names that were flushed, and by chance some of the rest. */
#ifndef TESTS_CRASH_DISK_H
#define TESTS_CRASH_DISK_H

#include "kit.h"

struct crash_disk;

/* From now on all changes in FOLDER are followed.  ON_CHANGE is called after each, by any
 * thread, one at a time; what it does with files is not followed. */
struct crash_disk *crash_disk_new(
    const char *folder, void (*on_change)(struct crash_disk *disk, void *me), void *me);
void crash_disk_free(struct crash_disk *disk);

/* CHANCE of 256: how likely a page of 4 KiB that was written and not flushed is there, and
 * likewise the names.  0: nothing unflushed; 256: all.  Within crash_disk_lock(). */
void crash_disk_save(struct crash_disk *disk, const char *to, unsigned chance);

/* Keeps ON_CHANGE away. */
void crash_disk_lock(struct crash_disk *disk);
void crash_disk_unlock(struct crash_disk *disk);

#endif
