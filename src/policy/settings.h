/* The settings: an immutable snapshot that all decisions are made from.  Plain values; any
 * thread.
 *
 * Made by directory/file.c from /etc/relais/relais.conf.  Counted: a session holds the snapshot
 * it began a transaction with; a reload makes a new one.  The units stand in the names. */
#ifndef POLICY_SETTINGS_H
#define POLICY_SETTINGS_H

#include "base/bytes.h"
#include "base/certificate.h"
#include "base/ip.h"
#include "base/time.h"

#include <stdatomic.h>

/* Where a setting stands, for messages: "relais.conf:12". */
struct source_line {
    const char *file;
    int line;
};

/* Names of connectors, users ... */
struct name_list {
    char **list;
    size_t count;
};

struct binding {
    bool is_unix;
    bool is_any;  /* "*:25": all addresses of both kinds */
    struct ip ip; /* 0.0.0.0 and :: stand for all addresses of their kind */
    uint16_t port;
    char *path; /* UNIX socket */
};

enum right { /* PE-1 */
    RIGHT_SUBMIT = 1 << 0,
    RIGHT_ANY_RECIPIENT = 1 << 1, /* relay */
    RIGHT_ANY_SENDER = 1 << 2,
    RIGHT_OWN_DOMAIN_SENDER = 1 << 3,
    RIGHT_BYPASS_SIZE_LIMIT = 1 << 4,
    RIGHT_BYPASS_RATE_LIMIT = 1 << 5,
    RIGHT_INTERNAL_HEADERS = 1 << 6, /* header fields of the organisation's own are kept */
};
enum { RIGHT_COUNT = 7 };

/* What a client is; a connector takes those that its permission_groups name, and each brings its
 * rights (policy/rights.h). */
enum permission_group {
    GROUP_ANONYMOUS = 1 << 0,
    GROUP_USERS = 1 << 1,            /* authenticated by AUTH */
    GROUP_PARTNERS = 1 << 2,         /* by a client certificate that the connector knows */
    GROUP_SERVERS = 1 << 3,          /* nodes of the organisation */
    GROUP_EXTERNAL_SECURED = 1 << 4, /* the network vouches for everybody on it */
    GROUP_CUSTOM = 1 << 5,           /* users named by permission_group blocks */
};
enum { GROUP_COUNT = 6 };

/* permission_group "Scanners": what some users may do besides. */
struct user_group {
    char *name;
    struct source_line source;
    unsigned rights;
    char **users;
    size_t user_count;
};

/* What odd devices get away with (PE-10). */
enum tolerance {
    TOLERATE_BARE_LF = 1 << 0,
    TOLERATE_PATH_SPACES = 1 << 1, /* "MAIL FROM: <a@b>" */
    TOLERATE_NO_BRACKETS = 1 << 2, /* "MAIL FROM:a@b" */
    TOLERATE_BAD_HELO = 1 << 3,    /* an underscore, a bare address, or no name at all */
    TOLERATE_NO_HELO = 1 << 4,     /* MAIL without HELO or EHLO */
};
enum { TOLERANCE_COUNT = 5 };

/* Those of PE-8 that may run in report mode: counted and logged, nothing is refused. */
enum limit {
    LIMIT_CONNECTIONS = 1 << 0,
    LIMIT_CONNECTIONS_PER_SOURCE = 1 << 1,
    LIMIT_SOURCE_SHARE = 1 << 2,
    LIMIT_MESSAGE_RATE = 1 << 3,
    LIMIT_RECIPIENTS = 1 << 4,
    LIMIT_MESSAGE_SIZE = 1 << 5,
    LIMIT_HEADER_SIZE = 1 << 6,
    LIMIT_HOPS = 1 << 7,
    LIMIT_LOCAL_HOPS = 1 << 8,
    LIMIT_ERRORS = 1 << 9,
    LIMIT_LOGINS = 1 << 10,
    LIMIT_MESSAGES = 1 << 11, /* of one session */
};
enum { LIMIT_COUNT = 12 };

/* SASL mechanisms (PE-6). */
enum auth_mechanism {
    AUTH_PLAIN = 1 << 0,
    AUTH_LOGIN = 1 << 1,
    AUTH_SCRAM_SHA_256 = 1 << 2,
    AUTH_SCRAM_SHA_256_PLUS = 1 << 3,
    AUTH_GSSAPI = 1 << 4,
    AUTH_EXTERNAL = 1 << 5, /* the client certificate says who it is */
};
enum { AUTH_MECHANISM_COUNT = 6 };

/* Addresses as "user@example.com", "@example.com", "*@*.example.com", "<>" (policy/pattern.h);
 * in normal form. */
struct address_patterns {
    char **list;
    size_t count;
    struct pattern_index *index; /* NULL: each is looked at */
};

/* address_list "Scanners": ranges that connectors share by "@Scanners" (RC-5). */
struct address_list {
    char *name;
    struct source_line source;
    struct ip_range *ranges;
    size_t range_count;
    char *file; /* further ranges, one a line; NULL: none.  They are in `ranges` already */
};

/* Someone who may log in, as `relais user` keeps him (PE-6).  Read with the settings. */
struct account {
    char *name;  /* lower case */
    char *hash;  /* crypt(5): yescrypt or bcrypt; NULL: known elsewhere (PAM, Kerberos) */
    char *scram; /* SCRAM-SHA-256's verifier: RFC 5803; NULL: none */
    bool is_disabled;
    struct address_patterns addresses; /* that he may send as */
    int line;                          /* of the file */
};

/* A certificate of ours, with its chain and its key. */
struct certificate {
    struct certificate_choice choice;
    struct source_line source;
};

/* What becomes of a message when no other node takes its copy (SH-3). */
enum shadow_failure { SHADOW_FAILURE_ACCEPT, SHADOW_FAILURE_REJECT, SHADOW_FAILURE_DELAY };

enum tls_mode { TLS_MODE_OFF, TLS_MODE_OFFERED, TLS_MODE_REQUIRED, TLS_MODE_IMPLICIT };

/* The ranges in the order of their first address.  Those of one connector that overlap without
 * nesting are joined. */
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
    struct radix *radix; /* policy/radix.h: over their first addresses, made with them */
    char *fqdn;          /* NULL: the node's */
    char *banner;        /* NULL: "%{fqdn} ESMTP relais" */
    unsigned groups;     /* enum permission_group: whom it takes */
    size_t *user_groups; /* with GROUP_CUSTOM: numbers in settings->user_groups */
    size_t user_group_count;
    unsigned allow; /* enum right, for every client that it takes (PE-2) */
    struct address_patterns senders_allowed, senders_refused; /* none allowed: any (PE-5) */
    struct address_patterns recipients_allowed, recipients_refused;
    unsigned tolerances;  /* enum tolerance */
    unsigned report_only; /* enum limit */
    unsigned mechanisms;  /* enum auth_mechanism; 0: AUTH is not offered */
    bool auth_without_tls, requires_auth;
    bool has_tls_faults; /* while the file is read: its certificates were complained of */
    enum tls_mode tls;
    /* Chosen by the name the client asks for (SNI), the first when none fits; none: a self-signed
     * one. */
    struct certificate *certificates;
    size_t certificate_count;
    bool asks_client_certificate, requires_client_certificate;
    char *client_ca_file;       /* partners' certificates are signed by one of these; NULL */
    char **client_fingerprints; /* ... or are one of these: "sha256:HEX" */
    size_t client_fingerprint_count;
    uint8_t tls_version_min; /* enum tls_version of os/tls.h */
    bool logs_protocol;
    bool adds_missing_headers; /* Date, From and Message-ID */
    uint32_t connections_max, connections_per_source_max;
    uint32_t source_share_percent; /* of connections_max, for one source; 0: no such limit */
    uint32_t
        messages_per_minute_max; /* of a source, or a user when there is one; 0: unlimited */
    uint32_t logins_max;         /* failed ones in a session */
    uint32_t recipients_max, errors_max,
        messages_per_session_max;      /* the last: 0 is unlimited */
    uint32_t hops_max, local_hops_max; /* the second: Received fields of our own */
    int8_t priority;                   /* of mail that says nothing; MT-PRIORITY's -9..9 */
    bool trusts_priority;              /* X-Priority and Importance of the header count */
    uint64_t size_bytes_max, header_bytes_max;
    int64_t idle_ms, session_ms, tarpit_ms; /* session_ms: without data moving */
    enum shadow_failure shadow_failure; /* that of the transport settings unless it says so */
    int64_t acknowledgement_delay_ms;   /* SH-4; 30 s */
    bool is_internal; /* for the other nodes alone: peer links, TLS by pinned keys */
};

/* Whether connections begin with a PROXY header (FE-5): from listed balancers, those do, others
 * are clients themselves; OPTIONAL: they may; REQUIRED: nobody else may come. */
enum proxy_mode { PROXY_MODE_LISTED, PROXY_MODE_OPTIONAL, PROXY_MODE_REQUIRED };

/* listener "*:25" { ... }: what is the same for all connectors of a binding, since it is settled
 * before one is chosen. */
struct listener_options {
    struct binding binding; /* no UNIX socket */
    struct source_line source;
    enum proxy_mode proxy;
    struct ip_range *balancers;
    size_t balancer_count;
    int64_t proxy_timeout_ms;
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
    bool is_default;                    /* names without a domain are of this one */
    struct recipient_table *recipients; /* who exists (AD-3); NULL: everybody */
    char *recipient_file;               /* which says so */
    char *catch_all; /* where mail for who does not exist goes; NULL: it is refused */
};

/* rewrite_sender "*@*.local": what devices call themselves, and what it becomes (AD-4). */
struct sender_rewrite {
    struct source_line source;
    char *pattern;            /* policy/pattern.h */
    char *to;                 /* an address; "%u" and "%d" are the old local part and domain */
    struct name_list came_by; /* receive connectors it is for; none: all */
    bool with_header;         /* From, Sender and Reply-To of the header as well */
};

enum delivery_kind { DELIVERY_SMART_HOSTS, DELIVERY_MX, DELIVERY_LMTP, DELIVERY_MAILDIR };

struct smart_host {
    char *host; /* name or address text */
    uint16_t port;
    bool uses_mx;              /* a name without brackets: the hosts of its MX records */
    bool is_unix;              /* LMTP over a UNIX socket; `host` is the path */
    uint32_t priority, weight; /* lower priority first; spread by weight */
};

struct address_space {
    char *pattern; /* "*", "*.example.com", "example.com", "--" */
    uint32_t cost; /* 1 by default */
};

/* TL-3.  SECURE: the certificate's own fingerprint is one of tls_fingerprints. */
enum send_tls {
    SEND_TLS_NONE,
    SEND_TLS_MAY,
    SEND_TLS_ENCRYPT,
    SEND_TLS_VERIFY,
    SEND_TLS_SECURE,
    SEND_TLS_DANE,      /* where there are secure TLSA records, else as MAY */
    SEND_TLS_DANE_ONLY, /* ... else not at all */
};

/* tls_policy "example.com" within a send connector: another level for that domain. */
struct tls_policy {
    char *pattern; /* as an address space */
    enum send_tls tls;
};

struct send_connector {
    char *name;
    struct source_line source;
    bool enabled;
    bool has_tls_faults; /* while the file is read: its certificates were complained of */
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
    struct address_patterns senders; /* SC-3: only mail of these; none: any */
    struct name_list came_by;        /* SC-3: only mail that came by these; none: any */
    struct name_list source_nodes;   /* names of nodes or their FQDNs; none: all */
    enum send_tls tls;
    struct tls_policy *tls_policies;
    size_t tls_policy_count;
    bool is_implicit_tls;
    uint8_t tls_version_min; /* enum tls_version of os/tls.h */
    char *ca_file;           /* NULL: the system's */
    char **tls_fingerprints; /* "sha256:HEX" */
    size_t tls_fingerprint_count;
    struct certificate_choice certificate; /* that it shows to servers */
    char *user, *password;
    unsigned mechanisms;              /* enum auth_mechanism it may use */
    bool auth_without_tls;            /* the password may go out in clear */
    uint32_t messages_per_minute_max; /* per next hop; 0: unlimited (SC-7) */
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
    bool is_redirection;      /* of `relais redirect`: its next hop says which host */
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
    struct listener_options *listeners;
    size_t listener_count;
    struct accepted_domain *domains;
    size_t domain_count;
    struct domain_index *domain_index; /* policy/domain_index.h; NULL: each is looked at */
    struct send_connector redirection; /* in no list: is_redirection */
    struct send_connector *send;
    size_t send_count;
    struct route_index *route_index; /* policy/route_index.h; NULL: each is looked at */
    struct address_list *address_lists;
    size_t address_list_count;
    struct user_group *user_groups;
    size_t user_group_count;

    struct alias_table *aliases;     /* policy/aliases.h; NULL: none */
    struct sender_rewrite *rewrites; /* the first that fits counts */
    size_t rewrite_count;
    struct address_patterns
        rewrite_patterns; /* settings_index(): theirs, borrowed, by number */

    char *account_file;       /* what `relais user` writes; in the state folder by default */
    struct account *accounts; /* in the order of names */
    size_t account_count;
    char *pam_service;      /* a second source of passwords; NULL: none */
    char *kerberos_keytab;  /* for GSSAPI; NULL: the system's */
    char *kerberos_service; /* "smtp@host"; NULL: smtp at the connector's fqdn */
    char *kerberos_realm;   /* principals of this one go by their first part; NULL: none do */
    uint32_t addresses_per_account_max; /* in a day; more are warned of; 0: any number (PE-7) */

    char *spool_folder;
    uint64_t spool_segment_bytes, spool_bytes_max, spool_free_bytes_min, spool_memory_bytes_max;

    int64_t expiry_ms;           /* 2 d */
    int64_t delay_notice_ms;     /* 4 h; 0: senders are not told of delays */
    uint32_t poison_threshold;   /* crashes with a message that make it poison; 0: never */
    uint64_t dsn_full_bytes_max; /* a larger original goes back as its header alone */
    uint32_t deliveries_max;     /* connections of all next hops together */
    uint32_t connections_max;    /* accepted, of all connectors together */
    uint32_t ipv6_prefix;        /* so many bits of an IPv6 address tell sources apart */
    uint32_t loop_count;         /* network loops; 0: cores - 1, at least 1 */

    char *certificate_folder; /* where certificates are chosen in (TL-1) */
    char *state_folder;       /* keys and transport.conf; not the spool, which may be lost */

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
    char *dns_trust_anchor; /* DNSKEY or DS records; NULL: DNSSEC is not looked at */

    enum log_target log_target;
    char *log_file;
    bool logs_json;
    char *protocol_log_file;     /* NULL: no protocol log at all */
    char *tracking_log_file;     /* NULL: none (OP-4) */
    char *connectivity_log_file; /* NULL: none */
    bool logs_subjects;          /* in the tracking log; no: they are nobody's business */
    uint64_t log_bytes_max;      /* rotated at this size */
    uint32_t log_files_max;
};

/* Settings with every default, as of an empty file: a safe satellite.  free by settings_free().
 * HOSTNAME is what the machine calls itself. */
struct settings *settings_new(const char *hostname);
/* Makes the indexes, once all is read: what is decided for a message does not go through long
 * lists then.  (Those of ranges: receive_index().) */
void settings_index(struct settings *settings);
struct settings *settings_hold(struct settings *settings); /* any thread */
void settings_free(struct settings *settings);             /* any thread; the last one frees */

/* The defaults of one connector, as settings_new() and the reader of files use them. */
void receive_connector_init(struct receive_connector *connector, const char *name);
void transport_settings_init(struct transport_settings *transport);
void send_connector_init(struct send_connector *connector, const char *name);
void receive_connector_done(struct receive_connector *connector);
void send_connector_done(struct send_connector *connector);

#endif
