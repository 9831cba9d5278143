/* Which files an include() means.
 *
 * A pattern leaves out names that begin with a dot, as in a shell: a file that is being written
 * has such a name until it is whole. */
#include "base/mem.h"
#include "directory/syntax.h"

#include <errno.h>
#include <fnmatch.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

enum { PATH_BYTES_MAX = 4096 };

static const char pattern_signs[] = "*?[";

/* PATH as seen from the folder of FILE.  That folder is no pattern, whatever its name. */
static void path_from(
    const char *file, const char *path, bool is_pattern, char out[PATH_BYTES_MAX])
{
    const char *slash = strrchr(file, '/');
    size_t n = 0;

    if (path[0] != '/' && slash) {
        for (; file <= slash && n < PATH_BYTES_MAX - 2; file++) {
            if (is_pattern && (strchr(pattern_signs, *file) || *file == '\\'))
                out[n++] = '\\';
            out[n++] = *file;
        }
    }
    snprintf(out + n, PATH_BYTES_MAX - n, "%s", path);
}

static void add(struct config_paths *paths, const char *path)
{
    paths->list = mem_grow(paths->list, (paths->count + 1) * sizeof *paths->list);
    paths->list[paths->count++] = mem_text(path);
}

void config_paths_done(struct config_paths *paths)
{
    for (size_t i = 0; i < paths->count; i++)
        free(paths->list[i]);
    free(paths->list);
    *paths = (struct config_paths){ 0 };
}

static int is_real_error(const char *path, int error)
{
    (void)path;
    return error != ENOENT && error != ENOTDIR;
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* What is there, with the file that CHANGE brings and without the one it takes away. */
static void add_matches(struct config_paths *paths, const glob_t *found, const char *pattern,
    const struct directory_change *change)
{
    for (size_t i = 0; i < found->gl_pathc; i++) {
        if (!change || strcmp(change->file, found->gl_pathv[i]) != 0)
            add(paths, found->gl_pathv[i]);
    }
    if (change && !change->is_gone &&
        fnmatch(pattern, change->file, FNM_PATHNAME | FNM_PERIOD) == 0)
        add(paths, change->file);
    if (paths->count)
        qsort(paths->list, paths->count, sizeof *paths->list, compare_paths);
}

enum err config_paths_find(const char *file, const char *path,
    const struct directory_change *change, struct config_paths *out)
{
    bool is_pattern = strpbrk(path, pattern_signs) != NULL;
    char full[PATH_BYTES_MAX];
    glob_t found = { 0 };
    int result;

    *out = (struct config_paths){ 0 };
    path_from(file, path, is_pattern, full);
    if (!is_pattern) {
        add(out, full);
        return OK;
    }
    errno = 0;
    result = glob(full, 0, is_real_error, &found);
    if (result == 0 || result == GLOB_NOMATCH)
        add_matches(out, &found, full, change);
    globfree(&found);
    return result == 0 || result == GLOB_NOMATCH ? OK
           : result == GLOB_ABORTED              ? ERR_DENIED
                                                 : ERR_LIMIT;
}
