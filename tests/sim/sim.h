/* Two or three whole nodes in one process, from one seed: the ledger (the rules) of each, with a
 * disk, a queue, links and a clock that are made up, and with faults.  One thread; nothing here
 * looks at the real time, an address or anything else that differs between two runs.
 *
 *     main.c     the command line: which seeds, which rules are off
 *     world.c    the events in the order of time; one seed from its beginning to its end
 *     host.c     one node: start, crash, and what its ledger orders
 *     shelf.c    its store: records, flushes, what a start finds
 *     courier.c  its queue: attempts to deliver
 *     road.c     the links between nodes, frame by frame, through the words of proto/shadow
 *     wire.c     frames as bytes, written and read by proto/shadow
 *     client.c   those who send messages, and what they are told
 *     fault.c    what goes wrong
 *     check.c    the promises S1 to S5 of the contract, and the causes of what came twice
 *     loss.c     what may go with a disk
 *
 * The world's time is in ms from 0.  A node's own clock is another one: host_now(). */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "disk.h"
#include "prng.h"

#include "mail/envelope.h"
#include "node/ledger.h"

enum {
    SIM_NODES_MAX = 3,
    SIM_RECIPIENTS_MAX = 3,
    SIM_MESSAGES_MAX = 160,
    SIM_DELIVERIES_MAX = 256, /* of one message, all recipients together */
    SIM_LIVES_MAX = 1024,
    SIM_EVICTED_MAX = 256,
    SIM_NOBODY = 255,
};

struct world;
struct host;

/* --- Events ------------------------------------------------------------------------------ */

struct event;
typedef void event_run(struct world *world, struct event *event);

struct event {
    int64_t at;
    uint64_t order; /* among those of the same time */
    event_run *run;
    uint8_t host;  /* not run while that one is paused; SIM_NOBODY: the world's own */
    unsigned life; /* not run in another life of the host; 0: in any */
    uint64_t a, b, c;
    void *data; /* freed with the event */
};

/* The event, to fill in more; it is run at NOW + DELAY. */
struct event *world_in(struct world *world, int64_t delay, event_run *run);
/* The same, in this life of HOST alone, and not while it is paused. */
struct event *host_in(struct host *host, int64_t delay, event_run *run);
/* Once more, not before AT, and before all that was ordered later. */
void world_again(struct world *world, struct event *event, int64_t at);

/* --- Messages ---------------------------------------------------------------------------- */

struct delivery {
    int64_t at;
    uint8_t host, recipient;
    unsigned life, disk; /* of the host */
    bool is_in_doubt;    /* D6: the destination's answer was lost */
    bool is_noted;       /* its outcome is durable there */
};

/* What a client sent, and all that the world knows of it. */
struct message {
    struct mid mid;
    unsigned number, recipient_count;
    enum shadow_failure failure;
    int64_t sent_at, acked_at; /* acked_at: -1, not told 250 */
    bool was_refused;
    enum ledger_verdict verdict;
    uint8_t first;          /* the node that accepted it */
    int64_t patience_until; /* its destination answers 4xx until then */
    struct delivery delivery[SIM_DELIVERIES_MAX];
    unsigned delivery_count;
    uint32_t over; /* recipients with an outcome that was durable at a primary, as bits */
    uint32_t done; /* recipients delivered or failed, as bits */
    /* What a second delivery is excused by: a take-over from a living node that was silent for
     * long enough (D3), a fence that ended unanswered, or force (D4). */
    bool has_d3, has_d4;
    /* What a loss is excused by: its only copy, as recorded, went with its disk. */
    bool may_be_lost;
    bool was_copied; /* a copy was durable on another node's disk */
    /* Damage took the record of its end from a disk, and nobody else remembered it any more. */
    bool was_revived;
    /* A disk went back behind its record, and nobody could see that (R14's residue). */
    bool was_rolled_back;
    uint8_t witnesses; /* of those that can see it, as bits: until they have all forgotten */
    unsigned ended[SIM_NODES_MAX];   /* a node wrote its end, on that disk (disk_life + 1) */
    int64_t single_since;            /* one copy although two nodes could have it; -1: not so */
    uint32_t heard[SIM_NODES_MAX];   /* recipients that each node knows to be done, as bits; */
    uint32_t claimed[SIM_NODES_MAX]; /* what it had heard when it took the message over last, */
    bool has_claimed[SIM_NODES_MAX]; /* if it has; */
    bool claimed_d3[SIM_NODES_MAX];  /* and that was from a living node that was silent */
};

struct message *message_find(struct world *world, struct mid mid);
uint32_t message_all(const struct message *message); /* its recipients, as bits */

/* --- Nodes ------------------------------------------------------------------------------- */

enum work {
    WORK_NONE,   /* not this node's to deliver */
    WORK_PARKED, /* not before LEDGER_DELIVER */
    WORK_WAITING,
    WORK_TRYING,
};

enum { ENTRY_HELD_BACK_MAX = 8 };

/* What the driver knows of a message that its store has. */
struct entry {
    bool is_here, is_committing, is_accepting, is_withdrawn;
    bool waits_for_outcome; /* DELAY: 250 waits for the delivery */
    enum work work;
    unsigned attempt;                    /* counted: an older attempt's events mean nothing */
    uint8_t outcome[SIM_RECIPIENTS_MAX]; /* as noted; enum spool_outcome */
    /* Orders about it that came before its commit ended. */
    struct ledger_action held_back[ENTRY_HELD_BACK_MAX];
    unsigned held_back_count;
};

/* What becomes true when the disk has flushed up to END. */
struct landing {
    uint64_t at, end;
    enum landing_kind {
        LANDING_COMMIT,
        LANDING_COPY,
        LANDING_STOOD,
        LANDING_FLUSHED,
        LANDING_OUTCOME, /* .bits */
        LANDING_SETTLE,
    } kind;
    uint8_t peer; /* host number */
    unsigned message;
    uint32_t bits;
    uint64_t tag;
};

struct landings {
    struct landing *list;
    unsigned count, room;
};

enum lane { LANE_ASK, LANE_COPY, LANE_COUNT };

/* What is said at a time: some line, or all of an answer. */
struct frame {
    enum frame_kind {
        FRAME_OPEN,
        FRAME_OPENED,
        FRAME_HELLO,
        FRAME_WELCOME,
        FRAME_TURNED_AWAY,
        FRAME_ASK,
        FRAME_PAGE,
        FRAME_ASK_REFUSED,
        FRAME_COPY,
        FRAME_OUTCOME,
        FRAME_CLOSED,
    } kind;
    uint8_t from, to; /* of this frame */
    uint8_t client;   /* who made the connection */
    enum lane lane;
    uint64_t conn;
    uint64_t number; /* of an ask or a copy, for its answer */
    uint8_t ask_type;
    unsigned message;
    size_t n;
    uint8_t *bytes; /* behind it, in the same memory */
};

/* One end of a connection. */

struct conn {
    uint64_t number;           /* 0: none */
    bool is_up;                /* introduced, as this end knows */
    struct ledger_heard heard; /* ledger_heard() at its beginning */
    int64_t last_arrival;      /* at this end: what comes later in the stream comes later */
};

/* An ask by a lane, at both ends. */
struct asking {
    bool is_open, is_sent;
    uint64_t number;
    struct shadow_ask ask;
    uint64_t far_tag; /* the far end's name of it; 0: it has none to answer */
    struct frame far_frame;
};

/* FROM's links to another node, and that node's end of them. */
struct links {
    struct conn near[LANE_COUNT], far[LANE_COUNT];
    struct asking asking[LANE_COUNT];
    bool is_told_up, is_trying; /* ledger_on_up(); a connection is being made */
    bool is_losing;             /* the ledger is to hear that it is over */
};

/* A copy whose answer is to be sent when its store has it. */
struct receipt {
    uint64_t tag;
    struct frame frame;
};

/* A copy that was sent and not answered. */
struct flight {
    uint8_t to;
    unsigned message;
    uint64_t number;
};

struct host {
    struct world *world;
    uint8_t number;
    char name[8];
    bool is_up, is_configured, has_power;
    int64_t troubled_at; /* the last time when something was wrong with it */
    unsigned life;
    int64_t paused_until, clock_ahead;
    int64_t paused_total; /* time in which it did nothing while it lived */
    int64_t up_since, down_since;
    struct ledger *ledger;
    uint8_t peers[SIM_NODES_MAX], hosts[LEDGER_PEERS_MAX]; /* host_peer(), host_of_peer() */
    struct ledger_actions actions;
    struct disk disk;
    int64_t stores_at; /* when the last writing of the stores file ends */
    bool is_flushing, is_flush_near;
    bool lies; /* flushes are told and not done */
    struct landings landings;
    struct entry entry[SIM_MESSAGES_MAX];
    struct receipt *receipts;
    unsigned receipt_count, receipt_room;
    struct flight *flights;
    unsigned flight_count, flight_room;
    uint64_t tick; /* the number of the tick that is awaited */
    int64_t tick_at;
    struct store_id stores_had[512]; /* public ids, for the checks */
    unsigned stores_had_count;
    /* For the checks. */
    int64_t died_at[SIM_LIVES_MAX]; /* the end of each life */
    unsigned disk_life;             /* counts the disks it had, old ones restored included */
    int64_t heard_awake[SIM_NODES_MAX]; /* its waking time at the last frame from each */
    int64_t silent_at[SIM_NODES_MAX]; /* a living node was silent for long enough; -1: never */
    int64_t force_at[SIM_NODES_MAX];
    bool has_met_new[SIM_NODES_MAX]; /* it had another store, in this life of ours */
    int64_t renewed_at;              /* it became another store, and so lost its right; -1 */
    int64_t went_back_at;            /* its disk is an older one since then; -1 */
    struct disk image;               /* an old image of the disk, with its time */
    int64_t image_at;
};

/* The way between two nodes: FROM's bytes to TO. */
struct way {
    int64_t blocked_until, slow_until;
    int64_t troubled_at; /* the last time when something was wrong here */
    int64_t slow_ms;
    uint64_t reset_below; /* what was sent by these connections is lost */
};

/* A store that was evicted: it goes on until its node hears of that. */
struct evicted {
    struct store_id store;
    bool is_d3, is_d4; /* its node was alive, and silent for long enough; by force */
};

/* --- The world --------------------------------------------------------------------------- */

enum fault {
    FAULT_CRASH, /* the process: what was written is there */
    FAULT_POWER, /* the machine: of what was not flushed, any part */
    FAULT_DISK_LOST,
    FAULT_LYING, /* a crash that shows that flushes had not happened */
    FAULT_OLD_IMAGE,
    FAULT_DAMAGE,
    FAULT_CUT,   /* connections are reset */
    FAULT_BLOCK, /* both ways silent, connections stay */
    FAULT_BLOCK_ONE_WAY,
    FAULT_SLOW,
    FAULT_PAUSE,
    FAULT_JUMP,      /* its clock goes forward */
    FAULT_FULL,      /* no room on the disk */
    FAULT_TAKE_OVER, /* orders */
    FAULT_EVICT,
    FAULT_FORCE,
    FAULT_AUDIT,
    FAULT_CONFIG,
    FAULT_AWAY, /* one node for most of the time */
    FAULT_COUNT
};

struct options {
    unsigned nodes; /* 0: two or three, by the seed */
    uint32_t broken;
    uint32_t faults; /* bits of those that may happen; 0: by the seed */
    bool has_trace, has_frames;
    int trace_message; /* -1: all */
};

struct tally { /* of all seeds */
    uint64_t seeds, messages, acknowledged, deliveries, d1, d3, d4, d6, back, lost, rolled_back;
    uint64_t refused, aside, events, faults[FAULT_COUNT];
    uint64_t counts[LEDGER_EVENT_COUNT];
};

struct world {
    uint64_t seed;
    struct options options;
    struct prng prng;
    int64_t now, calm_at, end_at;
    uint64_t order, events_run;
    struct event **heap;
    unsigned heap_count, heap_room;
    unsigned host_count;
    struct host host[SIM_NODES_MAX];
    struct links links[SIM_NODES_MAX][SIM_NODES_MAX]; /* [from][to] */
    struct way way[SIM_NODES_MAX][SIM_NODES_MAX];
    struct ledger_settings settings;
    struct evicted evicted[SIM_EVICTED_MAX]; /* the last ones */
    unsigned evicted_count;
    struct message message[SIM_MESSAGES_MAX];
    unsigned message_count, message_goal;
    uint64_t conn_number, tag;
    unsigned latency_ms, flush_ms, deferred_percent, failed_percent, doubt_percent;
    int64_t fault_every_ms;
    uint32_t faults; /* enum fault, as bits */
    bool is_calm, has_failed;
    int64_t written_at; /* the last record of any disk */
    char verdict[256];  /* what was violated */
    int failed_message;
    struct tally *tally;
};

/* Runs a seed; false: a promise was broken, world->verdict says which. */
bool world_run(uint64_t seed, const struct options *options, struct tally *tally, char why[256],
    int *message);

/* A line of the story; MESSAGE: its number, or -1. */
void story(struct world *world, const struct host *host, int message, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
#define STORY(world, host, message, ...)                                                       \
    do {                                                                                       \
        if ((world)->options.has_trace)                                                        \
            story(world, host, message, __VA_ARGS__);                                          \
    } while (0)
/* A promise is broken: the seed ends here. */
void violated(struct world *world, int message, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* --- Nodes: host.c ----------------------------------------------------------------------- */

void host_init(struct host *host, struct world *world, uint8_t number);
void host_done(struct host *host);
struct moment host_now(const struct host *host);
int64_t host_awake(const struct host *host); /* ms that it lived and was not paused */
void host_start(struct host *host);
/* HAS_POWER: the process died alone, and what it wrote is there. */
void host_crash(struct host *host, bool has_power);
/* Does what the ledger has ordered; after each call of it. */
void host_act(struct host *host);
void host_set_peers(struct host *host);
uint8_t host_peer(const struct host *host, uint8_t number);  /* the ledger's index of a node */
uint8_t host_of_peer(const struct host *host, uint8_t peer); /* and back; SIM_NOBODY: none */
uint8_t host_of_name(const struct world *world, struct bytes name);
/* Whose store that is, or was. */
uint8_t host_of_store(const struct world *world, struct store_id store);
/* It is the present one. */
bool host_has_store(const struct host *host, struct store_id store);

/* --- Store: shelf.c ---------------------------------------------------------------------- */

/* The envelope, encoded; OUT is emptied first. */
void shelf_envelope(const struct message *message, struct buf *out);
struct envelope message_envelope(
    const struct message *message, struct recipient recipients[SIM_RECIPIENTS_MAX]);
/* False: the disk is full. */
bool shelf_commit(struct host *host, const struct message *message,
    const struct standing *standing, bool is_copy, uint8_t from, uint64_t tag);
/* RELAYED_AWAY: a holder has heard of it. */
void shelf_note(struct host *host, const struct message *message, uint32_t recipients,
    enum spool_outcome outcome);
void shelf_stand(struct host *host, const struct message *message, uint64_t tag,
    const struct standing *standing);
void shelf_settle(struct host *host, const struct message *message);
void shelf_barrier(struct host *host, uint64_t tag);
void shelf_stores(struct host *host, uint64_t tag);
/* Reads all of it, makes the ledger, and tells it. */
void shelf_open(struct host *host);
/* Which messages, by number, a start would find on DISK with something to do; its position. */
uint64_t shelf_read(const struct disk *disk, struct world *world, bool has[SIM_MESSAGES_MAX]);
void shelf_drop(struct host *host); /* the memory of it, at a crash */

/* --- Queue: courier.c -------------------------------------------------------------------- */

void courier_queue(struct host *host, struct message *message, int64_t delay);
void courier_withdraw(struct host *host, struct message *message);
/* Orders that came while it was being committed are done now. */
void host_committed(struct host *host, struct message *message);
bool entry_is_over(const struct entry *entry, const struct message *message);
uint32_t entry_done(
    const struct entry *entry); /* recipients that have their outcome, as bits */

/* --- Links: road.c ----------------------------------------------------------------------- */

void road_open(struct host *host); /* begins to connect to all it is configured with */
void road_crash(struct host *host, bool is_seen); /* all of its connections are gone */
void road_reset(struct world *world, uint8_t a, uint8_t b);
void road_cut(struct host *host, uint8_t to); /* by order of its ledger */
void road_copy(struct host *host, uint8_t to, const struct ledger_action *action);
void road_ask(struct host *host, uint8_t to, const struct shadow_ask *ask);
void road_answer(struct host *host, const struct ledger_action *action);
void road_held(struct host *host, const struct ledger_action *action);
void road_peers_changed(struct host *host);

/* --- Frames as bytes: wire.c ------------------------------------------------------------- */

struct frame *frame_plain(enum frame_kind kind); /* without bytes */
struct frame *frame_hello(const struct shadow_hello *hello, bool is_reply);
struct frame *frame_verdict(enum frame_kind kind, const struct verdict *verdict);
struct frame *frame_ask(const struct shadow_ask *ask);
/* PART's lists are filled in from what HOST has noted. */
struct frame *frame_page(const struct host *host, const struct shadow_page *page);
struct frame *frame_copy(
    const struct host *host, const struct message *message, const struct standing *standing);
struct frame *frame_outcome(const struct shadow_outcome *outcome, struct mid mid);

bool frame_read_hello(const struct frame *frame, struct shadow_hello *out);
struct verdict frame_read_verdict(const struct frame *frame);
bool frame_read_ask(const struct frame *frame, struct shadow_ask *out);
/* ITEMS has room for SHADOW_PAGE_MAX. */
bool frame_read_page(
    const struct frame *frame, struct shadow_item *items, struct shadow_page *out);
/* DONE: the recipients that have their outcome, as bits. */
bool frame_read_copy(const struct frame *frame, struct shadow_copy *out, uint32_t *done);
bool frame_read_outcome(const struct frame *frame, struct mid mid, struct shadow_outcome *out);

/* --- Clients: client.c ------------------------------------------------------------------- */

void client_begin(struct world *world);
/* The verdict is here: 250, later or now, or 451. */
void client_told(struct host *host, struct message *message, enum ledger_verdict verdict);
void client_delivered(struct host *host, struct message *message); /* ends a DELAY */

/* --- Faults: fault.c --------------------------------------------------------------------- */

void fault_begin(struct world *world);
void fault_end(struct world *world);                  /* all is well from here on */
uint32_t fault_profile(const char *name);             /* bits; 0: no such */
int64_t fault_takeover_ms(const struct world *world); /* R5 */

/* --- Checks: check.c --------------------------------------------------------------------- */

void check_acknowledged(struct host *host, struct message *message);
void check_delivered(
    struct host *host, struct message *message, uint8_t recipient, bool is_in_doubt);
/* Outcomes are durable; IS_HEARD: those that the primary has told to a holder. */
void check_noted(
    struct host *host, struct message *message, uint32_t recipients, bool is_heard);
void check_forgets(struct host *host, struct message *message);
/* It writes the message's end. */
void check_ends(struct host *host, struct message *message);
void check_event(struct host *host, const struct ledger_action *action);
/* LEDGER_DELIVER. */
void check_takes(struct host *host, struct message *message, const struct standing *standing);
void check_frame(struct host *host, uint8_t from); /* one arrived */
void check_heard(struct host *host, uint8_t from, const struct shadow_page *page);
void check_restarted(struct host *host);
/* HOST's disk is about to become AFTER.  False: something would be lost that the contract does
 * not allow to be lost, both copies together; so it may not happen. */
bool check_may_lose(struct host *host, const struct disk *after);
/* Which messages would begin anew, with nobody who remembers their end. */
void check_revived(struct host *host, const struct disk *after, bool revived[SIM_MESSAGES_MAX]);
void check_now_and_then(struct world *world);
void check_end(struct world *world);

#endif
