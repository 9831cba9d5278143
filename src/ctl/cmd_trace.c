#include "ctl/link.h"
#include "ctl/print.h"
#include "ctl/tool.h"

#include <sysexits.h>

struct trace {
    const struct tool *tool;
    uint64_t rows;
};

static bool on_row(void *me, const struct ctl_object *row)
{
    struct trace *trace = me;
    const char *line = ctl_text(row, "line");

    trace->rows++;
    if (trace->tool->is_json) {
        print_json_row(row);
    } else if (line) {
        print_clean(bytes_text(line));
        putchar('\n');
    }
    return true;
}

/* What is not in the logs, or could not be read of them. */
static void say_missing(const struct ctl_object *end)
{
    if (!ctl_bool(end, "written"))
        fputs("relais trace: the disk of the logs hangs: what happened last is not in them\n",
            stderr);
    for (size_t i = 0; i < ctl_list_count(end, "missing"); i++) {
        const char *text = ctl_list_text(end, "missing", i);
        if (text)
            fprintf(stderr, "relais trace: %s; what it says is not known\n", text);
    }
}

int cmd_trace(struct tool *tool, int argc, char **argv)
{
    struct trace trace = { tool, 0 };
    struct link_reader reader = { on_row, &trace };
    struct ctl_object *request, *end = NULL;
    int code;

    if (!tool_options(tool, &argc, argv, NULL, 0, &code))
        return code;
    if (argc != 1)
        return tool_usage(tool, "one id of a session or message is needed");
    request = link_request("trace");
    ctl_set_text(request, "id", bytes_text(argv[0]));
    code = link_ask(tool, &request, &reader, &end);
    if (code == LINK_DOWN)
        return link_needed(tool); /* without it, look into the logs yourself */
    if (code == EX_OK && trace.rows == 0)
        return tool_fail(tool, EX_NOINPUT, "nothing is known of it (any more)");
    if (code == EX_OK && ctl_bool(end, "cut"))
        fputs("relais trace: there are more lines of the session in the logs\n", stderr);
    if (code == EX_OK)
        say_missing(end);
    ctl_free(end);
    return code;
}
