#include "policy/client.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* PE-1.  Servers, and those whom the network vouches for, are the organisation itself. */
static const struct {
    enum permission_group group;
    const char *name;
    unsigned rights;
} groups[GROUP_COUNT] = {
    { GROUP_ANONYMOUS, "anonymous", RIGHT_SUBMIT | RIGHT_ANY_SENDER | RIGHT_OWN_DOMAIN_SENDER },
    { GROUP_USERS, "users", RIGHT_SUBMIT | RIGHT_ANY_RECIPIENT },
    { GROUP_PARTNERS, "partners", RIGHT_SUBMIT | RIGHT_ANY_SENDER },
    { GROUP_SERVERS, "servers", (1 << RIGHT_COUNT) - 1 },
    { GROUP_EXTERNAL_SECURED, "external-secured", (1 << RIGHT_COUNT) - 1 },
    { GROUP_CUSTOM, "custom", 0 },
};

static const struct {
    enum right right;
    const char *name;
} rights[RIGHT_COUNT] = {
    { RIGHT_SUBMIT, "submit" },
    { RIGHT_ANY_RECIPIENT, "any-recipient" },
    { RIGHT_ANY_SENDER, "any-sender" },
    { RIGHT_OWN_DOMAIN_SENDER, "own-domain-sender" },
    { RIGHT_BYPASS_SIZE_LIMIT, "bypass-size-limit" },
    { RIGHT_BYPASS_RATE_LIMIT, "bypass-rate-limit" },
    { RIGHT_INTERNAL_HEADERS, "internal-headers" },
};

const char *right_name(enum right right)
{
    for (size_t i = 0; i < RIGHT_COUNT; i++) {
        if (rights[i].right == right)
            return rights[i].name;
    }
    return "";
}

const char *group_name(enum permission_group group)
{
    for (size_t i = 0; i < GROUP_COUNT; i++) {
        if (groups[i].group == group)
            return groups[i].name;
    }
    return "";
}

unsigned group_rights(enum permission_group group)
{
    for (size_t i = 0; i < GROUP_COUNT; i++) {
        if (groups[i].group == group)
            return groups[i].rights;
    }
    return 0;
}

const struct account *account_find(const struct settings *settings, const char *name)
{
    size_t first = 0, behind = settings->account_count;

    while (first < behind) {
        size_t at = first + (behind - first) / 2;
        int order = strcasecmp(name, settings->accounts[at].name);

        if (order == 0)
            return &settings->accounts[at];
        if (order < 0)
            behind = at;
        else
            first = at + 1;
    }
    return NULL;
}

static bool is_member(const struct user_group *group, const char *user)
{
    for (size_t i = 0; i < group->user_count; i++) {
        if (strcasecmp(group->users[i], user) == 0)
            return true;
    }
    return false;
}

/* The I-th user group of the connector, if the client is in it. */
static const struct user_group *group_of(const struct settings *settings,
    const struct receive_connector *connector, const struct client *client, size_t i)
{
    const struct user_group *group = &settings->user_groups[connector->user_groups[i]];

    return client->user && is_member(group, client->user) ? group : NULL;
}

static unsigned find_groups(const struct settings *settings,
    const struct receive_connector *connector, const struct client *client)
{
    unsigned all = 0;

    if (client->user)
        all |= GROUP_USERS;
    if (client->is_partner)
        all |= GROUP_PARTNERS;
    if (client->is_server)
        all |= GROUP_SERVERS;
    for (size_t i = 0; i < connector->user_group_count; i++) {
        if (group_of(settings, connector, client, i))
            all |= GROUP_CUSTOM;
    }
    all &= connector->groups;
    if (!all)
        all = GROUP_ANONYMOUS & connector->groups;
    return all | (GROUP_EXTERNAL_SECURED & connector->groups);
}

static unsigned find_rights(const struct settings *settings,
    const struct receive_connector *connector, const struct client *client, unsigned in)
{
    unsigned all = in ? connector->allow : 0;

    for (size_t i = 0; i < GROUP_COUNT; i++) {
        if (in & groups[i].group)
            all |= groups[i].rights;
    }
    for (size_t i = 0; in & GROUP_CUSTOM && i < connector->user_group_count; i++) {
        const struct user_group *group = group_of(settings, connector, client, i);
        all |= group ? group->rights : 0;
    }
    return all;
}

void client_know(const struct settings *settings, const struct receive_connector *connector,
    struct client *client)
{
    client->groups = find_groups(settings, connector, client);
    client->rights = find_rights(settings, connector, client, client->groups);
    client->known_on = connector;
}

unsigned client_groups(const struct settings *settings,
    const struct receive_connector *connector, const struct client *client)
{
    return client->known_on == connector ? client->groups
                                         : find_groups(settings, connector, client);
}

unsigned client_rights(const struct settings *settings,
    const struct receive_connector *connector, const struct client *client)
{
    if (client->known_on == connector)
        return client->rights;
    return find_rights(settings, connector, client, find_groups(settings, connector, client));
}

bool client_could_log_in(const struct receive_connector *connector, const struct client *client)
{
    return !client->user && connector->mechanisms &&
           connector->groups & (GROUP_USERS | GROUP_CUSTOM);
}

const char *client_right_source(const struct settings *settings,
    const struct receive_connector *connector, const struct client *client, enum right right,
    char room[100])
{
    unsigned in = client_groups(settings, connector, client);

    if (in && connector->allow & right)
        return "allow";
    for (size_t i = 0; i < GROUP_COUNT; i++) {
        if (in & groups[i].group && groups[i].rights & right) {
            snprintf(room, 100, "group %s", groups[i].name);
            return room;
        }
    }
    for (size_t i = 0; in & GROUP_CUSTOM && i < connector->user_group_count; i++) {
        const struct user_group *group = group_of(settings, connector, client, i);
        if (group && group->rights & right) {
            snprintf(room, 100, "permission_group \"%.64s\"", group->name);
            return room;
        }
    }
    return NULL;
}

static bool lists(const struct receive_connector *connector, const char *fingerprint)
{
    for (size_t i = 0; i < connector->client_fingerprint_count; i++) {
        if (strcasecmp(connector->client_fingerprints[i], fingerprint) == 0)
            return true;
    }
    return false;
}

bool client_is_listed(const struct receive_connector *connector, const char *fingerprint)
{
    return connector->asks_client_certificate && lists(connector, fingerprint);
}

bool client_is_still_partner(const struct receive_connector *before,
    const struct receive_connector *now, const char *fingerprint)
{
    const char *ca = before->client_ca_file;

    if (!now->asks_client_certificate)
        return false;
    if (lists(now, fingerprint))
        return true;
    if (lists(before, fingerprint)) /* by that alone, perhaps */
        return false;
    return ca && now->client_ca_file && strcmp(ca, now->client_ca_file) == 0;
}
