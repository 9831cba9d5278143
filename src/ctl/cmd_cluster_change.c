/* `relais cluster join` and `leave`.
 *
 * What is changed is one file, and it is put in place only when the whole configuration, read
 * with it, has no mistake: a running daemon goes on, and a stopped one will start. */
#include "ctl/cluster_file.h"

#include "base/buf.h"
#include "ctl/link.h"
#include "ctl/tool.h"
#include "directory/directory.h"
#include "os/file.h"
#include "os/tls.h"

#include <errno.h>
#include <string.h>
#include <sysexits.h>

enum { TEXT_BYTES_MAX = 4096, FOLDER_MODE = 0755, FILE_MODE = 0644 };

/* --- Both -------------------------------------------------------------------------------- */

static const struct cluster_node *find_node(const struct settings *settings, const char *name)
{
    for (size_t i = 0; i < settings->node_count; i++) {
        if (strcasecmp(settings->nodes[i].name, name) == 0)
            return &settings->nodes[i];
    }
    return NULL;
}

/* The daemon has read the new file, or will when it starts. */
static int reload(struct tool *tool, const char *what)
{
    struct ctl_object *request = link_request("reload"), *answer = NULL;
    int code = link_ask(tool, &request, NULL, &answer);

    ctl_free(answer);
    if (code == LINK_DOWN) {
        printf("%s; the daemon is not running, and will know when it starts\n", what);
        return EX_OK;
    }
    if (code == EX_OK)
        printf("%s; the daemon knows\n", what);
    return code;
}

/* Reads everything with CHANGE.  EX_OK, or the exit code after what is wrong was printed. */
static int check_all(
    struct tool *tool, const struct cluster_paths *paths, struct directory_change *change)
{
    struct complaints complaints = { 0 };
    struct settings *settings = NULL;
    enum err err = directory_read(
        &(struct directory_query){ paths->config, change, false }, &settings, &complaints);

    tool_print_complaints(&complaints);
    complaints_done(&complaints);
    settings_free(settings);
    if (err == OK)
        return EX_OK;
    return tool_fail(tool, err == ERR_SYNTAX ? EX_CONFIG : tool_code(err),
        "%s: %s; nothing was changed", paths->config,
        err == ERR_SYNTAX ? "it would have mistakes" : err_text(err));
}

/* --- Join -------------------------------------------------------------------------------- */

struct newcomer {
    const char *name, *address, *pin_text, *site;
    struct tls_pin pin;
    bool replaces;
};

static bool is_plain(const char *text)
{
    size_t n = strlen(text);

    for (size_t i = 0; i < n; i++) {
        if ((uint8_t)text[i] < ' ' || strchr("\"\\\x7f", text[i]))
            return false;
    }
    return n > 0 && n < 256;
}

static int check_newcomer(struct tool *tool, struct newcomer *newcomer)
{
    if (!cluster_name_is_good(newcomer->name))
        return tool_usage(tool, "'%.80s' is no name of a node", newcomer->name);
    if (!is_plain(newcomer->address) || (newcomer->site && !is_plain(newcomer->site)))
        return tool_usage(tool, "address or site has bytes that cannot be in it");
    if (!tls_pin_parse(bytes_text(newcomer->pin_text), &newcomer->pin))
        return tool_usage(tool,
            "'%.80s' is no pin: \"sha256:\" and 44 characters, as the other node prints it",
            newcomer->pin_text);
    return EX_OK;
}

/* A key that changes may be a machine made anew, or somebody between. */
static int check_pin(
    struct tool *tool, const struct settings *settings, const struct newcomer *newcomer)
{
    const struct cluster_node *node = find_node(settings, newcomer->name);

    if (!node || newcomer->replaces ||
        memcmp(node->pin, newcomer->pin.byte, sizeof node->pin) == 0)
        return EX_OK;
    return tool_fail(tool, EX_CANTCREAT,
        "%s is known with another pin; if its key was made anew: --replace", newcomer->name);
}

static void write_text(const struct newcomer *newcomer, struct buf *out)
{
    char pin[TLS_PIN_TEXT_BYTES];

    tls_pin_format(newcomer->pin, pin);
    err_ignore(buf_printf(out,
        "# Written by `relais cluster join`; `relais cluster leave` removes it.\n"
        "cluster_node \"%s\" {\n    address = \"%s\"\n    pin = \"%s\"\n",
        newcomer->name, newcomer->address, pin));
    if (newcomer->site)
        err_ignore(buf_printf(out, "    site = \"%s\"\n", newcomer->site));
    err_ignore(buf_add_text(out, "}\n"));
}

static int put_file(struct tool *tool, const struct cluster_paths *paths, struct bytes text)
{
    enum err err = folder_make(paths->folder, FOLDER_MODE);

    if (err == OK)
        err = file_replace(paths->file, text, FILE_MODE);
    return err == OK ? EX_OK
                     : tool_fail(tool, tool_code(err), "%s: %s", paths->file, err_text(err));
}

static int join(
    struct tool *tool, const struct cluster_paths *paths, const struct newcomer *newcomer)
{
    struct directory_change change = { .file = paths->file };
    char what[600];
    struct buf text;
    int code;

    buf_init(&text, TEXT_BYTES_MAX);
    write_text(newcomer, &text);
    change.text = buf_bytes(&text);
    code = check_all(tool, paths, &change);
    if (code == EX_OK && !change.was_read)
        code = tool_fail(tool, EX_CONFIG,
            "%s does not read the folder of the nodes; add this line to it, and try again:\n"
            "    " CLUSTER_INCLUDE,
            paths->config);
    if (code == EX_OK)
        code = put_file(tool, paths, buf_bytes(&text));
    buf_done(&text);
    snprintf(what, sizeof what, "%s is a node of this cluster", newcomer->name);
    return code == EX_OK ? reload(tool, what) : code;
}

int cmd_cluster_join(struct tool *tool, int argc, char **argv)
{
    struct newcomer newcomer = { NULL };
    const struct option options[] = {
        { "site", 0, OPTION_TEXT, &newcomer.site, "SITE", "where it stands" },
        { "replace", 0, OPTION_FLAG, &newcomer.replaces, NULL,
            "its key was made anew: take this pin for the old one" },
    };
    const struct settings *settings;
    struct cluster_paths paths;
    int code;

    if (!tool_options(tool, &argc, argv, options, OPTION_COUNT(options), &code))
        return code;
    if (argc != 3)
        return tool_usage(tool, "name, address and pin, as `relais cluster init` prints them");
    newcomer.name = argv[0];
    newcomer.address = argv[1];
    newcomer.pin_text = argv[2];
    code = check_newcomer(tool, &newcomer);
    if (code != EX_OK)
        return code;
    settings = tool_settings_needed(tool, &code);
    if (!settings)
        return code;
    code = check_pin(tool, settings, &newcomer);
    if (code != EX_OK)
        return code;
    if (!cluster_paths_init(tool->config_file, newcomer.name, &paths))
        return tool_fail(tool, EX_NOINPUT, "%s: %s", tool->config_file, strerror(errno));
    code = join(tool, &paths, &newcomer);
    cluster_paths_done(&paths);
    return code;
}

/* --- Leave ------------------------------------------------------------------------------- */

static int leave(struct tool *tool, const struct cluster_paths *paths, const char *name)
{
    struct directory_change change = { .file = paths->file, .is_gone = true };
    char what[600];
    enum err err;
    int code = check_all(tool, paths, &change);

    if (code != EX_OK)
        return code;
    err = file_remove(paths->file);
    if (err == OK)
        err = folder_sync(paths->folder);
    if (err != OK)
        return tool_fail(tool, tool_code(err), "%s: %s", paths->file, err_text(err));
    snprintf(what, sizeof what, "%s is no longer a node of this cluster", name);
    return reload(tool, what);
}

int cmd_cluster_leave(struct tool *tool, int argc, char **argv)
{
    const struct settings *settings;
    const struct cluster_node *node;
    struct cluster_paths paths;
    int code;

    if (!tool_options(tool, &argc, argv, NULL, 0, &code))
        return code;
    if (argc != 1 || !cluster_name_is_good(argv[0]))
        return tool_usage(tool, "the name of one node");
    settings = tool_settings_needed(tool, &code);
    if (!settings)
        return code;
    node = find_node(settings, argv[0]);
    if (!node)
        return tool_fail(tool, EX_NOINPUT, "there is no node %s", argv[0]);
    if (!cluster_paths_init(tool->config_file, argv[0], &paths))
        return tool_fail(tool, EX_NOINPUT, "%s: %s", tool->config_file, strerror(errno));
    if (strcmp(strrchr(node->source.file, '/') ? strrchr(node->source.file, '/') : "",
            strrchr(paths.file, '/')) != 0)
        code = tool_fail(tool, EX_CONFIG, "%s stands in %s, line %d: remove it there", argv[0],
            node->source.file, node->source.line);
    else
        code = leave(tool, &paths, argv[0]);
    cluster_paths_done(&paths);
    return code;
}
