/* Changing the file of an address list, a line at a time: everything else in it, comments and
 * order, stays as it is. */
#include "directory/option.h"

#include "base/buf.h"

#include <stdio.h>

enum { FILE_BYTES_MAX = 64 << 20 };

static struct bytes take_line(struct bytes *text)
{
    size_t lf = bytes_find(*text, '\n');
    struct bytes line = bytes_first(*text, lf == BYTES_NOT_FOUND ? text->n : lf + 1);

    *text = bytes_skip(*text, line.n);
    return line;
}

/* Whether LINE, which may end with LF, has just RANGE. */
static bool is_line_of(struct bytes line, struct ip_range range)
{
    struct ip_range there;

    if (line.n && line.at[line.n - 1] == '\n')
        line.n--;
    return ip_range_parse(address_line(line), &there) && ip_range_equal(there, range);
}

/* Copies OLD without the lines of RANGE; says how many there were. */
static enum err copy_others(
    struct bytes old, struct ip_range range, struct buf *out, size_t *found)
{
    enum err err = OK;

    *found = 0;
    while (old.n && err == OK) {
        struct bytes line = take_line(&old);
        if (is_line_of(line, range))
            ++*found;
        else
            err = buf_add(out, line);
    }
    return err;
}

static enum err add_line(struct ip_range range, const char *comment, struct buf *out)
{
    char text[IP_RANGE_TEXT_BYTES];
    enum err err = OK;

    ip_range_format(range, text);
    if (out->n && out->at[out->n - 1] != '\n')
        err = buf_add_text(out, "\n");
    if (err == OK)
        err = comment ? buf_printf(out, "%s  # %s\n", text, comment)
                      : buf_printf(out, "%s\n", text);
    return err;
}

static enum err edit(struct bytes old, const struct address_change *change,
    struct ip_range range, struct buf *out, char why[512])
{
    size_t found;
    enum err err = copy_others(old, range, out, &found);

    if (err == OK && change->is_removal != (found != 0)) {
        snprintf(why, 512,
            change->is_removal ? "%.60s does not stand by itself in list \"%.64s\" (%.200s)"
                               : "%.60s is in list \"%.64s\" already (%.200s)",
            change->range, change->list->name, change->list->file);
        return ERR_SYNTAX;
    }
    if (err == OK && !change->is_removal)
        err = add_line(range, change->comment, out);
    if (err != OK)
        snprintf(why, 512, "%.400s: %s", change->list->file, err_text(err));
    return err;
}

static bool is_plain(const char *text)
{
    for (; text && *text; text++) {
        if ((unsigned char)*text < ' ' || *text == 127)
            return false;
    }
    return true;
}

enum err directory_address_edit(
    const struct address_change *change, struct buf *out, char why[512])
{
    struct ip_range range;
    struct buf old;
    enum err err;

    if (!change->list->file) {
        snprintf(why, 512,
            "list \"%.64s\" has no file: its ranges stand in the configuration, line %d of "
            "%.200s",
            change->list->name, change->list->source.line, change->list->source.file);
        return ERR_SYNTAX;
    }
    if (!ip_range_parse(bytes_text(change->range), &range) || !is_plain(change->comment)) {
        snprintf(why, 512,
            "'%.60s' is no range of addresses: 192.0.2.1, 192.0.2.1-192.0.2.9, 192.0.2.0/24 or "
            "2001:db8::/32",
            change->range);
        return ERR_SYNTAX;
    }
    buf_init(&old, FILE_BYTES_MAX);
    err = config_load(change->list->file, &old);
    if (err == OK)
        err = edit(buf_bytes(&old), change, range, out, why);
    else
        snprintf(why, 512, "%.400s: %s", change->list->file, err_text(err));
    buf_release(&old);
    return err;
}

const struct address_list *directory_address_list(
    const struct settings *settings, const char *name, char why[512])
{
    const struct address_list *list = address_list_find(settings, name);

    if (!list)
        snprintf(
            why, 512, "there is no address_list \"%.64s\" in %.300s", name, settings->file);
    return list;
}
