#include "directory_kit.h"

#include <stdio.h>
#include <unistd.h>

void list_complaints(const struct complaints *complaints, bool full, char out[8000])
{
    size_t n = 0;

    out[0] = '\0';
    for (size_t i = 0; i < complaints->count && n < 7000; i++) {
        const struct complaint *c = &complaints->list[i];
        n += (size_t)snprintf(out + n, 8000 - n, "%d%s %s%s%s\n", c->where.line,
            c->is_warning ? "?" : ":", c->text, full && c->hint[0] ? " | " : "",
            full ? c->hint : "");
    }
}

void check_parts(const char *name, const char *got, const char *want)
{
    char parts[1000];
    char *part, *rest = parts;
    const char *at = got;

    snprintf(parts, sizeof parts, "%s", want);
    while ((part = strsep(&rest, "~"))) {
        at = strstr(at, part);
        if (!at)
            fail_msg("%s: no \"%s\" in\n%s", name, part, got);
    }
}

void write_file(const char *folder, const char *name, const char *text)
{
    char path[200];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "w");
    check(path, file && fputs(text, file) >= 0 && fclose(file) == 0);
}

void remove_file(const char *folder, const char *name)
{
    char path[200];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    check(path, unlink(path) == 0);
}
