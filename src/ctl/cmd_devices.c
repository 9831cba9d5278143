/* `relais devices`: who uses the relay, and which tolerances he still needs. */
#include "ctl/link.h"
#include "ctl/print.h"
#include "ctl/tool.h"

#include <inttypes.h>
#include <sysexits.h>

static const struct print_column columns[] = { { "ADDRESS" }, { "CONNECTOR" },
    { "MESSAGES", true }, { "LAST SEEN", true }, { "TLS" }, { "USER" }, { "HELO" },
    { "NEEDS" } };

struct listing {
    const struct tool *tool;
    struct print_table *table; /* NULL: JSON */
    uint64_t rows;
};

/* The texts of a list, with commas between; those that do not fit are left out. */
static void join(const struct ctl_object *row, const char *name, char out[300])
{
    size_t n = 0, count = ctl_list_count(row, name);

    out[0] = '\0';
    for (size_t i = 0; i < count && n < 300; i++) {
        const char *text = ctl_list_text(row, name, i);
        n += (size_t)snprintf(out + n, 300 - n, "%s%s", i ? "," : "", text ? text : "?");
    }
}

static const char *or_none(const char *text)
{
    return text && text[0] ? text : NULL;
}

static bool on_row(void *me, const struct ctl_object *row)
{
    struct listing *listing = me;
    char messages[24], seen[PRINT_NUMBER_BYTES], helo[300], needs[300];

    listing->rows++;
    if (listing->tool->is_json) {
        print_json_row(row);
        return true;
    }
    snprintf(messages, sizeof messages, "%" PRId64, ctl_number(row, "messages", 0));
    print_age(ctl_number(row, "last_seen_s", -1), seen);
    join(row, "helo", helo);
    join(row, "needs", needs);
    print_table_row(
        listing->table, (const char *[]){ ctl_text(row, "address"), ctl_text(row, "connector"),
                            messages, seen, or_none(ctl_text(row, "tls")),
                            or_none(ctl_text(row, "user")), or_none(helo), or_none(needs) });
    return true;
}

int cmd_devices(struct tool *tool, int argc, char **argv)
{
    struct listing listing = { .tool = tool };
    struct link_reader reader = { on_row, &listing };
    struct ctl_object *request;
    const char *connector = NULL;
    bool odd = false;
    const struct option options[] = {
        { "connector", 0, OPTION_TEXT, &connector, "NAME", "of this receive connector alone" },
        { "odd", 0, OPTION_FLAG, &odd, NULL, "only who still needs a tolerance" },
    };
    int code;

    if (!tool_options(tool, &argc, argv, options, OPTION_COUNT(options), &code))
        return code;
    if (argc)
        return tool_usage(tool, "unexpected '%.60s'", argv[0]);
    request = link_request("devices");
    if (connector)
        ctl_set_text(request, "connector", bytes_text(connector));
    ctl_set_bool(request, "odd", odd);
    if (!tool->is_json)
        listing.table = print_table_new(columns, OPTION_COUNT(columns));
    code = link_ask(tool, &request, &reader, NULL);
    print_table_end(listing.table);
    if (code == LINK_DOWN)
        return link_needed(tool);
    if (code == EX_OK && !tool->is_json && listing.rows == 0)
        puts("there is none");
    return code;
}
