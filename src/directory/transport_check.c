/* Whether a change of the transport configuration leaves a configuration without mistakes. */
#include "directory/complain.h"

#include <stdio.h>
#include <string.h>

/* The first mistake.  One that is in the change itself has no line to speak of yet. */
static void say_mistake(const struct complaints *complaints, const char *file, char why[512])
{
    const struct complaint *first = NULL;
    char text[1000];

    for (size_t i = 0; i < complaints->count && !first; i++)
        first = complaints->list[i].is_warning ? NULL : &complaints->list[i];
    if (!first) {
        snprintf(why, 512, "the configuration has mistakes");
    } else if (strcmp(first->where.file, file) == 0) {
        snprintf(
            why, 512, "%.280s%s%.220s", first->text, first->hint[0] ? "; " : "", first->hint);
    } else {
        complaint_format(first, text);
        snprintf(why, 512, "%.500s", text);
    }
}

enum err directory_transport_check(
    const char *config_file, const char *file, struct bytes text, char why[512])
{
    struct directory_change change = { .file = file, .text = text };
    struct directory_query query = {
        .file = config_file, .change = &change, .may_lack_key = true
    };
    struct complaints complaints = { 0 };
    struct settings *settings = NULL;
    enum err err = directory_read(&query, &settings, &complaints);

    if (err == ERR_SYNTAX)
        say_mistake(&complaints, file, why);
    else if (err != OK)
        snprintf(why, 512, "%.400s: %s", config_file, err_text(err));
    else if (!change.was_read) {
        snprintf(why, 512, "%.200s does not read %.200s any more; reload or restart first",
            config_file, file);
        err = ERR_SYNTAX;
    }
    settings_free(settings);
    complaints_done(&complaints);
    return err;
}
