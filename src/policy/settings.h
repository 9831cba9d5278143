/* The settings: an immutable snapshot that all decisions are made from.  Plain values; any
 * thread.
 *
 * Made by directory/file.c from /etc/relais/relais.conf.  Counted: a session holds the snapshot
 * it began a transaction with; a reload makes a new one.  The units stand in the names. */
#ifndef POLICY_SETTINGS_H
#define POLICY_SETTINGS_H

#include "base/bytes.h"
#include "base/ip.h"
#include "base/time.h"

#include <stdatomic.h>

/* Where a setting stands, for messages: "relais.conf:12". */
struct source_line {
    const char *file;
    int line;
};

struct binding {
    bool is_unix;
    bool is_any;  /* "*:25": all addresses of both kinds */
    struct ip ip; /* 0.0.0.0 and :: stand for all addresses of their kind */
    uint16_t port;
    char *path; /* UNIX socket */
};

enum right { /* rights a connector gives */
    RIGHT_SUBMIT = 1 << 0,
    RIGHT_ANY_RECIPIENT = 1 << 1, /* relay */
    RIGHT_ANY_SENDER = 1 << 2,
    RIGHT_OWN_DOMAIN_SENDER = 1 << 3,
    RIGHT_BYPASS_SIZE_LIMIT = 1 << 4,
    /* 5 and 6 are kept for bypass-rate-limit and internal-headers. */
};

/* What becomes of a message when no other node takes its copy (SH-3). */
enum shadow_failure { SHADOW_FAILURE_ACCEPT, SHADOW_FAILURE_REJECT, SHADOW_FAILURE_DELAY };

enum tls_mode { TLS_MODE_OFF, TLS_MODE_OFFERED, TLS_MODE_REQUIRED, TLS_MODE_IMPLICIT };

/* The ranges in the order of their first address, so that a search halves them.  Those of one
 * connector that overlap without nesting are joined. */
struct range_node {
    struct ip_range range;
    uint32_t outer; /* the smallest range around this one, or RANGE_NODE_NONE */
};
#define RANGE_NODE_NONE UINT32_MAX

struct receive_connector {
    char *name;
    struct source_line source;
    bool enabled;
    char *comment;
    struct binding *bindings;
    size_t binding_count;
    struct ip_range *ranges; /* as written */
    size_t range_count;
    struct range_node *nodes; /* made by receive_index() from the ranges */
    size_t node_count;
    char *fqdn;      /* NULL: the node's */
    char *banner;    /* NULL: "%{fqdn} ESMTP relais" */
    unsigned rights; /* enum right, of anonymous clients */
    enum tls_mode tls;
    char *certificate_file, *key_file; /* NULL: a self-signed one */
    uint8_t tls_version_min;           /* enum tls_version of os/tls.h */
    bool logs_protocol;
    bool adds_missing_headers; /* Date and Message-ID */
    bool tolerates_bare_lf;
    uint32_t connections_max, connections_per_source_max;
    uint32_t recipients_max, errors_max,
        messages_per_session_max; /* the last: 0 is unlimited */
    uint32_t hops_max;
    uint64_t size_bytes_max, header_bytes_max;
    int64_t idle_ms, session_ms, tarpit_ms; /* session_ms: without data moving */
    enum shadow_failure shadow_failure; /* that of the transport settings unless it says so */
    int64_t acknowledgement_delay_ms;   /* SH-4; 30 s */
    bool is_internal; /* for the other nodes alone: peer links, TLS by pinned keys */
};

/* Another node of the organisation. */
struct cluster_node {
    char *name;
    struct source_line source;
    char *host; /* address or name of its internal connector */
    uint16_t port;
    uint8_t pin[32]; /* SHA-256 of its public key */
    char *site;      /* NULL: none named */
};

enum shadow_preference { SHADOW_PREFER_REMOTE, SHADOW_REMOTE_ONLY, SHADOW_LOCAL_ONLY };

/* SHADOW.md calls it the transport configuration: get-/set-transport-config.  What `relais
 * set-transport-config` changed stands in transport.conf in the state folder, and wins over
 * relais.conf. */
struct transport_settings {
    bool shadow_is_enabled;         /* ShadowRedundancyEnabled, yes */
    int64_t heartbeat_frequency_ms; /* ShadowHeartbeatFrequency, 10 s */
    int64_t heartbeat_timeout_ms;   /* ShadowHeartbeatTimeoutInterval, 10 s */
    uint32_t heartbeat_retry_count; /* ShadowHeartbeatRetryCount, 6 */
    int64_t resubmit_ms;            /* ShadowResubmitTimeSpan, 0: not set: the product */
    int64_t auto_discard_ms;        /* ShadowMessageAutoDiscardInterval, 2 d */
    bool rejects_on_shadow_failure; /* RejectMessageOnShadowFailure, no */
    uint32_t retries_local, retries_remote; /* MaxRetriesFor...SiteShadow, 2 and 4 */
    enum shadow_preference preference;      /* ShadowMessagePreferenceSetting, PreferRemote */
    int64_t fence_wait_ms, audit_after_ms, unclaimed_hold_ms;
    int64_t copy_timeout_ms, accept_timeout_ms; /* ShadowCopyTimeout, 5 s; all attempts, 20 s */
};

enum domain_type { DOMAIN_AUTHORITATIVE, DOMAIN_INTERNAL_RELAY, DOMAIN_EXTERNAL_RELAY };

struct accepted_domain {
    char *pattern; /* "example.com", "*.example.com", "*"; lower case, A-labels */
    struct source_line source;
    enum domain_type type;
};

enum delivery_kind { DELIVERY_SMART_HOSTS, DELIVERY_MX, DELIVERY_LMTP, DELIVERY_MAILDIR };

struct smart_host {
    char *host; /* name or address text */
    uint16_t port;
    bool uses_mx; /* a name without brackets and without port: its MX is looked up */
    bool is_unix; /* LMTP over a UNIX socket; `host` is the path */
    uint32_t priority, weight; /* lower priority first; spread by weight */
};

struct address_space {
    char *pattern; /* "*", "*.example.com", "example.com", "--" */
    uint32_t cost; /* 1 by default */
};

enum send_tls { SEND_TLS_NONE, SEND_TLS_MAY, SEND_TLS_ENCRYPT };

struct send_connector {
    char *name;
    struct source_line source;
    bool enabled;
    char *comment;
    struct address_space *spaces;
    size_t space_count;
    enum delivery_kind delivery;
    struct smart_host *hosts;
    size_t host_count;
    uint16_t mx_port; /* 25; another for tests and odd networks */
    char *maildir;    /* "%u" local part, "%d" domain; checked */
    char *fqdn;       /* NULL: the node's */
    bool has_source_ip;
    struct ip source_ip;
    enum send_tls tls;
    bool is_implicit_tls;
    char *certificate_file, *key_file; /* a client certificate; NULL: none */
    char *user, *password;
    uint32_t connections_max;         /* per next hop */
    uint32_t messages_per_connection; /* 0: unlimited */
    uint32_t recipients_per_message;
    uint64_t size_bytes_max; /* 0: unlimited */
    bool uses_chunking, uses_pipelining;
    bool logs_protocol;
    bool failover; /* the next connector by cost when all hosts are down (SC-4) */
    int64_t connect_ms, greeting_ms, command_ms, data_ms, end_ms, idle_ms;
    int64_t *retry_ms; /* plan of a next hop that is down; the last goes on for ever */
    size_t retry_count;
    int64_t message_retry_ms; /* after a 4xx */
};

enum log_target { LOG_STDERR, LOG_FILE, LOG_SYSLOG };

struct settings {
    atomic_uint holders;
    uint64_t revision; /* counted up at each load in this process */

    char *file; /* it was read from */
    char *fqdn; /* of the node */
    char *node; /* its name in logs and identities; the fqdn's first label */
    char *control_socket;

    struct receive_connector *receive;
    size_t receive_count;
    struct accepted_domain *domains;
    size_t domain_count;
    struct send_connector *send;
    size_t send_count;

    char *spool_folder;
    uint64_t spool_segment_bytes, spool_bytes_max, spool_free_bytes_min, spool_memory_bytes_max;

    int64_t expiry_ms;           /* 2 d */
    int64_t delay_notice_ms;     /* 4 h; 0: senders are not told of delays */
    uint64_t dsn_full_bytes_max; /* a larger original goes back as its header alone */
    uint32_t deliveries_max;     /* connections of all next hops together */
    uint32_t connections_max;    /* accepted, of all connectors together */
    uint32_t loop_count;         /* network loops; 0: cores - 1, at least 1 */

    char *state_folder; /* keys and transport.conf; not the spool, which may be lost */

    char **source_files; /* what every source_line of these settings names */
    size_t source_file_count;

    /* The cluster; no nodes: this one is alone.  Its own name there is the fqdn. */
    struct cluster_node *nodes;
    size_t node_count;
    char *cluster_certificate_file, *cluster_key_file; /* in the state folder by default */
    char *site;                                        /* NULL: none named */
    struct transport_settings transport;

    char **dns_servers; /* none: those of /etc/resolv.conf */
    size_t dns_server_count;
    int64_t dns_timeout_ms;

    enum log_target log_target;
    char *log_file;
    bool logs_json;
    char *protocol_log_file; /* NULL: no protocol log at all */
    uint64_t log_bytes_max;  /* rotated at this size */
    uint32_t log_files_max;
};

/* Settings with every default, as of an empty file: a safe satellite.  free by settings_free().
 * HOSTNAME is what the machine calls itself. */
struct settings *settings_new(const char *hostname);
struct settings *settings_hold(struct settings *settings); /* any thread */
void settings_free(struct settings *settings);             /* any thread; the last one frees */

/* The defaults of one connector, as settings_new() and the reader of files use them. */
void receive_connector_init(struct receive_connector *connector, const char *name);
void transport_settings_init(struct transport_settings *transport);
void send_connector_init(struct send_connector *connector, const char *name);
void receive_connector_done(struct receive_connector *connector);
void send_connector_done(struct send_connector *connector);

#endif
