/* Inside the ledger: rows, stores, peers, and what its files share. */
#ifndef NODE_LEDGER_INSIDE_H
#define NODE_LEDGER_INSIDE_H

#include "base/list.h"
#include "base/mid_table.h"
#include "base/slab.h"
#include "base/table.h"
#include "node/ledger.h"

enum {
    NO_STORE = 255,
    TAKEOVER_STEP = 1000,   /* rows claimed in one event */
    LOSE_STEP = 1000,       /* settings.rows_max, if that is 0 */
    REMEMBERED_MAX = 65536, /* notices that found no copy (R4) */
    AUDIT_QUIET_MS =
        3000, /* after a peer's last audit its silence about a copy means something */
    AUDIT_WAIT_MS = 15000,   /* ... and when it audits nothing at all */
    REFUSING_MS = 5000,      /* a holder that refused is left alone for so long */
    GATHER_MS = 10,          /* between a page of notices and the next ask */
    AGAIN_MS = 200,          /* what has one copy is looked at so often */
    AGAIN_DOUBLINGS_MAX = 8, /* a message that nobody takes: up to 51 s between two tries */
};

/* A store, by a small number: rows name several. */
struct store {
    struct ledger_store known;
    bool in_use;
    uint8_t peer;     /* whose; LEDGER_NO_PEER: this node's, or not known */
    struct list held; /* LIST_HELD: rows whose owner it is, oldest first */
    uint64_t held_count;
    uint64_t kept_count;  /* rows that it is known to have durably */
    uint16_t again_peers; /* who asked the same while we did, and is asked once more */
    uint16_t
        ask_peers; /* who is still to be asked what it has taken from this store (XQTAKEN) */
    int64_t ask_until_ms; /* then the unanswered rest is let go (D4) */
    bool is_taking;       /* a take-over is under way: rows of `held` are still to be claimed */
    bool is_asking;       /* rows taken over from it wait for the answers, */
    bool has_found_claims; /* and some were found at the start: they wait for its fence, too */
    uint32_t claiming;     /* claims not durable yet */
    bool has_ended_claims; /* some of them were given up: the questions may go on */
    const char *taking_why;
};

struct notice {
    struct list in_peer;
    struct mid mid;
    uint64_t cursor;
    int64_t since_ms;
    bool is_part;
};

/* Where a row is listed.  Each list is in the order in which they came to it. */
enum row_list {
    LIST_NONE,
    LIST_ACCEPTING, /* copies of acceptances under way, by attempt_ms */
    LIST_COPYING,   /* copied again, likewise */
    LIST_SINGLE,    /* to be copied again, oldest first */
    LIST_DOUBTFUL,  /* after a restart: the holder has not said yet that it has it */
    LIST_UNCLAIMED, /* oldest first */
    LIST_HELD,      /* of its owner: store.held */
    ROW_LISTS
};

/* A queue of a million counts every byte: what a row needs while nothing happens to it. */
struct row {
    struct mid_node by_mid;
    struct list in_role;         /* the list `listed` says */
    uint64_t holders;            /* possible holders, as bits of stores */
    uint64_t kept;               /* of these: known to have it durably now: ledger_set_kept() */
    int64_t since_ms;            /* in this role; PRIMARY: one copy since */
    const struct row_more *more; /* of most rows: ledger_no_more */
    uint32_t seq;                /* counts up with each row: fences look back */
    uint32_t stand_tag;          /* of the latest STAND; 0: none yet */
    uint16_t generation;
    uint8_t owner, from; /* stores */
    uint32_t role : 3;   /* enum standing_role */
    uint32_t single : 3; /* enum standing_single */
    uint32_t listed : 3; /* enum row_list */
    bool is_accepting : 1, is_committed : 1;
    bool is_copy_sent : 1;  /* LEDGER_COPY was given */
    bool is_receiving : 1;  /* HELD: its content is on the way, or being committed */
    bool is_doomed : 1;     /* receiving, and the notice has come */
    bool is_claimed : 1;    /* taken over, and the claim is not firm yet: not delivered */
    bool is_firm : 1;       /* past its questions */
    bool is_first_copy : 1; /* taken over: to be copied before it is delivered (R9) */
    bool is_waiting : 1;    /* for the start's fence: LEDGER_DELIVER is owed */
    bool is_taken_now : 1;  /* claimed since the start: the start's fence is not about it */
    bool is_claiming : 1;   /* counted in its store's `claiming` */
    bool is_settled : 1;    /* SETTLED, and that is durable */
    bool is_confirmed : 1;  /* HELD: its primary called it pending in this life */
    bool
        is_unheard : 1; /* HELD: its primary has not been asked, and may not know of this copy */
    bool wants_part : 1;    /* a PART notice when the STAND is durable */
    bool answers_copy : 1;  /* LEDGER_HELD when the STAND is durable */
    bool rejects : 1;       /* SETTLED because its acceptance failed */
    bool was_told_over : 1; /* SETTLED because the node it was held for said so */
};

/* What only few rows have, and only for a while: a copy on its way, a word owed, a take-over. */
struct row_more {
    struct row *row;
    struct list in_taken; /* ledger.taken */
    uint64_t owing;       /* SETTLED: those not told yet, or who have not confirmed */
    uint64_t froms;       /* stores it was taken over from, here or by one we hold it for, */
    uint64_t told;        /* and those of them that have confirmed that they know */
    uint64_t taken_at;    /* XQTAKEN's cursor; 0: the claim is not durable yet */
    uint64_t seen_tag;    /* HELD, receiving: the copy's tag; or of an answer that waits */
    int64_t attempt_ms;   /* the copy's present attempt began */
    int64_t again_ms;     /* not copied again before */
    uint16_t tried;       /* peers that were tried in this acceptance, as bits */
    uint16_t unasked;     /* firm without an answer of these peers, as bits */
    uint8_t copy_to;      /* the peer a copy is being sent to, or to be sent to; NO_PEER */
    uint8_t asker;        /* whose copy waits for the answer of seen_tag */
    uint8_t failure;      /* enum shadow_failure of its acceptance */
    uint8_t attempts_local, attempts_remote;
    uint8_t refusals; /* one after another, since it was last copied */
};

struct question { /* TAKEN or AUDIT, one at a time */
    enum { QUESTION_NONE, QUESTION_TAKEN, QUESTION_AUDIT } kind;
    bool is_out;      /* sent, not answered */
    bool is_flushing; /* its page is being made durable */
    uint8_t store;    /* TAKEN */
    int64_t sent_ms;
    struct shadow_ask ask;
};

struct peer {
    struct shadow_node self; /* name: points to `name` */
    char name[SHADOW_NODE_BYTES_MAX + 1];
    bool is_configured, is_remote, is_up, was_heard;
    bool went_back;     /* its store is below what was heard: refused until it has another */
    bool has_forgotten; /* it has a new store since this node began: no answer to the fence */
    bool is_gone;       /* taken over, or counted as lost (R8) */
    bool is_retired;
    uint8_t store;                     /* present one; NO_STORE: never heard */
    enum ledger_peer_state told_state; /* what was said of it last */
    int64_t contact_ms;
    int64_t unanswered_ms; /* the first ask that failed since one was answered; -1: none */
    bool is_heard_since;   /* then */
    int64_t up_ms;
    uint32_t failures;
    int64_t refusing_until_ms;
    uint32_t fence_seq; /* rows before it are subject to the question about our own store */
    uint32_t copies_in_flight;
    /* We ask it for notices: the heartbeat. */
    bool is_asking, is_flushing;
    bool got_all; /* nothing of the last page is to be told again */
    int64_t ask_sent_ms, ask_next_ms;
    struct shadow_ask ask;
    bool has_cursor;
    uint64_t cursor,
        cursor_got; /* confirmed-to-be on our disk; and what the last page ended with */
    struct question question;
    /* The audit of what we hold for it. */
    bool is_auditing;
    bool audits_all, audits_unheard;
    bool has_unheard; /* since the last audit began */
    struct row *audit_next;
    int64_t audit_due_ms;
    struct row *audited[SHADOW_AUDIT_MAX]; /* unused rows are NULL */
    /* It asks us. */
    struct list notices;
    uint64_t notice_count;
    uint64_t told; /* highest cursor told */
    bool was_told; /* our present position, in this life */
    bool is_waiting;
    uint64_t wait_tag;
    uint32_t wait_max;
    int64_t wait_until_ms;
    int64_t audit_seen_ms; /* its last audit; or when it came up */
    bool has_audited;
    bool has_taken_ask; /* an XQTAKEN waits for a take-over to be finished */
    uint64_t taken_tag, taken_told;
    struct list
        *taken_mark; /* in ledger.taken: the last one it has confirmed; NULL: none yet */
    struct shadow_ask taken_ask;
};

struct remembered {
    struct table_node by_mid;
    struct mid mid;
    uint8_t store;
};

struct ledger {
    struct ledger_settings settings;
    char name[SHADOW_NODE_BYTES_MAX + 1];
    uint8_t own; /* store */
    uint64_t position, start_position;
    uint64_t first_position; /* told until the file says that another may have been */
    bool may_tell, writes_told;
    bool was_damaged, has_started, is_renewing;
    bool renew_went_back, renew_retired;
    bool renew_waits; /* for the stores file: it says why, should we die meanwhile */
    const char *renew_why;
    struct moment now;
    int64_t began_ms; /* this life; what the own clock stood still is no part of it */

    struct mid_table rows;
    struct slab row_slab, more_slab;
    uint32_t seq, start_seq; /* start_seq: those up to it wait for the fence */
    bool has_gone_back;      /* in this life (R14, R20) */
    uint32_t recovered_seq;  /* those up to it were found in the spool */
    uint64_t role_count[STANDING_ROLE_COUNT];
    uint64_t single_by[SINGLE_COUNT];
    struct list lists[LIST_HELD]; /* those before it, by enum row_list */
    struct list taken;            /* rows with `froms`, by taken_at: what XQTAKEN asks for */
    uint64_t list_count[ROW_LISTS];
    uint64_t missing_by[SINGLE_COUNT]; /* rows in SINGLE and COPYING */
    uint64_t losing;  /* stores that were lost, and not heard since: rows are to hear of it, */
    size_t losing_at; /* from here on */
    uint32_t losing_seq;  /* and none behind this one: it came later */
    uint64_t doubts_left; /* DOUBTFUL rows still to be looked at, this time */
    int64_t doubts_ms;    /* when to begin again */

    struct store stores[LEDGER_STORES_MAX];
    struct store_id *retired; /* for ever */
    uint32_t retired_count, retired_room;
    bool stores_dirty, stores_urgent, stores_writing;
    int64_t stores_ms; /* last written */
    struct ledger_store *stores_out;

    struct peer peers[LEDGER_PEERS_MAX];
    uint32_t peer_count;
    uint8_t sticky; /* the holder in use */

    bool has_former;      /* other nodes are asked about a former store of ours */
    bool is_fencing;      /* the start's, or after a gap of our clock */
    uint16_t fence_peers; /* whose answers are missing */
    int64_t fence_until_ms;
    uint64_t fence_found;

    struct table remembered;
    struct remembered *remembered_ring;
    uint32_t remembered_at;

    uint64_t next_tag;
    int64_t due_ms;
    /* Some message found at the start had been on another node: there was one, even if the file
     * that would name it is older. */
    bool has_shared;
    int64_t taken_due_ms; /* what was taken from stores that are gone is looked through */
    uint64_t counts[LEDGER_EVENT_COUNT];

    struct shadow_page page; /* of the last ANSWER */
    struct shadow_item *items;
};

static inline uint64_t store_bit(uint8_t store)
{
    return store == NO_STORE ? 0 : (uint64_t)1 << store;
}

static inline struct row *taken_row(struct list *in_taken)
{
    return container_of(in_taken, struct row_more, in_taken)->row;
}

static inline bool is_broken(const struct ledger *ledger, enum ledger_broken rule)
{
    return (ledger->settings.broken & rule) != 0;
}

static inline bool store_id_equal(struct store_id a, struct store_id b)
{
    return memcmp(a.byte, b.byte, sizeof a.byte) == 0;
}

static inline bool store_id_is_zero(struct store_id id)
{
    static const struct store_id zero;
    return store_id_equal(id, zero);
}

/* --- ledger.c, ledger_rows.c, ledger_stores.c: rows, stores, actions --------------------- */

struct ledger_action *ledger_act(struct ledger_actions *actions, enum ledger_action_type type,
    const struct row *row); /* ROW may be NULL */
void ledger_tell(struct ledger *ledger, struct ledger_actions *actions, enum ledger_event event,
    const struct row *row, uint8_t peer, uint64_t number, const char *text);

struct row *ledger_row(const struct ledger *ledger, struct mid mid);
struct row *ledger_add_row(struct ledger *ledger, struct mid mid, enum standing_role role);
/* To write into it: it has one of its own from now on. */
struct row_more *ledger_more(struct ledger *ledger, struct row *row);
extern const struct row_more ledger_no_more;
/* What was under way is over: it needs no more, unless it was taken over. */
void ledger_rest_row(struct ledger *ledger, struct row *row);
void ledger_set_kept(
    struct ledger *ledger, struct row *row, uint64_t kept); /* bits of stores */
/* Out of the list it stands in, and last in LIST (its owner's, for LIST_HELD). */
void ledger_list_row(struct ledger *ledger, struct row *row, enum row_list list);
/* Out of it.  Before its owner changes. */
void ledger_unlist_row(struct ledger *ledger, struct row *row);
void ledger_free_rows(struct ledger *ledger);
/* Out of all lists, and freed. */
void ledger_drop_row(struct ledger *ledger, struct row *row);
void ledger_forget_row(struct ledger *ledger, struct row *row, struct ledger_actions *actions);
void ledger_set_role(struct ledger *ledger, struct row *row, enum standing_role role);
void ledger_set_single(struct ledger *ledger, struct row *row, enum standing_single single);
void ledger_fill_standing(
    const struct ledger *ledger, const struct row *row, struct standing *standing);
/* The stores it was taken over from, as bits. */
uint64_t ledger_froms_of(struct ledger *ledger, const struct standing *standing);
/* Writes the row's standing. */
void ledger_stand(struct ledger *ledger, struct row *row, struct ledger_actions *actions);

uint8_t ledger_find_store(const struct ledger *ledger, struct store_id id); /* or NO_STORE */
/* Finds or makes; NO_STORE for zero, and when there is no room. */
uint8_t ledger_intern_store(struct ledger *ledger, struct store_id id);
/* The same for one that another names as an owner; NO_STORE also for one that is gone: what it
 * owned is whoever's takes it over. */
uint8_t ledger_intern_owner(struct ledger *ledger, const struct shadow_node *node);
bool ledger_is_retired(const struct ledger *ledger, struct store_id id);
void ledger_retire_store(struct ledger *ledger, struct store_id id);
void ledger_write_stores(struct ledger *ledger, struct ledger_actions *actions);
/* Our position is to be told: a later life is to know that it was. */
void ledger_want_to_tell(struct ledger *ledger);
void ledger_stores_changed(struct ledger *ledger, bool is_urgent);
/* The peer whose present store it is, or NO_PEER. */
uint8_t ledger_holder_peer(const struct ledger *ledger, uint8_t store);
/* Bits of the present stores of configured nodes. */
uint64_t ledger_current_stores(const struct ledger *ledger);
void ledger_name_store(struct store *store, const char *node);
void ledger_due_at(struct ledger *ledger, int64_t ms);
void ledger_enter(struct ledger *ledger, struct moment now);

/* --- ledger_accept.c ------------------------------------------------------------------------ */

uint8_t ledger_pick_peer(const struct ledger *ledger, uint16_t tried, bool local, bool remote);
/* What the acceptance waits for may have come. */
void ledger_accept_look(struct ledger *ledger, struct row *row, struct ledger_actions *actions);
void ledger_accept_stood(
    struct ledger *ledger, struct row *row, struct ledger_actions *actions);
void ledger_accept_time(struct ledger *ledger, struct ledger_actions *actions);
void ledger_copy_again(struct ledger *ledger, struct ledger_actions *actions); /* R8 */
/* One copy now: queued for R8. */
void ledger_row_is_single(struct ledger *ledger, struct row *row, enum standing_single why,
    struct ledger_actions *actions);
/* STORE has its content no more, or nobody knows: its rows may have one copy.  The rest of many
 * hears of it later, by ledger_lose_some(). */
void ledger_lose_store(struct ledger *ledger, uint8_t store, struct ledger_actions *actions);
void ledger_lose_some(struct ledger *ledger, struct ledger_actions *actions);
/* PEER has it durably. */
void ledger_row_is_kept(
    struct ledger *ledger, struct row *row, uint8_t peer, struct ledger_actions *actions);
/* Copying it is over, for whatever reason. */
void ledger_stop_copying(
    struct ledger *ledger, struct row *row, struct ledger_actions *actions);
void ledger_copy_failed(
    struct ledger *ledger, struct row *row, const char *why, struct ledger_actions *actions);
/* Sends the copy for which a place was made durable. */
void ledger_copy_stood(struct ledger *ledger, struct row *row, struct ledger_actions *actions);

/* --- ledger_settle.c ------------------------------------------------------------------------ */

void ledger_settle_row(struct ledger *ledger, struct row *row, struct ledger_actions *actions);
void ledger_settle_stood(
    struct ledger *ledger, struct row *row, uint64_t at, struct ledger_actions *actions);
void ledger_part_stood(
    struct ledger *ledger, struct row *row, uint64_t at, struct ledger_actions *actions);
/* Nothing is owed any more? */
void ledger_settle_look(struct ledger *ledger, struct row *row, struct ledger_actions *actions);
void ledger_answer_waiting(struct ledger *ledger, uint8_t peer, struct ledger_actions *actions);
void ledger_drop_notices(struct ledger *ledger, uint8_t peer, struct ledger_actions *actions);
void ledger_settle_time(struct ledger *ledger, struct ledger_actions *actions);
void ledger_settle_start(struct ledger *ledger, struct ledger_actions *actions);
void ledger_ask_discard(struct ledger *ledger, uint8_t peer, uint64_t tag,
    const struct shadow_ask *ask, struct ledger_actions *actions);
/* Empty page, to be filled. */
void ledger_begin_page(struct ledger *ledger, enum shadow_ask_type type);
void ledger_answer_page(
    struct ledger *ledger, uint8_t peer, uint64_t tag, struct ledger_actions *actions);
void ledger_refuse_ask(
    uint8_t peer, uint64_t tag, const char *text, struct ledger_actions *actions);

/* --- ledger_hold.c -------------------------------------------------------------------------- */

/* Held for OWNER from now on. */
void ledger_hold_for(
    struct ledger *ledger, struct row *row, uint8_t owner, uint16_t generation);
/* Another owns it (R6): PRIMARY becomes HELD. */
void ledger_yield_row(struct ledger *ledger, struct row *row, uint8_t owner,
    uint16_t generation, struct ledger_actions *actions);
void ledger_held_stood(
    struct ledger *ledger, struct row *row, uint64_t at, struct ledger_actions *actions);
void ledger_on_discard_page(struct ledger *ledger, uint8_t peer, const struct shadow_page *page,
    struct ledger_actions *actions);
void ledger_unclaimed_time(struct ledger *ledger, struct ledger_actions *actions);
/* A held copy is over. */
void ledger_discard_row(struct ledger *ledger, struct row *row, struct ledger_actions *actions);
/* It is no held copy any more: who offered it and waits asks again (LEDGER_HELD: busy). */
void ledger_answer_busy(struct row *row, struct ledger_actions *actions);
void ledger_remember_done(struct ledger *ledger, uint8_t store, struct mid mid);
bool ledger_is_remembered(const struct ledger *ledger, uint8_t store, struct mid mid);

/* --- ledger_take.c ----------------------------------------------------------------------- */

void ledger_claim_row(struct ledger *ledger, struct row *row, struct ledger_actions *actions);
void ledger_take_store(struct ledger *ledger, uint8_t store, bool is_forced, const char *why,
    struct ledger_actions *actions);
/* Its claim is durable, or not wanted any more. */
void ledger_end_claim(struct ledger *ledger, struct row *row);
void ledger_claim_stood(
    struct ledger *ledger, struct row *row, uint64_t at, struct ledger_actions *actions);
/* The questions about STORE may be over. */
void ledger_claims_look(struct ledger *ledger, uint8_t store, struct ledger_actions *actions);
/* A row taken over is on another node, or will not be: it may be delivered. */
void ledger_taken_copied(
    struct ledger *ledger, struct row *row, struct ledger_actions *actions);
void ledger_take_time(struct ledger *ledger, struct ledger_actions *actions);

/* --- ledger_fence.c ---------------------------------------------------------------------- */

/* It was this node's in a former life (R14), and nothing is decided about it yet. */
bool ledger_is_former(const struct ledger *ledger, const struct row *row);
bool ledger_is_fenced(const struct ledger *ledger, const struct row *row);
uint16_t ledger_known_peers(
    const struct ledger *ledger); /* configured, heard before; as bits */
void ledger_fence_start(struct ledger *ledger, struct ledger_actions *actions);
void ledger_fence_gap(struct ledger *ledger, struct ledger_actions *actions);
void ledger_fence_gap_passed(struct ledger *ledger, int64_t late_ms);
void ledger_fence_time(struct ledger *ledger, struct ledger_actions *actions);
void ledger_fence_peer_up(struct ledger *ledger, uint8_t peer, struct ledger_actions *actions);
void ledger_fence_peer_down(
    struct ledger *ledger, uint8_t peer, struct ledger_actions *actions);
void ledger_former_look(struct ledger *ledger, struct ledger_actions *actions);
/* It was accepted while the store was renewed. */
void ledger_former_accepted(
    struct ledger *ledger, struct row *row, struct ledger_actions *actions);
/* Asks PEER what is still to be asked, if nothing is under way: what it has taken, then audits. */
void ledger_next_question(struct ledger *ledger, uint8_t peer, struct ledger_actions *actions);
void ledger_on_taken_page(struct ledger *ledger, uint8_t peer, const struct shadow_page *page,
    struct ledger_actions *actions);
void ledger_taken_flushed(struct ledger *ledger, uint8_t peer, struct ledger_actions *actions);

/* --- ledger_tell_taken.c ----------------------------------------------------------------- */

/* Out of the list of what is told; and into it, last: the record AT says that it was taken. */
void ledger_leave_taken(struct ledger *ledger, struct row *row);
void ledger_add_taken(struct ledger *ledger, struct row *row, uint64_t at);
/* Some store it was taken from may still come and ask. */
bool ledger_is_taking_owed(const struct ledger *ledger, const struct row *row);
/* PEER has another store: what it had confirmed is told again. */
void ledger_taken_unlearned(struct ledger *ledger, uint8_t peer);
/* Answers what PEER has asked; not yet, if a take-over of that store is under way. */
void ledger_answer_taken(struct ledger *ledger, uint8_t peer, struct ledger_actions *actions);
/* PEER asks, and confirms what it was told up to the cursor. */
void ledger_ask_taken(struct ledger *ledger, uint8_t peer, uint64_t tag,
    const struct shadow_ask *ask, struct ledger_actions *actions);

/* --- ledger_audit.c ------------------------------------------------------------------------- */

void ledger_begin_audit(
    struct ledger *ledger, uint8_t peer, bool all, struct ledger_actions *actions);
bool ledger_next_audit(struct ledger *ledger, uint8_t peer, struct ledger_actions *actions);
void ledger_on_audit_page(struct ledger *ledger, uint8_t peer, const struct shadow_page *page,
    struct ledger_actions *actions);
void ledger_ask_audit(struct ledger *ledger, uint8_t peer, uint64_t tag,
    const struct shadow_ask *ask, struct ledger_actions *actions);
/* ROW leaves the list of what is held: audits go on behind it. */
void ledger_audit_pass(struct ledger *ledger, const struct row *row);
void ledger_audit_forget(struct ledger *ledger, const struct row *row);
/* A held copy came to be for another: that one may not know of it, and is asked. */
void ledger_audit_soon(struct ledger *ledger, struct row *row);
void ledger_audit_time(struct ledger *ledger, struct ledger_actions *actions);

/* --- ledger_peer.c -------------------------------------------------------------------------- */

void ledger_contact(struct ledger *ledger, uint8_t peer, struct ledger_actions *actions);
void ledger_peer_time(struct ledger *ledger, bool is_gap, struct ledger_actions *actions);
void ledger_tell_state(struct ledger *ledger, uint8_t peer, struct ledger_actions *actions);
enum ledger_peer_state ledger_peer_state(const struct ledger *ledger, const struct peer *peer);
/* Silent for the take-over time (R5b). */
bool ledger_is_lost(const struct ledger *ledger, const struct peer *peer);
void ledger_ask_flushed(struct ledger *ledger, uint8_t peer, struct ledger_actions *actions);
void ledger_heartbeat(struct ledger *ledger, uint8_t peer, struct ledger_actions *actions);
void ledger_heard_position(struct ledger *ledger, uint8_t peer, uint64_t position);
void ledger_learn_retired(struct ledger *ledger, const struct store_id *ids, uint32_t count,
    struct ledger_actions *actions);
void ledger_begin_renewal(struct ledger *ledger, bool went_back, bool retired, const char *why,
    struct ledger_actions *actions);

#endif
