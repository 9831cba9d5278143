#include "ctl/tool.h"
#include "ctl/offline.h"

#include "base/near.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#define CONFIG_FILE "/etc/relais/relais.conf"
static const char default_file[] = CONFIG_FILE;

static struct option_set common_options(struct tool *tool)
{
    static struct option list[5];

    list[0] = (struct option){ "config", 'c', OPTION_TEXT, &tool->config_file, "FILE",
        "configuration file [" CONFIG_FILE "]" };
    list[1] = (struct option){ "socket", 0, OPTION_TEXT, &tool->socket, "PATH",
        "control socket of the daemon [as configured]" };
    list[2] = (struct option){ "spool", 0, OPTION_TEXT, &tool->spool_folder, "FOLDER",
        "spool to read when the daemon is down [as configured]" };
    list[3] = (struct option){ "json", 0, OPTION_FLAG, &tool->is_json, NULL,
        "one JSON object a row" };
    list[4] = (struct option){ "help", 'h', OPTION_FLAG, &tool->wants_help, NULL, "this text" };
    return (struct option_set){ list, 5 };
}

/* --- Saying ------------------------------------------------------------------------------ */

static void print_usage(const struct command *command, FILE *to)
{
    fprintf(to, "usage: relais %s%s%s\n", command->name, command->arguments[0] ? " " : "",
        command->arguments);
}

static void PRINTF(2, 0) say(const struct tool *tool, const char *format, va_list args)
{
    fprintf(stderr, "relais%s%s: ", tool->command ? " " : "",
        tool->command ? tool->command->name : "");
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

bool tool_mid(struct tool *tool, const char *text, struct mid *out, int *exit_code)
{
    if (mid_parse(bytes_text(text), out))
        return true;
    *exit_code = tool_usage(tool, "'%.60s' is not a message id: 32 hexadecimal digits", text);
    return false;
}

int tool_fail(const struct tool *tool, int code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(tool, format, args);
    va_end(args);
    return code;
}

int tool_usage(const struct tool *tool, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(tool, format, args);
    va_end(args);
    if (tool->command) {
        print_usage(tool->command, stderr);
        fprintf(stderr, "More: relais help %s\n", tool->command->name);
    } else {
        fputs("usage: relais [-c FILE] COMMAND [OPTIONS]\nMore: relais help\n", stderr);
    }
    return EX_USAGE;
}

/* A file that was named and is not there is a mistake in the command's line: another relay's
 * daemon would be asked.  FILE may be missing where it is the system's own. */
static bool has_file(const struct tool *tool, int *exit_code)
{
    enum err err;

    if (!tool->config_file || tool->config_file == default_file ||
        access(tool->config_file, R_OK) == 0)
        return true;
    err = errno == EACCES                       ? ERR_DENIED
          : errno == ENOENT || errno == ENOTDIR ? ERR_NONE
                                                : ERR_IO;
    *exit_code = tool_fail(tool, tool_code(err), "%s: %s", tool->config_file, err_text(err));
    return false;
}

bool tool_options(struct tool *tool, int *argc, char **argv, const struct option *options,
    size_t count, int *exit_code)
{
    struct option_set sets[] = { { options, count }, common_options(tool) };
    char why[OPTION_WHY_BYTES];

    if (!arguments_read(argc, argv, sets, 2, false, why)) {
        *exit_code = tool_usage(tool, "%s", why);
        return false;
    }
    if (!tool->wants_help)
        return has_file(tool, exit_code);
    print_usage(tool->command, stdout);
    printf("\n%s.\n\n", tool->command->summary);
    arguments_print(sets[0]);
    arguments_print(sets[1]);
    *exit_code = EX_OK;
    return false;
}

bool tool_options_only(struct tool *tool, int argc, char **argv, const struct option *options,
    size_t count, int *exit_code)
{
    if (!tool_options(tool, &argc, argv, options, count, exit_code))
        return false;
    if (argc)
        *exit_code = tool_usage(tool, "unexpected '%.60s'", argv[0]);
    return argc == 0;
}

/* --- Settings ---------------------------------------------------------------------------- */

static const struct {
    unsigned place;
    const char *name, *instead;
} place_names[] = {
    { DIRECTORY_CONTROL_SOCKET, "control_socket", " (give it: --socket PATH)" },
    { DIRECTORY_SPOOL_FOLDER, "spool { folder }", " (give it: --spool FOLDER)" },
    { DIRECTORY_STATE_FOLDER, "state_folder", "" },
    { DIRECTORY_POISON, "queue { poison_threshold }", "" },
    { DIRECTORY_TRACKING_LOG, "log { tracking_file }", "" },
};

static struct settings *default_settings(void)
{
    char host[256] = "localhost";

    if (gethostname(host, sizeof host - 1) != 0)
        host[0] = 0;
    return settings_new(host);
}

/* Of the system's file that is not there everything is at its default; of one that may not be read
 * the socket is worth a try, as it is the system's. */
static unsigned unsure_without(const struct tool *tool, enum err err)
{
    if (err == ERR_NONE)
        return DIRECTORY_REST;
    if (err == ERR_DENIED && tool->config_file == default_file)
        return ~(unsigned)DIRECTORY_CONTROL_SOCKET;
    return ~0U;
}

static void read_settings(struct tool *tool)
{
    /* The key is the daemon's, and no reason to know nothing. */
    struct directory_partial partial = { 0 };
    struct directory_query query = { .file = tool->config_file,
        .may_lack_key = true,
        .skips_accounts = true,
        .partial = &partial };

    if (tool->settings)
        return;
    tool->settings_err = directory_read(&query, &tool->settings, &tool->complaints);
    if (tool->settings_err == OK)
        return;
    if (tool->settings_err == ERR_SYNTAX) {
        tool->settings = partial.settings;
        tool->unsure = partial.unsure;
    } else {
        tool->settings = default_settings();
        tool->unsure = unsure_without(tool, tool->settings_err);
    }
}

bool tool_knows(struct tool *tool, unsigned places)
{
    read_settings(tool);
    return !(tool->unsure & places);
}

static void tell_state(struct tool *tool)
{
    if (tool->settings_err == OK || tool->has_told)
        return;
    tool->has_told = true;
    if (tool->settings_err == ERR_SYNTAX)
        fprintf(stderr, "relais: %s has mistakes%s (see: relais check)\n", tool->config_file,
            geteuid() == 0 ? "" : ", or names files that you may not read");
    else
        fprintf(stderr, "relais: %s: %s; going by the defaults\n", tool->config_file,
            err_text(tool->settings_err));
}

static int refuse_place(const struct tool *tool, unsigned places)
{
    if (places & DIRECTORY_REST)
        return tool_fail(tool, EX_CONFIG, "%s: has mistakes", tool->config_file);
    for (size_t i = 0; i < sizeof place_names / sizeof *place_names; i++) {
        if (places & tool->unsure & place_names[i].place)
            return tool_fail(tool, EX_CONFIG, "%s has mistakes and does not tell the %s%s",
                tool->config_file, place_names[i].name, place_names[i].instead);
    }
    abort(); /* not reached: something is unsure, and each place has a name */
}

const struct settings *tool_settings(struct tool *tool, unsigned places, int *code)
{
    bool is_known = tool_knows(tool, places);

    if (is_known) {
        tell_state(tool);
        return tool->settings;
    }
    *code = tool->settings_err == ERR_SYNTAX
                ? refuse_place(tool, places)
                : tool_fail(tool, tool_code(tool->settings_err), "%s: %s", tool->config_file,
                      err_text(tool->settings_err));
    return NULL;
}

void tool_print_complaints(const struct complaints *complaints)
{
    char text[1000];

    for (size_t i = 0; i < complaints->count; i++) {
        complaint_format(&complaints->list[i], text);
        fprintf(stderr, "%s\n", text);
    }
}

const struct settings *tool_settings_needed(struct tool *tool, int *code)
{
    if (!tool_knows(tool, DIRECTORY_REST) && tool->settings_err == ERR_SYNTAX)
        tool_print_complaints(&tool->complaints);
    return tool_settings(tool, ~0U, code);
}

const char *tool_socket(struct tool *tool, int *code)
{
    const struct settings *settings;

    if (tool->socket)
        return tool->socket;
    settings = tool_settings(tool, DIRECTORY_CONTROL_SOCKET, code);
    return settings ? settings->control_socket : NULL;
}

const char *tool_spool_folder(struct tool *tool, int *code)
{
    const struct settings *settings;

    if (tool->spool_folder)
        return tool->spool_folder;
    settings = tool_settings(tool, DIRECTORY_SPOOL_FOLDER, code);
    return settings ? settings->spool_folder : NULL;
}

void tool_done(struct tool *tool)
{
    offline_done(tool);
    settings_free(tool->settings);
    tool->settings = NULL;
    complaints_done(&tool->complaints);
}

int tool_code(enum err err)
{
    switch (err) {
    case OK:
        return EX_OK;
    case ERR_DENIED:
        return EX_NOPERM;
    case ERR_NONE:
        return EX_NOINPUT;
    case ERR_SYNTAX:
    case ERR_CORRUPT:
        return EX_DATAERR;
    case ERR_SPACE:
    case ERR_EXISTS:
        return EX_CANTCREAT;
    case ERR_IO:
        return EX_IOERR;
    case ERR_REFUSED:
    case ERR_UNREACHABLE:
    case ERR_CLOSED:
        return EX_UNAVAILABLE;
    case ERR_BUSY:
    case ERR_TIMEOUT:
        return EX_TEMPFAIL;
    default:
        return EX_OSERR;
    }
}

/* --- Running ----------------------------------------------------------------------------- */

/* Names with hyphens are those of cmdlets: "Set-TransportConfig" is "set-transport-config". */
static bool is_name(const char *name, const char *word)
{
    if (strcmp(name, word) == 0)
        return true;
    if (!strchr(name, '-'))
        return false;
    for (;; name++, word++) {
        name += strspn(name, "-");
        word += strspn(word, "-");
        if (ascii_lower((uint8_t)*name) != ascii_lower((uint8_t)*word))
            return false;
        if (!*name)
            return true;
    }
}

/* The command that the first one or two words of ARGV name; *words is how many. */
static const struct command *find(int argc, char **argv, int *words)
{
    char two[64];

    snprintf(two, sizeof two, "%s %s", argv[0], argc > 1 ? argv[1] : "");
    for (*words = 2; *words > 0; (*words)--) {
        for (const struct command *c = tool_commands; c->name; c++) {
            if (is_name(c->name, *words == 2 ? two : argv[0]))
                return c;
        }
    }
    return NULL;
}

static const char *command_name_at(const void *me, size_t i)
{
    const struct command *commands = me;

    return commands[i].name;
}

/* Two words are nearer to a command of two than their first alone is. */
static const char *near_command(int argc, char **argv)
{
    char text[64];
    const char *near;

    for (int words = argc > 1 ? 2 : 1; words > 0; words--) {
        snprintf(text, sizeof text, "%s%s%s", argv[0], words > 1 ? " " : "",
            words > 1 ? argv[1] : "");
        for (char *c = text; *c; c++)
            *c = (char)ascii_lower((uint8_t)*c);
        near = nearest_name(text, command_name_at, tool_commands);
        if (near)
            return near;
    }
    return NULL;
}

int tool_unknown_command(const struct tool *tool, int argc, char **argv)
{
    const char *word = argv[0], *near;
    char known[200] = "";
    size_t n = strlen(word), at = 0;

    for (const struct command *c = tool_commands; c->name; c++) {
        if (strncmp(c->name, word, n) == 0 && c->name[n] == ' ' && at < 150)
            at += (size_t)snprintf(
                known + at, sizeof known - at, "%s%s", at ? ", " : "", c->name);
    }
    if (at)
        return tool_usage(tool, "'%.40s%s%.40s' is no command; there are: %s", word,
            argc > 1 ? " " : "", argc > 1 ? argv[1] : "", known);
    near = near_command(argc, argv);
    if (near)
        return tool_usage(
            tool, "unknown command '%.60s'; did you mean 'relais %s'?", word, near);
    return tool_usage(tool, "unknown command '%.60s'", word);
}

int tool_run(int argc, char **argv)
{
    struct tool tool = { .config_file = default_file };
    bool wants_version = false;
    const struct option version[] = { { "version", 'V', OPTION_FLAG, &wants_version } };
    struct option_set sets[] = { { version, 1 }, common_options(&tool) };
    char why[OPTION_WHY_BYTES];
    int words, code;

    if (!arguments_read(&argc, argv, sets, 2, true, why))
        return tool_usage(&tool, "%s", why);
    if (wants_version)
        return puts("relais " RELAIS_VERSION) < 0 ? EX_IOERR : EX_OK;
    if (tool.wants_help)
        return cmd_help(&tool, 0, NULL);
    if (argc == 0)
        return tool_usage(&tool, "which command?");
    tool.command = find(argc, argv, &words);
    if (!tool.command)
        return tool_unknown_command(&tool, argc, argv);
    code = tool.command->run(&tool, argc - words, argv + words);
    tool_done(&tool);
    if (fflush(stdout) != 0 && code == EX_OK)
        code = EX_IOERR;
    return code;
}
