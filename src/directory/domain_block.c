/* accepted_domain "example.com" { ... } */
#include "directory/option.h"

#include "base/mem.h"

#include <stddef.h>

static const struct choice types[] = {
    { "authoritative", DOMAIN_AUTHORITATIVE },
    { "internal-relay", DOMAIN_INTERNAL_RELAY },
    { "external-relay", DOMAIN_EXTERNAL_RELAY },
    { NULL, 0 },
};

static const struct option options[] = {
    { "type", CONFIG_VALUE, read_choice, offsetof(struct accepted_domain, type),
        .choices = types },
    { NULL },
};

void read_accepted_domain(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    struct settings *settings = into;
    struct accepted_domain domain = { .source = item->where };
    char pattern[IDNA_BYTES_MAX];

    (void)option;
    options_read(reader, options, item, &domain);
    if (!item->title || !domain_pattern_parse(bytes_text(item->title), pattern)) {
        complaint_hint(complain(reader->complaints, item->where, "'%.120s' is no domain",
                           item->title ? item->title : ""),
            "accepted_domain \"example.com\" { ... }, \"*.example.com\" or \"*\"");
        return;
    }
    domain.pattern = mem_text(pattern);
    settings->domains =
        mem_grow(settings->domains, (settings->domain_count + 1) * sizeof *settings->domains);
    settings->domains[settings->domain_count++] = domain;
}
