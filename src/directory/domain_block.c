/* accepted_domain "example.com" { ... } */
#include "directory/option.h"

#include "base/mem.h"
#include "mail/address.h"
#include "policy/recipients.h"

#include <stddef.h>
#include <stdlib.h>

static const struct choice types[] = {
    { "authoritative", DOMAIN_AUTHORITATIVE },
    { "internal-relay", DOMAIN_INTERNAL_RELAY },
    { "external-relay", DOMAIN_EXTERNAL_RELAY },
    { NULL, 0 },
};

static void read_catch_all(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    struct accepted_domain *domain = into;
    struct address address;

    (void)option;
    if (address_parse(bytes_text(item->values[0].text), ADDRESS_UTF8, &address) != ADDRESS_OK) {
        complaint_hint(complain(reader->complaints, value_line(item, 0),
                           "'%.120s' is no address", item->values[0].text),
            "catch_all = \"lost@example.com\"");
        return;
    }
    free(domain->catch_all);
    domain->catch_all = mem_text(item->values[0].text);
}

static const struct option options[] = {
    { "type", CONFIG_VALUE, read_choice, offsetof(struct accepted_domain, type),
        .choices = types },
    { "default", CONFIG_VALUE, read_flag, offsetof(struct accepted_domain, is_default) },
    { "recipients", CONFIG_VALUE, read_recipient_file },
    { "catch_all", CONFIG_VALUE, read_catch_all },
    { NULL },
};

/* Only where all mailboxes are ours is it known who does not exist. */
static void check(
    struct reader *reader, const struct accepted_domain *domain, const struct config_item *item)
{
    const struct config_item *recipients = config_find(item, "recipients");
    const struct config_item *catch_all = config_find(item, "catch_all");

    if (domain->type != DOMAIN_AUTHORITATIVE && recipients)
        complaint_hint(complain(reader->complaints, recipients->where,
                           "recipients of a domain that is not authoritative"),
            "other servers know recipients of \"%s\" too: leave it out, or type = "
            "authoritative",
            item->title ? item->title : "");
    if (catch_all && !recipients)
        complaint_hint(complain_warning(reader->complaints, catch_all->where,
                           "catch_all is not used: all recipients exist"),
            "recipients = \"/etc/relais/recipients\" says who does");
    if (domain->is_default && strchr(domain->pattern, '*'))
        complain(reader->complaints, config_find(item, "default")->where,
            "a pattern cannot be the default domain");
}

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
        free(domain.catch_all);
        free(domain.recipient_file);
        recipient_table_free(domain.recipients);
        return;
    }
    domain.pattern = mem_text(pattern);
    check(reader, &domain, item);
    settings->domains =
        mem_grow(settings->domains, (settings->domain_count + 1) * sizeof *settings->domains);
    settings->domains[settings->domain_count++] = domain;
}
