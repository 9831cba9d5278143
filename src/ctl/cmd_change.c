/* Commands that change something, so that only the daemon can do them: `retry`, `remove`,
 * `reload`, `stop`. */
#include "base/id.h"
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

static bool is_id(const char *text)
{
    struct mid mid;

    return mid_parse(bytes_text(text), &mid);
}

int cmd_retry(struct tool *tool, int argc, char **argv)
{
    bool all = false;
    const struct option options[] = {
        { "all", 'a', OPTION_FLAG, &all, NULL, "everything that waits" },
    };
    struct ctl_object *request;
    int code;

    if (!tool_options(tool, &argc, argv, options, OPTION_COUNT(options), &code))
        return code;
    if (all ? argc != 0 : argc != 1)
        return tool_usage(tool, "a message id, a queue, or --all");
    request = link_request("retry");
    if (all)
        ctl_set_bool(request, "all", true);
    else
        ctl_set_text(request, is_id(argv[0]) ? "id" : "queue", bytes_text(argv[0]));
    return ask(tool, &request, "retried");
}

static int remove_one(struct tool *tool, const char *name, const char *value, bool ndr)
{
    struct ctl_object *request = link_request("remove");

    ctl_set_text(request, name, bytes_text(value));
    ctl_set_bool(request, "ndr", ndr);
    return ask(tool, &request, "removed");
}

int cmd_remove(struct tool *tool, int argc, char **argv)
{
    bool ndr = false;
    const char *queue = NULL;
    const struct option options[] = {
        { "ndr", 0, OPTION_FLAG, &ndr, NULL, "tell the senders that it was not delivered" },
        { "queue", 0, OPTION_TEXT, &queue, "QUEUE", "all messages of a queue" },
    };
    int code, worst = EX_OK;

    if (!tool_options(tool, &argc, argv, options, OPTION_COUNT(options), &code))
        return code;
    if (queue ? argc != 0 : argc == 0)
        return tool_usage(tool, "message ids, or --queue");
    for (int i = 0; i < argc; i++) {
        if (!is_id(argv[i]))
            return tool_usage(
                tool, "'%.60s' is not a message id: 32 hexadecimal digits", argv[i]);
    }
    if (queue)
        return remove_one(tool, "queue", queue, ndr);
    for (int i = 0; i < argc && worst != EX_UNAVAILABLE; i++) {
        code = remove_one(tool, "id", argv[i], ndr);
        if (code != EX_OK)
            worst = code; /* the others are still removed */
    }
    return worst;
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
