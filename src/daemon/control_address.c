/* address-list: what is in the lists, and a range put into one or taken out of it.
 *
 * As with set-transport-config: checked with the whole configuration, made durable in the list's
 * file, and put in force by a reload; when that fails the file is what it was. */
#include "daemon/control_internal.h"

#include "base/mem.h"
#include "directory/directory.h"
#include "os/file.h"
#include "report/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

enum { FILE_BYTES_MAX = 64 << 20, FILE_MODE = 0640 };

static void show_lists(struct client *client, const struct settings *settings)
{
    for (size_t i = 0; i < settings->address_list_count; i++) {
        const struct address_list *list = &settings->address_lists[i];
        struct ctl_object *row = ctl_new();
        ctl_set_text(row, "name", bytes_text(list->name));
        ctl_set_number(row, "ranges", (int64_t)list->range_count);
        ctl_set_text(row, "file", bytes_text(list->file));
        client_row(client, &row);
    }
    client_ok(client);
}

static void show_ranges(struct client *client, const struct address_list *list)
{
    for (size_t i = 0; i < list->range_count; i++) {
        struct ctl_object *row = ctl_new();
        char text[IP_RANGE_TEXT_BYTES];
        ip_range_format(list->ranges[i], text);
        ctl_set_text(row, "range", bytes_text(text));
        client_row(client, &row);
    }
    client_ok(client);
}

struct change {
    char *config_file, *file;
    struct buf text, old;
};

static void put_back(const struct change *change)
{
    enum err err = file_replace(change->file, buf_bytes(&change->old), FILE_MODE);

    if (err != OK)
        report_notice(REPORT_ERROR, "%s: what was refused cannot be taken back: %s",
            change->file, err_text(err));
}

static void make_change(struct client *client, struct change *change, const char *what)
{
    struct ctl_object *end;
    char why[512] = "";
    enum err err;

    if (directory_transport_check(
            change->config_file, change->file, buf_bytes(&change->text), why) != OK) {
        client_error(client, EX_CONFIG, "%s", why);
        return;
    }
    err = file_read_all(change->file, FILE_BYTES_MAX, &change->old);
    if (err == OK)
        err = file_replace(change->file, buf_bytes(&change->text), FILE_MODE);
    if (err != OK) {
        client_error(client, EX_CANTCREAT, "%s: %s", change->file, err_text(err));
        return;
    }
    end = client->control->reload(client->control->me);
    if (ctl_bool(end, "ok"))
        report(REPORT_ADMIN, R_CHARS("text", what));
    else
        put_back(change);
    client_end(client, &end);
}

/* LIST goes with the settings, which the reload may free. */
static void change_list(
    struct client *client, const struct address_change *wish, const struct settings *settings)
{
    struct change change = {
        .config_file = mem_text(settings->file),
        .file = wish->list->file ? mem_text(wish->list->file) : NULL,
    };
    char why[512] = "", what[300];

    snprintf(what, sizeof what, "address-list %s %.64s %.60s",
        wish->is_removal ? "remove" : "add", wish->list->name, wish->range);
    buf_init(&change.text, FILE_BYTES_MAX);
    buf_init(&change.old, FILE_BYTES_MAX);
    if (directory_address_edit(wish, &change.text, why) == OK)
        make_change(client, &change, what);
    else
        client_error(client, EX_DATAERR, "%s", why);
    buf_done(&change.text);
    buf_done(&change.old);
    free(change.config_file);
    free(change.file);
}

void command_address_list(struct client *client, const struct ctl_object *request)
{
    const struct settings *settings = client->control->path->routed_by->settings;
    const char *what = ctl_text(request, "do"), *name = ctl_text(request, "name"),
               *range = ctl_text(request, "range");
    const struct address_list *list;
    char why[512] = "";

    if (!what)
        what = "show";
    if (strcmp(what, "show") == 0 && !name) {
        show_lists(client, settings);
        return;
    }
    list = directory_address_list(settings, name ? name : "", why);
    if (!list)
        client_error(client, EX_DATAERR, "%s", why);
    else if (strcmp(what, "show") == 0)
        show_ranges(client, list);
    else if (!range || (strcmp(what, "add") != 0 && strcmp(what, "remove") != 0))
        client_error(client, EX_USAGE, "add or remove which range?");
    else
        change_list(client,
            &(struct address_change){ .list = list,
                .range = range,
                .comment = ctl_text(request, "comment"),
                .is_removal = strcmp(what, "remove") == 0 },
            settings);
}
