/* `reload` and `stop`: what only the daemon can do. */
#include "ctl/link.h"
#include "ctl/print.h"
#include "ctl/tool.h"

#include <inttypes.h>
#include <sysexits.h>

/* "removed: 3 messages"; or DONE alone where the daemon does not count them. */
static void say(const struct ctl_object *answer, const char *done)
{
    int64_t count = ctl_number(answer, done, -1), busy = ctl_number(answer, "busy", 0);

    for (size_t i = 0; i < ctl_list_count(answer, "complaints"); i++) {
        const char *text = ctl_list_text(answer, "complaints", i); /* warnings */
        if (text)
            fprintf(stderr, "%s\n", text);
    }
    if (count >= 0)
        printf("%s: %" PRId64 " message%s\n", done, count, count == 1 ? "" : "s");
    else
        puts(done);
    if (busy)
        fprintf(stderr, "being delivered just now, so not %s: %" PRId64 "\n", done, busy);
}

static int ask(struct tool *tool, struct ctl_object **request, const char *done)
{
    struct ctl_object *answer = NULL;
    int code = link_ask(tool, request, NULL, &answer);

    if (code == LINK_DOWN)
        return link_needed(tool);
    if (code == EX_OK && answer) {
        if (tool->is_json)
            print_json_row(answer);
        else
            say(answer, done);
        if (ctl_number(answer, "busy", 0))
            code = EX_TEMPFAIL;
    }
    ctl_free(answer);
    return code;
}

static int simple(
    struct tool *tool, int argc, char **argv, const char *command, const char *done)
{
    struct ctl_object *request;
    int code;

    if (!tool_options_only(tool, argc, argv, NULL, 0, &code))
        return code;
    request = link_request(command);
    return ask(tool, &request, done);
}

int cmd_reload(struct tool *tool, int argc, char **argv)
{
    return simple(tool, argc, argv, "reload", "reloaded");
}

int cmd_stop(struct tool *tool, int argc, char **argv)
{
    return simple(tool, argc, argv, "stop", "stopping");
}
