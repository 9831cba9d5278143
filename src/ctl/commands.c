#include "ctl/tool.h"

#include <sysexits.h>

const struct command tool_commands[] = {
    { "check", "[-c FILE]", "Reads the configuration and tells every mistake in it",
        cmd_check },
    { "help", "[COMMAND]", "This list, or what a command takes", cmd_help },
    { NULL, NULL, NULL, NULL },
};

static int list_all(void)
{
    puts("usage: relais [-c FILE] COMMAND [OPTIONS]\n");
    for (const struct command *c = tool_commands; c->name; c++)
        printf("  %-16s %s\n", c->name, c->summary);
    puts("\nMore: relais help COMMAND, and the manual page relais(1).");
    return EX_OK;
}

int cmd_help(struct tool *tool, int argc, char **argv)
{
    char name[64];
    char flag[] = "--help", *only[] = { flag };

    if (argc == 0 || argv[0][0] == '-')
        return list_all();
    snprintf(
        name, sizeof name, "%s%s%s", argv[0], argc > 1 ? " " : "", argc > 1 ? argv[1] : "");
    for (const struct command *c = tool_commands; c->name; c++) {
        if (strcmp(c->name, name) == 0 && c->run != cmd_help) {
            tool->command = c;
            return c->run(tool, 1, only);
        }
    }
    return strcmp(name, "help") == 0 ? list_all()
                                     : tool_usage(tool, "unknown command '%.60s'", name);
}
