/* `relais shadow`: who else has a copy, and orders about nodes that are lost. */
#include "base/id.h"
#include "ctl/link.h"
#include "ctl/print.h"
#include "ctl/shadow_print.h"
#include "ctl/tool.h"

#include <inttypes.h>
#include <sysexits.h>

static struct ctl_object *request_to(const char *what)
{
    struct ctl_object *request = link_request("shadow");

    ctl_set_text(request, "do", bytes_text(what));
    return request;
}

/* --- Status ------------------------------------------------------------------------------ */

int cmd_shadow_status(struct tool *tool, int argc, char **argv)
{
    struct ctl_object *request;
    int code;

    if (!tool_options_only(tool, argc, argv, NULL, 0, &code))
        return code;
    request = request_to("status");
    return link_show(tool, &request, shadow_print_status, link_needed);
}

/* --- List -------------------------------------------------------------------------------- */

static const struct print_column columns[] = { { "ID" }, { "SINCE", true }, { "ROLE" },
    { "FOR" }, { "SIZE", true }, { "FROM" }, { "TO" }, { "WHY ONE COPY" } };

struct listing {
    const struct tool *tool;
    struct print_table *table; /* NULL: JSON */
    uint64_t rows;
};

static bool on_row(void *me, const struct ctl_object *row)
{
    struct listing *listing = me;
    char since[PRINT_NUMBER_BYTES], size[PRINT_NUMBER_BYTES], from[400], to[400];
    size_t count = ctl_list_count(row, "to");
    const char *sender = ctl_text(row, "from"), *first = ctl_list_text(row, "to", 0);

    listing->rows++;
    if (listing->tool->is_json) {
        print_json_row(row);
        return true;
    }
    print_age(ctl_number(row, "since_s", -1), since);
    print_size((uint64_t)ctl_number(row, "size", 0), size);
    snprintf(from, sizeof from, "%s", sender && sender[0] ? sender : "<>");
    if (count > 1)
        snprintf(to, sizeof to, "%s (+%zu)", first ? first : "-", count - 1);
    else
        snprintf(to, sizeof to, "%s", first ? first : "-");
    print_table_row(listing->table,
        (const char *[]){ ctl_text(row, "id"), since, ctl_text(row, "role"),
            ctl_text(row, "held_for"), size, from, to, ctl_text(row, "single") });
    return true;
}

static int list(struct tool *tool, const char *which, const char *node, uint64_t limit)
{
    struct listing listing = { .tool = tool };
    struct link_reader reader = { on_row, &listing };
    struct ctl_object *request = request_to("list"), *answer = NULL;
    int code;

    ctl_set_text(request, "which", bytes_text(which));
    if (node)
        ctl_set_text(request, "node", bytes_text(node));
    ctl_set_number(request, "limit", limit ? (int64_t)limit : -1);
    if (!tool->is_json)
        listing.table = print_table_new(columns, OPTION_COUNT(columns));
    code = link_ask(tool, &request, &reader, &answer);
    print_table_end(listing.table);
    if (code == LINK_DOWN)
        return link_needed(tool);
    if (code == EX_OK && answer && !tool->is_json) {
        int64_t all = ctl_number(answer, "messages", 0);
        if (listing.rows == 0)
            puts("there is none");
        else if ((int64_t)listing.rows < all)
            fprintf(stderr, "the oldest %" PRIu64 " of %" PRId64 " (more: --limit)\n",
                listing.rows, all);
    }
    ctl_free(answer);
    return code;
}

int cmd_shadow_list(struct tool *tool, int argc, char **argv)
{
    uint64_t limit = 1000;
    bool unclaimed = false, aside = false, single = false;
    const char *held = NULL;
    const struct option options[] = {
        { "held", 0, OPTION_TEXT, &held, "NODE", "copies held for this node alone" },
        { "unclaimed", 0, OPTION_FLAG, &unclaimed, NULL,
            "copies that their own node does not know" },
        { "aside", 0, OPTION_FLAG, &aside, NULL, "what was set aside for you to decide" },
        { "single", 0, OPTION_FLAG, &single, NULL, "messages of this node with one copy" },
        { "limit", 'n', OPTION_NUMBER, &limit, "N",
            "at most so many, the oldest; 0: as many as there are [1000]", .max = INT64_MAX },
    };
    int code;

    if (!tool_options_only(tool, argc, argv, options, OPTION_COUNT(options), &code))
        return code;
    if ((held != NULL) + unclaimed + aside + single > 1)
        return tool_usage(tool, "one of --held, --unclaimed, --aside and --single");
    return list(tool,
        unclaimed ? "unclaimed"
        : aside   ? "aside"
        : single  ? "single"
                  : "held",
        held, limit);
}

/* --- Orders ------------------------------------------------------------------------------ */

/* Asks, and says what was ordered. */
static int give_order(struct tool *tool, struct ctl_object **request,
    void (*say)(int64_t copies, const char *node))
{
    struct ctl_object *answer = NULL;
    int code = link_ask(tool, request, NULL, &answer);

    if (code == LINK_DOWN)
        return link_needed(tool);
    if (code == EX_OK && answer) {
        const char *node = ctl_text(answer, "node");
        if (tool->is_json)
            print_json_row(answer);
        else
            say(ctl_number(answer, "copies", 0), node ? node : "");
    }
    ctl_free(answer);
    return code;
}

static void say_audit(int64_t copies, const char *node)
{
    printf("asking %s about %" PRId64 " copies; differences are counted in: "
           "relais shadow status\n",
        node[0] ? node : "every node", copies);
}

static void say_takeover(int64_t copies, const char *node)
{
    printf("taking over %" PRId64 " messages of %s\n", copies, node);
}

static void say_evict(int64_t copies, const char *node)
{
    printf("%s is evicted: its store is retired for ever; taking over %" PRId64 " messages\n",
        node, copies);
}

int cmd_shadow_audit(struct tool *tool, int argc, char **argv)
{
    struct ctl_object *request;
    int code;

    if (!tool_options(tool, &argc, argv, NULL, 0, &code))
        return code;
    if (argc > 1)
        return tool_usage(tool, "one node, or none for all");
    request = request_to("audit");
    if (argc)
        ctl_set_text(request, "node", bytes_text(argv[0]));
    return give_order(tool, &request, say_audit);
}

static int order(struct tool *tool, int argc, char **argv, const char *what,
    void (*say)(int64_t copies, const char *node))
{
    bool force = false;
    const struct option options[] = {
        { "force", 0, OPTION_FLAG, &force, NULL,
            "even while that node answers: what it delivers too is there twice (D4)" },
    };
    struct ctl_object *request;
    int code;

    if (!tool_options(tool, &argc, argv, options, OPTION_COUNT(options), &code))
        return code;
    if (argc != 1)
        return tool_usage(tool, "one node is needed");
    request = request_to(what);
    ctl_set_text(request, "node", bytes_text(argv[0]));
    ctl_set_bool(request, "force", force);
    return give_order(tool, &request, say);
}

int cmd_shadow_takeover(struct tool *tool, int argc, char **argv)
{
    return order(tool, argc, argv, "takeover", say_takeover);
}

int cmd_shadow_evict(struct tool *tool, int argc, char **argv)
{
    return order(tool, argc, argv, "evict", say_evict);
}

/* --- Copies set aside, or unclaimed ------------------------------------------------------ */

static int change_copy(struct tool *tool, const char *what, const char *id, const char *done)
{
    struct ctl_object *request = request_to(what), *answer = NULL;
    int code;

    ctl_set_text(request, "id", bytes_text(id));
    code = link_ask(tool, &request, NULL, &answer);
    if (code == LINK_DOWN)
        return link_needed(tool);
    if (code == EX_OK && answer) {
        if (tool->is_json)
            print_json_row(answer);
        else
            printf("%s %s\n", done, id);
    }
    ctl_free(answer);
    return code;
}

static int change_copies(
    struct tool *tool, int argc, char **argv, const char *what, const char *done)
{
    int code, worst = EX_OK;

    if (!tool_options(tool, &argc, argv, NULL, 0, &code))
        return code;
    if (argc == 0)
        return tool_usage(tool, "message ids are needed");
    for (int i = 0; i < argc; i++) {
        struct mid mid;
        if (!mid_parse(bytes_text(argv[i]), &mid))
            return tool_usage(
                tool, "'%.60s' is not a message id: 32 hexadecimal digits", argv[i]);
    }
    for (int i = 0; i < argc && worst != EX_UNAVAILABLE; i++) {
        code = change_copy(tool, what, argv[i], done);
        if (code != EX_OK)
            worst = code; /* the others still have their turn */
    }
    return worst;
}

int cmd_shadow_resume(struct tool *tool, int argc, char **argv)
{
    return change_copies(tool, argc, argv, "resume", "to be delivered:");
}

int cmd_shadow_drop(struct tool *tool, int argc, char **argv)
{
    return change_copies(tool, argc, argv, "drop", "dropped:");
}
