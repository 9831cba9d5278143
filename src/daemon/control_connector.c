/* get-receive-connector: the connectors as they are in force, with what each group of clients may
 * do there (PE-2). */
#include "daemon/control_connector.h"

#include "os/address.h"
#include "policy/balancer.h"
#include "policy/names.h"

#include <stdio.h>
#include <strings.h>
#include <sysexits.h>

enum { RANGES_SHOWN_MAX = 1000 };

/* --- Rows -------------------------------------------------------------------------------- */

void row_text(struct ctl_object *row, const char *name, const char *text)
{
    if (text)
        ctl_set_text(row, name, bytes_text(text));
}

void row_time(struct ctl_object *row, const char *name, int64_t ms)
{
    char text[32];

    duration_format(ms, text);
    ctl_set_text(row, name, bytes_text(text));
}

void row_patterns(
    struct ctl_object *row, const char *name, const struct address_patterns *patterns)
{
    for (size_t i = 0; i < patterns->count; i++)
        ctl_add_text(row, name, bytes_text(patterns->list[i]));
}

void row_source(
    struct ctl_object *row, const struct settings *settings, const struct source_line *source)
{
    char text[4200];

    if (!source->file || !settings->file) /* the connector of an empty file */
        return;
    snprintf(text, sizeof text, "%.4000s:%d", source->file, source->line);
    ctl_set_text(row, "source", bytes_text(text));
}

void rows_answer(
    struct client *client, const struct ctl_object *request, const struct row_kind *kind)
{
    const struct settings *settings = client->control->path->routed_by->settings;
    const char *wanted = ctl_text(request, "name");
    size_t shown = 0;

    for (size_t i = 0; i < kind->count(settings); i++) {
        struct ctl_object *row;
        if (wanted && strcasecmp(wanted, kind->name(settings, i)) != 0)
            continue;
        row = kind->row(settings, i);
        client_row(client, &row);
        shown++;
    }
    if (shown || !wanted)
        client_ok(client);
    else
        client_error(client, EX_NOINPUT, "there is no %s \"%.64s\"", kind->what, wanted);
}

/* --- A receive connector ----------------------------------------------------------------- */

static void add_bindings(struct ctl_object *row, const struct receive_connector *connector)
{
    for (size_t i = 0; i < connector->binding_count; i++) {
        char text[BINDING_TEXT_BYTES];

        binding_format(&connector->bindings[i], text);
        ctl_add_text(row, "bindings", bytes_text(text));
    }
}

/* "required on *:25 from 192.0.2.5", a range each. */
static void add_balancers(struct ctl_object *row, const struct settings *settings,
    const struct receive_connector *connector)
{
    char binding[BINDING_TEXT_BYTES], range[IP_RANGE_TEXT_BYTES],
        text[BINDING_TEXT_BYTES + IP_RANGE_TEXT_BYTES + 40];

    for (size_t i = 0; i < settings->listener_count; i++) {
        const struct listener_options *listener = &settings->listeners[i];
        if (!balancer_concerns(listener, connector))
            continue;
        binding_format(&listener->binding, binding);
        for (size_t k = 0; k < listener->balancer_count && k < RANGES_SHOWN_MAX; k++) {
            ip_range_format(listener->balancers[k], range);
            snprintf(text, sizeof text, "%s on %s from %s", proxy_mode_name(listener->proxy),
                binding, range);
            ctl_add_text(row, "proxy", bytes_text(text));
        }
    }
}

static void add_ranges(struct ctl_object *row, const struct receive_connector *connector)
{
    char text[IP_RANGE_TEXT_BYTES];

    for (size_t i = 0; i < connector->range_count && i < RANGES_SHOWN_MAX; i++) {
        ip_range_format(connector->ranges[i], text);
        ctl_add_text(row, "remote_ranges", bytes_text(text));
    }
    ctl_set_number(row, "remote_range_count", (int64_t)connector->range_count);
}

static void add_rights(struct ctl_object *row, const char *name, unsigned rights)
{
    for (unsigned i = 0; i < RIGHT_COUNT; i++) {
        if (rights >> i & 1)
            ctl_add_text(row, name, bytes_text(right_name((enum right)(1u << i))));
    }
}

/* What the members of one group may do here in all, and what of it they owe to `allow`. */
static void add_group(struct ctl_object *row, const char *name, unsigned rights, unsigned allow)
{
    struct ctl_object *group = ctl_new();

    ctl_add_text(row, "permission_groups", bytes_text(name));
    ctl_set_text(group, "group", bytes_text(name));
    add_rights(group, "rights", rights | allow);
    add_rights(group, "by_allow", allow & ~rights);
    ctl_add_object(row, "effective_rights", &group);
}

static void add_groups(struct ctl_object *row, const struct settings *settings,
    const struct receive_connector *connector)
{
    for (unsigned i = 0; i < GROUP_COUNT; i++) {
        enum permission_group group = (enum permission_group)(1u << i);
        if (connector->groups & group && group != GROUP_CUSTOM)
            add_group(row, group_name(group), group_rights(group), connector->allow);
    }
    for (size_t i = 0; i < connector->user_group_count; i++) {
        const struct user_group *group = &settings->user_groups[connector->user_groups[i]];
        add_group(row, group->name, group->rights, connector->allow);
    }
    add_rights(row, "allow", connector->allow);
    row_patterns(row, "allow_senders", &connector->senders_allowed);
    row_patterns(row, "refuse_senders", &connector->senders_refused);
    row_patterns(row, "allow_recipients", &connector->recipients_allowed);
    row_patterns(row, "refuse_recipients", &connector->recipients_refused);
}

static void add_security(struct ctl_object *row, const struct receive_connector *connector)
{
    row_text(row, "tls", tls_mode_name(connector->tls));
    row_text(row, "tls_min", tls_version_text(connector->tls_version_min));
    for (size_t i = 0; i < connector->certificate_count; i++) {
        char text[CERTIFICATE_TEXT_BYTES];
        certificate_choice_format(&connector->certificates[i].choice, text);
        ctl_add_text(row, "certificate", bytes_text(text));
    }
    row_text(row, "client_certificate",
        connector->requires_client_certificate ? "require"
        : connector->asks_client_certificate   ? "ask"
                                               : "no");
    row_text(row, "client_ca", connector->client_ca_file);
    for (size_t i = 0; i < connector->client_fingerprint_count; i++)
        ctl_add_text(row, "client_fingerprints", bytes_text(connector->client_fingerprints[i]));
    for (unsigned i = 0; i < AUTH_MECHANISM_COUNT; i++) {
        if (connector->mechanisms >> i & 1)
            ctl_add_text(
                row, "auth", bytes_text(auth_mechanism_name((enum auth_mechanism)(1u << i))));
    }
    ctl_set_bool(row, "require_auth", connector->requires_auth);
    ctl_set_bool(row, "auth_without_tls", connector->auth_without_tls);
}

static void add_limits(struct ctl_object *row, const struct receive_connector *connector)
{
    const struct {
        const char *name;
        int64_t number;
    } limits[] = {
        { "connections_max", connector->connections_max },
        { "connections_per_source", connector->connections_per_source_max },
        { "source_share_percent", connector->source_share_percent },
        { "messages_per_minute", connector->messages_per_minute_max },
        { "messages_max", connector->messages_per_session_max },
        { "recipients_max", connector->recipients_max },
        { "errors_max", connector->errors_max },
        { "logins_max", connector->logins_max },
        { "hops_max", connector->hops_max },
        { "local_hops_max", connector->local_hops_max },
        { "size_max", (int64_t)connector->size_bytes_max },
        { "header_size_max", (int64_t)connector->header_bytes_max },
    };

    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        ctl_set_number(row, limits[i].name, limits[i].number);
    row_time(row, "idle_timeout", connector->idle_ms);
    row_time(row, "session_timeout", connector->session_ms);
    row_time(row, "tarpit", connector->tarpit_ms);
    for (unsigned i = 0; i < LIMIT_COUNT; i++) {
        if (connector->report_only >> i & 1)
            ctl_add_text(row, "report_only", bytes_text(limit_name((enum limit)(1u << i))));
    }
    for (unsigned i = 0; i < TOLERANCE_COUNT; i++) {
        if (connector->tolerances >> i & 1)
            ctl_add_text(
                row, "tolerate", bytes_text(tolerance_name((enum tolerance)(1u << i))));
    }
}

static size_t receive_count(const struct settings *settings)
{
    return settings->receive_count;
}

static const char *receive_name(const struct settings *settings, size_t i)
{
    return settings->receive[i].name;
}

static struct ctl_object *receive_row(const struct settings *settings, size_t i)
{
    const struct receive_connector *connector = &settings->receive[i];
    struct ctl_object *row = ctl_new();

    row_text(row, "name", connector->name);
    ctl_set_bool(row, "enabled", connector->enabled);
    row_text(row, "comment", connector->comment);
    row_text(row, "role", connector->is_internal ? "internal" : "clients");
    add_bindings(row, connector);
    add_balancers(row, settings, connector);
    add_ranges(row, connector);
    row_text(row, "fqdn", connector->fqdn ? connector->fqdn : settings->fqdn);
    row_text(row, "banner", connector->banner);
    add_groups(row, settings, connector);
    add_security(row, connector);
    add_limits(row, connector);
    row_text(row, "shadow_failure", shadow_failure_name(connector->shadow_failure));
    row_time(row, "max_acknowledgement_delay", connector->acknowledgement_delay_ms);
    ctl_set_bool(row, "add_missing_headers", connector->adds_missing_headers);
    ctl_set_bool(row, "protocol_log", connector->logs_protocol);
    row_source(row, settings, &connector->source);
    return row;
}

void command_get_receive(struct client *client, const struct ctl_object *request)
{
    static const struct row_kind kind = { "receive connector", receive_count, receive_name,
        receive_row };

    rows_answer(client, request, &kind);
}
