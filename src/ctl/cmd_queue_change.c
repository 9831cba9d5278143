/* What changes queues and messages: retry, remove, suspend, resume, and the same as cmdlets.  Only
 * the daemon can do it. */
#include "base/id.h"
#include "ctl/cmdlet.h"
#include "ctl/link.h"
#include "ctl/queue_print.h"
#include "ctl/tool.h"

#include <inttypes.h>
#include <sysexits.h>
#include <unistd.h>

enum { SHOWN = 20 };

struct change {
    struct tool *tool;
    const char *command; /* the daemon's, for messages */
    const char *queues;  /* ... and for queues as a whole; NULL: there is none */
    const char *done;    /* "removed" */
    const char *filter, *queue;
    const char *to, *server; /* of a redirection */
    bool undo;
    bool all, what_if, yes, ndr, no_ndr;
    bool of_queues; /* FILTER and the argument are about queues */
    struct print_table *table;
};

static bool is_id(const char *text)
{
    struct mid mid;

    return mid_parse(bytes_text(text), &mid);
}

/* --- Asking ------------------------------------------------------------------------------ */

static bool on_row(void *me, const struct ctl_object *row)
{
    struct change *change = me;

    if (change->tool->is_json)
        print_json_row(row);
    else if (change->of_queues)
        print_queue(change->table, row);
    else
        print_message_row(change->table, row);
    return true;
}

static struct ctl_object *request_for(
    const struct change *change, const char *name, const char *value)
{
    struct ctl_object *request =
        link_request(change->of_queues ? change->queues : change->command);

    if (name)
        ctl_set_text(request, name, bytes_text(value));
    if (change->filter)
        ctl_set_text(request, "filter", bytes_text(change->filter));
    if (change->queue)
        ctl_set_text(request, "queue", bytes_text(change->queue));
    if (change->all)
        ctl_set_bool(request, "all", true);
    if (change->to)
        ctl_set_text(request, "to", bytes_text(change->to));
    if (change->server)
        ctl_set_text(request, "server", bytes_text(change->server));
    if (change->undo)
        ctl_set_bool(request, "undo", true);
    ctl_set_bool(request, "ndr", change->ndr);
    return request;
}

/* Poison waits for the administrator: that is no reason to try again. */
static void say_poison(const struct change *change, const struct ctl_object *answer)
{
    int64_t poison = ctl_number(answer, "poison", 0);

    if (poison)
        fprintf(stderr, "poison, so not %s: %" PRId64 " (remove it, or resume it first)\n",
            change->done, poison);
}

/* "removed: 3 messages" */
static void say(const struct change *change, const struct ctl_object *answer)
{
    int64_t count = ctl_number(answer, change->done, -1), busy = ctl_number(answer, "busy", 0);
    int64_t queues = ctl_number(answer, "queues", 0);

    if (change->of_queues)
        printf("%s: %" PRId64 " queue%s with ", change->done, queues, queues == 1 ? "" : "s");
    else
        printf("%s: ", change->done);
    printf("%" PRId64 " message%s\n", count, count == 1 ? "" : "s");
    say_poison(change, answer);
    if (busy)
        fprintf(stderr,
            "being delivered just now, or other nodes are asked about it, so not %s: %" PRId64
            "\n",
            change->done, busy);
}

/* Takes REQUEST. */
static int do_it(const struct change *change, struct ctl_object *request)
{
    struct ctl_object *answer = NULL;
    int code = link_ask(change->tool, &request, NULL, &answer);

    if (code == LINK_DOWN)
        return link_needed(change->tool);
    if (code == EX_OK && answer) {
        if (change->tool->is_json)
            print_json_row(answer);
        else
            say(change, answer);
        if (ctl_number(answer, "busy", 0))
            code = EX_TEMPFAIL;
    }
    ctl_free(answer);
    return code;
}

/* --- What if ----------------------------------------------------------------------------- */

/* Has REQUEST (taken) say what it picks; LIMIT rows are shown.  *MATCHED of *ALL. */
static int look(struct change *change, struct ctl_object *request, int64_t limit,
    int64_t *matched, int64_t *all)
{
    struct link_reader reader = { limit ? on_row : NULL, change };
    struct ctl_object *answer = NULL;
    int code;

    ctl_set_bool(request, "what_if", true);
    ctl_set_number(request, "limit", limit);
    if (limit && !change->tool->is_json)
        change->table = change->of_queues ? print_queues_new() : print_messages_new();
    code = link_ask(change->tool, &request, &reader, &answer);
    print_table_end(change->table);
    change->table = NULL;
    if (code == LINK_DOWN)
        return link_needed(change->tool);
    if (code == EX_OK && answer) {
        *matched = ctl_number(answer, change->of_queues ? "queues" : "matched", 0);
        if (ctl_bool(answer, "missed"))
            *matched = 0; /* there was no need to go on counting */
        *all = ctl_number(answer, change->of_queues ? "all" : "messages", 0) -
               ctl_number(answer, "poison", 0);
        if (limit && !change->tool->is_json)
            say_poison(change, answer);
    }
    ctl_free(answer);
    return code;
}

static int show_what_if(struct change *change, struct ctl_object *request)
{
    int64_t matched = 0, all = 0;
    int code = look(change, request, SHOWN, &matched, &all);

    if (code == EX_OK && !change->tool->is_json)
        printf("what if: %" PRId64 " %s%s would be %s; nothing was changed\n", matched,
            change->of_queues ? "queue" : "message", matched == 1 ? "" : "s", change->done);
    return code;
}

static bool says_yes(const struct change *change, int64_t matched)
{
    char line[16] = "";

    if (!isatty(STDIN_FILENO))
        return false;
    fprintf(stderr, "That is all %" PRId64 " %s.  They are to be %s? [y/N] ", matched,
        change->of_queues ? "queues" : "messages", change->done);
    return fgets(line, sizeof line, stdin) && (line[0] == 'y' || line[0] == 'Y');
}

/* A filter that fits everything is a slip of the hand more often than not. */
static int check_all(struct change *change)
{
    int64_t matched = 0, all = 0;
    struct ctl_object *request = request_for(change, NULL, NULL);
    int code;

    ctl_set_bool(request, "until_miss", true);
    code = look(change, request, 0, &matched, &all);
    if (code != EX_OK || matched < 2 || matched < all || says_yes(change, matched))
        return code;
    return tool_fail(change->tool, EX_USAGE,
        "that is all %" PRId64 " %s: nothing was changed; --yes if that is meant", matched,
        change->of_queues ? "queues" : "messages");
}

/* --- Running ----------------------------------------------------------------------------- */

static int run_one(struct change *change, const char *name, const char *value)
{
    struct ctl_object *request = request_for(change, name, value);

    return change->what_if ? show_what_if(change, request) : do_it(change, request);
}

static int run_picked(struct change *change)
{
    bool is_wide = change->filter || (change->all && !change->of_queues);

    if (is_wide && !change->yes && !change->what_if) {
        int code = check_all(change);
        if (code != EX_OK)
            return code;
    }
    return run_one(change, NULL, NULL);
}

static int run_ids(struct change *change, int argc, char **argv)
{
    int code, worst = EX_OK;

    for (int i = 0; i < argc; i++) {
        if (!is_id(argv[i]))
            return tool_usage(
                change->tool, "'%.60s' is not a message id: 32 hexadecimal digits", argv[i]);
    }
    for (int i = 0; i < argc && worst != EX_UNAVAILABLE; i++) {
        code = run_one(change, "id", argv[i]);
        if (code != EX_OK)
            worst = code; /* the others are still done */
    }
    return worst;
}

static bool read_options(struct change *change, int *argc, char **argv, int *code)
{
    const struct option options[] = {
        { "filter", 'f', OPTION_TEXT, &change->filter, "FILTER",
            "those it fits: \"from ~ *@example.com and age > 2h\"" },
        { "what-if", 0, OPTION_FLAG, &change->what_if, NULL, "only say what would be done" },
        { "yes", 'y', OPTION_FLAG, &change->yes, NULL,
            "do not ask when the filter fits everything" },
        { "all", 'a', OPTION_FLAG, &change->all, NULL, "everything" },
        { "queue", 0, OPTION_TEXT, &change->queue, "QUEUE", "all messages of a queue" },
        { "ndr", 0, OPTION_FLAG, &change->ndr, NULL,
            "tell the senders that it was not delivered" },
        { "no-ndr", 0, OPTION_FLAG, &change->no_ndr, NULL, "do not tell them" },
    };
    bool removes = strcmp(change->command, "remove") == 0;
    size_t count = OPTION_COUNT(options) - (removes ? 0 : 2);

    if (!tool_options(change->tool, argc, argv, options, count, code))
        return false;
    if (change->ndr && change->no_ndr) {
        *code = tool_usage(change->tool, "--ndr or --no-ndr?");
        return false;
    }
    return true;
}

static bool read_redirection(struct change *change, int *argc, char **argv, int *code)
{
    const struct option options[] = {
        { "to", 't', OPTION_TEXT, &change->to, "HOST[:PORT]",
            "the host, or the name of a node; its port is 25" },
        { "undo", 0, OPTION_FLAG, &change->undo, NULL,
            "what was redirected follows its route again: all of it, or what is named" },
        { "server", 0, OPTION_TEXT, &change->server, "NODE", "this node, to make sure" },
        { "filter", 'f', OPTION_TEXT, &change->filter, "FILTER",
            "those it fits: \"from ~ *@example.com and age > 2h\"" },
        { "what-if", 0, OPTION_FLAG, &change->what_if, NULL, "only say what would be done" },
        { "yes", 'y', OPTION_FLAG, &change->yes, NULL,
            "do not ask when the filter fits everything" },
        { "all", 'a', OPTION_FLAG, &change->all, NULL, "everything" },
        { "queue", 0, OPTION_TEXT, &change->queue, "QUEUE", "all messages of a queue" },
    };

    if (!tool_options(change->tool, argc, argv, options, OPTION_COUNT(options), code))
        return false;
    if (!change->to == !change->undo) {
        *code = tool_usage(change->tool, "--to HOST, or --undo?");
        return false;
    }
    if (change->undo)
        change->done = "undone";
    if (change->undo && !*argc && !change->all && !change->filter && !change->queue)
        change->all = change->yes = true;
    return true;
}

/* One of these says what is meant: ids, a queue, a filter, all. */
static int check_choice(const struct change *change, int argc)
{
    int count = (argc > 0) + change->all + (change->filter || change->queue);

    if (count == 1)
        return EX_OK;
    return tool_usage(change->tool,
        count ? "one of them alone" : "which?  An id, a queue, --filter or --all");
}

/* The command in our tongue: a name that is no id is a queue's, as a whole. */
static int run(struct tool *tool, int argc, char **argv, struct change change)
{
    int code;

    change.tool = tool;
    if (!read_options(&change, &argc, argv, &code))
        return code;
    code = check_choice(&change, argc);
    if (code != EX_OK)
        return code;
    if (change.queues && !change.filter && !change.queue && !(argc && is_id(argv[0]))) {
        change.of_queues = true;
        if (argc > 1)
            return tool_usage(tool, "one queue at a time");
        return argc ? run_one(&change, "queue", argv[0]) : run_picked(&change);
    }
    return argc ? run_ids(&change, argc, argv) : run_picked(&change);
}

int cmd_retry(struct tool *tool, int argc, char **argv)
{
    return run(tool, argc, argv,
        (struct change){ .command = "retry", .queues = "retry-queue", .done = "retried" });
}

int cmd_remove(struct tool *tool, int argc, char **argv)
{
    return run(tool, argc, argv, (struct change){ .command = "remove", .done = "removed" });
}

int cmd_suspend(struct tool *tool, int argc, char **argv)
{
    return run(tool, argc, argv,
        (struct change){
            .command = "suspend", .queues = "suspend-queue", .done = "suspended" });
}

int cmd_resume(struct tool *tool, int argc, char **argv)
{
    return run(tool, argc, argv,
        (struct change){ .command = "resume", .queues = "resume-queue", .done = "resumed" });
}

static int run_redirection(struct change *change, int argc, char **argv)
{
    int code = check_choice(change, argc);

    if (code != EX_OK)
        return code;
    return argc ? run_ids(change, argc, argv) : run_picked(change);
}

int cmd_redirect(struct tool *tool, int argc, char **argv)
{
    struct change change = { .tool = tool, .command = "redirect", .done = "redirected" };
    int code;

    return read_redirection(&change, &argc, argv, &code) ? run_redirection(&change, argc, argv)
                                                         : code;
}

/* --- Cmdlets ----------------------------------------------------------------------------- */

static int run_messages(struct tool *tool, int argc, char **argv, struct change change)
{
    int code;

    cmdlet_arguments(&argc, argv);
    change.tool = tool;
    if (!read_options(&change, &argc, argv, &code))
        return code;
    change.ndr = !change.no_ndr; /* senders are told unless -WithNDR $false */
    code = check_choice(&change, argc);
    if (code != EX_OK)
        return code;
    return argc ? run_ids(&change, argc, argv) : run_picked(&change);
}

static int run_queues(struct tool *tool, int argc, char **argv, struct change change)
{
    int code;

    cmdlet_arguments(&argc, argv);
    change.tool = tool;
    change.of_queues = true;
    if (!read_options(&change, &argc, argv, &code))
        return code;
    code = check_choice(&change, argc);
    if (code != EX_OK)
        return code;
    if (argc > 1)
        return tool_usage(tool, "one queue at a time");
    return argc ? run_one(&change, "queue", argv[0]) : run_picked(&change);
}

int cmd_retry_message(struct tool *tool, int argc, char **argv)
{
    return run_messages(
        tool, argc, argv, (struct change){ .command = "retry", .done = "retried" });
}

int cmd_remove_message(struct tool *tool, int argc, char **argv)
{
    return run_messages(
        tool, argc, argv, (struct change){ .command = "remove", .done = "removed" });
}

int cmd_suspend_message(struct tool *tool, int argc, char **argv)
{
    return run_messages(
        tool, argc, argv, (struct change){ .command = "suspend", .done = "suspended" });
}

int cmd_resume_message(struct tool *tool, int argc, char **argv)
{
    return run_messages(
        tool, argc, argv, (struct change){ .command = "resume", .done = "resumed" });
}

/* Without a word of what is meant it is the whole queue of this node, as one is used to. */
int cmd_redirect_message(struct tool *tool, int argc, char **argv)
{
    struct change change = { .tool = tool, .command = "redirect", .done = "redirected" };
    int code;

    cmdlet_arguments(&argc, argv);
    if (!read_redirection(&change, &argc, argv, &code))
        return code;
    change.all = change.all || !(argc || change.filter || change.queue);
    return run_redirection(&change, argc, argv);
}

int cmd_retry_queue(struct tool *tool, int argc, char **argv)
{
    return run_queues(tool, argc, argv,
        (struct change){ .command = "retry", .queues = "retry-queue", .done = "retried" });
}

int cmd_suspend_queue(struct tool *tool, int argc, char **argv)
{
    return run_queues(tool, argc, argv,
        (struct change){
            .command = "suspend", .queues = "suspend-queue", .done = "suspended" });
}

int cmd_resume_queue(struct tool *tool, int argc, char **argv)
{
    return run_queues(tool, argc, argv,
        (struct change){ .command = "resume", .queues = "resume-queue", .done = "resumed" });
}
