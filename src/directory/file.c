#include "directory/option.h"

#include "base/buf.h"
#include "base/mem.h"
#include "mail/address.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { SECOND = 1000, MINUTE = 60 * SECOND, DAY = 24 * 60 * MINUTE };
enum { HOST_NAME_BYTES = 256, CONFIG_BYTES_MAX = 32 * 1024 * 1024 };

#define AT(member) offsetof(struct settings, member)

static void read_servers(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    struct settings *settings = into;
    struct ip ip;

    (void)option;
    settings->dns_servers = mem_grow(settings->dns_servers,
        (settings->dns_server_count + item->value_count + 1) * sizeof *settings->dns_servers);
    for (size_t i = 0; i < item->value_count; i++) {
        const char *text = item->values[i].text;
        struct bytes address = bytes_first(bytes_text(text), strcspn(text, "@"));
        const char *at = strchr(text, '@');
        uint64_t port = 53;

        if (ip_parse(address, &ip) &&
            (!at || bytes_to_number(bytes_text(at + 1), UINT16_MAX, &port)) && port)
            settings->dns_servers[settings->dns_server_count++] = mem_text(text);
        else
            complaint_hint(complain(reader->complaints, value_line(item, i),
                               "'%.100s' is no DNS server", text),
                "an address, with a port behind @ if need be: \"127.0.0.1@5353\"");
    }
}

static const struct option spool_options[] = {
    { "folder", CONFIG_VALUE, read_path, AT(spool_folder) },
    { "size", CONFIG_VALUE, read_size, AT(spool_bytes_max), 0, 1LL << 50 },
    { "segment_size", CONFIG_VALUE, read_size, AT(spool_segment_bytes), 1 << 20, 1LL << 30 },
    { "free_space", CONFIG_VALUE, read_size, AT(spool_free_bytes_min), 0, 1LL << 50 },
    { "memory", CONFIG_VALUE, read_size, AT(spool_memory_bytes_max), 1 << 20, 1LL << 40 },
    { NULL },
};

/* A number, or "never". */
static void read_threshold(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    if (strcmp(item->values[0].text, "never") == 0)
        *(uint32_t *)((char *)into + option->at) = 0;
    else
        read_number(reader, option, item, into);
}

static const struct option queue_options[] = {
    { "expiry", CONFIG_VALUE, read_duration, AT(expiry_ms), SECOND, 90LL * DAY },
    { "delay_notice", CONFIG_VALUE, read_duration, AT(delay_notice_ms), 0, 90LL * DAY },
    { "poison_threshold", CONFIG_VALUE, read_threshold, AT(poison_threshold), 0, 255 },
    { NULL },
};

static const struct option dsn_options[] = {
    { "full_size", CONFIG_VALUE, read_size, AT(dsn_full_bytes_max), 0, 64LL << 20 },
    { NULL },
};

static const struct option dns_options[] = {
    { "servers", CONFIG_LIST, read_servers },
    { "timeout", CONFIG_VALUE, read_duration, AT(dns_timeout_ms), 100, 5 * MINUTE },
    { "trust_anchor", CONFIG_VALUE, read_file, AT(dns_trust_anchor) },
    { NULL },
};

static const struct choice log_targets[] = {
    { "stderr", LOG_STDERR },
    { "file", LOG_FILE },
    { "syslog", LOG_SYSLOG },
    { NULL, 0 },
};

/* "off" is no file: no such log at all. */
static void read_log_file(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    char **file = (char **)((char *)into + option->at);

    if (strcmp(item->values[0].text, "off") != 0) {
        read_path(reader, option, item, into);
        return;
    }
    free(*file);
    *file = NULL;
}

static const struct option log_options[] = {
    { "target", CONFIG_VALUE, read_choice, AT(log_target), .choices = log_targets },
    { "file", CONFIG_VALUE, read_path, AT(log_file) },
    { "json", CONFIG_VALUE, read_flag, AT(logs_json) },
    { "protocol_file", CONFIG_VALUE, read_log_file, AT(protocol_log_file) },
    { "tracking_file", CONFIG_VALUE, read_log_file, AT(tracking_log_file) },
    { "connectivity_file", CONFIG_VALUE, read_log_file, AT(connectivity_log_file) },
    { "log_subjects", CONFIG_VALUE, read_flag, AT(logs_subjects) },
    { "size_max", CONFIG_VALUE, read_size, AT(log_bytes_max), 64 * 1024, 1LL << 40 },
    { "files", CONFIG_VALUE, read_number, AT(log_files_max), 1, 10000 },
    { NULL },
};

static const struct option limit_options[] = {
    { "connections", CONFIG_VALUE, read_number, AT(connections_max), 1, 1000000 },
    { "deliveries", CONFIG_VALUE, read_number, AT(deliveries_max), 1, 100000 },
    { "loops", CONFIG_VALUE, read_number, AT(loop_count), 0, 1024 },
    { "ipv6_prefix", CONFIG_VALUE, read_number, AT(ipv6_prefix), 1, 128 },
    { NULL },
};

static const struct option cluster_options[] = {
    { "key", CONFIG_VALUE, read_path, AT(cluster_key_file) },
    { "certificate", CONFIG_VALUE, read_path, AT(cluster_certificate_file) },
    { "site", CONFIG_VALUE, read_text, AT(site) },
    { NULL },
};

static const struct section {
    const char *name;
    const struct option *options;
} sections[] = {
    { "spool", spool_options },
    { "queue", queue_options },
    { "dsn", dsn_options },
    { "dns", dns_options },
    { "log", log_options },
    { "limits", limit_options },
    { "cluster", cluster_options },
};

/* A block that there is one of: its options are the settings' own. */
static void read_section(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    if (item->title)
        complaint_hint(complain(reader->complaints, item->where, "'%s' has no name of its own",
                           item->name),
            "write %s { ... }", item->name);
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
        if (strcmp(sections[i].name, option->name) == 0)
            options_read(reader, sections[i].options, item, into);
    }
}

/* A file of /etc/pam.d, not a path. */
static void read_pam_service(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    if (strchr(item->values[0].text, '/'))
        complaint_hint(complain(reader->complaints, value_line(item, 0),
                           "'%s' is a name, not '%.100s'", option->name, item->values[0].text),
            "pam_service = \"relais\" goes by /etc/pam.d/relais");
    else
        read_text(reader, option, item, into);
}

/* As the keytab has it, with "@" for "/" as GSSAPI writes it. */
static void read_kerberos_service(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    const char *text = item->values[0].text, *at = strchr(text, '@');

    if (at && at > text && domain_is_name(bytes_text(at + 1)))
        read_text(reader, option, item, into);
    else
        complaint_hint(complain(reader->complaints, value_line(item, 0),
                           "'%s' cannot be '%.100s'", option->name, text),
            "\"smtp@mail.example.com\" for the keytab's smtp/mail.example.com");
}

static const struct option options[] = {
    { "fqdn", CONFIG_VALUE, read_host_name, AT(fqdn) },
    { "node", CONFIG_VALUE, read_host_name, AT(node) },
    { "control_socket", CONFIG_VALUE, read_path, AT(control_socket) },
    { "state_folder", CONFIG_VALUE, read_path, AT(state_folder) },
    { "certificate_folder", CONFIG_VALUE, read_path, AT(certificate_folder) },
    { "account_file", CONFIG_VALUE, read_path, AT(account_file) },
    { "pam_service", CONFIG_VALUE, read_pam_service, AT(pam_service) },
    { "kerberos_keytab", CONFIG_VALUE, read_path, AT(kerberos_keytab) },
    { "kerberos_service", CONFIG_VALUE, read_kerberos_service, AT(kerberos_service) },
    { "kerberos_realm", CONFIG_VALUE, read_text, AT(kerberos_realm) },
    { "addresses_per_account", CONFIG_VALUE, read_number, AT(addresses_per_account_max), 0,
        100000 },
    { "spool", CONFIG_BLOCK, read_section },
    { "queue", CONFIG_BLOCK, read_section },
    { "dsn", CONFIG_BLOCK, read_section },
    { "dns", CONFIG_BLOCK, read_section },
    { "log", CONFIG_BLOCK, read_section },
    { "limits", CONFIG_BLOCK, read_section },
    { "cluster", CONFIG_BLOCK, read_section },
    { "cluster_node", CONFIG_BLOCK, read_cluster_node, .may_repeat = true },
    { "transport", CONFIG_BLOCK, read_transport, AT(transport) },
    { "preset", CONFIG_VALUE, read_nothing },
    { "address_list", CONFIG_BLOCK, read_nothing, .may_repeat = true },
    { "receive_connector", CONFIG_BLOCK, read_receive_connector, .may_repeat = true },
    { "listener", CONFIG_BLOCK, read_listener, .may_repeat = true },
    { "permission_group", CONFIG_BLOCK, read_permission_group, .may_repeat = true },
    { "accepted_domain", CONFIG_BLOCK, read_accepted_domain, .may_repeat = true },
    { "alias_files", CONFIG_LIST, read_alias_files },
    { "rewrite_sender", CONFIG_BLOCK, read_sender_rewrite, .may_repeat = true },
    { "send_connector", CONFIG_BLOCK, read_send_connector, .may_repeat = true },
    { NULL },
};

/* PR-1: the connector of an empty file is there only when the file has none. */
static void drop_default_connector(struct settings *settings)
{
    for (size_t i = 0; i < settings->receive_count; i++)
        receive_connector_done(&settings->receive[i]);
    settings->receive_count = 0;
}

/* The node's name follows the fqdn unless it was given. */
static void name_node(struct settings *settings, const struct config_item *root)
{
    if (config_find(root, "node"))
        return;
    free(settings->node);
    settings->node = mem_text(settings->fqdn);
    settings->node[strcspn(settings->node, ".")] = '\0';
}

/* Each log has lines of its own shape, is rotated by its own size and read by its own reader.  A
 * device (/dev/stdout) may have them all. */
static void check_log_files(struct reader *reader, const struct config_item *log)
{
    const struct settings *settings = reader->settings;
    const struct {
        const char *option, *path;
    } files[] = {
        { "file", settings->log_target == LOG_FILE ? settings->log_file : NULL },
        { "protocol_file", settings->protocol_log_file },
        { "tracking_file", settings->tracking_log_file },
        { "connectivity_file", settings->connectivity_log_file },
    };

    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        const struct config_item *item = config_find(log, files[i].option);
        for (size_t j = 0; j < i && files[i].path; j++) {
            if (!files[j].path || strcmp(files[i].path, files[j].path) != 0 ||
                strncmp(files[i].path, "/dev/", 5) == 0)
                continue;
            complaint_hint(complain(reader->complaints, item ? item->where : log->where,
                               "two logs are to be in one file: %s and %s are both '%s'",
                               files[j].option, files[i].option, files[i].path),
                "give each a file of its own, or \"off\"");
            return;
        }
    }
}

static void check_log(struct reader *reader, const struct config_item *root)
{
    const struct config_item *log = config_find(root, "log");

    if (log)
        check_log_files(reader, log);
    if (reader->settings->log_target == LOG_FILE && !reader->settings->log_file)
        complaint_hint(complain(reader->complaints, config_find(root, "log")->where,
                           "the log goes to a file, but to which?"),
            "file = \"/var/log/relais/relais.log\"");
}

/* A spool that is elsewhere has its state beside it, so that two nodes on one machine, each with
 * a spool of its own, do not share a key. */
static void find_state_folder(struct settings *settings, const struct config_item *root)
{
    const struct config_item *spool = config_find(root, "spool");
    size_t n = strlen(settings->spool_folder);

    if (config_find(root, "state_folder") || !spool || !config_find(spool, "folder"))
        return;
    if (strcmp(settings->spool_folder, "/var/spool/relais") == 0)
        return;
    while (n > 1 && settings->spool_folder[n - 1] == '/')
        n--;
    while (n > 1 && settings->spool_folder[n - 1] != '/')
        n--;
    while (n > 1 && settings->spool_folder[n - 1] == '/')
        n--;
    free(settings->state_folder);
    settings->state_folder = bytes_to_text(bytes_of(settings->spool_folder, n));
}

static void name_state_file(const struct settings *settings, const char *name,
    const char *option, const struct config_item *cluster, char **file)
{
    size_t n = strlen(settings->state_folder) + strlen(name) + 2;

    if (cluster && config_find(cluster, option))
        return;
    free(*file);
    *file = mem_new(n);
    snprintf(*file, n, "%s/%s", settings->state_folder, name);
}

static const struct option change_options[] = {
    { "transport", CONFIG_BLOCK, read_transport, AT(transport) },
    { NULL },
};

/* transport.conf, whose values win. */
static void read_transport_file(struct reader *reader, struct directory_change *change)
{
    char *file = directory_transport_file(reader->settings);
    struct source_line where = { file, 0 };
    struct buf text;
    enum err err;

    buf_init(&text, CONFIG_BYTES_MAX);
    err = config_load_changed(file, change, &text);
    if (err == OK) {
        config_parse(buf_bytes(&text), file, change, &reader->changed, reader->complaints);
        options_read(reader, change_options, &reader->changed.root, reader->settings);
        reader->transport_changed = config_find(&reader->changed.root, "transport");
    } else if (err == ERR_DENIED) { /* the tool, for an ordinary user */
        complain_warning(reader->complaints, where,
            "what was set at run time cannot be read: %s", err_text(err));
    } else if (err != ERR_NONE) {
        complain(reader->complaints, where, "it cannot be read: %s", err_text(err));
    }
    buf_done(&text);
    free(file);
}

static void read_state(
    struct reader *reader, const struct config_item *root, struct directory_change *change)
{
    struct settings *settings = reader->settings;
    const struct config_item *cluster = config_find(root, "cluster");

    find_state_folder(settings, root);
    keep_start(reader, root);
    name_state_file(settings, "node.key", "key", cluster, &settings->cluster_key_file);
    name_state_file(
        settings, "node.pem", "certificate", cluster, &settings->cluster_certificate_file);
    name_state_file(settings, "accounts", "account_file", root, &settings->account_file);
    read_accounts(reader);
    reader->transport = config_find(root, "transport");
    read_transport_file(reader, change);
}

static void read_settings(
    struct reader *reader, const struct config_item *root, struct directory_change *change)
{
    preset_begin(reader, root);
    if (config_find(root, "receive_connector") || reader->preset)
        drop_default_connector(reader->settings);
    read_address_lists(reader, root);
    options_read(reader, options, root, reader->settings);
    preset_end(reader, root);
    read_state(reader, root, change);
    name_node(reader->settings, root);
    check_log(reader, root);
    if (!config_find(root, "receive_connector") && !reader->preset)
        reader->settings->receive[0].source = root->where;
    check_settings(reader, root);
}

static struct settings *settings_of_this_machine(void)
{
    char name[HOST_NAME_BYTES] = "";

    if (gethostname(name, sizeof name - 1) != 0 || !domain_is_name(bytes_text(name)))
        return settings_new("localhost");
    return settings_new(name);
}

static enum err read_all(const struct directory_query *query, struct bytes text,
    struct settings **out, struct complaints *complaints)
{
    static uint64_t revision; /* main loop's thread alone */
    size_t errors_before = complaints->error_count;
    struct config config;
    struct reader reader = { .complaints = complaints,
        .settings = settings_of_this_machine(),
        .may_lack_key = query->may_lack_key,
        .change = query->change,
        .start = query->start,
        .skips_accounts = query->skips_accounts,
        .needs_accounts = query->needs_accounts };

    reader.config = &config;
    config_parse(text, query->file, query->change, &config, complaints);
    reader.is_whole = complaints->error_count == errors_before;
    read_settings(&reader, &config.root, query->change);
    if (query->partial)
        query->partial->unsure = places_unsure(&config, text, reader.is_whole, complaints);
    complaints_sort(complaints);
    /* Lines of connectors go on pointing to the names of files. */
    reader.settings->source_files = config.files;
    reader.settings->source_file_count = config.file_count;
    config.files = NULL;
    config.file_count = 0;
    config_done(&config);
    config_done(&reader.changed);
    preset_done(&reader);
    free(reader.receive_items);
    free(reader.alias_sources);
    if (complaints->error_count != errors_before) {
        if (query->partial)
            query->partial->settings = reader.settings;
        else
            settings_free(reader.settings);
        return ERR_SYNTAX;
    }
    settings_index(reader.settings);
    reader.settings->file = mem_text(query->file);
    reader.settings->revision = ++revision;
    *out = reader.settings;
    return OK;
}

enum err directory_read_text(
    struct bytes text, const char *name, struct settings **out, struct complaints *complaints)
{
    return read_all(&(struct directory_query){ .file = name }, text, out, complaints);
}

enum err directory_read(
    const struct directory_query *query, struct settings **out, struct complaints *complaints)
{
    struct buf text;
    enum err err;

    buf_init(&text, CONFIG_BYTES_MAX);
    err = config_load_changed(query->file, query->change, &text);
    if (err == OK)
        err = read_all(query, buf_bytes(&text), out, complaints);
    buf_release(&text);
    return err;
}

enum err directory_read_file(
    const char *file, struct settings **out, struct complaints *complaints)
{
    return directory_read(&(struct directory_query){ .file = file }, out, complaints);
}
