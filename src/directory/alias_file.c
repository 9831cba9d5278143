/* Files of aliases and of recipients: who stands for whom, and who exists. */
#include "directory/option.h"

#include "base/mem.h"
#include "mail/address.h"
#include "policy/aliases.h"
#include "policy/recipients.h"

#include <stdio.h>
#include <stdlib.h>

enum { LIST_BYTES_MAX = 64 << 20, PATH_BYTES_MAX = 4096 };

/* --- Lines ------------------------------------------------------------------------------- */

/* A file line by line, without comments, whose first sign that is no blank is a "#", and without
 * empty lines: aliases(5). */
struct lines {
    struct reader *reader;
    const char *file; /* the settings' own: lives as long as they do */
    struct buf text;
    struct bytes rest;
    int number;
};

static const char *keep_file_name(struct reader *reader, const char *name)
{
    struct config *config = reader->config;

    config->files = mem_grow(config->files, (config->file_count + 1) * sizeof *config->files);
    config->files[config->file_count] = mem_text(name);
    return config->files[config->file_count++];
}

/* PATH as seen from the folder of the file that names it.  False: complained of. */
static bool lines_open(
    struct reader *reader, struct source_line where, const char *path, struct lines *out)
{
    const char *slash = strrchr(where.file, '/');
    char full[PATH_BYTES_MAX];
    enum err err;

    snprintf(full, sizeof full, "%.*s%s",
        path[0] != '/' && slash ? (int)(slash + 1 - where.file) : 0, where.file, path);
    *out = (struct lines){ .reader = reader };
    buf_init(&out->text, LIST_BYTES_MAX);
    err = config_load(full, &out->text);
    if (err != OK) {
        complain(reader->complaints, where, "cannot read \"%.200s\": %s", full, err_text(err));
        buf_done(&out->text);
        return false;
    }
    out->file = keep_file_name(reader, full);
    out->rest = buf_bytes(&out->text);
    return true;
}

static bool lines_next(struct lines *lines, struct bytes *out)
{
    while (lines->rest.n) {
        size_t n = bytes_find(lines->rest, '\n');
        struct bytes line = bytes_first(lines->rest, n), text;

        lines->rest = n == BYTES_NOT_FOUND ? BYTES_NONE : bytes_skip(lines->rest, n + 1);
        lines->number++;
        if (line.n && line.at[line.n - 1] == '\r')
            line.n--;
        text = bytes_trim(line);
        if (text.n == 0 || text.at[0] == '#')
            continue;
        *out = line;
        return true;
    }
    return false;
}

static struct source_line lines_here(const struct lines *lines)
{
    return (struct source_line){ lines->file, lines->number };
}

/* --- Aliases ----------------------------------------------------------------------------- */

struct alias_reader {
    struct lines lines;
    struct bytes name; /* of the alias that is being read; empty: none yet */
};

static size_t note_source(struct reader *reader, struct source_line where)
{
    reader->alias_sources = mem_grow(reader->alias_sources,
        (reader->alias_source_count + 1) * sizeof *reader->alias_sources);
    reader->alias_sources[reader->alias_source_count] = where;
    return reader->alias_source_count++;
}

static void add_target(
    struct alias_reader *aliases, struct source_line where, struct bytes target)
{
    struct reader *reader = aliases->lines.reader;

    if (target.n && target.at[0] == '\\') /* "not looked up any further" */
        target = bytes_skip(target, 1);
    if (target.n && (target.at[0] == '|' || target.at[0] == '/')) {
        complaint_hint(
            complain(reader->complaints, where, "an alias cannot be a %s: '%.*s'",
                target.at[0] == '|' ? "program" : "file", BYTES_ARGS(bytes_first(target, 100))),
            "mail is handed to programs and files by nobody here; give an address");
        return;
    }
    if (!alias_table_add(
            reader->settings->aliases, aliases->name, target, note_source(reader, where)))
        complaint_hint(complain(reader->complaints, where, "'%.*s: %.*s' is no alias",
                           aliases->name.n < 80 ? (int)aliases->name.n : 80,
                           (const char *)aliases->name.at, target.n < 80 ? (int)target.n : 80,
                           (const char *)target.at),
            "name: address, address");
}

static void read_targets(struct alias_reader *aliases, struct source_line where,
    struct bytes rest, bool may_include);

/* ":include:/path": addresses, on any number of lines. */
static void include_targets(
    struct alias_reader *aliases, struct source_line where, struct bytes path)
{
    char *name = bytes_to_text(path);
    struct bytes line;
    struct lines lines;

    if (lines_open(aliases->lines.reader, where, name, &lines)) {
        while (lines_next(&lines, &line))
            read_targets(aliases, lines_here(&lines), line, false);
        buf_done(&lines.text);
    }
    free(name);
}

/* The next of a list: up to a comma that is in no quotes. */
static struct bytes take_target(struct bytes *rest)
{
    bool is_quoted = false;
    size_t n = 0;
    struct bytes target;

    for (; n < rest->n && (is_quoted || rest->at[n] != ','); n++) {
        if (rest->at[n] == '\\' && n + 1 < rest->n)
            n++;
        else if (rest->at[n] == '"')
            is_quoted = !is_quoted;
    }
    target = bytes_trim(bytes_first(*rest, n));
    *rest = n < rest->n ? bytes_skip(*rest, n + 1) : BYTES_NONE;
    /* "|command" and "/file" are written in quotes; "a b"@example.com is not such a one. */
    if (target.n >= 2 && target.at[0] == '"' && target.at[target.n - 1] == '"')
        target = bytes_of(target.at + 1, target.n - 2);
    return target;
}

static void read_targets(
    struct alias_reader *aliases, struct source_line where, struct bytes rest, bool may_include)
{
    static const struct bytes include = BYTES(":include:");

    while (rest.n) {
        struct bytes target = take_target(&rest);

        if (target.n == 0)
            continue;
        if (!bytes_starts_nocase(target, include))
            add_target(aliases, where, target);
        else if (may_include)
            include_targets(aliases, where, bytes_trim(bytes_skip(target, include.n)));
        else
            complain(aliases->lines.reader->complaints, where,
                "an included list cannot include another");
    }
}

/* A line of the file: "name: targets", or more targets behind a blank. */
static void read_alias_line(struct alias_reader *aliases, struct bytes line)
{
    struct source_line where = lines_here(&aliases->lines);
    size_t colon;

    if (line.at[0] == ' ' || line.at[0] == '\t') {
        if (aliases->name.n)
            read_targets(aliases, where, line, true);
        return;
    }
    colon = bytes_find(line, ':');
    aliases->name = BYTES_NONE;
    if (colon == BYTES_NOT_FOUND || bytes_trim(bytes_first(line, colon)).n == 0) {
        complaint_hint(complain(aliases->lines.reader->complaints, where, "'%.*s' is no alias",
                           line.n < 80 ? (int)line.n : 80, (const char *)line.at),
            "name: address, address");
        return;
    }
    aliases->name = bytes_trim(bytes_first(line, colon));
    read_targets(aliases, where, bytes_skip(line, colon + 1), true);
}

void read_alias_files(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    struct alias_reader aliases;
    struct settings *settings = into;
    struct bytes line;

    (void)option;
    if (!settings->aliases)
        settings->aliases = alias_table_new();
    for (size_t i = 0; i < item->value_count; i++) {
        if (!lines_open(reader, value_line(item, i), item->values[i].text, &aliases.lines))
            continue;
        aliases.name = BYTES_NONE;
        while (lines_next(&aliases.lines, &line))
            read_alias_line(&aliases, line);
        buf_done(&aliases.lines.text);
    }
}

static void on_alias_fault(void *me, const struct alias_fault *fault)
{
    struct reader *reader = me;

    complain(reader->complaints, reader->alias_sources[fault->source], "%s", fault->text);
}

void check_aliases(struct reader *reader)
{
    if (reader->settings->aliases)
        alias_table_check(reader->settings->aliases, on_alias_fault, reader);
}

/* --- Recipients -------------------------------------------------------------------------- */

/* One a line; what stands behind a blank is another program's (a table "address OK"). */
void read_recipient_file(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    struct accepted_domain *domain = into;
    struct address address;
    struct lines lines;
    struct bytes line;

    (void)option;
    if (!lines_open(reader, value_line(item, 0), item->values[0].text, &lines))
        return;
    recipient_table_free(domain->recipients);
    domain->recipients = recipient_table_new();
    free(domain->recipient_file);
    domain->recipient_file = mem_text(item->values[0].text);
    while (lines_next(&lines, &line)) {
        size_t n = 0;
        line = bytes_trim(line);
        while (n < line.n && line.at[n] != ' ' && line.at[n] != '\t')
            n++;
        line = bytes_first(line, n);
        if (address_parse(line, ADDRESS_UTF8 | ADDRESS_LOCAL_ONLY, &address) == ADDRESS_OK)
            recipient_table_add(domain->recipients, address.local, address.domain);
        else
            complaint_hint(
                complain(reader->complaints, lines_here(&lines), "'%.*s' is no recipient",
                    line.n < 80 ? (int)line.n : 80, (const char *)line.at),
                "one a line: \"user\" or \"user@example.com\"");
    }
    buf_done(&lines.text);
}
