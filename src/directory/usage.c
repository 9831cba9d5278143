/* What a receive connector is for, and sets of connectors that administrators know (RC-8).
 *
 * `usage` sets defaults, `preset` adds connectors with a usage each; an option that stands in a
 * block wins over both. */
#include "directory/option.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

enum { SUBMISSIONS_PER_MINUTE = 600 };

static const struct usage {
    const char *name;
    uint16_t port;   /* on all addresses, where no bindings are given; 0: they must be */
    bool is_for_all; /* all addresses, where no ranges are given */
    unsigned groups; /* 0: the usual */
    unsigned allow;
    enum tls_mode tls;
    bool is_internal, is_submission, is_partner;
} usages[] = {
    { "client", 587, true, GROUP_USERS, 0, TLS_MODE_REQUIRED, .is_submission = true },
    { "internal", 2525, .is_internal = true },
    { "internet", 25, true, GROUP_ANONYMOUS, 0, TLS_MODE_OFFERED },
    { "partner", 25, false, GROUP_PARTNERS, 0, TLS_MODE_REQUIRED, .is_partner = true },
    { "relay", 25, false, GROUP_ANONYMOUS, RIGHT_ANY_RECIPIENT, TLS_MODE_OFFERED },
    { "custom", 0, false, 0, 0, TLS_MODE_OFFERED },
};

static const struct choice usage_names[] = { { "client", 0 }, { "internal", 1 },
    { "internet", 2 }, { "partner", 3 }, { "relay", 4 }, { "custom", 5 }, { NULL, 0 } };

/* Roles that are not there yet have no connector here: Client Proxy (:465), Outbound Proxy
 * Frontend (:717) and Mailbox Delivery (:475) of Exchange's set. */
static const struct preset_connector {
    const char *preset, *name, *usage;
    uint16_t port;
    bool is_implicit_tls;
} preset_connectors[] = {
    { "exchange", "Default Frontend", "internet", 25 },
    { "exchange", "Client Frontend", "client", 587 },
    { "exchange", "Default", "internal", 2525 },
    { "default", "Inbound", "internet", 25 },
    { "default", "Submission", "client", 587 },
    { "default", "Submissions", "client", 465, true }, /* RFC 8314, 3.3 */
    { "default", "Internal", "internal", 2525 },
};
enum { PRESET_CONNECTOR_COUNT = sizeof preset_connectors / sizeof *preset_connectors };

static const struct choice presets[] = { { "exchange", 0 }, { "default", 1 }, { NULL, 0 } };

/* --- Usage ------------------------------------------------------------------------------- */

static const struct preset_connector *of_preset(const struct reader *reader, const char *name)
{
    for (size_t i = 0; reader->preset && i < PRESET_CONNECTOR_COUNT; i++) {
        if (strcmp(preset_connectors[i].preset, reader->preset) == 0 &&
            strcasecmp(preset_connectors[i].name, name) == 0)
            return &preset_connectors[i];
    }
    return NULL;
}

/* NULL: none, or one that does not exist. */
static const struct usage *usage_of(
    const struct reader *reader, const struct config_item *block)
{
    const struct config_item *item = config_find(block, "usage");
    const struct preset_connector *preset = of_preset(reader, block->title);
    const struct choice *choice = NULL;

    if (item)
        choice =
            item->kind == CONFIG_VALUE ? choice_find(usage_names, item->values[0].text) : NULL;
    else if (preset)
        choice = choice_find(usage_names, preset->usage);
    return choice ? &usages[choice->value] : NULL;
}

void read_usage(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    (void)into;
    if (!choice_find(usage_names, item->values[0].text))
        complain_of_choice(
            reader, value_line(item, 0), option->name, item->values[0].text, usage_names);
}

/* Lists add to what is there, so those that the block sets are left empty. */
static void set_lists(struct receive_connector *connector, const struct usage *usage,
    const struct config_item *block)
{
    if (usage->groups)
        connector->groups = usage->groups;
    if (!config_find_set(block, "allow"))
        connector->allow |= usage->allow;
    if (usage->is_submission && !config_find_set(block, "auth"))
        connector->mechanisms =
            AUTH_PLAIN | AUTH_LOGIN | AUTH_SCRAM_SHA_256 | AUTH_SCRAM_SHA_256_PLUS;
}

void usage_begin(
    struct reader *reader, struct receive_connector *connector, const struct config_item *block)
{
    const struct usage *usage = usage_of(reader, block);
    const struct preset_connector *preset = of_preset(reader, block->title);

    if (!usage)
        return;
    set_lists(connector, usage, block);
    connector->is_internal = usage->is_internal;
    connector->tls = usage->tls;
    if (preset && preset->is_implicit_tls)
        connector->tls = TLS_MODE_IMPLICIT;
    if (usage->is_submission) {
        connector->requires_auth = true;
        connector->messages_per_minute_max = SUBMISSIONS_PER_MINUTE;
    }
    connector->adds_missing_headers = usage->is_submission || usage->allow;
    if (usage->is_partner)
        connector->asks_client_certificate = connector->requires_client_certificate = true;
}

/* Where nothing is said, a usage says where it listens, and to whom; += adds to that. */
void usage_end(
    struct reader *reader, struct receive_connector *connector, const struct config_item *block)
{
    const struct usage *usage = usage_of(reader, block);
    const struct preset_connector *preset = of_preset(reader, block->title);

    if (!usage)
        return;
    if (!config_find_set(block, "bindings") && (preset || usage->port)) {
        connector->bindings = mem_grow(
            connector->bindings, (connector->binding_count + 1) * sizeof *connector->bindings);
        connector->bindings[connector->binding_count++] =
            (struct binding){ .is_any = true, .port = preset ? preset->port : usage->port };
    }
    if (usage->is_for_all && !config_find_set(block, "remote_ranges")) {
        connector->ranges = mem_grow(
            connector->ranges, (connector->range_count + 1) * sizeof *connector->ranges);
        connector->range_count +=
            ip_range_parse(BYTES("*"), &connector->ranges[connector->range_count]);
    }
}

/* --- Presets ----------------------------------------------------------------------------- */

static const struct config_item *preset_item(const struct config_item *root)
{
    const struct config_item *item = config_find(root, "preset");

    return item && item->kind == CONFIG_VALUE ? item : NULL;
}

void preset_begin(struct reader *reader, const struct config_item *root)
{
    const struct config_item *item = preset_item(root);
    const struct choice *choice = item ? choice_find(presets, item->values[0].text) : NULL;

    if (choice)
        reader->preset = choice->name;
    else if (item)
        complain_of_choice(
            reader, value_line(item, 0), "preset", item->values[0].text, presets);
}

static bool is_there(const struct settings *settings, const char *name)
{
    for (size_t i = 0; i < settings->receive_count; i++) {
        if (strcasecmp(settings->receive[i].name, name) == 0)
            return true;
    }
    return false;
}

/* An empty block of that name, which stands where the preset does. */
static struct config_item *make_block(const char *name, struct source_line where)
{
    struct config_item *block = mem_new(sizeof *block);

    block->kind = CONFIG_BLOCK;
    block->name = mem_text("receive_connector");
    block->title = mem_text(name);
    block->where = where;
    return block;
}

void preset_end(struct reader *reader, const struct config_item *root)
{
    reader->made = mem_new(PRESET_CONNECTOR_COUNT * sizeof *reader->made);
    for (size_t i = 0; reader->preset && i < PRESET_CONNECTOR_COUNT; i++) {
        const struct preset_connector *connector = &preset_connectors[i];
        bool is_internal = strcmp(connector->usage, "internal") == 0;
        struct config_item *block;

        if (strcmp(connector->preset, reader->preset) != 0 ||
            is_there(reader->settings, connector->name) ||
            (is_internal && !reader->settings->node_count)) /* nobody could come in */
            continue;
        block = make_block(connector->name, preset_item(root)->where);
        reader->made[reader->made_count++] = block;
        read_receive_connector(reader, NULL, block, reader->settings);
    }
}

void preset_done(struct reader *reader)
{
    for (size_t i = 0; i < reader->made_count; i++) {
        free(reader->made[i]->name);
        free(reader->made[i]->title);
        free(reader->made[i]);
    }
    free(reader->made);
}
