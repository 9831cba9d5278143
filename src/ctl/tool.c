#include "ctl/tool.h"
#include "ctl/offline.h"

#include "base/near.h"
#include "directory/directory.h"

#include <stdarg.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#define CONFIG_FILE "/etc/relais/relais.conf"

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
        return true;
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

const struct settings *tool_settings(struct tool *tool)
{
    /* The key is the daemon's, and no reason to know nothing. */
    struct directory_query query = {
        .file = tool->config_file, .may_lack_key = true, .skips_accounts = true
    };
    struct complaints complaints = { 0 };
    char host[256] = "localhost";
    enum err err;

    if (tool->settings)
        return tool->settings;
    err = directory_read(&query, &tool->settings, &complaints);
    complaints_done(&complaints);
    if (err != OK) {
        fprintf(stderr, "relais: %s: %s; going on with the defaults%s\n", tool->config_file,
            err_text(err), err == ERR_SYNTAX ? " (see: relais check)" : "");
        if (gethostname(host, sizeof host - 1) != 0)
            host[0] = 0;
        tool->settings = settings_new(host);
    }
    return tool->settings;
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
    struct directory_query query = {
        .file = tool->config_file, .may_lack_key = true, .skips_accounts = true
    };
    struct complaints complaints = { 0 };
    enum err err;

    if (tool->settings)
        return tool->settings;
    err = directory_read(&query, &tool->settings, &complaints);
    if (err == ERR_SYNTAX)
        tool_print_complaints(&complaints);
    complaints_done(&complaints);
    if (err == OK)
        return tool->settings;
    *code = tool_fail(tool, err == ERR_SYNTAX ? EX_CONFIG : tool_code(err), "%s: %s",
        tool->config_file, err == ERR_SYNTAX ? "has mistakes" : err_text(err));
    return NULL;
}

const char *tool_socket(struct tool *tool)
{
    return tool->socket ? tool->socket : tool_settings(tool)->control_socket;
}

const char *tool_spool_folder(struct tool *tool)
{
    return tool->spool_folder ? tool->spool_folder : tool_settings(tool)->spool_folder;
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
    struct tool tool = { .config_file = CONFIG_FILE };
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
    offline_done(&tool);
    settings_free(tool.settings);
    if (fflush(stdout) != 0 && code == EX_OK)
        code = EX_IOERR;
    return code;
}
