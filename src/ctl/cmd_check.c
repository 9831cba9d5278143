#include "ctl/check_nodes.h"
#include "ctl/print.h"
#include "ctl/tool.h"
#include "directory/directory.h"
#include "proto/ctl/ctl.h"

#include <sys/stat.h>
#include <sysexits.h>

static void print_json(const struct complaint *complaint)
{
    struct ctl_object *row = ctl_new();

    ctl_set_text(row, "file", bytes_text(complaint->where.file));
    ctl_set_number(row, "line", complaint->where.line);
    ctl_set_text(row, "level", bytes_text(complaint->is_warning ? "warning" : "error"));
    ctl_set_text(row, "text", bytes_text(complaint->text));
    ctl_set_text(row, "hint", bytes_text(complaint->hint));
    print_json_row(row);
    ctl_free(row);
}

static void print_all(const struct tool *tool, const struct complaints *complaints)
{
    char text[1000];

    for (size_t i = 0; i < complaints->count; i++) {
        if (tool->is_json) {
            print_json(&complaints->list[i]);
            continue;
        }
        complaint_format(&complaints->list[i], text);
        fprintf(stderr, "%s\n", text);
    }
}

static size_t count_warnings(const struct complaints *complaints)
{
    size_t n = 0;

    for (size_t i = 0; i < complaints->count; i++)
        n += complaints->list[i].is_warning;
    return n;
}

/* What keeps the file from being read, in words. */
static const char *what_keeps_it(const char *file, enum err err)
{
    struct stat about;

    if (err != ERR_IO || stat(file, &about) != 0 || S_ISREG(about.st_mode))
        return err_text(err);
    return S_ISDIR(about.st_mode) ? "a folder, not a file" : "no ordinary file";
}

int cmd_check(struct tool *tool, int argc, char **argv)
{
    struct complaints complaints = { 0 };
    size_t warnings;
    enum err err;
    int code;

    if (!tool_options(tool, &argc, argv, NULL, 0, &code))
        return code;
    if (argc > 1)
        return tool_usage(tool, "one file at a time");
    if (argc == 1)
        tool->config_file = argv[0];
    err = directory_read_file(tool->config_file, &tool->settings, &complaints);
    if (err == OK)
        check_named_nodes(tool->settings, &complaints);
    print_all(tool, &complaints);
    warnings = count_warnings(&complaints);
    if (err == OK) {
        if (!tool->is_json)
            printf("%s: ok%s\n", tool->config_file, warnings ? ", with warnings" : "");
        code = EX_OK;
    } else if (err == ERR_SYNTAX) {
        code = tool_fail(tool, EX_CONFIG, "%s: %zu mistake%s", tool->config_file,
            complaints.count - warnings, complaints.count - warnings == 1 ? "" : "s");
    } else {
        code =
            tool_fail(tool, err == ERR_NONE || err == ERR_DENIED ? tool_code(err) : EX_CONFIG,
                "%s: %s", tool->config_file, what_keeps_it(tool->config_file, err));
    }
    complaints_done(&complaints);
    return code;
}
