/* Settings that count only when the daemon starts.  A reload goes on with those of the start, and
 * warns of what the file has in their place: else a changed state_folder alone would take the
 * accounts and the node's key away from the daemon that runs. */
#include "directory/option.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

enum kind { TEXT, NUMBER_32, NUMBER_64 };

#define AT(member) offsetof(struct settings, member)

static const struct start_option {
    const char *block, *name; /* block NULL: of the top level */
    enum kind kind;
    size_t at;
} start_options[] = {
    { NULL, "control_socket", TEXT, AT(control_socket) },
    { NULL, "state_folder", TEXT, AT(state_folder) },
    { NULL, "kerberos_keytab", TEXT, AT(kerberos_keytab) },
    { "spool", "folder", TEXT, AT(spool_folder) },
    { "spool", "size", NUMBER_64, AT(spool_bytes_max) },
    { "spool", "segment_size", NUMBER_64, AT(spool_segment_bytes) },
    { "spool", "free_space", NUMBER_64, AT(spool_free_bytes_min) },
    { "spool", "memory", NUMBER_64, AT(spool_memory_bytes_max) },
    { "limits", "loops", NUMBER_32, AT(loop_count) },
};
enum { COUNT = sizeof start_options / sizeof *start_options };

struct directory_start {
    struct settings *settings; /* nothing of them but the options above, and the fqdn */
};

static void *place(const struct start_option *option, struct settings *settings)
{
    return (char *)settings + option->at;
}

static const char *text_of(const struct start_option *option, struct settings *settings)
{
    return *(char **)place(option, settings);
}

static uint64_t number_of(const struct start_option *option, struct settings *settings)
{
    return option->kind == NUMBER_32 ? *(uint32_t *)place(option, settings)
                                     : *(uint64_t *)place(option, settings);
}

static bool is_same(
    const struct start_option *option, struct settings *one, struct settings *other)
{
    const char *a, *b;

    if (option->kind != TEXT)
        return number_of(option, one) == number_of(option, other);
    a = text_of(option, one);
    b = text_of(option, other);
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static void copy(const struct start_option *option, struct settings *from, struct settings *to)
{
    if (option->kind == TEXT) {
        char **text = place(option, to);
        free(*text);
        *text = text_of(option, from) ? mem_text(text_of(option, from)) : NULL;
    } else if (option->kind == NUMBER_32) {
        *(uint32_t *)place(option, to) = *(uint32_t *)place(option, from);
    } else {
        *(uint64_t *)place(option, to) = *(uint64_t *)place(option, from);
    }
}

struct directory_start *directory_start_new(struct settings *settings)
{
    struct directory_start *start = mem_new(sizeof *start);

    start->settings = settings_new(settings->fqdn);
    for (size_t i = 0; i < COUNT; i++)
        copy(&start_options[i], settings, start->settings);
    return start;
}

void directory_start_free(struct directory_start *start)
{
    if (start)
        settings_free(start->settings);
    free(start);
}

static struct source_line line_of(
    const struct start_option *option, const struct config_item *root)
{
    const struct config_item *block = option->block ? config_find(root, option->block) : root;
    const struct config_item *item = block ? config_find(block, option->name) : NULL;

    return item ? item->where : block ? block->where : root->where;
}

static void warn(struct reader *reader, const struct start_option *option,
    struct settings *start, const struct config_item *root)
{
    char value[300];
    struct complaint *complaint;

    if (option->kind == TEXT)
        snprintf(value, sizeof value, "%s",
            text_of(option, start) ? text_of(option, start) : "not set");
    else
        snprintf(value, sizeof value, "%" PRIu64, number_of(option, start));
    complaint = complain_warning(reader->complaints, line_of(option, root),
        "'%s' counts only when the daemon starts; until then it stays %s", option->name, value);
    if (strcmp(option->name, "control_socket") == 0)
        complaint_hint(complaint, "restart relaisd; until then: relais --socket %s", value);
    else
        complaint_hint(complaint, "restart relaisd");
}

void keep_start(struct reader *reader, const struct config_item *root)
{
    struct settings *start = reader->start ? reader->start->settings : NULL;

    if (!start)
        return;
    for (size_t i = 0; i < COUNT; i++) {
        if (is_same(&start_options[i], start, reader->settings))
            continue;
        warn(reader, &start_options[i], start, root);
        copy(&start_options[i], start, reader->settings);
    }
    if (reader->settings->node_count && strcmp(start->fqdn, reader->settings->fqdn) != 0)
        complaint_hint(
            complain_warning(reader->complaints,
                line_of(&(struct start_option){ NULL, "fqdn", TEXT, AT(fqdn) }, root),
                "as the name among the nodes 'fqdn' counts only when the daemon starts; until "
                "then it stays %s there",
                start->fqdn),
            "restart relaisd");
}
