#include "directory/option.h"

#include "base/mem.h"
#include "mail/address.h"
#include "mail/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct source_line value_line(const struct config_item *item, size_t i)
{
    return (struct source_line){ item->where.file, item->values[i].line };
}

static const char *option_name_at(const void *me, size_t i)
{
    return ((const struct option *)me)[i].name;
}

static const char *choice_name_at(const void *me, size_t i)
{
    return ((const struct choice *)me)[i].name;
}

const struct option *option_find(const struct option *options, const char *name)
{
    for (; options->name; options++) {
        if (strcmp(options->name, name) == 0)
            return options;
    }
    return NULL;
}

static void complain_of_unknown(struct reader *reader, const struct option *options,
    const struct config_item *block, const struct config_item *item)
{
    const char *near = nearest_name(item->name, option_name_at, options);
    struct complaint *complaint = complain(reader->complaints, item->where,
        "unknown %s '%.60s'%s%.60s", item->kind == CONFIG_BLOCK ? "block" : "option",
        config_shown(item), block->name ? " in " : "", block->name ? block->name : "");

    if (item->is_hidden)
        complaint_hint(complaint,
            "it is not shown, for it may be a piece of the password before it: a password with "
            "blanks or signs in it stands in \"quotes\"");
    else if (near)
        complaint_hint(complaint, "did you mean '%s'?", near);
    else if (item->kind == CONFIG_BLOCK && block->name)
        complaint_hint(complaint, "is the '}' of the %.60s of line %d missing before it?",
            block->name, block->where.line);
}

/* A block where a value belongs, two values where one does, and the like. */
static bool has_right_kind(
    struct reader *reader, const struct option *option, const struct config_item *item)
{
    bool fits = option->kind == item->kind ||
                (option->kind == CONFIG_LIST && item->kind == CONFIG_VALUE);
    struct complaint *complaint;

    if (fits && !item->is_append)
        return true;
    if (fits && option->kind == CONFIG_LIST)
        return true;
    complaint = complain(reader->complaints, item->where,
        option->kind == CONFIG_BLOCK  ? "'%s' is a block"
        : item->kind == CONFIG_BLOCK  ? "'%s' is no block"
        : option->kind == CONFIG_LIST ? "'%s' is a list"
                                      : "'%s' takes one value, not a list",
        option->name);
    complaint_hint(complaint,
        option->kind == CONFIG_BLOCK  ? "write %s { ... }"
        : option->kind == CONFIG_LIST ? "write %s = { ..., ... }"
                                      : "write %s = VALUE",
        option->name);
    return false;
}

/* The item of the same name that stands before this one, unless it may be there twice. */
static const struct config_item *earlier(const struct option *option,
    const struct config_item *block, const struct config_item *item)
{
    const struct config_item *first;

    if (option->may_repeat || item->is_append)
        return NULL;
    first = config_find(block, item->name);
    return first == item ? NULL : first;
}

void options_read(struct reader *reader, const struct option *options,
    const struct config_item *block, void *into)
{
    for (const struct config_item *item = block->first; item; item = item->next) {
        const struct option *option = option_find(options, item->name);
        const struct config_item *first;

        if (!option) {
            complain_of_unknown(reader, options, block, item);
            continue;
        }
        first = earlier(option, block, item);
        if (first)
            complaint_hint(
                complain(reader->complaints, item->where, "'%s' is set twice", option->name),
                "it was set on line %d of %.200s", first->where.line, first->where.file);
        else if (has_right_kind(reader, option, item))
            option->read(reader, option, item, into);
    }
}

static const char *value_of(const struct config_item *item)
{
    return item->values[0].text;
}

static void *place(const struct option *option, void *into)
{
    return (char *)into + option->at;
}

bool flag_parse(const char *text, bool *out)
{
    static const struct choice words[] = { { "true", 1 }, { "false", 0 }, { "yes", 1 },
        { "no", 0 }, { "on", 1 }, { "off", 0 }, { NULL, 0 } };
    const struct choice *word = choice_find(words, text);

    if (word)
        *out = word->value;
    return word != NULL;
}

void read_flag(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    if (!flag_parse(value_of(item), place(option, into)))
        complaint_hint(complain(reader->complaints, value_line(item, 0),
                           "'%s' is true or false, not '%.60s'", option->name, value_of(item)),
            "write true, yes or on, or false, no or off");
}

/* A number of an option's bounds; "unlimited" where it may be 0. */
static bool take_number(struct reader *reader, const struct option *option,
    const struct config_item *item, uint64_t *out)
{
    const char *text = value_of(item);
    uint64_t number;

    if (option->min == 0 && strcmp(text, "unlimited") == 0) {
        *out = 0;
        return true;
    }
    if (!bytes_to_number(bytes_text(text), (uint64_t)option->max, &number) ||
        number < (uint64_t)option->min) {
        complaint_hint(complain(reader->complaints, value_line(item, 0),
                           "'%s' cannot be '%.60s'", option->name, text),
            "a number from %" PRId64 " to %" PRId64 "%s", option->min, option->max,
            option->min ? "" : ", or unlimited");
        return false;
    }
    *out = number;
    return true;
}

void read_number(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    uint64_t number;

    if (take_number(reader, option, item, &number))
        *(uint32_t *)place(option, into) = (uint32_t)number;
}

void read_port(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    uint64_t number;

    if (take_number(reader, option, item, &number))
        *(uint16_t *)place(option, into) = (uint16_t)number;
}

bool size_parse(const char *text, uint64_t *out)
{
    static const char units[] = "BKMGT";
    struct bytes all = bytes_text(text), digits;
    const char *unit, *rest;
    size_t n = strspn(text, "0123456789");
    unsigned shift;
    uint64_t number;

    digits = bytes_first(all, n);
    if (!bytes_to_number(digits, UINT64_MAX / 2, &number) || text[n] == '\0')
        return false;
    unit = strchr(units, text[n] & ~0x20); /* upper case */
    rest = text + n + 1;
    if (!unit || *unit == '\0' || (*rest && strcasecmp(rest, "B") && strcasecmp(rest, "iB")))
        return false;
    if (unit == units && *rest)
        return false;
    shift = 10 * (unsigned)(unit - units);
    if (number > (uint64_t)INT64_MAX >> shift)
        return false;
    *out = number << shift;
    return true;
}

static void size_format(int64_t bytes, char out[32])
{
    static const char units[] = "BKMGT";
    size_t unit = 0;

    while (bytes && bytes % 1024 == 0 && unit < 4) {
        bytes /= 1024;
        unit++;
    }
    snprintf(out, 32, "%" PRId64 "%c", bytes, units[unit]);
}

static void complain_of_size(
    struct reader *reader, const struct option *option, const struct config_item *item)
{
    const char *text = value_of(item);
    struct complaint *complaint;
    char min[32], max[32];

    size_format(option->min, min);
    size_format(option->max, max);
    complaint = complain(
        reader->complaints, value_line(item, 0), "'%s' cannot be '%.60s'", option->name, text);
    if (*text && text[strspn(text, "0123456789")] == '\0')
        complaint_hint(complaint, "a size needs its unit: %.20sM, %.20sK, or %.20sB for bytes",
            text, text, text);
    else
        complaint_hint(complaint, "a size from %s to %s, as 25M or 512K%s", min, max,
            option->min ? "" : ", or unlimited");
}

void read_size(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    const char *text = value_of(item);
    uint64_t size = 0;
    bool is_unlimited =
        option->min == 0 && (strcmp(text, "unlimited") == 0 || strcmp(text, "0") == 0);

    if (is_unlimited || (size_parse(text, &size) && size >= (uint64_t)option->min &&
                            size <= (uint64_t)option->max))
        *(uint64_t *)place(option, into) = size;
    else
        complain_of_size(reader, option, item);
}

void read_duration(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    const char *text = value_of(item);
    struct complaint *complaint;
    char min[32], max[32];
    int64_t ms;

    if (duration_parse(bytes_text(text), &ms) && ms >= option->min && ms <= option->max) {
        *(int64_t *)place(option, into) = ms;
        return;
    }
    complaint = complain(
        reader->complaints, value_line(item, 0), "'%s' cannot be '%.60s'", option->name, text);
    duration_format(option->min, min);
    duration_format(option->max, max);
    if (*text && text[strspn(text, "0123456789")] == '\0')
        complaint_hint(complaint, "a time needs its unit: %.20ss, %.20sm, %.20sh or %.20sd",
            text, text, text, text);
    else
        complaint_hint(complaint, "a time from %s to %s, as 30s, 5m, 2h or 1d", min, max);
}

const struct choice *choice_find(const struct choice *choices, const char *name)
{
    for (; choices->name; choices++) {
        if (strcasecmp(choices->name, name) == 0)
            return choices;
    }
    return NULL;
}

void complain_of_choice(struct reader *reader, struct source_line where, const char *name,
    const char *wrong, const struct choice *choices)
{
    const char *near = nearest_name(wrong, choice_name_at, choices);
    struct complaint *complaint =
        complain(reader->complaints, where, "'%.60s' cannot be '%.60s'", name, wrong);
    char all[300] = "";
    size_t n = 0;

    for (const struct choice *c = choices; c->name && n < sizeof all; c++)
        n += (size_t)snprintf(all + n, sizeof all - n, "%s%s",
            c == choices    ? ""
            : (c + 1)->name ? ", "
                            : " or ",
            c->name);
    if (near)
        complaint_hint(complaint, "did you mean '%s'? It is %s", near, all);
    else
        complaint_hint(complaint, "it is %s", all);
}

void read_choice(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    const struct choice *choice = choice_find(option->choices, value_of(item));

    if (choice)
        *(unsigned *)place(option, into) = choice->value;
    else
        complain_of_choice(
            reader, value_line(item, 0), option->name, value_of(item), option->choices);
}

const struct choice auth_mechanisms[] = {
    { "plain", AUTH_PLAIN },
    { "login", AUTH_LOGIN },
    { "scram-sha-256", AUTH_SCRAM_SHA_256 },
    { "scram-sha-256-plus", AUTH_SCRAM_SHA_256_PLUS },
    { "gssapi", AUTH_GSSAPI },
    { "external", AUTH_EXTERNAL },
    { NULL, 0 },
};

void read_flags(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    for (size_t i = 0; i < item->value_count; i++) {
        const char *text = item->values[i].text;
        const struct choice *choice = choice_find(option->choices, text);

        if (choice)
            *(unsigned *)place(option, into) |= choice->value;
        else
            complain_of_choice(
                reader, value_line(item, i), option->name, text, option->choices);
    }
}

void read_nothing(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    (void)reader;
    (void)option;
    (void)item;
    (void)into;
}

void read_names(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    struct name_list *names = place(option, into);

    (void)reader;
    names->list =
        mem_grow(names->list, (names->count + item->value_count + 1) * sizeof *names->list);
    for (size_t i = 0; i < item->value_count; i++)
        names->list[names->count++] = mem_text(item->values[i].text);
}

static void set_text(const struct option *option, const char *text, void *into)
{
    char **at = place(option, into);

    free(*at);
    *at = mem_text(text);
}

bool text_is_printable(const char *text)
{
    struct bytes rest = bytes_text(text);

    while (rest.n) {
        size_t n = text_printable(rest);
        if (n == 0)
            return false;
        rest = bytes_skip(rest, n);
    }
    return true;
}

/* Printable, because it ends up in replies, headers and logs. */
static bool text_is_good(
    struct reader *reader, const struct option *option, const struct config_item *item)
{
    const char *text = value_of(item);

    if (*text && text_is_printable(text))
        return true;
    complain(reader->complaints, value_line(item, 0),
        *text ? "'%s' has a byte that is neither printable nor UTF-8" : "'%s' is empty",
        option->name);
    return false;
}

void read_text(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    if (text_is_good(reader, option, item))
        set_text(option, value_of(item), into);
}

void read_host_name(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    const char *text = value_of(item);

    if (domain_is_name(bytes_text(text)) && strcmp(text, "*") != 0)
        set_text(option, text, into);
    else
        complaint_hint(complain(reader->complaints, value_line(item, 0),
                           "'%s' cannot be '%.60s'", option->name, text),
            "a host name, as mail.example.com");
}

void read_path(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    if (!text_is_good(reader, option, item))
        return;
    if (value_of(item)[0] == '/')
        set_text(option, value_of(item), into);
    else
        complaint_hint(complain(reader->complaints, value_line(item, 0),
                           "'%s' is a full path, not '%.100s'", option->name, value_of(item)),
            "it begins with '/': the daemon has no folder of its own to start from");
}

void read_file(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    const char *path = value_of(item);
    size_t before = reader->complaints->error_count;

    read_path(reader, option, item, into);
    if (reader->complaints->error_count == before && access(path, R_OK) != 0)
        complaint_hint(complain(reader->complaints, value_line(item, 0),
                           "'%s': cannot read \"%.200s\"", option->name, path),
            access(path, F_OK) == 0 ? "the file is there, but not for this user"
                                    : "there is no such file");
}

enum { CONNECTOR_NAME_BYTES_MAX = 64 };

/* It stands in log lines, in names of queues ("NAME/domain") and in commands. */
bool is_connector_name(struct reader *reader, const struct config_item *item)
{
    if (!item->title || !*item->title) {
        complaint_hint(
            complain(reader->complaints, item->where, "this %s has no name", item->name),
            "write %s \"Name\" { ... }", item->name);
        return false;
    }
    if (strlen(item->title) <= CONNECTOR_NAME_BYTES_MAX && text_is_printable(item->title) &&
        !strpbrk(item->title, "/\"\\"))
        return true;
    complaint_hint(complain(reader->complaints, item->where, "'%.70s' is no name for a %s",
                       item->title, item->name),
        "at most %d printable bytes, without / \" and \\", CONNECTOR_NAME_BYTES_MAX);
    return false;
}
