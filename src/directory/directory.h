/* Where settings come from: a file now; etcd later.  Main loop's thread; reading blocks. */
#ifndef DIRECTORY_DIRECTORY_H
#define DIRECTORY_DIRECTORY_H

#include "base/err.h"
#include "policy/settings.h"

/* One mistake, or warning, in a configuration. */
struct complaint {
    struct source_line where; /* line 0: about the whole file */
    bool is_warning;
    char text[400]; /* what is wrong */
    char hint[400]; /* what would be right; may be empty */
};

/* Zeroed before the first use.  In the order of files and lines. */
struct complaints {
    struct complaint *list;
    size_t count, room, error_count;
    char **files; /* the names that `where` points to */
    size_t file_count;
};
enum { COMPLAINTS_MAX = 1000 }; /* more are counted, not kept */
void complaints_done(struct complaints *complaints);

/* Reads FILE (and what it includes).  All mistakes are found, not the first alone.
 * ERR_SYNTAX: there are mistakes; *out is untouched.  ERR_NONE: no such file; ERR_DENIED.
 * On success there may be warnings.  *out is to be given back by settings_free(). */
enum err directory_read_file(
    const char *file, struct settings **out, struct complaints *complaints) MUST_USE;

/* The same from bytes: for tests and fuzzers.  NAME is what complaints call it; included files
 * are read from its folder. */
enum err directory_read_text(struct bytes text, const char *name, struct settings **out,
    struct complaints *complaints) MUST_USE;

/* "relais.conf:12: error: unknown option 'foo'\n    hint: did you mean 'for'?" */
void complaint_format(const struct complaint *complaint, char out[1000]);

#endif
