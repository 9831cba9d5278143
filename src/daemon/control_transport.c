/* get-transport-config and set-transport-config.
 *
 * A change is checked with the whole configuration, made durable in transport.conf, and put in
 * force by a reload; when that fails the file is what it was.  So what was answered with ok
 * holds after a restart too. */
#include "daemon/control_internal.h"

#include "base/mem.h"
#include "directory/directory.h"
#include "os/file.h"
#include "report/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

enum { FILE_BYTES_MAX = 64 << 10, WORDS_MAX = 64, FILE_MODE = 0640, FOLDER_MODE = 0750 };

void command_get_transport(struct client *client, const struct ctl_object *request)
{
    static const char *const kinds[] = { [TRANSPORT_FLAG] = "flag",
        [TRANSPORT_COUNT] = "count",
        [TRANSPORT_TIME] = "time",
        [TRANSPORT_CHOICE] = "choice" };
    const struct settings *settings = client->control->path->routed_by->settings;
    struct transport_fact fact;

    (void)request;
    for (size_t i = 0; directory_transport_get(&settings->transport, i, &fact); i++) {
        struct ctl_object *row = ctl_new();
        ctl_set_text(row, "name", bytes_text(fact.name));
        ctl_set_text(row, "option", bytes_text(fact.option));
        ctl_set_text(row, "kind", bytes_text(kinds[fact.kind]));
        ctl_set_text(row, "value", bytes_text(fact.value));
        ctl_set_number(row, "number", fact.number);
        client_row(client, &row);
    }
    client_ok(client);
}

struct change {
    char *config_file, *folder, *file;
    struct transport_word words[WORDS_MAX];
    size_t count;
    struct buf text, old; /* of FILE */
    bool was_there;
};

/* The request's "changes": objects of a name and a value, borrowed from LIST. */
static bool read_words(
    struct change *change, const struct ctl_object *request, struct ctl_object **list)
{
    change->count = ctl_list_count(request, "changes");
    if (change->count == 0 || change->count > WORDS_MAX)
        return false;
    for (size_t i = 0; i < change->count; i++) {
        list[i] = ctl_list_object(request, "changes", i);
        if (!list[i])
            return false;
        change->words[i].name = ctl_text(list[i], "name");
        change->words[i].value = ctl_text(list[i], "value");
        if (!change->words[i].name || !change->words[i].value)
            return false;
    }
    return true;
}

static enum err put_file(struct change *change, char why[512])
{
    enum err err = file_read_all(change->file, FILE_BYTES_MAX, &change->old);

    change->was_there = err == OK;
    if (err == ERR_NONE)
        err = folder_make(change->folder, FOLDER_MODE);
    if (err == OK)
        err = file_replace(change->file, buf_bytes(&change->text), FILE_MODE);
    if (err != OK)
        snprintf(why, 512, "%.400s: %s", change->file, err_text(err));
    return err;
}

static void put_back(const struct change *change)
{
    enum err err = change->was_there
                       ? file_replace(change->file, buf_bytes(&change->old), FILE_MODE)
                       : file_remove(change->file);

    if (err != OK)
        report_notice(REPORT_ERROR, "%s: what was refused cannot be taken back: %s",
            change->file, err_text(err));
}

static void on_changed(void *me, const char *name, const char *old_value, const char *new_value)
{
    struct ctl_object *row = ctl_new();

    report_notice(
        REPORT_INFO, "set-transport-config: %s: %s -> %s", name, old_value, new_value);
    ctl_set_text(row, "name", bytes_text(name));
    ctl_set_text(row, "old", bytes_text(old_value));
    ctl_set_text(row, "new", bytes_text(new_value));
    ctl_add_object(me, "changes", &row);
}

static void make_change(struct client *client, struct change *change)
{
    const struct path *path = client->control->path;
    struct transport_settings before = path->routed_by->settings->transport;
    struct ctl_object *end;
    char why[512] = "";

    if (directory_transport_edit(
            change->file, change->words, change->count, &change->text, why) != OK) {
        client_error(client, EX_USAGE, "%s", why);
        return;
    }
    if (directory_transport_check(
            change->config_file, change->file, buf_bytes(&change->text), why) != OK) {
        client_error(client, EX_CONFIG, "%s", why);
        return;
    }
    if (put_file(change, why) != OK) {
        client_error(client, EX_CANTCREAT, "%s", why);
        return;
    }
    end = client->control->reload(client->control->me);
    if (ctl_bool(end, "ok"))
        directory_transport_compare(
            &before, &path->routed_by->settings->transport, on_changed, end);
    else
        put_back(change);
    client_end(client, &end);
}

void command_set_transport(struct client *client, const struct ctl_object *request)
{
    const struct settings *settings = client->control->path->routed_by->settings;
    struct ctl_object *list[WORDS_MAX] = { NULL };
    struct change change = { .config_file = mem_text(settings->file),
        .folder = mem_text(settings->state_folder),
        .file = directory_transport_file(settings) };

    buf_init(&change.text, FILE_BYTES_MAX);
    buf_init(&change.old, FILE_BYTES_MAX);
    if (read_words(&change, request, list))
        make_change(client, &change); /* the reload may free SETTINGS */
    else
        client_error(client, EX_USAGE, "what is to be changed, and to what?");
    for (size_t i = 0; i < WORDS_MAX; i++)
        ctl_free(list[i]);
    buf_done(&change.text);
    buf_done(&change.old);
    free(change.config_file);
    free(change.folder);
    free(change.file);
}
