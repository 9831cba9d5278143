/* What can be trusted of settings whose file has mistakes.
 *
 * An option that was read without a complaint is as the file has it.  One that is not in the tree
 * is at its default only if the file does not have it: the mistake may have hidden it.  So its name
 * must not stand anywhere in the text, no misspelt neighbour may have been meant for it, and no file
 * that is included may be out of sight. */
#include "directory/option.h"

#include <ctype.h>

static const struct place {
    unsigned bit;
    const char *block, *option; /* block NULL: of the top level */
} places[] = {
    { DIRECTORY_CONTROL_SOCKET, NULL, "control_socket" },
    { DIRECTORY_SPOOL_FOLDER, "spool", "folder" },
    { DIRECTORY_STATE_FOLDER, NULL, "state_folder" },
    { DIRECTORY_STATE_FOLDER, "spool", "folder" }, /* it stands beside the spool */
    { DIRECTORY_POISON, "queue", "poison_threshold" },
    { DIRECTORY_TRACKING_LOG, "log", "tracking_file" },
    { DIRECTORY_TRACKING_LOG, "log", "files" },
};

struct look {
    const struct config *config;
    const struct complaints *complaints;
    struct bytes text;
    bool is_whole;
};

static bool is_name_byte(uint8_t c)
{
    return isalnum(c) || c == '_';
}

/* Whether NAME stands in the text as a word, in a line that is no comment. */
static bool has_word(struct bytes text, const char *name)
{
    size_t n = strlen(name);

    while (text.n) {
        size_t end = bytes_find(text, '\n');
        struct bytes line = bytes_first(text, end == BYTES_NOT_FOUND ? text.n : end);
        text = bytes_skip(text, line.n + (end != BYTES_NOT_FOUND));
        while (line.n && (line.at[0] == ' ' || line.at[0] == '\t'))
            line = bytes_skip(line, 1);
        if (line.n && line.at[0] == '#')
            continue;
        for (size_t i = 0; i + n <= line.n; i++) {
            if (memcmp(line.at + i, name, n) == 0 &&
                (i == 0 || !is_name_byte(line.at[i - 1])) &&
                (i + n == line.n || !is_name_byte(line.at[i + n])))
                return true;
        }
    }
    return false;
}

static bool is_line_wrong(const struct look *look, const char *file, int line)
{
    for (size_t i = 0; i < look->complaints->count; i++) {
        const struct complaint *complaint = &look->complaints->list[i];
        if (!complaint->is_warning && complaint->where.line == line &&
            strcmp(complaint->where.file, file) == 0)
            return true;
    }
    return false;
}

static bool is_item_wrong(const struct look *look, const struct config_item *item)
{
    bool is_wrong = is_line_wrong(look, item->where.file, item->where.line);

    for (size_t i = 0; i < item->value_count; i++)
        is_wrong |= is_line_wrong(look, item->where.file, item->values[i].line);
    return is_wrong;
}

static const char *only_name(const void *me, size_t i)
{
    return i == 0 ? me : NULL;
}

/* The one item of that name; NULL: it is not there.  False: it is there twice, or may be meant by
 * another that is misspelt. */
static bool find_one(const struct look *look, const struct config_item *block, const char *name,
    const struct config_item **out)
{
    *out = NULL;
    for (const struct config_item *item = block->first; item; item = item->next) {
        if (strcmp(item->name, name) != 0) {
            if (nearest_name(item->name, only_name, name) && is_item_wrong(look, item))
                return false;
            continue;
        }
        if (*out)
            return false;
        *out = item;
    }
    return true;
}

static bool is_at_default(const struct look *look, const char *name)
{
    return look->is_whole || (!has_word(look->text, name) && !has_word(look->text, "include"));
}

static bool is_sure(const struct look *look, const struct place *place)
{
    const struct config_item *block = &look->config->root, *item;

    if (place->block) {
        if (!find_one(look, block, place->block, &item) || (item && item->kind != CONFIG_BLOCK))
            return false;
        if (!item)
            return is_at_default(look, place->option);
        block = item;
    }
    if (!find_one(look, block, place->option, &item))
        return false;
    return item ? !is_item_wrong(look, item) : is_at_default(look, place->option);
}

unsigned places_unsure(const struct config *config, struct bytes text, bool is_whole,
    const struct complaints *complaints)
{
    struct look look = { config, complaints, text, is_whole };
    unsigned unsure = DIRECTORY_REST;

    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (complaints->count == COMPLAINTS_MAX || !is_sure(&look, &places[i]))
            unsure |= places[i].bit;
    }
    return unsure;
}
