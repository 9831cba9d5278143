/* The transport configuration by the names of the cmdlets: to look at, and to change at run
 * time.
 *
 * transport.conf is a configuration file like any other, with one block, and may be edited by
 * hand.  It has what was set at run time and nothing else. */
#include "directory/option.h"

#include "base/buf.h"
#include "base/mem.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_BYTES_MAX = 64 * 1024, VALUE_BYTES_MAX = 100 };

/* --- Looking ----------------------------------------------------------------------------- */

static enum transport_kind kind_of(const struct option *option)
{
    if (option->read == read_flag)
        return TRANSPORT_FLAG;
    if (option->choices)
        return TRANSPORT_CHOICE;
    return option->read == read_count ? TRANSPORT_COUNT : TRANSPORT_TIME;
}

/* As a TimeSpan is written: d.hh:mm:ss.fff. */
static void format_time(int64_t ms, char out[40])
{
    int64_t s = ms / 1000, days = s / 86400;
    int n = 0;

    if (days)
        n = snprintf(out, 40, "%" PRId64 ".", days);
    n += snprintf(out + n, 40 - (size_t)n, "%02d:%02d:%02d", (int)(s / 3600 % 24),
        (int)(s / 60 % 60), (int)(s % 60));
    if (ms % 1000)
        snprintf(out + n, 40 - (size_t)n, ".%03d", (int)(ms % 1000));
}

/* "prefer-remote" as "PreferRemote". */
static void format_choice(const char *name, char out[40])
{
    size_t n = 0;

    for (bool begins = true; *name; name++) {
        if (*name == '-') {
            begins = true;
            continue;
        }
        out[n++] = (char)(begins ? toupper(*name) : *name);
        begins = false;
    }
    out[n] = '\0';
}

static const char *choice_name(const struct choice *choices, unsigned value)
{
    while (choices->name && choices->value != value)
        choices++;
    return choices->name ? choices->name : "";
}

bool directory_transport_get(
    const struct transport_settings *transport, size_t i, struct transport_fact *out)
{
    const struct option *option = &transport_options[i];
    const char *at = (const char *)transport + option->at;

    if (!option->name)
        return false;
    *out = (struct transport_fact){ transport_names[i], option->name, kind_of(option) };
    switch (out->kind) {
    case TRANSPORT_FLAG:
        out->number = *(const bool *)at;
        snprintf(out->value, sizeof out->value, out->number ? "True" : "False");
        break;
    case TRANSPORT_COUNT:
        out->number = *(const uint32_t *)at;
        snprintf(out->value, sizeof out->value, "%" PRId64, out->number);
        break;
    case TRANSPORT_TIME:
        out->number = *(const int64_t *)at;
        format_time(out->number, out->value);
        break;
    case TRANSPORT_CHOICE:
        out->number = *(const unsigned *)at;
        format_choice(choice_name(option->choices, (unsigned)out->number), out->value);
        break;
    }
    return true;
}

void directory_transport_compare(const struct transport_settings *before,
    const struct transport_settings *after,
    void (*say)(void *me, const char *name, const char *old_value, const char *new_value),
    void *me)
{
    struct transport_fact was, is;

    for (size_t i = 0; directory_transport_get(before, i, &was); i++) {
        bool is_there = directory_transport_get(after, i, &is);
        assert(is_there);
        if (was.number != is.number)
            say(me, was.name, was.value, is.value);
    }
}

/* --- Changing ---------------------------------------------------------------------------- */

char *directory_transport_file(const struct settings *settings)
{
    size_t n = strlen(settings->state_folder) + sizeof "/transport.conf";
    char *file = mem_new(n);

    snprintf(file, n, "%s/transport.conf", settings->state_folder);
    return file;
}

/* Cmdlets do not care for case, and people not for hyphens. */
static bool is_same_word(const char *a, const char *b)
{
    for (;; a++, b++) {
        while (*a == '-' || *a == '_')
            a++;
        while (*b == '-' || *b == '_')
            b++;
        if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
            return false;
        if (!*a)
            return true;
    }
}

static const char *name_at(const void *me, size_t i)
{
    (void)me;
    return transport_names[i];
}

static bool find_parameter(const char *name, size_t *out)
{
    for (*out = 0; transport_names[*out]; ++*out) {
        if (is_same_word(name, transport_names[*out]) ||
            is_same_word(name, transport_options[*out].name))
            return true;
    }
    return false;
}

/* What the file says for what was typed.  What is wrong stays as it is: the reader complains
 * of it better. */
static const char *value_of_word(const struct option *option, const char *value)
{
    const char *plain = *value == '$' ? value + 1 : value; /* $true, $null */

    if (kind_of(option) == TRANSPORT_FLAG) {
        if (is_same_word(plain, "true") || is_same_word(plain, "yes") ||
            is_same_word(plain, "on"))
            return "yes";
        if (is_same_word(plain, "false") || is_same_word(plain, "no") ||
            is_same_word(plain, "off"))
            return "no";
    }
    for (const struct choice *c = option->choices; c && c->name; c++) {
        if (is_same_word(value, c->name))
            return c->name;
    }
    return is_same_word(plain, "null") ? "none" : value;
}

static enum err add_line(const char *name, const char *value, struct buf *out)
{
    enum err err = buf_printf(out, "    %s = \"", name);

    for (; *value && err == OK; value++) {
        if (*value == '"' || *value == '\\')
            err = buf_add_text(out, "\\");
        if (err == OK)
            err = buf_add(out, bytes_of(value, 1));
    }
    return err == OK ? buf_add_text(out, "\"\n") : err;
}

static bool is_plain(const char *text)
{
    size_t n = strlen(text);

    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)text[i] < ' ' || text[i] == 127)
            return false;
    }
    return n && n <= VALUE_BYTES_MAX;
}

static void say_unknown(const char *name, char why[512])
{
    const char *near = nearest_name(name, name_at, NULL);

    if (is_same_word(name, "SafetyNetHoldTime"))
        snprintf(why, 512,
            "there is no parameter '%.60s' in this version: it has no safety net, and what is "
            "delivered is not kept",
            name);
    else
        snprintf(why, 512, "there is no parameter '%.60s'; %s%s%s", name,
            near ? "did you mean " : "", near ? near : "get-transport-config has them all",
            near ? "?" : "");
}

/* Gives each parameter at most one of WORDS. */
static enum err sort_words(const struct transport_word *words, size_t count,
    const struct transport_word **by_parameter, char why[512])
{
    for (size_t i = 0; i < count; i++) {
        size_t p;
        if (!find_parameter(words[i].name, &p)) {
            say_unknown(words[i].name, why);
            return ERR_SYNTAX;
        }
        if (by_parameter[p] || !is_plain(words[i].value)) {
            snprintf(why, 512, by_parameter[p] ? "'%s' is given twice" : "'%s' has no value",
                transport_names[p]);
            return ERR_SYNTAX;
        }
        by_parameter[p] = &words[i];
    }
    return OK;
}

static enum err write_lines(
    const struct transport_word **by_parameter, const struct config_item *old, struct buf *out)
{
    enum err err = buf_add_text(out,
        "# What `relais set-transport-config` has set.  It wins over relais.conf.\n"
        "transport {\n");

    for (size_t p = 0; transport_names[p] && err == OK; p++) {
        const struct option *option = &transport_options[p];
        const struct config_item *was = old ? config_find(old, option->name) : NULL;
        if (by_parameter[p] && !is_same_word(by_parameter[p]->value, "default"))
            err = add_line(option->name, value_of_word(option, by_parameter[p]->value), out);
        else if (!by_parameter[p] && was && was->kind == CONFIG_VALUE)
            err = add_line(option->name, was->values[0].text, out);
    }
    return err == OK ? buf_add_text(out, "}\n") : err;
}

static enum err parse_old(
    const char *file, struct bytes text, struct config *out, char why[512])
{
    struct complaints complaints = { 0 };
    enum err err = OK;

    config_parse(text, file, NULL, out, &complaints);
    if (complaints.error_count) {
        snprintf(why, 512, "%.200s:%d: %.200s", complaints.list[0].where.file,
            complaints.list[0].where.line, complaints.list[0].text);
        err = ERR_SYNTAX;
        config_done(out);
    }
    complaints_done(&complaints);
    return err;
}

enum err directory_transport_edit(const char *file, const struct transport_word *words,
    size_t count, struct buf *out, char why[512])
{
    enum { ROOM = 64 };
    const struct transport_word *by_parameter[ROOM] = { NULL };
    struct config config;
    struct buf old;
    enum err err = sort_words(words, count, by_parameter, why);

    if (err != OK)
        return err;
    buf_init(&old, FILE_BYTES_MAX);
    err = config_load(file, &old);
    if (err == OK || err == ERR_NONE) {
        err = parse_old(file, buf_bytes(&old), &config, why);
        if (err == OK) {
            err = write_lines(by_parameter, config_find(&config.root, "transport"), out);
            config_done(&config);
        }
    } else {
        snprintf(why, 512, "%.400s: %s", file, err_text(err));
    }
    buf_done(&old);
    return err;
}
