/* get-send-connector and get-accepted-domain: as they are in force.  No password is told. */
#include "daemon/control_connector.h"

#include "policy/names.h"
#include "policy/send_tls.h"

#include <stdio.h>

static void add_spaces(struct ctl_object *row, const struct send_connector *connector)
{
    char text[320];

    for (size_t i = 0; i < connector->space_count; i++) {
        const struct address_space *space = &connector->spaces[i];
        snprintf(text, sizeof text, "%.255s:%u", space->pattern, space->cost);
        ctl_add_text(row, "address_spaces", bytes_text(text));
    }
}

static void add_hosts(struct ctl_object *row, const struct send_connector *connector)
{
    for (size_t i = 0; i < connector->host_count; i++) {
        const struct smart_host *host = &connector->hosts[i];
        struct ctl_object *one = ctl_new();

        ctl_set_text(one, "host", bytes_text(host->host));
        if (!host->is_unix && host->port)
            ctl_set_number(one, "port", host->port);
        ctl_set_bool(one, "uses_mx", host->uses_mx);
        ctl_set_number(one, "priority", host->priority);
        ctl_set_number(one, "weight", host->weight);
        ctl_add_object(row, "hosts", &one);
    }
}

static void add_scope(struct ctl_object *row, const struct send_connector *connector)
{
    row_patterns(row, "senders", &connector->senders);
    for (size_t i = 0; i < connector->came_by.count; i++)
        ctl_add_text(row, "receive_connectors", bytes_text(connector->came_by.list[i]));
    for (size_t i = 0; i < connector->source_nodes.count; i++)
        ctl_add_text(row, "source_nodes", bytes_text(connector->source_nodes.list[i]));
}

static void add_security(struct ctl_object *row, const struct send_connector *connector)
{
    char certificate[CERTIFICATE_TEXT_BYTES];

    row_text(row, "tls", send_tls_name(connector->tls));
    for (size_t i = 0; i < connector->tls_policy_count; i++) {
        const struct tls_policy *policy = &connector->tls_policies[i];
        char text[320];
        snprintf(text, sizeof text, "%.255s: %s", policy->pattern, send_tls_name(policy->tls));
        ctl_add_text(row, "tls_policy", bytes_text(text));
    }
    ctl_set_bool(row, "implicit_tls", connector->is_implicit_tls);
    row_text(row, "tls_min", tls_version_text(connector->tls_version_min));
    row_text(row, "ca_file", connector->ca_file);
    for (size_t i = 0; i < connector->tls_fingerprint_count; i++)
        ctl_add_text(row, "tls_fingerprints", bytes_text(connector->tls_fingerprints[i]));
    certificate_choice_format(&connector->certificate, certificate);
    row_text(row, "certificate", certificate[0] ? certificate : NULL);
    row_text(row, "user", connector->user);
}

static void add_limits(struct ctl_object *row, const struct send_connector *connector)
{
    ctl_set_number(row, "connections", connector->connections_max);
    ctl_set_number(row, "messages_per_connection", connector->messages_per_connection);
    ctl_set_number(row, "messages_per_minute", connector->messages_per_minute_max);
    ctl_set_number(row, "recipients_per_message", connector->recipients_per_message);
    ctl_set_number(row, "size_max", (int64_t)connector->size_bytes_max);
    ctl_set_bool(row, "failover", connector->failover);
    ctl_set_bool(row, "chunking", connector->uses_chunking);
    ctl_set_bool(row, "pipelining", connector->uses_pipelining);
    row_time(row, "connect_timeout", connector->connect_ms);
    row_time(row, "greeting_timeout", connector->greeting_ms);
    row_time(row, "command_timeout", connector->command_ms);
    row_time(row, "data_timeout", connector->data_ms);
    row_time(row, "end_timeout", connector->end_ms);
    row_time(row, "idle_timeout", connector->idle_ms);
    row_time(row, "message_retry", connector->message_retry_ms);
    for (size_t i = 0; i < connector->retry_count; i++) {
        char text[32];
        duration_format(connector->retry_ms[i], text);
        ctl_add_text(row, "retry", bytes_text(text));
    }
}

static size_t send_count(const struct settings *settings)
{
    return settings->send_count;
}

static const char *send_name(const struct settings *settings, size_t i)
{
    return settings->send[i].name;
}

static struct ctl_object *send_row(const struct settings *settings, size_t i)
{
    const struct send_connector *connector = &settings->send[i];
    struct ctl_object *row = ctl_new();
    char source[IP_TEXT_BYTES];

    row_text(row, "name", connector->name);
    ctl_set_bool(row, "enabled", connector->enabled);
    row_text(row, "comment", connector->comment);
    add_spaces(row, connector);
    row_text(row, "delivery", delivery_kind_name(connector->delivery));
    add_hosts(row, connector);
    row_text(row, "maildir", connector->maildir);
    add_scope(row, connector);
    row_text(row, "fqdn", connector->fqdn ? connector->fqdn : settings->fqdn);
    if (connector->has_source_ip) {
        ip_format(connector->source_ip, source);
        row_text(row, "source_address", source);
    }
    add_security(row, connector);
    add_limits(row, connector);
    ctl_set_bool(row, "protocol_log", connector->logs_protocol);
    row_source(row, settings, &connector->source);
    return row;
}

void command_get_send(struct client *client, const struct ctl_object *request)
{
    static const struct row_kind kind = { "send connector", send_count, send_name, send_row };

    rows_answer(client, request, &kind);
}

static size_t domain_count(const struct settings *settings)
{
    return settings->domain_count;
}

static const char *domain_name(const struct settings *settings, size_t i)
{
    return settings->domains[i].pattern;
}

static struct ctl_object *domain_row(const struct settings *settings, size_t i)
{
    const struct accepted_domain *domain = &settings->domains[i];
    struct ctl_object *row = ctl_new();

    row_text(row, "name", domain->pattern);
    row_text(row, "type", domain_type_name(domain->type));
    ctl_set_bool(row, "default", domain->is_default);
    row_text(row, "recipients", domain->recipient_file);
    row_text(row, "catch_all", domain->catch_all);
    row_source(row, settings, &domain->source);
    return row;
}

void command_get_domain(struct client *client, const struct ctl_object *request)
{
    static const struct row_kind kind = { "accepted domain", domain_count, domain_name,
        domain_row };

    rows_answer(client, request, &kind);
}
