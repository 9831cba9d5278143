#include "policy/settings.h"

#include "base/mem.h"
#include "policy/aliases.h"
#include "policy/domain_index.h"
#include "policy/pattern.h"
#include "policy/radix.h"
#include "policy/receive.h"
#include "policy/recipients.h"
#include "policy/route_index.h"

#include <assert.h>
#include <stdlib.h>

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR };
enum { KIB = 1024, MIB = 1024 * KIB };

/* TLS 1.2 in enum tls_version, which stands on a higher floor (os/tls.h). */
enum { TLS_VERSION_MIN = 2 };

/* SPEC PE-1 and PE-8. */
void receive_connector_init(struct receive_connector *connector, const char *name)
{
    *connector = (struct receive_connector){
        .name = mem_text(name),
        .enabled = true,
        .groups = GROUP_ANONYMOUS,
        .tls = TLS_MODE_OFFERED,
        .tls_version_min = TLS_VERSION_MIN,
        .logs_protocol = true,
        .connections_max = 5000,
        .connections_per_source_max = 20,
        .recipients_max = 200,
        .errors_max = 5,
        .hops_max = 60,
        .local_hops_max = 8,
        .logins_max = 3,
        .source_share_percent = 2,
        .size_bytes_max = 36 * MIB,
        .header_bytes_max = 256 * KIB,
        .idle_ms = 5 * MINUTE,
        .session_ms = 10 * MINUTE,
        .tarpit_ms = 5 * SECOND,
        .shadow_failure = SHADOW_FAILURE_ACCEPT,
        .acknowledgement_delay_ms = 30 * SECOND,
    };
}

/* SHADOW.md 6. */
void transport_settings_init(struct transport_settings *transport)
{
    *transport = (struct transport_settings){
        .shadow_is_enabled = true,
        .heartbeat_frequency_ms = 10 * SECOND,
        .heartbeat_timeout_ms = 10 * SECOND,
        .heartbeat_retry_count = 6,
        .auto_discard_ms = 2 * DAY,
        .retries_local = 2,
        .retries_remote = 4,
        .preference = SHADOW_PREFER_REMOTE,
        .fence_wait_ms = MINUTE,
        .audit_after_ms = HOUR,
        .unclaimed_hold_ms = 2 * DAY,
        .copy_timeout_ms = 5 * SECOND,
        .accept_timeout_ms = 20 * SECOND,
    };
}

/* QU-2: 4 x 1 min, 6 x 5 min, then every 10 min. */
static void plan_retries(struct send_connector *connector)
{
    enum { QUICK = 4, SLOW = 6, COUNT = QUICK + SLOW + 1 };
    int64_t *plan = mem_new(COUNT * sizeof *plan);

    for (size_t i = 0; i < COUNT; i++)
        plan[i] = i < QUICK ? MINUTE : i < QUICK + SLOW ? 5 * MINUTE : 10 * MINUTE;
    connector->retry_ms = plan;
    connector->retry_count = COUNT;
}

/* The times are those of RFC 5321, 4.5.3.2, except for the connect, which is ours to choose. */
void send_connector_init(struct send_connector *connector, const char *name)
{
    *connector = (struct send_connector){
        .name = mem_text(name),
        .enabled = true,
        .delivery = DELIVERY_SMART_HOSTS,
        .mx_port = 25,
        .tls = SEND_TLS_MAY,
        .tls_version_min = TLS_VERSION_MIN,
        .mechanisms = AUTH_PLAIN | AUTH_LOGIN | AUTH_SCRAM_SHA_256 | AUTH_SCRAM_SHA_256_PLUS,
        .connections_max = 4,
        .messages_per_connection = 1000,
        .recipients_per_message = 100,
        .uses_chunking = true,
        .uses_pipelining = true,
        .logs_protocol = true,
        .connect_ms = 30 * SECOND,
        .greeting_ms = 5 * MINUTE,
        .command_ms = 5 * MINUTE,
        .data_ms = 3 * MINUTE,
        .end_ms = 10 * MINUTE,
        .idle_ms = 5 * SECOND,
        .message_retry_ms = 5 * MINUTE,
    };
    plan_retries(connector);
}

static void free_texts(char **texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(texts[i]);
    free(texts);
}

static void free_patterns(struct address_patterns *patterns)
{
    pattern_index_free(patterns->index);
    free_texts(patterns->list, patterns->count);
}

static void free_choice(struct certificate_choice *choice)
{
    free(choice->certificate_file);
    free(choice->key_file);
    free(choice->fingerprint);
    free(choice->issuer);
    free(choice->subject);
}

static void free_certificates(struct certificate *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free_choice(&list[i].choice);
    free(list);
}

void receive_connector_done(struct receive_connector *connector)
{
    for (size_t i = 0; i < connector->binding_count; i++)
        free(connector->bindings[i].path);
    free(connector->bindings);
    free(connector->ranges);
    free(connector->nodes);
    radix_free(connector->radix);
    free(connector->name);
    free(connector->comment);
    free(connector->fqdn);
    free(connector->banner);
    free(connector->user_groups);
    free_patterns(&connector->senders_allowed);
    free_patterns(&connector->senders_refused);
    free_patterns(&connector->recipients_allowed);
    free_patterns(&connector->recipients_refused);
    free_certificates(connector->certificates, connector->certificate_count);
    free(connector->client_ca_file);
    free_texts(connector->client_fingerprints, connector->client_fingerprint_count);
    *connector = (struct receive_connector){ 0 };
}

static void free_secret(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

void send_connector_done(struct send_connector *connector)
{
    for (size_t i = 0; i < connector->space_count; i++)
        free(connector->spaces[i].pattern);
    for (size_t i = 0; i < connector->host_count; i++)
        free(connector->hosts[i].host);
    for (size_t i = 0; i < connector->tls_policy_count; i++)
        free(connector->tls_policies[i].pattern);
    free(connector->spaces);
    free(connector->hosts);
    free(connector->tls_policies);
    free(connector->name);
    free(connector->comment);
    free(connector->maildir);
    free(connector->fqdn);
    free_patterns(&connector->senders);
    free_texts(connector->came_by.list, connector->came_by.count);
    free_texts(connector->source_nodes.list, connector->source_nodes.count);
    free(connector->ca_file);
    free_texts(connector->tls_fingerprints, connector->tls_fingerprint_count);
    free_choice(&connector->certificate);
    free(connector->user);
    free_secret(connector->password);
    free(connector->retry_ms);
    *connector = (struct send_connector){ 0 };
}

static struct ip ip_known(const char *text)
{
    struct ip ip;
    bool is_known = ip_parse(bytes_text(text), &ip);

    assert(is_known);
    return ip;
}

static struct ip_range range_known(const char *text)
{
    struct ip_range range;
    bool is_known = ip_range_parse(bytes_text(text), &range);

    assert(is_known);
    return range;
}

/* PR-1: this machine's programs, over its loopback addresses alone.  They may send anywhere,
 * and the limit per source would only be a second limit on the total. */
static void add_loopback_connector(struct settings *settings)
{
    struct receive_connector *connector = mem_new(sizeof *connector);

    receive_connector_init(connector, "Default");
    connector->bindings = mem_new(2 * sizeof *connector->bindings);
    connector->bindings[0] = (struct binding){ .ip = ip_known("127.0.0.1"), .port = 25 };
    connector->bindings[1] = (struct binding){ .ip = ip_known("::1"), .port = 25 };
    connector->binding_count = 2;
    connector->ranges = mem_new(2 * sizeof *connector->ranges);
    connector->ranges[0] = range_known("127.0.0.0/8");
    connector->ranges[1] = range_known("::1");
    connector->range_count = 2;
    connector->allow = RIGHT_ANY_RECIPIENT;
    connector->connections_per_source_max = connector->connections_max;
    connector->source_share_percent = 0;
    connector->adds_missing_headers = true;
    connector->tarpit_ms = 0; /* local programs never wait */
    receive_index(connector);
    settings->receive = connector;
    settings->receive_count = 1;
}

struct settings *settings_new(const char *hostname)
{
    struct settings *settings = mem_new(sizeof *settings);

    *settings = (struct settings){
        .fqdn = mem_text(hostname),
        .node = mem_copy(hostname, strlen(hostname) + 1),
        .control_socket = mem_text("/run/relais/control"),
        .state_folder = mem_text("/var/lib/relais"),
        .account_file = mem_text("/var/lib/relais/accounts"),
        .addresses_per_account_max = 10,
        .certificate_folder = mem_text("/etc/relais/certificates"),
        .cluster_certificate_file = mem_text("/var/lib/relais/node.pem"),
        .cluster_key_file = mem_text("/var/lib/relais/node.key"),
        .spool_folder = mem_text("/var/spool/relais"),
        .spool_segment_bytes = 64 * MIB,
        .spool_free_bytes_min = 256 * MIB,
        .spool_memory_bytes_max = 64 * MIB,
        .expiry_ms = 2 * DAY,
        .delay_notice_ms = 4 * HOUR,
        .poison_threshold = 2,
        .dsn_full_bytes_max = 64 * KIB,
        .deliveries_max = 200,
        .ipv6_prefix = 64,
        .connections_max = 20000,
        .dns_timeout_ms = 10 * SECOND,
        .log_target = LOG_STDERR,
        .protocol_log_file = mem_text("/var/log/relais/protocol.log"),
        .tracking_log_file = mem_text("/var/log/relais/tracking.log"),
        .connectivity_log_file = mem_text("/var/log/relais/connectivity.log"),
        .log_bytes_max = 64 * MIB,
        .log_files_max = 10,
    };
    atomic_init(&settings->holders, 1);
    settings->node[strcspn(settings->node, ".")] = '\0';
    transport_settings_init(&settings->transport);
    add_loopback_connector(settings);
    send_connector_init(&settings->redirection, "redirect");
    settings->redirection.is_redirection = true;
    return settings;
}

static void index_domains(struct settings *settings)
{
    settings->domain_index = domain_index_new(settings->domain_count);
    for (size_t i = settings->domain_count; i > 0; i--)
        domain_index_set(
            settings->domain_index, bytes_text(settings->domains[i - 1].pattern), i - 1);
}

static void index_rewrites(struct settings *settings)
{
    struct address_patterns *patterns = &settings->rewrite_patterns;

    if (settings->rewrite_count == 0)
        return;
    patterns->list = mem_new(settings->rewrite_count * sizeof *patterns->list);
    patterns->count = settings->rewrite_count;
    for (size_t i = 0; i < patterns->count; i++)
        patterns->list[i] = settings->rewrites[i].pattern;
    patterns_index(patterns);
}

void settings_index(struct settings *settings)
{
    index_domains(settings);
    index_rewrites(settings);
    settings->route_index = route_index_new(settings);
    for (size_t i = 0; i < settings->receive_count; i++) {
        struct receive_connector *connector = &settings->receive[i];
        patterns_index(&connector->senders_allowed);
        patterns_index(&connector->senders_refused);
        patterns_index(&connector->recipients_allowed);
        patterns_index(&connector->recipients_refused);
    }
    for (size_t i = 0; i < settings->send_count; i++)
        patterns_index(&settings->send[i].senders);
    for (size_t i = 0; i < settings->account_count; i++)
        patterns_index(&settings->accounts[i].addresses);
}

struct settings *settings_hold(struct settings *settings)
{
    unsigned before = atomic_fetch_add_explicit(&settings->holders, 1, memory_order_relaxed);

    assert(before > 0);
    return settings;
}

static void free_accounts(struct settings *settings)
{
    for (size_t i = 0; i < settings->account_count; i++) {
        struct account *account = &settings->accounts[i];
        free(account->name);
        free_secret(account->hash);
        free_secret(account->scram);
        free_patterns(&account->addresses);
    }
    free(settings->accounts);
}

static void free_lists(struct settings *settings)
{
    for (size_t i = 0; i < settings->address_list_count; i++) {
        free(settings->address_lists[i].name);
        free(settings->address_lists[i].ranges);
        free(settings->address_lists[i].file);
    }
    for (size_t i = 0; i < settings->user_group_count; i++) {
        free(settings->user_groups[i].name);
        free_texts(settings->user_groups[i].users, settings->user_groups[i].user_count);
    }
    for (size_t i = 0; i < settings->rewrite_count; i++) {
        free(settings->rewrites[i].pattern);
        free(settings->rewrites[i].to);
        free_texts(settings->rewrites[i].came_by.list, settings->rewrites[i].came_by.count);
    }
    free(settings->rewrites);
    pattern_index_free(settings->rewrite_patterns.index);
    free(settings->rewrite_patterns.list);
    alias_table_free(settings->aliases);
    free(settings->address_lists);
    free(settings->user_groups);
}

/* All that there is any number of. */
static void free_blocks(struct settings *settings)
{
    for (size_t i = 0; i < settings->receive_count; i++)
        receive_connector_done(&settings->receive[i]);
    for (size_t i = 0; i < settings->send_count; i++)
        send_connector_done(&settings->send[i]);
    for (size_t i = 0; i < settings->domain_count; i++) {
        free(settings->domains[i].pattern);
        free(settings->domains[i].catch_all);
        free(settings->domains[i].recipient_file);
        recipient_table_free(settings->domains[i].recipients);
    }
    for (size_t i = 0; i < settings->node_count; i++) {
        free(settings->nodes[i].name);
        free(settings->nodes[i].host);
        free(settings->nodes[i].site);
    }
    for (size_t i = 0; i < settings->listener_count; i++)
        free(settings->listeners[i].balancers);
    free(settings->listeners);
    free(settings->receive);
    free(settings->send);
    free(settings->nodes);
    domain_index_free(settings->domain_index);
    route_index_free(settings->route_index);
    free(settings->domains);
}

void settings_free(struct settings *settings)
{
    unsigned before;

    if (!settings)
        return;
    before = atomic_fetch_sub_explicit(&settings->holders, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before > 1)
        return;
    free_blocks(settings);
    free_lists(settings);
    free_accounts(settings);
    send_connector_done(&settings->redirection);
    free_texts(settings->source_files, settings->source_file_count);
    free_texts(settings->dns_servers, settings->dns_server_count);
    free(settings->dns_trust_anchor);
    free(settings->file);
    free(settings->fqdn);
    free(settings->node);
    free(settings->control_socket);
    free(settings->state_folder);
    free(settings->certificate_folder);
    free(settings->cluster_certificate_file);
    free(settings->cluster_key_file);
    free(settings->site);
    free(settings->spool_folder);
    free(settings->log_file);
    free(settings->protocol_log_file);
    free(settings->tracking_log_file);
    free(settings->connectivity_log_file);
    free(settings->account_file);
    free(settings->pam_service);
    free(settings->kerberos_keytab);
    free(settings->kerberos_service);
    free(settings->kerberos_realm);
    free(settings);
}
