/* rewrite_sender "*@*.local" { ... } */
#include "directory/option.h"

#include "base/mem.h"
#include "mail/address.h"
#include "policy/pattern.h"

#include <stddef.h>
#include <stdlib.h>

/* "%u" and "%d" stand for parts of an address: what is left must look like one. */
static bool is_template(const char *text)
{
    char *filled = mem_text(text);
    struct address address;
    bool is_good = true;

    for (char *at = filled; *at; at++) {
        if (at[0] != '%')
            continue;
        is_good &= at[1] == 'u' || at[1] == 'd';
        at[0] = 'x';
    }
    is_good = is_good && address_parse(bytes_text(filled), 0, &address) == ADDRESS_OK;
    free(filled);
    return is_good;
}

static void read_to(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    struct sender_rewrite *rewrite = into;

    (void)option;
    if (!is_template(item->values[0].text)) {
        complaint_hint(complain(reader->complaints, value_line(item, 0),
                           "'%.120s' is no address", item->values[0].text),
            "\"scanner@example.com\"; %%u and %%d are the old local part and domain");
        return;
    }
    free(rewrite->to);
    rewrite->to = mem_text(item->values[0].text);
}

static const struct option options[] = {
    { "to", CONFIG_VALUE, read_to },
    { "header", CONFIG_VALUE, read_flag, offsetof(struct sender_rewrite, with_header) },
    { "connectors", CONFIG_LIST, read_names, offsetof(struct sender_rewrite, came_by) },
    { NULL },
};

void read_sender_rewrite(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    struct settings *settings = into;
    struct sender_rewrite rewrite = { .source = item->where, .with_header = true };
    char pattern[PATTERN_BYTES_MAX];

    (void)option;
    options_read(reader, options, item, &rewrite);
    settings->rewrites = mem_grow(
        settings->rewrites, (settings->rewrite_count + 1) * sizeof *settings->rewrites);
    if (!item->title || !pattern_parse(bytes_text(item->title), pattern))
        complaint_hint(complain(reader->complaints, item->where,
                           "'%.120s' is no pattern of senders", item->title ? item->title : ""),
            "rewrite_sender \"*@*.local\" { to = \"scanner@example.com\" }");
    else
        rewrite.pattern = mem_text(pattern);
    if (!rewrite.to && reader->is_whole && !config_find(item, "to"))
        complaint_hint(
            complain(reader->complaints, item->where, "what do these senders become?"),
            "to = \"scanner@example.com\"");
    settings->rewrites[settings->rewrite_count++] = rewrite;
}
