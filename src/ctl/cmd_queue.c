/* `queue` and `queues`: what waits, message by message, or next hop by next hop. */
#include "ctl/link.h"
#include "ctl/offline.h"
#include "ctl/print.h"
#include "ctl/tool.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sysexits.h>

enum { LIMIT = 1000 };

struct listing {
    const struct tool *tool;
    struct print_table *table;
    uint64_t limit;     /* 0: none */
    uint64_t rows, all; /* all: that there are, as far as is known */
    int64_t held;       /* copies of other nodes', which are not among them */
};

static const char *or_dash(const char *text)
{
    return text && text[0] ? text : "-";
}

static void number_text(const struct ctl_object *row, const char *name, char out[32])
{
    int64_t number = ctl_number(row, name, -1);

    if (number < 0)
        snprintf(out, 32, "-");
    else
        snprintf(out, 32, "%" PRId64, number);
}

/* --- Messages ---------------------------------------------------------------------------- */

static const struct print_column message_columns[] = { { "ID" }, { "AGE", true },
    { "SIZE", true }, { "FROM" }, { "TO" }, { "QUEUE" }, { "STATUS" }, { "NEXT", true },
    { "LAST ERROR" } };

static void format_to(const struct ctl_object *row, char *out, size_t room)
{
    size_t count = ctl_list_count(row, "to");
    const char *first = ctl_list_text(row, "to", 0);

    if (count > 1)
        snprintf(out, room, "%s (+%zu)", or_dash(first), count - 1);
    else
        snprintf(out, room, "%s", or_dash(first));
}

static void print_message(struct listing *listing, const struct ctl_object *row)
{
    char age[PRINT_NUMBER_BYTES], size[PRINT_NUMBER_BYTES], next[PRINT_NUMBER_BYTES];
    char to[400], from[400];
    const char *sender = ctl_text(row, "from");

    print_age(ctl_number(row, "age_s", -1), age);
    print_age(ctl_number(row, "next_attempt_s", -1), next);
    print_size((uint64_t)ctl_number(row, "size", 0), size);
    format_to(row, to, sizeof to);
    snprintf(from, sizeof from, "%s", sender && sender[0] ? sender : "<>");
    print_table_row(
        listing->table, (const char *[]){ ctl_text(row, "id"), age, size, from, to,
                            or_dash(ctl_text(row, "queue")), or_dash(ctl_text(row, "status")),
                            next, or_dash(ctl_text(row, "last_error")) });
}

static bool on_message_row(void *me, const struct ctl_object *row)
{
    struct listing *listing = me;

    listing->rows++;
    if (listing->tool->is_json)
        print_json_row(row);
    else
        print_message(listing, row);
    return true;
}

static void on_message_found(void *me, const struct spool_found *found)
{
    struct listing *listing = me;
    struct ctl_object *row;

    if (offline_role(found) == STANDING_SETTLED)
        return; /* over: nothing of it waits */
    listing->all++;
    if (listing->limit && listing->rows >= listing->limit)
        return;
    row = offline_row(found, false);
    on_message_row(listing, row);
    ctl_free(row);
}

static int ask_messages(struct tool *tool, struct listing *listing, const char *queue)
{
    struct link_reader reader = { on_message_row, listing };
    struct ctl_object *request = link_request("queue"), *answer = NULL;
    int code;

    if (queue)
        ctl_set_text(request, "queue", bytes_text(queue));
    /* -1: as many as the daemon gives at once */
    ctl_set_number(request, "limit", listing->limit ? (int64_t)listing->limit : -1);
    code = link_ask(tool, &request, &reader, &answer);
    if (code == EX_OK && answer && !queue)
        listing->all = (uint64_t)ctl_number(answer, "messages", 0);
    if (code == EX_OK && answer)
        listing->held = ctl_number(answer, "held", 0);
    ctl_free(answer);
    return code;
}

static int scan_messages(struct tool *tool, struct listing *listing, const char *queue)
{
    struct offline_reader reader = { .on_message = on_message_found, .me = listing };

    if (queue)
        return link_needed(tool); /* which queue a message goes to is the daemon's to decide */
    offline_say(tool);
    return offline_scan(tool, &reader);
}

static int list_messages(struct tool *tool, const char *queue, uint64_t limit)
{
    struct listing listing = { .tool = tool, .limit = limit };
    int code;

    if (!tool->is_json)
        listing.table = print_table_new(message_columns, OPTION_COUNT(message_columns));
    code = ask_messages(tool, &listing, queue);
    if (code == LINK_DOWN)
        code = scan_messages(tool, &listing, queue);
    print_table_end(listing.table);
    if (code != EX_OK || tool->is_json)
        return code;
    if (listing.rows == 0)
        puts("nothing is waiting");
    else if (listing.rows < listing.all)
        fprintf(stderr, "the first %" PRIu64 " of %" PRIu64 " (more: --limit)\n", listing.rows,
            listing.all);
    else if (queue && limit && listing.rows >= limit)
        fprintf(stderr, "the first %" PRIu64 " (more: --limit)\n", listing.rows);
    if (listing.held)
        fprintf(stderr,
            "beside it %" PRId64 " copies are held for other nodes (relais shadow list)\n",
            listing.held);
    return code;
}

/* --- Queues ------------------------------------------------------------------------------ */

static const struct print_column queue_columns[] = { { "IDENTITY" }, { "NAME" }, { "KIND" },
    { "STATUS" }, { "MESSAGES", true }, { "CONN", true }, { "OLDEST", true }, { "NEXT", true },
    { "CONNECTOR" }, { "LAST ERROR" } };

static bool on_queue_row(void *me, const struct ctl_object *row)
{
    struct listing *listing = me;
    char messages[32], connections[32];
    char oldest[PRINT_NUMBER_BYTES], next[PRINT_NUMBER_BYTES];

    listing->rows++;
    if (listing->tool->is_json) {
        print_json_row(row);
        return true;
    }
    number_text(row, "messages", messages);
    number_text(row, "connections", connections);
    print_age(ctl_number(row, "oldest_s", -1), oldest);
    print_age(ctl_number(row, "next_attempt_s", -1), next);
    print_table_row(listing->table,
        (const char *[]){ or_dash(ctl_text(row, "identity")), or_dash(ctl_text(row, "name")),
            or_dash(ctl_text(row, "kind")), or_dash(ctl_text(row, "status")), messages,
            connections, oldest, next, or_dash(ctl_text(row, "connector")),
            or_dash(ctl_text(row, "last_error")) });
    return true;
}

static int list_queues(struct tool *tool)
{
    struct listing listing = { .tool = tool };
    struct link_reader reader = { on_queue_row, &listing };
    struct ctl_object *request = link_request("queues");
    int code;

    if (!tool->is_json)
        listing.table = print_table_new(queue_columns, OPTION_COUNT(queue_columns));
    code = link_ask(tool, &request, &reader, NULL);
    print_table_end(listing.table);
    if (code == LINK_DOWN)
        return link_needed(tool); /* queues are made by routing; relais queue works */
    if (code == EX_OK && listing.rows == 0 && !tool->is_json)
        puts("there are no queues: nothing is waiting");
    return code;
}

/* --- Commands ---------------------------------------------------------------------------- */

int cmd_queue(struct tool *tool, int argc, char **argv)
{
    uint64_t limit = LIMIT;
    bool by_queue = false;
    const struct option options[] = {
        { "limit", 'n', OPTION_NUMBER, &limit, "N",
            "at most so many; 0: as many as there are [1000]", .max = INT64_MAX },
        { "by-queue", 0, OPTION_FLAG, &by_queue, NULL, "as relais queues" },
    };
    int code;

    if (!tool_options(tool, &argc, argv, options, OPTION_COUNT(options), &code))
        return code;
    if (argc > 1 || (argc && by_queue))
        return tool_usage(tool, "one queue at a time");
    return by_queue ? list_queues(tool) : list_messages(tool, argc ? argv[0] : NULL, limit);
}

int cmd_queues(struct tool *tool, int argc, char **argv)
{
    int code;

    if (!tool_options_only(tool, argc, argv, NULL, 0, &code))
        return code;
    return list_queues(tool);
}
