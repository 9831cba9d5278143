/* The world of flow_kit.h with deliver in it: names are answered, and hosts behave, as the test
 * wants, all of them on its one loop.  It takes the place of os/dns.c. */
#ifndef TESTS_DELIVER_KIT_H
#define TESTS_DELIVER_KIT_H

#include "flow_kit.h"

#include "flow/deliver/deliver.h"
#include "os/listener.h"

enum { RECORDS_MAX = 256, RECORD_BYTES = 160, HOSTS_MAX = 256 };

/* What DNS says of a name; "" stands for a failure, and DNS_HOLDS for no answer yet. */
#define DNS_HOLDS "?"
struct dns_record {
    char name[64];
    char says[RECORD_BYTES]; /* "127.61.0.1 127.61.0.2", or "10 a.example 20 b.example" */
    unsigned asked_count;
};

struct bench;

struct smtp_host {
    struct bench *bench;
    struct ip ip;
    struct listener *listener; /* NULL: it refuses connections */
    struct list sessions;
    bool is_silent; /* says no word in its sessions to come */
    unsigned mail_count, connection_count;
};

struct bench {
    struct world world;
    struct deliver deliver;
    struct dns *dns;
    struct dns_record records[RECORDS_MAX];
    size_t record_count;
    struct smtp_host hosts[HOSTS_MAX];
    size_t host_count;
    uint16_t port; /* of all hosts */
};

/* With one connector, "out", by MX at PORT, and short waits; one message for each connection.  The
 * node itself is bound to US at that port. */
void bench_open(struct bench *bench, const char *us);
/* The same with "out" to these smart hosts: "a.example [b.example]", the first one by its MX. */
void bench_open_to(struct bench *bench, const char *us, const char *hosts);
void bench_done(struct bench *bench);

/* The answer to who asks from now on, or waits for one already. */
void bench_say(struct bench *bench, const char *name, const char *says);
/* How many wait for an answer about NAME. */
unsigned bench_held(const struct bench *bench, const char *name);
/* How often it was asked about since it was said first. */
unsigned bench_asked(struct bench *bench, const char *name);

/* One more host.  It refuses connections until it listens. */
struct smtp_host *bench_host(struct bench *bench, const char *ip);
void smtp_host_listen(struct smtp_host *host);
void smtp_host_refuse(struct smtp_host *host); /* and its sessions are lost */

/* "up", "down", "slow" or "unknown", of the host of that name behind HOP; "": there is none. */
const char *bench_state(struct bench *bench, const char *hop, const char *name);
/* What is said of it; valid until deliver's next step. */
const char *bench_error(struct bench *bench, const char *hop, const char *name);

#endif
