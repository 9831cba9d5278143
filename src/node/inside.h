/* Inside the node: what its files share.  Home loop.
 *
 *     path, links, spool, time  ->  ledger call  ->  actions  ->  step.c does them, in order,
 *                                                                 in the loop's next step
 *
 * Whoever calls the ledger gives &node->actions and calls node_did() right after: nothing is
 * done inside that call, so nobody is called back within it. */
#ifndef NODE_INSIDE_H
#define NODE_INSIDE_H

#include "base/slab.h"
#include "mail/scan.h"
#include "node/node.h"
#include "node/stores.h"
#include "os/conn.h"
#include "os/dns.h"
#include "proto/shadow/client.h"
#include "proto/shadow/server.h"

enum {
    CONTENT_PIECE_BYTES = 256 << 10, /* read from the disk at a time */
    RECOPY_IN_FLIGHT_MAX = 64,       /* R8: so many at a time, to each node */
    LATENCY_BUCKETS = 24,
};

/* --- Entries (keep.c) --------------------------------------------------------------------- */

/* An entry that is the node's: a copy held, a word owed, something set aside. */
struct keep {
    struct spool_entry entry;
    uint64_t digest; /* of its envelope (digest.c) */
    bool has_digest;
    bool is_settling; /* settled, but its content is still being sent: see copy_holds() */
};

/* Moves FROM (adopted) to a keep of its own. */
struct keep *keep_take(struct node *node, struct spool_entry *from);
struct keep *keep_find(const struct node *node, struct mid mid);
void keep_free(struct node *node, struct keep *keep); /* its entry is gone from it already */
/* The entry of MID, whoever has it; NULL: nobody. */
struct spool_entry *entry_of(const struct node *node, struct mid mid);
struct node_acceptance *acceptance_of(const struct node *node, struct mid mid);
/* Appends the recipients that have their outcome, as a list ("1-40,42"), to an empty buffer with
 * a ceiling of SHADOW_LIST_BYTES_MAX: one too long for it has the first ones. */
void entry_list_done(const struct spool_entry *entry, struct buf *out);
/* Notes as delivered those of ENTRY's recipients that LIST (checked) names and are pending. */
void entry_note_list(struct node *node, struct spool_entry *entry, struct bytes list);
/* So many of its recipients have their outcome. */
uint32_t entry_done_count(const struct spool_entry *entry);

/* Writes a standing, answers the ledger. */
void keep_stand(
    struct node *node, struct mid mid, uint64_t tag, const struct standing *standing);
void keep_flush(struct node *node, uint64_t tag, bool is_patient);
void words_free(struct node *node); /* those kept to be used again */

/* --- Digests (digest.c) ------------------------------------------------------------------- */

/* The same on every node for the same message: sender, recipients, their parameters, size.
 * False: these bytes are no envelope.  CONTENT_BYTES: without what the envelope prepends. */
bool digest_of(struct bytes envelope, uint64_t content_bytes, uint64_t *out);

/* --- Our links (peer.c, link_client.c) ----------------------------------------------------- */

enum link_role { LINK_COPY, LINK_ASK, LINK_ROLES };

struct link {
    struct peer *peer;
    enum link_role role;
    struct conn *conn;
    struct shadow_client *engine;
    struct shadow_client_config config;
    struct timer timer;
    struct loop_step soon; /* its turn, not inside another link's */
    struct moment opened;
    struct moment active;         /* something came, or went, or the first copy was begun */
    struct ledger_heard heard;    /* see ledger_heard() */
    const struct shadow_ask *ask; /* to be answered by this link; the ledger's */
    struct moment ask_limit;
    struct copy_out *streaming; /* its content is being written */
    size_t out_seen;            /* bytes of output when the time last ran out */
    struct shadow_hello hello;  /* once up; the name in it is the peer's configured one */
    bool is_up, is_ask_sent, is_closing, had_actions;
    unsigned depth;
    char why[200]; /* it closes */
};

/* A configured node. */
struct peer {
    struct node *node;
    uint8_t index; /* the ledger's */
    char *name, *host;
    struct tls_pin pin;
    struct endpoint at;
    bool has_address, is_name; /* is_name: HOST is to be looked up, each time */
    struct dns_query *query;
    struct link *links[LINK_ROLES];
    bool is_up;         /* the ledger was told */
    bool is_connecting; /* the attempt under way, or up */
    bool is_down_told;  /* the log knows that it cannot be reached, and why */
    char down_why[200]; /* "": it was not tried, or is up */
    struct timer again;
    int64_t pause_ms;
    struct moment up_since;
    const struct shadow_ask *early; /* a DISCARD asked while there is no link */
    struct list ready, waiting;     /* copies to be sent: at once; when their content is read */
    struct list begun;              /* sent, or being sent, and not answered */
    uint32_t reading;
};

/* Reads the peers of SETTINGS: new ones are connected to once the node runs. */
/* Whether there is a place for each node of SETTINGS: the ledger keeps that of one that left,
 * which may have left something behind, as long as it lives.  ERR_LIMIT: WHY has file and line. */
enum err peers_check(
    const struct node *node, const struct settings *settings, char why[512]) MUST_USE;
enum err peers_change(
    struct node *node, const struct settings *settings, char why[512]) MUST_USE;
void peers_start(struct node *node);
void peers_stop(struct node *node); /* links are closed, nothing is connected again */
void peers_free(struct node *node);
/* Ends both links; all under way on them is answered as lost; connects again after a pause. */
void peer_lose(struct peer *peer, const char *why);
void peer_cut(struct node *node, uint8_t index);
/* It has introduced itself: it is there, and a pause before we connect to it is over. */
void peer_is_there(struct node *node, uint8_t index);
void peer_ask(struct node *node, uint8_t index, const struct shadow_ask *ask);
/* A link is introduced.  False: it must be closed. */
bool peer_link_up(struct peer *peer, struct link *link);
uint8_t peer_of_pin(const struct node *node, const struct tls_pin *pin);
struct peer *peer_at(const struct node *node, uint8_t index); /* NULL: not configured */
const char *peer_name(
    const struct node *node, uint8_t index); /* of one that left, too; or "" */

/* NULL: the connection could not even be begun; WHY says more. */
struct link *link_client_open(struct peer *peer, enum link_role role, char why[200]);
void link_client_free(struct link *link); /* NULL too; answers what is under way as lost */
void link_client_ask(struct link *link, const struct shadow_ask *ask);
void link_client_ask_soon(struct link *link, const struct shadow_ask *ask);
void link_client_serve(struct link *link); /* copies are ready, or content can go on */
/* One event into its engine, whose actions are done; for copy_out.c. */
void link_client_run(struct link *link, const struct shadow_client_event *event);

/* --- Copies we send (copy_out.c) ------------------------------------------------------------ */

struct copy_out {
    struct list in_peer;
    struct node *node;
    struct peer *peer;
    struct mid mid;
    struct standing standing; /* its lineage */
    int64_t ordered_us;
    uint8_t *envelope; /* malloc */
    size_t envelope_n;
    struct bytes prepend;          /* in the envelope; once begun */
    struct spool_content *content; /* NULL: in pieces, from the disk */
    uint64_t content_bytes, done;  /* the content without what the envelope prepends */
    uint8_t *piece;                /* malloc */
    uint64_t piece_from;
    size_t piece_n;
    struct spool_read read;
    bool is_reading, is_abandoned, is_broken, is_begun, is_all_out;
};

/* STANDING: its generation, and whom it was taken from. */
void copy_order(
    struct node *node, uint8_t index, struct mid mid, const struct standing *standing);
void copy_cancel(struct node *node, uint8_t index, struct mid mid);
/* The next copy that is ready; NULL: none.  It is begun then. */
struct copy_out *copy_next(struct peer *peer);
/* Gives it to the link's engine. */
void copy_offer(struct copy_out *copy, struct link *link);
/* Writes of its content as much as the connection takes; false: it cannot be finished. */
bool copy_pump(struct copy_out *copy, struct link *link);
void copy_answer(struct copy_out *copy, const struct shadow_outcome *outcome); /* frees it */
void copies_lose(struct peer *peer); /* all are lost */
/* Its content, on the disk, is being sent just now: it must stay readable. */
bool copy_holds(const struct node *node, struct mid mid);
/* An entry came to be where there was none. */
void copies_look(struct node *node);

/* --- Links we answer (link_server.c) --------------------------------------------------------- */

struct link_in {
    struct list in_node;
    struct node *node;
    struct conn *conn;
    struct shadow_server *engine;
    struct shadow_server_config config;
    struct timer timer;             /* the introduction must come before it */
    char text[ENDPOINT_TEXT_BYTES]; /* the other side, for the log */
    uint8_t peer;
    struct ledger_heard heard[LEDGER_PEERS_MAX]; /* see ledger_heard() */
    uint64_t ask_tag;                            /* 0: nothing is asked */
    struct copy_in *receiving;
    struct list copies;   /* ended, and not answered */
    struct list answered; /* to be told to the engine */
    bool is_introduced, is_closing, has_answer;
    bool has_said; /* the output has something that the other side waits for */
    unsigned depth;
    struct shadow_server_event answer; /* goes into the engine next; what it points to: */
    struct shadow_hello hello;
    struct verdict verdict;
    struct shadow_outcome outcome;
};

void link_in_open(struct node *node, int fd);
void links_in_cut(struct node *node, uint8_t index); /* LEDGER_NO_PEER: all */
/* Answers an ask; REFUSAL.code 0: by PAGE. */
void link_in_answer(struct node *node, uint64_t tag, const struct shadow_page *page,
    const struct verdict *refusal);
/* Answers wait in `answered`. */
void link_in_serve(struct link_in *link);
/* The spool's writer has room again. */
void link_in_on_room(void *link);
uint32_t links_in_count(const struct node *node);

/* --- Copies we receive (copy_in.c) ----------------------------------------------------------- */

struct copy_in {
    struct table_node by_tag;
    struct list in_link; /* its `copies`, or its `answered` */
    struct node *node;
    struct link_in *link; /* NULL: gone */
    uint64_t tag;         /* ours, for the ledger */
    uint64_t engine_tag;
    uint8_t peer;
    struct mid mid;
    struct standing offered; /* its lineage */
    struct buf envelope;     /* as it was told; completed at the end */
    struct buf prepend;
    uint32_t prepend_left;
    struct bytes done; /* malloc */
    struct spool_writer *writer;
    struct scan scan;
    uint8_t last_two[2];
    uint64_t digest;
    struct spool_read read; /* of the envelope that is here under this mid; */
    uint64_t here_bytes;    /* its content */
    struct spool_ticket ticket;
    struct spool_barrier barrier;
    struct timer again;
    struct standing standing;
    bool is_failed; /* the rest of it is dropped; `outcome` says why */
    struct shadow_outcome outcome;
};

/* NULL: there is no room, *REFUSAL says so. */
struct copy_in *copy_in_new(struct link_in *link, const struct shadow_copy *copy,
    uint64_t engine_tag, struct verdict *refusal);
void copy_in_add(struct copy_in *copy, struct bytes content);
bool copy_in_is_full(const struct copy_in *copy);
void copy_in_abandon(struct copy_in *copy); /* before copy_in_end(); NULL too */
void copy_in_end(struct copy_in *copy);
void copy_in_free(struct copy_in *copy); /* answered */
/* The link is gone. */
void copies_in_detach(struct link_in *link);
/* LEDGER_HELD. */
void copy_in_held(struct node *node, const struct ledger_action *action);
void copies_in_free(struct node *node);

/* --- What the operator sees (tell.c, alarm.c) ------------------------------------------------ */

void tell_event(struct node *node, const struct ledger_action *action);

enum alarm {
    ALARM_SINGLE,   /* a message with one copy for longer than a minute */
    ALARM_NO_RIGHT, /* no right to deliver */
    ALARM_AUDIT,
    ALARM_OWN_STORE, /* this node's store went back, or was damaged */
    ALARM_COUNT
};

struct alarms {
    bool is_raised[ALARM_COUNT];
    int64_t until_ms[ALARM_COUNT]; /* AUDIT, OWN_STORE: over then, without a further one */
    int64_t no_right_since_ms;     /* -1: it has the right */
    bool is_silent[LEDGER_PEERS_MAX], went_back[LEDGER_PEERS_MAX];
    bool has_left[LEDGER_PEERS_MAX]; /* and left copies here */
    unsigned looks;
};

void alarms_event(struct node *node, const struct ledger_action *action);
void alarms_look(struct node *node);
void alarms_forget_peer(struct node *node, uint8_t index); /* it is not configured any more */

/* A word about a message that the path has still; written when it is given back. */
struct late_word {
    struct list in_node;
    struct mid mid;
    uint64_t tag;
    struct standing standing;
};

/* --- The node -------------------------------------------------------------------------------- */

struct node {
    struct loop *home;
    struct spool *spool;
    struct node_path path;
    struct ledger *ledger;
    struct stores *stores;
    char *name;
    char *key_files; /* the two paths the TLS context was made from, and its pins, as a text */
    struct tls_context *tls;
    struct dns *dns; /* NULL until a node's host is a name */
    atomic_bool is_on;
    int64_t heartbeat_timeout_ms, copy_timeout_ms;

    struct mid_table keeps, acceptances;
    struct slab keep_slab;
    struct table copies_in;
    struct peer *peers[LEDGER_PEERS_MAX];
    struct list links_in;
    uint64_t last_tag;
    uint32_t words, flushes; /* with the spool */
    uint32_t commits;        /* copies being committed, or read */
    uint32_t reads;
    struct word *free_words;

    struct ledger_actions actions;
    unsigned actions_at;    /* those before it are done */
    unsigned actions_owned; /* those before it have their lists for themselves */
    struct list late_words;
    struct loop_step step;
    struct timer due;
    struct timer look; /* alarms, and what is to be tried again */
    bool wants_renewal;
    struct alarms alarms;

    bool is_started, is_stopping, are_links_stopped;
    struct loop_step stop;
    struct timer stop_limit; /* once the links are stopped */
    void (*on_stopped)(void *me);
    void *on_stopped_me;

    uint64_t copies_sent, copies_received, bytes_sent, bytes_received;
    uint64_t latency[LATENCY_BUCKETS];
};

/* For a call of the ledger: the time, and the spool's position told. */
struct moment node_now(struct node *node);
/* After each call of the ledger: what it wants is done soon. */
void node_did(struct node *node);
/* Something that a stop waits for may be over. */
void node_look_stopped(struct node *node);
/* PEER has no link: what it was to be asked, and is not asked yet, fails with what was asked. */
void node_drop_asks(struct node *node, uint8_t peer);
void node_step_init(struct node *node);
void node_step_done(struct node *node); /* what was not done is dropped */
void node_try_renewal(struct node *node);
/* The path has given MID back: what waited for that is written. */
void node_write_late(struct node *node, struct mid mid);
/* The name of the node that STORE is, or was, of; "" when it is not known. */
const char *node_of_store(const struct node *node, struct store_id store);

#endif
