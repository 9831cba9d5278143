/* `queue` and `queues`, in the other tongue get-message and get-queue: what waits, message by
 * message, next hop by next hop, or by its age. */
#include "ctl/cmdlet.h"
#include "ctl/link.h"
#include "ctl/offline.h"
#include "ctl/queue_print.h"
#include "ctl/tool.h"

#include "base/id.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>

enum { LIMIT = 1000, AGE_ROWS = 30 };

struct listing {
    struct tool *tool;
    struct print_table *table;
    struct age_table *ages;
    const char *queue, *filter;
    uint64_t limit;     /* 0: none */
    uint64_t rows, all; /* all: that there are, as far as is known */
    int64_t held;       /* copies of other nodes', which are not among them */
};

static struct ctl_object *request_for(const struct listing *listing, const char *command)
{
    struct ctl_object *request = link_request(command);

    if (listing->queue)
        ctl_set_text(request, "queue", bytes_text(listing->queue));
    if (listing->filter)
        ctl_set_text(request, "filter", bytes_text(listing->filter));
    /* -1: as many as the daemon gives at once */
    ctl_set_number(request, "limit", listing->limit ? (int64_t)listing->limit : -1);
    return request;
}

/* --- Messages ---------------------------------------------------------------------------- */

static bool on_message_row(void *me, const struct ctl_object *row)
{
    struct listing *listing = me;

    listing->rows++;
    if (listing->tool->is_json)
        print_json_row(row);
    else
        print_message_row(listing->table, row);
    return true;
}

static void on_message_found(void *me, const struct spool_found *found)
{
    struct listing *listing = me;
    struct ctl_object *row;

    if (offline_role(found) == STANDING_SETTLED)
        return; /* over: nothing of it waits */
    row = offline_row(found, false);
    if (offline_add_poison(listing->tool, found, row) || !listing->queue) {
        listing->all++;
        if (!listing->limit || listing->rows < listing->limit)
            on_message_row(listing, row);
    }
    ctl_free(row);
}

static int ask_messages(struct tool *tool, struct listing *listing)
{
    struct link_reader reader = { on_message_row, listing };
    struct ctl_object *request = request_for(listing, "queue"), *answer = NULL;
    int code = link_ask(tool, &request, &reader, &answer);

    if (code == EX_OK && answer) {
        if (listing->filter || !listing->queue)
            listing->all =
                (uint64_t)ctl_number(answer, listing->filter ? "matched" : "messages", 0);
        listing->held = ctl_number(answer, "held", 0);
    }
    ctl_free(answer);
    return code;
}

/* "poison", or "NODE\poison": the one queue that is known without routing. */
static bool is_poison(const char *queue)
{
    const char *slash = strrchr(queue, '\\');

    return strcasecmp(slash ? slash + 1 : queue, "poison") == 0;
}

static int scan_messages(struct tool *tool, struct listing *listing)
{
    struct offline_reader reader = { .on_message = on_message_found, .me = listing };

    if ((listing->queue && !is_poison(listing->queue)) || listing->filter)
        return link_needed(tool); /* which queue a message goes to is the daemon's to decide */
    offline_say(tool);
    return offline_scan(tool, &reader);
}

static void say_the_rest(const struct listing *listing)
{
    if (listing->rows == 0)
        puts(listing->filter ? "nothing fits" : "nothing is waiting");
    else if (listing->rows < listing->all)
        fprintf(stderr, "the first %" PRIu64 " of %" PRIu64 " (more: --limit)\n", listing->rows,
            listing->all);
    else if (listing->queue && listing->limit && listing->rows >= listing->limit)
        fprintf(stderr, "the first %" PRIu64 " (more: --limit)\n", listing->rows);
    if (listing->held)
        fprintf(stderr,
            "beside it %" PRId64 " copies are held for other nodes (relais shadow list)\n",
            listing->held);
}

static int list_messages(struct tool *tool, struct listing *listing)
{
    int code;

    if (!tool->is_json)
        listing->table = print_messages_new();
    code = ask_messages(tool, listing);
    if (code == LINK_DOWN)
        code = scan_messages(tool, listing);
    print_table_end(listing->table);
    if (code == EX_OK && !tool->is_json)
        say_the_rest(listing);
    return code;
}

/* --- Queues ------------------------------------------------------------------------------ */

static bool on_queue_row(void *me, const struct ctl_object *row)
{
    struct listing *listing = me;

    listing->rows++;
    if (listing->tool->is_json)
        print_json_row(row);
    else
        print_queue(listing->table, row);
    return true;
}

static int list_queues(struct tool *tool, struct listing *listing)
{
    struct link_reader reader = { on_queue_row, listing };
    struct ctl_object *request = request_for(listing, "queues");
    int code;

    if (!tool->is_json)
        listing->table = print_queues_new();
    code = link_ask(tool, &request, &reader, NULL);
    print_table_end(listing->table);
    if (code == LINK_DOWN)
        return link_needed(tool); /* queues are made by routing; relais queue works */
    if (code == EX_OK && listing->rows == 0 && !tool->is_json)
        puts(listing->filter ? "nothing fits" : "there are no queues: nothing is waiting");
    return code;
}

/* --- Ages -------------------------------------------------------------------------------- */

static bool on_age_row(void *me, const struct ctl_object *row)
{
    struct listing *listing = me;

    listing->rows++;
    if (listing->tool->is_json)
        print_json_row(row);
    else
        age_table_add(listing->ages, row);
    return true;
}

static int list_ages(struct tool *tool, struct listing *listing)
{
    struct link_reader reader = { on_age_row, listing };
    struct ctl_object *request = request_for(listing, "ages");
    int code;

    if (!tool->is_json)
        listing->ages = age_table_new();
    code = link_ask(tool, &request, &reader, NULL);
    age_table_end(listing->ages, code == EX_OK ? listing->limit : 0);
    if (code == LINK_DOWN)
        return link_needed(tool);
    if (code == EX_OK && listing->rows == 0 && !tool->is_json)
        puts("nothing is waiting");
    else if (code == EX_OK && listing->limit && listing->rows > listing->limit &&
             !tool->is_json)
        fprintf(stderr, "the %" PRIu64 " longest of %" PRIu64 " (more: --limit)\n",
            listing->limit, listing->rows);
    return code;
}

/* --- Commands ---------------------------------------------------------------------------- */

int cmd_queue(struct tool *tool, int argc, char **argv)
{
    struct listing listing = { .tool = tool, .limit = UINT64_MAX };
    bool by_queue = false, by_age = false;
    const struct option options[] = {
        { "limit", 'n', OPTION_NUMBER, &listing.limit, "N",
            "at most so many; 0: as many as there are [1000]", .max = INT64_MAX },
        { "filter", 'f', OPTION_TEXT, &listing.filter, "FILTER",
            "those it fits: \"from ~ *@example.com and status = retry\"" },
        { "by-queue", 0, OPTION_FLAG, &by_queue, NULL, "as relais queues" },
        { "by-age", 0, OPTION_FLAG, &by_age, NULL,
            "how many wait for how long, next hop by next hop" },
    };
    int code;

    if (!tool_options(tool, &argc, argv, options, OPTION_COUNT(options), &code))
        return code;
    if (argc > 1 || (argc && by_queue))
        return tool_usage(tool, "one queue at a time");
    listing.queue = argc ? argv[0] : NULL;
    if (listing.limit == UINT64_MAX)
        listing.limit = by_age ? AGE_ROWS : LIMIT;
    if (by_age)
        return list_ages(tool, &listing);
    return by_queue ? list_queues(tool, &listing) : list_messages(tool, &listing);
}

static int queues(struct tool *tool, int argc, char **argv, bool by_age)
{
    struct listing listing = { .tool = tool, .limit = by_age ? AGE_ROWS : LIMIT };
    const struct option options[] = {
        { "filter", 'f', OPTION_TEXT, &listing.filter, "FILTER",
            "those it fits: \"status = retry and messages > 100\"" },
        { "limit", 'n', OPTION_NUMBER, &listing.limit, "N", "at most so many rows of ages",
            .max = INT64_MAX },
    };
    int code;

    if (!tool_options(tool, &argc, argv, options, OPTION_COUNT(options), &code))
        return code;
    if (argc > 1)
        return tool_usage(tool, "unexpected '%.60s'", argv[1]);
    listing.queue = argc ? argv[0] : NULL;
    return by_age ? list_ages(tool, &listing) : list_queues(tool, &listing);
}

int cmd_queues(struct tool *tool, int argc, char **argv)
{
    return queues(tool, argc, argv, false);
}

int cmd_get_queue(struct tool *tool, int argc, char **argv)
{
    cmdlet_arguments(&argc, argv);
    return queues(tool, argc, argv, false);
}

int cmd_get_queue_digest(struct tool *tool, int argc, char **argv)
{
    cmdlet_arguments(&argc, argv);
    return queues(tool, argc, argv, true);
}

int cmd_get_message(struct tool *tool, int argc, char **argv)
{
    struct listing listing = { .tool = tool, .limit = LIMIT };
    const struct option options[] = {
        { "limit", 'n', OPTION_NUMBER, &listing.limit, "N", "at most so many; 0: all",
            .max = INT64_MAX },
        { "filter", 'f', OPTION_TEXT, &listing.filter, "FILTER", "those it fits" },
        { "queue", 0, OPTION_TEXT, &listing.queue, "QUEUE", "those of a queue" },
    };
    struct mid mid;
    int code;

    cmdlet_arguments(&argc, argv);
    if (!tool_options(tool, &argc, argv, options, OPTION_COUNT(options), &code))
        return code;
    if (argc > 1)
        return tool_usage(tool, "unexpected '%.60s'", argv[1]);
    if (argc && mid_parse(bytes_text(argv[0]), &mid))
        return cmd_message_show(tool, argc, argv);
    if (argc)
        return tool_usage(tool, "'%.60s' is not a message id: 32 hexadecimal digits", argv[0]);
    return list_messages(tool, &listing);
}
