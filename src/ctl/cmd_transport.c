/* `relais get-transport-config` and `set-transport-config`: by the names and with the habits of
 * the cmdlets.  Without a daemon the file is read and changed that it would use. */
#include "base/mem.h"
#include "ctl/link.h"
#include "ctl/print.h"
#include "ctl/tool.h"
#include "directory/directory.h"
#include "os/file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sysexits.h>

enum { WORDS_MAX = 40, FILE_BYTES_MAX = 64 << 10, FILE_MODE = 0640, FOLDER_MODE = 0750 };

/* --- Looking ----------------------------------------------------------------------------- */

struct listing {
    bool is_json;
    struct ctl_object *all; /* JSON: one object of them all */
};

static void take_one(struct listing *listing, const struct transport_fact *fact)
{
    if (!listing->is_json)
        printf("%-34s : %s\n", fact->name, fact->value);
    else if (fact->kind == TRANSPORT_FLAG)
        ctl_set_bool(listing->all, fact->name, fact->number);
    else if (fact->kind == TRANSPORT_COUNT)
        ctl_set_number(listing->all, fact->name, fact->number);
    else
        ctl_set_text(listing->all, fact->name, bytes_text(fact->value));
}

static bool on_row(void *me, const struct ctl_object *row)
{
    const char *name = ctl_text(row, "name"), *kind = ctl_text(row, "kind"),
               *value = ctl_text(row, "value");
    struct transport_fact fact = { .name = name, .number = ctl_number(row, "number", 0) };

    if (!name || !kind || !value)
        return true;
    fact.kind = strcmp(kind, "flag") == 0    ? TRANSPORT_FLAG
                : strcmp(kind, "count") == 0 ? TRANSPORT_COUNT
                                             : TRANSPORT_CHOICE; /* or a time: as text too */
    snprintf(fact.value, sizeof fact.value, "%s", value);
    take_one(me, &fact);
    return true;
}

static int list_file(struct tool *tool, struct listing *listing)
{
    struct transport_fact fact;
    int code = EX_OK;
    const struct settings *settings = tool_settings_needed(tool, &code);

    for (size_t i = 0; settings && directory_transport_get(&settings->transport, i, &fact); i++)
        take_one(listing, &fact);
    return code;
}

int cmd_get_transport(struct tool *tool, int argc, char **argv)
{
    struct listing listing = { false, NULL };
    struct link_reader reader = { on_row, &listing };
    struct ctl_object *request;
    int code;

    if (!tool_options_only(tool, argc, argv, NULL, 0, &code))
        return code;
    listing.is_json = tool->is_json;
    listing.all = ctl_new();
    request = link_request("get-transport-config");
    code = link_ask(tool, &request, &reader, NULL);
    if (code == LINK_DOWN)
        code = list_file(tool, &listing);
    if (code == EX_OK && tool->is_json)
        print_json_row(listing.all);
    ctl_free(listing.all);
    return code;
}

/* --- Changing ---------------------------------------------------------------------------- */

/* What was asked for.  The names are cut out of the command line, and owned. */
struct change {
    struct transport_word words[WORDS_MAX];
    char *names[WORDS_MAX];
    size_t count;
};

/* Options of every command; they are read by tool_options(). */
static bool is_common(const char *option)
{
    static const char *const common[] = { "--json", "--help", "-h", "-c", "--config",
        "--socket", "--spool" };

    for (size_t i = 0; i < sizeof common / sizeof *common; i++) {
        size_t n = strlen(common[i]);
        if (strncmp(common[i], option, n) == 0 && (!option[n] || option[n] == '='))
            return true;
    }
    return false;
}

/* "-Name VALUE", "-Name:VALUE", "--name VALUE" and "--name=VALUE".  Returns how many arguments
 * it took; 0: the value is missing. */
static int take_word(struct change *change, int argc, char **argv)
{
    const char *name = argv[0] + strspn(argv[0], "-"), *value;
    size_t n = strcspn(name, "=:");
    int used = name[n] ? 1 : 2;

    if (used == 1)
        value = name + n + 1;
    else if (argc > 1 && argv[1][0] != '-')
        value = argv[1];
    else
        return 0;
    change->names[change->count] = bytes_to_text(bytes_of(name, n));
    change->words[change->count] =
        (struct transport_word){ change->names[change->count], value };
    change->count++;
    return used;
}

/* Takes the words out of ARGV; what is left are common options.  False: *code. */
static bool take_words(
    struct tool *tool, struct change *change, int *argc, char **argv, int *code)
{
    int kept = 0, used;

    for (int i = 0; i < *argc; i += used) {
        used = 1;
        if (argv[i][0] != '-' || is_common(argv[i])) {
            argv[kept++] = argv[i];
            continue;
        }
        if (change->count == WORDS_MAX) {
            *code = tool_usage(tool, "more than there are parameters");
            return false;
        }
        used = take_word(change, *argc - i, argv + i);
        if (used == 0) {
            *code = tool_usage(tool,
                "'%.60s' has no value (a shell takes $true for its own: write true)", argv[i]);
            return false;
        }
    }
    *argc = kept;
    return true;
}

static void on_changed(void *me, const char *name, const char *old_value, const char *new_value)
{
    struct ctl_object *row = ctl_new();

    ctl_set_text(row, "name", bytes_text(name));
    ctl_set_text(row, "old", bytes_text(old_value));
    ctl_set_text(row, "new", bytes_text(new_value));
    ctl_add_object(me, "changes", &row);
}

static void say_changes(const struct tool *tool, const struct ctl_object *answer)
{
    size_t count = ctl_list_count(answer, "changes");

    if (tool->is_json) {
        print_json_row(answer);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct ctl_object *row = ctl_list_object(answer, "changes", i);
        const char *name = row ? ctl_text(row, "name") : NULL,
                   *was = row ? ctl_text(row, "old") : NULL,
                   *is = row ? ctl_text(row, "new") : NULL;
        if (name && was && is)
            printf("%s: %s -> %s\n", name, was, is);
        ctl_free(row);
    }
    if (count == 0)
        puts("nothing has changed: it was so already");
}

/* The file is in its place: what it says now, beside what was so BEFORE. */
static int say_file_changed(
    struct tool *tool, const struct transport_settings *before, const char *file)
{
    struct ctl_object *answer = ctl_new();
    struct complaints complaints = { 0 };
    struct settings *after = NULL;
    enum err err = directory_read_file(tool->config_file, &after, &complaints);

    fprintf(stderr, "the daemon is not running; it will find this in %s\n", file);
    if (err == OK) { /* it was checked just before */
        ctl_set_bool(answer, "ok", true);
        directory_transport_compare(before, &after->transport, on_changed, answer);
        say_changes(tool, answer);
    }
    settings_free(after);
    complaints_done(&complaints);
    ctl_free(answer);
    return err == OK ? EX_OK : tool_fail(tool, EX_CONFIG, "%s: %s", file, err_text(err));
}

/* Changes the file itself, checked like the daemon would. */
static int change_file(struct tool *tool, const struct change *change)
{
    int code = EX_OK;
    const struct settings *settings = tool_settings_needed(tool, &code);
    char *file, why[512] = "";
    struct buf text;
    enum err err;

    if (!settings)
        return code;
    file = directory_transport_file(settings);
    buf_init(&text, FILE_BYTES_MAX);
    err = directory_transport_edit(file, change->words, change->count, &text, why);
    if (err == OK)
        err = directory_transport_check(tool->config_file, file, buf_bytes(&text), why);
    if (err != OK) {
        code = tool_fail(tool, err == ERR_SYNTAX ? EX_CONFIG : tool_code(err), "%s", why);
    } else {
        err = folder_make(settings->state_folder, FOLDER_MODE);
        if (err == OK)
            err = file_replace(file, buf_bytes(&text), FILE_MODE);
        if (err != OK)
            code = tool_fail(tool, tool_code(err), "%s: %s", file, err_text(err));
        else
            code = say_file_changed(tool, &settings->transport, file);
    }
    buf_done(&text);
    free(file);
    return code;
}

static int ask_daemon(struct tool *tool, const struct change *change)
{
    struct ctl_object *request = link_request("set-transport-config"), *answer = NULL;
    int code;

    for (size_t i = 0; i < change->count; i++) {
        struct ctl_object *word = ctl_new();
        ctl_set_text(word, "name", bytes_text(change->words[i].name));
        ctl_set_text(word, "value", bytes_text(change->words[i].value));
        ctl_add_object(request, "changes", &word);
    }
    code = link_ask(tool, &request, NULL, &answer);
    if (code == EX_OK && answer)
        say_changes(tool, answer);
    ctl_free(answer);
    return code;
}

static int change_words(struct tool *tool, struct change *change, int argc, char **argv)
{
    int code;

    if (!take_words(tool, change, &argc, argv, &code) ||
        !tool_options(tool, &argc, argv, NULL, 0, &code))
        return code;
    if (argc)
        return tool_usage(tool, "unexpected '%.60s'", argv[0]);
    if (change->count == 0)
        return tool_usage(tool, "which parameter?  relais get-transport-config lists them all");
    code = ask_daemon(tool, change);
    return code == LINK_DOWN ? change_file(tool, change) : code;
}

int cmd_set_transport(struct tool *tool, int argc, char **argv)
{
    struct change change = { .count = 0 };
    int code = change_words(tool, &change, argc, argv);

    for (size_t i = 0; i < change.count; i++)
        free(change.names[i]);
    return code;
}
