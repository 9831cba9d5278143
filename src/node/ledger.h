/* Who holds what: the rules of shadow redundancy (docs/formats/shadow.md, R1 to R21 as far as
 * heartbeats alone go) as one engine.  Pure: no I/O, no clock, no random source, no log.  One
 * thread (the home loop's).  The driver is node/node.c; tests/sim drives several against fake
 * disks, links and clocks.
 *
 * Each event is a function; what is to be done is added to ACTIONS, to be done in order after
 * the call.  Nobody is called back.  Times are moments (monotonic, sleep included), in ms.
 *
 * A message, or copy, is a row:
 *
 *     (acceptance) COPYING -> REDUNDANT | SINGLE(reason)          \
 *                  REDUNDANT <-> SINGLE    holder lost, copied again   > role PRIMARY
 *                  CLAIMED -> (asking, copying) -> REDUNDANT | SINGLE /
 *     PRIMARY -> SETTLED (words owed) -> forgotten
 *     PRIMARY -> HELD                     another owns it (fence, copy with a higher generation)
 *     HELD -> forgotten                   discard notice
 *     HELD -> CLAIMED = PRIMARY           take-over: new store, silence, order, YOURS
 *     HELD -> HELD                        for another primary
 *     HELD -> UNCLAIMED -> forgotten      its primary does not know it
 *     PRIMARY -> ASIDE                    this store went back, or is retired
 *
 * A known node:  JOINING -> LIVE -> SILENT -> GONE ; back: FENCED -> LIVE ; RETIRED
 *
 * What survives a restart: each row's standing (spool), and what is known of stores (STORES
 * action, a small file). */
#ifndef NODE_LEDGER_H
#define NODE_LEDGER_H

#include "base/time.h"
#include "policy/settings.h"
#include "proto/shadow/shadow.h"
#include "spool/standing.h"

enum { LEDGER_PEERS_MAX = 15, LEDGER_STORES_MAX = 64 };

struct ledger;

struct ledger_settings {
    bool is_enabled;
    int64_t heartbeat_frequency_ms; /* longest wait of an ask that has nothing to tell */
    int64_t heartbeat_timeout_ms;   /* an ask not answered in this time failed */
    uint32_t heartbeat_retry_count; /* so many in a row: silent for good */
    int64_t resubmit_ms;            /* 0: timeout x count */
    int64_t auto_discard_ms, fence_wait_ms, audit_after_ms, unclaimed_hold_ms;
    uint32_t attempts_local_max, attempts_remote_max; /* further nodes tried at acceptance */
    int64_t copy_timeout_ms;                          /* one attempt at one node */
    int64_t accept_timeout_ms;                        /* all attempts together */
    enum shadow_preference preference;
    uint32_t recopy_in_flight_max; /* R8: so many copied again at a time, each node */
    uint32_t rows_max; /* looked at in one event because a store was lost; 0: 1000 */

    /* Rules that the tests switch off to see that they are missed.  0 in the product. */
    uint32_t broken;
};

/* For .broken: each names the rule it takes away. */
enum ledger_broken {
    BROKEN_AUDIT_TAKES_OVER = 1 << 0,      /* story 1: UNKNOWN is taken over */
    BROKEN_KEEPS_STORE = 1 << 1,           /* 2, 3: R14 is off */
    BROKEN_ACCEPTING_UNKNOWN = 1 << 2,     /* 4: a message in acceptance is UNKNOWN */
    BROKEN_FENCE_SKIPS_ACCEPTING = 1 << 3, /* 5 */
    BROKEN_FENCE_DROPS = 1 << 4,           /* 6: what another took is dropped */
    BROKEN_TAKER_ASKS_NOBODY = 1 << 5,     /* 7 */
    BROKEN_NO_FENCE = 1 << 6,              /* R6 */
    BROKEN_NO_PART = 1 << 7,               /* 12 */
    BROKEN_TELLS_UNFLUSHED = 1 << 8,       /* 18 */
    BROKEN_CONFIRMS_UNFLUSHED = 1 << 9,    /* 19 */
    BROKEN_FORGETS_NOTICES = 1 << 10,      /* 20: one that finds no copy is not remembered */
    BROKEN_NOTICE_OF_ANY = 1 << 11,        /* 21: a notice drops a copy held for another */
    BROKEN_SILENCE_BY_CLOCK = 1 << 12,     /* 22 */
    BROKEN_RETIRED_RETURNS = 1 << 13,      /* 25 */
    BROKEN_NEVER_AGAIN = 1 << 14,          /* 26: R8 is off */
    BROKEN_EARLY_250 = 1 << 15,            /* R1: 250 before the copy is durable */
    BROKEN_DROPS_OLD_COPIES = 1 << 16,     /* R2: a copy goes because of its age */
};

/* A node of the organisation, as configured.  NAME is copied. */
struct ledger_peer_config {
    struct bytes name;
    bool is_remote; /* at another site than this node */
};

/* What is known of a store; survives a restart. */
struct ledger_store {
    struct store_id id;
    char node[SHADOW_NODE_BYTES_MAX + 1]; /* whose; "" never stands in a file */
    bool is_current;                      /* the last that node told */
    bool is_retired, is_own; /* is_own and not is_current: a former life of this node's */
    bool went_back;          /* is_own: left because of R14's second case, or retired (R20) */
    uint64_t position; /* highest heard; is_own: at the first of those starts since which nobody
                              * has been told another, or 0 */
};

/* --- Actions ----------------------------------------------------------------------------- */

enum ledger_action_type {
    /* Store.  Rows are named by mid; the driver finds their place. */
    LEDGER_STAND,  /* write .standing (spool_stand); answer ledger_on_stood() */
    LEDGER_FORGET, /* row and content are over (spool_settle); no answer */
    LEDGER_NOTE,   /* .list: recipients of a held copy that have their outcome (PART) */
    LEDGER_FLUSH,  /* answer ledger_on_flushed(.tag) when all above is durable; .is_patient: it
                    * may wait some milliseconds for a flush that is needed anyway */
    LEDGER_STORES, /* write ledger_stores() to the file; answer ledger_on_stores(.tag) */
    LEDGER_RENEW,  /* spool_renew_store(); answer ledger_on_renewed() */
    /* Path. */
    LEDGER_ACCEPTED, /* .verdict: the end of an acceptance */
    LEDGER_DELIVER,  /* this node is to deliver it: released by the fence, or taken over
                      * (.generation, .from) */
    LEDGER_WITHDRAW, /* it is held for another now: no delivery of it is started any more; its
                      * entry is the node's (later, when one is under way) */
    /* Links. */
    LEDGER_COPY,        /* send a copy to .peer with .standing's generation and from; answer
                    * ledger_on_outcome() */
    LEDGER_COPY_CANCEL, /* too late: its answer is not waited for (still ledger_on_outcome may
                         * come and is welcome) */
    LEDGER_ASK,         /* .ask to .peer; answer ledger_on_page() or ledger_on_ask_failed() */
    LEDGER_ANSWER, /* .page: answers ledger_on_ask(.tag); refused when .verdict.code is set */
    LEDGER_HELD,   /* .outcome: answers a copy, ledger_on_copy_stored(.tag) */
    LEDGER_CUT, /* close all links with .peer: it breaks the rules, or is another store now */
    /* Operator. */
    LEDGER_EVENT, /* .event: to be counted and logged; .mid, .peer, .number as it says */
    LEDGER_ACTION_COUNT
};

enum ledger_verdict {
    LEDGER_REDUNDANT, /* a second node has it */
    LEDGER_SINGLE,    /* recorded why not: .single */
    LEDGER_DELAY,     /* recorded likewise; 250 is to wait for its delivery (SH-4) */
    LEDGER_REJECT,    /* 451 4.4.0: it does not exist any more, or never did */
    LEDGER_OTHER,     /* another owns it: it is held for that one, and 250 may be said (R1) */
};

enum ledger_event {
    LEDGER_HARECEIVE,      /* a copy is held for .peer */
    LEDGER_HAREDIRECT,     /* a copy is at .peer */
    LEDGER_HAREDIRECTFAIL, /* .peer did not take it; .text why */
    LEDGER_HADISCARD,      /* a held copy went by notice */
    LEDGER_RESUBMIT,       /* taken over from .peer */
    LEDGER_SINGLE_MADE,    /* one copy now: .single */
    LEDGER_COPIED_AGAIN,
    LEDGER_PEER_LIVE,
    LEDGER_PEER_SILENT,
    LEDGER_PEER_GONE, /* .number: ms since contact */
    LEDGER_PEER_NEW_STORE,
    LEDGER_PEER_RETIRED,
    LEDGER_PEER_WENT_BACK,
    LEDGER_TAKEOVER, /* of .peer: .number rows; .text why */
    LEDGER_FENCE_BEGUN,
    LEDGER_FENCE_OVER, /* .number: rows found to be another's */
    LEDGER_FENCED_MID, /* found to be .peer's */
    LEDGER_UNCLAIMED_FOUND,
    LEDGER_UNCLAIMED_DROPPED,
    LEDGER_SET_ASIDE,
    LEDGER_OWN_STORE_NEW, /* .text why */
    LEDGER_AUDIT_DIFFERENCE,
    LEDGER_NOTICE_EXPIRED, /* auto_discard */
    LEDGER_D1,
    LEDGER_D3,
    LEDGER_D4, /* may have been delivered twice, by cause; .number */
    LEDGER_EVENT_COUNT
};

struct ledger_action {
    enum ledger_action_type type;
    uint8_t peer; /* index of ledger_peer(); LEDGER_NO_PEER */
    struct mid mid;
    uint64_t tag;
    union {
        struct standing standing;     /* STAND, COPY, DELIVER */
        enum ledger_verdict verdict;  /* ACCEPTED (and .single) */
        const struct shadow_ask *ask; /* the ledger's; until its answer */
        struct { /* ANSWER: the callee's: shadow_page of malloc, ledger_page_free() */
            const struct shadow_page *page;
            struct verdict refusal; /* code 0: none */
        } answer;
        struct { /* HELD */
            enum shadow_fate fate;
            struct store_id store; /* MOVED */
            uint8_t node;          /* MOVED: index; LEDGER_NO_PEER: this one */
            struct verdict refusal;
        } held;
        struct bytes list; /* NOTE: borrowed from the event */
        bool is_patient;   /* FLUSH */
        struct {           /* EVENT */
            enum ledger_event event;
            uint64_t number;
            const char *text; /* a literal, or NULL */
        };
    };
    uint8_t single; /* enum standing_single */
};

enum { LEDGER_NO_PEER = 255 };

struct ledger_actions {
    unsigned count, room;
    struct ledger_action *list; /* free() */
};

void ledger_page_free(const struct shadow_page *page); /* NULL too */

/* --- Beginning --------------------------------------------------------------------------- */

/* STORES: what the file had, own ones included; the present own store is added when it is not
 * among them.  POSITION: durable position of the spool.  WAS_DAMAGED: see spool.h; ledger_start()
 * then begins with LEDGER_RENEW. */
struct ledger *ledger_new(struct bytes node, struct store_id own, uint64_t position,
    bool was_damaged, const struct ledger_store *stores, uint32_t store_count,
    const struct ledger_settings *settings);
void ledger_free(struct ledger *ledger);

/* The nodes of the organisation but this one; again when the configuration changed.  One that
 * is no longer named stays known, as does at the start one that copies are held for; it is not
 * asked any more, and what is held for it waits for an order (R20). */
void ledger_set_peers(struct ledger *ledger, const struct ledger_peer_config *peers,
    uint32_t count, struct ledger_actions *actions);
void ledger_set_settings(struct ledger *ledger, const struct ledger_settings *settings,
    struct ledger_actions *actions);

/* What the spool had, before ledger_start().  AT: spool_found.standing_at.  HAS_OUTCOMES: some
 * recipient, not all, has its outcome.  IS_DONE: all have, and no SETTLED was written. */
/* True: it is this node's and may be queued at once; other messages of this node's wait for
 * LEDGER_DELIVER.  STANDING is NULL for one that was accepted alone. */
bool ledger_recover(struct ledger *ledger, struct mid mid, const struct standing *standing,
    uint64_t at, bool has_outcomes, bool is_done);
/* Recovery is complete: fencing begins; what needs none is released by LEDGER_DELIVER. */
void ledger_start(struct ledger *ledger, struct moment now, struct ledger_actions *actions);

/* --- From the path ----------------------------------------------------------------------- */

/* A message that the path has and the ledger does not know: accepted before there was another
 * node.  It is copied as soon as one can take it (R8). */
void ledger_adopt(
    struct ledger *ledger, struct moment now, struct mid mid, struct ledger_actions *actions);

/* A message begins to be accepted.  True: commit it with *STANDING; a copy, if there is a node for
 * one, is asked for in ACTIONS and goes in parallel.  False: refuse it at once (REJECT and
 * nobody to hold it); there is no row. */
bool ledger_accept(struct ledger *ledger, struct moment now, struct mid mid,
    enum shadow_failure failure, struct standing *standing, struct ledger_actions *actions);
/* The local commit ended.  Not OK: the row is gone, no verdict follows. */
void ledger_on_committed(struct ledger *ledger, struct moment now, struct mid mid, bool is_ok,
    struct ledger_actions *actions);

/* All recipients have a durable-or-noted outcome.  STAND (words are owed) or FORGET follows. */
void ledger_on_settled(
    struct ledger *ledger, struct moment now, struct mid mid, struct ledger_actions *actions);
/* It is deferred, and some recipients have their outcome (R3, PART). */
void ledger_on_partly(struct ledger *ledger, struct mid mid, struct ledger_actions *actions);
/* May a delivery of it be started now?  (R6) */
bool ledger_may_deliver(const struct ledger *ledger, struct mid mid);

/* --- From the store ---------------------------------------------------------------------- */

/* The STAND of MID with this TAG is durable at position AT. */
void ledger_on_stood(struct ledger *ledger, struct moment now, struct mid mid, uint64_t tag,
    uint64_t at, struct ledger_actions *actions);
void ledger_on_flushed(
    struct ledger *ledger, struct moment now, uint64_t tag, struct ledger_actions *actions);
void ledger_on_stores(
    struct ledger *ledger, struct moment now, uint64_t tag, struct ledger_actions *actions);
void ledger_on_renewed(struct ledger *ledger, struct moment now, struct store_id own,
    struct ledger_actions *actions);
/* The spool's durable position now; cheap. */
void ledger_set_position(struct ledger *ledger, uint64_t position);

/* --- Links: what we ask ------------------------------------------------------------------ */

/* What was heard of a node: its store, and how far that was durable. */
struct ledger_heard {
    struct store_id store;
    uint64_t position;
};

/* The highest position heard of PEER's present store, to be noted when a link begins: at
 * conn_connect() for ours; for one that we answer at conn_accept(), of every peer, since who
 * comes is not known yet, and its words are ready before our handshake is done.  What is told
 * by that link was said later: so lower means that the store went back (R14), and not that two
 * links overtook one another. */
struct ledger_heard ledger_heard(const struct ledger *ledger, uint8_t peer);

/* Asks of type DISCARD go by the ask link, with their wait; TAKEN and AUDIT by the copy link, one
 * at a time.  A DISCARD may be asked for while there is no link: it is the heartbeat, and fails
 * (ledger_on_ask_failed) when no connection can be made.  ledger_on_down() tells of all asks by
 * that link.
 *
 * The introduction was answered: we may ask PEER and send it copies.  False: it must be cut (the
 * actions say why): its store went back or is retired, or it is not the node it should be. */
bool ledger_on_up(struct ledger *ledger, struct moment now, uint8_t peer,
    const struct shadow_hello *hello, struct ledger_heard heard,
    struct ledger_actions *actions);
/* It turned us away: 554 "store went back" / "store retired", or anything else. */
void ledger_on_turned_away(struct ledger *ledger, struct moment now, uint8_t peer,
    const struct verdict *verdict, struct ledger_actions *actions);
/* A link of ours to PEER is gone, or could not be made. */
void ledger_on_down(
    struct ledger *ledger, struct moment now, uint8_t peer, struct ledger_actions *actions);
void ledger_on_page(struct ledger *ledger, struct moment now, uint8_t peer,
    const struct shadow_page *page, struct ledger_actions *actions);
void ledger_on_ask_failed(
    struct ledger *ledger, struct moment now, uint8_t peer, struct ledger_actions *actions);
void ledger_on_outcome(struct ledger *ledger, struct moment now, uint8_t peer, struct mid mid,
    const struct shadow_outcome *outcome, struct ledger_actions *actions);

/* --- Links: what we are asked ------------------------------------------------------------ */

/* PEER introduces itself.  False: *REFUSAL (554 ...).  True: *HELLO is our answer. */
bool ledger_on_introduced(struct ledger *ledger, struct moment now, uint8_t peer,
    const struct shadow_hello *theirs, struct ledger_heard heard, struct shadow_hello *ours,
    struct verdict *refusal, struct ledger_actions *actions);
/* Answered by LEDGER_ANSWER with this TAG, sometime. */
void ledger_on_ask(struct ledger *ledger, struct moment now, uint8_t peer, uint64_t tag,
    const struct shadow_ask *ask, struct ledger_actions *actions);
/* The link that ask TAG came by is gone. */
void ledger_on_asker_gone(struct ledger *ledger, uint8_t peer, uint64_t tag);

/* A copy's generation, and whom it was taken from, on the wire and back. */
void ledger_set_lineage(struct shadow_copy *copy, const struct standing *standing);
struct standing ledger_lineage(const struct shadow_copy *copy);

enum ledger_offer {
    LEDGER_TAKE,       /* receive it, commit it with *STANDING, then ledger_on_copy_stored() */
    LEDGER_ANSWERED,   /* *OUTCOME is the answer; receive and drop the content */
    LEDGER_ONLY_STAND, /* it is here already, with the same envelope if the digests agree: the
                     * answer comes by LEDGER_HELD; receive and drop the content */
};
/* PEER offers a copy; of OFFERED what counts is generation, from and earlier.  DIGEST of its envelope is compared by the driver: IS_SAME says that what
 * is here under this mid (if anything) has the same. */
enum ledger_offer ledger_on_copy(struct ledger *ledger, struct moment now, uint8_t peer,
    struct mid mid, const struct standing *offered, bool is_same, uint64_t tag,
    struct standing *standing, struct shadow_outcome *outcome, struct ledger_actions *actions);
/* Its commit ended, or it never came to one (not OK). LEDGER_HELD follows when OK. */
void ledger_on_copy_stored(struct ledger *ledger, struct moment now, uint8_t peer,
    struct mid mid, uint64_t tag, bool is_ok, struct ledger_actions *actions);

/* --- Time and orders --------------------------------------------------------------------- */

/* Called often enough: at the latest at ledger_due().  A gap of its own clock, seen as a call
 * that comes much too late, counts as no silence of others. */
void ledger_on_time(struct ledger *ledger, struct moment now, struct ledger_actions *actions);
struct moment ledger_due(const struct ledger *ledger);

/* For how long a node is silent before it is lost (R5b). */
int64_t ledger_takeover_ms(const struct ledger *ledger);

enum ledger_order {
    LEDGER_ORDERED,
    LEDGER_NO_SUCH_NODE,
    LEDGER_NOT_SILENT, /* R5(c): not for the take-over time; only with force */
};
enum ledger_order ledger_take_over(struct ledger *ledger, struct moment now, uint8_t peer,
    bool with_force, struct ledger_actions *actions);
enum ledger_order ledger_evict(struct ledger *ledger, struct moment now, uint8_t peer,
    bool with_force, struct ledger_actions *actions);
/* Asks PEER about every copy held for it now. */
void ledger_audit(
    struct ledger *ledger, struct moment now, uint8_t peer, struct ledger_actions *actions);

/* By command: a message set aside, or an unclaimed copy, is to be delivered by this node
 * (LEDGER_DELIVER), or is dropped.  False: there is none such. */
bool ledger_resume(
    struct ledger *ledger, struct moment now, struct mid mid, struct ledger_actions *actions);
bool ledger_drop(
    struct ledger *ledger, struct moment now, struct mid mid, struct ledger_actions *actions);

/* --- Looking inside ---------------------------------------------------------------------- */

enum ledger_peer_state {
    LEDGER_JOINING, /* never heard yet */
    LEDGER_LIVE,
    LEDGER_SILENT,      /* asks fail, and it was not heard since the first of them */
    LEDGER_UNREACHABLE, /* asks fail, yet it asks us: one way is cut */
    LEDGER_GONE,        /* for the take-over time, or taken over by order */
    LEDGER_FENCED,      /* back, being asked what it has taken */
    LEDGER_RETIRED,
};

struct ledger_peer_facts {
    char node[SHADOW_NODE_BYTES_MAX + 1];
    enum ledger_peer_state state;
    bool is_configured, is_up; /* our link to it */
    struct store_id store;     /* zero: never heard */
    uint64_t position;
    int64_t contact_ms;    /* moment of the last contact; -1: never */
    int64_t unanswered_ms; /* since when our asks fail; -1: the last one was answered */
    uint32_t failures;
    uint64_t held;          /* copies held for it */
    int64_t held_oldest_ms; /* moment; -1: none */
    uint64_t owed;          /* notices */
    int64_t owed_oldest_ms; /* the lag: moment; -1: none */
    uint64_t copies_there;  /* rows of ours that are durable there */
};

struct ledger_facts {
    struct store_id own;
    uint64_t primary, redundant, single, held, unclaimed, aside, words; /* rows now */
    uint64_t single_by[SINGLE_COUNT];
    int64_t single_oldest_ms; /* moment; -1: none */
    bool is_fencing;
    bool has_right; /* to deliver all it has */
    uint64_t counts[LEDGER_EVENT_COUNT];
};

uint32_t ledger_peer_count(const struct ledger *ledger);
uint8_t ledger_find_peer(const struct ledger *ledger, struct bytes name); /* or NO_PEER */
const char *ledger_peer_name(const struct ledger *ledger, uint8_t peer);  /* below that count */
/* It walks over all rows: not for each message. */
void ledger_get_peer(const struct ledger *ledger, uint8_t peer, struct ledger_peer_facts *out);
void ledger_get_facts(const struct ledger *ledger, struct ledger_facts *out);
struct store_id ledger_own_store(const struct ledger *ledger);
/* The node that STORE is, or was, of; "": not known (any more).  The ledger's, until the next
 * event. */
const char *ledger_node_of_store(const struct ledger *ledger, struct store_id store);
/* Who we are, to introduce ourselves to PEER. */
void ledger_get_hello(const struct ledger *ledger, uint8_t peer, struct shadow_hello *out);
/* The stores to be written; the ledger's, until the next event. */
const struct ledger_store *ledger_stores(const struct ledger *ledger, uint32_t *count);

/* The present standing of a row; false: no such row. */
bool ledger_standing(const struct ledger *ledger, struct mid mid, struct standing *out);
/* Where its copies are: indexes of peers that have it durably, as bits. */
uint32_t ledger_holders(const struct ledger *ledger, struct mid mid);

/* Calls VISIT for each row with ROLE (enum standing_role); nothing may be changed meanwhile. */
void ledger_each(const struct ledger *ledger, enum standing_role role,
    void (*visit)(void *me, struct mid mid, uint8_t peer, int64_t since_ms), void *me);

#endif
