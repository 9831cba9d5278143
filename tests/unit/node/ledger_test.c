/* The rules as small stories: two or three ledgers, disks that are durable at once, links that
 * are there or not, and a clock that is moved by hand.  (tests/sim has the cruel world.) */
#include "kit.h"

#include "base/mem.h"
#include "node/ledger.h"

#include <stdio.h>
#include <stdlib.h>

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

static const char *const names[NODES] = { "a.example", "b.example", "c.example" };

static struct mid mid_of(uint8_t n)
{
    struct mid mid = { { n } };
    return mid;
}

static struct disk_row *row_of(struct machine *machine, struct mid mid)
{
    for (int i = 0; i < ROWS; i++)
        if (machine->rows[i].is_there && mid_equal(machine->rows[i].mid, mid))
            return &machine->rows[i];
    return NULL;
}

static struct disk_row *write_row(
    struct machine *machine, struct mid mid, const struct standing *standing)
{
    struct disk_row *row = row_of(machine, mid);

    for (int i = 0; !row && i < ROWS; i++)
        if (!machine->rows[i].is_there)
            row = &machine->rows[i];
    assert_non_null(row);
    row->is_there = true;
    row->mid = mid;
    row->standing = *standing;
    row->at = machine->position += 100;
    ledger_set_position(machine->ledger, machine->position);
    return row;
}

static struct store_id new_store(struct world *world)
{
    struct store_id id = { { 1, ++world->next_store } };
    return id;
}

static void run(struct world *world);

/* --- Links --------------------------------------------------------------------------------- */

static void cut(struct world *world, int a, int b)
{
    struct machine *one = &world->machine[a], *two = &world->machine[b];

    if (world->link[a][b] && one->ledger)
        ledger_on_down(one->ledger, world->now, one->peer_of[b], &one->actions);
    if (world->link[b][a] && two->ledger)
        ledger_on_down(two->ledger, world->now, two->peer_of[a], &two->actions);
    world->link[a][b] = world->link[b][a] = false;
}

static void call(struct world *world, int a, int b)
{
    struct machine *one = &world->machine[a], *two = &world->machine[b];
    struct shadow_hello mine, theirs;
    struct verdict refusal;
    struct ledger_heard heard = ledger_heard(one->ledger, one->peer_of[b]);
    struct ledger_heard heard_there = ledger_heard(two->ledger, two->peer_of[a]);

    ledger_get_hello(one->ledger, one->peer_of[b], &mine);
    if (!ledger_on_introduced(two->ledger, world->now, two->peer_of[a], &mine, heard_there,
            &theirs, &refusal, &two->actions)) {
        ledger_on_turned_away(
            one->ledger, world->now, one->peer_of[b], &refusal, &one->actions);
        return;
    }
    world->link[a][b] =
        ledger_on_up(one->ledger, world->now, one->peer_of[b], &theirs, heard, &one->actions);
}

static void connect_all(struct world *world)
{
    for (int a = 0; a < world->count; a++)
        for (int b = 0; b < world->count; b++)
            if (a != b && !world->link[a][b] && world->wire[a][b] &&
                !world->machine[a].is_off && !world->machine[b].is_off) {
                call(world, a, b);
                run(world);
            }
}

/* --- Actions ------------------------------------------------------------------------------- */

static int world_number(const struct world *world, int node, uint8_t peer)
{
    for (int i = 0; i < world->count; i++)
        if (i != node && world->machine[node].peer_of[i] == peer)
            return i;
    return -1;
}

static void copy_outcome(
    struct world *world, int to, int from, struct mid mid, const struct shadow_outcome *outcome)
{
    struct machine *machine = &world->machine[to];

    if (machine->ledger)
        ledger_on_outcome(machine->ledger, world->now, machine->peer_of[from], mid, outcome,
            &machine->actions);
}

static void do_copy(struct world *world, int node, const struct ledger_action *action)
{
    int to = world_number(world, node, action->peer);
    struct machine *there = &world->machine[to];
    struct shadow_outcome outcome = { .fate = SHADOW_LOST };
    struct standing standing;
    uint64_t tag = ++world->tag;
    uint8_t peer = there->peer_of[node];

    if (!world->link[node][to]) {
        copy_outcome(world, node, to, action->mid, &outcome);
        return;
    }
    there->copies_seen++;
    if (there->refuses_for_good) {
        outcome = (struct shadow_outcome){ SHADOW_REFUSED,
            .verdict = { 554, { 5, 6, 0 }, "another envelope" } };
        copy_outcome(world, node, to, action->mid, &outcome);
        return;
    }
    if (there->refuses_copies) {
        outcome =
            (struct shadow_outcome){ SHADOW_REFUSED, .verdict = { 452, { 4, 3, 1 }, "full" } };
        copy_outcome(world, node, to, action->mid, &outcome);
        return;
    }
    world->tags[tag % 4096] = (struct answer_to){ node, action->mid, false };
    switch (ledger_on_copy(there->ledger, world->now, peer, action->mid, &action->standing,
        true, tag, &standing, &outcome, &there->actions)) {
    case LEDGER_TAKE:
        write_row(there, action->mid, &standing);
        ledger_on_copy_stored(
            there->ledger, world->now, peer, action->mid, tag, true, &there->actions);
        break;
    case LEDGER_ANSWERED:
        copy_outcome(world, node, to, action->mid, &outcome);
        break;
    case LEDGER_ONLY_STAND:
        break;
    }
}

static void do_ask(struct world *world, int node, const struct ledger_action *action)
{
    int to = world_number(world, node, action->peer);
    struct machine *there = &world->machine[to];
    struct shadow_ask ask = *action->ask;
    uint64_t tag = ++world->tag;

    if (!world->link[node][to]) {
        ledger_on_ask_failed(world->machine[node].ledger, world->now, action->peer,
            &world->machine[node].actions);
        return;
    }
    world->tags[tag % 4096] = (struct answer_to){ node, { { 0 } }, true };
    ledger_on_ask(there->ledger, world->now, there->peer_of[node], tag, &ask, &there->actions);
}

static void do_renew(struct world *world, int node)
{
    struct machine *machine = &world->machine[node];

    machine->store = new_store(world);
    ledger_on_renewed(machine->ledger, world->now, machine->store, &machine->actions);
}

static void do_stores(struct world *world, int node, uint64_t tag)
{
    struct machine *machine = &world->machine[node];
    uint32_t count;
    const struct ledger_store *stores = ledger_stores(machine->ledger, &count);

    assert_true(count <= STORES);
    memcpy(machine->stores, stores, count * sizeof *stores);
    machine->store_count = count;
    ledger_on_stores(machine->ledger, world->now, tag, &machine->actions);
}

static void do_answer(struct world *world, int node, const struct ledger_action *action)
{
    struct answer_to to = world->tags[action->tag % 4096];
    struct machine *asker = &world->machine[to.node];

    assert_int_equal(action->answer.refusal.code, 0);
    if (world->link[to.node][node] && asker->ledger)
        ledger_on_page(asker->ledger, world->now, asker->peer_of[node], action->answer.page,
            &asker->actions);
    ledger_page_free(action->answer.page);
}

static void do_action(struct world *world, int node, const struct ledger_action *action)
{
    struct machine *machine = &world->machine[node];
    struct disk_row *row = row_of(machine, action->mid);
    struct shadow_outcome outcome = { .fate = action->held.fate };

    switch (action->type) {
    case LEDGER_STAND:
        assert_non_null(row);
        row = write_row(machine, action->mid, &action->standing);
        ledger_on_stood(
            machine->ledger, world->now, action->mid, action->tag, row->at, &machine->actions);
        break;
    case LEDGER_FORGET:
        assert_non_null(row);
        row->is_there = false;
        break;
    case LEDGER_NOTE:
        row->has_part = true;
        break;
    case LEDGER_FLUSH:
        ledger_on_flushed(machine->ledger, world->now, action->tag, &machine->actions);
        break;
    case LEDGER_STORES:
        do_stores(world, node, action->tag);
        break;
    case LEDGER_RENEW:
        do_renew(world, node);
        break;
    case LEDGER_ACCEPTED:
        machine->verdict = action->verdict;
        machine->has_verdict = true;
        row->is_deliverable = action->verdict <= LEDGER_DELAY;
        break;
    case LEDGER_DELIVER:
        assert_non_null(row);
        row->is_deliverable = true;
        break;
    case LEDGER_WITHDRAW:
        if (row)
            row->is_deliverable = false;
        break;
    case LEDGER_COPY:
        do_copy(world, node, action);
        break;
    case LEDGER_ASK:
        do_ask(world, node, action);
        break;
    case LEDGER_ANSWER:
        do_answer(world, node, action);
        break;
    case LEDGER_HELD:
        copy_outcome(world, world->tags[action->tag % 4096].node, node, action->mid, &outcome);
        break;
    case LEDGER_CUT:
        cut(world, node, world_number(world, node, action->peer));
        break;
    case LEDGER_EVENT:
        machine->events[action->event]++;
        break;
    case LEDGER_COPY_CANCEL:
    case LEDGER_ACTION_COUNT:
        break;
    }
}

/* Until no node has anything to do at this time. */
static void run(struct world *world)
{
    bool any = true;

    for (int rounds = 0; any; rounds++) {
        assert_true(rounds < 100000); /* endless traffic */
        any = false;
        for (int i = 0; i < world->count; i++) {
            struct machine *machine = &world->machine[i];
            struct ledger_actions actions = machine->actions;
            machine->actions = (struct ledger_actions){ 0 };
            for (unsigned n = 0; n < actions.count; n++) {
                any = true;
                if (machine->ledger)
                    do_action(world, i, &actions.list[n]);
            }
            free(actions.list);
        }
    }
}

static void pass(struct world *world, int64_t ms)
{
    for (int64_t end = world->now.ms + ms; world->now.ms < end;) {
        world->now.ms += 100;
        for (int i = 0; i < world->count; i++) {
            struct machine *machine = &world->machine[i];
            if (!machine->is_off)
                ledger_on_time(machine->ledger, world->now, &machine->actions);
        }
        run(world);
        connect_all(world);
    }
}

/* --- Machines ------------------------------------------------------------------------------ */

static void start(struct world *world, int node, bool was_damaged)
{
    struct machine *machine = &world->machine[node];
    struct ledger_peer_config peers[NODES];
    uint32_t count = 0;

    machine->is_off = false;
    machine->ledger = ledger_new(bytes_text(names[node]), machine->store, machine->position,
        was_damaged, machine->stores, machine->store_count, &world->settings);
    for (int i = 0; i < world->count; i++)
        if (i != node && !machine->is_alone)
            peers[count++] = (struct ledger_peer_config){ bytes_text(names[i]), false };
    ledger_set_peers(machine->ledger, peers, count, &machine->actions);
    for (int i = 0; i < world->count; i++)
        machine->peer_of[i] = ledger_find_peer(machine->ledger, bytes_text(names[i]));
    for (int i = 0; i < ROWS; i++)
        if (machine->rows[i].is_there)
            machine->rows[i].is_deliverable =
                ledger_recover(machine->ledger, machine->rows[i].mid,
                    &machine->rows[i].standing, machine->rows[i].at, false, false);
    ledger_start(machine->ledger, world->now, &machine->actions);
    run(world);
}

static void stop(struct world *world, int node)
{
    struct machine *machine = &world->machine[node];

    for (int i = 0; i < world->count; i++)
        if (i != node)
            cut(world, node, i);
    ledger_free(machine->ledger);
    machine->ledger = NULL;
    machine->is_off = true;
    run(world);
}

static void lose_disk(struct world *world, int node)
{
    struct machine *machine = &world->machine[node];

    memset(machine->rows, 0, sizeof machine->rows);
    machine->store = new_store(world);
    machine->store_count = 0;
    machine->position = 100;
}

static struct world *world_new(int count)
{
    struct world *world = mem_new(sizeof *world);

    world->count = count;
    world->now.ms = 1000000;
    world->settings = (struct ledger_settings){
        .is_enabled = true,
        .heartbeat_frequency_ms = 1000,
        .heartbeat_timeout_ms = 1000,
        .heartbeat_retry_count = 3,
        .auto_discard_ms = 1000000,
        .fence_wait_ms = 10000,
        .audit_after_ms = 60000,
        .unclaimed_hold_ms = 100000,
        .attempts_local_max = 2,
        .attempts_remote_max = 4,
        .copy_timeout_ms = 1000,
        .accept_timeout_ms = 4000,
        .recopy_in_flight_max = 8,
    };
    for (int a = 0; a < count; a++) {
        world->machine[a].store = new_store(world);
        world->machine[a].position = 1000;
        for (int b = 0; b < count; b++)
            world->wire[a][b] = a != b;
    }
    for (int i = 0; i < count; i++)
        world->machine[i].is_off = true;
    for (int i = 0; i < count; i++)
        start(world, i, false);
    connect_all(world);
    pass(world, 300);
    return world;
}

static void world_free(struct world *world)
{
    for (int i = 0; i < world->count; i++) {
        ledger_free(world->machine[i].ledger);
        free(world->machine[i].actions.list);
    }
    free(world);
}

static bool accept(struct world *world, int node, uint8_t n, enum shadow_failure failure)
{
    struct machine *machine = &world->machine[node];
    struct standing standing;

    machine->has_verdict = false;
    if (!ledger_accept(
            machine->ledger, world->now, mid_of(n), failure, &standing, &machine->actions))
        return false;
    write_row(machine, mid_of(n), &standing);
    ledger_on_committed(machine->ledger, world->now, mid_of(n), true, &machine->actions);
    run(world);
    return true;
}

static void settle(struct world *world, int node, uint8_t n)
{
    struct machine *machine = &world->machine[node];

    row_of(machine, mid_of(n))->is_deliverable = false;
    ledger_on_settled(machine->ledger, world->now, mid_of(n), &machine->actions);
    run(world);
    pass(world, 300);
}

/* What NODE has of message N: 'P'rimary to be delivered, 'p'rimary held back, 'H'eld, 'S'ettled,
 * 'U'nclaimed, 'A'side, '-' nothing. */
static char has(struct world *world, int node, uint8_t n)
{
    struct disk_row *row = row_of(&world->machine[node], mid_of(n));

    if (!row)
        return '-';
    if (row->standing.role == STANDING_PRIMARY)
        return row->is_deliverable ? 'P' : 'p';
    return "PHUSA"[row->standing.role];
}

static void check_all(struct world *world, uint8_t n, const char *want)
{
    char got[NODES + 1] = "";

    for (int i = 0; i < world->count; i++)
        got[i] = has(world, i, n);
    assert_string_equal(got, want);
}

/* --- Stories ------------------------------------------------------------------------------- */

static void test_copied_delivered_discarded(void **state)
{
    struct world *world = world_new(2);

    (void)state;
    assert_true(accept(world, 0, 1, SHADOW_FAILURE_REJECT));
    assert_int_equal(world->machine[0].verdict, LEDGER_REDUNDANT);
    check_all(world, 1, "PH");
    for (int i = 0; i < 2; i++) /* each was said to live once */
        assert_int_equal(world->machine[i].events[LEDGER_PEER_LIVE], 1);
    settle(world, 0, 1);
    check_all(world, 1, "--");
    world_free(world);
}

/* It was sent twice, because no answer came in time; the first one arrives last. */
static void test_a_copy_comes_after_its_notice(void **state)
{
    struct world *world = world_new(2);
    struct machine *b = &world->machine[1];
    struct shadow_outcome outcome;
    struct standing offered = { 0 }, standing;

    (void)state;
    accept(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    settle(world, 0, 1);
    check_all(world, 1, "--");
    assert_int_equal(ledger_on_copy(b->ledger, world->now, b->peer_of[0], mid_of(1), &offered,
                         true, 4000, &standing, &outcome, &b->actions),
        LEDGER_ANSWERED);
    assert_int_equal(outcome.fate, SHADOW_SETTLED);
    world_free(world);
}

static void test_nobody_to_hold_it(void **state)
{
    struct world *world = world_new(2);

    (void)state;
    stop(world, 1);
    assert_false(accept(world, 0, 1, SHADOW_FAILURE_REJECT));
    check_all(world, 1, "--");
    assert_true(accept(world, 0, 2, SHADOW_FAILURE_ACCEPT));
    assert_int_equal(world->machine[0].verdict, LEDGER_SINGLE);
    assert_true(accept(world, 0, 3, SHADOW_FAILURE_DELAY));
    assert_int_equal(world->machine[0].verdict, LEDGER_DELAY);
    check_all(world, 2, "P-");
    start(world, 1, false); /* R8: as soon as a node can take it */
    pass(world, 2000);
    check_all(world, 2, "PH");
    check_all(world, 3, "PH");
    world_free(world);
}

static void test_holder_refuses(void **state)
{
    struct world *world = world_new(2);

    (void)state;
    world->machine[1].refuses_copies = true;
    assert_true(accept(world, 0, 1, SHADOW_FAILURE_REJECT));
    pass(world, 5000);
    assert_true(world->machine[0].has_verdict);
    assert_int_equal(world->machine[0].verdict, LEDGER_REJECT);
    pass(world, 2000);
    check_all(world, 1, "--");
    world_free(world);
}

static unsigned count_actions(
    const struct machine *machine, enum ledger_action_type type, enum ledger_event event)
{
    unsigned count = 0;

    for (unsigned i = 0; i < machine->actions.count; i++) {
        const struct ledger_action *action = &machine->actions.list[i];
        count += action->type == type && (type != LEDGER_EVENT || action->event == event);
    }
    return count;
}

/* The first is tried at a second node, whose place is not durable yet: the time of the one behind
 * it runs out all the same.  (Nothing is done here of what is ordered.) */
static void test_a_late_copy_behind_one_that_waits(void **state)
{
    struct world *world = world_new(3);
    struct machine *machine = &world->machine[0];
    const struct shadow_outcome refused = { SHADOW_REFUSED,
        .verdict = { 452, { 4, 3, 1 }, "full" } };
    struct standing standing;
    uint8_t to;

    (void)state;
    for (uint8_t n = 1; n <= 2; n++) {
        world->now.ms += 10;
        assert_true(ledger_accept(machine->ledger, world->now, mid_of(n), SHADOW_FAILURE_ACCEPT,
            &standing, &machine->actions));
        ledger_on_committed(machine->ledger, world->now, mid_of(n), true, &machine->actions);
    }
    assert_int_equal(count_actions(machine, LEDGER_COPY, 0), 2);
    to = machine->actions.list[0].peer;
    world->now.ms += 500;
    ledger_on_outcome(machine->ledger, world->now, to, mid_of(1), &refused, &machine->actions);
    assert_int_equal(count_actions(machine, LEDGER_STAND, 0), 1);
    assert_int_equal(count_actions(machine, LEDGER_EVENT, LEDGER_HAREDIRECTFAIL), 1);
    world->now.ms += 500;
    ledger_on_time(machine->ledger, world->now, &machine->actions);
    assert_int_equal(count_actions(machine, LEDGER_EVENT, LEDGER_HAREDIRECTFAIL), 2);
    world_free(world);
}

static void test_primary_dies_and_returns(void **state)
{
    struct world *world = world_new(2);

    (void)state;
    accept(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    accept(world, 0, 2, SHADOW_FAILURE_ACCEPT);
    stop(world, 0);
    pass(world, 2000);
    check_all(world, 1, "PH"); /* its disk still says so */
    pass(world, 2000);
    assert_int_equal(has(world, 1, 1), 'P');
    settle(world, 1, 1);
    assert_int_equal(has(world, 1, 1), 'S'); /* taken: kept until its first primary knows */
    start(world, 0, false);
    assert_int_equal(has(world, 0, 1), 'p'); /* before it has asked */
    pass(world, 2000);
    check_all(world, 2, "HP"); /* what the other has taken it holds for that one */
    settle(world, 1, 2);
    check_all(world, 2, "--");
    pass(world, 2000);
    check_all(world, 1, "--");
    world_free(world);
}

/* The other was told what it holds; that it may go is told too, with no copy of ours on its way. */
static void test_settled_before_it_is_copied_again(void **state)
{
    struct world *world = world_new(2);

    (void)state;
    accept(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    stop(world, 0);
    pass(world, 4000);
    world->settings.recopy_in_flight_max = 0;
    ledger_set_settings(world->machine[1].ledger, &world->settings, &world->machine[1].actions);
    start(world, 0, false);
    pass(world, 2000);
    check_all(world, 1, "HP");
    settle(world, 1, 1);
    check_all(world, 1, "--");
    world_free(world);
}

static void test_primary_loses_its_disk(void **state)
{
    struct world *world = world_new(2);

    (void)state;
    accept(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    stop(world, 0);
    lose_disk(world, 0);
    start(world, 0, false);
    pass(world, 500); /* another store id: at once */
    assert_int_equal(has(world, 1, 1), 'P');
    pass(world, 2000);
    check_all(world, 1, "HP"); /* and copied again */
    settle(world, 1, 1);
    check_all(world, 1, "SS"); /* should the old store come back after all */
    pass(world, 1200000);
    check_all(world, 1, "--");
    world_free(world);
}

static void test_holder_loses_its_disk(void **state)
{
    struct world *world = world_new(2);

    (void)state;
    accept(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    stop(world, 1);
    lose_disk(world, 1);
    start(world, 1, false);
    pass(world, 2000);
    check_all(world, 1, "PH");
    world_free(world);
}

static void test_both_die_and_return(void **state)
{
    struct world *world = world_new(2);

    (void)state;
    accept(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    accept(world, 1, 2, SHADOW_FAILURE_ACCEPT);
    stop(world, 0);
    stop(world, 1);
    start(world, 0, false);
    start(world, 1, false);
    pass(world, 20000);
    check_all(world, 1, "PH");
    check_all(world, 2, "HP");
    settle(world, 0, 1);
    settle(world, 1, 2);
    check_all(world, 1, "--");
    check_all(world, 2, "--");
    world_free(world);
}

static void test_a_fence_ends(void **state)
{
    struct world *world = world_new(2);

    (void)state;
    accept(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    stop(world, 1);
    stop(world, 0);
    start(world, 0, false);
    pass(world, 5000);
    check_all(world, 1, "pH");
    pass(world, 6000);
    check_all(world, 1, "PH");
    assert_int_equal(world->machine[0].events[LEDGER_D4], 1);
    world_free(world);
}

static void test_unclaimed(void **state)
{
    struct world *world = world_new(2);
    struct standing standing;

    (void)state;
    /* The primary dies between the copy and its own commit. */
    ledger_accept(world->machine[0].ledger, world->now, mid_of(1), SHADOW_FAILURE_ACCEPT,
        &standing, &world->machine[0].actions);
    run(world);
    check_all(world, 1, "-H");
    stop(world, 0);
    start(world, 0, false);
    pass(world, 2000);
    check_all(world, 1, "-U");
    pass(world, 110000);
    check_all(world, 1, "--");
    world_free(world);
}

static void test_went_back(void **state)
{
    struct world *world = world_new(2);
    struct machine image;

    (void)state;
    accept(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    image = world->machine[0];
    accept(world, 0, 2, SHADOW_FAILURE_ACCEPT);
    settle(world, 0, 1);
    pass(world, 3000);
    stop(world, 0);
    memcpy(world->machine[0].rows, image.rows, sizeof image.rows);
    world->machine[0].position = image.position;
    start(world, 0, false);
    pass(world, 3000);
    assert_int_equal(world->machine[0].events[LEDGER_OWN_STORE_NEW], 1);
    assert_int_equal(has(world, 0, 1), 'A'); /* long delivered: for the administrator */
    assert_int_equal(has(world, 1, 2), 'P'); /* the holder has it and delivers */
    pass(world, 3000);
    assert_int_equal(has(world, 0, 2), 'H');
    world_free(world);
}

static void go_back(struct world *world, int node, const struct machine *image)
{
    struct machine *machine = &world->machine[node];

    stop(world, node);
    memcpy(machine->rows, image->rows, sizeof image->rows);
    memcpy(machine->stores, image->stores, sizeof image->stores);
    machine->store_count = image->store_count;
    machine->store = image->store;
    machine->position = image->position;
    start(world, node, false);
}

/* It writes more, before anybody hears of it, than it had lost, and starts once more. */
static void test_went_back_and_grew(void **state)
{
    struct world *world = world_new(2);
    struct machine image;
    uint64_t position;

    (void)state;
    accept(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    image = world->machine[0];
    settle(world, 0, 1);
    pass(world, 3000);
    position = world->machine[0].position;
    go_back(world, 0, &image);
    for (uint8_t n = 2; n < 10; n++)
        accept(world, 0, n, SHADOW_FAILURE_ACCEPT);
    assert_true(world->machine[0].position > position);
    stop(world, 0);
    start(world, 0, false);
    pass(world, 3000);
    assert_int_equal(world->machine[0].events[LEDGER_OWN_STORE_NEW], 1);
    assert_int_equal(has(world, 0, 1), 'A');
    world_free(world);
}

/* What it alone had may be long delivered; and so may what it alone had from an earlier life. */
static void test_went_back_alone(void **state)
{
    struct world *world = world_new(2);
    struct machine image;

    (void)state;
    stop(world, 1);
    pass(world, 5000);
    accept(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    stop(world, 0);
    start(world, 0, true);
    pass(world, 1000);
    accept(world, 0, 2, SHADOW_FAILURE_ACCEPT);
    image = world->machine[0];
    assert_int_equal(has(world, 0, 1), 'p'); /* still of the damaged store */
    start(world, 1, false);
    pass(world, 3000);
    settle(world, 0, 1);
    settle(world, 0, 2);
    pass(world, 3000);
    go_back(world, 0, &image);
    pass(world, 3000);
    check_all(world, 1, "A-");
    check_all(world, 2, "A-");
    world_free(world);
}

/* A claim that is found at a start may have been taken from this node in its turn. */
static void test_found_claim_waits(void **state)
{
    struct world *world = world_new(2);

    (void)state;
    accept(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    stop(world, 0);
    pass(world, 5000);
    check_all(world, 1, "PP");
    stop(world, 1);
    start(world, 1, false);
    pass(world, 5000);
    assert_int_equal(has(world, 1, 1), 'p');
    start(world, 0, false);
    pass(world, 3000);
    check_all(world, 1, "HP");
    stop(world, 0);
    stop(world, 1);
    start(world, 1, false);
    pass(world, 11000);
    assert_int_equal(has(world, 1, 1), 'P');
    assert_int_equal(world->machine[1].events[LEDGER_D4], 1);
    world_free(world);
}

/* Two links begin before the other node is heard; the first one tells of its new store.  What was
 * heard of the old one says nothing about that. */
static void test_new_store_on_two_links(void **state)
{
    struct world *world = world_new(2);
    struct machine *b = &world->machine[1];
    struct ledger_heard heard = ledger_heard(b->ledger, b->peer_of[0]);
    struct shadow_hello hello, answer;
    struct verdict refusal;

    (void)state;
    assert_true(heard.position > 200);
    stop(world, 0);
    lose_disk(world, 0);
    start(world, 0, false);
    ledger_get_hello(world->machine[0].ledger, world->machine[0].peer_of[1], &hello);
    assert_true(hello.position < heard.position);
    for (int link = 0; link < 2; link++)
        assert_true(ledger_on_introduced(b->ledger, world->now, b->peer_of[0], &hello, heard,
            &answer, &refusal, &b->actions));
    run(world);
    world_free(world);
}

static void test_damaged(void **state)
{
    struct world *world = world_new(2);

    (void)state;
    accept(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    stop(world, 1);
    pass(world, 4000);
    accept(world, 0, 2, SHADOW_FAILURE_ACCEPT); /* alone */
    stop(world, 0);
    start(world, 1, false);
    start(world, 0, true);
    pass(world, 4000);
    check_all(world, 1, "HP");
    check_all(world, 2, "PH");
    world_free(world);
}

static void test_orders_about_nobody(void **state)
{
    struct world *world = world_new(2);
    struct ledger *ledger = world->machine[0].ledger;
    struct ledger_actions *actions = &world->machine[0].actions;

    (void)state;
    for (unsigned number = 1; number <= LEDGER_NO_PEER; number++) {
        assert_int_equal(ledger_take_over(ledger, world->now, (uint8_t)number, true, actions),
            LEDGER_NO_SUCH_NODE);
        assert_int_equal(ledger_evict(ledger, world->now, (uint8_t)number, true, actions),
            LEDGER_NO_SUCH_NODE);
        ledger_audit(ledger, world->now, (uint8_t)number, actions); /* does nothing */
    }
    world_free(world);
}

static void test_evicted_and_back(void **state)
{
    struct world *world = world_new(2);

    (void)state;
    accept(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    assert_int_equal(ledger_evict(world->machine[1].ledger, world->now,
                         world->machine[1].peer_of[0], false, &world->machine[1].actions),
        LEDGER_NOT_SILENT);
    stop(world, 0);
    pass(world, 4000);
    assert_int_equal(ledger_evict(world->machine[1].ledger, world->now,
                         world->machine[1].peer_of[0], false, &world->machine[1].actions),
        LEDGER_ORDERED);
    run(world);
    settle(world, 1, 1);
    check_all(world, 1, "PS"); /* a retired store may come back */
    start(world, 0, false);
    pass(world, 4000);
    assert_int_equal(has(world, 0, 1), '-'); /* it heard that this one is over, */
    for (int i = 0; i < 2; i++)              /* which was delivered once */
        assert_int_equal(world->machine[i].events[LEDGER_D1] +
                             world->machine[i].events[LEDGER_D3] +
                             world->machine[i].events[LEDGER_D4],
            0);
    accept(world, 0, 2, SHADOW_FAILURE_REJECT); /* it is a node again */
    check_all(world, 2, "PH");
    world_free(world);
}

/* What is held for one that is no longer configured is taken over by order alone, also when
 * this node has started since. */
static void test_left_with_copies(void **state)
{
    (void)state;
    for (int has_restarted = 0; has_restarted < 2; has_restarted++) {
        struct world *world = world_new(2);
        struct machine *machine = &world->machine[1];
        struct ledger_peer_facts facts;
        accept(world, 0, 1, SHADOW_FAILURE_ACCEPT);
        stop(world, 0);
        machine->is_alone = true;
        if (has_restarted) {
            stop(world, 1);
            start(world, 1, false);
        } else {
            ledger_set_peers(machine->ledger, NULL, 0, &machine->actions);
        }
        pass(world, 10000);
        assert_int_equal(has(world, 1, 1), 'H');
        assert_int_equal(ledger_peer_count(machine->ledger), 1);
        ledger_get_peer(machine->ledger, 0, &facts);
        assert_string_equal(facts.node, "a.example");
        assert_false(facts.is_configured);
        assert_int_equal(facts.held, 1);
        assert_int_equal(ledger_evict(machine->ledger, world->now, 0, false, &machine->actions),
            LEDGER_NOT_SILENT);
        assert_int_equal(ledger_evict(machine->ledger, world->now, 0, true, &machine->actions),
            LEDGER_ORDERED);
        run(world);
        pass(world, 1000);
        assert_int_equal(has(world, 1, 1), 'P');
        world_free(world);
    }
}

static void test_three_nodes(void **state)
{
    struct world *world = world_new(3);
    int holder;

    (void)state;
    accept(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    holder = has(world, 1, 1) == 'H' ? 1 : 2;
    assert_int_equal(has(world, holder, 1), 'H');
    stop(world, 0);
    pass(world, 6000);
    assert_int_equal(has(world, holder, 1), 'P');
    assert_int_equal(has(world, 3 - holder, 1), 'H'); /* R9 */
    stop(world, holder);
    pass(world, 6000);
    assert_int_equal(has(world, 3 - holder, 1), 'P');
    start(world, 0, false);
    pass(world, 3000);
    assert_int_equal(has(world, 0, 1), 'H');
    start(world, holder, false);
    pass(world, 3000);
    assert_int_equal(has(world, holder, 1), 'H');
    settle(world, 3 - holder, 1);
    pass(world, 70000);
    check_all(world, 1, "---");
    world_free(world);
}

/* Both had a copy; the one that yields asks at once, so that the other knows of it. */
static void test_two_holders_take_over(void **state)
{
    struct world *world = world_new(3);
    int first, second, loser;

    (void)state;
    accept(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    first = has(world, 1, 1) == 'H' ? 1 : 2;
    second = 3 - first;
    stop(world, first);
    pass(world, 6000);
    assert_int_equal(has(world, second, 1), 'H'); /* R8 */
    start(world, first, false);
    pass(world, 1000);
    assert_int_equal(has(world, first, 1), 'H');
    world->settings.preference = SHADOW_REMOTE_ONLY; /* no copy goes from one to the other */
    for (int i = 1; i < 3; i++)
        ledger_set_settings(
            world->machine[i].ledger, &world->settings, &world->machine[i].actions);
    stop(world, 0);
    pass(world, 6000);
    loser = has(world, 1, 1) == 'H' ? 1 : 2;
    assert_int_equal(has(world, loser, 1), 'H');
    assert_int_equal(has(world, 3 - loser, 1), 'P');
    settle(world, 3 - loser, 1);
    assert_int_equal(has(world, loser, 1), 'S'); /* for the first primary to hear */
    world_free(world);
}

static void set_wire(struct world *world, int a, int b, bool is_there)
{
    world->wire[a][b] = world->wire[b][a] = is_there;
    if (!is_there)
        cut(world, a, b);
}

/* Both claimed it from a third node, which holds it for the one that died with its claim, and hears
 * no notice of the other: that one has not waited, and its end is remembered. */
static void test_two_claims(void **state)
{
    struct world *world = world_new(3);
    int taker, other;

    (void)state;
    accept(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    taker = has(world, 1, 1) == 'H' ? 1 : 2;
    other = 3 - taker;
    stop(world, 0);
    pass(world, 6000);
    assert_int_equal(has(world, taker, 1), 'P');
    assert_int_equal(has(world, other, 1), 'H');
    stop(world, taker);
    start(world, 0, false);
    pass(world, 1500);
    assert_int_equal(has(world, 0, 1), 'H');
    set_wire(world, 0, other, false);
    set_wire(world, taker, other, false);
    pass(world, 2000);
    assert_int_equal(has(world, 0, 1), 'p');
    assert_int_equal(has(world, other, 1), 'p');
    start(world, taker, false);
    pass(world, 300);
    assert_int_equal(has(world, taker, 1), 'H');
    stop(world, 0);
    world->wire[taker][other] = true; /* it asks, and nothing is copied to it */
    pass(world, 1500);
    assert_int_equal(has(world, other, 1), 'P');
    settle(world, other, 1);
    set_wire(world, 0, other, true);
    start(world, 0, false);
    pass(world, 5000);
    check_all(world, 1, other == 2 ? "-S-" : "--S"); /* for node 0, should it ask again */
    world_free(world);
}

/* Who holds it for a taker by hearsay, and takes it over in its turn, has an answer for the first
 * primary. */
static void test_taken_from_hearsay(void **state)
{
    struct world *world = world_new(3);
    struct machine image;
    struct store_id first = world->machine[0].store;
    const struct standing *standing;
    int taker, other;

    (void)state;
    accept(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    taker = has(world, 1, 1) == 'H' ? 1 : 2;
    other = 3 - taker;
    image = world->machine[taker];
    stop(world, 0);
    pass(world, 6000);
    assert_int_equal(has(world, taker, 1), 'P');
    assert_int_equal(has(world, other, 1), 'H');
    world->settings.preference = SHADOW_REMOTE_ONLY; /* no copy says whom it was taken from */
    ledger_set_settings(
        world->machine[other].ledger, &world->settings, &world->machine[other].actions);
    go_back(world, taker, &image);
    pass(world, 5000);
    assert_int_equal(has(world, taker, 1), 'H');
    assert_int_equal(has(world, other, 1), 'P');
    standing = &row_of(&world->machine[taker], mid_of(1))->standing;
    assert_true(standing->earlier_count > 0);
    assert_memory_equal(&standing->earlier[0], &first, sizeof first);
    world_free(world);
}

/* It died with the copy before its file said whose store that was of. */
static void test_a_store_that_nobody_knows(void **state)
{
    struct world *world = world_new(2);

    (void)state;
    accept(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    stop(world, 0);
    stop(world, 1);
    world->machine[1].store_count = 0;
    lose_disk(world, 0);
    start(world, 1, false);
    pass(world, 5000);
    check_all(world, 1, "-H");
    start(world, 0, false);
    pass(world, 5000);
    check_all(world, 1, "HP");
    world_free(world);
}

/* It was away when the message was taken over and delivered, and comes back under another store: its
 * copy is for a store that is gone, and still somebody knows that it is over. */
static void test_holder_comes_back_damaged(void **state)
{
    struct world *world = world_new(3);
    int away, other;

    (void)state;
    accept(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    away = has(world, 1, 1) == 'H' ? 1 : 2;
    other = 3 - away;
    stop(world, away);
    pass(world, 6000);
    assert_int_equal(has(world, other, 1), 'H');
    stop(world, 0);
    start(world, 0, true);
    pass(world, 3000);
    assert_int_equal(has(world, other, 1), 'P');
    settle(world, other, 1);
    pass(world, 3000);
    assert_int_equal(has(world, away, 1), 'H');
    start(world, away, true);
    pass(world, 5000);
    for (int i = 0; i < 3; i++)
        assert_true(has(world, i, 1) == '-' || has(world, i, 1) == 'S');
    world_free(world);
}

/* The damage took the message itself, and with it the list of its holders. */
static void test_holder_that_nobody_knows(void **state)
{
    struct world *world = world_new(3);
    int away, other;

    (void)state;
    accept(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    away = has(world, 1, 1) == 'H' ? 1 : 2;
    other = 3 - away;
    stop(world, away);
    pass(world, 6000);
    assert_int_equal(has(world, other, 1), 'H');
    stop(world, 0);
    row_of(&world->machine[0], mid_of(1))->is_there = false;
    start(world, 0, true);
    pass(world, 3000);
    assert_int_equal(has(world, other, 1), 'P');
    settle(world, other, 1);
    pass(world, 3000);
    start(world, away, false);
    pass(world, 5000);
    for (int i = 0; i < 3; i++)
        assert_true(has(world, i, 1) == '-' || has(world, i, 1) == 'S');
    world_free(world);
}

/* The asks of a node that has just started fail quickly; that alone is no silence. */
static void test_silent_since_the_start(void **state)
{
    struct world *world = world_new(2);

    (void)state;
    accept(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    stop(world, 0);
    stop(world, 1);
    start(world, 1, false);
    pass(world, 2800);
    assert_int_equal(has(world, 1, 1), 'H');
    pass(world, 1000);
    assert_int_equal(has(world, 1, 1), 'P');
    world_free(world);
}

static void test_link_cut(void **state)
{
    struct world *world = world_new(2);

    (void)state;
    accept(world, 0, 1, SHADOW_FAILURE_ACCEPT);
    world->wire[0][1] = world->wire[1][0] = false;
    cut(world, 0, 1);
    run(world);
    pass(world, 1000);
    world->wire[0][1] = world->wire[1][0] = true;
    pass(world, 1000);
    check_all(world, 1, "PH"); /* short: nothing happened */
    world->wire[0][1] = world->wire[1][0] = false;
    cut(world, 0, 1);
    run(world);
    pass(world, 5000);
    check_all(world, 1, "PP"); /* D3: two live nodes out of contact for so long */
    world->wire[0][1] = world->wire[1][0] = true;
    pass(world, 1000);
    check_all(world, 1, "HP");
    world_free(world);
}

/* All of its content goes over the link each time: rarely, then, and not in a circle.  Others have
 * their turn all the same. */
static void test_refused_for_good(void **state)
{
    struct world *world = world_new(2);

    (void)state;
    world->machine[1].refuses_for_good = true;
    for (uint8_t n = 1; n <= 20; n++)
        assert_true(accept(world, 0, n, SHADOW_FAILURE_ACCEPT));
    pass(world, 60000);
    assert_in_range(world->machine[1].copies_seen, 20 * 5, 20 * 20);
    world->machine[1].refuses_for_good = false;
    assert_true(accept(world, 0, 30, SHADOW_FAILURE_ACCEPT));
    check_all(world, 30, "PH");
    pass(world, 60000);
    for (uint8_t n = 1; n <= 20; n++)
        check_all(world, n, "PH");
    world_free(world);
}

/* It is asked again and again, but not without a pause. */
static void test_never_answered(void **state)
{
    struct world *world = world_new(2);

    (void)state;
    stop(world, 1);
    stop(world, 0);
    lose_disk(world, 0); /* it does not know the other one any more */
    start(world, 0, false);
    pass(world, 20000);
    assert_true(ledger_due(world->machine[0].ledger).ms > world->now.ms);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copied_delivered_discarded),
        cmocka_unit_test(test_a_copy_comes_after_its_notice),
        cmocka_unit_test(test_nobody_to_hold_it),
        cmocka_unit_test(test_holder_refuses),
        cmocka_unit_test(test_a_late_copy_behind_one_that_waits),
        cmocka_unit_test(test_primary_dies_and_returns),
        cmocka_unit_test(test_settled_before_it_is_copied_again),
        cmocka_unit_test(test_primary_loses_its_disk),
        cmocka_unit_test(test_holder_loses_its_disk),
        cmocka_unit_test(test_both_die_and_return),
        cmocka_unit_test(test_a_fence_ends),
        cmocka_unit_test(test_unclaimed),
        cmocka_unit_test(test_went_back),
        cmocka_unit_test(test_went_back_and_grew),
        cmocka_unit_test(test_went_back_alone),
        cmocka_unit_test(test_found_claim_waits),
        cmocka_unit_test(test_new_store_on_two_links),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_orders_about_nobody),
        cmocka_unit_test(test_evicted_and_back),
        cmocka_unit_test(test_left_with_copies),
        cmocka_unit_test(test_three_nodes),
        cmocka_unit_test(test_two_holders_take_over),
        cmocka_unit_test(test_two_claims),
        cmocka_unit_test(test_taken_from_hearsay),
        cmocka_unit_test(test_a_store_that_nobody_knows),
        cmocka_unit_test(test_holder_comes_back_damaged),
        cmocka_unit_test(test_holder_that_nobody_knows),
        cmocka_unit_test(test_silent_since_the_start),
        cmocka_unit_test(test_link_cut),
        cmocka_unit_test(test_never_answered),
        cmocka_unit_test(test_refused_for_good),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
