#include "policy/addresses.h"

#include "base/buf.h"
#include "policy/aliases.h"
#include "policy/pattern.h"
#include "policy/recipients.h"
#include "policy/rights.h"

#include <stdlib.h>
#include <strings.h>

const char *default_domain(const struct settings *settings)
{
    for (size_t i = 0; i < settings->domain_count; i++) {
        if (settings->domains[i].is_default)
            return settings->domains[i].pattern;
    }
    return settings->fqdn;
}

/* Names of the system (root, postmaster) are looked up in the domains whose mailboxes are ours. */
static bool is_local(const struct accepted_domain *domain, const struct address *recipient)
{
    return recipient->domain.n == 0 || (domain && domain->type == DOMAIN_AUTHORITATIVE);
}

/* What names of RECIPIENT's that have no domain are given. */
static struct bytes home_of(const struct settings *settings, const struct address *recipient)
{
    return recipient->domain.n ? recipient->domain : bytes_text(default_domain(settings));
}

static bool exists(const struct accepted_domain *domain, const struct address *recipient)
{
    return !domain || domain->type != DOMAIN_AUTHORITATIVE || !domain->recipients ||
           recipient_table_has(domain->recipients, recipient->local, recipient->domain);
}

/* NULL: ADDRESS, which is of DOMAIN, is no alias. */
static const struct alias *find_alias(const struct settings *settings,
    const struct accepted_domain *domain, const struct address *address)
{
    if (!settings->aliases)
        return NULL;
    return alias_table_find(settings->aliases, address->local, home_of(settings, address),
        is_local(domain, address));
}

struct resolved recipient_resolve(
    const struct settings *settings, const struct address *recipient)
{
    const struct accepted_domain *domain = accepted_domain_find(settings, recipient->domain);
    struct resolved resolved = {
        .kind = RESOLVED_ITSELF,
        .domain = domain,
        .alias = find_alias(settings, domain, recipient),
    };

    if (resolved.alias)
        resolved.kind = RESOLVED_ALIAS;
    else if (!exists(domain, recipient))
        resolved.kind = domain->catch_all ? RESOLVED_CATCH_ALL : RESOLVED_NOBODY;
    return resolved;
}

/* Who is there for nobody may be an alias himself ("root@example.com"). */
static void catch_all_each(const struct settings *settings, const char *catch_all,
    void (*each)(void *me, struct bytes address), void *me)
{
    const struct alias *alias = NULL;
    struct address address;

    if (address_parse(bytes_text(catch_all), ADDRESS_UTF8, &address) == ADDRESS_OK)
        alias = find_alias(settings, accepted_domain_find(settings, address.domain), &address);
    if (alias)
        alias_expand(settings->aliases, alias, address.domain, each, me);
    else
        each(me, bytes_text(catch_all));
}

void resolved_each(const struct settings *settings, const struct resolved *resolved,
    const struct address *recipient, void (*each)(void *me, struct bytes address), void *me)
{
    if (resolved->kind == RESOLVED_ALIAS)
        alias_expand(
            settings->aliases, resolved->alias, home_of(settings, recipient), each, me);
    else if (resolved->kind == RESOLVED_CATCH_ALL)
        catch_all_each(settings, resolved->domain->catch_all, each, me);
}

static bool is_for(
    const struct sender_rewrite *rewrite, const struct receive_connector *connector)
{
    for (size_t i = 0; i < rewrite->came_by.count; i++) {
        if (strcasecmp(rewrite->came_by.list[i], connector->name) == 0)
            return true;
    }
    return rewrite->came_by.count == 0;
}

/* "%u" and "%d" filled in; NULL: too long to be an address. */
static char *fill_in(const char *to, const struct address *sender)
{
    struct buf out;
    enum err err = OK;

    buf_init(&out, ADDRESS_BYTES_MAX);
    for (; *to && err == OK; to++) {
        if (to[0] == '%' && to[1] == 'u')
            err = buf_add(&out, sender->local);
        else if (to[0] == '%' && to[1] == 'd')
            err = buf_add(&out, sender->domain);
        else
            err = buf_add(&out, bytes_of(to, 1));
        to += to[0] == '%' && (to[1] == 'u' || to[1] == 'd');
    }
    if (err == OK)
        return buf_take_text(&out);
    buf_done(&out);
    return NULL;
}

struct rewrite_search {
    const struct settings *settings;
    const struct receive_connector *connector;
};

static bool counts_here(const void *me, size_t number)
{
    const struct rewrite_search *search = me;

    return is_for(&search->settings->rewrites[number], search->connector);
}

/* The first that fits; or NULL. */
static const struct sender_rewrite *find_rewrite(const struct settings *settings,
    const struct receive_connector *connector, const struct address *sender)
{
    struct rewrite_search search = { settings, connector };
    struct pattern_subject subject;
    size_t at;

    if (settings->rewrite_count == 0 || sender->text.n == 0)
        return NULL; /* a notification has nobody to be called differently */
    pattern_subject_init(&subject, sender);
    at = patterns_find_at(&settings->rewrite_patterns, &subject, counts_here, &search);
    return at == SIZE_MAX ? NULL : &settings->rewrites[at];
}

char *sender_rewritten(const struct settings *settings,
    const struct receive_connector *connector, const struct address *sender)
{
    const struct sender_rewrite *rewrite = find_rewrite(settings, connector, sender);

    return rewrite ? fill_in(rewrite->to, sender) : NULL;
}

bool rewrites_header(const struct settings *settings, const struct receive_connector *connector)
{
    for (size_t i = 0; i < settings->rewrite_count; i++) {
        if (settings->rewrites[i].with_header && is_for(&settings->rewrites[i], connector))
            return true;
    }
    return false;
}

char *header_sender_rewritten(const struct settings *settings,
    const struct receive_connector *connector, const struct address *sender)
{
    const struct sender_rewrite *rewrite = find_rewrite(settings, connector, sender);
    struct address address;
    char *text;

    if (!rewrite || !rewrite->with_header)
        return NULL;
    text = fill_in(rewrite->to, sender);
    if (text && address_parse(bytes_text(text), ADDRESS_UTF8, &address) == ADDRESS_OK)
        return text;
    free(text); /* too long, with the old one's parts in it: it stays */
    return NULL;
}
