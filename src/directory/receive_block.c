/* receive_connector "Name" { ... } */
#include "directory/option.h"
#include "directory/tls_options.h"

#include "base/mem.h"
#include "policy/client.h"
#include "policy/receive.h"
#include "policy/wide.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

enum { SECOND = 1000, MINUTE = 60 * SECOND, DAY = 24 * 60 * MINUTE };
enum { UNIX_PATH_BYTES_MAX = 107 }; /* sun_path, with its zero byte */

static const struct choice tls_modes[] = {
    { "off", TLS_MODE_OFF },
    { "offered", TLS_MODE_OFFERED },
    { "required", TLS_MODE_REQUIRED },
    { "implicit", TLS_MODE_IMPLICIT },
    { NULL, 0 },
};

static const struct choice roles[] = { { "clients", 0 }, { "internal", 1 }, { NULL, 0 } };

static const struct choice shadow_failures[] = {
    { "accept", SHADOW_FAILURE_ACCEPT },
    { "reject", SHADOW_FAILURE_REJECT },
    { "delay", SHADOW_FAILURE_DELAY },
    { NULL, 0 },
};

static const struct choice tolerances[] = {
    { "bare-lf", TOLERATE_BARE_LF },
    { "path-spaces", TOLERATE_PATH_SPACES },
    { "no-brackets", TOLERATE_NO_BRACKETS },
    { "bad-helo", TOLERATE_BAD_HELO },
    { "no-helo", TOLERATE_NO_HELO },
    { NULL, 0 },
};

/* As limit_name() has them. */
static const struct choice limits[] = {
    { "connections", LIMIT_CONNECTIONS },
    { "connections-per-source", LIMIT_CONNECTIONS_PER_SOURCE },
    { "source-share", LIMIT_SOURCE_SHARE },
    { "message-rate", LIMIT_MESSAGE_RATE },
    { "recipients", LIMIT_RECIPIENTS },
    { "size", LIMIT_MESSAGE_SIZE },
    { "header-size", LIMIT_HEADER_SIZE },
    { "hops", LIMIT_HOPS },
    { "local-hops", LIMIT_LOCAL_HOPS },
    { "errors", LIMIT_ERRORS },
    { "logins", LIMIT_LOGINS },
    { "messages", LIMIT_MESSAGES },
    { NULL, 0 },
};

static bool parse_unix_binding(const char *path, struct binding *out)
{
    if (path[0] != '/' || strlen(path) > UNIX_PATH_BYTES_MAX)
        return false;
    *out = (struct binding){ .is_unix = true, .path = mem_text(path) };
    return true;
}

void binding_done(struct binding *binding)
{
    free(binding->path);
}

bool binding_parse(const char *text, struct binding *out)
{
    struct binding binding = { 0 };
    const char *colon = strrchr(text, ':');
    struct bytes host;
    uint64_t port;

    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix_binding(text + 5, out);
    if (!colon || !bytes_to_number(bytes_text(colon + 1), UINT16_MAX, &port) || port == 0)
        return false;
    binding.port = (uint16_t)port;
    host = bytes_of(text, (size_t)(colon - text));
    if (bytes_equal(host, BYTES("*"))) {
        binding.is_any = true;
    } else if (host.n > 2 && host.at[0] == '[' && host.at[host.n - 1] == ']') {
        if (!ip_parse(bytes_of(host.at + 1, host.n - 2), &binding.ip))
            return false;
    } else if (bytes_find(host, ':') != BYTES_NOT_FOUND || !ip_parse(host, &binding.ip)) {
        return false; /* IPv6 without brackets: which colon begins the port? */
    }
    *out = binding;
    return true;
}

static void read_bindings(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    struct receive_connector *connector = into;
    struct binding binding;

    (void)option;
    connector->bindings = mem_grow(connector->bindings,
        (connector->binding_count + item->value_count + 1) * sizeof *connector->bindings);
    for (size_t i = 0; i < item->value_count; i++) {
        if (binding_parse(item->values[i].text, &binding))
            connector->bindings[connector->binding_count++] = binding;
        else
            complaint_hint(complain(reader->complaints, value_line(item, i),
                               "'%.120s' is no binding", item->values[i].text),
                "an address and a port: \"127.0.0.1:25\", \"[::1]:25\", \"*:25\"; or "
                "\"unix:/run/relais/smtp\"");
    }
}

/* The rest of a "%{name}" that is known; NULL: it is not. */
static const char *skip_placeholder(const char *at)
{
    static const char *const known[] = { "%{connector}", "%{fqdn}", "%{node}" };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strncmp(at, known[i], strlen(known[i])) == 0)
            return at + strlen(known[i]);
    }
    return NULL;
}

/* RC-6 says that it begins with 220; the session adds that, so it is dropped here. */
static void read_banner(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    struct receive_connector *connector = into;
    const char *at;

    read_text(reader, option, item, into);
    if (!connector->banner)
        return;
    if (strncmp(connector->banner, "220 ", 4) == 0)
        memmove(connector->banner, connector->banner + 4, strlen(connector->banner + 4) + 1);
    for (at = strstr(connector->banner, "%{"); at; at = strstr(at, "%{")) {
        at = skip_placeholder(at);
        if (at)
            continue;
        complaint_hint(complain(reader->complaints, value_line(item, 0),
                           "'banner' has a placeholder that does not exist"),
            "%%{connector}, %%{fqdn} and %%{node} do");
        return;
    }
}

static void read_role(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    const struct choice *choice = choice_find(roles, item->values[0].text);

    if (choice)
        ((struct receive_connector *)into)->is_internal = choice->value;
    else
        complain_of_choice(
            reader, value_line(item, 0), option->name, item->values[0].text, roles);
}

/* The guard looks at it by itself; here it is only checked. */
static void read_meaning_it(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    bool meant = false;

    (void)into;
    read_flag(reader, option, item, &meant);
}

/* high, normal, low, or a level as MT-PRIORITY counts them (RFC 6710). */
static void read_priority(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    static const struct {
        const char *word;
        int8_t level;
    } words[] = { { "low", -4 }, { "normal", 0 }, { "high", 4 } };
    const char *text = item->values[0].text;
    bool is_negative = text[0] == '-';
    uint64_t level;

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(text, words[i].word) == 0) {
            ((struct receive_connector *)into)->priority = words[i].level;
            return;
        }
    }
    if (bytes_to_number(bytes_text(text + is_negative), 9, &level))
        ((struct receive_connector *)into)->priority =
            (int8_t)(is_negative ? -(int)level : (int)level);
    else
        complaint_hint(complain(reader->complaints, value_line(item, 0),
                           "'%s' cannot be '%.60s'", option->name, text),
            "low, normal, high, or a number from -9 to 9");
}

#define AT(member) offsetof(struct receive_connector, member)

static const struct option options[] = {
    { "enabled", CONFIG_VALUE, read_flag, AT(enabled) },
    { "comment", CONFIG_VALUE, read_text, AT(comment) },
    { "usage", CONFIG_VALUE, read_usage },
    { "role", CONFIG_VALUE, read_role },
    { "bindings", CONFIG_LIST, read_bindings },
    { "remote_ranges", CONFIG_LIST, read_remote_ranges },
    { "fqdn", CONFIG_VALUE, read_host_name, AT(fqdn) },
    { "banner", CONFIG_VALUE, read_banner, AT(banner) },
    { "permission_groups", CONFIG_LIST, read_groups },
    { "allow", CONFIG_LIST, read_rights, AT(allow) },
    { "allow_senders", CONFIG_LIST, read_patterns, AT(senders_allowed) },
    { "refuse_senders", CONFIG_LIST, read_patterns, AT(senders_refused) },
    { "allow_recipients", CONFIG_LIST, read_patterns, AT(recipients_allowed) },
    { "refuse_recipients", CONFIG_LIST, read_patterns, AT(recipients_refused) },
    { "open_relay_i_mean_it", CONFIG_VALUE, read_meaning_it },
    { "auth", CONFIG_LIST, read_flags, AT(mechanisms), .choices = auth_mechanisms },
    { "auth_without_tls", CONFIG_VALUE, read_flag, AT(auth_without_tls) },
    { "require_auth", CONFIG_VALUE, read_flag, AT(requires_auth) },
    { "tls", CONFIG_VALUE, read_choice, AT(tls), .choices = tls_modes },
    { "certificate", CONFIG_LIST, read_certificates },
    { "key", CONFIG_LIST, read_keys },
    { "client_certificate", CONFIG_VALUE, read_client_certificate },
    { "client_ca", CONFIG_VALUE, read_file, AT(client_ca_file) },
    { "client_fingerprints", CONFIG_LIST, read_client_fingerprints },
    { "tls_min", CONFIG_VALUE, read_tls_version, AT(tls_version_min) },
    { "protocol_log", CONFIG_VALUE, read_flag, AT(logs_protocol) },
    { "add_missing_headers", CONFIG_VALUE, read_flag, AT(adds_missing_headers) },
    { "tolerate", CONFIG_LIST, read_flags, AT(tolerances), .choices = tolerances },
    { "size_max", CONFIG_VALUE, read_size, AT(size_bytes_max), 64 * 1024, 2LL << 30 },
    { "header_size_max", CONFIG_VALUE, read_size, AT(header_bytes_max), 4096, 64LL << 20 },
    { "recipients_max", CONFIG_VALUE, read_number, AT(recipients_max), 1, 100000 },
    { "messages_max", CONFIG_VALUE, read_number, AT(messages_per_session_max), 0, 1000000000 },
    { "priority", CONFIG_VALUE, read_priority, AT(priority) },
    { "trust_priority", CONFIG_VALUE, read_flag, AT(trusts_priority) },
    { "errors_max", CONFIG_VALUE, read_number, AT(errors_max), 1, 1000 },
    { "hops_max", CONFIG_VALUE, read_number, AT(hops_max), 1, 1000 },
    { "local_hops_max", CONFIG_VALUE, read_number, AT(local_hops_max), 1, 1000 },
    { "logins_max", CONFIG_VALUE, read_number, AT(logins_max), 1, 1000 },
    { "messages_per_minute", CONFIG_VALUE, read_number, AT(messages_per_minute_max), 0,
        100000000 },
    { "connections_max", CONFIG_VALUE, read_number, AT(connections_max), 1, 1000000 },
    { "connections_per_source", CONFIG_VALUE, read_number, AT(connections_per_source_max), 1,
        1000000 },
    { "source_share_percent", CONFIG_VALUE, read_number, AT(source_share_percent), 0, 100 },
    { "report_only", CONFIG_LIST, read_flags, AT(report_only), .choices = limits },
    { "idle_timeout", CONFIG_VALUE, read_duration, AT(idle_ms), SECOND, DAY },
    { "session_timeout", CONFIG_VALUE, read_duration, AT(session_ms), SECOND, DAY },
    { "tarpit", CONFIG_VALUE, read_duration, AT(tarpit_ms), 0, 10 * MINUTE },
    { "shadow_failure", CONFIG_VALUE, read_choice, AT(shadow_failure),
        .choices = shadow_failures },
    /* The client waits 10 minutes for the answer to its final dot: RFC 5321, 4.5.3.2.6. */
    { "max_acknowledgement_delay", CONFIG_VALUE, read_duration, AT(acknowledgement_delay_ms), 0,
        5 * MINUTE },
    { NULL },
};

bool open_relay_is_meant(const struct config_item *block)
{
    const struct config_item *meant = config_find(block, "open_relay_i_mean_it");
    bool value = false;

    return meant && meant->kind == CONFIG_VALUE && flag_parse(meant->values[0].text, &value) &&
           value;
}

static const char *way_out_of_open_relay(const struct receive_connector *connector)
{
    return connector->allow & RIGHT_ANY_RECIPIENT
               ? "narrow remote_ranges, drop any-recipient from allow, or write "
                 "open_relay_i_mean_it = true"
               : "narrow remote_ranges, drop external-secured from permission_groups, or "
                 "write open_relay_i_mean_it = true";
}

/* Some organisations do own so many addresses, so this is no mistake yet. */
static void warn_of_wide_relay(struct reader *reader, const struct receive_connector *connector,
    const struct config_item *item)
{
    char text[IP_RANGE_TEXT_BYTES];
    struct ip ip;

    for (size_t i = 0; i < connector->node_count; i++) {
        struct ip_range range = connector->nodes[i].range;
        if (!range_is_wide(range) || !range_find_public(range, &ip))
            continue;
        ip_range_format(range, text);
        complaint_hint(
            complain_warning(reader->complaints, item->where,
                "receive connector \"%s\" lets everybody in %s send to everybody: are all of "
                "these addresses yours?",
                connector->name, text),
            "%s", way_out_of_open_relay(connector));
        return;
    }
}

/* RC-9. */
static void guard_against_open_relay(struct reader *reader,
    const struct receive_connector *connector, const struct config_item *item)
{
    const struct client stranger = { .user = NULL };

    if (!(client_rights(reader->settings, connector, &stranger) & RIGHT_ANY_RECIPIENT) ||
        open_relay_is_meant(item))
        return;
    if (receive_is_for_everybody(connector))
        complaint_hint(
            complain(reader->complaints, item->where,
                "receive connector \"%s\" would be an open relay: everybody may send to "
                "everybody",
                connector->name),
            "%s", way_out_of_open_relay(connector));
    else
        warn_of_wide_relay(reader, connector, item);
}

static void complain_of_missing(struct reader *reader, const struct config_item *item,
    const char *option, const char *example)
{
    const struct config_item *there = config_find(item, option);

    if (there && (there->kind != CONFIG_LIST || there->value_count))
        return;
    complaint_hint(complain(reader->complaints, there ? there->where : item->where,
                       "%s \"%s\" has no %s", item->name, item->title, option),
        "%s = %s", option, example);
}

/* The other nodes are let in by their keys, and by nothing else; what clients may do and how
 * their TLS looks has no meaning there. */
static void make_internal(
    struct reader *reader, struct receive_connector *connector, const struct config_item *block)
{
    static const char *const known[] = { "enabled", "comment", "usage", "role", "bindings",
        "remote_ranges", "protocol_log", "connections_max", "connections_per_source" };
    enum { KNOWN_COUNT = sizeof known / sizeof *known };

    for (const struct config_item *item = block->first; item; item = item->next) {
        size_t i = 0;
        while (i < KNOWN_COUNT && strcmp(known[i], item->name) != 0)
            i++;
        if (i == KNOWN_COUNT &&
            option_find(options, item->name)) /* else it is unknown anyway */
            complaint_hint(complain(reader->complaints, item->where,
                               "an internal connector has no '%.60s'", item->name),
                "it is for the other nodes alone, which it knows by their keys");
    }
    for (size_t i = 0; i < connector->binding_count; i++) {
        if (connector->bindings[i].is_unix)
            complaint_hint(complain(reader->complaints, block->where,
                               "an internal connector cannot listen on a UNIX socket"),
                "the other nodes are other machines: \"*:2525\"");
    }
    connector->groups = GROUP_SERVERS;
    connector->allow = 0;
    connector->tls = TLS_MODE_OFF; /* the link has its own: os/tls.h, tls_node_context() */
    if (connector->range_count)
        return;
    connector->ranges = mem_grow(connector->ranges, sizeof *connector->ranges);
    connector->range_count = ip_range_parse(BYTES("*"), connector->ranges);
}

/* Logins that nobody could make. */
static void check_auth(struct reader *reader, const struct receive_connector *connector,
    const struct config_item *item)
{
    const struct config_item *auth = config_find(item, "auth"),
                             *required = config_find(item, "require_auth");
    /* A usage may have set them. */
    struct source_line auth_line = auth ? auth->where : item->where;

    if (connector->requires_auth && !connector->mechanisms && reader->is_whole)
        complaint_hint(complain(reader->complaints, required ? required->where : auth_line,
                           "AUTH is required, and not offered"),
            "auth = { plain, login }");
    if (connector->mechanisms && connector->tls == TLS_MODE_OFF && !connector->auth_without_tls)
        complaint_hint(complain_warning(
                           reader->complaints, auth_line, "AUTH is never offered: tls is off"),
            "tls = offered, or auth_without_tls = true: passwords can be read on the way then");
    if (connector->mechanisms & AUTH_EXTERNAL && !connector->client_ca_file &&
        connector->client_fingerprint_count == 0)
        complaint_hint(complain_warning(reader->complaints, auth_line,
                           "EXTERNAL is never offered: no client certificate is known"),
            "client_ca = \"/etc/relais/devices.pem\"");
}

static void check(struct reader *reader, const struct receive_connector *connector,
    const struct config_item *item)
{
    bool has_network = false;

    for (size_t i = 0; i < connector->binding_count; i++)
        has_network |= !connector->bindings[i].is_unix;
    if (reader->is_whole && !connector->binding_count)
        complain_of_missing(reader, item, "bindings", "{ \"*:25\" }");
    if (reader->is_whole && has_network && !connector->is_internal && !connector->range_count)
        complain_of_missing(reader, item, "remote_ranges", "{ \"192.0.2.0/24\" }");
    check_receive_tls(reader, connector, item);
    check_auth(reader, connector, item);
    guard_against_open_relay(reader, connector, item);
}

void read_receive_connector(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    struct settings *settings = into;
    struct receive_connector *connector;

    (void)option;
    if (!is_connector_name(reader, item))
        return;
    settings->receive =
        mem_grow(settings->receive, (settings->receive_count + 1) * sizeof *settings->receive);
    reader->receive_items = mem_grow(
        reader->receive_items, (settings->receive_count + 1) * sizeof *reader->receive_items);
    reader->receive_items[settings->receive_count] = item;
    reader->receive_item_count = settings->receive_count + 1;
    connector = &settings->receive[settings->receive_count++];
    receive_connector_init(connector, item->title);
    connector->source = item->where;
    usage_begin(reader, connector, item);
    options_read(reader, options, item, connector);
    usage_end(reader, connector, item);
    /* Who says how many an address may have says it all. */
    if (config_find(item, "connections_per_source") &&
        !config_find(item, "source_share_percent"))
        connector->source_share_percent = 0;
    if (connector->is_internal)
        make_internal(reader, connector, item);
    receive_index(connector);
    check(reader, connector, item);
    connector->has_tls_faults = tls_has_faults(reader, item);
}
