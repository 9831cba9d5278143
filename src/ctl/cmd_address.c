/* `relais address-list`: what is in the lists that connectors share, and changing them.  Without a
 * daemon the file is read and changed that it would use. */
#include "ctl/link.h"
#include "ctl/print.h"
#include "ctl/tool.h"
#include "directory/directory.h"
#include "os/file.h"

#include <inttypes.h>
#include <sysexits.h>

enum { FILE_BYTES_MAX = 64 << 20, FILE_MODE = 0640 };

/* --- Looking ----------------------------------------------------------------------------- */

static void print_list(const char *name, int64_t ranges, const char *file)
{
    print_fact(
        name, "%" PRId64 " ranges%s%s", ranges, file && *file ? " in " : "", file ? file : "");
}

struct listing {
    const struct tool *tool;
    size_t rows;
};

static bool on_row(void *me, const struct ctl_object *row)
{
    struct listing *listing = me;
    const struct tool *tool = listing->tool;
    const char *range = ctl_text(row, "range"), *name = ctl_text(row, "name");

    listing->rows++;
    if (tool->is_json)
        print_json_row(row);
    else if (range)
        puts(range);
    else if (name)
        print_list(name, ctl_number(row, "ranges", 0), ctl_text(row, "file"));
    return true;
}

static struct ctl_object *row_of_range(struct ip_range range)
{
    struct ctl_object *row = ctl_new();
    char text[IP_RANGE_TEXT_BYTES];

    ip_range_format(range, text);
    ctl_set_text(row, "range", bytes_text(text));
    return row;
}

static struct ctl_object *row_of_list(const struct address_list *list)
{
    struct ctl_object *row = ctl_new();

    ctl_set_text(row, "name", bytes_text(list->name));
    ctl_set_number(row, "ranges", (int64_t)list->range_count);
    ctl_set_text(row, "file", bytes_text(list->file));
    return row;
}

static int show_file(struct tool *tool, const char *name, struct listing *listing)
{
    int code = EX_OK;
    const struct settings *settings = tool_settings_needed(tool, &code);
    const struct address_list *list;
    char why[512] = "";

    for (size_t i = 0; settings && !name && i < settings->address_list_count; i++) {
        struct ctl_object *row = row_of_list(&settings->address_lists[i]);
        on_row(listing, row);
        ctl_free(row);
    }
    if (!settings || !name)
        return code;
    list = directory_address_list(settings, name, why);
    if (!list)
        return tool_fail(tool, EX_DATAERR, "%s", why);
    for (size_t i = 0; i < list->range_count; i++) {
        struct ctl_object *row = row_of_range(list->ranges[i]);
        on_row(listing, row);
        ctl_free(row);
    }
    return EX_OK;
}

int cmd_address_show(struct tool *tool, int argc, char **argv)
{
    struct listing listing = { .tool = tool };
    struct link_reader reader = { on_row, &listing };
    struct ctl_object *request;
    const char *name;
    int code;

    if (!tool_options(tool, &argc, argv, NULL, 0, &code))
        return code;
    if (argc > 1)
        return tool_usage(tool, "unexpected '%.60s'", argv[1]);
    name = argc ? argv[0] : NULL;
    request = link_request("address-list");
    if (name)
        ctl_set_text(request, "name", bytes_text(name));
    code = link_ask(tool, &request, &reader, NULL);
    if (code == LINK_DOWN)
        code = show_file(tool, name, &listing);
    if (code == EX_OK && listing.rows == 0 && !tool->is_json)
        puts(name ? "the list is empty" : "there is no address_list");
    return code;
}

/* --- Changing ---------------------------------------------------------------------------- */

struct wish {
    const char *name, *range, *comment;
    bool is_removal;
};

static int say_done(const struct tool *tool, const struct wish *wish)
{
    if (!tool->is_json)
        printf("%s: %s %s\n", wish->name, wish->range, wish->is_removal ? "removed" : "added");
    return EX_OK;
}

static int put_file(struct tool *tool, const struct address_change *change, struct buf *text)
{
    char why[512] = "";
    enum err err = directory_address_edit(change, text, why);

    if (err == OK)
        err = directory_transport_check(
            tool->config_file, change->list->file, buf_bytes(text), why);
    if (err != OK)
        return tool_fail(tool, err == ERR_SYNTAX ? EX_DATAERR : tool_code(err), "%s", why);
    err = file_replace(change->list->file, buf_bytes(text), FILE_MODE);
    return err == OK
               ? EX_OK
               : tool_fail(tool, tool_code(err), "%s: %s", change->list->file, err_text(err));
}

static int change_file(struct tool *tool, const struct wish *wish)
{
    int code = EX_OK;
    const struct settings *settings = tool_settings_needed(tool, &code);
    struct address_change change = {
        .range = wish->range, .comment = wish->comment, .is_removal = wish->is_removal
    };
    char why[512] = "";
    struct buf text;

    if (!settings)
        return code;
    change.list = directory_address_list(settings, wish->name, why);
    if (!change.list)
        return tool_fail(tool, EX_DATAERR, "%s", why);
    buf_init(&text, FILE_BYTES_MAX);
    code = put_file(tool, &change, &text);
    buf_done(&text);
    if (code != EX_OK)
        return code;
    fprintf(stderr, "the daemon is not running; it will find this in %s\n", change.list->file);
    return say_done(tool, wish);
}

static int make_change(struct tool *tool, const struct wish *wish)
{
    struct ctl_object *request = link_request("address-list"), *answer = NULL;
    int code;

    ctl_set_text(request, "do", wish->is_removal ? BYTES("remove") : BYTES("add"));
    ctl_set_text(request, "name", bytes_text(wish->name));
    ctl_set_text(request, "range", bytes_text(wish->range));
    if (wish->comment)
        ctl_set_text(request, "comment", bytes_text(wish->comment));
    code = link_ask(tool, &request, NULL, &answer);
    if (code == EX_OK && answer) {
        if (tool->is_json)
            print_json_row(answer);
        code = say_done(tool, wish);
    }
    ctl_free(answer);
    return code == LINK_DOWN ? change_file(tool, wish) : code;
}

static int read_wish(struct tool *tool, struct wish *wish, int argc, char **argv)
{
    if (argc != 2)
        return tool_usage(tool, "the name of a list, and a range of addresses");
    wish->name = argv[0] + (argv[0][0] == '@'); /* as connectors write it */
    wish->range = argv[1];
    return make_change(tool, wish);
}

int cmd_address_add(struct tool *tool, int argc, char **argv)
{
    struct wish wish = { .is_removal = false };
    const struct option options[] = {
        { "comment", 0, OPTION_TEXT, &wish.comment, "TEXT", "stands behind it in the file" },
    };
    int code;

    if (!tool_options(tool, &argc, argv, options, OPTION_COUNT(options), &code))
        return code;
    return read_wish(tool, &wish, argc, argv);
}

int cmd_address_remove(struct tool *tool, int argc, char **argv)
{
    struct wish wish = { .is_removal = true };
    int code;

    if (!tool_options(tool, &argc, argv, NULL, 0, &code))
        return code;
    return read_wish(tool, &wish, argc, argv);
}
