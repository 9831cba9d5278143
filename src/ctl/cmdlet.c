#include "ctl/cmdlet.h"

#include "base/bytes.h"

/* Options take a value, which is the next word.  Switches are true alone, or as the word behind
 * their colon, or the next one, says.  An empty text: nothing is to be said. */
static struct parameter {
    const char *name;
    bool is_switch;
    char yes[12], no[12]; /* an option: `yes` */
} parameters[] = {
    { "Filter", false, "--filter", "" },
    { "Queue", false, "--queue", "" },
    { "ResultSize", false, "--limit", "" },
    { "Server", false, "--server", "" },
    { "Target", false, "--to", "" },
    { "Path", false, "--output", "" },
    { "Identity", false, "", "" },
    { "Sender", false, "--sender", "" },
    { "Recipients", false, "--recipient", "" },
    { "MessageId", false, "--id", "" },
    { "InternalMessageId", false, "--id", "" },
    { "MessageSubject", false, "--subject", "" },
    { "EventId", false, "--event", "" },
    { "Start", false, "--since", "" },
    { "End", false, "--until", "" },
    { "WhatIf", true, "--what-if", "" },
    { "Confirm", true, "", "--yes" },
    { "WithNDR", true, "--ndr", "--no-ndr" },
    { "All", true, "--all", "" },
};

static bool is_word(const char *text, const char *word)
{
    return text && bytes_equal_nocase(bytes_text(text), bytes_text(word));
}

/* *BEHIND: what stands behind its colon; NULL: there is none. */
static struct parameter *find(const char *argument, const char **behind)
{
    size_t n = argument[0] == '-' && argument[1] != '-' ? strcspn(argument, ":") : 0;

    for (size_t i = 0; n > 2 && i < sizeof parameters / sizeof *parameters; i++) {
        if (!bytes_equal_nocase(bytes_of(argument + 1, n - 1), bytes_text(parameters[i].name)))
            continue;
        *behind = argument[n] ? argument + n + 1 : NULL;
        return *behind && !parameters[i].is_switch ? NULL : &parameters[i];
    }
    return NULL;
}

/* Puts the option for the switch at *AT into ARGV[to]; returns how many words that is. */
static int take_switch(
    struct parameter *parameter, const char *behind, int *at, int argc, char **argv, int to)
{
    const char *word = behind;
    char *option;

    if (!behind && *at + 1 < argc &&
        (is_word(argv[*at + 1], "$true") || is_word(argv[*at + 1], "$false")))
        word = argv[++*at];
    option = is_word(word, "$false") || is_word(word, "false") ? parameter->no : parameter->yes;
    if (!option[0])
        return 0;
    argv[to] = option;
    return 1;
}

void cmdlet_arguments(int *argc, char **argv)
{
    static char zero[] = "0";
    int to = 0;

    for (int at = 0; at < *argc; at++) {
        const char *behind = NULL;
        struct parameter *parameter = find(argv[at], &behind);
        if (!parameter) {
            argv[to++] = argv[at];
            continue;
        }
        if (parameter->is_switch) {
            to += take_switch(parameter, behind, &at, *argc, argv, to);
            continue;
        }
        if (parameter->yes[0])
            argv[to++] = parameter->yes;
        if (++at < *argc)
            argv[to++] = is_word(argv[at], "unlimited") ? zero : argv[at];
    }
    *argc = to;
}
