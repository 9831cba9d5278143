/* What survives the loss of this machine: links to the other nodes, who holds what.
 *
 * node.c drives the ledger (ledger.h, the rules) between the spool, the links (link_client.c,
 * link_server.c) and the path.  Home loop, unless said otherwise.
 *
 * Entries of the spool: the path has those of the messages it is to deliver (node asks for them
 * by entry_of); the node has those of copies held for others and of what is over but not yet
 * told.  An entry changes hands by spool_move_entry(), in the calls that say "takes". */
#ifndef NODE_NODE_H
#define NODE_NODE_H

#include "base/table.h"
#include "node/ledger.h"
#include "os/loop.h"
#include "os/tls.h"
#include "policy/settings.h"
#include "spool/spool.h"

struct node;

/* What this thread does to a message while it is copied (os/crash.h). */
#define NODE_COPYING "copy"

/* What the node tells the path.  None is called from inside a call of the path's but those that
 * say so; they come from the node's own step. */
struct node_path {
    void *me;
    /* The entry of a message the path has, or NULL. */
    struct spool_entry *(*entry_of)(void *me, struct mid mid);
    /* The fence lets it go: queue it. */
    void (*release)(void *me, struct mid mid);
    /* Taken over: takes the entry.  FROM: the node it was taken from.  The path reads the
     * envelope (spool_read) and queues it; its prepended header says that it may be there
     * twice (SH-8). */
    void (*take)(void *me, struct spool_entry *entry, uint16_t generation, const char *from);
    /* It is held for another now.  The path stops starting deliveries of it and, at once or
     * when those under way have ended, calls node_give_back(). */
    void (*withdraw)(void *me, struct mid mid);
    /* How often a process died with the message, CARRIED times before it came here: its copy says
     * so (R10).  NULL: as often as CARRIED. */
    uint8_t (*crash_count)(void *me, struct mid mid, uint8_t carried);
    /* Whether it may be copied: not if this process dies of that.  NULL: any may. */
    bool (*may_copy)(void *me, struct mid mid);
};

struct node_config {
    struct loop *home;
    struct spool *spool;
    const struct settings *settings; /* borrowed for the call */
    struct node_path path;
};

/* Reads the node's key and what it knows of stores.  WHY: file and reason. */
enum err node_new(const struct node_config *config, struct node **out, char why[512]) MUST_USE;
void node_free(struct node *node); /* links are closed; NULL too */
/* New settings: peers, pins, intervals; at run time. */
enum err node_change(
    struct node *node, const struct settings *settings, char why[512]) MUST_USE;

/* Other nodes are configured and redundancy is enabled.  Any thread. */
bool node_is_on(const struct node *node);

/* --- Recovery: before the loop runs ------------------------------------------------------ */

enum node_found {
    NODE_FREE,      /* the path's: queue it now */
    NODE_HELD_BACK, /* the path's, but not to be queued before release() */
    NODE_TAKEN,     /* the node has taken the entry (a copy, a word owed, set aside) */
};
enum node_found node_recover(struct node *node, const struct spool_found *found);
/* After the last one: fencing begins, links are opened. */
void node_start(struct node *node);

/* --- Acceptance (flow/secure) ------------------------------------------------------------ */

/* Embedded by the caller until ON_DONE. */
struct node_acceptance {
    struct mid_node by_mid;
    struct bytes envelope; /* borrowed until ON_DONE */
    uint32_t recipient_count;
    struct spool_content *content; /* borrowed until ON_DONE; NULL: it is on the disk */
    struct spool_entry *entry;     /* set with node_committed(); borrowed until ON_DONE */
    enum shadow_failure failure;
    void (*on_done)(struct node_acceptance *acceptance, enum ledger_verdict verdict,
        enum standing_single single);
};
/* True: commit with *STANDING, then node_committed().  False: 451 4.4.0 at once, no ON_DONE. */
bool node_accept(
    struct node *node, struct node_acceptance *acceptance, struct standing *standing);
/* ENTRY: adopted, with has_standing; NULL: the commit failed, no ON_DONE follows.  ON_DONE may be
 * called from in here.  After REJECT the entry is the node's (it takes it in there); after
 * OTHER too. */
void node_committed(
    struct node *node, struct node_acceptance *acceptance, struct spool_entry *entry);

/* --- The path ---------------------------------------------------------------------------- */

/* All recipients have their outcome: instead of spool_settle().  Takes the entry. */
void node_settled(struct node *node, struct spool_entry *entry);
/* It is deferred and some recipients have theirs. */
void node_partly(struct node *node, struct mid mid);
/* A message that the path has and that was accepted while the node was not on: it is copied as
 * soon as another can take it (R8).  For each of them, when node_is_on() became true. */
void node_adopt(struct node *node, struct mid mid);
/* May a delivery of it be started?  While nodes are asked what they have taken: perhaps not. */
bool node_may_deliver(const struct node *node, struct mid mid);
/* The answer to withdraw(): takes the entry. */
void node_give_back(struct node *node, struct spool_entry *entry);

/* --- The internal connector -------------------------------------------------------------- */

/* Takes an accepted socket of the internal connector: TLS with a pinned key, then the peer link.
 * Anybody else gets nothing. */
void node_open_link(struct node *node, int fd);

/* Ends links; copies under way are answered or lost.  Then ON_STOPPED, once. */
void node_stop(struct node *node, void (*on_stopped)(void *me), void *me);

/* --- The operator ------------------------------------------------------------------------ */

struct node_facts {
    struct ledger_facts ledger;
    uint32_t links_in, links_out, copies_in_flight;
    uint64_t copies_sent, copies_received, bytes_sent, bytes_received;
    /* Of copies sent, from the order to the answer: a histogram by powers of two of 64 us. */
    uint64_t latency[24];
};
void node_get_facts(const struct node *node, struct node_facts *out);
/* Its rules, to look at: peers and rows. */
const struct ledger *node_ledger(const struct node *node);
/* Why there is no link to the PEER of that number in the ledger: "refused"; "": there is one, or none
 * was tried.  Borrowed until the loop goes on. */
const char *node_link_error(const struct node *node, uint8_t peer);
/* The entry of a copy the node has; NULL: none. */
struct spool_entry *node_find_entry(struct node *node, struct mid mid);

enum ledger_order node_take_over(struct node *node, const char *name, bool with_force);
enum ledger_order node_evict(struct node *node, const char *name, bool with_force);
enum ledger_order node_audit(struct node *node, const char *name); /* NULL: all */

/* By command: a copy set aside or unclaimed is given to the path to be delivered, or dropped.
 * False: there is none such. */
bool node_resume_copy(struct node *node, struct mid mid);
bool node_drop_copy(struct node *node, struct mid mid);

#endif
