#include "ctl/arguments.h"

#include "base/near.h"
#include "base/time.h"

#include <stdio.h>

bool arguments_size(const char *text, uint64_t max, uint64_t *out)
{
    static const char units[] = "kmgt";
    struct bytes bytes = bytes_text(text);
    unsigned shift = 0;
    uint64_t number;

    if (bytes.n && ascii_lower(bytes.at[bytes.n - 1]) == 'b')
        bytes.n--;
    if (bytes.n) {
        const char *unit = strchr(units, ascii_lower(bytes.at[bytes.n - 1]));
        if (unit && *unit) {
            shift = 10 * (unsigned)(unit - units + 1);
            bytes.n--;
        }
    }
    if (!bytes_to_number(bytes, (max ? max : UINT64_MAX) >> shift, &number))
        return false;
    *out = number << shift;
    return true;
}

static bool parse_duration(const char *text, int64_t *out)
{
    uint64_t number;

    if (bytes_to_number(bytes_text(text), INT64_MAX / 2, &number)) {
        *out = (int64_t)number;
        return true;
    }
    return duration_parse(bytes_text(text), out);
}

static bool parse_yes_no(const char *text, bool *out)
{
    bool yes = strcmp(text, "yes") == 0 || strcmp(text, "true") == 0 || strcmp(text, "on") == 0;
    bool no = strcmp(text, "no") == 0 || strcmp(text, "false") == 0 || strcmp(text, "off") == 0;

    if (yes || no)
        *out = yes;
    return yes || no;
}

static bool parse_choice(const struct option *option, const char *text)
{
    for (unsigned i = 0; option->choices[i]; i++) {
        if (strcmp(option->choices[i], text) == 0) {
            *(unsigned *)option->at = i;
            return true;
        }
    }
    return false;
}

static bool add_text(struct option_texts *texts, const char *text)
{
    if (texts->count == OPTION_TEXTS_MAX)
        return false;
    texts->text[texts->count++] = text;
    return true;
}

static bool take(const struct option *option, const char *text)
{
    switch (option->kind) {
    case OPTION_TEXT:
        *(const char **)option->at = text;
        return true;
    case OPTION_TEXTS:
        return add_text(option->at, text);
    case OPTION_NUMBER:
        return bytes_to_number(
            bytes_text(text), option->max ? option->max : UINT64_MAX, option->at);
    case OPTION_SIZE:
        return arguments_size(text, option->max, option->at);
    case OPTION_DURATION:
        return parse_duration(text, option->at);
    case OPTION_YES_NO:
        return parse_yes_no(text, option->at);
    case OPTION_CHOICE:
        return parse_choice(option, text);
    default:
        return false;
    }
}

static const char *expected(const struct option *option, char text[100])
{
    int n = 0;

    switch (option->kind) {
    case OPTION_NUMBER:
        if (option->max)
            snprintf(text, 100, "a number up to %llu", (unsigned long long)option->max);
        return option->max ? text : "a number";
    case OPTION_SIZE:
        return "a size like 10k or 25M";
    case OPTION_DURATION:
        return "a time like 500ms, 5s or 1h";
    case OPTION_YES_NO:
        return "yes or no";
    case OPTION_CHOICE:
        for (unsigned i = 0; option->choices[i] && n < 80; i++)
            n += snprintf(
                text + n, 100 - (size_t)n, "%s%s", i ? ", " : "one of ", option->choices[i]);
        return text;
    default:
        return "fewer of them";
    }
}

/* Finds the option that ARGUMENT names; *value is what stands behind "=" or the letter. */
static const struct option *find(
    const struct option_set *sets, size_t set_count, const char *argument, const char **value)
{
    bool is_long = argument[1] == '-';
    const char *name = argument + (is_long ? 2 : 1);
    size_t n = is_long ? strcspn(name, "=") : 1;

    *value = name[n] == 0 ? NULL : name + n + (is_long ? 1 : 0);
    for (size_t s = 0; s < set_count; s++) {
        for (size_t i = 0; i < sets[s].count; i++) {
            const struct option *option = &sets[s].list[i];
            if (is_long ? strlen(option->name) == n && memcmp(option->name, name, n) == 0
                        : option->letter == *name)
                return option;
        }
    }
    return NULL;
}

struct option_sets {
    const struct option_set *list;
    size_t count;
};

static const char *option_name_at(const void *me, size_t i)
{
    const struct option_sets *sets = me;

    for (size_t s = 0; s < sets->count; s++) {
        if (i < sets->list[s].count)
            return sets->list[s].list[i].name;
        i -= sets->list[s].count;
    }
    return NULL;
}

/* "-Sender", as cmdlets have it, is near "--sender". */
static void complain_of_unknown(const char *argument, const struct option_set *sets,
    size_t set_count, char why[OPTION_WHY_BYTES])
{
    struct option_sets all = { sets, set_count };
    const char *near, *name = argument + strspn(argument, "-");
    char small[41] = "";

    for (size_t i = 0; i + 1 < sizeof small && name[i] && name[i] != '='; i++)
        small[i] = (char)ascii_lower((uint8_t)name[i]);
    near = strlen(small) > 1 ? nearest_name(small, option_name_at, &all) : NULL;
    snprintf(why, OPTION_WHY_BYTES, "unknown option '%.60s'%s%s%s", argument,
        near ? "; did you mean --" : "", near ? near : "", near ? "?" : "");
}

/* Reads the option at ARGV[at]; returns how many words it took, 0 on a mistake. */
static int read_one(int left, char **argv, const struct option_set *sets, size_t set_count,
    char why[OPTION_WHY_BYTES])
{
    const char *value;
    const struct option *option = find(sets, set_count, argv[0], &value);
    char text[100];
    int words = 1;

    if (!option) {
        complain_of_unknown(argv[0], sets, set_count, why);
        return 0;
    }
    if (option->kind == OPTION_FLAG) {
        if (value) {
            snprintf(why, OPTION_WHY_BYTES, "option --%s takes no value", option->name);
            return 0;
        }
        *(bool *)option->at = true;
        return 1;
    }
    if (!value) {
        if (left < 2) {
            snprintf(
                why, OPTION_WHY_BYTES, "option --%s needs %s", option->name, option->value);
            return 0;
        }
        value = argv[1];
        words = 2;
    }
    if (!take(option, value)) {
        snprintf(why, OPTION_WHY_BYTES, "option --%s: '%.40s' is not %s", option->name, value,
            expected(option, text));
        return 0;
    }
    return words;
}

bool arguments_read(int *argc, char **argv, const struct option_set *sets, size_t set_count,
    bool stops_at_argument, char why[OPTION_WHY_BYTES])
{
    int at = 0, kept = 0, words;

    while (at < *argc) {
        if (strcmp(argv[at], "--") == 0) {
            at++;
            break;
        }
        if (argv[at][0] != '-' || argv[at][1] == 0) {
            if (stops_at_argument)
                break;
            argv[kept++] = argv[at++];
            continue;
        }
        words = read_one(*argc - at, argv + at, sets, set_count, why);
        if (words == 0)
            return false;
        at += words;
    }
    while (at < *argc)
        argv[kept++] = argv[at++];
    *argc = kept;
    return true;
}

void arguments_print(struct option_set set)
{
    for (size_t i = 0; i < set.count; i++) {
        const struct option *option = &set.list[i];
        char left[60], letter[5] = "";
        if (option->letter)
            snprintf(letter, sizeof letter, "-%c, ", option->letter);
        snprintf(left, sizeof left, "%s--%s%s%s", letter, option->name,
            option->value ? " " : "", option->value ? option->value : "");
        printf("  %-30s %s\n", left, option->help);
    }
}
