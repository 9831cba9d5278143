/* Complaints go into the log.  A password must not: no complaint shows what stands on its line
 * behind its name, nor in its block or list, whatever signs it was torn apart by.  That goes for
 * each name that looks like a password's, for it may be misspelt. */
#include "directory/syntax.h"

#include "base/buf.h"
#include "base/mem.h"
#include "directory/token.h"
#include "os/file.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum {
    FILE_BYTES_MAX = 32 * 1024 * 1024,
    BLOCK_DEPTH_MAX = 8,
    INCLUDE_DEPTH_MAX = 10,
    INCLUDE_COUNT_MAX = 1000, /* in all: files that include each other twice would never end */
};

/* One file being read. */
struct parser {
    struct tokens tokens;
    struct token next; /* looked at, not taken */
    struct config *config;
    struct complaints *complaints;
    unsigned block_depth, include_depth;
    int line;             /* of the token taken last */
    bool is_in_secret;    /* behind the name of a secret, up to its end */
    int secret_line_last; /* up to this line there may be more of it */
};

enum err config_load(const char *file, struct buf *out)
{
    struct stat about;

    if (stat(file, &about) == 0 && !S_ISREG(about.st_mode))
        return ERR_IO; /* a pipe would keep us waiting */
    return file_read_all(file, FILE_BYTES_MAX, out);
}

enum err config_load_changed(const char *file, struct directory_change *change, struct buf *out)
{
    if (!change || strcmp(change->file, file) != 0)
        return config_load(file, out);
    change->was_read = true;
    return change->is_gone ? ERR_NONE : buf_add(out, change->text);
}

static void step(struct parser *parser)
{
    parser->line = parser->next.line;
    free(parser->next.text);
    parser->next = token_take(&parser->tokens);
}

/* The text of the next token, taken. */
static char *take_text(struct parser *parser)
{
    char *text = parser->next.text;

    parser->next.text = NULL;
    step(parser);
    return text;
}

static bool is_next(const struct parser *parser, enum token_kind kind)
{
    return parser->next.kind == kind;
}

static bool is_next_text(const struct parser *parser)
{
    return is_next(parser, TOKEN_WORD) || is_next(parser, TOKEN_TEXT);
}

static struct source_line line_of(const struct parser *parser, int line)
{
    return (struct source_line){ parser->tokens.file, line };
}

/* --- Secrets ----------------------------------------------------------------------------- */

static const char *secret_name_at(const void *me, size_t i)
{
    (void)me;
    return i == 0 ? "password" : NULL;
}

static bool is_secret_name(struct bytes name)
{
    char lower[41] = "";

    for (size_t i = 0; i < name.n && i < sizeof lower - 1; i++)
        lower[i] = (char)tolower(name.at[i]);
    return strstr(lower, "pass") || strstr(lower, "secret") ||
           nearest_name(lower, secret_name_at, NULL);
}

/* Whether NAME is a secret's; of "password:x" the x is taken away. */
static bool hide_secret_in(char *name)
{
    size_t n = strcspn(name, ":");

    if (!is_secret_name(bytes_of(name, n)))
        return false;
    if (name[n])
        name[n + 1] = '\0';
    return true;
}

/* Whether the next token may be a piece of a secret. */
static bool is_next_hidden(const struct parser *parser)
{
    return parser->is_in_secret || parser->next.line <= parser->secret_line_last;
}

/* --- Grammar ----------------------------------------------------------------------------- */

static struct complaint *complain_here(struct parser *parser, const char *wanted)
{
    char got[64];

    if (parser->next.text && is_next_hidden(parser))
        snprintf(got, sizeof got, "'...'");
    else
        token_describe(&parser->next, got);
    return complain(parser->complaints, line_of(parser, parser->next.line),
        "expected %s, found %s", wanted, got);
}

/* Jumps to the next line, where a new item begins more often than not; but not over the end of
 * the block. */
static void skip_line(struct parser *parser)
{
    int line = parser->next.line;

    while (!is_next(parser, TOKEN_END) && !is_next(parser, TOKEN_CLOSE) &&
           parser->next.line == line)
        step(parser);
}

static void item_free(struct config_item *item);

static void item_clear(struct config_item *item)
{
    struct config_item *inner = item->first, *next;

    for (; inner; inner = next) {
        next = inner->next;
        item_free(inner);
    }
    for (size_t i = 0; i < item->value_count; i++) {
        explicit_bzero(item->values[i].text, strlen(item->values[i].text)); /* passwords */
        free(item->values[i].text);
    }
    free(item->values);
    free(item->name);
    free(item->title);
}

static void item_free(struct config_item *item)
{
    item_clear(item);
    free(item);
}

static void add_item(struct config_item *block, struct config_item *item)
{
    if (block->last)
        block->last->next = item;
    else
        block->first = item;
    block->last = item;
}

/* Room doubles: its size is always the next power of two of the count. */
static void add_value(struct parser *parser, struct config_item *item)
{
    size_t n = item->value_count;
    int line = parser->next.line;

    if ((n & (n - 1)) == 0)
        item->values = mem_grow(item->values, (n ? 2 * n : 1) * sizeof *item->values);
    item->values[item->value_count++] = (struct config_value){ take_text(parser), line };
}

static void hint_of_list(
    const struct parser *parser, const struct config_item *item, struct complaint *complaint)
{
    if (parser->next.line != item->where.line)
        complaint_hint(complaint, "the list of '%s' began on line %d", config_shown(item),
            item->where.line);
    else if (is_next_text(parser))
        complaint_hint(complaint,
            "is a ',' missing before it?  A value with blanks in it stands in \"quotes\"");
    else
        complaint_hint(complaint, "a value with signs in it stands in \"quotes\"");
}

/* Behind the opening bracket. */
static void parse_list(struct parser *parser, struct config_item *item, enum token_kind close)
{
    const char *end = close == TOKEN_CLOSE ? "',' or '}'" : "',' or ']'";

    for (;;) {
        if (is_next_text(parser))
            add_value(parser, item);
        if (is_next(parser, close)) {
            step(parser);
            return;
        }
        if (!is_next(parser, TOKEN_COMMA))
            break;
        step(parser);
    }
    hint_of_list(parser, item, complain_here(parser, end));
    if (parser->next.line == item->where.line)
        skip_line(parser);
    if (is_next(parser, TOKEN_CLOSE) && parser->next.line == item->where.line)
        step(parser); /* the list's own end, after all */
}

/* A value with brackets of its own and no quotes: [mail.example.com]:587 was read as a list, and
 * its port is what stands behind. */
static void parse_rest_of_brackets(struct parser *parser, const struct config_item *item)
{
    bool is_hidden = is_next_hidden(parser);
    const char *first = item->value_count ? item->values[0].text : "mail.example.com";
    const char *rest = parser->next.text;

    if (!is_next(parser, TOKEN_WORD) || rest[0] != ':' || parser->next.line != item->where.line)
        return;
    complaint_hint(
        complain(parser->complaints, item->where, "the list of '%.40s' ends before '%.50s'",
            config_shown(item), is_hidden ? "..." : rest),
        "brackets that are of a value stand in its quotes: { \"[%.60s]%.20s\" }",
        is_hidden ? "..." : first, is_hidden ? "" : rest);
    step(parser);
}

static void parse_value(struct parser *parser, struct config_item *item)
{
    item->is_append = is_next(parser, TOKEN_APPEND);
    step(parser);
    if (is_next(parser, TOKEN_OPEN) || is_next(parser, TOKEN_OPEN_LIST)) {
        enum token_kind close = is_next(parser, TOKEN_OPEN) ? TOKEN_CLOSE : TOKEN_CLOSE_LIST;
        item->kind = CONFIG_LIST;
        step(parser);
        parse_list(parser, item, close);
        if (close == TOKEN_CLOSE_LIST)
            parse_rest_of_brackets(parser, item);
    } else if (is_next_text(parser) && parser->next.line == item->where.line) {
        add_value(parser, item);
        if (is_next(parser, TOKEN_COMMA)) {
            complaint_hint(complain_here(parser, "one value"),
                "several values stand in braces: %.40s = { ..., ... }", config_shown(item));
            skip_line(parser);
        }
    } else {
        complain(parser->complaints, item->where, "'%.40s' has no value", config_shown(item));
    }
}

static void parse_items(struct parser *parser, struct config_item *block, bool is_file);

static void parse_block(struct parser *parser, struct config_item *item)
{
    item->kind = CONFIG_BLOCK;
    step(parser);
    if (parser->block_depth == BLOCK_DEPTH_MAX) {
        complain(parser->complaints, item->where, "blocks are nested too deeply");
        while (!is_next(parser, TOKEN_END))
            step(parser);
        return;
    }
    parser->block_depth++;
    parse_items(parser, item, false);
    parser->block_depth--;
}

static const char *keep_name(struct config *config, const char *name)
{
    config->files = mem_grow(config->files, (config->file_count + 1) * sizeof *config->files);
    return config->files[config->file_count++] = mem_text(name);
}

static void parse_text(
    struct parser *parser, struct bytes text, const char *name, struct config_item *block)
{
    tokens_init(&parser->tokens, text, keep_name(parser->config, name), parser->complaints);
    step(parser);
    parse_items(parser, block, true);
    free(parser->next.text);
}

static void include_one(
    struct parser *parser, struct config_item *block, const char *file, int line)
{
    struct parser inner = { .config = parser->config,
        .complaints = parser->complaints,
        .block_depth = parser->block_depth,
        .include_depth = parser->include_depth + 1 };
    struct buf text;
    enum err err;

    if (inner.include_depth > INCLUDE_DEPTH_MAX ||
        parser->config->file_count > INCLUDE_COUNT_MAX) {
        complaint_hint(complain(parser->complaints, line_of(parser, line),
                           "too many files include each other"),
            "does \"%.100s\" include itself?", file);
        return;
    }
    buf_init(&text, FILE_BYTES_MAX);
    err = config_load_changed(file, parser->config->change, &text);
    if (err == OK)
        parse_text(&inner, buf_bytes(&text), file, block);
    else
        complain(parser->complaints, line_of(parser, line), "cannot read \"%.200s\": %s", file,
            err_text(err));
    buf_done(&text);
}

static void include(
    struct parser *parser, struct config_item *block, const char *path, int line)
{
    struct config_paths paths;
    enum err err = config_paths_find(parser->tokens.file, path, parser->config->change, &paths);

    if (err != OK) {
        complain(parser->complaints, line_of(parser, line), "cannot look for \"%.200s\": %s",
            path, err_text(err));
        return;
    }
    for (size_t i = 0; i < paths.count; i++)
        include_one(parser, block, paths.list[i], line);
    config_paths_done(&paths);
}

/* At the opening parenthesis. */
static void parse_call(struct parser *parser, struct config_item *block, const char *name)
{
    int line = parser->next.line;
    char *path;

    step(parser);
    if (strcmp(name, "include") != 0 || !is_next_text(parser)) {
        complaint_hint(
            complain_here(parser, "the name of a file to include"), "write include(\"file\")");
        skip_line(parser);
        return;
    }
    path = take_text(parser);
    if (is_next(parser, TOKEN_CLOSE_PAREN)) {
        step(parser);
        include(parser, block, path, line);
    } else {
        complain_here(parser, "')'");
        skip_line(parser);
    }
    free(path);
}

/* Blocks that have a name of their own. */
static bool is_titled_block(const char *name)
{
    static const char *const names[] = { "receive_connector", "send_connector", "listener",
        "cluster_node", "permission_group", "accepted_domain", "address_list", "smart_host",
        "tls_policy" };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], name) == 0)
            return true;
    }
    return false;
}

/* "fqdn: x", as other programs write it; false: there is no colon. */
static bool hint_of_colon(const struct config_item *item, struct complaint *complaint)
{
    const char *colon = strchr(item->name, ':'), *title = item->title ? item->title : "";
    const char *value;

    if (colon == item->name || (!colon && title[0] != ':'))
        return false;
    value = colon && colon[1] ? colon + 1 : title + strspn(title, ":");
    complaint_hint(complaint, "write %.*s = %.60s: no ':' stands behind a name",
        (int)(colon ? colon - item->name : 40), item->name, *value ? value : "VALUE");
    return true;
}

static void complain_of_title(struct parser *parser, const struct config_item *item)
{
    struct complaint *complaint;

    if (item->is_hidden) {
        complaint_hint(complain(parser->complaints, item->where,
                           "neither '=' nor '{' follows a word that stands behind a password"),
            "a password with blanks or signs in it stands in \"quotes\"");
        return;
    }
    if (!item->title) {
        complaint = complain(parser->complaints, item->where,
            "'%.40s' is followed by neither '=' nor '{'", item->name);
        if (!hint_of_colon(item, complaint))
            complaint_hint(complaint,
                "a value with blanks in it stands in \"quotes\", and a unit behind its number "
                "without a blank: 25M");
        return;
    }
    complaint = complain(parser->complaints, item->where, "%s is missing near '%.40s %.40s'",
        is_titled_block(item->name) ? "'{'" : "'=' or '{'", item->name, item->title);
    if (is_titled_block(item->name))
        complaint_hint(complaint, "write %.40s \"%.64s\" { ... }", item->name, item->title);
    else if (!hint_of_colon(item, complaint))
        complaint_hint(complaint,
            "write %.40s = %.40s; a value with blanks in it stands in \"quotes\"", item->name,
            item->title);
}

/* "password x" and "password :x"; the colon is what the complaint is about. */
static void hide_title(struct config_item *item)
{
    bool has_colon = item->title[0] == ':';

    free(item->title);
    item->title = mem_text(has_colon ? ":" : "VALUE");
}

/* Behind a name that neither '=' nor '{' follows: it may be a title, or a '=' left out. */
static bool parse_title(struct parser *parser, struct config_item *item)
{
    if (is_next_text(parser) && parser->next.line == item->where.line) {
        item->title = take_text(parser);
        if (parser->is_in_secret)
            hide_title(item);
        if (is_next(parser, TOKEN_OPEN))
            return true;
    }
    if (strcmp(item->name, "include") == 0)
        complaint_hint(
            complain(parser->complaints, item->where, "'include' has no parentheses"),
            "write include(\"%.100s\")", item->title ? item->title : "file");
    else
        complain_of_title(parser, item);
    if (parser->next.line == item->where.line)
        skip_line(parser);
    return false;
}

/* Behind ITEM's name. */
static void parse_rest_of_item(
    struct parser *parser, struct config_item *item, struct config_item *block)
{
    if (is_next(parser, TOKEN_OPEN_PAREN)) {
        parse_call(parser, block, item->name);
        item_free(item);
        return;
    }
    if (is_next(parser, TOKEN_ASSIGN) || is_next(parser, TOKEN_APPEND)) {
        parse_value(parser, item);
        if (item->kind == CONFIG_VALUE && item->value_count == 0) {
            item_free(item); /* complained of */
            return;
        }
    } else if (is_next(parser, TOKEN_OPEN) || parse_title(parser, item)) {
        parse_block(parser, item);
    } else {
        item_free(item);
        return;
    }
    add_item(block, item);
}

static void parse_item(struct parser *parser, struct config_item *block)
{
    struct config_item *item = mem_new(sizeof *item);
    size_t mistakes = parser->complaints->error_count;
    bool was_in_secret = parser->is_in_secret, is_secret;

    item->where = line_of(parser, parser->next.line);
    item->is_hidden = is_next_hidden(parser);
    item->name = take_text(parser);
    is_secret = hide_secret_in(item->name);
    parser->is_in_secret |= is_secret;
    parse_rest_of_item(parser, item, block);
    parser->is_in_secret = was_in_secret;
    if (is_secret) /* with a mistake in it, it may go on in the next line */
        parser->secret_line_last =
            parser->complaints->error_count > mistakes ? parser->next.line : parser->line;
}

static void parse_items(struct parser *parser, struct config_item *block, bool is_file)
{
    for (;;) {
        if (is_next(parser, TOKEN_WORD)) {
            parse_item(parser, block);
        } else if (is_next(parser, TOKEN_END)) {
            if (!is_file)
                complaint_hint(complain(parser->complaints, block->where,
                                   "the block '%.40s' has no end", config_shown(block)),
                    "a '}' is missing");
            return;
        } else if (is_next(parser, TOKEN_CLOSE)) {
            if (is_file)
                complaint_hint(
                    complain_here(parser, "an option or a block"), "there is one '}' too many");
            step(parser);
            if (!is_file)
                return;
        } else {
            complain_here(parser, "an option or a block");
            step(parser);
            skip_line(parser);
        }
    }
}

void config_parse(struct bytes text, const char *name, struct directory_change *change,
    struct config *out, struct complaints *complaints)
{
    struct parser parser = { .config = out, .complaints = complaints };

    *out = (struct config){ .root = { .kind = CONFIG_BLOCK }, .change = change };
    parse_text(&parser, text, name, &out->root);
    out->root.where = (struct source_line){ out->files[0], 0 };
}

void config_done(struct config *config)
{
    item_clear(&config->root);
    for (size_t i = 0; i < config->file_count; i++)
        free(config->files[i]);
    free(config->files);
    *config = (struct config){ 0 };
}

const struct config_item *config_find(const struct config_item *block, const char *name)
{
    const struct config_item *item = block->first;

    while (item && strcmp(item->name, name) != 0)
        item = item->next;
    return item;
}

const struct config_item *config_find_set(const struct config_item *block, const char *name)
{
    const struct config_item *item = block->first;

    while (item && (item->is_append || strcmp(item->name, name) != 0))
        item = item->next;
    return item;
}
