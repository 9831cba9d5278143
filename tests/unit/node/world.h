/* A small world for stories about ledgers: two or three of them, disks that are durable at once,
 * links that are there or not, and a clock that is moved by hand.  (tests/sim has the cruel one.) */
#ifndef RELAIS_TESTS_UNIT_NODE_WORLD_H
#define RELAIS_TESTS_UNIT_NODE_WORLD_H

#include "kit.h"

#include "node/ledger.h"

enum { NODES = 3, ROWS = 64, STORES = 64 };

struct disk_row {
    bool is_there, is_deliverable, has_part;
    struct mid mid;
    struct standing standing;
    uint64_t at;
};

struct machine {
    struct ledger *ledger;
    struct ledger_actions actions;
    uint8_t peer_of[NODES]; /* world's number -> ledger's */
    struct disk_row rows[ROWS];
    uint64_t position;
    struct store_id store;
    struct ledger_store stores[STORES];
    uint32_t store_count;
    uint64_t events[LEDGER_EVENT_COUNT];
    enum ledger_verdict verdict;
    bool has_verdict, is_off, is_running_actions, refuses_copies;
    bool is_alone;         /* no other node is configured */
    bool refuses_for_good; /* 554: it has another one */
    unsigned copies_seen;
};

struct answer_to {
    int node;
    struct mid mid;
    bool is_ask;
};

struct world {
    struct machine machine[NODES];
    int count;
    bool link[NODES][NODES]; /* introduced: A is B's client */
    bool wire[NODES][NODES]; /* could be */
    struct moment now;
    struct answer_to tags[4096];
    uint64_t tag;
    uint8_t next_store;
    uint32_t broken;
    struct ledger_settings settings;
};

/* A story finds its world in *state. */
#define story(function, nodes) cmocka_unit_test_setup_teardown(function, nodes, nodes_end)
int two_nodes(void **state);
int three_nodes(void **state);
int nodes_end(void **state);

struct mid mid_of(uint8_t n);
struct disk_row *row_of(struct machine *machine, struct mid mid); /* NULL: not there */

/* Node A's two links with B are gone, on both sides. */
void cut(struct world *world, int a, int b);

/* Until no ledger wants anything done, at this moment or, in steps, for MS milliseconds. */
void run(struct world *world);
void pass(struct world *world, int64_t ms);

void start(struct world *world, int node, bool was_damaged);
void stop(struct world *world, int node);
void lose_disk(struct world *world, int node);

/* It starts with this image of its disk and its ledger's facts. */
void go_back(struct world *world, int node, const struct machine *image);

/* A client's message number N; false: refused, since it could not be copied. */
bool take_in(struct world *world, int node, uint8_t n, enum shadow_failure failure);

/* All its recipients are served. */
void settle(struct world *world, int node, uint8_t n);

/* What NODE has of message N: 'P'rimary to be delivered, 'p'rimary held back, 'H'eld, 'S'ettled,
 * 'U'nclaimed, 'A'side, '-' nothing. */
char has(struct world *world, int node, uint8_t n);

/* The same of all nodes, the first one first. */
void check_all(struct world *world, uint8_t n, const char *want);

#endif
