/* `metrics`: what Prometheus reads, for a textfile collector or whoever asks. */
#include "ctl/link.h"
#include "ctl/tool.h"

#include <sysexits.h>

static void print(const struct ctl_object *answer)
{
    const char *text = ctl_text(answer, "text");

    if (text)
        fputs(text, stdout);
}

int cmd_metrics(struct tool *tool, int argc, char **argv)
{
    struct ctl_object *request;
    int code;

    if (!tool_options_only(tool, argc, argv, NULL, 0, &code))
        return code;
    request = link_request("metrics");
    return link_show(tool, &request, print, link_needed);
}
