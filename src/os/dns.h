/* Names to addresses, by libunbound.  Belongs to one loop; never blocks it.
 *
 * Made without touching the network: the daemon starts without it. */
#ifndef OS_DNS_H
#define OS_DNS_H

#include "base/err.h"
#include "base/ip.h"
#include "base/tlsa.h"
#include "os/loop.h"

struct dns;
struct dns_query;

enum dns_answer {
    DNS_FOUND,
    DNS_NO_NAME, /* NXDOMAIN: permanent */
    DNS_NO_DATA, /* the name is there, this kind of record is not */
    DNS_FAILED,  /* SERVFAIL, no server reachable, timeout: transient */
    DNS_BOGUS,   /* DNSSEC validation failed: transient for mail */
};

enum { DNS_HOSTS_MAX = 64, DNS_NAME_BYTES = 256, DNS_TLSA_MAX = 32 };

struct dns_host {
    uint16_t preference;
    char name[DNS_NAME_BYTES]; /* without final dot, lower case */
};

struct dns_result {
    enum dns_answer answer;
    bool is_secure; /* DNSSEC-validated */
    uint32_t ttl_s;
    unsigned address_count;
    struct ip addresses[DNS_HOSTS_MAX]; /* IPv6 first, then IPv4 */
    unsigned host_count;
    struct dns_host hosts[DNS_HOSTS_MAX]; /* MX, by preference; equal ones in random order */
    bool is_null_mx;                      /* RFC 7505 */
    unsigned tlsa_count;
    struct tlsa *tlsa;              /* gone after the callback, as all of this */
    char canonical[DNS_NAME_BYTES]; /* where aliases led; "": there were none */
    char why[128];
};

struct dns_settings {
    const char *const *servers; /* "127.0.0.1@5353"; none: /etc/resolv.conf */
    size_t server_count;
    int64_t timeout_ms;            /* for a whole question */
    const char *hosts_file;        /* "/etc/hosts"; NULL: none.  For addresses, never for MX */
    const char *resolv_file;       /* NULL: /etc/resolv.conf; read again when it changes */
    const char *trust_anchor_file; /* DNSKEY or DS records; NULL: nothing is validated */
};

/* ERR_SYNTAX: a server's address is none.  ERR_SYSTEM: libunbound cannot be set up (no memory,
 * no such trust anchor file). */
enum err dns_new(
    struct loop *loop, const struct dns_settings *settings, struct dns **out) MUST_USE;
/* Other settings from the next question on; open questions go on with the old ones.  Errors as
 * of dns_new(): nothing has changed then. */
enum err dns_change(struct dns *dns, const struct dns_settings *settings) MUST_USE;
void dns_free(struct dns *dns); /* open questions are cancelled: no callback */

/* ON_ANSWER comes later on the loop, never from inside the call; RESULT is borrowed, and the
 * query is gone.  It may ask, cancel others and call dns_free().  Names are ASCII
 * (mail/idna.h); an IP address as HOST is its own answer. */
struct dns_query *dns_mx(struct dns *dns, const char *domain,
    void (*on_answer)(void *me, const struct dns_result *result), void *me);
/* The same for a name of the administrator's choice: one that the hosts file has is a host itself
 * (DNS_NO_DATA), whatever the servers say. */
struct dns_query *dns_mx_unless_own(struct dns *dns, const char *domain,
    void (*on_answer)(void *me, const struct dns_result *result), void *me);
struct dns_query *dns_addresses(struct dns *dns, const char *host,
    void (*on_answer)(void *me, const struct dns_result *result), void *me);
/* The TLSA records of a name such as "_25._tcp.mx.example" (RFC 6698, 3). */
struct dns_query *dns_tlsa(struct dns *dns, const char *name,
    void (*on_answer)(void *me, const struct dns_result *result), void *me);
void dns_cancel(struct dns_query *query);

#endif
