/* Two machines in one process: each with a spool in a folder of its own, a node, an internal
 * connector on loopback, and a path that keeps letters and delivers when it is told to. */
#ifndef TESTS_NODE_KIT_H
#define TESTS_NODE_KIT_H

#include "kit.h"

#include "node/node.h"
#include "os/listener.h"

enum { LETTERS_MAX = 600, MACHINES_MAX = 3 };

/* A message as the path has it. */
struct letter {
    struct node_acceptance acceptance;
    struct spool_ticket ticket;
    struct spool_entry entry;
    struct machine *machine;
    struct mid mid;
    uint8_t *envelope;
    size_t envelope_n;
    struct spool_content *content;
    bool is_live;     /* the entry is the path's */
    bool is_refused;  /* node_accept() said no */
    bool is_answered; /* ON_DONE came, or the commit failed */
    bool is_held_back, is_taken, is_withdrawn, is_busy;
    uint16_t generation;
    char from[64];
    enum ledger_verdict verdict;
    enum standing_single single;
};

struct machine {
    struct loop *loop;
    char folder[64]; /* spool, and keys beside it: FOLDER-keys.pem, .key */
    char name[32];
    struct settings *settings;
    struct spool *spool;
    struct node *node;
    struct listener *listener;
    bool is_stopped;
    struct recovered *recovered; /* while it starts */
    unsigned recovered_count;
    struct letter letters[LETTERS_MAX];
    unsigned letter_count;
};

/* COUNT machines on one loop, ex01.example.com and so on, each knowing the others.  They run. */
struct world {
    struct loop *loop;
    unsigned count;
    struct machine machines[MACHINES_MAX];
};

void world_init(struct world *world, unsigned count);
void world_done(struct world *world);
/* Makes MACHINE's spool and node, and listens; again after machine_stop(). */
void machine_start(struct machine *machine);
/* Ends it as the daemon does.  What it has not delivered stays in its spool. */
void machine_stop(struct world *world, struct machine *machine);
void machine_lose_spool(struct machine *machine); /* while it is down */

/* Runs the loop until HAS_COME says so; fails after a minute. */
void world_until(struct world *world, bool (*has_come)(void *me), void *me);
bool world_links_are_up(void *world); /* all to all */

/* Message NUMBER (1...) of N bytes of content to so many recipients begins to be accepted. */
struct letter *machine_accept(
    struct machine *machine, unsigned number, size_t n, unsigned recipients);
struct letter *machine_letter(struct machine *machine, unsigned number); /* NULL: none */
bool letter_is_answered(void *letter);
/* All its recipients are delivered, and it is given to the node. */
void letter_settle(struct letter *letter);
void letter_deliver(struct letter *letter, uint32_t recipient); /* one of them */
struct mid letter_mid(unsigned number);
/* The entry of NUMBER at MACHINE, with the path or the node, has the envelope and content that
 * were accepted. */
void machine_check_content(struct world *world, struct machine *machine, unsigned number,
    size_t n, unsigned recipients);

#endif
