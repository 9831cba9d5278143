/* permission_group "Name" { ... }, and what connectors say of groups and rights (PE-1, PE-2). */
#include "directory/option.h"

#include "base/mem.h"
#include "policy/client.h"

#include <stddef.h>
#include <string.h>

/* --- Rights ------------------------------------------------------------------------------ */

static const struct choice rights[] = {
    { "submit", RIGHT_SUBMIT },
    { "any-recipient", RIGHT_ANY_RECIPIENT },
    { "any-sender", RIGHT_ANY_SENDER },
    { "own-domain-sender", RIGHT_OWN_DOMAIN_SENDER },
    { "bypass-size-limit", RIGHT_BYPASS_SIZE_LIMIT },
    { "bypass-rate-limit", RIGHT_BYPASS_RATE_LIMIT },
    { "internal-headers", RIGHT_INTERNAL_HEADERS },
    { NULL, 0 },
};

/* Two rights of other systems that no client of a connector has here; who may do it is said at
 * another place. */
static const struct {
    const char *name, *hint;
} elsewhere[] = {
    { "shadow",
        "only the other nodes hand over copies, known by their keys, on a connector with "
        "role = internal" },
    { "proxy", "listener \"*:25\" { proxy_from = { 192.0.2.10 } } says whose PROXY headers are "
               "taken" },
};

static void complain_of_right(struct reader *reader, const struct option *option,
    const struct config_item *item, size_t i, const char *right)
{
    const char *text = item->values[i].text;

    for (size_t k = 0; k < sizeof elsewhere / sizeof *elsewhere; k++) {
        if (strcasecmp(elsewhere[k].name, right) != 0)
            continue;
        complaint_hint(complain(reader->complaints, value_line(item, i),
                           "'%s' cannot be '%.60s'", option->name, text),
            "%s", elsewhere[k].hint);
        return;
    }
    complain_of_choice(reader, value_line(item, i), option->name, text, rights);
}

/* "accept-any-recipient" is what the same right is called elsewhere. */
void read_rights(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    unsigned *all = (void *)((char *)into + option->at);

    for (size_t i = 0; i < item->value_count; i++) {
        const char *text = item->values[i].text;
        size_t skipped = strncasecmp(text, "accept-", 7) == 0 ? 7 : 0;
        const struct choice *choice = choice_find(rights, text + skipped);

        if (choice)
            *all |= choice->value;
        else
            complain_of_right(reader, option, item, i, text + skipped);
    }
}

/* --- The block --------------------------------------------------------------------------- */

static void read_users(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    struct user_group *group = into;

    (void)option;
    group->users = mem_grow(
        group->users, (group->user_count + item->value_count + 1) * sizeof *group->users);
    for (size_t i = 0; i < item->value_count; i++) {
        const char *text = item->values[i].text;

        if (*text && text_is_printable(text))
            group->users[group->user_count++] = mem_text(text);
        else
            complaint_hint(complain(reader->complaints, value_line(item, i),
                               "'%.100s' is no name of a user", text),
                "names as in `relais user list`: users = { \"scanner1\", \"scanner2\" }");
    }
}

#define AT(member) offsetof(struct user_group, member)

static const struct option options[] = {
    { "rights", CONFIG_LIST, read_rights, AT(rights) },
    { "users", CONFIG_LIST, read_users },
    { NULL },
};

/* Those that need no block.  0: these two are not for connectors of clients. */
static const struct choice builtin[] = {
    { "anonymous", GROUP_ANONYMOUS },
    { "users", GROUP_USERS },
    { "partners", GROUP_PARTNERS },
    { "external-secured", GROUP_EXTERNAL_SECURED },
    { "servers", 0 },
    { "custom", 0 },
    { NULL, 0 },
};

void read_permission_group(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    struct settings *settings = into;
    struct user_group *group;

    (void)option;
    if (!is_connector_name(reader, item))
        return;
    if (choice_find(builtin, item->title)) {
        complaint_hint(complain(reader->complaints, item->where,
                           "permission group \"%s\" is there already", item->title),
            "give yours another name; this one needs no block");
        return;
    }
    settings->user_groups = mem_grow(settings->user_groups,
        (settings->user_group_count + 1) * sizeof *settings->user_groups);
    group = &settings->user_groups[settings->user_group_count++];
    *group = (struct user_group){ .name = mem_text(item->title),
        .source = item->where,
        .rights = config_find_set(item, "rights") ? 0 : RIGHT_SUBMIT };
    options_read(reader, options, item, group);
    if (group->user_count == 0)
        complaint_hint(complain_warning(reader->complaints, item->where,
                           "nobody is in permission group \"%s\"", group->name),
            "users = { \"scanner1\" }");
}

/* --- permission_groups of a connector ------------------------------------------------------ */

/* The blocks may stand behind the connector: names are looked up by check_groups(). */
void read_groups(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    struct receive_connector *connector = into;

    (void)option;
    if (!item->is_append)
        connector->groups = 0;
    for (size_t i = 0; i < item->value_count; i++) {
        const char *text = item->values[i].text;
        const struct choice *choice = choice_find(builtin, text);

        if (!choice)
            connector->groups |= GROUP_CUSTOM;
        else if (choice->value)
            connector->groups |= choice->value;
        else
            complaint_hint(complain(reader->complaints, value_line(item, i),
                               "'%s' cannot be '%.60s'", item->name, text),
                strcmp(choice->name, "servers") == 0
                    ? "the other nodes come in by a connector with role = internal"
                    : "write the name of a permission_group block");
    }
}

static const char *group_name_at(const void *me, size_t i)
{
    const struct settings *settings = me;
    enum { OFFERED = 4 }; /* of those above */

    if (i < OFFERED)
        return builtin[i].name;
    return i - OFFERED < settings->user_group_count ? settings->user_groups[i - OFFERED].name
                                                    : NULL;
}

static void complain_of_group(struct reader *reader, const struct config_item *item, size_t i)
{
    const char *text = item->values[i].text;
    const char *near = nearest_name(text, group_name_at, reader->settings);
    struct complaint *complaint = complain(
        reader->complaints, value_line(item, i), "there is no permission group '%.64s'", text);

    if (near)
        complaint_hint(complaint, "did you mean '%s'?", near);
    else
        complaint_hint(complaint,
            "anonymous, users, partners, external-secured, or permission_group \"%.64s\" { "
            "rights = { ... } users = { ... } }",
            text);
}

static void add_user_group(struct receive_connector *connector, size_t number)
{
    for (size_t i = 0; i < connector->user_group_count; i++) {
        if (connector->user_groups[i] == number)
            return;
    }
    connector->user_groups = mem_grow(connector->user_groups,
        (connector->user_group_count + 1) * sizeof *connector->user_groups);
    connector->user_groups[connector->user_group_count++] = number;
}

/* The user groups that one item of permission_groups names. */
static void find_groups(
    struct reader *reader, struct receive_connector *connector, const struct config_item *item)
{
    const struct settings *settings = reader->settings;

    for (size_t i = 0; i < item->value_count; i++) {
        const char *text = item->values[i].text;
        size_t number = 0;

        if (choice_find(builtin, text))
            continue;
        while (number < settings->user_group_count &&
               strcasecmp(settings->user_groups[number].name, text) != 0)
            number++;
        if (number < settings->user_group_count)
            add_user_group(connector, number);
        else
            complain_of_group(reader, item, i);
    }
}

/* Groups that nobody can be in, as the connector stands. */
static void warn_of_groups(struct reader *reader, const struct receive_connector *connector,
    const struct config_item *block)
{
    const struct config_item *item = config_find(block, "permission_groups");

    if (!item)
        return;
    if (connector->groups == 0 && item->value_count == 0)
        complaint_hint(complain(reader->complaints, item->where,
                           "receive connector \"%s\" would take nobody", connector->name),
            "permission_groups = { anonymous }, or enabled = false");
    if ((connector->groups & GROUP_USERS || connector->user_group_count) &&
        !connector->mechanisms)
        complaint_hint(
            complain_warning(reader->complaints, item->where,
                "receive connector \"%s\" takes users, but nobody can log in", connector->name),
            "auth = { plain, login }");
    if (connector->groups & GROUP_PARTNERS && !connector->client_ca_file &&
        connector->client_fingerprint_count == 0)
        complain_warning(reader->complaints, item->where,
            "receive connector \"%s\" takes partners, but knows no client certificate",
            connector->name);
}

void check_groups(struct reader *reader)
{
    const struct settings *s = reader->settings;

    for (size_t i = 0; i < s->user_group_count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (strcasecmp(s->user_groups[i].name, s->user_groups[k].name) == 0)
                complain_of_twin(reader, "permission groups", s->user_groups[i].name,
                    s->user_groups[k].source, s->user_groups[i].source);
        }
    }
    for (size_t i = 0; i < reader->receive_item_count; i++) {
        const struct config_item *block = reader->receive_items[i];

        for (const struct config_item *item = block->first; item; item = item->next) {
            if (strcmp(item->name, "permission_groups") == 0 && item->kind != CONFIG_BLOCK)
                find_groups(reader, &s->receive[i], item);
        }
        warn_of_groups(reader, &s->receive[i], block);
    }
}
