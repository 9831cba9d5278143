/* Ranges of addresses: a connector's own, and address_list "Name" { ... }, which connectors share
 * as "@Name" (RC-5).
 *
 * A list's file has one range a line; what stands behind a # is a comment. */
#include "directory/option.h"

#include "base/buf.h"
#include "base/mem.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

enum { FILE_BYTES_MAX = 64 << 20, RANGES_MAX = 4 << 20, PATH_BYTES_MAX = 4096 };

/* --- Ranges ------------------------------------------------------------------------------ */

/* FIRST-LAST the wrong way round, or of two kinds.  False: it is neither. */
static bool hint_of_ends(struct complaint *complaint, struct bytes text)
{
    size_t dash = bytes_find(text, '-');
    char one[IP_TEXT_BYTES], other[IP_TEXT_BYTES];
    struct ip first, last;

    if (dash == BYTES_NOT_FOUND || !ip_parse(bytes_trim(bytes_first(text, dash)), &first) ||
        !ip_parse(bytes_trim(bytes_skip(text, dash + 1)), &last))
        return false;
    ip_format(first, one);
    ip_format(last, other);
    if (ip_is_v4(first) != ip_is_v4(last))
        complaint_hint(complaint, "%s and %s are of two kinds", one, other);
    else
        complaint_hint(complaint, "it runs backwards: \"%s-%s\"", other, one);
    return true;
}

/* A prefix with bits set behind it is the likeliest mistake: shows the network it is in. */
static void hint_of_range(struct complaint *complaint, const char *text)
{
    struct bytes all = bytes_text(text);
    size_t slash = bytes_find(all, '/');
    struct ip ip;
    uint64_t bits;
    char network[IP_TEXT_BYTES];

    if (slash == BYTES_NOT_FOUND && hint_of_ends(complaint, all))
        return;
    if (slash == BYTES_NOT_FOUND || !ip_parse(bytes_first(all, slash), &ip) ||
        !bytes_to_number(bytes_skip(all, slash + 1), ip_is_v4(ip) ? 32 : 128, &bits)) {
        complaint_hint(complaint,
            "\"192.0.2.1\", \"192.0.2.1-192.0.2.9\", \"192.0.2.0/24\", \"2001:db8::/32\" or "
            "\"*\"");
        return;
    }
    for (unsigned i = 0, first = ip_is_v4(ip) ? 96 : 0; i < 128 - first; i++) {
        if (i >= bits)
            ip.byte[(first + i) / 8] &= (uint8_t) ~(0x80 >> i % 8);
    }
    ip_format(ip, network);
    complaint_hint(complaint, "bits are set behind the prefix: \"%s/%u\" or one address?",
        network, (unsigned)bits);
}

/* Room doubles: its size is always the next power of two of the count. */
static void add_range(struct ip_range **ranges, size_t *count, struct ip_range range)
{
    if ((*count & (*count - 1)) == 0)
        *ranges = mem_grow(*ranges, (*count ? 2 * *count : 1) * sizeof **ranges);
    (*ranges)[(*count)++] = range;
}

static void complain_of_range(struct reader *reader, const char *text, struct source_line where)
{
    hint_of_range(
        complain(reader->complaints, where, "'%.100s' is no range of addresses", text), text);
}

/* --- Lists ------------------------------------------------------------------------------- */

const struct address_list *address_list_find(const struct settings *settings, const char *name)
{
    for (size_t i = 0; i < settings->address_list_count; i++) {
        if (strcasecmp(settings->address_lists[i].name, name) == 0)
            return &settings->address_lists[i];
    }
    return NULL;
}

struct bytes address_line(struct bytes line)
{
    line = bytes_first(line, bytes_find(line, '#'));
    if (line.n && line.at[line.n - 1] == '\r')
        line.n--;
    return bytes_trim(line);
}

static void read_line(struct reader *reader, struct address_list *list, struct bytes line,
    struct source_line where)
{
    struct ip_range range;
    char text[IP_RANGE_TEXT_BYTES + 8];

    line = address_line(line);
    if (line.n == 0)
        return;
    if (ip_range_parse(line, &range)) {
        add_range(&list->ranges, &list->range_count, range);
        return;
    }
    snprintf(text, sizeof text, "%.*s", BYTES_ARGS(bytes_first(line, sizeof text - 1)));
    complain_of_range(reader, text, where);
}

static void read_lines(struct reader *reader, struct address_list *list, struct bytes text)
{
    struct source_line where = { list->file, 0 };

    while (text.n) {
        struct bytes line = bytes_first(text, bytes_find(text, '\n'));
        text = bytes_skip(text, line.n < text.n ? line.n + 1 : line.n);
        where.line++;
        if (list->range_count < RANGES_MAX) {
            read_line(reader, list, line, where);
            continue;
        }
        complain(reader->complaints, where, "more than %d ranges", RANGES_MAX);
        return;
    }
}

/* As seen from the folder of the file that names it. */
static char *path_beside(const char *file, const char *path)
{
    const char *slash = strrchr(file, '/');
    char full[PATH_BYTES_MAX];

    if (path[0] == '/' || !slash)
        return mem_text(path);
    snprintf(full, sizeof full, "%.*s%s", (int)(slash - file + 1), file, path);
    return mem_text(full);
}

static void read_list_file(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    struct address_list *list = into;
    struct buf text;
    enum err err;

    read_text(reader, option, item, into);
    if (!list->file)
        return;
    free(list->file);
    list->file = path_beside(item->where.file, item->values[0].text);
    buf_init(&text, FILE_BYTES_MAX);
    err = config_load_changed(list->file, reader->change, &text);
    if (err == OK)
        read_lines(reader, list, buf_bytes(&text));
    else
        complaint_hint(complain(reader->complaints, value_line(item, 0),
                           "cannot read \"%.200s\": %s", list->file, err_text(err)),
            "an empty file is a list of no addresses");
    buf_release(&text);
}

static void read_list_ranges(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    struct address_list *list = into;

    (void)option;
    for (size_t i = 0; i < item->value_count; i++) {
        struct ip_range range;
        if (ip_range_parse(bytes_text(item->values[i].text), &range))
            add_range(&list->ranges, &list->range_count, range);
        else
            complain_of_range(reader, item->values[i].text, value_line(item, i));
    }
}

static const struct option list_options[] = {
    { "comment", CONFIG_VALUE, read_nothing },
    { "ranges", CONFIG_LIST, read_list_ranges },
    { "file", CONFIG_VALUE, read_list_file, offsetof(struct address_list, file) },
    { NULL },
};

static void read_list(struct reader *reader, const struct config_item *item)
{
    struct settings *settings = reader->settings;
    const struct address_list *twin;
    struct address_list *list;

    if (!is_connector_name(reader, item))
        return;
    twin = address_list_find(settings, item->title);
    if (twin)
        complain_of_twin(reader, "address lists", item->title, twin->source, item->where);
    settings->address_lists = mem_grow(settings->address_lists,
        (settings->address_list_count + 1) * sizeof *settings->address_lists);
    list = &settings->address_lists[settings->address_list_count++];
    *list = (struct address_list){ .name = mem_text(item->title), .source = item->where };
    options_read(reader, list_options, item, list);
}

void read_address_lists(struct reader *reader, const struct config_item *root)
{
    for (const struct config_item *item = root->first; item; item = item->next) {
        if (strcmp(item->name, "address_list") == 0 && item->kind == CONFIG_BLOCK)
            read_list(reader, item);
    }
}

/* --- Of those that name them -------------------------------------------------------------- */

static const char *list_name_at(const void *me, size_t i)
{
    const struct settings *settings = me;

    return i < settings->address_list_count ? settings->address_lists[i].name : NULL;
}

static void add_list(struct reader *reader, struct ip_range **ranges, size_t *count,
    const char *name, struct source_line where)
{
    const struct address_list *list = address_list_find(reader->settings, name);
    const char *near = nearest_name(name, list_name_at, reader->settings);
    struct complaint *complaint;

    for (size_t i = 0; list && i < list->range_count; i++)
        add_range(ranges, count, list->ranges[i]);
    if (list)
        return;
    complaint = complain(reader->complaints, where, "there is no address_list \"%.64s\"", name);
    if (near)
        complaint_hint(complaint, "did you mean \"@%s\"?", near);
    else
        complaint_hint(
            complaint, "address_list \"%.64s\" { file = \"%.64s.txt\" }", name, name);
}

void read_ranges(struct reader *reader, const struct config_item *item,
    struct ip_range **ranges, size_t *count)
{
    for (size_t i = 0; i < item->value_count; i++) {
        const char *text = item->values[i].text;
        struct ip_range range;
        if (text[0] == '@')
            add_list(reader, ranges, count, text + 1, value_line(item, i));
        else if (ip_range_parse(bytes_text(text), &range))
            add_range(ranges, count, range);
        else
            complain_of_range(reader, text, value_line(item, i));
    }
}

void read_remote_ranges(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    struct receive_connector *connector = into;

    (void)option;
    read_ranges(reader, item, &connector->ranges, &connector->range_count);
}
