/* A configuration file as a tree, before anything in it means something: inside of directory/.
 * Main loop's thread; reading blocks.
 *
 *     name = value
 *     name = { value, value }       and name = [ value, value ]
 *     name += { value }             adds to a list
 *     name { ... }                  a block
 *     name "title" { ... }          a block with a title
 *     include("file")               relative to the folder of the file it stands in
 *     include("folder/x*")      all of that pattern (glob(7)), by name; none is no mistake
 */
#ifndef DIRECTORY_SYNTAX_H
#define DIRECTORY_SYNTAX_H

#include "directory/complain.h"

enum config_kind { CONFIG_VALUE, CONFIG_LIST, CONFIG_BLOCK };

struct config_value {
    char *text;
    int line;
};

struct config_item {
    struct config_item *next;
    enum config_kind kind;
    struct source_line where; /* of its name */
    char *name;
    bool is_hidden;              /* it stands behind a password, and may be a piece of it */
    char *title;                 /* blocks; NULL: none */
    bool is_append;              /* += */
    struct config_value *values; /* one of a CONFIG_VALUE */
    size_t value_count;
    struct config_item *first, *last; /* a block's items */
};

struct config {
    struct config_item root; /* a block */
    char **files; /* names that source lines point to; the first is the file itself */
    size_t file_count;
    struct directory_change *change; /* borrowed; may be NULL */
};

/* Reads TEXT, called NAME, and what it includes, with CHANGE (may be NULL).  Whatever is wrong
 * is complained of and jumped over, so there is always a tree.  config_done() gives it back. */
void config_parse(struct bytes text, const char *name, struct directory_change *change,
    struct config *out, struct complaints *complaints);
void config_done(struct config *config);

/* Its name in a complaint. */
static inline const char *config_shown(const struct config_item *item)
{
    return item->is_hidden ? "..." : item->name;
}

/* The first item of that name in a block, or NULL. */
const struct config_item *config_find(const struct config_item *block, const char *name);
/* The one that sets it, in place of a default; NULL: none does.  A list that is only added to (+=)
 * keeps its default. */
const struct config_item *config_find_set(const struct config_item *block, const char *name);

/* Reads a whole file.  ERR_NONE, ERR_DENIED; ERR_LIMIT: larger than any configuration;
 * ERR_IO: it cannot be read, or is not a plain file. */
struct buf;
enum err config_load(const char *file, struct buf *out) MUST_USE;
/* The same, but with CHANGE. */
enum err config_load_changed(
    const char *file, struct directory_change *change, struct buf *out) MUST_USE;

/* include.c: the files that include(PATH) in FILE means, in the order to read them. */
struct config_paths {
    char **list;
    size_t count;
};
/* An error is of the folder a pattern looks into.  Without a pattern there is one path, which
 * may not exist. */
enum err config_paths_find(const char *file, const char *path,
    const struct directory_change *change, struct config_paths *out) MUST_USE;
void config_paths_done(struct config_paths *paths);

#endif
