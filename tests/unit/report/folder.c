#include "folder.h"

#include "kit.h"

#include "os/file.h"

#include <stdio.h>
#include <stdlib.h>

static char folder[] = "/tmp/relais-report-XXXXXX";

char *path_of(const char *name)
{
    static char path[4][200];
    static unsigned at;

    at = (at + 1) % 4;
    snprintf(path[at], sizeof path[at], "%s/%s", folder, name);
    return path[at];
}

int scratch_make(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static enum err remove_one(const char *name, void *me)
{
    (void)me;
    return file_remove(path_of(name));
}

int scratch_remove(void **state)
{
    (void)state;
    return folder_each(folder, remove_one, NULL) == OK ? remove(folder) : -1;
}
