/* Inside flow/deliver: a destination with its hosts, a delivery (one connection), a sending
 * (one item on it), and the Maildir's job. */
#ifndef FLOW_DELIVER_INTERNAL_H
#define FLOW_DELIVER_INTERNAL_H

#include "flow/deliver/deliver.h"
#include "os/conn.h"
#include "policy/host_choice.h"
#include "policy/pace.h"
#include "policy/slow_down.h"
#include "proto/smtp/client.h"
#include "report/report.h"

enum {
    HOST_ADDRESSES_MAX = 16,
    HOST_ERROR_BYTES = 400,
    HOST_TEXT_BYTES = 400,
    TLS_TEXT_BYTES = 112,
    PATIENCE_MS = 10000 /* for a greeting, while there are others to ask */
};

/* What DNSSEC says of a host, where the level is DANE. */
struct host_dane {
    struct dane_facts facts;
    enum dane_plan plan;  /* as of the last connection */
    struct tlsa *records; /* the usable ones */
    uint8_t **data;       /* theirs */
    size_t record_count;
    struct moment expires;          /* of the records */
    char base[DNS_NAME_BYTES];      /* the name they were found at, which SNI asks for */
    char canonical[DNS_NAME_BYTES]; /* where aliases of the host lead; "": there are none */
    bool is_at_alias;               /* that one is being asked about */
    char *next_hop;                 /* the domain whose MX it is; else its own name */
};

/* How fast a host wants its mail (SC-7): one for all next hops that it stands behind. */
struct host_pace {
    struct table_node by_host;
    struct deliver *deliver;
    char *name;
    uint16_t port;
    struct pace pace;
    struct blame blame;
    unsigned holders;                           /* struct host */
    unsigned open_count;                        /* connections, of all hops */
    struct timer step;                          /* while it is slow */
    uint32_t connections_said, per_minute_said; /* in the log */
    char why[HOST_ERROR_BYTES];                 /* what it said last */
};

/* A name whose MX records say who some of a next hop's hosts are: the recipient's domain, or a smart
 * host without brackets. */
struct mx_name {
    struct destination *destination;
    char *name;
    uint16_t port;           /* of its hosts */
    struct host_place place; /* of its entry */
    struct dns_query *query;
    bool is_awaited; /* mail waits for the answer: it counts among the openings */
    bool has_failed; /* it gives no hosts, or only those of before: ERROR */
    bool is_us;      /* it has failed, for we are at their head: until one is somebody else */
    bool is_secure;  /* DNSSEC vouches for the answer */
    struct moment expires;
    char error[HOST_ERROR_BYTES];
};

/* One host behind a next hop, and whether it answers (the circuit breaker). */
struct host {
    struct destination *destination;
    char *name; /* a host's name, an address, or a UNIX socket's path */
    uint16_t port;
    bool is_unix;
    struct mx_name *mx; /* whose record names it; NULL: none does */
    struct host_place place;
    bool is_gone;            /* the records name it no more: it goes with its last connection */
    unsigned delivery_count; /* connections, quitting ones too */
    struct ip addresses[HOST_ADDRESSES_MAX];
    unsigned address_count;
    struct moment expires;      /* of the addresses */
    struct moment no_tls_until; /* a handshake failed: TLS "may" goes on without */
    struct dns_query *query;
    bool is_query_counted; /* among those that are opening */
    bool is_secure;        /* DNSSEC vouches for the addresses */
    struct host_dane dane;
    bool is_down;
    bool was_tried;    /* in this round of attempts */
    bool is_probed;    /* the circuit breaker's attempt is under way, which is no round's */
    bool is_late;      /* it greets late, as some do on purpose: it is given its time */
    bool is_answering; /* a session came up */
    uint32_t failure_count;
    struct host_pace *pace;    /* held */
    unsigned connection_count; /* of this destination */
    struct timer probe;        /* while it is down and others are not */
    char error[HOST_ERROR_BYTES];
};

struct destination {
    struct list in_deliver;
    struct deliver *deliver;
    struct hop *hop; /* not to be touched once is_forgotten */
    struct mx_name *mx_names;
    size_t mx_count;
    struct moment expires; /* of the first answer that does: it is asked again */
    struct host **hosts;
    size_t host_count;
    struct list deliveries; /* all connections */
    struct list ready;      /* those that would take a message */
    unsigned connection_count;
    unsigned opening_count; /* not up yet; a host's addresses being looked up counts too */
    unsigned probe_count; /* connections of the circuit breaker, not up yet: no opening ones */
    struct timer turn;    /* when a host, or the connector's rate, lets a message go again */
    struct pace_clock clock; /* of that rate */
    unsigned job_count;      /* Maildir */
    unsigned users;          /* functions that walk over it just now */
    bool is_forgotten;       /* free it with its last connection */
};

/* One item on a connection. */
struct sending {
    struct list in_delivery;
    struct delivery *delivery;
    struct item *item;
    struct smtp_client_message offer;
    struct recipient one;
    struct recipient *recipients; /* &one, or malloc */
    struct result one_result;
    struct result *results; /* &one_result, or malloc */
    uint8_t *envelope;      /* our own, of a message that rested; else NULL */
    size_t envelope_n;
    bool is_filled;                 /* the offer is complete */
    struct bytes takeover, prepend; /* fields of ours in front of the content */
    struct spool_content *content;  /* held; NULL: it is read piece by piece */
    uint64_t content_bytes;
    uint64_t done; /* of these fields and content together */
    struct smtp_stuff stuff;
    bool is_stuffed, is_asked, is_reading, is_abandoned, is_all_out;
    bool is_taken;    /* some recipient of it was */
    bool is_accepted; /* for one recipient at least */
    bool is_in_doubt; /* lost behind its last byte: maybe delivered */
    enum err trouble; /* of reading: OK, ERR_CORRUPT for good, others for now */
    struct spool_read read;
    uint8_t *piece;
    size_t piece_n;
    uint64_t piece_from;
};

struct delivery {
    struct list in_destination, in_ready, in_idle;
    struct destination *destination;
    struct host *host;
    struct setup *setup; /* held */
    const struct send_connector *connector;
    unsigned address_at;
    struct conn *conn;
    struct smtp_client *engine;
    struct smtp_client_config config;
    struct list sendings;
    struct sending *asked;     /* its content is being sent */
    struct sending *preparing; /* its first piece is being read; then it is offered */
    struct timer timer;
    struct moment active, opened;
    struct report_session protocol;
    char text[HOST_TEXT_BYTES];   /* "name[address]:port" */
    struct delivery_login *login; /* an exchange under way; NULL: none */
    char *error;                  /* why the session ended before it was up */
    unsigned depth;               /* steps of the engine that are running */
    enum send_tls tls_asked;      /* as configured */
    enum send_tls tls;            /* what that comes to with this host */
    char tls_text[TLS_TEXT_BYTES];
    struct {
        uint64_t messages, recipients, bytes; /* that the host took */
    } taken;
    enum prospect prospect; /* as of its beginning; PROSPECT_ANSWERS once it is up */
    unsigned offered;       /* messages */
    bool is_up, is_ready, is_quitting, is_closing, is_tls_trouble;
    bool is_probe;   /* the circuit breaker's */
    bool is_counted; /* among the open ones of its host */
    bool is_slowed;  /* the host ended it for it is too many, or too fast */
    bool is_leaving; /* quits because other hops wait for a connection */
    bool has_failed; /* the engine says that the host is to be left alone for a while */
    bool had_more;   /* the last event needed more than one list of actions */
};

/* --- connectivity.c ---------------------------------------------------------------------- */

/* Lines of the connectivity log: the connection is begun, it is up, it is over. */
void connectivity_begun(const struct delivery *delivery);
void connectivity_up(const struct delivery *delivery);
void connectivity_over(const struct delivery *delivery);
/* A host, or the hop as a whole (HOST ""), does not answer, or does again (ERROR ""). */
void connectivity_remark(const struct hop *hop, const char *host, const char *error);

/* --- destination.c ----------------------------------------------------------------------- */

struct destination *destination_get(struct deliver *deliver, struct hop *hop);
/* One more connection, to the best host that answers. */
void destination_open(struct destination *destination);
/* The level that is configured for a host of it. */
enum send_tls destination_tls(const struct destination *destination, const struct host *host);
void destination_free_if_done(struct destination *destination);
/* The hop goes on without it, or goes: it ends with what is under way. */
void destination_forget(struct destination *destination);
bool destination_any_up(const struct destination *destination);
/* From a delivery that ended before its session was up. */
/* ... or (WAS_UP) did so before it was of any use. */
void destination_attempt_failed(struct destination *destination, struct host *host,
    unsigned address_at, bool was_up, const char *error);
void destination_host_up(struct destination *destination, struct host *host);

/* The name it is known by: the recipient's domain, the smart host's, or its own. */
const char *host_domain(const struct host *host);
int64_t destination_ttl_ms(uint32_t ttl_s);
struct host *host_new(struct destination *destination, const char *name, uint16_t port,
    const struct host_place *place);
void host_free(struct host *host);
/* The next host of this round; none left: the hop is down until its retry plan says more. */
void destination_try_next(struct destination *destination);
/* It is not to be had: the next one of this round. */
void destination_host_failed(struct host *host, const char *error);

/* Whether there is anybody else to be asked, now, in the place of a host that is silent. */
bool destination_has_other(
    struct destination *destination, const struct host *host, unsigned address_at);
/* An attempt at HOST begins or ends: a connection not up yet, or a question to DNS. */
void host_begin_asking(struct host *host);
void host_end_asking(struct host *host);

/* --- lookup.c ---------------------------------------------------------------------------- */

void lookup_init(struct destination *destination);
void lookup_stop(struct destination *destination); /* it is forgotten */
void lookup_done(struct destination *destination); /* frees all, hosts too */
/* Asks for what has expired, and for all when there are no hosts.  What is there serves
 * meanwhile, unless nothing is under way anyway. */
void lookup_refresh(struct destination *destination);
bool lookup_is_awaited(const struct destination *destination);
/* Frees hosts that are gone, with their connections.  Nobody may have one in hand. */
void lookup_drop_gone(struct destination *destination);
bool lookup_has_hosts(const struct mx_name *mx);
/* HOST, whose addresses are known now, is this node itself: neither it nor, by MX, who comes behind it gets mail. */
void lookup_found_us(struct host *host);
/* HOST, whose addresses are known now, is somebody else. */
void lookup_found_other(struct host *host);

/* --- pacing.c ---------------------------------------------------------------------------- */

struct host_pace *host_pace_hold(struct deliver *deliver, const char *name, uint16_t port);
void host_pace_let_go(struct host_pace *pace);
void host_paces_end(struct deliver *deliver);
/* It has said REPLY, which is SIGN, to a message of WHO; NULL: to a session.  IS_AT_ONCE: instead
 * of letting us in.  False: that is WHO's alone, and nothing is slower for it. */
bool host_slow_down(struct host *host, enum pace_sign sign, const struct smtp_reply *reply,
    const struct blame_who *who, bool is_at_once);
/* Among the open connections of its host, until it quits. */
void delivery_count(struct delivery *delivery);
void delivery_uncount(struct delivery *delivery);
void destination_init_turn(struct destination *destination);
/* Whether a message may go now: by the connector's rate, by the host's.  If not, the hop is
 * wanted again once it may. */
bool destination_has_turn(struct destination *destination);
bool host_has_turn(struct host *host);
/* One goes, to HOST (NULL: a mailbox). */
void destination_took(struct destination *destination, struct host *host);
bool host_may_connect(const struct host *host);
/* Hosts that are up must wait, and the hop is wanted again then. */
bool destination_is_held_up(struct destination *destination);
unsigned destination_live_count(const struct destination *destination);

/* --- dane.c ------------------------------------------------------------------------------ */

/* Connects to a host with addresses as DNS says of its certificate, or lets it fail. */
void dane_connect(struct host *host);
void dane_done(struct host *host); /* before the host goes */

/* --- delivery_result.c ------------------------------------------------------------------- */

/* The message that an action of the engine is about. */
static inline struct sending *delivery_sending_of(const struct smtp_client_action *action)
{
    return (struct sending *)(uintptr_t)action->tag;
}
void delivery_result(struct delivery *delivery, const struct smtp_client_action *action);
/* The host ended the session, or did not begin one, by this. */
void delivery_ended_by(struct delivery *delivery, const struct smtp_reply *reply);
/* SENDING is over, or goes back to the queue as it was: both free it. */
void delivery_done(struct delivery *delivery, struct sending *sending);
void delivery_returned(struct delivery *delivery, struct sending *sending);

/* --- delivery_tls.c ---------------------------------------------------------------------- */

void delivery_choose_tls(struct delivery *delivery);
void delivery_start_tls(struct delivery *delivery);
void delivery_note_tls(struct delivery *delivery); /* it is up */
struct verdict delivery_tls_failure(const struct delivery *delivery);

/* --- delivery.c -------------------------------------------------------------------------- */

void delivery_open(struct destination *destination, struct host *host, unsigned address_at);
/* Takes items as long as the session would have some. */
void delivery_serve(struct delivery *delivery);
void delivery_quit(struct delivery *delivery);  /* once idle */
void delivery_break(struct delivery *delivery); /* now */
/* It is over: messages under way get VERDICT. */
void delivery_lose(struct delivery *delivery, struct verdict verdict);
/* Another event into the engine. */
void delivery_step(struct delivery *delivery, const struct smtp_client_event *event);
/* The first piece of what is being prepared is here, or it is damaged. */
void delivery_prepared(struct delivery *delivery, struct sending *sending);
/* A further piece of the content is here. */
void delivery_pump(struct delivery *delivery);

/* --- delivery_time.c --------------------------------------------------------------------- */

void delivery_start_timer(struct delivery *delivery);

/* --- login.c ------------------------------------------------------------------------------ */

/* The engine asks for the next word of the mechanism. */
void delivery_login(struct delivery *delivery, const struct smtp_client_action *action);
void delivery_login_end(struct delivery *delivery); /* waits for a step under way by itself */
/* TLS is there: what cannot bind to it is not tried. */
void delivery_login_choose(struct delivery *delivery);

/* --- sending.c --------------------------------------------------------------------------- */

/* This thread has it in work, in this way, from now on (os/crash.h). */
struct crash_work sending_begin(const struct sending *sending);
struct sending *sending_new(struct delivery *delivery, struct item *item);
void sending_free(struct sending *sending); /* waits for a read under way by itself */
/* The content is in memory, or its first piece is: offer it. */
bool sending_is_prepared(const struct sending *sending);
void sending_prepare(struct sending *sending);
/* The engine wants the content now. */
void sending_ask(struct sending *sending, bool is_stuffed);
/* The output has room again. */
void sending_pump(struct sending *sending);

/* --- maildir.c --------------------------------------------------------------------------- */

void maildir_want(struct destination *destination);

/* --- share.c ----------------------------------------------------------------------------- */

enum prospect deliver_prospect(const struct host *host);
/* May one more connection of the node be opened?  If not, the hop is put in turn. */
bool deliver_claim(struct deliver *deliver, struct hop *hop, enum prospect prospect);
/* Takes out the first of those in turn that may open one now; NULL: nobody may. */
struct hop *deliver_next_in_turn(struct deliver *deliver);
/* It came up, or ended before it did: its host is waited for no more. */
void deliver_opened(struct deliver *deliver, enum prospect prospect);
void deliver_release(struct deliver *deliver);
/* A connection has nothing to do: a hop that waits may have it, in deliver's next step. */
void deliver_spare(struct deliver *deliver);
void deliver_end_idle(struct deliver *deliver);
/* Between two messages: it quits if it had its share, and another hop waits for a connection. */
void delivery_end_turn(struct delivery *delivery);

/* --- deliver.c --------------------------------------------------------------------------- */

/* What becomes of a recipient when the content cannot be read: never sent in part. */
struct result deliver_unreadable(uint32_t recipient, enum err err);
/* The whole next hop refuses for good (null MX, no such domain). */
void deliver_fail_hop(struct deliver *deliver, struct hop *hop, const struct verdict *verdict);

#endif
